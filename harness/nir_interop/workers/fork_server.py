"""Workers that have in common what takes longest to import: it is imported once, in a process that they are forked from.

Each worker is a process of its own and imports its own library; what they share is what no library owns (torch, NumPy, nir).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nir_interop.workers.confinement import guard, guarded_environment
from nir_interop.workers.environment import ENVIRONMENT, LARGEST_MESSAGE, LONGEST_FOLDER, importable

if TYPE_CHECKING:
    import execnet

    from nir_interop.backends.environments import Backend

COMMON = "torch"
"""The distribution that takes long to import, and that a backend asks for which is forked."""
_IMPORTED = (
    *("torch", "nir", "execnet.gateway_base", "nir_interop.workers.worker", "nir_interop.transfer.importing"),
    *("nir_interop.transfer.check_jobs", "nir_interop.agreement.status", "nir_interop.agreement.inputs"),
)
_READY_LIMIT = 120.0
_PATIENCE = 2.0


class NoForkServer(Exception):
    """It does not fork, or no more; a worker is then started by itself."""


def serves(backend: Backend) -> bool:
    """Whether a backend's worker can be forked: it has this interpreter, and asks for what is imported in common."""
    forks = sys.platform == "linux" and hasattr(socket, "send_fds")
    return forks and backend.installed and backend.own_interpreter and not backend.search and COMMON in backend.distributions


@contextmanager
def fork_server(backends: Sequence[Backend]) -> Iterator[ForkServer | None]:
    """A server for the workers of backends, started at once; None where it would serve fewer than two, or does not start."""
    served = {each.name: each for each in backends if serves(each)}
    server = None
    if len(served) > 1:
        with contextlib.suppress(OSError, NoForkServer):
            server = ForkServer(list(served.values()))
    with server or contextlib.nullcontext():
        yield server


class ForkServer:
    """The process, which begins to import as soon as this is made; nobody waits for it before the first worker.

    pid : of the process
    """

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._lock = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="nir-interop-")).resolve()
        guard(self._folder)
        path = importable(self._folder, *backends)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        variables = {**os.environ, **ENVIRONMENT, **guarded_environment(), "PYTHONPATH": str(path)}
        variables["TMPDIR"] = str(self._folder).ljust(LONGEST_FOLDER, "/")
        with theirs:
            code = f"from nir_interop.workers.forking import serve; serve({theirs.fileno()})"
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-c", code], pass_fds=[theirs.fileno()], cwd=self._folder, env=variables,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self.pid, self._forks = self._process.pid, False
        self._say({"parent": os.getpid(), "imports": _IMPORTED})

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and with it what it forked."""
        self._control.close()
        try:
            self._process.wait(_PATIENCE if self._forks else 0)
        except subprocess.TimeoutExpired:  # it may still be importing; it keeps nothing
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def gateway(self, group: execnet.Group, folder: Path) -> execnet.Gateway:
        """A gateway to a new worker, whose folder for temporary files is given.

        Raises NoForkServer where there is none to be had.
        """
        import execnet
        from execnet.gateway_base import Popen2IO

        specification = execnet.XSpec("popen")
        specification.execmodel = "main_thread_only"
        group.allocate_id(specification)
        worker, outfile, infile = self._forked(folder, f"{specification.id}-worker")
        io = Popen2IO(os.fdopen(outfile, "wb"), os.fdopen(infile, "rb"), execmodel=group.execmodel)
        io.popen, io.wait, io.kill = worker, worker.wait, worker.kill
        try:
            io.read(1)
        except (OSError, EOFError) as error:
            worker.kill()
            raise NoForkServer("what was forked does not answer") from error
        gateway = execnet.Gateway(io, specification)
        gateway.spec = specification
        group._register(gateway)  # execnet has no public name for it
        return gateway

    def _forked(self, folder: Path, name: str) -> tuple[Forked, int, int]:
        """A worker, and the descriptors on which it is written to and read from."""
        reads, outfile = os.pipe()
        infile, writes = os.pipe()
        told, tells = os.pipe()
        try:
            self._say({"folder": str(folder), "id": name}, (reads, writes, tells))
        except NoForkServer:
            for each in (outfile, infile, told):
                os.close(each)
            raise
        finally:
            for each in (reads, writes, tells):
                os.close(each)
        try:
            worker = Forked(told)
            self._forks = True
            return worker, outfile, infile
        except NoForkServer:
            for each in (outfile, infile):
                os.close(each)
            raise

    def _say(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        text = json.dumps(message).encode()
        if len(text) > LARGEST_MESSAGE:
            raise NoForkServer("the message is too long")
        try:
            with self._lock:
                socket.send_fds(self._control, [text], descriptors)
        except OSError as error:
            raise NoForkServer("it has ended") from error


class Forked:
    """A forked worker, as :class:`subprocess.Popen` has a process that it started; the server tells how it ended.

    Raises NoForkServer where the server forks none.
    """

    def __init__(self, told: int) -> None:
        self._told, self._lock, self._text = told, threading.Lock(), b""
        self.returncode: int | None = None
        self.pid = 0
        deadline = time.monotonic() + _READY_LIMIT
        while not self.pid:
            if not self._look(deadline - time.monotonic()) or self.returncode is not None:
                raise NoForkServer("it forks nothing")

    def poll(self) -> int | None:
        """Its exit status where it has ended, negative for a signal."""
        with self._lock:
            if self.returncode is None:
                self._look(0)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended.  Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if self.returncode is None and not self._look(left):
                    raise subprocess.TimeoutExpired("worker", timeout or 0.0)
                if self.returncode is not None:
                    return self.returncode

    def kill(self) -> None:
        """End it."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _look(self, seconds: float | None) -> bool:
        """Read what the server tells; whether there was something."""
        poll = select.poll()  # select knows no descriptor above 1023
        poll.register(self._told, select.POLLIN)
        if not poll.poll(None if seconds is None else max(0.0, seconds) * 1000):
            return False
        read = os.read(self._told, LARGEST_MESSAGE)
        self._text += read
        lines = self._text.split(b"\n")
        if len(lines) > 1:
            self.pid = int(lines[0])
        if len(lines) > 2:
            self.returncode = int(lines[1])
        elif not read:  # the server has ended, and with it all that it forked
            self.returncode = -signal.SIGKILL
        if self.returncode is not None:
            os.close(self._told)
        return True
