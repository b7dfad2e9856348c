"""A data set through a network or a graph, batch by batch: any number of recordings in little memory.

:func:`evaluate` runs networks and graphs in processes of their own, :func:`evaluate_with` whatever gives a recording for a
batch: a live backend, the reference under a rule.  What came of CHUNK recordings is kept in the store under all that it depends
on, and not run again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from nir_interop.arrays import Array, load_arrays, save_arrays
from nir_interop.backends.adapter import Adapter, Model, load_adapter
from nir_interop.backends.environments import backend
from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, digest
from nir_interop.learning import Share, classify
from nir_interop.networks import Network
from nir_interop.networks.serialization import document_of
from nir_interop.recording import Recording
from nir_interop.rule import UpdateRule
from nir_interop.store.keys import backend_key, key, sources_key
from nir_interop.store.store import Store
from nir_interop.vocabulary import Idiom, Readout, Stage, Status
from nir_interop.workers.capture import Capture, guarded
from nir_interop.workers.confinement import die_with
from nir_interop.workers.error_messages import BENEATH, OWN, failure, import_failure
from nir_interop.workers.live import LiveBackend
from nir_interop.workers.progress import reseed

Name = TypeVar("Name")
Batch = Callable[[Array], Recording]
r"""One run: a stimulus with axes (T, B, \*shape) → what was recorded; raises RunFailed where there is nothing."""

BATCH = 100
"""Recordings a run: small enough for a convolutional network's spikes of 50 steps."""
CHUNK = 1000
"""Recordings that are run in one go, and whose outcome is kept together: so much at most is lost by an interruption."""
WORKERS = 2

_ENVIRONMENT = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is run on all recordings: one network or one graph in one library.

    graph : a file to be imported; None: ``network`` is built, written in ``idiom``
    dt : the step [s] that is asked for
    """

    library: str
    dt: float
    graph: Path | None = None
    network: Network | None = None
    idiom: Idiom = Idiom.PORTABLE

    def key(self) -> dict[str, str]:
        """What the outcome depends on, beside the library and the recordings."""
        if self.graph is not None:
            return {"dt": f"{self.dt:g}", "graph": hashlib.sha256(self.graph.read_bytes()).hexdigest()}
        if self.network is None:
            raise ValueError("an evaluation needs a graph or a network")
        document = json.dumps(document_of(self.network), sort_keys=True)
        network = hashlib.sha256(document.encode()).hexdigest()
        return {"dt": f"{self.dt:g}", "idiom": str(self.idiom), "network": network}


@dataclass(frozen=True, eq=False)
class Evaluated:
    r"""What came of all recordings.

    output : axes (T, N, classes), None where it failed
    failed : status, stage and the library's words, empty where it ran; of a live backend without a stage
    rates : layer or node → share of its neurons that fire in a step
    node : spikes of the node that was asked for, axes (T, N, \*shape)
    """

    output: Array | None
    failed: Mapping[str, str] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    node: Array | None = None

    def classes(self) -> NDArray[np.int64] | None:
        """The class of each recording, read from its spike counts; None where there is no output."""
        return None if self.output is None else classify(self.output, Readout.RATE)

    def accuracy(self, labels: Array) -> Share | None:
        """How many recordings are of their class."""
        found = self.classes()
        return None if found is None else Share.of(found == labels)


class Recordings(Protocol):
    r"""Any number of recordings, made a batch at a time; they travel to other processes.

    key : says which they are, for what is kept
    """

    @property
    def key(self) -> str: ...

    def __len__(self) -> int: ...

    def batch(self, start: int, stop: int) -> Array:
        r"""Recordings ``start`` to ``stop``, axes (T, B, \*shape)."""
        ...


@dataclass(frozen=True)
class HeldImages:
    r"""Images of intensity 0–1, each there for ``steps`` steps, where other processes find them.

    path : of an array with axes (N, \*shape), mapped into memory
    """

    path: Path
    samples: int
    steps: int

    @property
    def key(self) -> str:
        """See :class:`Recordings`."""
        return f"{self.path.name} held {self.steps}"

    def __len__(self) -> int:
        return self.samples

    def batch(self, start: int, stop: int) -> Array:
        """See :class:`Recordings`."""
        images = np.array(np.load(self.path, mmap_mode="r")[start:stop])
        return np.repeat(images[None], self.steps, axis=0)


def held_images(images: Array, steps: int, work: Path) -> HeldImages:
    r"""Put images (N, \*shape) where other processes find them."""
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
    runs: Mapping[Name, Evaluation],
    recordings: Recordings,
    store: Store,
    *,
    batch: int = BATCH,
    workers: int = WORKERS,
    advance: Callable[[], None] = lambda: None,
) -> dict[Name, Evaluated]:
    """Run everything on all recordings, in processes of their own, on one thread each.

    batch : recordings that are in memory at a time in each of ``workers`` processes
    advance : called once for each of :func:`parts`
    """
    tasks = [
        (name, _Task(run, recordings, *chunk, batch, store.path, _key(_about(run), recordings, chunk, batch)))
        for name, run in runs.items()
        for chunk in _chunks(recordings)
    ]
    known = {task.key: store.get(_KIND, task.key) for _, task in tasks}
    missing = list({task.key: task for _, task in tasks if known[task.key] is None}.values())
    for _ in range(len(tasks) - len(missing)):
        advance()
    if missing:
        with one_thread(), _pool(min(workers, len(missing))) as pool:
            for done in as_completed([pool.submit(_work, task) for task in missing]):
                done.result()
                advance()
    found: dict[Name, list[str]] = {name: [] for name in runs}
    for name, task in tasks:
        found[name].append(task.key)
    return {name: _joined([_kept(store, each) for each in keys]) for name, keys in found.items()}


def evaluate_with(
    run: Batch, about: Mapping[str, Any], recordings: Recordings, store: Store, *, batch: int = BATCH, node: str = ""
) -> Evaluated:
    """Run all recordings in this process, or wherever ``run`` has it done; the first chunk that fails is the last.

    about : all that the outcome depends on beside the recordings, as plain data
    node : whose spikes are wanted too; in a graph that a rewriting has put into a graph of its own it has a longer name
    """
    keys = []
    for chunk in _chunks(recordings):
        keys.append(_key({**about, "node": node}, recordings, chunk, batch))
        outcome = store.get(_KIND, keys[-1])
        if outcome is None:
            outcome = _keep(store, keys[-1], _in_words(run, recordings, chunk, batch, node))
        if outcome["failed"]:
            break
    return _joined([_kept(store, each) for each in keys])


@dataclass(frozen=True)
class Evaluator:
    """Runs graphs on any number of recordings where they can be run already: in a live backend, or by the reference.

    batch : recordings that are in memory at a time

    Of its methods ``node`` is a node whose spikes are wanted too.
    """

    store: Store
    batch: int = BATCH

    def backend(self, live: LiveBackend, graph: Graph, recordings: Recordings, dt: float, node: str = "") -> Evaluated:
        """In a library's own process, at a step [s]."""
        about = {"backend": backend_key(live.backend), "graph": _graph_key(graph), "dt": dt}
        return evaluate_with(
            lambda batch: live(graph, batch, dt), about, recordings, self.store, batch=self.batch, node=node
        )  # fmt: skip

    def rule(self, graph: Graph, recordings: Recordings, dt: float, rule: UpdateRule, node: str = "") -> Evaluated:
        """By the reference under a rule, in this process."""
        from nir_interop.reference import Simulator

        simulator = Simulator(graph, dt, rule)
        about = {
            "reference": sources_key("nir_interop.reference"),
            "rule": rule.as_dict(),
            "graph": _graph_key(graph),
            "dt": dt,
        }

        def run(batch: Array) -> Recording:
            return simulator.run(batch, membranes=False)[0]

        return evaluate_with(run, about, recordings, self.store, batch=self.batch, node=node)


def _graph_key(graph: Graph) -> list[Any]:
    """Which graph it is, and which of its nodes are in graphs of their own."""

    def names(part: Graph) -> dict[str, Any]:
        return {name: names(node) if isinstance(node, Graph) else node.kind for name, node in part.nodes.items()}

    return [digest(graph), names(graph)]


def parts(runs: int, recordings: int) -> int:
    """How often :func:`evaluate` says that it has come further."""
    return runs * -(-recordings // CHUNK)


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


_KIND = "evaluations"
_ARRAYS = "arrays"


@dataclass(frozen=True, eq=False)
class _Task:
    run: Evaluation
    recordings: Recordings
    start: int
    stop: int
    batch: int
    store: Path
    key: str


@dataclass(frozen=True, eq=False)
class _Chunk:
    """What came of some recordings; ``sums``: of each layer's rate over the samples."""

    samples: int
    failed: Mapping[str, str] = field(default_factory=dict)
    sums: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)


class _WrongShape(Exception):
    """An output that is not one of so many samples."""


def _about(run: Evaluation) -> dict[str, Any]:
    return {"backend": backend_key(backend(run.library)), **run.key()}


def _chunks(recordings: Recordings) -> Iterator[tuple[int, int]]:
    return ((start, min(start + CHUNK, len(recordings))) for start in range(0, len(recordings), CHUNK))


def _key(about: Mapping[str, Any], recordings: Recordings, chunk: tuple[int, int], batch: int) -> str:
    return key(about=about, recordings=recordings.key, chunk=chunk, batch=batch, sources=sources_key(__name__))


def _pool(workers: int) -> ProcessPoolExecutor:
    spawning = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawning, initializer=die_with, initargs=(os.getpid(),))


def _work(task: _Task) -> None:
    """In a process of its own: a library is imported, builds or imports, and runs."""
    run, adapter = task.run, load_adapter(task.run.library)
    stage = Stage.IMPORT if run.graph is not None else Stage.BUILD
    with guarded(Capture()):
        try:
            adapter.prepare()
            reseed(0)
            model = _model(adapter, run)
            stage = Stage.RUN
            done = _run(lambda batch: adapter.run(model, batch), task.recordings, (task.start, task.stop), task.batch)
        except Exception as error:
            done = _Chunk(task.stop - task.start, _failure(adapter, run, error, stage))
    _keep(Store(task.store), task.key, done)


def _model(adapter: Adapter, run: Evaluation) -> Model:
    if run.network is None or run.graph is not None:
        return adapter.load(run.graph or Path(), run.dt)
    return adapter.build(run.network, run.dt, run.idiom)


def _run(run: Batch, recordings: Recordings, chunk: tuple[int, int], batch: int, node: str = "") -> _Chunk:
    outputs: list[Array] = []
    spikes: list[Array] = []
    sums: dict[str, float] = {}
    for start in range(*chunk, batch):
        stimulus = recordings.batch(start, min(start + batch, chunk[1]))
        samples = stimulus.shape[1]
        recording = run(stimulus)
        if recording.output.shape[1] != samples:
            raise _WrongShape(f"an output with axes {recording.output.shape} for {samples} samples")
        outputs.append(recording.output)
        for name, fired in recording.spikes.items():
            sums[name] = sums.get(name, 0.0) + float(fired.mean()) * samples
        if node:
            spikes.append(
                next(recording.spikes[each] for each in sorted(recording.spikes) if f"{each}.".startswith(f"{node}."))
            )
    arrays = {"output": np.concatenate(outputs, axis=1)}
    if node:
        arrays["node"] = np.concatenate(spikes, axis=1)
    return _Chunk(chunk[1] - chunk[0], {}, sums, arrays)


def _in_words(run: Batch, recordings: Recordings, chunk: tuple[int, int], batch: int, node: str) -> _Chunk:
    try:
        return _run(run, recordings, chunk, batch, node)
    except RunFailed as error:
        return _Chunk(0, {"status": error.status, "error_type": error.error_type, "error_message": error.message})
    except _WrongShape as error:
        return _Chunk(0, {"status": str(Status.WRONG_SHAPE), "error_type": "", "error_message": str(error)})


def _failure(adapter: Adapter, run: Evaluation, error: Exception, stage: Stage) -> dict[str, str]:
    if isinstance(error, _WrongShape):
        return {"status": str(Status.WRONG_SHAPE), "stage": str(Stage.COMPARE), "error_type": "", "error_message": str(error)}
    known = {str(run.graph): "graph.nir"}
    words = failure(error, Status.RUN_ERROR, stage) if run.graph is None else import_failure(adapter, error, stage, known)
    found = words.words()
    if found["error_type"] != OWN and found["error_at"].split("/")[0] in BENEATH:
        found["error_at"] = ""  # only torch and this project were on the way: there is no library's line to show
    return found


def _keep(store: Store, name: str, done: _Chunk) -> dict[str, Any]:
    outcome: dict[str, Any] = {"samples": done.samples, "failed": dict(done.failed), "sums": dict(done.sums)}
    if done.arrays:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{_ARRAYS}.npz"
            save_arrays(path, done.arrays)
            outcome["objects"] = {_ARRAYS: store.adopt(path)}
    store.put(_KIND, name, outcome)
    return outcome


def _kept(store: Store, name: str) -> _Chunk:
    outcome = store.get(_KIND, name)
    if outcome is None:
        raise ValueError(f"{store.path}: what was run is not there any more; run the same command again")
    arrays = load_arrays(store.object(outcome["objects"][_ARRAYS])) if "objects" in outcome else {}
    return _Chunk(outcome["samples"], outcome["failed"], outcome["sums"], arrays)


def _joined(chunks: Sequence[_Chunk]) -> Evaluated:
    failed = next((each.failed for each in chunks if each.failed), None)
    if failed is not None:
        return Evaluated(None, failed)
    total = sum(float(each.samples) for each in chunks)
    rates = {name: sum(each.sums[name] for each in chunks) / total for name in sorted(chunks[0].sums)}
    whole = {name: np.concatenate([each.arrays[name] for each in chunks], axis=1) for name in chunks[0].arrays}
    return Evaluated(whole["output"], {}, rates, whole.get("node"))
