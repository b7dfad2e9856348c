"""A NIR graph as the layers of a network, for a library to write in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import CannotBuild
from nir_interop.graphs import Array, Graph, Node, inline
from nir_interop.networks import Affine, Feedback, Layer, Network, Neuron
from nir_interop.networks.serialization import NATIVE_NEURONS
from nir_interop.vocabulary import Reset

_KINDS = {kind.__name__: kind for kind in NATIVE_NEURONS}
_WEIGHTS = ("Affine", "Linear")
_IDENTITY = "identity"

Values = NDArray[np.float64]


def layered(graph: Graph, dt: float, reset: Reset, *, recurrent: bool = False) -> Network:
    """The network whose intended graph this is, behind an identity: weights that take up the first neurons' gains.

    recurrent : whether neurons that do not feed themselves do so through weights of 0

    A file holds single precision where a network holds what was meant: a parameter becomes the short number that rounds to
    it, in steps of ``dt`` or in its own unit, and a gain that rounds to tau/dt is tau/dt.

    Raises CannotBuild for a graph that has no layers: other primitives, several inputs, cycles of several neurons.
    """
    flat = inline(graph)
    inputs, outputs = flat.of_kind("Input"), flat.of_kind("Output")
    if len(inputs) != 1 or len(outputs) != 1:
        raise CannotBuild("a network has one input and one output")
    nodes = {name: node for name, node in flat.primitives() if node.kind not in ("Input", "Output")}
    unknown = sorted({node.kind for node in nodes.values()} - {*_KINDS, *_WEIGHTS})
    if unknown:
        raise CannotBuild(f"a network has no layer for a {unknown[0]}")
    feedback = _feedback(flat, nodes)
    sources = {name: tuple(each for each in flat.into(name) if each not in feedback) for name in nodes if name not in feedback}
    order = _ordered(sources, inputs[0])
    if flat.into(outputs[0]) != (order[-1],):
        raise CannotBuild("a network's output is its last layer")
    back = {flat.into(name)[0]: _weights(nodes[name]) for name in feedback}
    layers: list[Layer] = []
    for name in order:
        first = sources[name] == (inputs[0],)
        if first != (not layers) or (inputs[0] in sources[name] and not first):
            raise CannotBuild("a network's input feeds its first layer alone")
        before = () if first else tuple(_plain(each) for each in sources[name])
        layers.append(_layer(_plain(name), nodes[name], before, back.get(name), dt))
    shape = tuple(int(size) for size in flat.nodes[inputs[0]]["shape"])  # type: ignore[index]
    if len(shape) != 1:
        raise CannotBuild(f"a probe's input is a vector; here it has axes {shape}")
    layers[0] = replace(layers[0], inputs=(_IDENTITY,))
    layers.insert(0, Affine(name=_IDENTITY, weight=np.eye(shape[0])))
    if recurrent:
        layers = [_closed(layer, shape) for layer in layers]
    return Network("native", shape, tuple(layers), dt=dt, reset=reset)


def _plain(name: str) -> str:
    """A layer's name has no dots, which inlining leaves: they would be modules in modules."""
    return name.replace(".", "_")


def _feedback(graph: Graph, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """The weights through which a neuron feeds itself."""
    return tuple(
        name
        for name, node in nodes.items()
        if node.kind in _WEIGHTS and len(graph.into(name)) == 1 and graph.into(name) == graph.out_of(name)
    )


def _ordered(sources: Mapping[str, tuple[str, ...]], entry: str) -> list[str]:
    try:
        return [name for name in TopologicalSorter(sources).static_order() if name != entry]
    except CycleError as error:
        raise CannotBuild("a network's only cycles are neurons that feed themselves through weights") from error


def _layer(name: str, node: Node, inputs: tuple[str, ...], back: Feedback | None, dt: float) -> Layer:
    if node.kind in _WEIGHTS:
        held = _weights(node)
        return Affine(name=name, inputs=inputs, weight=held.weight, bias=held.bias)
    kind: type[Neuron] = _KINDS[node.kind]
    values = {key: _meant(value, dt) for key, value in node.params.items()}
    for gain, time in (("r", "tau"), ("r", "tau_mem"), ("w_in", "tau_syn")):
        if gain in values and time in values:
            values[gain] = _matched(node[gain], values[gain], values[time] / np.float64(dt))
    if "r" in values and not any(key.startswith("tau") for key in values):
        values["r"] = _matched(node["r"], values["r"], np.full_like(values["r"], 1 / np.float64(dt)))
    return kind(name=name, inputs=inputs, feedback=back, **values)


def _closed(layer: Layer, shape: tuple[int, ...]) -> Layer:
    if isinstance(layer, Neuron) and layer.feedback is None:
        return replace(layer, feedback=Feedback(weight=np.zeros(shape * 2)))
    return layer


def _weights(node: Node) -> Feedback:
    bias = node.get("bias")
    weight = np.asarray(node["weight"], dtype=np.float64)
    return Feedback(weight=weight, bias=None if bias is None else np.asarray(bias, dtype=np.float64))


def _meant(value: Array, dt: float) -> Values:
    """The short numbers that round to these, in steps or as they are; numbers of double precision stay."""
    if value.dtype != np.float32:
        return np.asarray(value, dtype=np.float64)
    kept = np.asarray(value, dtype=np.float64)
    for unit in (dt, 1.0):
        short = np.vectorize(lambda each: float(f"{each:.6g}"), otypes=[np.float64])(kept / unit) * unit
        if np.array_equal(short.astype(np.float32), value):
            return np.asarray(short, dtype=np.float64)
    return kept


def _matched(held: Array, value: Values, matched: Values) -> Values:
    """The gain of one step, where it rounds to the number that is held."""
    return matched if np.array_equal(matched.astype(held.dtype), held) else value
