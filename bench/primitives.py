"""How long the table of primitives takes, with nothing known."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from bench.figures import Figure


def figures() -> list[Figure]:
    """Seconds for the three libraries and the reference, identification included."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "harness", "primitives", "--store", f"{folder}/store", "--results", folder]
        subprocess.run(command, check=True, capture_output=True)
        return [Figure("primitive table, cold", time.perf_counter() - begun, 60, "s")]
