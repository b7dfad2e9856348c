"""``nir-interop`` in a process of its own, as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.places import PYTHONPATH


def run(*arguments: str, cwd: Path | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """``nir-interop`` of these sources with these arguments, in a folder; its stdout and stderr are kept."""
    command = [sys.executable, "-m", "nir_interop", *arguments]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=timeout, env=environment, check=False)
