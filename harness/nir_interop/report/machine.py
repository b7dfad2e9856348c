"""What a run was made on: processor, cores and memory, as far as the operating system says."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux says it."""


def machine() -> dict[str, Any]:
    """``cpu``: the processor's name; ``cores``: physical ones; ``memory_gib``: whole GiB.  None for what is not known.

    The same from run to run on one machine: nothing in it says how busy that is.
    """
    text = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.is_file() else ""
    return {"cpu": name_in(text) or _asked() or platform.processor() or None, "cores": cores_in(text), "memory_gib": _memory()}


def name_in(cpuinfo: str) -> str:
    """The first processor's name in the text of CPUINFO, with single spaces; empty where there is none."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def cores_in(cpuinfo: str) -> int | None:
    """Physical cores: threads that share one count once; None where the text does not say."""
    cores = {
        (socket[1] if (socket := re.search(r"^physical id\s*:\s*(\d+)", block, re.MULTILINE)) else "", core[1])
        for block in cpuinfo.split("\n\n")
        if (core := re.search(r"^core id\s*:\s*(\d+)", block, re.MULTILINE))
    }
    return len(cores) or None


def _asked() -> str:
    """The processor's name on macOS."""
    if platform.system() != "Darwin":
        return ""
    try:
        done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _memory() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None
