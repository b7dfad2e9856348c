"""Which node of one graph is which of another, where an exporter has given the nodes names of its own."""

from __future__ import annotations

from collections import deque

import numpy as np

from nir_interop.graphs.components import components
from nir_interop.graphs.model import NEURONS, Graph, Node

_FAMILIES = (frozenset({*NEURONS, "Threshold"}), frozenset({"Affine", "Linear"}), frozenset({"SumPool2d", "AvgPool2d"}))
_MOST_COMPARISONS = 2_000_000
_ANCHOR = 1000.0


def correspondence(intended: Graph, exported: Graph) -> dict[str, str]:
    """Name in the intended graph → name in the exported one, sorted; both without subgraphs.

    First by equal names, then by names of which one holds the other (``lif1`` and ``lif1.lif``), then by what a node is
    behind, and last by aligning both graphs from Input to Output by kind, shapes and values.  A node without
    counterpart is missing from the result.
    """
    match = _Match(intended, exported)
    match.by_name()
    match.by_ends()
    match.by_part_of_name()
    match.by_neighbours()
    match.by_alignment()
    match.by_neighbours()
    return dict(sorted(match.pairs.items()))


class _Match:
    def __init__(self, intended: Graph, exported: Graph) -> None:
        self.intended = dict(intended.primitives())
        self.exported = dict(exported.primitives())
        self.edges = (intended.edges, exported.edges)
        self.pairs: dict[str, str] = {}
        self.taken: set[str] = set()

    def pair(self, mine: str, theirs: str) -> None:
        self.pairs[mine] = theirs
        self.taken.add(theirs)

    def left(self) -> tuple[list[str], list[str]]:
        mine = [name for name in self.intended if name not in self.pairs]
        return mine, [name for name in self.exported if name not in self.taken]

    def by_name(self) -> None:
        for name, node in self.intended.items():
            if name in self.exported and _likeness(node, self.exported[name]):
                self.pair(name, name)

    def by_ends(self) -> None:
        for kind in ("Input", "Output"):
            mine, theirs = ([name for name in names if nodes[name].kind == kind] for names, nodes in self._sides())
            for pair in zip(mine, theirs, strict=False):
                self.pair(*pair)

    def _sides(self) -> tuple[tuple[list[str], dict[str, Node]], tuple[list[str], dict[str, Node]]]:
        mine, theirs = self.left()
        return (mine, self.intended), (theirs, self.exported)

    def by_part_of_name(self) -> None:
        mine, theirs = self.left()
        resembling: dict[str, list[str]] = {name: [] for name in mine}
        parts: dict[str, list[str]] = {}
        for name in mine:
            parts.setdefault(_plain(name), []).append(name)
        claims: dict[str, int] = {}
        for name in theirs:
            for part in sorted({_plain(name), _plain(name.split(".")[0]), _plain(name.rsplit(".", 1)[-1])}):
                for own in parts.get(part, []):
                    if self.intended[own].kind == self.exported[name].kind:
                        resembling[own].append(name)
                        claims[name] = claims.get(name, 0) + 1
        for own, found in resembling.items():
            if len(found) == 1 and claims[found[0]] == 1:
                self.pair(own, found[0])

    def by_neighbours(self) -> None:
        """The only one of its kind behind (or before) a matched node is matched, until no more are found."""
        directions = [[_neighbours(edges, backwards) for edges in self.edges] for backwards in (False, True)]
        waiting = deque(sorted(self.pairs.items()))
        while waiting:
            mine, theirs = waiting.popleft()
            for own_side, other_side in directions:
                own = [name for name in own_side.get(mine, []) if name in self.intended and name not in self.pairs]
                other = [name for name in other_side.get(theirs, []) if name in self.exported and name not in self.taken]
                for name in own:
                    kind = _kind(self.intended[name])
                    rivals = [rival for rival in own if _kind(self.intended[rival]) == kind]
                    found = [there for there in other if _kind(self.exported[there]) == kind and there not in self.taken]
                    if len(rivals) == len(found) == 1 and _likeness(self.intended[name], self.exported[found[0]]) > 1:
                        self.pair(name, found[0])
                        waiting.append((name, found[0]))

    def by_alignment(self) -> None:
        mine = _in_order(self.intended, self.edges[0])
        theirs = _in_order(self.exported, self.edges[1])
        if len(mine) * len(theirs) > _MOST_COMPARISONS or not all(self.left()):
            return
        score = np.zeros((len(mine) + 1, len(theirs) + 1))
        gain = np.zeros((len(mine), len(theirs)))
        for i, own in enumerate(mine):
            for j, other in enumerate(theirs):
                if own in self.pairs or other in self.taken:
                    gain[i, j] = _ANCHOR if self.pairs.get(own) == other else 0.0
                else:
                    gain[i, j] = _likeness(self.intended[own], self.exported[other])
        for i in range(len(mine) - 1, -1, -1):
            for j in range(len(theirs) - 1, -1, -1):
                paired = score[i + 1, j + 1] + gain[i, j] if gain[i, j] else 0.0
                score[i, j] = max(paired, score[i + 1, j], score[i, j + 1])
        i = j = 0
        while i < len(mine) and j < len(theirs):
            if gain[i, j] and score[i, j] == score[i + 1, j + 1] + gain[i, j]:
                if mine[i] not in self.pairs:
                    self.pair(mine[i], theirs[j])
                i, j = i + 1, j + 1
            elif score[i, j] == score[i + 1, j]:
                i += 1
            else:
                j += 1


def _plain(name: str) -> str:
    return name.replace(".", "_").lower()


def _kind(node: Node) -> str:
    return "Affine" if node.kind == "Linear" else node.kind


def _likeness(one: Node, other: Node) -> float:
    """0 for nodes that cannot stand for each other, more the more they share."""
    if _kind(one) != _kind(other):
        return 0.5 if any(one.kind in family and other.kind in family for family in _FAMILIES) else 0.0
    shared = sorted(set(one.params) & set(other.params))
    arrays = [(one.params[name], other.params[name]) for name in shared if not isinstance(one.params[name], str)]
    fitting = [pair for pair in arrays if np.shape(pair[0]) == np.shape(pair[1])]
    equal = sum(np.array_equal(*pair) for pair in fitting)
    return 2.0 + 2.0 * len(fitting) / max(1, len(arrays)) + 4.0 * equal / max(1, len(arrays)) if shared else 2.0


def _neighbours(edges: tuple[tuple[str, str], ...], backwards: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source, target in sorted(set(edges)):
        here, there = (target, source) if backwards else (source, target)
        found.setdefault(here, []).append(there)
    return found


def _in_order(nodes: dict[str, Node], edges: tuple[tuple[str, str], ...]) -> list[str]:
    """Names from Input to Output; on a cycle, from where it is entered."""
    ordered: list[str] = []
    after = _neighbours(edges, False)
    before = _neighbours(edges, True)
    for members in components(nodes, edges):
        inside = set(members)
        waiting = deque(name for name in members if any(source not in inside for source in before.get(name, [])))
        seen = set(waiting)
        found = []
        while waiting:
            name = waiting.popleft()
            found.append(name)
            following = [target for target in after.get(name, []) if target in inside and target not in seen]
            seen.update(following)
            waiting.extend(following)
        ordered += found + [name for name in members if name not in seen]
    return ordered
