r"""Writing a network in a library's units, with NumPy alone: what any adapter's ``build`` can use.

A library's neuron has a gain of its own.  Where the network leaves its gains free, what is asked for beyond that goes into the
weights before it (and into its feedback), so that weight × gain stays what was asked for:

.. code-block:: python

    ratios = {layer.name: gain_ratio(network, layer, r=(layer.r, layer.tau / dt)) for layer in network.neurons()}
    arrays = folded_arrays(network, folded_factors(network, ratios))  # "fc1.weight" → float32

This module and all it imports need Python 3.10, NumPy and nir.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import CannotBuild
from nir_interop.networks import Affine, Conv, Flatten, Layer, Network, Neuron, Pool2d
from nir_interop.networks.layers import Parameter, per_neuron

Array = NDArray[Any]


def gain_ratio(network: Network, layer: Neuron, **gains: tuple[Parameter, Parameter]) -> Array:
    """How much more gain a layer asks for than the library's neuron has, per neuron, float64.

    gains : parameter → (value the network asks for, value that the library's neuron has)
    Raises CannotBuild where the network wants the values themselves and they differ.
    """
    shape = network.shapes()[layer.name]
    ratio = np.ones(shape)
    for name, (asked, held) in gains.items():
        wanted, own = per_neuron(asked, shape), per_neuron(held, shape)
        if not network.free_gain and not np.allclose(wanted, own, rtol=1e-9, atol=0):
            values = f"{name} = {wanted.flat[0]:g}, but the library's neuron has {own.flat[0]:g}"
            raise CannotBuild(f"layer {layer.name!r}: {values}")
        ratio *= wanted / own
    return ratio


def folded_factors(network: Network, ratios: Mapping[str, Array]) -> dict[str, Array]:
    """Parameter prefix → factor of its weights and bias, so that weight × gain stays what was asked for.

    Raises CannotBuild where a gain has no weights to go into.
    """
    layers = {layer.name: layer for layer in network.layers}
    sources = network.sources()
    factors: dict[str, Array] = {}
    scaled: Counter[str] = Counter()

    def fold(name: str, ratio: Array, wanted_by: str) -> None:
        layer = layers[name]
        if isinstance(layer, Affine):
            rows = ratio.reshape(-1) if ratio.size > 1 else ratio.reshape(())
        elif isinstance(layer, (Neuron, Conv, Pool2d, Flatten)):
            if not (ratio == ratio.flat[0]).all():
                raise CannotBuild(f"layer {wanted_by!r}: gains differ per neuron, which {name!r} cannot take up")
            rows = np.array(ratio.flat[0])
        scaled[name] += bool((rows != 1).any())
        if isinstance(layer, Neuron) or (isinstance(layer, (Pool2d, Flatten)) and not sources[name]):
            if (rows != 1).any():
                raise CannotBuild(f"layer {wanted_by!r}: its gain has no weights before it to go into")
        elif isinstance(layer, (Pool2d, Flatten)):
            for before in sources[name]:
                fold(before, rows, wanted_by)
        elif name in factors and not np.array_equal(factors[name], rows):
            raise CannotBuild(f"layer {name!r}: the layers it feeds have different gains")
        else:
            factors[name] = rows

    for name, ratio in ratios.items():
        for before in sources[name]:
            fold(before, ratio, name)
        if not sources[name] and (ratio != 1).any():
            raise CannotBuild(f"layer {name!r}: its gain has no weights before it to go into")
        neuron = layers[name]
        if isinstance(neuron, Neuron) and neuron.feedback is not None:
            factors[f"{name}.feedback"] = ratio.reshape(-1)
    fed = Counter(before for names in sources.values() for before in names)
    for name, times in scaled.items():
        if 0 < times < fed[name]:
            raise CannotBuild(f"layer {name!r}: the layers it feeds have different gains")
    return factors


def scales(network: Network, factors: Mapping[str, Array]) -> dict[str, Array]:
    """Parameter's key → its factor, as it is broadcast along the rows."""
    found = {}
    for key, value in network.parameters().items():
        factor = factors.get(key.rpartition(".")[0], np.array(1.0))
        found[key] = factor.reshape(-1, *([1] * (value.ndim - 1))) if factor.ndim else factor
    return found


def folded_arrays(network: Network, factors: Mapping[str, Array]) -> dict[str, Array]:
    """Parameter's key → weights and biases in the library's units: multiplied in float64, rounded to float32 once."""
    by = scales(network, factors)
    return {key: np.array(np.float64(value) * by[key], dtype=np.float32) for key, value in network.parameters().items()}


def is_chain(network: Network) -> bool:
    """Whether each layer is fed by the one before it alone."""
    names: list[tuple[str, ...]] = [(), *((layer.name,) for layer in network.layers)]
    return list(network.sources().values()) == names[:-1]


def chain(network: Network, what: str) -> tuple[Layer, ...]:
    """The layers of a network that is a chain, in their order.

    what : the library's word for a chain, ``nn.Sequential`` for instance

    Raises CannotBuild for a network that is none.
    """
    if is_chain(network):
        return tuple(network.layers)
    before = None
    for layer in network.layers:
        sources = network.sources()[layer.name]
        if sources != (() if before is None else (before,)):
            fed = " and ".join(repr(name) for name in sources) or "the input"
            raise CannotBuild(f"layer {layer.name!r}: {what} is a chain, where it would be fed by {fed}")
        before = layer.name
    raise CannotBuild(f"{what} is a chain, and the network is none")
