"""A data set through a library, batch by batch, in processes of their own: any number of recordings in little memory.

What a run gave is kept by what it was a run of, and not run again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from nir_interop.arrays import load_arrays, save_arrays
from nir_interop.backends.adapter import Adapter, load_adapter
from nir_interop.backends.environments import backend
from nir_interop.networks import Network
from nir_interop.networks.documents import document_of
from nir_interop.vocabulary import Idiom, Stage, Status
from nir_interop.workers.capture import Capture, guarded
from nir_interop.workers.confinement import die_with
from nir_interop.workers.job import failure, import_failure, reseed

Array = NDArray[Any]
Key = TypeVar("Key")

BATCH = 100
"""Recordings a run: small enough for a convolutional network's spikes of 50 steps."""
CHUNK = 1000
"""Recordings that one process does in one go; what it did is then kept."""
WORKERS = 2

_ENVIRONMENT = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@dataclass(frozen=True, eq=False)
class Run:
    """One network or one graph in one library.

    graph : a file to be imported; None: ``network`` is built, written in ``idiom``
    dt : the step [s] that is asked for
    """

    library: str
    dt: float
    graph: Path | None = None
    network: Network | None = None
    idiom: Idiom = Idiom.PORTABLE

    def key(self) -> list[str]:
        """What the outcome depends on, as text."""
        if self.graph is not None:
            return [self.library, f"{self.dt:g}", hashlib.sha256(self.graph.read_bytes()).hexdigest()]
        if self.network is None:
            raise ValueError("a run needs a graph or a network")
        document = json.dumps(document_of(self.network), sort_keys=True)
        return [self.library, f"{self.dt:g}", str(self.idiom), hashlib.sha256(document.encode()).hexdigest()]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a run.

    output : axes (T, N, classes), None where it failed
    failed : status, stage and the library's words, empty where it ran
    rates : layer or node → share of its neurons that fire in a step
    """

    output: Array | None
    failed: Mapping[str, str]
    rates: Mapping[str, float]


class Recordings(Protocol):
    """What is run: any number of recordings, made a batch at a time; it travels to other processes.

    key : says which they are, for what is kept
    """

    @property
    def key(self) -> str: ...

    def __len__(self) -> int: ...

    def batch(self, start: int, stop: int) -> Array:
        """Recordings ``start`` to ``stop``, axes (T, B, \\*shape)."""
        ...


@dataclass(frozen=True)
class HeldImages:
    """Images of intensity 0–1, each there for ``steps`` steps; :func:`held_images` makes them.

    path : of an array with axes (N, \\*shape), mapped into memory
    """

    path: Path
    samples: int
    steps: int

    @property
    def key(self) -> str:
        return f"{self.path.name} held {self.steps}"

    def __len__(self) -> int:
        return self.samples

    def batch(self, start: int, stop: int) -> Array:
        """See :class:`Recordings`."""
        images = np.array(np.load(self.path, mmap_mode="r")[start:stop])
        return np.repeat(images[None], self.steps, axis=0)


def held_images(images: Array, steps: int, work: Path) -> HeldImages:
    """Put images (N, \\*shape) where other processes find them."""
    work.mkdir(parents=True, exist_ok=True)
    array = np.ascontiguousarray(images, dtype=np.float32)
    sha = hashlib.sha256(str(array.shape).encode() + array.tobytes()).hexdigest()
    path = work.resolve() / f"images-{sha[:16]}.npy"
    if not path.exists():
        passing = path.with_name(f".{os.getpid()}-{path.name}")
        np.save(passing, array)
        os.replace(passing, path)
    return HeldImages(path, len(array), steps)


def evaluate(
    runs: Mapping[Key, Run],
    recordings: Recordings,
    work: Path,
    *,
    batch: int = BATCH,
    workers: int = WORKERS,
    advance: Callable[[], None] = lambda: None,
) -> dict[Key, Outcome]:
    """Run everything on all recordings.

    batch : recordings that are in memory at a time in each of ``workers`` processes
    work : keeps what is done; advance : called once for each of :func:`parts`
    """
    work.mkdir(parents=True, exist_ok=True)
    tasks: list[tuple[Key, _Task]] = []
    for name, run in runs.items():
        for start in range(0, len(recordings), CHUNK):
            stop = min(start + CHUNK, len(recordings))
            tasks.append((name, _Task(run, recordings, start, stop, batch, _saved(run, recordings, start, stop, batch, work))))
    missing = list({task.save: task for _, task in tasks if not task.save.exists()}.values())
    for _ in range(len(tasks) - len(missing)):
        advance()
    if missing:
        with one_thread(), _pool(min(workers, len(missing))) as pool:
            for done in as_completed([pool.submit(_work, task) for task in missing]):
                done.result()
                advance()
    found: dict[Key, list[Mapping[str, Any]]] = {name: [] for name in runs}
    for name, task in tasks:
        found[name].append(load_arrays(task.save))
    return {name: _joined(chunks) for name, chunks in found.items()}


def parts(runs: int, recordings: int) -> int:
    """How often :func:`evaluate` says that it has come further."""
    return runs * -(-recordings // (CHUNK))


@dataclass(frozen=True, eq=False)
class _Task:
    run: Run
    recordings: Recordings
    start: int
    stop: int
    batch: int
    save: Path


def _saved(run: Run, recordings: Recordings, start: int, stop: int, batch: int, work: Path) -> Path:
    key = [*run.key(), recordings.key, str(start), str(stop), str(batch), json.dumps(dict(backend(run.library).versions))]
    return (work / f"run-{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.npz").resolve()


@contextmanager
def one_thread() -> Iterator[None]:
    """What a process must be started with so that it gives the same wherever it runs: one thread, no chance order."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _pool(workers: int) -> ProcessPoolExecutor:
    spawning = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawning, initializer=die_with, initargs=(os.getpid(),))


def _work(task: _Task) -> None:
    adapter = load_adapter(task.run.library)
    stage = Stage.IMPORT if task.run.graph is not None else Stage.BUILD
    arrays: dict[str, Array] = {}
    failed: Mapping[str, Any] = {}
    with guarded(Capture()):
        try:
            adapter.prepare()
            reseed(0)
            if task.run.graph is not None:
                model = adapter.load(task.run.graph, task.run.dt)
            else:
                model = adapter.build(task.run.network, task.run.dt, task.run.idiom)  # type: ignore[arg-type]
            stage = Stage.RUN
            outputs: list[Array] = []
            sums: dict[str, float] = {}
            for start in range(task.start, task.stop, task.batch):
                stimulus = task.recordings.batch(start, min(start + task.batch, task.stop))
                samples = stimulus.shape[1]
                recording = adapter.run(model, stimulus)
                if recording.output.shape[1] != samples:
                    raise _WrongShape(f"an output with axes {recording.output.shape} for {samples} samples")
                outputs.append(recording.output)
                for name, fired in recording.spikes.items():
                    sums[name] = sums.get(name, 0.0) + float(fired.mean()) * samples
            arrays["output"] = np.concatenate(outputs, axis=1)
            arrays |= {f"rate {name}": np.array(total) for name, total in sums.items()}
        except Exception as error:
            failed = _failure(adapter, task.run, error, stage)
    arrays["samples"] = np.array(float(task.stop - task.start))
    arrays["failed"] = np.frombuffer(json.dumps({key: str(value) for key, value in failed.items()}).encode(), dtype=np.uint8)
    passing = task.save.with_name(f"{task.save.name}.{os.getpid()}")
    save_arrays(passing, arrays)
    os.replace(passing, task.save)


class _WrongShape(Exception):
    """An output that is not one of so many samples."""


def _failure(adapter: Adapter, run: Run, error: Exception, stage: Stage) -> Mapping[str, Any]:
    if isinstance(error, _WrongShape):
        return {"status": str(Status.WRONG_SHAPE), "stage": str(Stage.COMPARE), "error_type": "", "error_message": str(error)}
    known = {str(run.graph): "graph.nir"}
    words = failure(error, Status.RUN_ERROR, stage) if run.graph is None else import_failure(adapter, error, stage, known)
    # Where only torch and this project were on the way, no library's line is to be shown.
    return words | {"error_at": "" if words["error_at"].startswith("nir_interop_studies/") else words["error_at"]}


def _joined(found: Sequence[Mapping[str, Any]]) -> Outcome:
    for part in found:
        words: dict[str, str] = json.loads(part["failed"].tobytes())
        if words:
            return Outcome(None, words, {})
    total = sum(part["samples"].item() for part in found)
    rates = {
        name.removeprefix("rate "): sum(part[name].item() for part in found) / total
        for name in sorted(found[0])
        if name.startswith("rate ")
    }
    return Outcome(np.concatenate([part["output"] for part in found], axis=1), {}, rates)
