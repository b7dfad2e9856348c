"""What a worker may not do: its limits, set by itself before it imports a library, and never raised again.

A library that means harm finds ways that none of this closes (`docs/isolation.md` names them); it keeps mistakes from
taking the machine along, and what a file might make a library do from leaving it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence

LARGEST_FILE = 2**30
"""Bytes: a library that prints for ever must not fill the disk."""
MORE_TASKS = 1024
"""Processes and threads that a worker may add to those that there are."""

_LOOK_EVERY = 0.5
_SET_PARENT_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES, _SET_CHILD_SUBREAPER = 1, 38, 36  # of prctl
_FILTER, _ALL_THREADS = 1, 1  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # instructions of the filter's machine
_UNIX = 1  # AF_UNIX
_SYSTEMS = {
    "x86_64": (0xC000003E, {"socket": 41, "ptrace": 101, "readv": 310, "writev": 311, "io_uring": 425, "seccomp": 317}),
    "aarch64": (0xC00000B7, {"socket": 198, "ptrace": 117, "readv": 270, "writev": 271, "io_uring": 425, "seccomp": 277}),
}
"""The processor as seccomp names it, and the numbers of the system calls that are taken away."""
_X32 = 0x40000000  # another table of numbers on x86_64, by which the filter would be passed


def confine(memory: int) -> dict[str, bool]:
    """Give up what a library does not need; says what took hold.

    memory : bytes that the process may allocate; 0 for no limit
    """
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)  # its children are killed with it
    _limit("RLIMIT_CORE", 0)
    held = {"files": _limit("RLIMIT_FSIZE", LARGEST_FILE), "processes": _limit_tasks()}
    held["memory"] = memory > 0 and _limit("RLIMIT_DATA", memory)
    held["privileges"] = _prctl(_SET_NO_NEW_PRIVILEGES)
    held["network"] = _take_away_network()
    _prctl(_SET_CHILD_SUBREAPER)  # what its children leave behind becomes its own, and is found
    return held


def die_with(parent: int) -> None:
    """End when the starter does: by the kernel's signal where there is one, and by looking twice a second."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def limit_addresses(memory: int) -> None:
    """Once the library is there: shared memory and mapped files count too, beside what is mapped already.

    memory : bytes; 0 for no limit
    """
    if memory:
        with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
            _limit("RLIMIT_AS", memory + int(file.read().split()[0]) * resource.getpagesize())


def memory_limit() -> int:
    """Bytes that this process may allocate; 0 where it is not limited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return 0 if soft == resource.RLIM_INFINITY else soft


def _limit(name: str, most: int) -> bool:
    """Lower a limit; one that is lower already stays."""
    number = getattr(resource, name, None)
    if number is None:
        return False
    try:
        _, hard = resource.getrlimit(number)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (allowed, allowed))
    except (ValueError, OSError):
        return False
    return True


def _limit_tasks() -> bool:
    """The system counts all of a user's processes and threads, so the limit lies above all that there are; root has none."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            there = int(file.read().split()[3].split("/")[1])
    except (OSError, ValueError, IndexError):
        return False
    return _limit("RLIMIT_NPROC", there + MORE_TASKS) and os.geteuid() != 0


def _prctl(option: int, value: int = 1) -> bool:
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    return False


def _take_away_network() -> bool:
    """Have the kernel refuse sockets other than those of this machine, in every thread and in all that it starts.

    So are the calls that reach into other processes, and the one by which sockets could be had past the filter.
    """
    if sys.platform != "linux" or platform.machine() not in _SYSTEMS or sys.maxsize < 2**32:
        return False
    processor, numbers = _SYSTEMS[platform.machine()]
    instructions = list(_filter(processor, numbers))
    code = b"".join(struct.pack("HBBI", *each) for each in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(instructions), ctypes.addressof(buffer)))
    with contextlib.suppress(OSError, AttributeError):
        call = ctypes.CDLL(None, use_errno=True).syscall
        return bool(call(numbers["seccomp"], _FILTER, _ALL_THREADS, program) == 0)
    return False


def _filter(processor: int, numbers: dict[str, int]) -> Iterator[tuple[int, int, int, int]]:
    """Instructions (code, jump if so, jump if not, constant) over struct seccomp_data."""
    denied: Sequence[int] = [numbers[name] for name in ("ptrace", "readv", "writev", "io_uring")]
    refuse, unknown = _ERROR | errno.EACCES, _ERROR | errno.ENOSYS
    yield _LOAD, 0, 0, 4
    yield _EQUAL, 1, 0, processor
    yield _RETURN, 0, 0, unknown
    yield _LOAD, 0, 0, 0
    yield _AT_LEAST, 0, 1, _X32
    yield _RETURN, 0, 0, unknown
    for number in denied:
        yield _EQUAL, 0, 1, number
        yield _RETURN, 0, 0, refuse
    yield _EQUAL, 0, 3, numbers["socket"]
    yield _LOAD, 0, 0, 16
    yield _EQUAL, 1, 0, _UNIX
    yield _RETURN, 0, 0, refuse
    yield _RETURN, 0, 0, _ALLOW


__all__ = ["LARGEST_FILE", "confine", "die_with", "limit_addresses", "memory_limit"]
