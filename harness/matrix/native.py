"""A library's own neurons, in a worker: networks travel as JSON, are built by the adapter and run; no graph in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from harness.adapter import Adapter
from harness.errors import CannotBuild, NotExpressible
from harness.matrix.job import OK, Job, Outcome, Progress, failure, import_failure, reseed, stimulus_at
from harness.networks import IF, LI, LIF, Affine, CubaLIF, Feedback, Layer, Network, Neuron
from harness.vocabulary import Idiom, Reset, Stage, Status

NATIVE_NEURONS: tuple[type[Neuron], ...] = (IF, LI, LIF, CubaLIF)
"""What a network may have; each bears the name of NIR's primitive."""

_LAYERS: Mapping[str, type[Layer]] = {kind.__name__: kind for kind in (*NATIVE_NEURONS, Affine)}


def document_of(network: Network) -> dict[str, Any]:
    """A network of neurons and affine layers, its gains free, as plain data; numbers keep all their digits."""
    return {
        "input_shape": list(network.input_shape),
        "dt": network.dt,
        "reset": network.reset.value,
        "layers": [
            {"kind": type(layer).__name__, **{each.name: _plain(getattr(layer, each.name)) for each in fields(layer)}}
            for layer in network.layers
        ],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Feedback):
        return {"weight": _plain(value.weight), "bias": _plain(value.bias)}
    return np.asarray(value, dtype=np.float64).tolist() if isinstance(value, (np.ndarray, float, int)) else value


def network_from(document: Mapping[str, Any]) -> Network:
    """The network that :func:`document_of` wrote."""
    layers = tuple(_layer(each) for each in document["layers"])
    return Network("native", tuple(document["input_shape"]), layers, dt=document["dt"], reset=Reset(document["reset"]))


def _layer(document: Mapping[str, Any]) -> Layer:
    values = {name: _array(value) for name, value in document.items() if name not in ("kind", "name", "inputs", "feedback")}
    feedback = document.get("feedback")
    if feedback is not None:
        values["feedback"] = Feedback(**{name: _array(value) for name, value in feedback.items()})
    return _LAYERS[document["kind"]](name=document["name"], inputs=tuple(document["inputs"]), **values)


def _array(value: Any) -> Any:
    return np.array(value) if isinstance(value, list) else value


def native(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """Build the job's network and run it; the recording goes to ``save``.

    ``label``, where the job has one, is how its neurons are to be written: a network that the adapter writes otherwise is
    refused.
    """
    try:
        network, idiom = network_from(job["network"]), Idiom(job["idiom"])
        reseed(job["seed"])
        with progress.library(Stage.BUILD):
            model = adapter.build(network, network.dt, idiom)
            others = sorted(set(_labels(adapter, network, idiom)) - {job["label"]}) if job["label"] else []
            if others:
                raise CannotBuild(f"written as {' and '.join(others)}")
        with progress.library(Stage.NATIVE):
            recording = adapter.run(model, stimulus_at(job["stimulus"])["input"].copy())
        recording.save(Path(job["save"]))
        return {"status": OK}
    except (CannotBuild, NotExpressible) as error:
        return failure(error, Status.REFUSED, Stage.BUILD)
    except BaseException as error:
        return import_failure(adapter, error, progress.stage, {})


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
