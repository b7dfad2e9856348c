"""Which NIR nodes become SpikingJelly's: the graphs of the study, beside the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from nir_interop.conformance.primitives.cases import Shape, chain, node, wired
from nir_interop.graphs import Graph, Node
from nir_interop.graphs.shapes import output_shape
from nir_interop_studies.spikingjelly_exchange.bench import DT, Bench, Numbers, Trial, biases, weights
from nir_interop_studies.spikingjelly_exchange.running import taken

LINE, IMAGE, FRAME = (12,), (3, 16), (3, 8, 8)
"""Shapes of a sample: for dense layers, convolutions in one dimension, all else."""
SIZE = 20
"""Neurons behind a dense layer."""
RECURRENT = "import recurrent"

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


def _neuron(kind: str, shape: Shape, values: dict[str, Any]) -> Node:
    shared = {"v_threshold": 1.0, "v_reset": 0.0} | values
    return node(kind, **{name: np.broadcast_to(np.asarray(value, float), shape).copy() for name, value in shared.items()})


def lif(shape: Shape = (SIZE,), **changed: Any) -> Node:
    """A leaky neuron that all three libraries know: two steps long, r = 1; ``changed`` are its other parameters."""
    return _neuron("LIF", shape, {"tau": 2 * DT, "r": 1.0, "v_leak": 0.0} | changed)


def if_(**changed: Any) -> Node:
    """An integrator with r = 1 / dt."""
    return _neuron("IF", (SIZE,), {"r": 1 / DT} | changed)


def cuba(synapse: float = 2.0, membrane: float = 4.0, **changed: Any) -> Node:
    """A current-based neuron with time constants in steps, and the gains that SpikingJelly has words for."""
    times = {"tau_syn": synapse * DT, "tau_mem": membrane * DT, "r": membrane, "w_in": synapse}
    return _neuron("CubaLIF", (SIZE,), times | {"v_leak": 0.0} | changed)


def linear(numbers: Numbers, into: int = SIZE) -> Node:
    """A dense layer without biases."""
    return node("Linear", weight=weights(numbers, SIZE, into))


def affine(numbers: Numbers, into: int = LINE[0]) -> Node:
    """A dense layer with biases."""
    return node("Affine", weight=weights(numbers, SIZE, into), bias=biases(numbers, SIZE))


def dense(neuron: Node, layer: MakeNode = affine) -> MakeGraph:
    """Neurons behind a dense layer."""
    return lambda numbers: chain(LINE, layer(numbers), neuron)


def before_lif(shape: Shape, layer: Node) -> Graph:
    """Leaky neurons behind a layer."""
    return chain(shape, layer, lif(output_shape(layer, shape)))


def _convolution(shape: Shape, *kernel: int, **options: Any) -> MakeGraph:
    """One number in ``options`` stands for all dimensions of the kernel."""
    given = {"stride": 1, "padding": 0, "dilation": 1} | options
    if len(kernel) > 1:
        given = {name: (value,) * len(kernel) if isinstance(value, int) else value for name, value in given.items()}
    where = shape[1:] if len(kernel) > 1 else shape[1]

    def make(numbers: Numbers) -> Graph:
        weight, bias = weights(numbers, 5, 3, *kernel), biases(numbers, 5)
        return before_lif(
            shape, node(f"Conv{len(kernel)}d", input_shape=where, weight=weight, bias=bias, **given, groups=1)
        )  # fmt: skip

    return make


def _pool(kernel: Any, stride: Any, padding: Any) -> MakeGraph:
    return lambda _: before_lif(FRAME, node("AvgPool2d", kernel_size=kernel, stride=stride, padding=padding))


def _flatten(start: int, end: int) -> MakeGraph:
    return lambda _: before_lif(FRAME, node("Flatten", start_dim=start, end_dim=end, input_type=FRAME))


def recurrent(back: MakeNode) -> MakeGraph:
    """A leaky layer that feeds itself through ``back``."""

    def make(numbers: Numbers) -> Graph:
        graph = chain(LINE, affine(numbers), lif())
        return Graph({**graph.nodes, "back": back(numbers)}, (*graph.edges, *pairwise(("n1", "back", "n1"))))

    return make


def _mutual(first: str, second: str, *, directly: bool) -> MakeGraph:
    """Two leaky layers that feed each other, through weights or directly, both fed from outside; the first gives the output."""

    def make(numbers: Numbers) -> Graph:
        nodes = {"in1": affine(numbers), "in2": affine(numbers), first: lif(), second: lif()}
        edges = [("input", "in1"), ("input", "in2"), ("in1", first), ("in2", second), (first, "output")]
        between = {} if directly else {"to_second": linear(numbers), "to_first": linear(numbers)}
        around = (first, second, first) if directly else (first, "to_second", second, "to_first", first)
        return wired({**nodes, **between}, (*edges, *pairwise(around)), LINE, output=(SIZE,))

    return make


SPECS = (
    Spec("import nir.Linear", "12 to 20", dense(lif(), partial(linear, into=12))),
    Spec("import nir.Affine", "12 to 20", dense(lif())),
    Spec("import nir.Conv1d", "plain", _convolution(IMAGE, 3)),
    Spec("import nir.Conv1d", "stride 2, padding 2, dilation 2", _convolution(IMAGE, 3, stride=2, padding=2, dilation=2)),
    Spec("import nir.Conv1d", "padding 'same'", _convolution(IMAGE, 3, padding="same")),
    Spec("import nir.Conv1d", "padding 'valid'", _convolution(IMAGE, 3, padding="valid")),
    Spec("import nir.Conv2d", "plain", _convolution(FRAME, 3, 3)),
    Spec("import nir.Conv2d", "stride 2, padding 2, dilation 2", _convolution(FRAME, 3, 3, stride=2, padding=2, dilation=2)),
    Spec("import nir.Conv2d", "padding 'same'", _convolution(FRAME, 3, 3, padding="same")),
    Spec("import nir.Conv2d", "kernel 3×2", _convolution(FRAME, 3, 2)),
    Spec("import nir.Conv2d", "kernel 3×2, stride 1×2", _convolution(FRAME, 3, 2, stride=(1, 2))),
    Spec("import nir.AvgPool2d", "2", _pool((2, 2), (2, 2), (0, 0)), 4.0),
    Spec("import nir.AvgPool2d", "3, stride 2, padding 1", _pool((3, 3), (2, 2), (1, 1)), 4.0),
    Spec("import nir.AvgPool2d", "2, as plain numbers", _pool(2, 2, 0), 4.0),
    Spec("import nir.Flatten", "0 to -1", _flatten(0, -1), 4.0),
    Spec("import nir.Flatten", "1 to -1", _flatten(1, -1), 4.0),
    Spec("import nir.Flatten", "0 to 1", _flatten(0, 1), 4.0),
    Spec("import nir.Flatten", "-2 to -1", _flatten(-2, -1), 4.0),
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
    Spec(RECURRENT, "through Affine", recurrent(partial(affine, into=SIZE))),
    Spec(RECURRENT, "two layers through Linear, a and b", _mutual("a", "b", directly=False)),
    Spec(RECURRENT, "the same two, named b and a", _mutual("b", "a", directly=False)),
    Spec(RECURRENT, "two layers directly, a and b", _mutual("a", "b", directly=True)),
    Spec(RECURRENT, "the same two directly, named b and a", _mutual("b", "a", directly=True)),
)


def imports(bench: Bench, promise: str) -> Iterator[Trial]:
    """A promise of conversion: every graph, in both step modes, with a cycle in the one that is promised."""
    for spec in (each for each in SPECS if each.promise == promise):
        # The two layers under other names have the same numbers: only the names differ.
        what = promise if promise == RECURRENT else f"{promise} {spec.name}"
        graph = spec.make(bench.numbers(what))
        shape = next(tuple(each["shape"]) for _, each in graph.primitives() if each.kind == "Input")
        modes = ("s",) if promise == RECURRENT else ("s", "m")
        yield taken(bench, spec.name, graph, bench.stimulus(what, shape, spec.scale), modes=modes)
