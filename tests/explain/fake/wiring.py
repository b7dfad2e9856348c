"""Which node runs when: names, edges and waiting edges of a graph, and what a faulty importer makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from nir_interop.graphs import Graph, Node
from nir_interop.vocabulary import Cause

Edge = tuple[str, str]
Nodes = dict[str, Node]

DROPPED_KINDS = ("Delay", "LI")
"""What an importer with ``node_dropped`` does not know, and leaves out."""


@dataclass
class Wiring:
    """Nodes on one level, the edges between them, which of these wait a step, and the order within a step.

    late : the Delays on cycles; they answer from what they got in earlier steps, so their edges need not wait
    """

    nodes: Nodes
    edges: list[Edge]
    waiting: set[Edge]
    late: set[str]
    order: list[str]

    def sources(self, name: str) -> list[str]:
        return [source for source, target in self.edges if target == name]


def flat(graph: Graph, prefix: str = "") -> tuple[Nodes, list[Edge]]:
    """All nodes on one level, ``b`` of subgraph ``a`` named ``a.b``; the inner ends are joined through."""
    nodes: Nodes = {}
    edges: list[Edge] = []
    ends: dict[str, tuple[str, str]] = {}
    inner: set[str] = set()
    for name, node in graph.nodes.items():
        full = prefix + name
        if isinstance(node, Graph):
            below, between = flat(node, f"{full}.")
            nodes |= below
            edges += between
            ends[name] = tuple(f"{full}.{node.of_kind(kind)[0]}" for kind in ("Input", "Output"))
            inner |= set(ends[name])
        else:
            nodes[full] = node
            ends[name] = (full, full)
    edges += [(ends[source][1], ends[target][0]) for source, target in dict.fromkeys(graph.edges)]
    for name in inner:
        nodes, edges = without(nodes, edges, name)
    return nodes, edges


def without(nodes: Nodes, edges: Iterable[Edge], name: str) -> tuple[Nodes, list[Edge]]:
    """Take a node out and join what was on its two sides."""
    edges = list(edges)
    before = [source for source, target in edges if target == name and source != name]
    after = [target for source, target in edges if source == name and target != name]
    kept = [edge for edge in edges if name not in edge] + [(source, target) for source in before for target in after]
    return {other: node for other, node in nodes.items() if other != name}, list(dict.fromkeys(kept))


def wire(graph: Graph, faults: frozenset[Cause], is_delayed: Callable[[Node], bool]) -> Wiring:
    """The wiring that an importer with some faults makes of a graph."""
    nodes, edges = flat(graph)
    if Cause.NODE_DROPPED in faults:
        for name in sorted(name for name, node in nodes.items() if node.kind in DROPPED_KINDS):
            nodes, edges = without(nodes, edges, name)
    if Cause.RECURRENCE_REWIRED in faults:
        edges = _rewired(nodes, edges)
    late = {name for cycle in _cycles(nodes, edges) for name in cycle if is_delayed(nodes[name])}
    waiting = _waiting(nodes, [edge for edge in edges if edge[1] not in late], Cause.CYCLE_ORDER in faults)
    if Cause.JOIN_MISRUN in faults:
        edges = _one_branch(nodes, edges)
    order = _order(nodes, [edge for edge in edges if edge not in waiting and edge[1] not in late])
    return Wiring(nodes, edges, waiting & set(edges), late, order)


def _rewired(nodes: Nodes, edges: list[Edge]) -> list[Edge]:
    """Where a neuron has a dense feedback of its own, its input goes through the feedback's weights, not past them."""
    moved: dict[str, str] = {}
    for name, node in sorted(nodes.items()):
        into = [source for source, target in edges if target == name]
        out_of = [target for source, target in edges if source == name]
        if node.kind in ("Affine", "Linear") and into == out_of and len(into) == 1:
            moved[into[0]] = name
    return [
        (source, moved[target]) if target in moved and source != moved[target] else (source, target)
        for source, target in edges
    ]  # fmt: skip


def _one_branch(nodes: Nodes, edges: list[Edge]) -> list[Edge]:
    """Of several edges into a node, the one whose source has the last name is left; a cycle is no branch."""
    cycles = _cycles(nodes, edges)
    lost: set[Edge] = set()
    for name in nodes:
        branches = [edge for edge in edges if edge[1] == name and not any(set(edge) <= cycle for cycle in cycles)]
        lost |= set(sorted(branches)[:-1])
    return [edge for edge in edges if edge not in lost]


def _waiting(nodes: Nodes, edges: list[Edge], by_name: bool) -> set[Edge]:
    """NIR: in each cycle, the inner edges into nodes that are fed from outside of it, and so on in what is left.
    By name: in each cycle, the edges that lead back in the order of the names."""
    waiting: set[Edge] = set()
    while found := _cycles(nodes, [edge for edge in edges if edge not in waiting]):
        for cycle in found:
            inside = [edge for edge in edges if edge not in waiting and set(edge) <= cycle]
            fed = {target for source, target in edges if target in cycle and source not in cycle}
            waiting |= {edge for edge in inside if (edge[0] >= edge[1] if by_name else edge[1] in fed)}
    return waiting


def _cycles(nodes: Iterable[str], edges: Iterable[Edge]) -> list[set[str]]:
    """Sets of nodes that reach each other, by Warshall's closure."""
    names = sorted(nodes)
    index = {name: number for number, name in enumerate(names)}
    reach = np.zeros((len(names), len(names)), dtype=bool)
    for source, target in edges:
        reach[index[source], index[target]] = True
    for middle in range(len(names)):
        reach |= reach[:, middle : middle + 1] & reach[middle : middle + 1]
    mutual = reach & reach.T
    found = {tuple(np.flatnonzero(mutual[number])) for number in range(len(names)) if mutual[number, number]}
    return [{names[number] for number in members} for members in sorted(found)]


def _order(nodes: Iterable[str], edges: list[Edge]) -> list[str]:
    order: list[str] = []
    left = sorted(nodes)
    while left:
        ready = next(name for name in left if not any(target == name and source in left for source, target in edges))
        order.append(ready)
        left.remove(ready)
    return order
