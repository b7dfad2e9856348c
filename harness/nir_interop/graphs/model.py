"""A NIR graph as the harness holds it: what stands in the file, nothing inferred, nothing repaired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NEURONS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
"""Primitives with a membrane."""
SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
"""Primitives whose output is spikes."""
STATELESS = (
    "Affine",
    "Linear",
    "Scale",
    "Conv1d",
    "Conv2d",
    "SumPool2d",
    "AvgPool2d",
    "Flatten",
    "Threshold",
    "Input",
    "Output",
)
"""Primitives without memory."""


@dataclass(frozen=True, eq=False)
class Node:
    """One primitive.

    kind : NIR's own type name (``LIF``, ``Conv2d``, …)
    params : NIR's own parameter names → arrays (0-d for scalars), as the file has them; text stays text;
        ``shape`` for Input and Output (a 1-d integer array)
    metadata : what the file says about the node; it means nothing to the harness
    unwritten : fields that a file is to leave out, ``metadata`` among them: a reader that knows them has the same of it
    """

    kind: str
    params: Mapping[str, Array] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    unwritten: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> Array:
        return self.params[name]

    def get(self, name: str) -> Array | None:
        """A parameter, or None where the file does not have it."""
        return self.params.get(name)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes by name and directed edges between them; a node may be a graph again.

    Edges appear in the file's order; an edge that appears twice counts once.
    """

    nodes: Mapping[str, Node | Graph]
    edges: tuple[tuple[str, str], ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    kind = "NIRGraph"

    def of_kind(self, *kinds: str) -> tuple[str, ...]:
        """Names of the nodes of some kinds, sorted."""
        return tuple(sorted(name for name, node in self.nodes.items() if node.kind in kinds))

    def into(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that feed a node, in the order of the edges."""
        return self._neighbours[0].get(name, ())

    def out_of(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that a node feeds, in the order of the edges."""
        return self._neighbours[1].get(name, ())

    @cached_property
    def _neighbours(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        """Of every node, those that feed it and those that it feeds; kept, since a graph never changes."""
        into: dict[str, list[str]] = {}
        out_of: dict[str, list[str]] = {}
        for source, target in dict.fromkeys(self.edges):
            into.setdefault(target, []).append(source)
            out_of.setdefault(source, []).append(target)
        return {name: tuple(each) for name, each in into.items()}, {name: tuple(each) for name, each in out_of.items()}

    def primitives(self) -> Iterator[tuple[str, Node]]:
        """The nodes that are no graphs, by name, sorted."""
        for name, node in sorted(self.nodes.items()):
            if isinstance(node, Node):
                yield name, node


def as_array(value: Any) -> Array:
    """A read-only array of a parameter, sharing no memory with its source."""
    array = np.array(value, copy=True)
    array.setflags(write=False)
    return array
