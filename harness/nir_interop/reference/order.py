"""In which order the nodes of a graph are evaluated, and which edges wait a step.

A cycle needs an edge that waits: within a step, a node cannot have an input that depends on its own output.  Which edge
that is follows from the graph's structure alone, never from names:

- A Delay of at least one step breaks every cycle it is on, and nothing waits for it: its output depends on earlier steps
  only, so it answers first in a step, and takes its input last.  One with an element of no step is a node like any other.
- In every strongly connected component that is left, the *entry nodes* are those fed from outside of it.  The edges that
  come from inside the component into its entry nodes wait one step.  What remains is treated likewise, component by
  component, until no cycle is left.
- A component that nothing outside feeds is driven by its own constants: its entry nodes are those with a bias or v_leak that
  is not 0, or a threshold below 0.  Where there are none it is silent whatever waits, and all its edges do.

What a delayed edge carries in the first step is what its source answers to silence (see ``Simulator``).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Graph, Node, components
from nir_interop.graphs.driving import is_driven

Edge = tuple[str, str]

MOST_LOOKS = 2**20
"""Edges that may be looked at in search of those that wait: each level of cycles within cycles looks at all that are left."""


@dataclass(frozen=True)
class Stage:
    """Nodes that are evaluated together.

    nodes : in the order of evaluation within a step, ``ahead`` last
    cyclic : whether the stage must be run step by step
    delayed : edges inside the stage whose value is the one of the step before
    ahead : the nodes that break cycles, since in each step their output is known before their input
    """

    nodes: tuple[str, ...]
    cyclic: bool = False
    delayed: frozenset[Edge] = frozenset()
    ahead: tuple[str, ...] = ()


def stages(graph: Graph, is_delayed: Callable[[str], bool]) -> tuple[Stage, ...]:
    """Divide an inlined graph into stages, each after those it depends on.

    is_delayed : whether a node's output is known before its input, as that of a Delay of at least one step

    Raises InvalidGraph where cycles lie within cycles so deep that finding the edges that wait takes more than MOST_LOOKS.
    """
    edges = tuple(dict.fromkeys(graph.edges))
    found: list[Stage] = []
    looks = _Looks()
    for members in components(graph.nodes, edges):
        inside = _inside(graph, members)
        if not inside:
            found.append(Stage((members[0],)))
            continue
        ahead = tuple(sorted(name for name in members if is_delayed(name)))
        others = [name for name in members if not is_delayed(name)]
        left = _inside(graph, others)
        driven = frozenset(name for name in others if isinstance(node := graph.nodes[name], Node) and is_driven(node))
        delayed = _delayed_edges(graph, others, left, driven, looks)
        order = _topological(others, [edge for edge in left if edge not in delayed])
        found.append(Stage((*order, *ahead), True, frozenset(delayed), ahead))
    return tuple(found)


class _Looks:
    """How many edges were looked at in search of those that wait."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, count: int) -> None:
        self.count += count
        if self.count > MOST_LOOKS:
            raise InvalidGraph("its cycles lie within each other, thousands deep; put a Delay of a step on their edges back")


def _inside(graph: Graph, members: Iterable[str]) -> list[Edge]:
    """The edges between some nodes."""
    chosen = dict.fromkeys(members)
    return [(source, target) for source in chosen for target in graph.out_of(source) if target in chosen]


def _delayed_edges(
    graph: Graph, members: Iterable[str], candidates: list[Edge], driven: frozenset[str], looks: _Looks
) -> set[Edge]:
    """The edges among ``candidates`` that must wait so that the members have no cycle left; ``driven``: by their constants."""
    found: set[Edge] = set()
    left = [(members, candidates)]
    while left:
        members, candidates = left.pop()
        looks.add(len(candidates))
        for part, within in _parts(members, candidates):
            chosen = set(part)
            entries = {name for name in part if not chosen.issuperset(graph.into(name))}
            if not entries:
                entries = chosen & driven or chosen
            delayed = {edge for edge in within if edge[1] in entries}
            found |= delayed
            left.append((part, [edge for edge in within if edge not in delayed]))
    return found


def _parts(members: Iterable[str], edges: Sequence[Edge]) -> list[tuple[list[str], list[Edge]]]:
    """The strongly connected components that have an edge inside, and these edges."""
    groups = components(members, edges)
    home = {name: number for number, part in enumerate(groups) for name in part}
    within: list[list[Edge]] = [[] for _ in groups]
    for edge in edges:
        if home[edge[0]] == home[edge[1]]:
            within[home[edge[0]]].append(edge)
    return [(part, inside) for part, inside in zip(groups, within, strict=True) if inside]


def _topological(members: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Kahn's algorithm; ties go to the smaller name, so that the order is the same in every run."""
    targets: dict[str, list[str]] = {name: [] for name in members}
    unmet = dict.fromkeys(targets, 0)
    for source, target in edges:
        targets[source].append(target)
        unmet[target] += 1
    ready = sorted(name for name, count in unmet.items() if count == 0)
    order: list[str] = []
    while ready:
        name = heapq.heappop(ready)
        order.append(name)
        for target in targets[name]:
            unmet[target] -= 1
            if unmet[target] == 0:
                heapq.heappush(ready, target)
    return order
