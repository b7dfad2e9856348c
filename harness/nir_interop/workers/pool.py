"""Worker processes as the run sees them: started in a backend's environment, given jobs, killed when late."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import execnet

from nir_interop.backends.environments import Backend
from nir_interop.errors import BackendMissing
from nir_interop.workers.capture import SAID
from nir_interop.workers.error_messages import SHORT_OF_MEMORY, says_no_memory
from nir_interop.workers.jobs import Described, Job, O, from_json, job_to_json, outcome_of
from nir_interop.workers.memory_share import memory_for
from nir_interop.workers.process_tree import guard, guarded_environment, kill_all
from nir_interop.workers.worker import CUT_OFF

START_LIMIT = 120.0
"""Seconds for importing a library; a cold disk is slow."""
LARGEST_RESIDENT = int(1.2 * 2**30)
"""Bytes of memory beyond which a worker is replaced before its next job."""
SAME_SUMS = {
    "OMP_NUM_THREADS": "1",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
}
"""Of each processor what all of them have, and one thread.

Torch's own kernels, MKL, oneDNN and NumPy otherwise take the widest instructions that there are, and add up in another order.
"""
ENVIRONMENT = {
    **SAME_SUMS,
    "PYTHONHASHSEED": "0",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONOPTIMIZE": "",
    "PYTHONSAFEPATH": "1",
    "PYTHONWARNINGS": "",
}
"""What makes a library's answer the same wherever it runs."""

_REAPING = 2.0
_LAST_WORDS = 2000
_LOOK_EVERY = 0.25
_BOOT = "from nir_interop.workers.worker import serve\nserve(channel)\n"


class TimedOut(Exception):
    """The time limit passed; ``stage`` is how far the job had come."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage

    def told(self, limit: float, option: str = "") -> str:
        """In words: after how long, in which phase, and the option that gives it more time."""
        return (
            f"no answer within {limit:g} s{f' in {self.stage}' if self.stage else ''}{f'; {option} raises it' * bool(option)}"
        )


class Died(Exception):
    """The process ended before its answer; ``stage`` is how far the job had come."""

    def __init__(self, stage: str, how: str) -> None:
        super().__init__(how)
        self.stage = stage
        self.how = how


class Worker:
    """One process of one backend; :meth:`greet` it before it works.

    memory : bytes that it may allocate; 0 for no limit, None for what one worker alone may have
    described : what its adapter says of itself; import_seconds : of the processor, for importing the library
    held : what it may not do, by what was asked for, and whether the system holds it to that
    left : what its last job changed of the process and could not be put back

    Raises BackendMissing where its interpreter does not start, Died where that was ended meanwhile.
    """

    def __init__(self, backend: Backend, group: execnet.Group, scratch: Path, memory: int | None = None) -> None:
        self.backend = backend
        self.memory = memory_for() if memory is None else memory
        self.pid: int | None = None
        self.resident = 0
        self._killed = threading.Lock()
        scratch.mkdir(parents=True, exist_ok=True)
        if not backend.python.exists():
            raise BackendMissing(f"{backend.name}: its interpreter is gone; make its environment again")
        self.folder = Path(tempfile.mkdtemp(dir=scratch)).resolve()
        guard(self.folder)
        try:
            self._gateway = group.makegateway(_specification(backend, self.folder))
        except (EOFError, OSError) as error:  # it ended before, or while, it was told what to be
            shutil.rmtree(self.folder, ignore_errors=True)
            raise Died("", "its process ended as it started") from error
        except Exception as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise BackendMissing(f"{backend.name}: {backend.python.name} does not start ({type(error).__name__})") from error
        self.described = Described()
        self.import_seconds = 0.0
        self.held: dict[str, bool] = {}
        self.left: list[str] = []

    def greet(self) -> None:
        """Have it import the library.

        Raises BackendMissing where there is no adapter to be had, Died where the process ended meanwhile.
        """
        try:
            self._channel = self._gateway.remote_exec(_BOOT)
            self._send({"module": self.backend.module, "parent": os.getpid(), "memory": self.memory})
            self.pid = self._receive(START_LIMIT)["pid"]
            described = self._receive(START_LIMIT)
        except (EOFError, OSError) as error:
            raise Died("", "its process ended as it started") from error
        except (execnet.RemoteError, execnet.TimeoutError) as error:
            last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise BackendMissing(f"{self.backend.name}: its process did not start: {last[0]}") from error
        problem = described["problem"]
        if problem:
            raise BackendMissing(f"{self.backend.name}: {problem['error_type']}: {problem['error_message']}")
        self.held, self.import_seconds = described["held"], described["cpu_seconds"]
        self.described = from_json(Described, described["described"])

    def work(self, job: Job[O], limit: float) -> O:
        """Have a job done within ``limit`` seconds.

        Raises TimedOut or Died; the process is gone after either.
        """
        stage = ""
        deadline = time.monotonic() + limit
        try:
            self._send(job_to_json(job))
            while True:
                answer = self._receive(max(0.001, deadline - time.monotonic()))
                if "outcome" in answer:
                    outcome = outcome_of(job, answer["outcome"])
                    self.left, self.resident = answer["left"], outcome.timing.resident_bytes
                    return outcome
                stage = answer["stage"]
        except execnet.TimeoutError:
            self.kill()
            raise TimedOut(stage) from None
        except (EOFError, OSError, execnet.RemoteError) as error:
            how = self.kill(patience=_REAPING)
            if isinstance(error, execnet.RemoteError):
                how = "the worker failed: " + (str(error).strip().splitlines()[-1:] or ["without a word"])[0]
            raise Died(stage, how) from error

    @property
    def spent(self) -> bool:
        """Whether it should not do another job: it uses too much memory, or something is not as it was before the last."""
        return bool(self.left) or self.resident > LARGEST_RESIDENT

    def kill(self, patience: float = 0.0) -> str:
        """End the process and all it started; how it had ended, where it was dead already.

        patience : seconds that a process which hung up has to end by itself
        """
        with self._killed:
            process = self._gateway._io.popen  # execnet has no public name for it
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
            ended = process.poll()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if self.pid is not None:
                    os.killpg(self.pid, signal.SIGKILL)
            if ended is None:
                process.kill()
                process.wait()
            kill_all(self.folder)  # what left its group
            with contextlib.suppress(Exception):
                self._gateway.exit()
            why = self._last_words()
            shutil.rmtree(self.folder, ignore_errors=True)
        if ended in (None, CUT_OFF):
            return "it closed the pipe through which it answers"
        return (f"killed by signal {-ended}" if ended < 0 else f"exited with status {ended}") + why

    def _last_words(self) -> str:
        """Whether what it printed last says that memory was short."""
        for path in self.folder.glob(f"{SAID}*"):
            with contextlib.suppress(OSError), path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _LAST_WORDS))
                if says_no_memory(file.read().decode("utf-8", "replace")):
                    return f": {SHORT_OF_MEMORY}"
        return ""

    def _send(self, message: Mapping[str, Any]) -> None:
        self._channel.send(json.dumps(message))

    def _receive(self, limit: float) -> dict[str, Any]:
        """The next message; EOFError where the process has ended, be it that its children still hold the pipe."""
        deadline = time.monotonic() + limit
        while True:
            ended = self._gateway._io.popen.poll() is not None
            try:
                answer: dict[str, Any] = json.loads(
                    self._channel.receive(min(_LOOK_EVERY, max(0.001, deadline - time.monotonic())))
                )
                return answer
            except execnet.TimeoutError:
                if ended:
                    raise EOFError from None
                if time.monotonic() >= deadline:
                    raise


def _specification(backend: Backend, folder: Path) -> execnet.XSpec:
    """A popen gateway; the variables are set before the interpreter starts, which ``env:`` would be too late for."""
    path = os.pathsep.join(str(each.absolute()) for each in (*backend.search, _importable(backend, folder)))
    python = str(backend.python.absolute())
    variables = {**ENVIRONMENT, **guarded_environment(), "PYTHONPATH": path, "TMPDIR": str(folder)}
    specification = execnet.XSpec("popen")
    specification.execmodel = "main_thread_only"  # else a job may run in another thread, where signals cannot be handled
    assignments = [f"{name}={value}" for name, value in variables.items()]
    # env takes a command with a = in it (.envs/norse==1.0.0) for one more variable, so a shell starts it
    command = ["/bin/sh", "-c", 'exec "$0" "$@"', python] if "=" in python else [python]
    # the starter's folder may be that of a job, and go with it; a shell leaves it, for execnet's chdir is a task of its own
    there = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(folder)]
    specification.python = shlex.join([*there, "/usr/bin/env", *assignments, *command])
    return specification


def _importable(backend: Backend, folder: Path) -> Path:
    """A folder with nothing but links to this project's packages.

    The folder they lie in may hold packages that another environment must not see.
    """
    place = folder / "path"
    place.mkdir()
    for name in sorted({"nir_interop", backend.module.split(".")[0].split(":")[0]}):
        if backend.search and name != "nir_interop":
            continue
        found = importlib.util.find_spec(name)
        locations = list(found.submodule_search_locations or ()) if found is not None else []
        if locations:
            (place / name).symlink_to(Path(locations[0]).resolve(), target_is_directory=True)
        elif found is not None and found.has_location and found.origin:  # an adapter that is one file
            (place / Path(found.origin).name).symlink_to(Path(found.origin).resolve())
    return place
