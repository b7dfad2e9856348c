"""The process that workers are forked from: it imports what several libraries need, and nothing of any of them.

It has one thread, the rights of a worker (:mod:`nir_interop.workers.confinement`), and ends with the run.  What it forks serves
a gateway of execnet's, as a worker does that is started by itself, and is a process of its own from then on.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import tempfile
from typing import NoReturn

from nir_interop.workers.capture import Capture, guarded, uncollected
from nir_interop.workers.confinement import confine, end_with
from nir_interop.workers.environment import LARGEST_MESSAGE


def serve(number: int) -> NoReturn:
    """Import what is asked for, then fork a worker for each message that comes, until the run is over.

    number : of the descriptor of a socket on which messages (JSON) come: first ``parent`` and ``imports``, then ``folder`` and
        ``id`` of a worker, with the descriptors that it reads and writes, and the one on which its number and how it ended are
        told, a line each
    """
    control = socket.socket(fileno=number)
    settings = json.loads(control.recv(LARGEST_MESSAGE))
    end_with(settings["parent"])
    confine(0)
    place = _Place()
    with guarded(Capture(), importing=True), uncollected():
        for name in settings["imports"]:
            with contextlib.suppress(BaseException):  # a library says what it lacks when it is imported itself
                importlib.import_module(name)
    if len(os.listdir("/proc/self/task")) > 1:
        os._exit(1)  # what is forked would have one of the threads, and the locks that others hold
    gc.freeze()  # what is imported stays
    _serve(control, place)


def _serve(control: socket.socket, place: _Place) -> NoReturn:
    ended, wake = os.pipe()
    for each in (ended, wake):
        os.set_blocking(each, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    told: dict[int, int] = {}  # of each worker, where its end is told
    while True:
        ready, _, _ = select.select([control.fileno(), ended], [], [])
        if ended in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(ended, LARGEST_MESSAGE)
            _reap(told)
        if control.fileno() not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(control, LARGEST_MESSAGE, 3)
        if not message:
            _reap(told)
            os._exit(0)
        reads, writes, tells = descriptors
        worker = os.fork()
        if not worker:
            with contextlib.suppress(BaseException):
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                for each in (ended, wake, tells, *told.values()):
                    os.close(each)
                _become(json.loads(message), reads, writes, place)
                os._exit(0)
            os._exit(1)
        told[worker] = tells
        os.close(reads)
        os.close(writes)
        _tell(tells, worker)


def _become(asked: dict[str, str], reads: int, writes: int, place: _Place) -> None:
    """What a started worker is: a folder of its own, pipes to the run, and execnet's gateway."""
    from execnet.gateway_base import get_execmodel, init_popen_io
    from execnet.gateway_base import serve as serve_gateway

    for descriptor, number in ((reads, 0), (writes, 1)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    place.move(asked["folder"])
    io = init_popen_io(get_execmodel("main_thread_only"))
    io.write(b"1")
    serve_gateway(io, id=asked["id"])


def _reap(told: dict[int, int]) -> None:
    """Tell of each worker that has ended how it did, as :mod:`subprocess` says it; other processes are their children."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            return
        tells = told.pop(process, None)
        if tells is not None:
            _tell(tells, os.waitstatus_to_exitcode(status))
            os.close(tells)


def _tell(descriptor: int, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody asks any more
        os.write(descriptor, f"{number}\n".encode())


class _Place:
    """The folder of a process for its temporary files, by which the system knows it (:func:`confinement.working_in`).

    The system shows the variables that a process was started with, from where they were then; what is forked writes its own
    folder there.  So that there is room, this process is started with a name that ends in many slashes.
    """

    def __init__(self) -> None:
        find = ctypes.CDLL(None).getenv
        find.restype = ctypes.c_void_p
        self._at, self._room = find(b"TMPDIR"), len(os.environb[b"TMPDIR"])

    def move(self, folder: str) -> None:
        """Take a folder for one's own.  Raises ValueError where its name is too long."""
        name = os.fsencode(folder)
        if len(name) > self._room:
            raise ValueError("too long")
        ctypes.memmove(self._at, name.ljust(self._room, b"\0"), self._room)
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = None
        os.chdir(folder)
