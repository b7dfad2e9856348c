"""A backend that does what no library should, one misdeed a graph: the graph's file is named after it."""

from __future__ import annotations

import _thread
import atexit
import builtins
import ctypes
import gc
import json
import locale
import logging
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np

from nir_interop.recording import Recording
from tests.matrix.fakes import Honest

FINE = "fine"
"""The name of a graph on which nothing is done but looking."""


class Unruly(Honest):
    """Does the misdeed that the file is named after, once it has read it; a file called FINE has it look around.

    What it sees there is part of its answer's error, if it is not what it saw at its start.
    """

    name = "unruly"
    first: dict[str, Any]

    def prepare(self) -> None:
        Unruly.first = self.seen()

    def load(self, path: Path, dt: float) -> Any:
        model = super().load(path, dt)
        if path.stem == FINE:
            changed = {name: value for name, value in self.seen().items() if value != Unruly.first[name]}
            if changed:
                raise RuntimeError(f"not as at the start: {changed}")
        else:
            (MISDEEDS | (of_torch() if isinstance(self, UnrulyTorch) else {}))[path.stem]()
        return model

    def seen(self) -> dict[str, Any]:
        """What a later cell could depend on."""
        return {
            "folder is empty": os.listdir(".") == [] and Path(tempfile.gettempdir()).is_dir(),
            "environment": dict(os.environ),
            "module path": list(sys.path),
            "importers": len(sys.meta_path),
            "recursion": sys.getrecursionlimit(),
            "switching": sys.getswitchinterval(),
            "tracing": sys.gettrace() is None,
            "hook": sys.excepthook is sys.__excepthook__,
            "collecting": gc.isenabled(),
            "locale": locale.setlocale(locale.LC_ALL),
            "time zone": time.localtime(0).tm_hour,
            "umask": oct(_umask()),
            "terminating": signal.getsignal(signal.SIGTERM),
            "ignored": [
                line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(("SigIgn", "SigBlk"))
            ],
            "timer": signal.getitimer(signal.ITIMER_REAL)[0],
            "files": resource.getrlimit(resource.RLIMIT_NOFILE),
            "logging": (logging.Logger.manager.disable, logging.getLogger().level, logging.raiseExceptions),
            "warning": [each[:3] for each in warnings.filters][:1],
            "errors": np.geterr(),
            "printing": np.get_printoptions()["precision"],
            "generator": type(np.random.get_bit_generator()).__name__,
            "threads": threading.active_count(),
            "smallest": sys.float_info.min / 4 > 0,
            "rounded up": 1.0 + self.nudge > 1.0,
            "functions": (np.abs(-3), open is OPEN, json.dumps({}), int(time.time()) > 10),
            "socket": socket.getdefaulttimeout(),
            "writes": self.writes(),
            "modules": sys.modules["nir"] is nir,
        }

    nudge = sys.float_info.epsilon / 8

    def writes(self) -> bool:
        """Whether what is printed goes to a file."""
        print("", end="", flush=True)
        return os.fstat(1).st_mode == os.fstat(2).st_mode

    def run(self, model: Any, stimulus: Any) -> Recording:
        right = super().run(model, stimulus)
        noise = np.float32(random.random() + np.random.rand())
        return Recording({"output": right.outputs["output"] + noise})


class UnrulyTorch(Unruly):
    """The same with what torch keeps for a whole process."""

    name = "unrulytorch"

    def seen(self) -> dict[str, Any]:
        import torch

        return {
            "dtype": torch.get_default_dtype(),
            "threads": torch.get_num_threads(),
            "gradients": torch.is_grad_enabled(),
            "determinism": torch.are_deterministic_algorithms_enabled(),
            "a tensor": str(torch.ones(2, requires_grad=True) / 3),
            "a module": torch.nn.Linear(2, 2).weight.device.type,
            "a function": torch.nn.functional.relu(torch.tensor([-1.0, 2.0])).tolist(),
            "a product": torch.tensor([2.0]).mul(3).item(),
            "precision": torch.get_float32_matmul_precision(),
            "anomalies": torch.is_anomaly_enabled(),
            "smallest": bool(torch.tensor(sys.float_info.min, dtype=torch.float64) / 4 > 0),
        }

    def run(self, model: Any, stimulus: Any) -> Recording:
        import torch

        right = super().run(model, stimulus)
        return Recording({"output": right.outputs["output"] + torch.rand(1).numpy()})


def of_torch() -> dict[str, Callable[[], object]]:
    """What can be done to torch; it is imported for it."""
    import torch

    return {
        "dtype": lambda: torch.set_default_dtype(torch.float64),
        "torch_threads": lambda: torch.set_num_threads(7),
        "gradients": lambda: torch.set_grad_enabled(False),
        "inference": lambda: _enter(torch.inference_mode()),
        "determinism": lambda: torch.use_deterministic_algorithms(True),
        "device": lambda: torch.set_default_device("meta"),
        "seed": lambda: torch.manual_seed(7),
        "precision": lambda: torch.set_float32_matmul_precision("medium"),
        "anomalies": lambda: torch.autograd.set_detect_anomaly(True),
        "torch_printing": lambda: torch.set_printoptions(precision=1),
        "torch_denormals": lambda: torch.set_flush_denormal(True),
        "module_hook": lambda: torch.nn.modules.module.register_module_forward_hook(lambda *_: None),
        "torch_function": _replace(torch.nn.functional, "relu", lambda x: x),
        "torch_method": _replace(torch.Tensor, "mul", lambda self, other: self),
    }


_ENTERED: list[Any] = []


def _enter(mode: Any) -> None:
    mode.__enter__()
    _ENTERED.append(mode)


OPEN = builtins.open


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def _delete_folder() -> None:
    shutil.rmtree(os.environ["TMPDIR"])


def _leave_thread() -> None:
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def _leave_low_thread() -> None:
    begun = _thread.allocate_lock()
    begun.acquire()

    def last() -> None:
        begun.release()
        time.sleep(3600)

    _thread.start_new_thread(last, ())
    begun.acquire()  # a thread counts from when it runs


def _leave_children() -> None:
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(3600)
            os._exit(0)


def _leave_program() -> None:
    subprocess.Popen(["sleep", "3600"], start_new_session=True, stdin=subprocess.DEVNULL)


def _leave_files() -> None:
    for _ in range(100):
        os.open(os.devnull, os.O_RDONLY)


def _close_streams() -> None:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()


def _close_standard() -> None:
    for number in range(3):
        os.close(number)


def _ignore_natively() -> None:
    ctypes.CDLL(None).signal(signal.SIGUSR1, 1)


def _flush_denormals() -> None:
    """Sets the bits of the control register through the C library's copy of it; x86-64 alone."""
    library = ctypes.CDLL("libm.so.6")
    environment = (ctypes.c_uint32 * 8)()
    library.fegetenv(environment)
    environment[7] |= 0x8040
    library.fesetenv(environment)


def _round_up() -> None:
    ctypes.CDLL("libm.so.6").fesetround(0x800)


def _replace(owner: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


def _lower_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def _print_late() -> None:
    """Into the C library's own buffer, which is written when it is full, or by and by."""
    ctypes.CDLL(None).printf(b"WARNING: of the cell before\n")


MISDEEDS: dict[str, Callable[[], object]] = {
    "folder": lambda: os.chdir("/"),
    "folder_deleted": _delete_folder,
    "environment": lambda: os.environ.update(OMP_NUM_THREADS="7", NEW="1"),
    "environment_cleared": lambda: os.environ.clear(),
    "module_path": lambda: sys.path.insert(0, "/"),
    "importers": lambda: sys.meta_path.insert(0, types.SimpleNamespace(find_spec=lambda *_: None)),
    "recursion": lambda: sys.setrecursionlimit(150),
    "switching": lambda: sys.setswitchinterval(1.0),
    "tracing": lambda: sys.settrace(lambda *_: None),
    "hook": _replace(sys, "excepthook", print),
    "collection": gc.disable,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "time_zone": lambda: (os.environ.update(TZ="Asia/Tokyo"), time.tzset()),
    "umask": lambda: os.umask(0o777),
    "signal": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "signal_native": _ignore_natively,
    "signal_blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}),
    "timer": lambda: signal.alarm(1),
    "limit": _lower_files,
    "logging": lambda: logging.disable(logging.CRITICAL),
    "logging_handlers": lambda: logging.basicConfig(handlers=[], force=True, level=1),
    "warnings": lambda: warnings.simplefilter("error"),
    "numpy_errors": lambda: np.seterr(all="raise"),
    "numpy_printing": lambda: np.set_printoptions(precision=1),
    "numpy_generator": lambda: np.random.set_bit_generator(np.random.PCG64(3)),
    "random": lambda: (random.seed(1), np.random.seed(1)),
    "denormals": _flush_denormals,
    "rounding": _round_up,
    "threads": _leave_thread,
    "threads_low": _leave_low_thread,
    "children": _leave_children,
    "program": _leave_program,
    "files": _leave_files,
    "streams": _close_streams,
    "standard": _close_standard,
    "printed_late": _print_late,
    "at_exit": lambda: atexit.register(time.sleep, 3600),
    "function_numpy": _replace(np, "abs", lambda x: x),
    "function_builtin": _replace(builtins, "open", lambda *_: None),
    "function_harness": _replace(sys.modules["nir_interop.backends.adapter"], "read_graph", lambda path: None),
    "function_time": _replace(time, "time", lambda: 3.0),
    "module": lambda: sys.modules.update(nir=types.ModuleType("nir")),
    "socket": lambda: socket.setdefaulttimeout(1e-9),
    "temporary": _replace(tempfile, "tempdir", "/nowhere"),
}
