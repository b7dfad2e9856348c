"""What a worker does: one training, one source or one cell, given an adapter and a job that names its files.

A job and its outcome are plain JSON.  An outcome depends on the job and on the installed versions alone; what is in its
``timing`` never reaches a table of results.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.arrays import Array, load_arrays, save_arrays
from nir_interop.backends.adapter import Adapter
from nir_interop.errors import CannotBuild, NirInteropError, NoAnswer, NotExpressible, ReadFailed
from nir_interop.learning import Samples, TrainingSettings, accuracy
from nir_interop.networks import Network, catalogue
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom, Readout, Stage, Status
from nir_interop.workers.error_messages import (
    SHORT_OF_MEMORY,
    describe,
    is_ours,
    one_line,
    own_failure,
    says_no_space,
    short_of_memory,
    text_of,
)

Job = Mapping[str, Any]
Outcome = dict[str, Any]

OK = "ok"
"""The status of a source that was exported, and of a training that ended."""
GRAPH, RECORDING, PARAMETERS = "graph.nir", "recording.npz", "parameters.npz"
"""Files that a source leaves in its folder."""
SHIPPED = "shipped"
"""What a training's outcome says of weights that came with the project."""


class Progress:
    """How far a job has come, and the time it spent inside the library.

    tell : called with each stage as it begins, so that a killed worker's last stage is known
    guard : gives a context that captures what the library says and puts back what it changes
    told : what the library says, with the names of the job's file where it was given others
    """

    def __init__(
        self,
        tell: Callable[[str], None] = lambda stage: None,
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.tell = tell
        self.guard = guard
        self.told: Callable[[str], str] = str
        self.stage = Stage.BUILD
        self.library_seconds = 0.0

    def enter(self, stage: Stage) -> None:
        """Begin a stage."""
        self.stage = stage
        self.tell(str(stage))

    @contextmanager
    def library(self, stage: Stage) -> Iterator[None]:
        """Count what happens inside as the library's time."""
        self.enter(stage)
        started = time.process_time()
        try:
            yield
        finally:
            self.library_seconds += time.process_time() - started


def reseed(seed: int) -> None:
    """Set the generators that a library may draw from; torch's only where the library has imported torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


def failure(error: BaseException, status: Status, stage: Stage, known: Mapping[str, str] | None = None) -> Outcome:
    """The outcome that an exception makes of a job; one of our own is not put into the library's mouth."""
    if short_of_memory(error):
        described = describe(error, known)
        told = one_line(f"{SHORT_OF_MEMORY}: {described['error_message']}".removesuffix(": "))
        return {"status": str(status), "stage": str(stage), **described, "error_message": told, "short_of_memory": True}
    described = own_failure(error, known) if is_ours(error) else describe(error, known)
    full = {"no_space": True} if says_no_space(described["error_message"]) else {}
    return {"status": str(status), "stage": str(stage), **described, **full}


def network_of(job: Job) -> Network:
    """The network a job names, with its learned parameters where it names those."""
    network = catalogue(job["network"]).build(job["seed"])
    return network if job.get("parameters") is None else network.with_parameters(load_arrays(Path(job["parameters"])))


@lru_cache(maxsize=3)
def stimulus_at(path: str) -> dict[str, Array]:
    """``input`` and, where there are any, ``labels`` of a stimulus file; consecutive cells share them."""
    return load_arrays(Path(path))


def train(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """Train a network; the learned arrays go to PARAMETERS.  A backend that does not train learns nothing."""
    if type(adapter).train is Adapter.train:
        return {"status": OK, "trained": False}
    try:
        reseed(job["seed"])
        with progress.library(Stage.BUILD):
            model = adapter.build(network_of(job), job["dt"], Idiom(job["idiom"]))
        samples = load_arrays(Path(job["samples"]))
        settings = TrainingSettings(job["epochs"], job["batch"], job["learning_rate"], seed=job["seed"])
        with progress.library(Stage.TRAIN):
            learned = adapter.train(model, Samples(samples["input"], samples["labels"]), settings)
        save_arrays(Path(job["folder"]) / PARAMETERS, {name: np.asarray(array) for name, array in learned.items()})
        return {"status": OK, "trained": True}
    except BaseException as error:
        return _source_failure(adapter, error, progress.stage)


def source(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """Build, run natively, export and write; RECORDING and GRAPH go to the job's folder, as far as it comes."""
    folder = Path(job["folder"])
    found: Outcome = {"status": OK}
    try:
        network = network_of(job)
        stimulus = stimulus_at(job["stimulus"])
        reseed(job["seed"])
        with progress.library(Stage.BUILD):
            model = adapter.build(network, job["dt"], Idiom(job["idiom"]))
        with progress.library(Stage.NATIVE):
            recording = adapter.run(model, stimulus["input"].copy())
        recording.save(folder / RECORDING)
        found |= {"recording_digest": recording.digest(), "readout": str(network.readout), "neurons": _neurons(network)}
        found |= facts(recording, stimulus.get("labels"), network.readout)
        with progress.library(Stage.EXPORT):
            graph = adapter.export(model, stimulus["input"][0, :1], job["dt"])
    except BaseException as error:
        return found | _source_failure(adapter, error, progress.stage)
    try:
        import nir

        with progress.library(Stage.WRITE):
            nir.write(folder / GRAPH, graph)
    except BaseException as error:
        (folder / GRAPH).unlink(missing_ok=True)
        return found | failure(error, Status.WRITE_ERROR, Stage.WRITE, {str(folder): ""})
    return found


def facts(recording: Recording, labels: Array | None, readout: Readout) -> Outcome:
    """Firing rates, spikes and accuracy of a native recording."""
    rates = {name: float(np.mean(spikes)) for name, spikes in sorted(recording.spikes.items()) if spikes.size}
    output = recording.output
    right = None if labels is None or output.shape[2] < 2 else accuracy(output, labels, readout)
    counts = output.size and bool(np.all((output >= 0) & (output == np.floor(output))))
    return {
        "rates": rates,
        "rate_min": min(rates.values(), default=None),
        "rate_max": max(rates.values(), default=None),
        "spikes": int(output.sum()) if counts else None,
        "accuracy": right,
        "samples": int(output.shape[1]),
    }


def _neurons(network: Network) -> list[str]:
    return [layer.name for layer in network.neurons()]


def _source_failure(adapter: Adapter, error: BaseException, stage: Stage) -> Outcome:
    if isinstance(error, (CannotBuild, NotExpressible)):
        return failure(error, Status.REFUSED, Stage.BUILD)
    declined = stage is not Stage.TRAIN and adapter.refuses(text_of(error))
    return failure(error, Status.REFUSED if declined else Status.EXPORT_ERROR, stage)


def import_failure(
    adapter: Adapter, error: BaseException, stage: Stage, known: Mapping[str, str], path: Path | None = None
) -> Outcome:
    """The outcome of an import or a run that raised; what nir's own reader raises of the file at ``path`` is no importer's."""
    if isinstance(error, ReadFailed) or (stage in _LOADING and path is not None and _reader_raises(path, error)):
        return failure(error, Status.READ_ERROR, Stage.READ, known)
    if isinstance(error, NoAnswer):
        return failure(error, Status.RUN_ERROR, stage, known)
    if isinstance(error, NirInteropError) or adapter.refuses(text_of(error)):
        return failure(error, Status.REFUSED, stage, known)
    return failure(error, Status.IMPORT_ERROR if stage in _LOADING else Status.RUN_ERROR, stage, known)


_LOADING = (Stage.READ, Stage.IMPORT)


def _reader_raises(path: Path, error: BaseException) -> bool:
    """Whether ``nir.read`` alone fails at a file in the same words."""
    if isinstance(error, NirInteropError):
        return False
    import nir

    try:
        nir.read(path)
    except Exception as alone:
        return type(alone) is type(error) and text_of(alone) == text_of(error)
    return False
