"""What a worker may not do, what it is granted, and what is ended with it.

Its limits it sets itself before it imports a library, and they are never raised again.  A library that means harm finds ways
that none of this closes (`docs/isolation.md` names them); it keeps mistakes from taking the machine along, and what a file
might make a library do from leaving it.  How much memory a worker may have, the run says.

Processes that a worker's library started and that left its group are found by their temporary folder, and ended with it; where
the run itself is killed, a process of its own does that, which waits for the run's end.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import os
import platform
import re
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nir_interop import memory as limits
from nir_interop.errors import BadInput
from nir_interop.workers.environment import MEMORY

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


def end_with(parent: int) -> None:
    """End when the starter does, by the kernel's signal; where there is none, not at all."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that
        os._exit(1)


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


SHARE = 0.75
"""Of the machine's memory, for all workers that are at work at once."""
ENOUGH = 4 * 2**30
"""Bytes that a worker may take even where many are at work, if that is no more than half of what there is."""
IDLE, FEWEST, MOST = 0.6 * 2**30, 3, 16
"""Bytes that a worker holds which has imported its library and waits; workers that are kept at hand at least, and where the
system does not say how much memory there is."""
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


def warm_for(jobs: int = 1) -> int:
    """How many workers each of so many threads may keep at hand, one a library, so that their memory goes round."""
    there = _memory()
    return max(FEWEST, int(there * SHARE / max(1, jobs) / IDLE)) if there else MOST


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
