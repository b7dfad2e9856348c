"""An exporter with faults: it writes another graph than the one it was given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nir_interop.graphs import Graph, Node
from nir_interop.vocabulary import Cause
from tests.explain.fake.wiring import Edge, Nodes, flat, without

EXPORTER_FAULTS = (
    Cause.RESET_LOST,
    Cause.NODE_LOST,
    Cause.BIAS_LOST,
    Cause.PARAMETER_LOST,
    Cause.TAU_REWRITTEN,
    Cause.TIME_UNIT,
)

LOST_KINDS = ("Scale",)
"""What an exporter with ``node_lost`` leaves out; a Scale that is a soft reset's feedback stays."""

DEFAULTS = {"v_reset": 0.0, "w_in": 1.0, "r": 1.0}
"""What an exporter with ``parameter_lost`` writes instead."""

_TIMES = ("tau", "tau_mem", "tau_syn")


@dataclass(frozen=True)
class FakeExporter:
    """Writes the graph it is given, inlined, but for its faults.

    parameter : which one is lost, of each neuron that has it; None: the first of v_reset, w_in, r that is off its default
    tau_scale : what ``tau_rewritten`` multiplies time constants with
    """

    faults: frozenset[Cause] = frozenset()
    parameter: str | None = None
    tau_scale: float = 2.0

    def __post_init__(self) -> None:
        unknown = sorted(str(fault) for fault in self.faults - set(EXPORTER_FAULTS))
        if unknown:
            raise ValueError(f"not the faults of an exporter: {', '.join(unknown)}")

    def __call__(self, graph: Graph) -> Graph:
        nodes, edges = flat(graph)
        feedback = {scale for _, _, scale in soft_resets(nodes, edges)}
        if Cause.NODE_LOST in self.faults:
            for name in sorted(name for name, node in nodes.items() if node.kind in LOST_KINDS and name not in feedback):
                nodes, edges = without(nodes, edges, name)
        if Cause.RESET_LOST in self.faults:
            nodes, edges = _hard(nodes, edges)
        written = {name: self._written(node) for name, node in nodes.items()}
        return Graph(written, tuple(edges), dict(graph.metadata))

    def _written(self, node: Node) -> Node:
        kind, params = node.kind, dict(node.params)
        if Cause.BIAS_LOST in self.faults and "bias" in params:
            if kind == "Affine":
                kind = "Linear"
                del params["bias"]
            else:
                params["bias"] = np.zeros_like(params["bias"])
        if Cause.PARAMETER_LOST in self.faults:
            off = [name for name, value in DEFAULTS.items() if name in params and bool((params[name] != value).any())]
            lost = [name for name in off if self.parameter in (None, name)][:1]
            params |= {name: np.full_like(params[name], DEFAULTS[name]) for name in lost}
        if Cause.TAU_REWRITTEN in self.faults:
            params |= {name: params[name] * self.tau_scale for name in _TIMES if name in params}
        if Cause.TIME_UNIT in self.faults:
            params |= {name: params[name] * 1000 for name in (*_TIMES, "delay") if name in params}
        return Node(kind, params)


def soft_resets(nodes: Nodes, edges: list[Edge]) -> Iterator[tuple[str, str, str]]:
    """Compositions that say a reset by subtraction: (integrator, Threshold, Scale from the latter back to the former)."""

    def ends(name: str, side: int) -> list[str]:
        return [edge[1 - side] for edge in edges if edge[side] == name]

    for name, node in sorted(nodes.items()):
        into = ends(name, 1)
        if node.kind != "Threshold" or len(into) != 1 or nodes[into[0]].kind not in ("LI", "I"):
            continue
        for scale in sorted(ends(name, 0)):
            if nodes[scale].kind == "Scale" and ends(scale, 0) == into and ends(scale, 1) == [name]:
                yield into[0], name, scale


def _hard(nodes: Nodes, edges: list[Edge]) -> tuple[Nodes, list[Edge]]:
    """Every soft reset becomes a neuron that is reset to 0."""
    for membrane, name, scale in list(soft_resets(nodes, edges)):
        integrator, threshold = nodes[membrane], nodes[name]["threshold"]
        params: dict[str, Any] = dict(integrator.params)
        params |= {"v_threshold": threshold, "v_reset": np.zeros_like(threshold)}
        edges = [(source, name if target == membrane else target) for source, target in edges if scale not in (source, target)]
        edges = [edge for edge in edges if membrane not in edge]
        nodes = {other: node for other, node in nodes.items() if other not in (membrane, scale)}
        nodes[name] = Node("LIF" if integrator.kind == "LI" else "IF", params)
    return nodes, edges
