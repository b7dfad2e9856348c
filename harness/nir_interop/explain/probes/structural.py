"""Structural probes: graphs without an axis, which a backend runs as NIR says or does not.

Each is an entry: what it is evidence of, and a graph.  A ``CELL`` in it is a spiking neuron that the backend takes.  They are
of stateless primitives, of elementwise ones between two layers, of other ways to write the same numbers, and of wirings.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nir_interop.explain.probes.battery import DT
from nir_interop.fingerprint import Condition, FlattenDims, Form, Join, Nesting, Outputs, Recurrence, Subject, Wiring, Written
from nir_interop.graphs import Array, Graph, Node, nest
from nir_interop.graphs.primitives import ELEMENTWISE, WHOLE

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
    if_taken : whether it is asked for only where the primitive is taken at all
    inside : name of an inner graph → name in there → name of the node that goes there
    """

    condition: Condition
    subject: Subject
    nodes: Mapping[str, Node | str]
    edges: tuple[Edge, ...]
    shape: Shape
    to: Shape
    width: int = 3
    if_taken: bool = False
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


def _conv(kernel: Shape, size: Shape, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Node:
    """A convolution that says the size of its input, without which nir 1.0.8 does not read it."""
    dimensions = len(size)

    def each(value: Any) -> Any:
        if isinstance(value, str):
            return value
        return value if dimensions == 1 else np.broadcast_to(value, (dimensions,)).copy()

    return node(
        f"Conv{dimensions}d",
        weight=weight(*kernel),
        bias=weight(kernel[0]),
        stride=each(stride),
        padding=each(padding),
        dilation=each(dilation),
        groups=groups,
        input_shape=size[0] if dimensions == 1 else size,
    )


def _linear() -> list[Structural]:
    affine = node("Affine", weight=weight(2, 5), bias=weight(2))
    square = node("Affine", weight=weight(4, 4), bias=weight(4))
    return [
        path(Form.WIDENING, "Linear", (dense(5, 3),), (3,), (5,)),
        path(Form.SQUARE, "Linear", (dense(4, 4),), (4,), (4,)),
        path(Form.NARROWING, "Affine", (affine,), (5,), (2,)),
        path(Form.SQUARE, "Affine", (square,), (4,), (4,)),
    ]


def _convolutions() -> list[Structural]:
    return [
        path(Form.STRIDED_PADDED_DILATED, "Conv1d", (_conv((3, 2, 3), (11,), 2, 1, 2),), (2, 11), (3, 5)),
        path(Form.PADDING_SAME, "Conv1d", (_conv((3, 2, 4), (9,), padding="same"),), (2, 9), (3, 9)),
        path(Form.GROUPS, "Conv1d", (_conv((4, 2, 3), (9,), groups=2),), (4, 9), (4, 7)),
        path(
            Form.STRIDED_PADDED_DILATED,
            "Conv2d",
            (_conv((3, 2, 3, 3), (7, 6), (2, 1), (1, 2), (1, 2)),),
            (2, 7, 6),
            (3, 4, 6),
        ),
        path(Form.KERNEL_NOT_SQUARE, "Conv2d", (_conv((3, 2, 3, 2), (6, 5)),), (2, 6, 5), (3, 4, 4)),
        path(Form.PADDING_SAME, "Conv2d", (_conv((3, 2, 4, 3), (6, 5), padding="same"),), (2, 6, 5), (3, 6, 5)),
        path(Form.GROUPS, "Conv2d", (_conv((4, 2, 3, 3), (6, 5), groups=2),), (4, 6, 5), (4, 4, 3)),
        path(Form.DEPTHWISE, "Conv2d", (_conv((4, 1, 3, 3), (6, 5), groups=4),), (4, 6, 5), (4, 4, 3)),
    ]


def _pool(kind: str, kernel: Any, stride: Any, padding: Any) -> Node:
    return node(kind, kernel_size=kernel, stride=stride, padding=padding)


def _pools() -> list[Structural]:
    found: list[Structural] = []
    for kind in ("AvgPool2d", "SumPool2d"):
        plain = _pool(kind, [2, 2], [2, 2], [0, 0])
        between = (_conv((2, 2, 3, 3), (6, 4), padding=1), plain, _conv((3, 2, 1, 1), (3, 2)))
        found += [
            path(Form.ALONE, kind, (plain,), (2, 6, 4), (2, 3, 2)),
            path(Form.BETWEEN_CONVOLUTIONS, kind, between, (2, 6, 4), (3, 3, 2)),
            path(Form.OVERLAPPING_WINDOWS, kind, (_pool(kind, [3, 2], [1, 2], [0, 0]),), (2, 6, 4), (2, 4, 2)),
            path(Form.PADDING, kind, (_pool(kind, [2, 2], [2, 2], [1, 1]),), (2, 6, 4), (2, 4, 3)),
            # The shape is the same without the padding; only the windows move.
            path(Form.HIDDEN_PADDING, kind, (_pool(kind, [2, 2], [3, 3], [1, 1]),), (2, 5, 5), (2, 2, 2)),
            path(Written.ONE_FOR_BOTH, kind, (_pool(kind, 2, 2, 0),), (2, 6, 4), (2, 3, 2)),
        ]
    return found


def _flattens() -> list[Structural]:
    shape, found = (2, 3, 4), []
    for start, end in itertools.combinations(range(3), 2):
        joined = (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])
        for first, last in itertools.product((start, start - 3), (end, end - 3)):
            flatten = node("Flatten", start_dim=first, end_dim=last)
            found.append(path(FlattenDims(first, last), "Flatten", (flatten,), shape, joined))
    return found


def _elementwise() -> list[Structural]:
    """Alone, and between two layers, where a node that is dropped is not missed."""
    scale = node("Scale", scale=np.array([0.5, -1.5, 3.0], dtype=np.float32))
    threshold = node("Threshold", threshold=np.array([0.5, 1.0, -0.25], dtype=np.float32))
    delay = node("Delay", delay=DT * np.array([1.0, 3.0, 0.0]))
    volts, tau = np.zeros(3), np.full(3, 10 * DT)
    resistance = np.array([2.5, 1.5, 3.5])
    leaky = {"r": resistance, "v_leak": volts}
    found = []
    for each in (scale, threshold, delay):
        found.append(path(Form.ALONE, each.kind, (each,), (3,), (3,)))
    for each in (
        scale,
        threshold,
        delay,
        node("I", r=resistance / DT),
        node("LI", tau=tau, **leaky),
        node("CubaLI", tau_mem=tau, tau_syn=0.6 * tau, w_in=np.array([1.75, 2.5, 0.75]), **leaky),
    ):
        found.append(path(Form.BETWEEN_LAYERS, each.kind, (dense(3, 4), each, dense(2, 3)), (4,), (2,)))
    return found


NODES: tuple[Structural, ...] = (*_linear(), *_convolutions(), *_pools(), *_flattens(), *_elementwise())


_Values = Callable[[Array], Array]


def _whole(values: Array) -> Array:
    return values.astype(np.int64) if (values == np.floor(values)).all() else values


_WAYS: Mapping[Written, _Values] = {
    Written.ONE_NUMBER: lambda values: values.reshape(-1)[:1].reshape(()),
    Written.ARRAY_OF_ONE: lambda values: values.reshape(-1)[:1],
    Written.INTEGERS: _whole,
    Written.BOOLEANS: lambda values: values.astype(bool),
    Written.HALF: lambda values: values.astype(np.float16),
    Written.DOUBLE: lambda values: values.astype(np.float64),
}

OF_NEURONS = (Written.ONE_NUMBER, Written.ARRAY_OF_ONE, Written.INTEGERS, Written.HALF, Written.DOUBLE)
"""Ways of writing a neuron's parameters, all of them at once."""


def written(node: Node, way: Written, *names: str) -> Node:
    """A node with parameters written in another way: those named, else all that are not whole numbers by their meaning."""
    chosen = names or tuple(name for name in node.params if name not in WHOLE)
    return Node(node.kind, {name: _WAYS[way](each) if name in chosen else each for name, each in node.params.items()})


def _ways(kind: str, shape: Shape, to: Shape, **params: Any) -> Iterator[Structural]:
    """The same primitive in all ways that there are for it; its numbers are integers, or 0 and 1."""
    plain = node(kind, **params)
    ways: list[tuple[Written, tuple[str, ...]]] = [(Written.INTEGERS, ()), (Written.HALF, ()), (Written.DOUBLE, ())]
    if kind in ELEMENTWISE:
        ways += [(Written.ONE_NUMBER, ()), (Written.ARRAY_OF_ONE, ())]
    elif "bias" in params:
        ways += [(Written.ONE_NUMBER, ("bias",)), (Written.ARRAY_OF_ONE, ("bias",))]
    for way, names in ways:
        yield path(way, kind, (written(plain, way, *names),), shape, to)
    if "weight" in params:
        positive = node(kind, **params | {"weight": params["weight"] > 0})
        yield path(Written.BOOLEANS, kind, (written(positive, Written.BOOLEANS, "weight"),), shape, to)


def _integers(*shape: int) -> Array:
    return np.asarray(np.rint(2 * weight(*shape)), dtype=np.float32)


def _probes() -> Iterator[Structural]:
    line = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "input_shape": 6}
    plane = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "input_shape": [5, 5]}
    same = np.full(2, 2.0, dtype=np.float32)
    yield from _ways("Linear", (3,), (4,), weight=_integers(4, 3))
    yield from _ways("Affine", (3,), (2,), weight=_integers(2, 3), bias=same)
    yield from _ways("Conv1d", (2, 6), (2, 4), weight=_integers(2, 2, 3), bias=same, **line)
    yield from _ways("Conv2d", (2, 5, 5), (2, 3, 3), weight=_integers(2, 2, 3, 3), bias=same, **plane)
    bias, few = _integers(2), {"stride": 1, "padding": 0, "dilation": 1}
    single = {name: [value] for name, value in few.items()}
    square, row = {"weight": _integers(2, 2, 3, 3), "bias": bias}, {"weight": _integers(2, 2, 3), "bias": bias}
    yield path(Written.ONE_FOR_BOTH, "Conv2d", (node("Conv2d", **square, **(plane | few)),), (2, 5, 5), (2, 3, 3))
    yield path(Written.ARRAY_FOR_LENGTH, "Conv1d", (node("Conv1d", **row, **(line | single)),), (2, 6), (2, 4))
    yield from _ways("Scale", (3,), (3,), scale=np.full(3, 2.0, dtype=np.float32))
    yield from _ways("Threshold", (3,), (3,), threshold=np.full(3, 1.0, dtype=np.float32))
    yield from _ways("Delay", (3,), (3,), delay=np.zeros(3, dtype=np.float32))


WRITINGS: tuple[Structural, ...] = tuple(replace(probe, if_taken=True) for probe in _probes())


def _joins() -> list[Structural]:
    branches = {"left": dense(3, 4), "right": node("Affine", weight=weight(3, 4) * 2, bias=weight(3))}
    fan = (("input", "left"), ("input", "right"))
    both: dict[str, Node | str] = {**branches, "one": CELL, "two": CELL}
    spikes = (*fan, ("left", "one"), ("right", "two"))
    onward: dict[str, Node | str] = {"mix": dense(2, 3)}
    further: dict[str, Node | str] = {"mix": dense(3, 3), "blend": node("Linear", weight=weight(3, 3).T.copy())}
    return [
        Structural(
            Join.BRANCHES_INTO_LAYER,
            Wiring.JOIN,
            branches | onward,
            (*fan, ("left", "mix"), ("right", "mix"), ("mix", "output")),
            (4,),
            (2,),
        ),
        Structural(
            Join.BRANCHES_INTO_NEURON,
            Wiring.JOIN,
            branches | {"cell": CELL},
            (*fan, ("left", "cell"), ("right", "cell"), ("cell", "output")),
            (4,),
            (3,),
        ),
        Structural(
            Join.SPIKES_INTO_LAYER,
            Wiring.JOIN,
            both | onward,
            (*spikes, ("one", "mix"), ("two", "mix"), ("mix", "output")),
            (4,),
            (2,),
        ),
        Structural(
            Join.SPIKES_INTO_NEURON,
            Wiring.JOIN,
            both | further | {"cell": CELL},
            (*spikes, ("one", "mix"), ("two", "blend"), ("mix", "cell"), ("blend", "cell"), ("cell", "output")),
            (4,),
            (3,),
        ),
        Structural(
            Join.SKIP,
            Wiring.JOIN,
            {"first": dense(3, 4), "one": CELL, "mix": dense(3, 3), "skip": dense(3, 4), "cell": CELL},
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
        Structural(
            Join.BRANCHES_INTO_OUTPUT, Wiring.JOIN, branches, (*fan, ("left", "output"), ("right", "output")), (4,), (3,)
        ),
    ]


def _recurrences() -> list[Structural]:
    first: dict[str, Node | str] = {"into": dense(3, 4), "one": CELL, "again": node("Linear", weight=weight(3, 3))}
    once = (("input", "into"), ("into", "one"), ("one", "again"), ("again", "one"))
    second: dict[str, Node | str] = {"mix": dense(3, 3), "two": CELL, "anew": node("Linear", weight=weight(3, 3).T.copy())}
    last = (*once[:2], ("one", "mix"), ("mix", "output"), *once[2:])
    onward = (("one", "mix"), ("mix", "two"), ("two", "anew"), ("anew", "two"), ("two", "output"))
    return [
        Structural(Recurrence.ONE_LAYER, Wiring.RECURRENCE, first, (*once, ("one", "output")), (4,), (3,)),
        Structural(Recurrence.TWO_LAYERS, Wiring.RECURRENCE, first | second, (*once, *onward), (4,), (3,)),
        Structural(Recurrence.FEEDBACK_LISTED_LAST, Wiring.RECURRENCE, first | {"mix": dense(2, 3)}, last, (4,), (2,)),
        _called(Recurrence.SOURCE_BEFORE_INPUT, Wiring.RECURRENCE, {"into": "before"}),
    ]


def _called(condition: Condition, subject: Wiring, other: Mapping[str, str], inside: str = "") -> Structural:
    """Weights, and a layer that feeds itself behind them, some under other names; the layer in a graph of its own or not."""
    nodes: dict[str, Node | str] = {"into": dense(3, 4), "one": CELL, "again": node("Linear", weight=weight(3, 3))}
    edges = (("input", "into"), ("into", "one"), ("one", "again"), ("again", "one"), ("one", "output"))

    def to(each: str) -> str:
        return other.get(each, each)

    return Structural(
        condition,
        subject,
        {to(each): one for each, one in nodes.items()},
        tuple((to(source), to(target)) for source, target in edges),
        (4,),
        (3,),
        inside={inside: {"lif": "one", "w_rec": "again"}} if inside else {},
    )


def _nesting() -> list[Structural]:
    layer: dict[str, Node | str] = {"into": dense(3, 4), "mix": dense(3, 3), "one": CELL}
    path = (("input", "into"), ("into", "mix"), ("mix", "one"), ("one", "output"))
    back = (("input", "second"), ("second", "first"), ("first", "again"), ("again", "output"))
    return [
        Structural(Nesting.LAYER, Wiring.NESTING, layer, path, (4,), (3,), inside={"layer": {"mix": "mix", "lif": "one"}}),
        _called(Nesting.RECURRENCE, Wiring.NESTING, {}, "layer"),
        _called(Nesting.RECURRENCE_BEFORE_SOURCE, Wiring.NESTING, {"into": "weights"}, "layer"),
        Structural(
            Nesting.LAYERS_AGAINST_ORDER,
            Wiring.NESTING,
            {"second": dense(3, 4), "first": CELL, "again": dense(3, 3)},
            back,
            (4,),
            (3,),
        ),
    ]


def _outputs() -> list[Structural]:
    apart: dict[str, Node | str] = {"left": dense(3, 4), "right": dense(2, 4), "second": node("Output", shape=(2,))}
    edges = (("input", "left"), ("input", "right"), ("left", "output"), ("right", "second"))
    chain: dict[str, Node | str] = {"left": dense(3, 4), "right": dense(2, 3), "second": node("Output", shape=(2,))}
    on = (("input", "left"), ("left", "right"), ("left", "output"), ("right", "second"))
    return [
        Structural(Outputs.BRANCHES, Wiring.SEVERAL_OUTPUTS, apart, edges, (4,), (3,)),
        Structural(Outputs.HALFWAY, Wiring.SEVERAL_OUTPUTS, chain, on, (4,), (3,)),
    ]


WIRING: tuple[Structural, ...] = (*_joins(), *_recurrences(), *_nesting(), *_outputs())
