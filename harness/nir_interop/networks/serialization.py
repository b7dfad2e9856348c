"""Networks as plain data, for other processes: numbers keep all their digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any

import numpy as np

from nir_interop.errors import CannotBuild
from nir_interop.networks.layers import IF, LI, LIF, Affine, Conv, CubaLIF, Feedback, Flatten, Layer, Neuron, Pool2d, PoolKind
from nir_interop.networks.network import Network
from nir_interop.printable import shown
from nir_interop.safe_names import is_harmless
from nir_interop.vocabulary import Reset

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
