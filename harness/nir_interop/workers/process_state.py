"""The state of a process that a library may change: put back after it, or named where it cannot be.

What is inside a library's own modules (caches, counters, class attributes) is the library's, and stays; so does what native
code keeps to itself.
"""

from __future__ import annotations

import _thread
import contextlib
import gc
import locale
import logging
import operator
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DESCRIPTORS = 64
"""Open files that a job may leave: a library that leaves some at each job would have none left in the end."""
_WATCHED = (
    *("builtins", "os", "os.path", "io", "sys", "time", "random", "math", "json", "pickle", "tempfile", "threading", "logging"),
    *("warnings", "copy", "numpy", "numpy.random", "nir", "nir.serialization", "torch", "torch.nn", "torch.nn.functional"),
)
"""Modules whose functions a library may replace, beside all of this project's own."""
_WATCHED_CLASSES = (("torch", "Tensor"), ("torch.nn", "Module"), ("nir", "NIRGraph"))
_SMALLEST = sys.float_info.min
_NUDGE = sys.float_info.epsilon / 8


@dataclass(frozen=True)
class Piece:
    """One thing that a library may change.

    read : gives its value, to be compared by ==
    write : sets it; None where it cannot be set
    same : whether a value now is as good as the one before
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object] | None = None
    same: Callable[[Any, Any], bool] = operator.eq


@contextlib.contextmanager
def put_back(left: set[str] | None = None, *, importing: bool = False) -> Iterator[None]:
    """Undo what a library does to the process.

    What happens inside has an empty working directory of its own.

    left : gets the names of what could not be put back; a process that has any should do nothing more
    importing : whether a library is imported inside: what it sets then is as it wants it for all of its work
    """
    names: set[str] = set() if left is None else left
    base = Path(tempfile.gettempdir())
    if not base.is_dir():  # an earlier part of the job took it away
        base.mkdir(parents=True, exist_ok=True)
        names.add("temporary folder")
    before, depth = _here(base), sys.getrecursionlimit()
    pieces = [(piece, piece.read()) for piece in (_paths() if importing else _pieces())]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            if not importing:
                sys.setrecursionlimit(depth)  # first: all that follows needs it
            if not base.is_dir():
                names.add("temporary folder")
            os.chdir(_reachable(before))
            for piece, value in pieces:
                if not _restored(piece, value):
                    names.add(piece.name)


@contextlib.contextmanager
def watched(left: set[str]) -> Iterator[None]:
    """Name what else a library leaves behind: threads, processes, open files, functions of others replaced by its own.

    Processes are ended, and functions put back as far as they can be.
    """
    threads, children, descriptors = _threads(), _children(), _open_files()
    functions, modules = _known_functions()
    try:
        yield
    finally:
        if _replaced(functions, modules):
            left.add("functions of other modules")
        if _ended(_children() - children):
            left.add("processes")
        if _threads() > threads:
            left.add("threads")
        if _open_files() > descriptors + _DESCRIPTORS:
            left.add("open files")


def _restored(piece: Piece, value: Any) -> bool:
    """Whether a piece is as it was, or could be made so."""
    try:
        if piece.same(piece.read(), value):
            return True
        if piece.write is None:
            return False
        piece.write(value)
        return piece.same(piece.read(), value)
    except BaseException:
        return False


def _here(base: Path) -> str:
    try:
        return os.getcwd()
    except OSError:
        return str(base)


def _reachable(folder: str) -> str:
    return folder if os.path.isdir(folder) else "/"


def _paths() -> Iterator[Piece]:
    yield Piece("environment", lambda: dict(os.environ), _set_environment)
    yield Piece("module path", lambda: list(sys.path), lambda value: sys.path.__setitem__(slice(None), value))


def _pieces() -> Iterator[Piece]:
    yield from _paths()
    yield Piece("temporary files", lambda: tempfile.tempdir, lambda value: setattr(tempfile, "tempdir", value))
    yield Piece("importers", lambda: (list(sys.meta_path), list(sys.path_hooks)), _set_importers)
    yield Piece("switch interval", sys.getswitchinterval, sys.setswitchinterval)
    yield Piece("hooks", _hooks, _set_hooks)
    yield Piece("garbage collection", lambda: (gc.isenabled(), gc.get_threshold()), _set_collection)
    yield Piece("locale", lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value))
    yield Piece("time zone", lambda: (time.tzname, time.timezone), lambda value: time.tzset())
    yield Piece("umask", _umask, os.umask)
    yield Piece("signals", _signals, _set_signals)
    yield Piece("signal masks", _masks)
    yield Piece("timers", lambda: [signal.getitimer(each) for each in _TIMERS], _stop_timers)
    yield Piece("limits", lambda: {each: resource.getrlimit(each) for each in _LIMITS}, _set_limits)
    yield Piece("priority", lambda: os.getpriority(os.PRIO_PROCESS, 0))
    yield Piece("logging", _loggers, _set_loggers, _still_there)
    yield Piece("warnings", lambda: (list(warnings.filters), warnings.showwarning), _set_warnings)
    yield Piece("arithmetic", _arithmetic)
    if hasattr(os, "sched_getaffinity"):
        yield Piece("processors", lambda: os.sched_getaffinity(0), lambda value: os.sched_setaffinity(0, value))
    if hasattr(sys, "set_int_max_str_digits"):
        yield Piece("digits", sys.get_int_max_str_digits, sys.set_int_max_str_digits)
    if (socket := sys.modules.get("socket")) is not None:
        yield Piece("socket timeout", socket.getdefaulttimeout, socket.setdefaulttimeout)
    if (numpy := sys.modules.get("numpy")) is not None:
        yield from _known(_pieces_of_numpy(numpy))
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_default_dtype"):
        yield from _known(_pieces_of_torch(torch))


def _known(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """As many as there are in this version of a library."""
    with contextlib.suppress(AttributeError):
        yield from pieces


def _pieces_of_numpy(numpy: Any) -> Iterator[Piece]:
    yield Piece("NumPy errors", numpy.geterr, lambda value: numpy.seterr(**value))
    yield Piece("NumPy error call", numpy.geterrcall, numpy.seterrcall)
    yield Piece("NumPy printing", numpy.get_printoptions, lambda value: numpy.set_printoptions(**value))
    generator = getattr(numpy.random, "get_bit_generator", None)
    if generator is not None:
        yield Piece("NumPy generator", generator, numpy.random.set_bit_generator)


def _pieces_of_torch(torch: Any) -> Iterator[Piece]:
    yield Piece("torch dtype", torch.get_default_dtype, torch.set_default_dtype)
    yield Piece("torch threads", torch.get_num_threads, torch.set_num_threads)
    yield Piece("torch gradients", torch.is_grad_enabled, torch.set_grad_enabled)
    yield Piece("torch inference mode", torch.is_inference_mode_enabled)
    deterministic = torch.is_deterministic_algorithms_warn_only_enabled
    yield Piece(
        "torch determinism",
        lambda: (torch.are_deterministic_algorithms_enabled(), deterministic()),
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
    )
    if hasattr(torch, "get_default_device"):
        # another mode on the stack is what a default device is; that of none is put back as none
        yield Piece("torch device", lambda: str(torch.get_default_device()), lambda value: torch.set_default_device(None))
    if hasattr(torch, "get_float32_matmul_precision"):
        yield Piece("torch precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
    if hasattr(torch, "set_warn_always"):
        yield Piece("torch warnings", torch.is_warn_always_enabled, torch.set_warn_always)
    anomaly = torch.autograd.set_detect_anomaly
    yield Piece("torch anomalies", torch.is_anomaly_enabled, anomaly)
    cast = torch.set_autocast_cpu_enabled if hasattr(torch, "set_autocast_cpu_enabled") else None
    yield Piece(
        "torch casting", lambda: _quietly(torch.is_autocast_cpu_enabled), cast and (lambda value: _quietly(cast, value))
    )
    flags = torch.backends.cudnn
    yield Piece(
        "torch cuDNN",
        lambda: (flags.enabled, flags.benchmark, flags.deterministic),
        lambda value: _set(flags, ("enabled", "benchmark", "deterministic"), value),
    )
    yield Piece("torch printing", lambda: dict(vars(torch._tensor_str.PRINT_OPTS)), vars(torch._tensor_str.PRINT_OPTS).update)
    yield Piece("torch hooks", lambda: _global_hooks(torch.nn.modules.module))
    if hasattr(torch._C, "_len_torch_function_stack"):
        yield Piece("torch modes", lambda: (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()))


def _set(owner: Any, names: Sequence[str], values: Sequence[Any]) -> None:
    for name, value in zip(names, values, strict=True):
        setattr(owner, name, value)


def _quietly(call: Callable[..., Any], *given: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*given)


def _global_hooks(module: Any) -> dict[str, int]:
    return {name: len(each) for name, each in vars(module).items() if name.startswith("_global_") and hasattr(each, "__len__")}


def _set_environment(value: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(value)


def _set_importers(value: tuple[list[Any], list[Any]]) -> None:
    sys.meta_path[:], sys.path_hooks[:] = value
    sys.path_importer_cache.clear()


def _hooks() -> tuple[Any, ...]:
    return sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook, sys.gettrace(), sys.getprofile()


def _set_hooks(value: tuple[Any, ...]) -> None:
    sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook = value[:4]
    sys.settrace(value[4])
    sys.setprofile(value[5])


def _set_collection(value: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if value[0] else gc.disable)()
    gc.set_threshold(*value[1])


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


_CATCHABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_LIMITS = tuple(sorted({number for name, number in vars(resource).items() if name.startswith("RLIMIT_")}))


def _signals() -> tuple[Any, ...]:
    return tuple(signal.getsignal(each) for each in _CATCHABLE), frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def _set_signals(value: tuple[Any, ...]) -> None:
    for number, was in zip(_CATCHABLE, value[0], strict=True):
        if was is not None and signal.getsignal(number) is not was:
            signal.signal(number, was)
    signal.pthread_sigmask(signal.SIG_SETMASK, value[1])


def _masks() -> list[str]:
    """Which signals are blocked, ignored and caught, as the kernel sees it: native code sets handlers past Python."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return [line.strip() for line in file if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
    except OSError:
        return []


def _stop_timers(value: Any) -> None:
    for each in _TIMERS:
        signal.setitimer(each, 0)


def _set_limits(value: Mapping[int, tuple[int, int]]) -> None:
    for number, both in value.items():
        if resource.getrlimit(number) != both:
            resource.setrlimit(number, both)


def _loggers() -> dict[str, Any]:
    """Of each logger that there is: its level, handlers and filters."""
    manager = logging.Logger.manager
    loggers = {name: each for name, each in list(manager.loggerDict.items()) if isinstance(each, logging.Logger)}
    found: dict[str, Any] = {"": (manager.disable, logging.raiseExceptions)}
    for name, each in {**loggers, "root": logging.getLogger()}.items():
        found[name] = (each.level, each.disabled, each.propagate, list(each.handlers), list(each.filters))
    return found


def _still_there(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Loggers that were made meanwhile are their makers' own."""
    return all(now.get(name) == value for name, value in before.items())


def _set_loggers(value: Mapping[str, Any]) -> None:
    logging.Logger.manager.disable, logging.raiseExceptions = value[""]
    for name, (level, disabled, propagate, handlers, filters) in ((n, v) for n, v in value.items() if n):
        logger = logging.getLogger(None if name == "root" else name)
        logger.disabled, logger.propagate, logger.handlers[:], logger.filters[:] = disabled, propagate, handlers, filters
        logger.setLevel(level)


def _set_warnings(value: tuple[list[Any], Any]) -> None:
    warnings.filters[:], warnings.showwarning = value  # type: ignore[index]
    getattr(warnings, "_filters_mutated", lambda: None)()


def _arithmetic() -> tuple[bool, ...]:
    """Whether small numbers are flushed to zero, and which way sums are rounded: flags of the processor."""
    return _SMALLEST / 4 > 0, 1.0 + _NUDGE > 1, -1.0 - _NUDGE < -1, 1.0 - _NUDGE / 2 < 1


def _threads() -> int:
    """How many there are beside the main one; but for that by which tqdm watches its bars, which does nothing else."""
    return _thread._count() - sum(type(each).__module__.startswith("tqdm.") for each in threading.enumerate())


def _children() -> set[int]:
    """Processes that this one started, or that were left to it; none where the system does not say."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                found.update(map(int, file.read().split()))
    return found


def _ended(children: set[int]) -> bool:
    """End processes and those that are left of them; whether any was alive."""
    alive = False
    for _ in range(100):  # what they start meanwhile becomes this process's own child
        for pid in children:
            with contextlib.suppress(OSError):
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    continue
                os.kill(pid, signal.SIGKILL)
                alive = True
                os.waitpid(pid, 0)
        if not alive:
            return False
        again = _children() - children
        if not again:
            return True
        children = again
    return True


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


_KNOWN: dict[int, tuple[list[tuple[Any, dict[str, Any]]], dict[str, Any]]] = {}


def _known_functions() -> tuple[list[tuple[Any, dict[str, Any]]], dict[str, Any]]:
    """Functions and modules as they were when the last module was imported: a process in which one was replaced ends."""
    number = len(sys.modules)
    if number not in _KNOWN:
        _KNOWN.clear()
        _KNOWN[number] = _functions(), dict(sys.modules)
    return _KNOWN[number]


def _functions() -> list[tuple[Any, dict[str, Any]]]:
    """What can be called in the modules and classes that are watched."""
    own = ("nir_interop", "nir_interop_adapters")
    owners = [each for name, each in list(sys.modules.items()) if name in _WATCHED or name.partition(".")[0] in own]
    for module, name in _WATCHED_CLASSES:
        found = getattr(sys.modules.get(module), name, None)
        if found is not None:
            owners.append(found)
    return [(owner, {name: each for name, each in list(vars(owner).items()) if callable(each)}) for owner in owners]


def _replaced(functions: list[tuple[Any, dict[str, Any]]], modules: Mapping[str, Any]) -> bool:
    """Put functions and modules back; whether any had been replaced."""
    found = False
    for owner, before in functions:
        now = vars(owner)
        for name, each in before.items():
            if now.get(name) is not each and not _of_its_own(owner, now.get(name)):
                found = True
                with contextlib.suppress(Exception):
                    setattr(owner, name, each)
        for name in _hiding(owner, before):
            found = True
            with contextlib.suppress(Exception):
                delattr(owner, name)
    for name, module in modules.items():
        if sys.modules.get(name) is not module:
            found = True
            sys.modules[name] = module
    return found


def _hiding(owner: Any, before: Mapping[str, Any]) -> list[str]:
    """New methods of a class that hide what it inherits."""
    bases = owner.__mro__[1:] if isinstance(owner, type) else ()
    new = [name for name, each in vars(owner).items() if callable(each) and name not in before] if bases else []
    return [name for name in new if any(name in vars(base) for base in bases) and not _of_its_own(owner, vars(owner)[name])]


def _of_its_own(owner: Any, function: Any) -> bool:
    """Whether a package has replaced its own function: torch does, as parts of it are imported."""
    package = sys.modules.get((getattr(owner, "__module__", None) or owner.__name__).partition(".")[0])
    code, init = getattr(function, "__code__", None), getattr(package, "__file__", None)
    if code is None or init is None or not hasattr(package, "__path__"):
        return False
    return bool(code.co_filename.startswith(f"{os.path.dirname(init)}/"))


__all__ = ["put_back", "watched"]
