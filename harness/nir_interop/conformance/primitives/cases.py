"""The cases of the primitive table: small graphs of every NIR primitive and its aspects, their inputs, and what they mean."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import InvalidGraph
from nir_interop.graphs import NEURONS, SPIKING, Graph, Node
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.graphs.shapes import output_shape
from nir_interop.recording import Recording
from nir_interop.reference import simulate

Array = NDArray[Any]
Shape = tuple[int, ...]

SUITE = "1"
"""Version of the cases: another one as soon as any graph, stimulus or expected output changes."""

DT = 1e-4
"""Seconds; one importer always takes this step."""

STEPS, SAMPLES = 30, 6
CANDIDATES = 24
"""Samples of which SAMPLES are kept that no rounding decides."""
GRAZING = 1e-5
"""How much stronger or weaker an input may become, in parts of itself, without another spike."""


@dataclass(frozen=True, eq=False)
class PrimitiveCase:
    r"""One aspect of one primitive.

    primitive : of NIR, or what of the wiring
    graph : with that primitive in it
    shape : of one sample going in
    unit : the input [A] that the neurons are made for; 1 where there are none
    centre, spread : of the input's normal distribution, in units
    dt : seconds
    late : run after all others, since a library may never come back from it
    """

    primitive: str
    aspect: str
    graph: Graph
    shape: Shape
    unit: float = 1.0
    centre: float = 0.4
    spread: float = 1.0
    dt: float = DT
    late: bool = False

    @property
    def slug(self) -> str:
        """A file name of letters, digits, dots and hyphens."""
        text = f"{self.primitive} {self.aspect}".lower().replace("_", "-")
        return re.sub(r"[^a-z0-9.-]+", "-", text).strip("-")

    @property
    def ordered(self) -> bool:
        """Whether it has nodes to put in order: more than one beside the ends."""
        return sum(node.kind not in ("Input", "Output") for node in _all_nodes(self.graph)) > 1

    @cached_property
    def stimulus(self) -> Array:
        r"""Float32 with axes (T, B, \*shape); samples in which rounding could decide over a spike are left out."""
        rng = np.random.default_rng(zlib.crc32(self.slug.encode()))
        spiking = any(node.kind in SPIKING for node in _all_nodes(self.graph))
        drawn = rng.normal(self.centre, self.spread, (STEPS, CANDIDATES if spiking else SAMPLES, *self.shape))
        drawn = (self.unit * drawn).astype(np.float32)
        return drawn[:, self._settled(drawn)][:, :SAMPLES] if spiking else drawn

    def _settled(self, stimulus: Array) -> NDArray[np.bool_]:
        own, *others = (
            simulate(self.graph, stimulus.astype(np.float64) * factor, self.dt).output
            for factor in (1.0, 1 - GRAZING, 1 + GRAZING)
        )
        kept = np.ones(stimulus.shape[1], dtype=bool)
        for other in others:
            close: NDArray[np.bool_] = np.isclose(own, other, rtol=1e-3, atol=1e-3 * float(np.abs(own).max()))
            kept &= close.all(axis=(0, 2))
        return kept

    @cached_property
    def meant(self) -> Recording:
        """What the graph means, in steps of dt and in float64."""
        return simulate(self.graph, self.stimulus, self.dt)

    def without(self) -> Recording | None:
        """What the graph would mean without the primitive's nodes; None where that is no graph."""
        graph = bypassed(self.graph, self.primitive)
        if graph is None:
            return None
        for each in (graph, _reported(graph, self.shape)):
            try:
                return simulate(each, self.stimulus, self.dt)
            except InvalidGraph:
                continue
        return None


def _all_nodes(graph: Graph) -> list[Node]:
    found: list[Node] = []
    for each in graph.nodes.values():
        found += _all_nodes(each) if isinstance(each, Graph) else [each]
    return found


def bypassed(graph: Graph, kind: str) -> Graph | None:
    """The graph with what feeds a primitive's nodes feeding what they feed; None where there are no such nodes."""
    if kind in ("Input", "Output"):
        return None
    names = graph.of_kind(kind)
    edges = list(graph.edges)
    for name in names:
        into = [source for source, target in edges if target == name and source != name]
        out = [target for source, target in edges if source == name and target != name]
        edges = [edge for edge in edges if name not in edge] + list(itertools.product(into, out))
    rest = {name: each for name, each in graph.nodes.items() if name not in names}
    return Graph(rest, tuple(dict.fromkeys(edges))) if names and len(rest) > 1 else None


def _reported(graph: Graph, shape: Shape) -> Graph:
    """With Outputs of the input's shape."""
    ends = {name: node("Output", shape=shape) for name in graph.of_kind("Output")}
    return Graph({**graph.nodes, **ends}, graph.edges)


def node(kind: str, **params: Any) -> Node:
    """A node with its parameters as arrays, text as text."""
    arrays: dict[str, Any] = {name: value if isinstance(value, str) else np.asarray(value) for name, value in params.items()}
    return Node(kind, arrays)


def weight(*shape: int, scale: float = 1.0) -> Array:
    """Weights without symmetry, the same at every call."""
    return (scale * np.random.default_rng(shape).normal(0.2, 1.0, shape)).astype(np.float32)


def linear(out: int, into: int, scale: float = 1.0) -> Node:
    """A Linear layer of such weights."""
    return node("Linear", weight=weight(out, into, scale=scale))


def wired(nodes: Mapping[str, Node | Graph], edges: tuple[tuple[str, str], ...], shape: Shape, **outputs: Shape) -> Graph:
    """A graph with an ``input`` and Outputs by name; with none named, an ``output`` of the input's shape."""
    ends = {name: node("Output", shape=to) for name, to in (outputs or {"output": shape}).items()}
    return Graph({"input": node("Input", shape=shape), **nodes, **ends}, edges)


def chain(shape: Shape, *nodes: Node) -> Graph:
    """Input → n0 → n1 → … → Output, the Output as large as what reaches it."""
    named = {f"n{number}": each for number, each in enumerate(nodes)}
    to = shape
    for each in nodes:
        to = output_shape(each, to)
    return wired(named, tuple(itertools.pairwise(["input", *named, "output"])), shape, output=to)


ONE, MATCHED, OFF = "r = 1", "r = tau/dt", "r off 1 and tau/dt"
"""Where r stands; I and IF, which have no tau, have r = 1/dt for it.  w_in goes with it: 1, tau_syn/dt, 1.75."""

GAINS = (ONE, MATCHED, OFF)
SPREAD = np.array([1.0, 1.75, 0.625])
"""What a heterogeneous parameter is multiplied with, neuron by neuron."""

VARIED: Mapping[str, float] = {"v_leak": 0.375, "v_reset": -0.4375, "v_threshold": 1.375}
"""Parameters off their neutral values [V]."""


def neurons() -> Iterator[PrimitiveCase]:
    """Of each primitive with a membrane."""
    for kind in NEURONS:
        yield from _neuron_cases(kind)


def values_of(kind: str, where: str = MATCHED, dt: float = DT, **changes: float) -> dict[str, float]:
    """A neuron's parameters: r and w_in where they are asked for, the others neutral, time constants of 10 and 6 steps."""
    leaky = kind not in ("I", "IF")
    tau, tau_syn = 10 * dt, 6 * dt
    unit = tau if leaky else 1.0
    r, w_in = {ONE: (1.0, 1.0), MATCHED: (unit / dt, tau_syn / dt), OFF: (2.5 if leaky else 0.375 / dt, 1.75)}[where]
    values = {"tau": tau, "tau_mem": tau, "tau_syn": tau_syn, "r": r, "w_in": w_in}
    values |= {"v_leak": 0.0, "v_reset": 0.0, "v_threshold": 1.0} | changes
    return {name: values[name] for name in PARAMETERS[kind]}


def unit_of(kind: str, values: Mapping[str, float], dt: float = DT) -> float:
    """The input [A] that brings the membrane to its threshold: in the end, or for I and IF in four steps."""
    per_volt = values["r"] * values.get("w_in", 1.0) * (4 * dt if kind in ("I", "IF") else 1.0)
    return values.get("v_threshold", 1.0) / per_volt


def cell(kind: str, values: Mapping[str, float], shape: Shape = (3,), dtype: type = np.float32) -> Node:
    """A neuron node with one number per element."""
    return node(kind, **{name: np.full(shape, value, dtype) for name, value in values.items()})


def _neuron_cases(kind: str) -> Iterator[PrimitiveCase]:
    names = PARAMETERS[kind]

    def case(aspect: str, each: Node, values: Mapping[str, float], dt: float = DT) -> PrimitiveCase:
        aspect = aspect if "tau" in names or "tau_mem" in names else aspect.replace("tau/dt", "1/dt")
        return _fed(kind, aspect, each, values, (3,), dt)

    for where in GAINS:
        plain = values_of(kind, where)
        yield case(where, cell(kind, plain), plain)
    if "w_in" in names:
        for aspect, changes in (("r = 1, w_in off 1", {"w_in": 1.75}), ("r = tau/dt, w_in = 1", {"w_in": 1.0})):
            changed = values_of(kind, ONE if "r = 1," in aspect else MATCHED, **changes)
            yield case(aspect, cell(kind, changed), changed)
    for where in (ONE, MATCHED):
        for name, value in VARIED.items():
            if name in names:
                changed = values_of(kind, where, **{name: value})
                yield case(f"{name} off its neutral value, {where}", cell(kind, changed), changed)
    if {"v_leak", "v_reset"} <= {*names}:
        changed = values_of(kind, MATCHED, v_leak=-0.25, v_reset=-0.25)
        yield case(f"v_leak = v_reset off 0, {MATCHED}", cell(kind, changed), changed)
    yield from _forms(kind, case)


def _forms(kind: str, case: Any) -> Iterator[PrimitiveCase]:
    """How parameters are written, and what the neuron stands among."""
    plain = values_of(kind)
    for name in PARAMETERS[kind]:
        yield case(f"heterogeneous {name}", _different(kind, name, plain), plain)
    for where in (ONE, MATCHED):
        values = values_of(kind, where)
        scalars = node(kind, **{name: np.float32(value) for name, value in values.items()})
        yield case(f"scalar parameters, {where}", scalars, values)
        yield case(f"parameters of one element, {where}", cell(kind, values, (1,)), values)
    yield case("float64", cell(kind, plain, dtype=np.float64), plain)
    slow = values_of(kind, dt=10 * DT)
    yield case(f"dt {10 * DT:g}, {MATCHED}", cell(kind, slow), slow, 10 * DT)
    slow = values_of(kind, ONE, dt=10 * DT)
    yield case(f"dt {10 * DT:g}, {ONE}", cell(kind, slow), slow, 10 * DT)
    shape = (2, 3, 2)
    yield _fed(kind, "a feature map", cell(kind, plain, shape), plain, shape, DT)
    layers = chain((4,), linear(3, 4), cell(kind, plain), linear(2, 3))
    yield PrimitiveCase(kind, "between two layers", layers, (4,), unit_of(kind, plain), centre=1.0, spread=2.0)


def _different(kind: str, name: str, plain: Mapping[str, float]) -> Node:
    return node(kind, **{each: value.astype(np.float32) for each, value in different(name, plain).items()})


def different(name: str, plain: Mapping[str, float]) -> dict[str, Array]:
    """One parameter that differs, float64; r and w_in stay at tau/dt where it is a time constant."""
    arrays: dict[str, Array] = {each: np.full(3, value) for each, value in plain.items()}
    # Potentials at 0 are moved, not stretched.
    arrays[name] = SPREAD * arrays[name] if plain[name] else 0.25 - 0.5 * SPREAD
    if name in ("tau", "tau_mem"):
        arrays["r"] = arrays[name] / DT
    if name == "tau_syn" and "w_in" in arrays:
        arrays["w_in"] = arrays[name] / DT
    return arrays


def _fed(kind: str, aspect: str, each: Node, values: Mapping[str, float], shape: Shape, dt: float) -> PrimitiveCase:
    """Fed so that it spikes now and then."""
    centre, spread = (3.0, 4.0) if kind == "CubaLIF" else (1.25, 2.0)
    return PrimitiveCase(
        kind, aspect, chain(shape, each), shape, unit_of(kind, values, dt), centre=centre, spread=spread, dt=dt
    )


WIDE = np.array([0.5, -1.5, 3.0], dtype=np.float32)
"""A parameter that differs from element to element."""


def stateless() -> Iterator[PrimitiveCase]:
    """Ends, dense layers, elementwise nodes, convolutions, pools, Flatten."""
    yield from _ends()
    yield from _dense()
    yield from _elementwise()
    yield from _convolutions("Conv1d")
    yield from _convolutions("Conv2d")
    yield from _channelwise()
    for kind in ("AvgPool2d", "SumPool2d"):
        yield from _pools(kind)
    yield from _flattens()


def _ends() -> Iterator[PrimitiveCase]:
    for kind in ("Input", "Output"):
        for shape in ((3,), (2, 3, 4)):
            yield PrimitiveCase(kind, f"{len(shape)} dimension{'s' * (len(shape) > 1)}", _ended(shape), shape)
    yield PrimitiveCase("Input", "straight into the Output", chain((3,)), (3,))


def _ended(shape: Shape) -> Graph:
    """A layer that takes and gives a shape."""
    size = (3, *shape[:1]) if len(shape) == 1 else (3, shape[0], 1, 1)
    return chain(shape, linear(3, shape[0]) if len(shape) == 1 else _convolution("Conv2d", size, shape[1:]))


def _dense() -> Iterator[PrimitiveCase]:
    biased = {"weight": weight(2, 5), "bias": weight(2)}
    yield PrimitiveCase("Affine", "5 to 2", chain((5,), node("Affine", **biased)), (5,))
    square = node("Affine", weight=weight(4, 4), bias=weight(4))
    yield PrimitiveCase("Affine", "square, not symmetric", chain((4,), square), (4,))
    yield PrimitiveCase(
        "Affine", "bias of zeros", chain((5,), node("Affine", weight=weight(2, 5), bias=np.zeros(2, np.float32))), (5,)
    )
    yield PrimitiveCase("Affine", "two in a row", chain((5,), node("Affine", **biased), square_of(2)), (5,))
    double = {name: value.astype(np.float64) + 1e-12 for name, value in biased.items()}
    yield PrimitiveCase("Affine", "float64", chain((5,), node("Affine", **double)), (5,))
    yield PrimitiveCase("Linear", "3 to 5", chain((3,), linear(5, 3)), (3,))
    yield PrimitiveCase("Linear", "square, not symmetric", chain((4,), linear(4, 4)), (4,))
    yield PrimitiveCase("Linear", "two in a row", chain((3,), linear(5, 3), linear(2, 5)), (3,))
    yield PrimitiveCase("Linear", "float64", chain((3,), node("Linear", weight=weight(5, 3).astype(np.float64) + 1e-12)), (3,))


def square_of(size: int) -> Node:
    """An Affine of as many outputs as inputs."""
    return node("Affine", weight=weight(size, size), bias=weight(size))


def _elementwise() -> Iterator[PrimitiveCase]:
    values: tuple[tuple[str, str, Any, float], ...] = (
        ("Scale", "scale", WIDE, -1.5),
        ("Threshold", "threshold", np.array([0.5, 1.0, -0.25], dtype=np.float32), 0.5),
        ("Delay", "delay", DT * np.array([1.0, 3.0, 0.0]), 2 * DT),
    )
    for kind, name, different, one in values:
        each = node(kind, **{name: different})
        single = np.dtype(np.float64 if kind == "Delay" else np.float32)
        yield PrimitiveCase(kind, "alone", chain((3,), node(kind, **{name: np.full(3, one, single)})), (3,))
        yield PrimitiveCase(kind, f"heterogeneous {name}", chain((3,), each), (3,))
        yield PrimitiveCase(kind, "scalar parameters", chain((3,), node(kind, **{name: single.type(one)})), (3,))
        yield PrimitiveCase(kind, "parameters of one element", chain((3,), node(kind, **{name: np.full(1, one, single)})), (3,))
        yield PrimitiveCase(
            kind, "float64", chain((3,), node(kind, **{name: np.full(3, one * (1 if kind == "Delay" else 1.1))})), (3,)
        )
        yield PrimitiveCase(kind, "between two layers", chain((4,), linear(3, 4), each, linear(2, 3)), (4,))


def _convolution(kind: str, kernel: Shape, size: Shape, /, **changes: Any) -> Node:
    """A convolution that says the size of its input, without which nir 1.0.8 does not read it."""
    values: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1, "bias": weight(kernel[0])} | changes
    whole = {name: values.pop(name) for name in ("stride", "padding", "dilation")}
    if len(size) > 1:
        whole = {name: value if isinstance(value, str) else np.resize(value, len(size)) for name, value in whole.items()}
    said = size if len(size) > 1 else size[0]
    return node(kind, **({"weight": weight(*kernel), "groups": 1, "input_shape": said} | whole | values))


def _convolutions(kind: str) -> Iterator[PrimitiveCase]:
    one = kind == "Conv1d"
    size: Shape = (9,) if one else (7, 6)
    kernel: Shape = (3, 2, 3) if one else (3, 2, 3, 3)
    wide: Shape = (3, 2, 4) if one else (3, 2, 4, 3)

    def case(aspect: str, shape: Shape = kernel, channels: int = 2, **changes: Any) -> PrimitiveCase:
        return PrimitiveCase(
            kind, aspect, chain((channels, *size), _convolution(kind, shape, size, **changes)), (channels, *size)
        )

    yield case("plain")
    yield case("stride", stride=2)
    yield case("padding in numbers", padding=1)
    yield case("padding 'same'", padding="same")
    yield case("padding 'same', an even kernel", wide, padding="same")
    yield case("padding 'valid'", padding="valid")
    yield case("dilation", dilation=2)
    yield case("stride, padding and dilation", stride=2, padding=1, dilation=2)
    yield case("groups", (4, 2, *kernel[2:]), 4, groups=2)
    yield case("a kernel for each channel", (4, 1, *kernel[2:]), 4, groups=4)
    yield case("bias of zeros", bias=np.zeros(3, np.float32))
    yield case("float64", weight=weight(*kernel).astype(np.float64) + 1e-12, bias=weight(3).astype(np.float64))
    if not one:
        yield case("rectangular kernel", (3, 2, 3, 2))
        yield case("stride that differs by dimension", stride=(2, 1))
        yield case("padding that differs by dimension", padding=(1, 2))
        yield case("dilation that differs by dimension", dilation=(1, 2))


def _channelwise() -> Iterator[PrimitiveCase]:
    shape = (2, 3, 4)
    scale = node("Scale", scale=weight(*shape))
    yield PrimitiveCase("Scale", "a feature map", chain(shape, scale), shape)
    threshold = node("Threshold", threshold=np.full(shape, 0.5, np.float32))
    yield PrimitiveCase("Threshold", "a feature map", chain(shape, threshold), shape)


def _pools(kind: str) -> Iterator[PrimitiveCase]:
    def pool(kernel: Any, stride: Any, padding: Any) -> Node:
        return node(kind, kernel_size=kernel, stride=stride, padding=padding)

    plain, shape = pool([2, 2], [2, 2], [0, 0]), (2, 6, 4)
    before, after = _convolution("Conv2d", (2, 2, 3, 3), (6, 4), padding=1), _convolution("Conv2d", (3, 2, 1, 1), (3, 2))
    yield PrimitiveCase(kind, "alone", chain(shape, plain), shape)
    yield PrimitiveCase(kind, "between two convolutions", chain(shape, before, plain, after), shape)
    yield PrimitiveCase(kind, "rectangular kernel", chain(shape, pool([3, 2], [3, 2], [0, 0])), shape)
    yield PrimitiveCase(kind, "stride below the kernel", chain(shape, pool([3, 2], [1, 2], [0, 0])), shape)
    yield PrimitiveCase(kind, "padding", chain(shape, pool([2, 2], [2, 2], [1, 1])), shape)
    # The shape is the same without the padding; only the windows move.
    yield PrimitiveCase(kind, "padding that no shape shows", chain((2, 5, 5), pool([2, 2], [3, 3], [1, 1])), (2, 5, 5))
    yield PrimitiveCase(kind, "scalar parameters", chain(shape, pool(2, 2, 0)), shape)


def _flattens() -> Iterator[PrimitiveCase]:
    shape = (2, 3, 4)
    for start, end in itertools.combinations(range(3), 2):
        for first, last in itertools.product((start, start - 3), (end, end - 3)):
            graph = chain(shape, node("Flatten", start_dim=first, end_dim=last, input_type=shape))
            yield PrimitiveCase("Flatten", f"dims {first} to {last}", graph, shape)
    flatten = node("Flatten", start_dim=0, end_dim=-1, input_type=shape)
    yield PrimitiveCase("Flatten", "before a layer", chain(shape, flatten, linear(3, 24)), shape)


Edges = tuple[tuple[str, str], ...]
Nodes = dict[str, Node | Graph]

JOIN_NEURON, JOIN_OUTPUT = "join at a neuron", "join at Output"
SELF_LOOP, TWO_CYCLE, LONG_CYCLE = "self-loop", "two-node cycle", "longer cycle"
OUTPUTS, NESTED = "several Outputs", "NIRGraph"

FAN: Edges = (("input", "left"), ("input", "right"))
START: Edges = (("input", "into"), ("into", "one"))


def wiring() -> Iterator[PrimitiveCase]:
    """With LIF neurons at both gains; a case that a library may not come back from at the end."""
    branches: Nodes = {"left": linear(3, 4), "right": node("Affine", weight=2 * weight(3, 4), bias=weight(3))}
    joined = wired(branches, (*FAN, ("left", "output"), ("right", "output")), (4,), output=(3,))
    yield PrimitiveCase(JOIN_OUTPUT, "two branches", joined, (4,))
    layers: Nodes = {"one": linear(5, 4), "two": node("Affine", weight=weight(3, 5), bias=weight(3))}
    inner = wired(layers, (("input", "one"), ("one", "two"), ("two", "output")), (4,), output=(3,))
    nested = wired({"inner": inner}, (("input", "inner"), ("inner", "output")), (4,), output=(3,))
    yield PrimitiveCase(NESTED, "of two layers", nested, (4,))
    for where in (ONE, MATCHED):
        parts = _Parts(where)
        yield from _joins(parts)
        yield from _cycles(parts)
        yield from _nested(parts)
    apart = wired(branches, (*FAN, ("left", "a"), ("right", "b")), (4,), a=(3,), b=(3,))
    yield PrimitiveCase(OUTPUTS, "of two layers", apart, (4,), late=True)


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

    def case(self, primitive: str, aspect: str, nodes: Nodes, edges: Edges, drive: float = 1.0) -> PrimitiveCase:
        graph = wired(nodes, edges, (4,), output=(3,))
        return PrimitiveCase(primitive, f"{aspect}, {self.where}", graph, (4,), drive * self.unit, centre=1.0, spread=2.0)


def _joins(parts: _Parts) -> Iterator[PrimitiveCase]:
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


def _cycles(parts: _Parts) -> Iterator[PrimitiveCase]:
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


def _nested(parts: _Parts) -> Iterator[PrimitiveCase]:
    edges: Edges = (("input", "into"), ("into", "layer"), ("layer", "output"))
    # The names by which libraries know a recurrent layer.
    inside: Nodes = {"lif": parts.lif(), "w_rec": parts.again()}
    ring = wired(inside, (("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")), (3,))
    yield parts.case(NESTED, "of a recurrent layer", {"into": linear(3, 4), "layer": ring}, edges)

    inside = {"lif": parts.lif(), "after": node("Linear", weight=weight(3, 3))}
    plain = wired(inside, (("input", "lif"), ("lif", "after"), ("after", "output")), (3,))
    yield parts.case(NESTED, "of a neuron and a layer", {"into": linear(3, 4), "layer": plain}, edges)


@lru_cache(maxsize=1)
def cases() -> tuple[PrimitiveCase, ...]:
    """Every case once; those that may hang a library come last."""
    return tuple(sorted((*stateless(), *neurons(), *wiring()), key=lambda case: case.late))
