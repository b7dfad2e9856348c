"""Worker processes as the run sees them, and the threads that keep them warm and give them tasks.

Workers are started in a backend's environment, given jobs, and killed when late; which task goes where never shows in a result.

What is to be done after a task is written as a coroutine, in the order of time: it awaits the :class:`Future` that the task's
``done`` gives, and goes on when it comes (:func:`start`).
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import json
import math
import os
import queue
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import execnet

from nir_interop.backends.environments import Backend
from nir_interop.errors import BackendMissing
from nir_interop.vocabulary import Status
from nir_interop.workers.capture import SAID
from nir_interop.workers.confinement import guard, guarded_environment, kill_all, memory_for, warm_for
from nir_interop.workers.environment import ENVIRONMENT, importable
from nir_interop.workers.error_messages import SHORT_OF_MEMORY, says_no_memory
from nir_interop.workers.fork_server import ForkServer, NoForkServer, serves
from nir_interop.workers.jobs import (
    Describe,
    Described,
    Job,
    O,
    Outcome,
    Timing,
    from_json,
    job_to_json,
    outcome_of,
    unfinished,
)
from nir_interop.workers.worker import CUT_OFF

START_LIMIT = 120.0
"""Seconds for importing a library; a cold disk is slow."""
LARGEST_GROWTH = int(0.8 * 2**30)
"""Bytes of memory that a worker may use more than when it was ready; beyond that it is replaced before its next job."""
_REAPING = 2.0
_LAST_WORDS = 2000
_LOOK_EVERY = 0.25
_BOOT = "from nir_interop.workers.worker import serve\nserve(channel)\n"


class TimedOut(Exception):
    """The time limit, ``limit`` seconds, passed; ``stage`` is how far the job had come."""

    def __init__(self, stage: str, limit: float) -> None:
        super().__init__(stage)
        self.stage = stage
        self.limit = limit

    def told(self, option: str = "") -> str:
        """In words: after how long, in which phase, and the option that gives it more time."""
        phase, raises = f" in {self.stage}" * bool(self.stage), f"; {option} raises it" * bool(option)
        return f"no answer within {self.limit:g} s{phase}{raises}"


class Died(Exception):
    """The process ended before its answer; ``stage`` is how far the job had come."""

    def __init__(self, stage: str, how: str) -> None:
        super().__init__(how)
        self.stage = stage
        self.how = how


class Worker:
    """One process of one backend; :meth:`greet` it before it works.

    memory : bytes that it may allocate; 0 for no limit, None for what one worker alone may have
    server : forks it, where it can be forked
    described : what its adapter says of itself; import_seconds : of the processor, for importing the library
    held : what it may not do, by what was asked for, and whether the system holds it to that
    resident, ready_resident : bytes of memory in use after its last job, and when it was ready
    left : what its last job changed of the process and could not be put back

    Raises BackendMissing where its interpreter does not start, Died where that was ended meanwhile.
    """

    def __init__(
        self,
        backend: Backend,
        group: execnet.Group,
        scratch: Path,
        memory: int | None = None,
        server: ForkServer | None = None,
    ) -> None:
        self.backend = backend
        self.parent = os.getpid()
        self.memory = memory_for() if memory is None else memory
        self.pid: int | None = None
        self.resident = self.ready_resident = 0
        self._killed = threading.Lock()
        self._gone = False
        scratch.mkdir(parents=True, exist_ok=True)
        if not backend.python.exists():
            raise BackendMissing(f"{backend.name}: its interpreter is gone; make its environment again")
        self.folder = Path(tempfile.mkdtemp(dir=scratch)).resolve()
        guard(self.folder)
        try:
            forked = self._forked(group, server)
            self._gateway = group.makegateway(_specification(backend, self.folder)) if forked is None else forked
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

    def _forked(self, group: execnet.Group, server: ForkServer | None) -> execnet.Gateway | None:
        """A gateway to a process that was forked; None where it is to be started by itself."""
        if server is None or not serves(self.backend):
            return None
        try:
            gateway = server.gateway(group, self.folder)
        except NoForkServer:
            return None
        self.parent = server.pid
        return gateway

    def greet(self) -> None:
        """Have it import the library.

        Raises BackendMissing where there is no adapter to be had, Died where the process ended meanwhile.
        """
        allowed = START_LIMIT
        try:
            self._channel = self._gateway.remote_exec(_BOOT)
            self._send(
                {"module": self.backend.module, "label": self.backend.label, "parent": self.parent, "memory": self.memory}
            )
            self.pid = self._receive(START_LIMIT)["pid"]
            started = time.monotonic()
            described = self._receive(allowed)
            if "start_limit" in described:
                allowed = max(START_LIMIT, described["start_limit"])
                described = self._receive(max(0.001, started + allowed - time.monotonic()))
        except execnet.TimeoutError:  # which is an OSError
            raise BackendMissing(f"{self.backend.name}: its process was not ready within {allowed:g} s") from None
        except (EOFError, OSError) as error:
            raise Died("", "its process ended as it started") from error
        except execnet.RemoteError as error:
            last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise BackendMissing(f"{self.backend.name}: its process did not start: {last[0]}") from error
        problem = described["problem"]
        if problem:
            raise BackendMissing(f"{self.backend.name}: {problem['error_type']}: {problem['error_message']}")
        self.held, self.import_seconds = described["held"], described["cpu_seconds"]
        self.described = from_json(Described, described["described"])
        self.ready_resident = self.resident = described["resident"]

    def work(self, job: Job[O], limit: float) -> O:
        """Have a job done within ``limit`` seconds, or those that its adapter says a run may take at least.

        Raises TimedOut or Died; the process is gone after either.
        """
        stage = ""
        limit = max(limit, self.described.run_limit or 0.0)
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
            raise TimedOut(stage, limit) from None
        except (EOFError, OSError, execnet.RemoteError) as error:
            how = self.kill(patience=_REAPING)
            if isinstance(error, execnet.RemoteError):
                how = "the worker failed: " + (str(error).strip().splitlines()[-1:] or ["without a word"])[0]
            raise Died(stage, how) from error

    @property
    def spent(self) -> bool:
        """Whether it should not do another job: it uses too much memory, or something is not as it was before the last."""
        return bool(self.left) or self.resident - self.ready_resident > LARGEST_GROWTH

    def kill(self, patience: float = 0.0) -> str:
        """End the process and all it started; how it had ended, where it was dead already.

        patience : seconds that a process which hung up has to end by itself
        """
        with self._killed:
            if self._gone:
                return ""
            self._gone = True
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
    path = os.pathsep.join(str(each.absolute()) for each in (*backend.search, importable(folder, backend)))
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


START_COST = 2.0
"""Seconds that a second worker of a backend costs: for less work than this it is not worth starting one."""
TIME_LIMIT = "--time-limit"
_START_TRIES = 3
_ROOM = 2**18
"""Bytes that a disk must have room for."""


T = TypeVar("T")


@dataclass(eq=False)
class Task:
    """Something to be done once.

    backend : whose worker does it; empty where the run does it itself
    urgency : lower goes first; within it, ``order``
    cost : a guess of its seconds
    limit : seconds after which its worker is killed
    prepare : given a folder for the task's files, gives the job
    finish : given the outcome and that folder, gives what is to be kept; runs outside the lock
    here : what the run itself does with the job
    done : told the outcome, under the lock
    option : of the command line by which the limit can be raised; empty where there is none
    """

    backend: str
    urgency: int
    order: tuple[Any, ...]
    cost: float
    limit: float
    prepare: Callable[[Path], Job[Outcome]]
    finish: Callable[[Outcome, Path], Outcome] = lambda outcome, folder: outcome
    done: Callable[[Any], None] = lambda outcome: None
    option: str = ""
    here: Callable[[Any], Outcome] | None = None

    def __lt__(self, other: Task) -> bool:
        return (self.urgency, self.order) < (other.urgency, other.order)


@dataclass(eq=False)
class _Crew:
    """One thread's workers, by backend, the backends that it means to start one of, and when it used them last.

    since : when it began its task
    """

    number: int
    since: float = math.inf
    workers: dict[str, Worker] = field(default_factory=dict)
    claims: set[str] = field(default_factory=set)
    used: dict[str, float] = field(default_factory=dict)


class Scheduler:
    """``jobs`` threads, each with at most one worker a backend, and no more of them than there is memory for.

    lock : held while tasks are added and while ``done`` is called
    start_seconds : CPU seconds that the workers took to import their libraries
    memory : bytes that each worker may allocate; 0 for no limit
    warm : workers that each thread keeps; the one that has been idle for longest ends where a further one is started
    server : forks the workers that can be forked; None: each is started by itself
    patience : seconds after which a thread that is still at one task is not waited for: what its other workers could do is done
        by another thread's
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        jobs: int,
        scratch: Callable[[], Path],
        server: ForkServer | None = None,
        patience: float = math.inf,
    ) -> None:
        self.backends = backends
        self.patience = patience
        self.server = server
        self.lock = threading.Condition()
        self.start_seconds = 0.0
        self.memory = memory_for(jobs)
        self.warm = warm_for(jobs)
        self._scratch_of = scratch
        self._scratch: Path | None = None
        self._group = execnet.Group()
        self._crews = [_Crew(number) for number in range(max(1, jobs))]
        self._ready: dict[str, list[Task]] = {}
        self._running = 0
        self._guessed: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._stop = False
        self._error: BaseException | None = None
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        """What the running thread is to call; None for each thread that goes home."""

    def add(self, task: Task) -> None:
        """Queue a task."""
        with self.lock:
            heapq.heappush(self._ready.setdefault(task.backend, []), task)
            self.lock.notify_all()

    def run(self) -> None:
        """Work until nothing is left.

        Raises whatever a task's own code raised; KeyboardInterrupt kills the workers first.
        """
        with self.lock:
            if not any(self._ready.values()):
                return
        self._scratch = self._scratch_of()
        threads = [threading.Thread(target=self._serve, args=(crew,), daemon=True) for crew in self._crews]
        try:
            for thread in threads:
                thread.start()
            working = len(threads)
            while working and not self._stop:
                try:
                    called = self._calls.get(timeout=_LOOK_EVERY)
                except queue.Empty:
                    with self.lock:
                        if any(map(self._late, self._crews)):
                            self.lock.notify_all()  # what only they could do others may do now
                    continue
                if called is None:
                    working -= 1
                else:
                    called()
        except BaseException:
            if self.server is not None:
                self.server.close()  # a thread may be waiting for it
            raise
        finally:
            with self.lock:
                self._stop = True
                self.lock.notify_all()
            self._kill_all()
            for thread in threads:
                thread.join(5)
            self._kill_all()  # what a thread was just starting
            shutil.rmtree(self._scratch, ignore_errors=True)
        if self._error is not None:
            raise self._error

    def _late(self, crew: _Crew) -> bool:
        return time.monotonic() - crew.since > self.patience

    def call(self, function: Callable[[], object]) -> None:
        """Have the thread that runs this call a function, soon; what it raises ends the run."""
        self._calls.put(function)

    def stop(self) -> None:
        """End the run: what is at work is killed, and what is left is not begun."""
        with self.lock:
            self._stop = True
            self.lock.notify_all()
        self._calls.put(None)

    def _kill_all(self) -> None:
        for crew in self._crews:
            for worker in list(crew.workers.values()):
                worker.kill()

    def _serve(self, crew: _Crew) -> None:
        try:
            while (task := self._next(crew)) is not None:
                self._do(crew, task)
        except BaseException as error:
            with self.lock:
                if not self._stop:
                    self._error = self._error or error
                    self._stop = True
                    self.lock.notify_all()
        finally:
            for worker in list(crew.workers.values()):
                worker.kill()
            self._calls.put(None)

    def _next(self, crew: _Crew) -> Task | None:
        with self.lock:
            while True:
                if self._stop:
                    return None
                task = self._take(crew)
                if task is not None:
                    self._running += 1
                    crew.since = time.monotonic()
                    if task.backend:
                        crew.claims.add(task.backend)
                    return task
                if not self._running and not any(self._ready.values()):
                    self.lock.notify_all()
                    return None
                self.lock.wait()

    def _take(self, crew: _Crew) -> Task | None:
        """The most urgent task, at a worker that is warm if possible; another thread's backend only for much work."""
        best: tuple[Any, ...] | None = None
        for name, tasks in sorted(self._ready.items()):
            if not tasks:
                continue
            warm = not name or name in crew.claims
            taken = not warm and any(name in other.claims and not self._late(other) for other in self._crews)
            if taken and self._pace(name) * sum(task.cost for task in tasks[:100]) < START_COST:
                continue
            rank = (tasks[0].urgency, not warm, taken, tasks[0].order, name)
            best = rank if best is None or rank[:-1] < best[:-1] else best
        return None if best is None else heapq.heappop(self._ready[best[-1]])

    def _pace(self, name: str) -> float:
        """How much longer a backend's tasks have taken than was guessed, so far."""
        return max(1.0, self._taken.get(name, 0.0) / max(self._guessed.get(name, 0.0), 0.1))

    def _do(self, crew: _Crew, task: Task) -> None:
        folder = self._folder()
        started = time.monotonic()
        try:
            outcome = task.finish(self._outcome(crew, task, folder), folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        with self.lock:  # what a task leads to is queued before it counts as ended: no other thread may go home meanwhile
            self._guessed[task.backend] = self._guessed.get(task.backend, 0.0) + task.cost
            self._taken[task.backend] = self._taken.get(task.backend, 0.0) + time.monotonic() - started
            if not self._stop:
                task.done(outcome)
            self._running -= 1
            crew.since = math.inf
            self.lock.notify_all()

    def _folder(self) -> Path:
        """A new folder for a task's files."""
        if self._scratch is not None and not self._scratch.is_dir():  # a library removed it
            self._scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._scratch))

    def _outcome(self, crew: _Crew, task: Task, folder: Path) -> Outcome:
        """The task's outcome.

        A job whose worker dies, or whose files are gone at its end, is done once more: that may have come from outside.
        """
        job = task.prepare(folder)
        if task.here is not None:
            return task.here(job)
        died: Died | None = None
        for last in (False, True):
            try:
                worker = self._worker(crew, task.backend)
                if isinstance(job, Describe):
                    return worker.described
                outcome = worker.work(job, task.limit)
                taken = not (worker.folder.exists() and folder.exists())
                if worker.spent or taken:
                    self._drop(crew, task.backend)
                if taken and not last:  # a library at work beside it may have done that
                    folder.mkdir(parents=True, exist_ok=True)
                    job = task.prepare(folder)
                    continue
                if outcome.no_space:
                    _see_to_space(folder)
                return outcome
            except BackendMissing as error:
                return unfinished(job, Status.ENV_MISSING, error_type=type(error).__name__, error_message=str(error))
            except TimedOut as late:
                self._drop(crew, task.backend)
                return unfinished(
                    job,
                    Status.TIMEOUT,
                    stage=late.stage,
                    error_message=late.told(task.option),
                    limit=late.limit,
                    timing=Timing(seconds=late.limit),
                )
            except Died as error:
                died = error
                self._drop(crew, task.backend)
                _see_to_space(folder)
                with self.lock:
                    if self._stop:
                        raise
        stage, how = (died.stage, died.how) if died else ("", "")
        memory = self.memory if SHORT_OF_MEMORY in how else None
        return unfinished(job, Status.CRASH, stage=stage, error_message=how, memory=memory)

    def _worker(self, crew: _Crew, name: str) -> Worker:
        worker = crew.workers.get(name)
        if worker is None:
            if self._scratch is None:
                raise RuntimeError("workers are started by run() alone")
            idle = sorted(crew.workers, key=lambda each: crew.used.get(each, 0.0))
            for each in idle[: max(0, len(idle) + 1 - self.warm)]:
                self._drop(crew, each)
            worker = self._started(crew, name, self._scratch)
        crew.used[name] = time.monotonic()
        return worker

    def _started(self, crew: _Crew, name: str, scratch: Path) -> Worker:
        """A new worker, tried more than once: one that ends as it starts may have been killed from outside."""
        for _ in range(_START_TRIES):
            try:
                worker = Worker(self.backends[name], self._group, scratch, self.memory, self.server)
                with self.lock:
                    crew.workers[name] = worker  # before it imports its library, so that an interrupt finds it
                    crew.claims.add(name)
                    stopped = self._stop
                if stopped:
                    worker.kill()
                worker.greet()
            except Died:
                self._drop(crew, name)
                with self.lock:
                    if self._stop:
                        raise
            except BaseException:
                self._drop(crew, name)
                raise
            else:
                with self.lock:
                    self.start_seconds += worker.import_seconds
                return worker
        raise BackendMissing(f"{name}: its process ended as it started, {_START_TRIES} times")

    def _drop(self, crew: _Crew, name: str) -> None:
        worker = crew.workers.pop(name, None)
        if worker is not None:
            with contextlib.suppress(Exception):
                worker.kill()
        with self.lock:
            crew.claims.discard(name)
            self.lock.notify_all()


def _see_to_space(folder: Path) -> None:
    """A library that filled a disk lost what it wrote with its job; a disk that is still full is no library's fault.

    Raises OSError where it is.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM))
            file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise


class Future(Generic[T]):
    """Something that is not known yet, or is: a coroutine that awaits it goes on as soon as it is."""

    def __init__(self) -> None:
        self._given: list[T] = []
        self._awaited: list[Callable[[], None]] = []

    def give(self, value: T) -> None:
        """What it is; all that await it go on, one after the other, before this returns."""
        self._given.append(value)
        awaited, self._awaited = self._awaited, []
        for each in awaited:
            each()

    @property
    def known(self) -> T:
        """What it is, once that is known."""
        return self._given[0]

    def then(self, go_on: Callable[[], None]) -> None:
        """Call this when it is known, which it is not yet."""
        self._awaited.append(go_on)

    def __await__(self) -> Generator[Future[Any], None, T]:
        if not self._given:
            yield self
        return self._given[0]


def start(steps: Coroutine[Future[Any], None, T]) -> Future[T]:
    """Begin a coroutine that awaits nothing but futures; what it returns is one as well."""
    ending: Future[T] = Future()

    def go_on() -> None:
        try:
            awaited = steps.send(None)
        except StopIteration as end:
            ending.give(end.value)
        else:
            awaited.then(go_on)

    go_on()
    return ending
