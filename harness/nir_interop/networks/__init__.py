"""What is built: networks in NIR units, known by name, independent of any library."""

from nir_interop.networks.catalogue import Catalogued, catalogue, names, twins
from nir_interop.networks.layers import (
    IF,
    LI,
    LIF,
    Affine,
    Conv,
    CubaLIF,
    Feedback,
    Flatten,
    Layer,
    Neuron,
    Pool2d,
    PoolKind,
)
from nir_interop.networks.network import Network

__all__ = [
    "IF",
    "LI",
    "LIF",
    "Affine",
    "Catalogued",
    "Conv",
    "CubaLIF",
    "Feedback",
    "Flatten",
    "Layer",
    "Network",
    "Neuron",
    "Pool2d",
    "PoolKind",
    "catalogue",
    "names",
    "twins",
]
