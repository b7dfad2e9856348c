"""What a run asks of each graph that a library wrote."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nir_interop.errors import NirInteropError
from nir_interop.workers.jobs import GraphFacts


def graph_facts(path: Path) -> GraphFacts:
    """The digest of a graph's content, its nodes but for Input and Output, and their topological order.

    A file that the harness cannot read is known by its bytes.
    """
    from nir_interop.graphs import components, digest, read

    try:
        graph = read(path)
        nodes = sorted(name for name, node in graph.nodes.items() if node.kind not in ("Input", "Output"))
        order = [name for group in components(graph.nodes, graph.edges) for name in group]
        return GraphFacts(digest=digest(graph), nodes=tuple(nodes), order=tuple(order))
    except NirInteropError as error:
        return GraphFacts(digest=hashlib.sha256(path.read_bytes()).hexdigest(), problem=str(error))
