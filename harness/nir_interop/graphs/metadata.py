"""What a file says about a graph and its nodes beside what they mean: kept through every rewriting."""

from __future__ import annotations

from dataclasses import replace

from nir_interop.graphs.model import Graph, Node


def with_metadata_of(before: Graph, after: Graph) -> Graph:
    """A rewritten graph that says of itself and of the nodes whose names stayed what it said before, unless it says anew."""
    nodes = dict(after.nodes)
    for name, node in after.nodes.items():
        old = before.nodes.get(name)
        if isinstance(node, Node) and isinstance(old, Node) and old.metadata and not node.metadata:
            nodes[name] = replace(node, metadata=old.metadata)
        elif isinstance(node, Graph) and isinstance(old, Graph):
            nodes[name] = with_metadata_of(old, node)
    return Graph(nodes, after.edges, after.metadata or before.metadata)
