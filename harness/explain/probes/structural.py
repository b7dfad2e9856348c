"""The structural probes: graphs of nodes without an axis, which a backend runs as NIR says or does not.

Each is an entry: what it is evidence of, and a graph.  A ``CELL`` in it is a spiking neuron that the backend takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.explain.probes.battery import DT
from harness.graphs import Graph, Node

JOIN = "join"
"""Stands among the primitives for several edges into one node."""

CELL = "cell"

Cell = Callable[[int], Node]
Edge = tuple[str, str]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Structural:
    """A graph whose outputs show how a backend runs a primitive, or a join.

    kind : the primitive, or JOIN
    nodes : by name; CELL stands for a neuron of as many elements as ``width`` says
    edges : with ``input`` and ``output``
    shape, to : of one sample, going in and coming out
    """

    name: str
    kind: str
    nodes: Mapping[str, Node | str]
    edges: tuple[Edge, ...]
    shape: Shape
    to: Shape
    width: int = 3

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
            raise ValueError(f"{self.name}: needs a neuron")
        made = {"input": _node("Input", shape=self.shape), "output": _node("Output", shape=self.to)}
        for name, each in self.nodes.items():
            if isinstance(each, Node):
                spikes = any(self.nodes.get(source) == CELL for source, target in self.edges if target == name)
                made[name] = _stronger(each, gain if spikes else 1.0, gain)
            elif cell is not None:
                made[name] = cell(self.width)
        return Graph(made, self.edges)


def _stronger(node: Node, weight: float, bias: float) -> Node:
    """A node with its weights and its bias multiplied."""
    factors = {"weight": np.float32(weight), "bias": np.float32(bias)}
    return Node(node.kind, {name: value * factors[name] if name in factors else value for name, value in node.params.items()})


def _node(kind: str, **params: Any) -> Node:
    arrays: dict[str, Any] = {name: value if isinstance(value, str) else np.asarray(value) for name, value in params.items()}
    return Node(kind, arrays)


def _path(name: str, kind: str, nodes: tuple[Node | str, ...], shape: Shape, to: Shape) -> Structural:
    named = {f"n{number}": each for number, each in enumerate(nodes)}
    return Structural(name, kind, named, tuple(itertools.pairwise(["input", *named, "output"])), shape, to)


def _weight(*shape: int) -> Any:
    """Weights without symmetry, the same at every call."""
    return np.random.default_rng(shape).normal(0.2, 1.0, shape).astype(np.float32)


def _dense(out: int, into: int) -> Node:
    return _node("Linear", weight=_weight(out, into))


def _conv(weight: Shape, size: Shape, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Node:
    """A convolution that says the size of its input, without which nir 1.0.8 does not read it."""
    dimensions = len(size)

    def each(value: Any) -> Any:
        if isinstance(value, str):
            return value
        return value if dimensions == 1 else np.broadcast_to(value, (dimensions,)).copy()

    return _node(
        f"Conv{dimensions}d",
        weight=_weight(*weight),
        bias=_weight(weight[0]),
        stride=each(stride),
        padding=each(padding),
        dilation=each(dilation),
        groups=groups,
        input_shape=size[0] if dimensions == 1 else size,
    )


def _linear() -> list[Structural]:
    affine = _node("Affine", weight=_weight(2, 5), bias=_weight(2))
    square = _node("Affine", weight=_weight(4, 4), bias=_weight(4))
    return [
        _path("3 to 5", "Linear", (_dense(5, 3),), (3,), (5,)),
        _path("square, not symmetric", "Linear", (_dense(4, 4),), (4,), (4,)),
        _path("5 to 2", "Affine", (affine,), (5,), (2,)),
        _path("square, not symmetric", "Affine", (square,), (4,), (4,)),
    ]


def _convolutions() -> list[Structural]:
    return [
        _path("stride, padding and dilation", "Conv1d", (_conv((3, 2, 3), (11,), 2, 1, 2),), (2, 11), (3, 5)),
        _path("padding 'same'", "Conv1d", (_conv((3, 2, 4), (9,), padding="same"),), (2, 9), (3, 9)),
        _path("in groups", "Conv1d", (_conv((4, 2, 3), (9,), groups=2),), (4, 9), (4, 7)),
        _path(
            "stride, padding and dilation",
            "Conv2d",
            (_conv((3, 2, 3, 3), (7, 6), (2, 1), (1, 2), (1, 2)),),
            (2, 7, 6),
            (3, 4, 6),
        ),
        _path("a kernel that is not square", "Conv2d", (_conv((3, 2, 3, 2), (6, 5)),), (2, 6, 5), (3, 4, 4)),
        _path("padding 'same'", "Conv2d", (_conv((3, 2, 4, 3), (6, 5), padding="same"),), (2, 6, 5), (3, 6, 5)),
        _path("in groups", "Conv2d", (_conv((4, 2, 3, 3), (6, 5), groups=2),), (4, 6, 5), (4, 4, 3)),
        _path("a kernel for each channel", "Conv2d", (_conv((4, 1, 3, 3), (6, 5), groups=4),), (4, 6, 5), (4, 4, 3)),
    ]


def _pool(kind: str, kernel: Any, stride: Any, padding: Any) -> Node:
    return _node(kind, kernel_size=kernel, stride=stride, padding=padding)


def _pools() -> list[Structural]:
    found: list[Structural] = []
    for kind in ("AvgPool2d", "SumPool2d"):
        plain = _pool(kind, [2, 2], [2, 2], [0, 0])
        between = (_conv((2, 2, 3, 3), (6, 4), padding=1), plain, _conv((3, 2, 1, 1), (3, 2)))
        found += [
            _path("alone", kind, (plain,), (2, 6, 4), (2, 3, 2)),
            _path("between two convolutions", kind, between, (2, 6, 4), (3, 3, 2)),
            _path("windows that overlap", kind, (_pool(kind, [3, 2], [1, 2], [0, 0]),), (2, 6, 4), (2, 4, 2)),
            _path("padding", kind, (_pool(kind, [2, 2], [2, 2], [1, 1]),), (2, 6, 4), (2, 4, 3)),
            # The shape is the same without the padding; only the windows move.
            _path("padding that no shape shows", kind, (_pool(kind, [2, 2], [3, 3], [1, 1]),), (2, 5, 5), (2, 2, 2)),
            _path("one number for both dimensions", kind, (_pool(kind, 2, 2, 0),), (2, 6, 4), (2, 3, 2)),
        ]
    return found


def _flattens() -> list[Structural]:
    shape, found = (2, 3, 4), []
    for start, end in itertools.combinations(range(3), 2):
        joined = (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])
        for first, last in itertools.product((start, start - 3), (end, end - 3)):
            node = _node("Flatten", start_dim=first, end_dim=last)
            found.append(_path(f"dims {first} to {last}", "Flatten", (node,), shape, joined))
    return found


def _elementwise() -> list[Structural]:
    """Alone, and between two layers, where a node that is dropped is not missed."""
    scale = _node("Scale", scale=np.array([0.5, -1.5, 3.0], dtype=np.float32))
    threshold = _node("Threshold", threshold=np.array([0.5, 1.0, -0.25], dtype=np.float32))
    delay = _node("Delay", delay=DT * np.array([1.0, 3.0, 0.0]))
    volts, tau = np.zeros(3), np.full(3, 10 * DT)
    resistance = np.array([2.5, 1.5, 3.5])
    leaky = {"r": resistance, "v_leak": volts}
    found = []
    for node in (scale, threshold, delay):
        found.append(_path("alone", node.kind, (node,), (3,), (3,)))
    for node in (
        scale,
        threshold,
        delay,
        _node("I", r=resistance / DT),
        _node("LI", tau=tau, **leaky),
        _node("CubaLI", tau_mem=tau, tau_syn=0.6 * tau, w_in=np.array([1.75, 2.5, 0.75]), **leaky),
    ):
        found.append(_path("between two layers", node.kind, (_dense(3, 4), node, _dense(2, 3)), (4,), (2,)))
    return found


def _joins() -> list[Structural]:
    branches = {"left": _dense(3, 4), "right": _node("Affine", weight=_weight(3, 4) * 2, bias=_weight(3))}
    fan = (("input", "left"), ("input", "right"))
    both: dict[str, Node | str] = {**branches, "one": CELL, "two": CELL}
    spikes = (*fan, ("left", "one"), ("right", "two"))
    onward: dict[str, Node | str] = {"mix": _dense(2, 3)}
    further: dict[str, Node | str] = {"mix": _dense(3, 3), "blend": _node("Linear", weight=_weight(3, 3).T.copy())}
    return [
        Structural(
            "two branches into a layer",
            JOIN,
            branches | onward,
            (*fan, ("left", "mix"), ("right", "mix"), ("mix", "output")),
            (4,),
            (2,),
        ),
        Structural(
            "two branches into a neuron",
            JOIN,
            branches | {"cell": CELL},
            (*fan, ("left", "cell"), ("right", "cell"), ("cell", "output")),
            (4,),
            (3,),
        ),
        Structural(
            "two spiking sources into a layer",
            JOIN,
            both | onward,
            (*spikes, ("one", "mix"), ("two", "mix"), ("mix", "output")),
            (4,),
            (2,),
        ),
        Structural(
            "two spiking sources into a neuron",
            JOIN,
            both | further | {"cell": CELL},
            (*spikes, ("one", "mix"), ("two", "blend"), ("mix", "cell"), ("blend", "cell"), ("cell", "output")),
            (4,),
            (3,),
        ),
        Structural(
            "a skip past a neuron",
            JOIN,
            {"first": _dense(3, 4), "one": CELL, "mix": _dense(3, 3), "skip": _dense(3, 4), "cell": CELL},
            (
                ("input", "first"),
                ("first", "one"),
                ("one", "mix"),
                ("mix", "cell"),
                ("input", "skip"),
                ("skip", "cell"),
                ("cell", "output"),
            ),
            (4,),
            (3,),
        ),
        Structural("two branches into the Output", JOIN, branches, (*fan, ("left", "output"), ("right", "output")), (4,), (3,)),
    ]


STRUCTURAL: tuple[Structural, ...] = (
    *_linear(),
    *_convolutions(),
    *_pools(),
    *_flattens(),
    *_elementwise(),
    *_joins(),
)
