"""Which NIR nodes become SpikingJelly's: the graphs of the study, beside the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, cast

import numpy as np

from nir_interop.graphs import Graph, Node, as_array
from nir_interop_studies.spikingjelly_exchange.bench import DT, Bench, Numbers, Trial, biases, weights
from nir_interop_studies.spikingjelly_exchange.running import taken

LINE, IMAGE, FRAME = (12,), (3, 16), (3, 8, 8)
DENSE = (20,)
"""Shape of the neurons behind a dense layer."""

RECURRENT = "import recurrent"

Shape = tuple[int, ...]
MakeNode = Callable[[Numbers], Node]
MakeGraph = Callable[[Numbers], Graph]


@dataclass(frozen=True)
class Spec:
    """A graph on which a promise is tried; made from seeded numbers.

    scale : the largest input
    """

    promise: str
    name: str
    make: MakeGraph
    scale: float = 1.0


def node(kind: str, **params: Any) -> Node:
    """A node; numbers become arrays, text stays text."""
    values = {name: value if isinstance(value, str) else as_array(np.asarray(value)) for name, value in params.items()}
    return Node(kind, cast(Any, values))


def chain(shape: Shape, out: Shape, *nodes: Node) -> Graph:
    """Input, the nodes one after the other, Output."""
    named = {"input": node("Input", shape=shape), **{f"n{number}": each for number, each in enumerate(nodes)}}
    named["output"] = node("Output", shape=out)
    return Graph(named, tuple(pairwise(named)))


def _neuron(kind: str, shape: Shape, values: Mapping[str, Any]) -> Node:
    return node(kind, **{name: np.broadcast_to(np.asarray(value, float), shape).copy() for name, value in values.items()})


def lif(shape: Shape = DENSE, **changed: Any) -> Node:
    """A leaky neuron that all three libraries know: two steps long, r = 1; ``changed`` are its other parameters."""
    return _neuron("LIF", shape, {"tau": 2 * DT, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | changed)


def if_(**changed: Any) -> Node:
    """An integrator with r = 1 / dt."""
    return _neuron("IF", DENSE, {"r": 1 / DT, "v_threshold": 1.0, "v_reset": 0.0} | changed)


def cuba(synapse: float = 2.0, membrane: float = 4.0, **changed: Any) -> Node:
    """A current-based neuron with time constants in steps, and the gains that SpikingJelly has words for."""
    times = {"tau_syn": synapse * DT, "tau_mem": membrane * DT, "r": membrane, "w_in": synapse}
    return _neuron("CubaLIF", DENSE, times | {"v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | changed)


def linear(numbers: Numbers, into: int = 20) -> Node:
    """A dense layer without biases, to 20 neurons."""
    return node("Linear", weight=weights(numbers, 20, into))


def affine(numbers: Numbers, into: int = 12) -> Node:
    """A dense layer with biases, to 20 neurons."""
    return node("Affine", weight=weights(numbers, 20, into), bias=biases(numbers, 20))


def dense(neuron: Node, layer: MakeNode = affine) -> MakeGraph:
    """Neurons behind a dense layer."""
    return lambda numbers: chain(LINE, DENSE, layer(numbers), neuron)


def convolution(shape: Shape, out: Shape, *kernel: int, **options: Any) -> MakeGraph:
    """Leaky neurons behind a convolution; one number in ``options`` stands for all dimensions of the kernel."""

    def sized(value: Any) -> Any:
        return (value,) * len(kernel) if isinstance(value, int) and len(kernel) > 1 else value

    def make(numbers: Numbers) -> Graph:
        given = {name: sized(value) for name, value in ({"stride": 1, "padding": 0, "dilation": 1} | options).items()}
        where = shape[1:] if len(kernel) > 1 else shape[1]
        weight, bias = weights(numbers, 5, 3, *kernel), biases(numbers, 5)
        first = node(f"Conv{len(kernel)}d", input_shape=where, weight=weight, bias=bias, **given, groups=1)
        return chain(shape, out, first, lif(out))

    return make


def _unweighted(out: Shape, kind: str, **params: Any) -> MakeGraph:
    return lambda numbers: chain(FRAME, out, node(kind, **params), lif(out))


def _pool(kernel: Any, stride: Any, padding: Any) -> MakeGraph:
    return _unweighted((3, 4, 4), "AvgPool2d", kernel_size=kernel, stride=stride, padding=padding)


def _flatten(out: Shape, start: int, end: int) -> MakeGraph:
    return _unweighted(out, "Flatten", start_dim=start, end_dim=end, input_type=FRAME)


def recurrent(back: MakeNode) -> MakeGraph:
    """A leaky layer that feeds itself through ``back``."""

    def make(numbers: Numbers) -> Graph:
        graph = chain(LINE, DENSE, affine(numbers), lif())
        return Graph({**graph.nodes, "back": back(numbers)}, (*graph.edges, ("n1", "back"), ("back", "n1")))

    return make


def _mutual(first: str, second: str, *, directly: bool) -> MakeGraph:
    """Two leaky layers that feed each other, through weights or directly, both fed from outside; the first gives the output."""

    def make(numbers: Numbers) -> Graph:
        nodes = {
            "input": node("Input", shape=LINE), "in1": affine(numbers), "in2": affine(numbers),
            first: lif(), second: lif(), "output": node("Output", shape=DENSE),
        }  # fmt: skip
        edges = [("input", "in1"), ("input", "in2"), ("in1", first), ("in2", second), (first, "output")]
        if directly:
            return Graph(nodes, (*edges, (first, second), (second, first)))
        between = {"to_second": linear(numbers), "to_first": linear(numbers)}
        return Graph({**nodes, **between}, (*edges, *pairwise((first, "to_second", second, "to_first", first))))

    return make


SPECS = (
    Spec("import nir.Linear", "12 to 20", dense(lif(), partial(linear, into=12))),
    Spec("import nir.Affine", "12 to 20", dense(lif())),
    Spec("import nir.Conv1d", "plain", convolution(IMAGE, (5, 14), 3)),
    Spec(
        "import nir.Conv1d", "stride 2, padding 2, dilation 2",
        convolution(IMAGE, (5, 8), 3, stride=2, padding=2, dilation=2),
    ),
    Spec("import nir.Conv1d", "padding 'same'", convolution(IMAGE, (5, 16), 3, padding="same")),
    Spec("import nir.Conv1d", "padding 'valid'", convolution(IMAGE, (5, 14), 3, padding="valid")),
    Spec("import nir.Conv2d", "plain", convolution(FRAME, (5, 6, 6), 3, 3)),
    Spec(
        "import nir.Conv2d", "stride 2, padding 2, dilation 2",
        convolution(FRAME, (5, 4, 4), 3, 3, stride=2, padding=2, dilation=2),
    ),
    Spec("import nir.Conv2d", "padding 'same'", convolution(FRAME, (5, 8, 8), 3, 3, padding="same")),
    Spec("import nir.Conv2d", "kernel 3×2", convolution(FRAME, (5, 6, 7), 3, 2)),
    Spec("import nir.Conv2d", "kernel 3×2, stride 1×2", convolution(FRAME, (5, 6, 4), 3, 2, stride=(1, 2))),
    Spec("import nir.AvgPool2d", "2", _pool((2, 2), (2, 2), (0, 0)), 4.0),
    Spec("import nir.AvgPool2d", "3, stride 2, padding 1", _pool((3, 3), (2, 2), (1, 1)), 4.0),
    Spec("import nir.AvgPool2d", "2, as plain numbers", _pool(2, 2, 0), 4.0),
    Spec("import nir.Flatten", "0 to -1", _flatten((192,), 0, -1), 4.0),
    Spec("import nir.Flatten", "1 to -1", _flatten((3, 64), 1, -1), 4.0),
    Spec("import nir.Flatten", "0 to 1", _flatten((24, 8), 0, 1), 4.0),
    Spec("import nir.Flatten", "-2 to -1", _flatten((3, 64), -2, -1), 4.0),
    Spec("import nir.IF", "r = 1 / dt", dense(if_())),
    Spec("import nir.IF", "threshold 0.7", dense(if_(v_threshold=0.7))),
    Spec("import nir.LIF", "r = 1", dense(lif())),
    Spec("import nir.LIF", "r = tau / dt", dense(lif(tau=10 * DT, r=10.0))),
    Spec("import nir.LIF", "tau 3.7 steps, threshold 0.5", dense(lif(tau=3.7 * DT, v_threshold=0.5))),
    Spec("import nir.CubaLIF", "2 and 4 steps", dense(cuba())),
    Spec("import nir.CubaLIF", "10 and 5 steps, threshold 3", dense(cuba(10.0, 5.0, v_threshold=3.0))),
    Spec("import nir.CubaLIF", "1 and 1 step", dense(cuba(1.0, 1.0))),
    Spec("import hard reset", "IF, v_reset -0.2", dense(if_(v_reset=-0.2))),
    Spec("import hard reset", "LIF, v_reset = v_leak = -0.2", dense(lif(v_reset=-0.2, v_leak=-0.2))),
    Spec("import hard reset", "CubaLIF, v_reset -0.2", dense(cuba(v_reset=-0.2))),
    Spec(RECURRENT, "through Linear", recurrent(linear)),
    Spec(RECURRENT, "through Affine", recurrent(partial(affine, into=20))),
    Spec(RECURRENT, "two layers through Linear, a and b", _mutual("a", "b", directly=False)),
    Spec(RECURRENT, "the same two, named b and a", _mutual("b", "a", directly=False)),
    Spec(RECURRENT, "two layers directly, a and b", _mutual("a", "b", directly=True)),
    Spec(RECURRENT, "the same two directly, named b and a", _mutual("b", "a", directly=True)),
)  # fmt: skip


def imports(bench: Bench, promise: str) -> Iterator[Trial]:
    """A promise of conversion: every graph, in both step modes, with a cycle in the one that is promised."""
    for spec in (each for each in SPECS if each.promise == promise):
        # The two layers under other names have the same numbers: only the names differ.
        what = promise if promise == RECURRENT else f"{promise} {spec.name}"
        graph = spec.make(bench.numbers(what))
        shape = next(each["shape"] for _, each in graph.primitives() if each.kind == "Input")
        stimulus = bench.stimulus(what, tuple(shape), spec.scale)
        yield taken(bench, spec.name, graph, stimulus, modes=("s",) if promise == RECURRENT else ("s", "m"))
