"""Threads that keep workers warm and give them tasks; which task goes where never shows in a result.

What is to be done after a task is written as a coroutine, in the order of time: it awaits the :class:`Answer` that the task's
``done`` gives, and goes on when it comes (:func:`start`).
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import shutil
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
from nir_interop.workers.error_messages import SHORT_OF_MEMORY
from nir_interop.workers.jobs import Describe, Job, Outcome, Timing, unfinished
from nir_interop.workers.memory_share import memory_for
from nir_interop.workers.pool import Died, TimedOut, Worker

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
class _Slot:
    number: int
    workers: dict[str, Worker] = field(default_factory=dict)
    claims: set[str] = field(default_factory=set)


class Scheduler:
    """``jobs`` threads, each with at most one worker a backend.

    lock : held while tasks are added and while ``done`` is called
    start_seconds : CPU seconds that the workers took to import their libraries
    memory : bytes that each worker may allocate; 0 for no limit
    """

    def __init__(self, backends: Mapping[str, Backend], jobs: int, scratch: Callable[[], Path]) -> None:
        self.backends = backends
        self.lock = threading.Condition()
        self.start_seconds = 0.0
        self.memory = memory_for(jobs)
        self._scratch_of = scratch
        self._scratch: Path | None = None
        self._group = execnet.Group()
        self._slots = [_Slot(number) for number in range(max(1, jobs))]
        self._ready: dict[str, list[Task]] = {}
        self._running = 0
        self._guessed: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._stop = False
        self._error: BaseException | None = None

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
        threads = [threading.Thread(target=self._serve, args=(slot,), daemon=True) for slot in self._slots]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive() and not self._stop:
                    thread.join(0.2)
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

    def _kill_all(self) -> None:
        for slot in self._slots:
            for worker in list(slot.workers.values()):
                worker.kill()

    def _serve(self, slot: _Slot) -> None:
        try:
            while (task := self._next(slot)) is not None:
                self._do(slot, task)
        except BaseException as error:
            with self.lock:
                if not self._stop:
                    self._error = self._error or error
                    self._stop = True
                    self.lock.notify_all()
        finally:
            for worker in list(slot.workers.values()):
                worker.kill()

    def _next(self, slot: _Slot) -> Task | None:
        with self.lock:
            while True:
                if self._stop:
                    return None
                task = self._take(slot)
                if task is not None:
                    self._running += 1
                    if task.backend:
                        slot.claims.add(task.backend)
                    return task
                if not self._running and not any(self._ready.values()):
                    self.lock.notify_all()
                    return None
                self.lock.wait()

    def _take(self, slot: _Slot) -> Task | None:
        """The most urgent task, at a worker that is warm if possible; another slot's backend only for much work."""
        best: tuple[Any, ...] | None = None
        for name, tasks in sorted(self._ready.items()):
            if not tasks:
                continue
            warm = not name or name in slot.claims
            taken = not warm and any(name in other.claims for other in self._slots)
            if taken and self._pace(name) * sum(task.cost for task in tasks[:100]) < START_COST:
                continue
            rank = (tasks[0].urgency, not warm, taken, tasks[0].order, name)
            best = rank if best is None or rank[:-1] < best[:-1] else best
        return None if best is None else heapq.heappop(self._ready[best[-1]])

    def _pace(self, name: str) -> float:
        """How much longer a backend's tasks have taken than was guessed, so far."""
        return max(1.0, self._taken.get(name, 0.0) / max(self._guessed.get(name, 0.0), 0.1))

    def _do(self, slot: _Slot, task: Task) -> None:
        folder = self._folder()
        started = time.monotonic()
        try:
            outcome = task.finish(self._outcome(slot, task, folder), folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        with self.lock:  # what a task leads to is queued before it counts as ended: no other thread may go home meanwhile
            self._guessed[task.backend] = self._guessed.get(task.backend, 0.0) + task.cost
            self._taken[task.backend] = self._taken.get(task.backend, 0.0) + time.monotonic() - started
            if not self._stop:
                task.done(outcome)
            self._running -= 1
            self.lock.notify_all()

    def _folder(self) -> Path:
        """A new folder for a task's files."""
        if self._scratch is not None and not self._scratch.is_dir():  # a library removed it
            self._scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=self._scratch))

    def _outcome(self, slot: _Slot, task: Task, folder: Path) -> Outcome:
        """The task's outcome.

        A job whose worker dies, or whose files are gone at its end, is done once more: that may have come from outside.
        """
        job = task.prepare(folder)
        if task.here is not None:
            return task.here(job)
        died: Died | None = None
        for last in (False, True):
            try:
                worker = self._worker(slot, task.backend)
                if isinstance(job, Describe):
                    return worker.described
                outcome = worker.work(job, task.limit)
                taken = not (worker.folder.exists() and folder.exists())
                if worker.spent or taken:
                    self._drop(slot, task.backend)
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
                self._drop(slot, task.backend)
                return unfinished(
                    job,
                    Status.TIMEOUT,
                    stage=late.stage,
                    error_message=late.told(task.limit, task.option),
                    limit=task.limit,
                    timing=Timing(seconds=task.limit),
                )
            except Died as error:
                died = error
                self._drop(slot, task.backend)
                _see_to_space(folder)
                with self.lock:
                    if self._stop:
                        raise
        stage, how = (died.stage, died.how) if died else ("", "")
        memory = self.memory if SHORT_OF_MEMORY in how else None
        return unfinished(job, Status.CRASH, stage=stage, error_message=how, memory=memory)

    def _worker(self, slot: _Slot, name: str) -> Worker:
        worker = slot.workers.get(name)
        if worker is None:
            if self._scratch is None:
                raise RuntimeError("workers are started by run() alone")
            worker = self._started(slot, name, self._scratch)
        return worker

    def _started(self, slot: _Slot, name: str, scratch: Path) -> Worker:
        """A new worker, tried more than once: one that ends as it starts may have been killed from outside."""
        for _ in range(_START_TRIES):
            try:
                worker = Worker(self.backends[name], self._group, scratch, self.memory)
                with self.lock:
                    slot.workers[name] = worker  # before it imports its library, so that an interrupt finds it
                    slot.claims.add(name)
                    stopped = self._stop
                if stopped:
                    worker.kill()
                worker.greet()
            except Died:
                self._drop(slot, name)
                with self.lock:
                    if self._stop:
                        raise
            except BaseException:
                self._drop(slot, name)
                raise
            else:
                with self.lock:
                    self.start_seconds += worker.import_seconds
                return worker
        raise BackendMissing(f"{name}: its process ended as it started, {_START_TRIES} times")

    def _drop(self, slot: _Slot, name: str) -> None:
        worker = slot.workers.pop(name, None)
        if worker is not None:
            with contextlib.suppress(Exception):
                worker.kill()
        with self.lock:
            slot.claims.discard(name)
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


class Answer(Generic[T]):
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

    def __await__(self) -> Generator[Answer[Any], None, T]:
        if not self._given:
            yield self
        return self._given[0]


def start(steps: Coroutine[Answer[Any], None, T]) -> Answer[T]:
    """Begin a coroutine that awaits nothing but answers; what it returns is one as well."""
    ending: Answer[T] = Answer()

    def go_on() -> None:
        try:
            awaited = steps.send(None)
        except StopIteration as end:
            ending.give(end.value)
        else:
            awaited.then(go_on)

    go_on()
    return ending
