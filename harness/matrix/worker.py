"""A warm process of one backend's environment: takes jobs from its channel, one after the other.

A job's folder, environment variables, output and warnings are put back after it; a job that kills the process takes only
itself along.  The process ends when the one that started it does, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pkgutil
import platform
import resource
import signal
import sys
import threading
import time
from typing import Any

from harness.adapter import Adapter
from harness.matrix import job as jobs
from harness.matrix.capture import Capture, guarded
from harness.matrix.messages import describe
from harness.matrix.work import doing

_LARGEST_FILE = 2**30
"""Bytes: a library that prints for ever must not fill the disk."""
_LOOK_EVERY = 0.5
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def serve(channel: Any) -> None:
    """Announce the process, make the adapter, then answer each job (JSON) with its outcome (JSON); None ends it.

    Sent: ``{"pid"}``, then what the adapter says of itself, then for each job its stages and its outcome.
    """
    settings = json.loads(channel.receive())
    _die_with(settings["parent"])
    _confine()
    channel.send(json.dumps({"pid": os.getpid()}))
    adapter, described = _adapter(settings)
    channel.send(json.dumps(described))
    if adapter is None:
        return

    def tell(stage: str) -> None:
        channel.send(json.dumps({"stage": stage}))

    while (text := channel.receive()) is not None:
        channel.send(json.dumps({"outcome": run(adapter, json.loads(text), tell)}, default=_plain))


def run(adapter: Adapter, job: jobs.Job, tell: Any = lambda stage: None) -> jobs.Outcome:
    """Do one job, whatever it does to the process's state."""
    work = doing(job["kind"])
    capture = Capture()
    progress = jobs.Progress(tell, lambda: guarded(capture))
    wall, cpu = time.perf_counter(), time.process_time()
    with progress.guard():
        outcome = work(adapter, job, progress)
    outcome["complaints"] = capture.complaints
    outcome["text"] = capture.text
    outcome["timing"] = {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "library_seconds": progress.library_seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "resident_bytes": _resident(),
    }
    return outcome


def _adapter(settings: dict[str, Any]) -> tuple[Adapter | None, dict[str, Any]]:
    """The backend's adapter, its library imported, and what it says of itself; or why there is none."""
    started = time.process_time()
    adapter: Adapter | None = None
    capture = Capture()
    with guarded(capture):
        try:
            adapter = pkgutil.resolve_name(settings["module"])()
            adapter.prepare()
            _warn_always()
            problem: dict[str, Any] = {}
        except BaseException as error:
            adapter, problem = None, describe(error)
    described: dict[str, Any] = {"text": capture.text, "problem": problem, "cpu_seconds": time.process_time() - started}
    if adapter is not None:
        described |= {
            "idioms": {str(idiom): how for idiom, how in adapter.idioms.items()},
            "fixed_dt": adapter.fixed_dt,
            "python": platform.python_version(),
        }
    return adapter, described


def _warn_always() -> None:
    """Torch warns once a process; a cell's ``warned`` must not depend on the cells before it."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_warn_always"):
        torch.set_warn_always(True)


def _confine() -> None:
    """A process group of its own, so that its children are killed with it; no core files, no endless ones."""
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))


def _die_with(parent: int) -> None:
    """End when the starter does: by the kernel's signal where there is one, and by looking twice a second."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's own; JSON asks for everything it does not know."""
    return value.item() if hasattr(value, "item") else str(value)


def _resident() -> int:
    """Bytes of memory in use now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
