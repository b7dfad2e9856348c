"""A network, independent of any library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.networks.layers import Affine, Conv, Feedback, Flatten, Layer, Neuron, Pool2d
from nir_interop.vocabulary import Readout, Reset

if TYPE_CHECKING:
    import nir

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Network:
    """What every library is asked to build.

    layers : in an order in which each comes after its inputs
    input_shape : of a sample at one step, without batch
    dt : the step [s] the network is meant for (a soft reset can be said in NIR only for a known step)
    reset : what a spike does to the membrane
    free_gain : whether a library may write its own r and w_in and scale the weights before them instead,
        so that weight × r (× w_in) stays what it is; False: the values themselves must be held
    readout : how a class is read from the output
    seed : of the weights
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    dt: float = 1e-4
    reset: Reset = Reset.VALUE
    free_gain: bool = True
    readout: Readout = Readout.RATE
    seed: int = 0

    def sources(self) -> dict[str, tuple[str, ...]]:
        """Layer → names of the layers that feed it; empty for those fed by the network's input."""
        found: dict[str, tuple[str, ...]] = {}
        before: tuple[str, ...] = ()
        for layer in self.layers:
            found[layer.name] = layer.inputs or before
            before = (layer.name,)
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Layer → shape of its output at one step, without batch."""
        sources = self.sources()
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in self.layers:
            inputs = [shapes[name] for name in sources[layer.name]] or [self.input_shape]
            shapes[layer.name] = _output_shape(layer, inputs[0])
        return shapes

    def neurons(self) -> tuple[Neuron, ...]:
        """The layers with a membrane."""
        return tuple(layer for layer in self.layers if isinstance(layer, Neuron))

    def to_nir(self) -> nir.NIRGraph:
        """The intended graph: what a faultless exporter would write.

        Raises NotExpressible where NIR has no words for it.
        """
        from nir_interop.networks.intended import intended_graph

        return intended_graph(self)

    def parameters(self) -> dict[str, Array]:
        """What training changes, in NIR units, keyed ``layer.weight``, ``layer.bias``, ``layer.feedback.weight``, …"""
        found: dict[str, Array] = {}
        for layer in self.layers:
            if isinstance(layer, (Affine, Conv)):
                holder, prefix = layer, layer.name
            elif isinstance(layer, Neuron) and layer.feedback is not None:
                holder, prefix = layer.feedback, f"{layer.name}.feedback"  # type: ignore[assignment]
            else:
                continue
            found[f"{prefix}.weight"] = holder.weight
            if holder.bias is not None:
                found[f"{prefix}.bias"] = holder.bias
        return found

    def with_parameters(self, learned: Mapping[str, Array]) -> Network:
        """The same network with other weights and biases; keys as :meth:`parameters` gives them."""
        layers: list[Layer] = []
        for layer in self.layers:
            if isinstance(layer, (Affine, Conv)):
                layers.append(replace(layer, **_changes(layer.name, layer.bias, learned)))
            elif isinstance(layer, Neuron) and layer.feedback is not None:
                changes = _changes(f"{layer.name}.feedback", layer.feedback.bias, learned)
                layers.append(replace(layer, feedback=replace(layer.feedback, **changes)))
            else:
                layers.append(layer)
        return replace(self, layers=tuple(layers))


def _changes(prefix: str, bias: Array | None, learned: Mapping[str, Array]) -> dict[str, Any]:
    changes = {"weight": learned[f"{prefix}.weight"]}
    if bias is not None:
        changes["bias"] = learned[f"{prefix}.bias"]
    return changes


def _output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layer, Affine):
        return (layer.weight.shape[0],)
    if isinstance(layer, Flatten):
        return (int(np.prod(shape)),)
    if isinstance(layer, Pool2d):
        return (shape[0], shape[1] // layer.size, shape[2] // layer.size)
    if isinstance(layer, Conv):
        kernel = layer.weight.shape[2:]
        extents = [
            size + 2 * layer.padding - layer.dilation * (width - 1) for size, width in zip(shape[1:], kernel, strict=True)
        ]
        return (layer.weight.shape[0], *((extent - 1) // layer.stride + 1 for extent in extents))
    return shape


__all__ = ["Feedback", "Network"]
