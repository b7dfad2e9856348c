"""What the run grants a worker: how much memory."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from nir_interop import memory as limits
from nir_interop.errors import BadInput
from nir_interop.workers.error_messages import MEMORY

SHARE = 0.75
"""Of the machine's memory, for all workers that are at work at once."""
ENOUGH = 4 * 2**30
"""Bytes that a worker may take even where many are at work, if that is no more than half of what there is."""
BESIDE = 2.0
"""What a worker may take for each byte that ``--memory-limit`` allows a run, which is told from the reference's own shapes."""
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def memory_for(jobs: int = 1) -> int:
    """Bytes that each of so many workers may allocate; 0 for no limit.

    The variable NIR_INTEROP_MEMORY says it; else it is a share of what the machine, or the control group, has, and more where
    ``--memory-limit`` allows runs that need more.

    Raises BadInput where the variable holds no size.
    """
    said = os.environ.get(MEMORY, "").strip()
    if said:
        size = _SIZE.fullmatch(said)
        if size is None:
            raise BadInput(f"{MEMORY} is {said[:40]!r}, which is no size: give bytes or, say, 8G; 0 takes the limit away")
        return int(float(size[1]) * _UNITS[size[2].upper()])
    there = _memory()
    granted = max(int(there * SHARE / max(1, jobs)), min(ENOUGH, there // 2))
    if limits.VARIABLE not in os.environ:
        return granted
    return max(granted, min(int(BESIDE * limits.memory_limit() * limits.GIB), int(there * SHARE)))


def _memory() -> int:
    """Bytes of memory that this process could have, if nobody else wanted any; 0 where the system does not say."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0
    for folder in _groups():
        with contextlib.suppress(OSError, ValueError):  # it says "max" where there is no limit
            found = min(found, int((folder / "memory.max").read_text()))
    return found


def _groups() -> list[Path]:
    """The control group that this process is in, and those that this one is in; none where there are none of version 2."""
    try:
        (path,) = (line[3:].strip("/") for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    except (OSError, ValueError):
        return []
    own = _CONTROL_GROUPS / path
    return [own, *(each for each in own.parents if each.is_relative_to(_CONTROL_GROUPS))]


__all__ = ["memory_for"]
