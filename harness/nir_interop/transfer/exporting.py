"""What a library makes of networks, in its worker: train, build, run, export and write them in its own words."""

from __future__ import annotations

from typing import Any

import numpy as np

from nir_interop.arrays import Array, load_arrays, save_arrays
from nir_interop.backends.adapter import Adapter
from nir_interop.errors import CannotBuild, NotExpressible
from nir_interop.learning import Samples, TrainingSettings, accuracy
from nir_interop.networks import Network
from nir_interop.networks.serialization import network_from
from nir_interop.recording import Recording
from nir_interop.transfer.job_files import network_of, stimulus_at
from nir_interop.vocabulary import Idiom, Readout, Stage, Status
from nir_interop.workers.error_messages import failure, import_failure, text_of
from nir_interop.workers.jobs import (
    GRAPH,
    PARAMETERS,
    RECORDING,
    Exported,
    Labelled,
    Native,
    NativeLabels,
    Outcome,
    Source,
    Train,
    Trained,
    ended,
)
from nir_interop.workers.progress import JobProgress, reseed


def train(adapter: Adapter, job: Train, progress: JobProgress) -> Trained:
    """Train a network; the learned arrays go to PARAMETERS.  A backend that does not train learns nothing."""
    if type(adapter).train is Adapter.train:
        return Trained()
    try:
        reseed(job.seed)
        with progress.library(Stage.BUILD):
            model = adapter.build(network_of(job.network, job.seed, None), job.dt, Idiom(job.idiom))
        samples = load_arrays(job.path(job.samples))
        settings = TrainingSettings(job.epochs, job.batch, job.learning_rate, seed=job.seed)
        with progress.library(Stage.TRAIN):
            learned = adapter.train(model, Samples(samples["input"], samples["labels"]), settings)
        save_arrays(job.left(PARAMETERS), {name: np.asarray(array) for name, array in learned.items()})
        return Trained(trained=True)
    except BaseException as error:
        return ended(Trained, _source_failure(adapter, error, progress.stage))


def source(adapter: Adapter, job: Source, progress: JobProgress) -> Exported:
    """Build, run natively, export and write; RECORDING and GRAPH go to the job's folder, as far as it comes."""
    found = Exported()
    try:
        network = network_of(job.network, job.seed, job.path(job.parameters) if job.parameters else None)
        stimulus = stimulus_at(job.path(job.stimulus))
        reseed(job.seed)
        with progress.library(Stage.BUILD):
            model = adapter.build(network, job.dt, Idiom(job.idiom))
        with progress.library(Stage.NATIVE):
            recording = adapter.run(model, stimulus["input"].copy())
        recording.save(job.left(RECORDING))
        found = _recorded(recording, stimulus.get("labels"), network.readout)
        with progress.library(Stage.EXPORT):
            graph = adapter.export(model, stimulus["input"][0, :1], job.dt)
    except BaseException as error:
        return found.failed(_source_failure(adapter, error, progress.stage))
    try:
        import nir

        with progress.library(Stage.WRITE):
            nir.write(job.left(GRAPH), graph)
    except BaseException as error:
        job.left(GRAPH).unlink(missing_ok=True)
        return found.failed(failure(error, Status.WRITE_ERROR, Stage.WRITE, {job.folder: ""}))
    return found


def _recorded(recording: Recording, labels: Array | None, readout: Readout) -> Exported:
    """Firing rates, spikes and accuracy of a native recording."""
    rates = {name: float(np.mean(spikes)) for name, spikes in sorted(recording.spikes.items()) if spikes.size}
    output = recording.output
    right = None if labels is None or output.shape[2] < 2 else accuracy(output, labels, readout)
    counts = output.size and bool(np.all((output >= 0) & (output == np.floor(output))))
    return Exported(
        recording_digest=recording.digest(),
        readout=str(readout),
        rates=rates,
        rate_min=min(rates.values(), default=None),
        rate_max=max(rates.values(), default=None),
        spikes=int(output.sum()) if counts else None,
        accuracy=right,
        samples=int(output.shape[1]),
    )


def _source_failure(adapter: Adapter, error: BaseException, stage: Stage) -> Outcome:
    if isinstance(error, (CannotBuild, NotExpressible)):
        return failure(error, Status.REFUSED, Stage.BUILD)
    declined = stage is not Stage.TRAIN and adapter.refuses(text_of(error))
    return failure(error, Status.REFUSED if declined else Status.EXPORT_ERROR, stage)


def native(adapter: Adapter, job: Native, progress: JobProgress) -> Outcome:
    """Build the job's network and run it; the recording goes to ``save``.

    ``label``, where it is not empty, is how its neurons are to be written: a network that the adapter writes otherwise is
    refused.  ``graph``, where the job has it, is where the network is written after the run, by the library's own exporter.
    """
    try:
        network, idiom = network_from(job.network), Idiom(job.idiom)
        if idiom not in adapter.idioms:
            raise CannotBuild(f"{adapter.name} has no {idiom} way to write a network")
        reseed(job.seed)
        with progress.library(Stage.BUILD):
            model = adapter.build(network, network.dt, idiom)
            others = sorted(set(_labels(adapter, network, idiom)) - {job.label}) if job.label else []
            if others:
                raise CannotBuild(f"written as {' and '.join(others)}")
        with progress.library(Stage.NATIVE):
            recording = adapter.run(model, stimulus_at(job.path(job.stimulus))["input"].copy())
        recording.save(job.path(job.save))
        if job.graph:
            _write(adapter, model, job, network.dt, progress)
        return Outcome()
    except (CannotBuild, NotExpressible) as error:
        return failure(error, Status.REFUSED, Stage.BUILD)
    except BaseException as error:
        if progress.stage in (Stage.EXPORT, Stage.WRITE):
            return _export_failure(adapter, error, progress.stage, job.graph)
        return import_failure(adapter, error, progress.stage, {})


def _write(adapter: Adapter, model: Any, job: Native, dt: float, progress: JobProgress) -> None:
    """The library's own exporter, given one step of one sample, and NIR's own writer."""
    import nir

    sample = stimulus_at(job.path(job.stimulus))["input"][0, :1]
    with progress.library(Stage.EXPORT):
        graph = adapter.export(model, sample, dt)
    with progress.library(Stage.WRITE):
        nir.write(job.path(job.graph), graph)


def _export_failure(adapter: Adapter, error: BaseException, stage: Stage, path: str) -> Outcome:
    failed = Status.EXPORT_ERROR if stage is Stage.EXPORT else Status.WRITE_ERROR
    return failure(error, Status.REFUSED if adapter.refuses(text_of(error)) else failed, stage, {path: ""})


def native_labels(adapter: Adapter, job: NativeLabels, progress: JobProgress) -> Labelled:
    """Of each network of the job, how its neurons are written in each idiom; None where it cannot be built."""
    found: dict[str, tuple[tuple[str, ...] | None, ...]] = {}
    for idiom in adapter.idioms:
        labels: list[tuple[str, ...] | None] = []
        for document in job.networks:
            network = network_from(document)
            try:
                with progress.library(Stage.BUILD):
                    adapter.build(network, network.dt, idiom)
                    labels.append(tuple(_labels(adapter, network, idiom)))
            except Exception:
                labels.append(None)
        found[idiom.value] = tuple(labels)
    return Labelled(labels=found)


def _labels(adapter: Adapter, network: Network, idiom: Idiom) -> list[str]:
    return [adapter.native_label(layer, network, network.dt, idiom) for layer in network.neurons()]
