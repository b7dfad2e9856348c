"""Processes that a worker's library started and that left its group: found by their temporary folder, and ended.

They are ended with their worker.  Where the run itself is killed, a process of its own does it: it waits for the run's end.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

_PATIENCE = 2.0
_PROCESSES = Path("/proc")
_GUARDED = "NIR_INTEROP_GUARDED"
"""In the environment of all that works for a run: whose guard ends what a worker of a worker leaves, too."""
_GUARD = """
import os, signal, sys, time
folders = sys.stdin.buffer.read().split(bytes(1))[:-1]  # until the run is no more; what is cut off is not one
for _ in range(100):
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/" + name + "/environ", "rb") as file:
                there = file.read()
            if any(b"TMPDIR=" + each + end in there for each in folders for end in (b"/", bytes(1))):
                os.kill(int(name), signal.SIGKILL)
                found += 1
        except OSError:
            pass
    if not found:
        break
    time.sleep(0.01)
"""


def kill_all(folder: Path) -> int:
    """End every process whose temporary files go into a folder; how many there were."""
    mine, total = os.getpid(), 0
    for _ in range(100):  # those that are being started meanwhile are found the next time
        found = [pid for pid in working_in(folder) if pid != mine]
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        total += len(found)
        if not found:
            break
        time.sleep(0.01)
    return total


def working_in(folder: Path) -> list[int]:
    """Processes that began with that folder, or one in it, for their temporary files; none where the system does not tell."""
    found = []
    wanted = b"TMPDIR=" + os.fsencode(folder)
    for name in os.listdir(_PROCESSES) if _PROCESSES.is_dir() else ():
        if name.isdigit():
            with contextlib.suppress(OSError):  # gone by now, or somebody else's
                there = (_PROCESSES / name / "environ").read_bytes().split(b"\0")
                if any(each == wanted or each.startswith(wanted + b"/") for each in there):
                    found.append(int(name))
    return sorted(found)


class _Guard:
    """The process that waits; it is started once, and told of each worker's folder."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, folder: Path) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _GUARD],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", env={},
                    start_new_session=True,
                )  # fmt: skip
            if self._process.stdin is not None:
                self._process.stdin.write(os.fsencode(folder) + b"\0")
                self._process.stdin.flush()

    def dismiss(self) -> None:
        """Have it look once more, and go."""
        with self._lock, contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                self._process.wait(_PATIENCE)


_GUARDIAN = _Guard()
atexit.register(_GUARDIAN.dismiss)


def guard(folder: Path) -> None:
    """Have what works in a folder ended with this process, however that ends; a worker's own process has its run's guard."""
    if _GUARDED not in os.environ and sys.platform == "linux":
        _GUARDIAN.tell(folder.resolve())


def guarded_environment() -> dict[str, str]:
    """What says that there is a guard."""
    return {_GUARDED: "1"}


__all__ = ["guard", "guarded_environment", "kill_all", "working_in"]
