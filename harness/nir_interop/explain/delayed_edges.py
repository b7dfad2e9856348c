"""Graphs in which other edges of a cycle wait a step than those that NIR's meaning chooses."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from nir_interop.graphs import Graph
from nir_interop.reference.simulator import DelayedEdge

Edge = tuple[str, str]


def delayed(graph: Graph, edges: Collection[Edge], dt: float) -> Graph:
    """An inlined graph in which some edges wait a step of ``dt`` [s]; like all that wait, with their sources' answer to silence
    in the first step, where the rule has it so."""
    nodes, kept = dict(graph.nodes), [edge for edge in graph.edges if edge not in edges]
    for source, target in edges:
        name = f"{source}>{target}"
        nodes[name] = DelayedEdge("Delay", {"delay": np.array(dt)})
        kept += [(source, name), (name, target)]
    return Graph(nodes, tuple(kept))
