"""Files without end: the n-th of a seed is always the same, and each is tried in a process with limits of its own."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import mutators, seeds
from tests.fuzz.targets import Bounds, feed

PLAN: tuple[tuple[str, mutators.Mutator], ...] = (
    *[("nir", mutators.structural)] * 10,
    *[("nir", mutators.bytewise)] * 3,
    ("nir", mutators.both),
    *[("npz", mutators.npz_members)] * 2,
    ("npz", mutators.npz_directory),
    ("npz", mutators.bytewise),
    ("csv", mutators.cells),
    ("csv", mutators.bytewise),
    ("toml", mutators.lines),
)
"""Kind of file and what is done to it, one after the other."""
MOST_GIB, MOST_SECONDS = 2.0, 20.0
"""Of resident memory and of processor time that no file may take."""
_ADDRESSES = 10 * 2**30
"""Bytes of addresses, of which torch's libraries alone take some: what asks for more has asked for more than it may."""
_PATIENCE, _LONGEST_WAIT = 25.0, 900.0
"""Seconds of processor time, and by the clock (on a busy machine they are many), after which a process is ended."""


@dataclass(frozen=True)
class Tried:
    """What came of a file.

    result : ``taken``, ``refused`` or what went wrong, in a line
    seconds : of processor time
    gib : of resident memory, at most
    """

    number: int
    kind: str
    result: str
    seconds: float
    gib: float

    @property
    def fine(self) -> bool:
        return self.result in ("taken", "refused") and self.seconds <= MOST_SECONDS and self.gib <= MOST_GIB

    def __str__(self) -> str:
        return f"file {self.number} ({self.kind}): {self.result}; {self.seconds:.1f} s, {self.gib:.2f} GiB"


class Maker:
    """Makes the files of a seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.sound = {
            "nir": seeds.graph_files(folder),
            "npz": seeds.recordings(folder),
            "csv": seeds.reports(),
            "toml": seeds.issue_lists(),
        }

    def make(self, number: int) -> tuple[str, bytes]:
        """Kind and content of a file."""
        generator = np.random.default_rng([self.seed, number])
        kind, mutate = PLAN[number % len(PLAN)]
        return kind, mutate(generator, mutators.pick(generator, self.sound[kind]))


def try_here(number: int, kind: str, content: bytes, folder: Path, bounds: Bounds) -> Tried:
    """Feed a file in this process; memory counts from what the process holds."""
    path = folder / f"{number}.{kind}"
    path.write_bytes(content)
    _forget_peak()
    began = time.process_time()
    try:
        result = feed(kind, path, replace(bounds, made=bounds.made and number // len(PLAN) % bounds.every == 0))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())[:300]
        result = f"{type(error).__name__}: {said} at {Path(place.filename).name}:{place.lineno}"
    finally:
        path.unlink(missing_ok=True)
    return Tried(number, kind, result, time.process_time() - began, _peak())


def run(files: int, seed: int, bounds: Bounds, jobs: int, kept: Path, begin: int = 0) -> Iterator[Tried]:
    """Try files in some processes at a time; one that goes wrong is kept in a folder, with its seed in its name."""
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(seed, Path(folder))
        children = [_Child(bounds, Path(folder)) for _ in range(jobs)]
        try:
            numbers = iter(range(begin, begin + files))
            busy: list[_Child] = []
            idle = children
            while True:
                while idle and (number := next(numbers, None)) is not None:
                    child = idle.pop()
                    child.give(number, *maker.make(number))
                    busy.append(child)
                if not busy:
                    return
                for child in _ready(busy):
                    tried, content = child.answer()
                    busy.remove(child)
                    idle.append(child)
                    if not tried.fine:
                        kept.mkdir(parents=True, exist_ok=True)
                        (kept / f"seed{seed}-{tried.number}.{tried.kind}").write_bytes(content)
                    yield tried
        finally:
            for child in children:
                child.end()


def _ready(busy: list[_Child]) -> list[_Child]:
    """Those that have answered, ended, or are late; waits for one."""
    from multiprocessing.connection import wait

    while True:
        answered = wait([child.pipe for child in busy], timeout=0.5)
        found = [child for child in busy if child.pipe in answered or child.late]
        if found:
            return found


class _Child:
    """A process that tries one file after the other, and is replaced when it ends."""

    def __init__(self, bounds: Bounds, folder: Path) -> None:
        self.bounds, self.folder = bounds, folder
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.bounds, str(self.folder)), daemon=True)
        self.process.start()
        theirs.close()
        self.given: tuple[int, str, bytes] = (-1, "", b"")

    @property
    def late(self) -> bool:
        waited = time.monotonic() - self.since
        return waited > _LONGEST_WAIT or (waited > _PATIENCE and _worked(self.process.pid) - self.worked > _PATIENCE)

    def give(self, number: int, kind: str, content: bytes) -> None:
        self.given, self.since, self.worked = (number, kind, content), time.monotonic(), _worked(self.process.pid)
        self.pipe.send(self.given)

    def answer(self) -> tuple[Tried, bytes]:
        number, kind, content = self.given
        try:
            if not self.pipe.poll(0):
                raise EOFError
            return self.pipe.recv(), content
        except (EOFError, OSError):
            late = self.late
            self.end()
            ended = f"its process ended with {self.process.exitcode}"
            how = f"no answer in {_PATIENCE:g} s of processor time" if late else ended
            self._start()
            return Tried(number, kind, how, 0.0, 0.0), content

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Any, bounds: Bounds, folder: str) -> None:
    import torch

    os.nice(5)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(dir=folder) as own:
        while True:
            try:
                number, kind, content = pipe.recv()
                pipe.send(try_here(number, kind, content, Path(own), bounds))
            except (EOFError, BrokenPipeError):  # who asked has ended
                return


def _worked(pid: int | None) -> float:
    """Seconds of processor time that a process has had; infinite where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return math.inf


def _forget_peak() -> None:
    """Have the kernel count the largest resident memory from here on."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> float:
    """The largest resident memory since then, in GiB; 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 2**20 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)
