"""The way through a graph that an importer of ours takes: from its Inputs, each node after those that feed it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import CannotBuild

Array = NDArray[Any]
Edge = tuple[str, str]
Shape = tuple[int, ...]


def inlined(graph: Any) -> tuple[dict[str, Any], tuple[Edge, ...]]:
    """All nodes and edges, those of nested graphs as ``outer.inner`` and joined where their Inputs and Outputs were.

    Raises CannotBuild for a nested graph of several Inputs or Outputs.
    """
    nodes: dict[str, Any] = {}
    edges: list[Edge] = []
    into: dict[str, tuple[str, ...]] = {}
    out: dict[str, tuple[str, ...]] = {}
    for name, node in graph.nodes.items():
        if kind_of(node) != "NIRGraph":
            nodes[name] = node
            continue
        within, joined = inlined(node)
        ends = {kind: [each for each, inner in within.items() if kind_of(inner) == kind] for kind in ("Input", "Output")}
        if len(ends["Input"]) != 1 or len(ends["Output"]) != 1:
            raise CannotBuild(
                f"node {name!r}: a graph within a graph has one Input and one Output here; write its nodes outside"
            )
        first, last = ends["Input"][0], ends["Output"][0]
        nodes |= {f"{name}.{each}": inner for each, inner in within.items() if each not in (first, last)}
        edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in joined if a != first and b != last]
        into[name] = tuple(f"{name}.{b}" for a, b in joined if a == first)
        out[name] = tuple(f"{name}.{a}" for a, b in joined if b == last)
    for source, target in graph.edges:
        edges += [(a, b) for a in out.get(source, (source,)) for b in into.get(target, (target,))]
    return nodes, tuple(edges)


def closing(nodes: Mapping[str, Any], edges: Iterable[Edge]) -> frozenset[Edge]:
    """The edges that close a cycle, on a walk in depth from the Inputs."""
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        after[source].append(target)
    done: set[str] = set()
    found: set[Edge] = set()
    for root in sorted(nodes, key=lambda name: (kind_of(nodes[name]) != "Input", name)):
        if root in done:
            continue
        path, ways = [root], [iter(after[root])]
        while path:
            target = next(ways[-1], "")
            if not target:
                done.add(path.pop())
                ways.pop()
            elif target in path:
                found.add((path[-1], target))
            elif target not in done:
                path.append(target)
                ways.append(iter(after[target]))
    return frozenset(found)


def in_order(nodes: Mapping[str, Any], edges: Iterable[Edge], late: frozenset[Edge]) -> Iterator[str]:
    """Each node after those that feed it by other edges than the late ones."""
    before: dict[str, set[str]] = {name: set() for name in nodes}
    for source, target in edges:
        if (source, target) not in late:
            before[target].add(source)
    waiting = sorted(nodes)
    while waiting:
        ready = [name for name in waiting if before[name].isdisjoint(waiting)]
        waiting = [name for name in waiting if name not in ready]
        yield from ready


def kind_of(node: Any) -> str:
    """What NIR calls a node."""
    return type(node).__name__


def end_shape(types: Mapping[str, Any]) -> Shape:
    """The shape of an Input's or an Output's sample in a step."""
    return tuple(int(size) for size in np.reshape(next(iter(types.values())), -1))


def input_places(nodes: Mapping[str, Any]) -> dict[str, slice]:
    """Input → its place in a flat step of the stimulus, in which several lie side by side in the order of their names."""
    found, first = {}, 0
    for name in sorted(name for name, node in nodes.items() if kind_of(node) == "Input"):
        size = math.prod(end_shape(nodes[name].input_type))
        found[name] = slice(first, first + size)
        first += size
    return found


def pair(value: Any) -> tuple[int, int]:
    """A height and a width, of one number or two."""
    first, second = (int(each) for each in np.broadcast_to(np.reshape(value, -1), 2))
    return first, second
