"""A structural probe: a graph of nodes without an axis, which a backend runs as NIR says or does not.

Each is an entry: what it is evidence of, and a graph.  A ``CELL`` in it is a spiking neuron that the backend takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nir_interop.fingerprint import Condition, Subject
from nir_interop.graphs import Graph, Node, nest

CELL = "cell"

Cell = Callable[[int], Node]
Edge = tuple[str, str]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Structural:
    """A graph whose outputs show how a backend runs a primitive, or a wiring.

    condition, subject : what of which primitive or wiring it is evidence of
    nodes : by name; CELL stands for a neuron of as many elements as ``width`` says
    edges : with ``input`` and ``output``
    shape, to : of one sample, going in and coming out
    again : a primitive written otherwise, asked for only where it is taken at all
    inside : name of an inner graph → name in there → name of the node that goes there
    """

    condition: Condition
    subject: Subject
    nodes: Mapping[str, Node | str]
    edges: tuple[Edge, ...]
    shape: Shape
    to: Shape
    width: int = 3
    again: bool = False
    inside: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def spiking(self) -> bool:
        """Whether it needs a neuron."""
        return CELL in self.nodes.values()

    def graph(self, cell: Cell | None = None, gain: float = 1.0) -> Graph:
        """The graph, with neurons that a backend takes.

        gain : of weights behind neurons, and of biases, in units of the input that brings a neuron to its threshold
        Raises ValueError where it needs a neuron and has none.
        """
        if self.spiking and cell is None:
            raise ValueError(f"{self.condition} needs a neuron")
        made = {"input": node("Input", shape=self.shape), "output": node("Output", shape=self.to)}
        for name, each in self.nodes.items():
            if isinstance(each, Node):
                spikes = any(self.nodes.get(source) == CELL for source, target in self.edges if target == name)
                made[name] = _stronger(each, gain if spikes else 1.0, gain)
            elif cell is not None:
                made[name] = cell(self.width)
        graph = Graph(made, self.edges)
        for name, members in self.inside.items():
            graph = nest(graph, name, members, (self.width,))
        return graph


def _stronger(node: Node, weight: float, bias: float) -> Node:
    """A node with its weights and its bias multiplied; as it is written where nothing is to be."""
    if weight == bias == 1:
        return node
    factors = {"weight": np.float32(weight), "bias": np.float32(bias)}
    return Node(node.kind, {name: value * factors[name] if name in factors else value for name, value in node.params.items()})


def node(kind: str, **params: Any) -> Node:
    arrays: dict[str, Any] = {name: value if isinstance(value, str) else np.asarray(value) for name, value in params.items()}
    return Node(kind, arrays)


def path(condition: Condition, subject: Subject, nodes: tuple[Node | str, ...], shape: Shape, to: Shape) -> Structural:
    named = {f"n{number}": each for number, each in enumerate(nodes)}
    return Structural(condition, subject, named, tuple(itertools.pairwise(["input", *named, "output"])), shape, to)


def weight(*shape: int) -> Any:
    """Weights without symmetry, the same at every call."""
    return np.random.default_rng(shape).normal(0.2, 1.0, shape).astype(np.float32)


def dense(out: int, into: int) -> Node:
    return node("Linear", weight=weight(out, into))
