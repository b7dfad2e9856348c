"""What the networks of the matrix are, in words for somebody who looks for one like their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nir_interop.errors import UnknownName
from nir_interop.networks import Conv, Network, Neuron, Pool2d, catalogue
from nir_interop.vocabulary import Reset

CONVOLUTIONAL, DENSE, RECURRENT, BRANCHED = "convolutional", "fully connected", "recurrent", "with a skip connection"
FAMILIES = (CONVOLUTIONAL, DENSE, RECURRENT, BRANCHED)
"""Sorts of networks; every network of the catalogue is of one."""


@dataclass(frozen=True)
class Described:
    """A network of the matrix.

    family : one of FAMILIES, empty for a network that the catalogue does not have
    about : what it is made of, in words
    """

    family: str = ""
    about: str = ""


def described(name: str) -> Described:
    """A network by name."""
    try:
        network = catalogue(name).build(0)
    except UnknownName:
        return Described()
    return Described(_family(network), ", ".join(_parts(network)))


def _family(network: Network) -> str:
    if any(isinstance(layer, Conv) for layer in network.layers):
        return CONVOLUTIONAL
    if any(neuron.feedback is not None for neuron in network.neurons()):
        return RECURRENT
    return BRANCHED if any(len(layer.inputs) > 1 for layer in network.layers) else DENSE


def _parts(network: Network) -> list[str]:
    found: dict[str, None] = {}
    for layer in network.layers:
        if isinstance(layer, Conv):
            grouped = " in groups" if layer.groups > 1 else ""
            found[f"{'one' if layer.weight.ndim == 3 else 'two'}-dimensional convolution{grouped}"] = None
        elif isinstance(layer, Pool2d):
            found[f"{layer.kind.value} pooling"] = None
        elif isinstance(layer, Neuron):
            found |= dict.fromkeys(_of_neuron(layer))
    if not network.free_gain:
        found["a resistance that weights may not take over"] = None
    if network.reset is Reset.SUBTRACT:
        found["reset by subtraction"] = None
    return list(found)


def _of_neuron(layer: Neuron) -> list[str]:
    parameters = dict(layer.parameters())
    found = [type(layer).__name__]
    if any(np.ndim(value) for value in parameters.values()):
        found.append("parameters of each neuron its own")
    for name, said in (("v_leak", "a leak potential"), ("v_reset", "a reset potential")):
        if np.any(np.asarray(parameters.get(name, 0.0))):
            found.append(said)
    return found
