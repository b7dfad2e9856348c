"""What a case of the primitive table is: a graph, what it is fed, and what it means."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import InvalidGraph
from nir_interop.graphs import SPIKING, Graph, Node
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
class Case:
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
