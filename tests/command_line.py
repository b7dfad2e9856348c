"""``nir-interop`` in a process of its own, as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(*arguments: str, cwd: Path | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """``nir-interop`` with these arguments, in a folder; ``conftest.py`` has it run these sources."""
    command = [sys.executable, "-m", "nir_interop", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=timeout, check=False)
