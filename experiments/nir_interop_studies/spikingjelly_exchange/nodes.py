"""Which NIR nodes become SpikingJelly's: the graphs of the study, beside the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nir_interop.graphs import Graph, Node, as_array
from nir_interop_studies.spikingjelly_exchange.bench import DT, Bench, Case
from nir_interop_studies.spikingjelly_exchange.running import taken

LINE, IMAGE, FRAME = (12,), (3, 16), (3, 8, 8)

Numbers = np.random.Generator


@dataclass(frozen=True)
class Spec:
    """A graph around one node; made from seeded numbers.

    modes : the step modes in which it is imported
    """

    name: str
    make: Callable[[Numbers], Graph]
    shape: tuple[int, ...]
    scale: float = 1.0
    modes: tuple[str, ...] = ("s", "m")


def node(kind: str, **params: Any) -> Node:
    """A node; numbers become arrays, text stays text."""
    values: dict[str, Any] = {}
    for name, value in params.items():
        values[name] = value if isinstance(value, str) else as_array(np.asarray(value))
    return Node(kind, values)


def chain(shape: tuple[int, ...], out: tuple[int, ...], *nodes: Node) -> Graph:
    """Input, the nodes one after the other, Output."""
    named = {"input": node("Input", shape=shape), **{f"n{number}": each for number, each in enumerate(nodes)}}
    named["output"] = node("Output", shape=out)
    names = list(named)
    return Graph(named, tuple(pairwise(names)))


def lif(shape: tuple[int, ...], **changed: Any) -> Node:
    """A leaky neuron that all three libraries know: two steps long, r = 1; ``changed`` are its other parameters."""
    values = {"tau": 2 * DT, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | changed
    return node("LIF", **{name: np.broadcast_to(np.asarray(value, float), shape).copy() for name, value in values.items()})


def if_(shape: tuple[int, ...], **changed: Any) -> Node:
    """An integrator with r = 1 / dt."""
    values = {"r": 1 / DT, "v_threshold": 1.0, "v_reset": 0.0} | changed
    return node("IF", **{name: np.broadcast_to(np.asarray(value, float), shape).copy() for name, value in values.items()})


def cuba(shape: tuple[int, ...], synapse: float = 2.0, membrane: float = 4.0, **changed: Any) -> Node:
    """A current-based neuron with time constants in steps, and the gains that SpikingJelly has words for."""
    values = {
        "tau_syn": synapse * DT, "tau_mem": membrane * DT, "r": membrane, "w_in": synapse,
        "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0,
    } | changed  # fmt: skip
    return node("CubaLIF", **{name: np.broadcast_to(np.asarray(value, float), shape).copy() for name, value in values.items()})


def weights(numbers: Numbers, *shape: int, gain: float = 2.5) -> np.ndarray[Any, Any]:
    """Gaussian weights, as float32."""
    return numbers.normal(0.0, gain / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)


def biases(numbers: Numbers, size: int) -> np.ndarray[Any, Any]:
    """Gaussian biases, as float32."""
    return numbers.normal(0.2, 0.2, size).astype(np.float32)


def affine(numbers: Numbers, out: int = 20, into: int = 12) -> Node:
    """A dense layer with biases."""
    return node("Affine", weight=weights(numbers, out, into), bias=biases(numbers, out))


def _dense(make: Callable[[], Node]) -> Callable[[Numbers], Graph]:
    return lambda numbers: chain(LINE, (20,), affine(numbers), make())


def _convolution(
    shape: tuple[int, ...], out: tuple[int, ...], kernel: tuple[int, ...], **options: Any
) -> Callable[[Numbers], Graph]:
    def make(numbers: Numbers) -> Graph:
        given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
        sized = {
            name: value if isinstance(value, (str, tuple)) or name == "groups" or len(kernel) == 1 else (value,) * len(kernel)
            for name, value in given.items()
        }
        where = shape[1] if len(kernel) == 1 else shape[1:]
        first = node(
            f"Conv{len(kernel)}d", input_shape=where, weight=weights(numbers, 5, 3, *kernel), bias=biases(numbers, 5), **sized
        )
        return chain(shape, out, first, lif(out))

    return make


def _pool(out: tuple[int, ...], kernel: Any, stride: Any, padding: Any) -> Callable[[Numbers], Graph]:
    return lambda numbers: chain(
        FRAME, out, node("AvgPool2d", kernel_size=kernel, stride=stride, padding=padding), lif(out)
    )  # fmt: skip


def _flatten(out: tuple[int, ...], start: int, end: int) -> Callable[[Numbers], Graph]:
    return lambda numbers: chain(
        FRAME, out, node("Flatten", start_dim=start, end_dim=end, input_type=FRAME), lif(out)
    )  # fmt: skip


def recurrent(back: Callable[[Numbers], Node]) -> Callable[[Numbers], Graph]:
    """A leaky layer that feeds itself through ``back``."""

    def make(numbers: Numbers) -> Graph:
        graph = chain(LINE, (20,), affine(numbers), lif((20,)))
        return Graph({**graph.nodes, "back": back(numbers)}, (*graph.edges, ("n1", "back"), ("back", "n1")))

    return make


def _mutual(first: str, second: str, *, directly: bool) -> Callable[[Numbers], Graph]:
    """Two leaky layers that feed each other, through weights or directly, both fed from outside; the first gives the output."""

    def make(numbers: Numbers) -> Graph:
        nodes = {
            "input": node("Input", shape=LINE), "in1": affine(numbers), "in2": affine(numbers),
            first: lif((20,)), second: lif((20,)), "output": node("Output", shape=(20,)),
        }  # fmt: skip
        edges = [("input", "in1"), ("input", "in2"), ("in1", first), ("in2", second), (first, "output")]
        if directly:
            return Graph(nodes, (*edges, (first, second), (second, first)))
        between = {"to_second": _linear(numbers), "to_first": _linear(numbers)}
        around = ((first, "to_second"), ("to_second", second), (second, "to_first"), ("to_first", first))
        return Graph({**nodes, **between}, (*edges, *around))

    return make


def _linear(numbers: Numbers) -> Node:
    return node("Linear", weight=weights(numbers, 20, 20))


_LINEAR = Spec(
    "12 to 20", lambda numbers: chain(LINE, (20,), node("Linear", weight=weights(numbers, 20, 12)), lif((20,))), LINE
)
_CYCLE = ("s",)

SPECS: Mapping[str, tuple[Spec, ...]] = {
    "import nir.Linear": (_LINEAR,),
    "import nir.Affine": (Spec("12 to 20", _dense(lambda: lif((20,))), LINE),),
    "import nir.Conv1d": (
        Spec("plain", _convolution(IMAGE, (5, 14), (3,)), IMAGE),
        Spec("stride 2, padding 2, dilation 2", _convolution(IMAGE, (5, 8), (3,), stride=2, padding=2, dilation=2), IMAGE),
        Spec("padding 'same'", _convolution(IMAGE, (5, 16), (3,), padding="same"), IMAGE),
        Spec("padding 'valid'", _convolution(IMAGE, (5, 14), (3,), padding="valid"), IMAGE),
    ),
    "import nir.Conv2d": (
        Spec("plain", _convolution(FRAME, (5, 6, 6), (3, 3)), FRAME),
        Spec("stride 2, padding 2, dilation 2", _convolution(FRAME, (5, 4, 4), (3, 3), stride=2, padding=2, dilation=2), FRAME),
        Spec("padding 'same'", _convolution(FRAME, (5, 8, 8), (3, 3), padding="same"), FRAME),
        Spec("kernel 3×2", _convolution(FRAME, (5, 6, 7), (3, 2)), FRAME),
        Spec("kernel 3×2, stride 1×2", _convolution(FRAME, (5, 6, 4), (3, 2), stride=(1, 2)), FRAME),
    ),
    "import nir.AvgPool2d": (
        Spec("2", _pool((3, 4, 4), (2, 2), (2, 2), (0, 0)), FRAME, 4.0),
        Spec("3, stride 2, padding 1", _pool((3, 4, 4), (3, 3), (2, 2), (1, 1)), FRAME, 4.0),
        Spec("2, as plain numbers", _pool((3, 4, 4), 2, 2, 0), FRAME, 4.0),
    ),
    "import nir.Flatten": (
        Spec("0 to -1", _flatten((192,), 0, -1), FRAME, 4.0),
        Spec("1 to -1", _flatten((3, 64), 1, -1), FRAME, 4.0),
        Spec("0 to 1", _flatten((24, 8), 0, 1), FRAME, 4.0),
        Spec("-2 to -1", _flatten((3, 64), -2, -1), FRAME, 4.0),
    ),
    "import nir.IF": (
        Spec("r = 1 / dt", _dense(lambda: if_((20,))), LINE),
        Spec("threshold 0.7", _dense(lambda: if_((20,), v_threshold=0.7)), LINE),
    ),
    "import nir.LIF": (
        Spec("r = 1", _dense(lambda: lif((20,))), LINE),
        Spec("r = tau / dt", _dense(lambda: lif((20,), tau=10 * DT, r=10.0)), LINE),
        Spec("tau 3.7 steps, threshold 0.5", _dense(lambda: lif((20,), tau=3.7 * DT, v_threshold=0.5)), LINE),
    ),
    "import nir.CubaLIF": (
        Spec("2 and 4 steps", _dense(lambda: cuba((20,))), LINE),
        Spec("10 and 5 steps, threshold 3", _dense(lambda: cuba((20,), 10.0, 5.0, v_threshold=3.0)), LINE),
        Spec("1 and 1 step", _dense(lambda: cuba((20,), 1.0, 1.0)), LINE),
    ),
    "import hard reset": (
        Spec("IF, v_reset -0.2", _dense(lambda: if_((20,), v_reset=-0.2)), LINE),
        Spec("LIF, v_reset = v_leak = -0.2", _dense(lambda: lif((20,), v_reset=-0.2, v_leak=-0.2)), LINE),
        Spec("CubaLIF, v_reset -0.2", _dense(lambda: cuba((20,), v_reset=-0.2)), LINE),
    ),
    "import recurrent": (
        Spec("through Linear", recurrent(_linear), LINE, 1.0, _CYCLE),
        Spec("through Affine", recurrent(lambda numbers: affine(numbers, 20, 20)), LINE, 1.0, _CYCLE),
        Spec("two layers through Linear, a and b", _mutual("a", "b", directly=False), LINE, 1.0, _CYCLE),
        Spec("the same two, named b and a", _mutual("b", "a", directly=False), LINE, 1.0, _CYCLE),
        Spec("two layers directly, a and b", _mutual("a", "b", directly=True), LINE, 1.0, _CYCLE),
        Spec("the same two directly, named b and a", _mutual("b", "a", directly=True), LINE, 1.0, _CYCLE),
    ),
}
"""Key of a promise → the graphs that it is tried on."""


def imports(bench: Bench, key: str) -> Iterator[Case]:
    """A promise of conversion: every graph, in the step modes that it is meant for."""
    for spec in SPECS[key]:
        # The two layers under other names have the same numbers: only the names differ.
        what = key if key == "import recurrent" else f"{key} {spec.name}"
        graph = spec.make(bench.numbers(what))
        yield taken(bench, spec.name, graph, bench.stimulus(what, spec.shape, spec.scale), modes=spec.modes)
