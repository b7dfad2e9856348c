"""What an exporter made of a graph: a structural difference, node by node and edge by edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nir_interop.graphs.canonical import canonical
from nir_interop.graphs.matching import correspondence
from nir_interop.graphs.model import Array, Graph, Node
from nir_interop.graphs.shapes import is_scalar
from nir_interop.printable import shape_text, shown


@dataclass(frozen=True, eq=False)
class Difference:
    """One thing in which two graphs differ.

    node : name in the intended graph; of a node or an edge that is new, in the exported one
    field : ``node`` (it is lost or new), ``kind``, ``edge``, or the name of a parameter
    before, after : a kind, an edge (source, target), or a parameter in canonical form; None where there is none
    """

    node: str
    field: str
    before: Any
    after: Any

    @property
    def relative(self) -> float:
        """The largest change of a parameter, relative to its largest magnitude; infinite for any other difference.

        A change below 1e-6 is what single precision does to a number.
        """
        before, after = self.before, self.after
        if not isinstance(before, np.ndarray) or not isinstance(after, np.ndarray):
            return float("inf")
        if before.shape != after.shape and not (is_scalar(before) or is_scalar(after)):
            return float("inf")
        largest = float(max(np.abs(before).max(initial=0.0), np.abs(after).max(initial=0.0)))
        with np.errstate(invalid="ignore"):
            change = float(np.abs(before - after).max(initial=0.0))
            return change / largest if np.isfinite(change) and np.isfinite(largest) and largest else float("inf")

    @property
    def text(self) -> str:
        """The difference in one printable line."""
        name = shown(self.node)
        if self.field == "node":
            return f"node {name} ({self.before}) is lost" if self.after is None else f"node {name} ({self.after}) is new"
        if self.field == "edge":
            source, target = self.before or self.after
            return f"edge {shown(source)} → {shown(target)} is {'lost' if self.after is None else 'new'}"
        if self.after is None:
            return f"node {name}: {self.field} is lost, it was {_value_text(self.before)}"
        if self.before is None:
            return f"node {name}: {self.field} is new, it is {_value_text(self.after)}"
        return f"node {name}: {self.field} was {_value_text(self.before)} and is {_value_text(self.after)}"


def difference(intended: Graph, exported: Graph) -> list[Difference]:
    """Compare the canonical forms, sorted by node and field; an empty list where both mean the same.

    Nodes are matched by :func:`nir_interop.graphs.matching.correspondence`: names as such are no difference.  A Linear node is
    an Affine node with bias 0.  Edges that only close the gap around a lost or a new node are not listed.
    Raises InvalidGraph where a graph cannot be inlined.
    """
    before, after = canonical(intended), canonical(exported)
    pairs = correspondence(before, after)
    own, other = dict(before.primitives()), dict(after.primitives())
    found = [Difference(name, "node", node.kind, None) for name, node in own.items() if name not in pairs]
    matched = set(pairs.values())
    found += [Difference(name, "node", None, node.kind) for name, node in other.items() if name not in matched]
    for name, theirs in pairs.items():
        found += _node_differences(name, own[name], other[theirs])
    found += _edge_differences(before, after, pairs)
    return sorted(found, key=_place)


def _place(one: Difference) -> tuple[str, str, Any]:
    """Only edges, and nodes of which one is lost and another of that name is new, share a node and a field."""
    repeated = (one.before is None, one.before or one.after) if one.field in ("edge", "node") else ()
    return one.node, one.field, repeated


def _node_differences(name: str, before: Node, after: Node) -> list[Difference]:
    found = []
    affine = {before.kind, after.kind} == {"Affine", "Linear"}
    if before.kind != after.kind and not affine:
        found.append(Difference(name, "kind", before.kind, after.kind))
    for key in sorted({*before.params, *after.params}):
        old, new = before.params.get(key), after.params.get(key)
        if affine and key == "bias" and not np.any(old if new is None else new):
            continue
        if not _equal(old, new):
            found.append(Difference(name, key, old, new))
    return found


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one == other
    if one.shape != other.shape and not (is_scalar(one) or is_scalar(other)):
        return False
    if one.shape != other.shape:
        one, other = (value.reshape(()) if is_scalar(value) else value for value in (one, other))
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _edge_differences(before: Graph, after: Graph, pairs: dict[str, str]) -> list[Difference]:
    back = {theirs: name for name, theirs in pairs.items()}
    old, new = _between(before, set(pairs)), _between(after, set(back))
    translated = {(pairs[source], pairs[target]): direct for (source, target), direct in old.items()}
    found = []
    for (source, target), direct in sorted(translated.items()):
        if direct and (source, target) not in new:
            edge = (back[source], back[target])
            found.append(Difference(edge[0], "edge", edge, None))
    for (source, target), direct in sorted(new.items()):
        if direct and (source, target) not in translated:
            found.append(Difference(source, "edge", None, (source, target)))
    return found


def _between(graph: Graph, matched: set[str]) -> dict[tuple[str, str], bool]:
    """Pairs of matched nodes with an edge (True), or a way through nodes without counterpart only (False)."""
    after: dict[str, list[str]] = {}
    for source, target in graph.edges:
        after.setdefault(source, []).append(target)
    found = {(source, target): True for source, target in graph.edges if source in matched and target in matched}
    for start in sorted(matched):
        waiting = [name for name in after.get(start, []) if name not in matched]
        seen = set(waiting)
        while waiting:
            for target in after.get(waiting.pop(), []):
                if target in matched:
                    found.setdefault((start, target), False)
                elif target not in seen:
                    seen.add(target)
                    waiting.append(target)
    return found


def _value_text(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return str(value)
    array: Array = value
    if not array.size:
        return f"empty {shape_text(array.shape)}"
    low, high = array.min(), array.max()
    shape = f" {shape_text(array.shape)}" if array.ndim else ""
    return f"{low:.7g}{shape}" if low == high else f"{low:.7g} to {high:.7g}{shape}"
