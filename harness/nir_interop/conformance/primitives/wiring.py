"""Cases of wiring: joins, cycles, nested graphs, several Outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nir_interop.conformance.primitives.case import Case, linear, node, weight, wired
from nir_interop.conformance.primitives.neurons import MATCHED, ONE, cell, unit_of, values_of
from nir_interop.graphs import Graph, Node

Edges = tuple[tuple[str, str], ...]
Nodes = dict[str, Node | Graph]

JOIN_NEURON, JOIN_OUTPUT = "join at a neuron", "join at Output"
SELF_LOOP, TWO_CYCLE, LONG_CYCLE = "self-loop", "two-node cycle", "longer cycle"
OUTPUTS, NESTED = "several Outputs", "NIRGraph"

FAN: Edges = (("input", "left"), ("input", "right"))
START: Edges = (("input", "into"), ("into", "one"))


def wiring() -> Iterator[Case]:
    """With LIF neurons at both gains; a case that a library may not come back from at the end."""
    branches: Nodes = {"left": linear(3, 4), "right": node("Affine", weight=2 * weight(3, 4), bias=weight(3))}
    joined = wired(branches, (*FAN, ("left", "output"), ("right", "output")), (4,), output=(3,))
    yield Case(JOIN_OUTPUT, "two branches", joined, (4,))
    layers: Nodes = {"one": linear(5, 4), "two": node("Affine", weight=weight(3, 5), bias=weight(3))}
    inner = wired(layers, (("input", "one"), ("one", "two"), ("two", "output")), (4,), output=(3,))
    nested = wired({"inner": inner}, (("input", "inner"), ("inner", "output")), (4,), output=(3,))
    yield Case(NESTED, "of two layers", nested, (4,))
    for where in (ONE, MATCHED):
        parts = _Parts(where)
        yield from _joins(parts)
        yield from _cycles(parts)
        yield from _nested(parts)
    apart = wired(branches, (*FAN, ("left", "a"), ("right", "b")), (4,), a=(3,), b=(3,))
    yield Case(OUTPUTS, "of two layers", apart, (4,), late=True)


class _Parts:
    """LIF neurons at one gain, and weights between them; a spike is 1 A."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.values = values_of("LIF", where)
        self.unit = unit_of("LIF", self.values)

    def lif(self, **changes: float) -> Node:
        return cell("LIF", {**self.values, **changes})

    def again(self, scale: float = 3.0) -> Node:
        """Weights of both signs, in units."""
        return linear(3, 3, scale * self.unit)

    def onward(self, scale: float) -> Node:
        """Weights that only excite, in units."""
        return node("Linear", weight=np.abs(weight(3, 3, scale=scale * self.unit)))

    def case(self, primitive: str, aspect: str, nodes: Nodes, edges: Edges, drive: float = 1.0) -> Case:
        graph = wired(nodes, edges, (4,), output=(3,))
        return Case(primitive, f"{aspect}, {self.where}", graph, (4,), drive * self.unit, centre=1.0, spread=2.0)


def _joins(parts: _Parts) -> Iterator[Case]:
    branches: Nodes = {"left": linear(3, 4), "right": node("Linear", weight=2 * weight(3, 4))}
    edges: Edges = (*FAN, ("left", "cell"), ("right", "cell"), ("cell", "output"))
    yield parts.case(JOIN_NEURON, "two branches", {**branches, "cell": parts.lif()}, edges)

    skipped: Nodes = {"into": linear(3, 4), "one": parts.lif(), "mix": parts.again(10.0), "skip": branches["right"]}
    edges = (("one", "mix"), ("mix", "cell"), ("input", "skip"), ("skip", "cell"), ("cell", "output"))
    yield parts.case(JOIN_NEURON, "a skip past a neuron", {**skipped, "cell": parts.lif()}, (*START, *edges))

    both: Nodes = {**branches, "one": parts.lif(), "two": parts.lif()}
    spiking: Edges = (*FAN, ("left", "one"), ("right", "two"))
    mixed: Nodes = {**both, "mix": parts.onward(5.0), "blend": parts.onward(4.0), "cell": parts.lif()}
    edges = (("one", "mix"), ("two", "blend"), ("mix", "cell"), ("blend", "cell"), ("cell", "output"))
    yield parts.case(JOIN_NEURON, "two spiking sources", mixed, (*spiking, *edges))
    yield parts.case(JOIN_OUTPUT, "two spiking sources", both, (*spiking, ("one", "output"), ("two", "output")))


def _cycles(parts: _Parts) -> Iterator[Case]:
    end: Edges = (("one", "output"),)
    first: Nodes = {"into": linear(3, 4), "one": parts.lif()}
    # A spike adds a quarter of the threshold.
    threshold = 0.4 / parts.unit
    loop: Nodes = {**first, "one": parts.lif(v_threshold=threshold)}
    yield parts.case(SELF_LOOP, "without weights", loop, (*START, ("one", "one"), *end), drive=threshold)

    back: Edges = (("one", "back"), ("back", "one"))
    yield parts.case(TWO_CYCLE, "through Linear", {**first, "back": parts.again()}, (*START, *back, *end))
    bias = np.abs(weight(3, scale=0.3 * parts.unit))
    biased = node("Affine", weight=weight(3, 3, scale=2 * parts.unit), bias=bias)
    yield parts.case(TWO_CYCLE, "through Affine, with a bias", {**first, "back": biased}, (*START, *back, *end))

    longer: Nodes = {**first, "mix": parts.onward(8.0), "two": parts.lif(), "back": parts.again()}
    around: Edges = (("one", "mix"), ("mix", "two"), ("two", "back"), ("back", "one"))
    yield parts.case(LONG_CYCLE, "of two neurons", longer, (*START, *around, ("two", "output")))
    yield parts.case(LONG_CYCLE, "that is left in its middle", longer, (*START, *around, *end))


def _nested(parts: _Parts) -> Iterator[Case]:
    edges: Edges = (("input", "into"), ("into", "layer"), ("layer", "output"))
    # The names by which libraries know a recurrent layer.
    inside: Nodes = {"lif": parts.lif(), "w_rec": parts.again()}
    ring = wired(inside, (("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")), (3,))
    yield parts.case(NESTED, "of a recurrent layer", {"into": linear(3, 4), "layer": ring}, edges)

    inside = {"lif": parts.lif(), "after": node("Linear", weight=weight(3, 3))}
    plain = wired(inside, (("input", "lif"), ("lif", "after"), ("after", "output")), (3,))
    yield parts.case(NESTED, "of a neuron and a layer", {"into": linear(3, 4), "layer": plain}, edges)
