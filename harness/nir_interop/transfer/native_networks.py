"""A library's own networks, in a worker: built by the adapter, run, and exported where asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nir_interop.backends.adapter import Adapter
from nir_interop.errors import CannotBuild, NotExpressible
from nir_interop.networks import Network
from nir_interop.networks.serialization import network_from
from nir_interop.vocabulary import Idiom, Stage, Status
from nir_interop.workers.error_messages import text_of
from nir_interop.workers.job import OK, Job, Outcome, Progress, failure, import_failure, reseed, stimulus_at


def native(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """Build the job's network and run it; the recording goes to ``save``.

    ``label``, where it is not empty, is how its neurons are to be written: a network that the adapter writes otherwise is
    refused.  ``graph``, where the job has it, is where the network is written after the run, by the library's own exporter.
    """
    try:
        network, idiom = network_from(job["network"]), Idiom(job["idiom"])
        if idiom not in adapter.idioms:
            raise CannotBuild(f"{adapter.name} has no {idiom} way to write a network")
        reseed(job["seed"])
        with progress.library(Stage.BUILD):
            model = adapter.build(network, network.dt, idiom)
            others = sorted(set(_labels(adapter, network, idiom)) - {job["label"]}) if job["label"] else []
            if others:
                raise CannotBuild(f"written as {' and '.join(others)}")
        with progress.library(Stage.NATIVE):
            recording = adapter.run(model, stimulus_at(job["stimulus"])["input"].copy())
        recording.save(Path(job["save"]))
        if job.get("graph"):
            _write(adapter, model, job, network.dt, progress)
        return {"status": OK}
    except (CannotBuild, NotExpressible) as error:
        return failure(error, Status.REFUSED, Stage.BUILD)
    except BaseException as error:
        if progress.stage in (Stage.EXPORT, Stage.WRITE):
            return _export_failure(adapter, error, progress.stage, job["graph"])
        return import_failure(adapter, error, progress.stage, {})


def _write(adapter: Adapter, model: Any, job: Job, dt: float, progress: Progress) -> None:
    """The library's own exporter, given one step of one sample, and NIR's own writer."""
    import nir

    sample = stimulus_at(job["stimulus"])["input"][0, :1]
    with progress.library(Stage.EXPORT):
        graph = adapter.export(model, sample, dt)
    with progress.library(Stage.WRITE):
        nir.write(job["graph"], graph)


def _export_failure(adapter: Adapter, error: BaseException, stage: Stage, path: str) -> Outcome:
    failed = Status.EXPORT_ERROR if stage is Stage.EXPORT else Status.WRITE_ERROR
    return failure(error, Status.REFUSED if adapter.refuses(text_of(error)) else failed, stage, {path: ""})


def native_labels(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """Of each network of the job, how its neurons are written in each idiom; null where it cannot be built."""
    found: dict[str, list[list[str] | None]] = {}
    for idiom in adapter.idioms:
        found[idiom.value] = []
        for document in job["networks"]:
            network = network_from(document)
            try:
                with progress.library(Stage.BUILD):
                    adapter.build(network, network.dt, idiom)
                    labels: list[str] | None = _labels(adapter, network, idiom)
            except Exception:
                labels = None
            found[idiom.value].append(labels)
    return {"status": OK, "labels": found}


def _labels(adapter: Adapter, network: Network, idiom: Idiom) -> list[str]:
    return [adapter.native_label(layer, network, network.dt, idiom) for layer in network.neurons()]
