"""A library's own networks, in a worker: they travel as JSON, are built by the adapter, run, and exported where asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.backends.adapter import Adapter
from nir_interop.errors import CannotBuild, NotExpressible
from nir_interop.networks import IF, LI, LIF, Affine, Conv, CubaLIF, Feedback, Flatten, Layer, Network, Neuron, Pool2d, PoolKind
from nir_interop.printable import shown
from nir_interop.safe_names import is_harmless
from nir_interop.vocabulary import Idiom, Reset, Stage, Status
from nir_interop.workers.error_messages import text_of
from nir_interop.workers.job import OK, Job, Outcome, Progress, failure, import_failure, reseed, stimulus_at

NATIVE_NEURONS: tuple[type[Neuron], ...] = (IF, LI, LIF, CubaLIF)
"""Neurons that a network may have; each bears the name of NIR's primitive."""

_LAYERS: Mapping[str, type[Layer]] = {kind.__name__: kind for kind in (*NATIVE_NEURONS, Affine, Conv, Pool2d, Flatten)}


def document_of(network: Network) -> dict[str, Any]:
    """A network, its gains free, as plain data; numbers keep all their digits."""
    return {
        "input_shape": list(network.input_shape),
        "dt": network.dt,
        "reset": network.reset.value,
        "layers": [
            {"layer": type(layer).__name__, **{each.name: _plain(getattr(layer, each.name)) for each in fields(layer)}}
            for layer in network.layers
        ],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Feedback):
        return {"weight": _plain(value.weight), "bias": _plain(value.bias)}
    if isinstance(value, Enum):
        return value.value
    return np.asarray(value, dtype=np.float64).tolist() if isinstance(value, (np.ndarray, float)) else value


def network_from(document: Mapping[str, Any]) -> Network:
    """The network that :func:`document_of` wrote.

    Raises CannotBuild for a layer whose name could be run as code by an exporter.
    """
    for each in document["layers"]:
        if not is_harmless(each["name"]):
            raise CannotBuild(f"layer {shown(each['name'])}: a module is not called so; use letters, digits and underscores")
    layers = tuple(_layer(each) for each in document["layers"])
    return Network("native", tuple(document["input_shape"]), layers, dt=document["dt"], reset=Reset(document["reset"]))


def _layer(document: Mapping[str, Any]) -> Layer:
    values = {name: _array(value) for name, value in document.items() if name not in ("layer", "name", "inputs", "feedback")}
    if "kind" in values:
        values["kind"] = PoolKind(values["kind"])
    feedback = document.get("feedback")
    if feedback is not None:
        values["feedback"] = Feedback(**{name: _array(value) for name, value in feedback.items()})
    return _LAYERS[document["layer"]](name=document["name"], inputs=tuple(document["inputs"]), **values)


def _array(value: Any) -> Any:
    return np.array(value) if isinstance(value, list) else value


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
