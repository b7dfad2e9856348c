"""Why outputs have other axes, where a replay of the case tells: explaining asks for values alone."""

from __future__ import annotations

import numpy as np

from nir_interop.conformance.primitives.case import Case
from nir_interop.conformance.primitives.judging import same_outputs
from nir_interop.errors import InvalidGraph
from nir_interop.explain.structure import reshaped
from nir_interop.graphs import Graph, Node, whole_numbers
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.vocabulary import Cause


def by_axes(case: Case, seen: Recording) -> tuple[str, ...]:
    """The cause, or nothing where neither reading of the case gives what was seen.

    ``flatten_batch``: dimensions of a Flatten counted with the batch.  A Flatten that starts at 0 is not asked: it joins the
    batch itself, for which there is no graph.
    ``node_dropped``: some of several Outputs left out.
    """
    graph = _counted(case.graph)
    if graph is not None and _gives(graph, case, seen):
        return (str(Cause.FLATTEN_BATCH),)
    meant = case.meant.outputs
    if len(seen.outputs) == 1 < len(meant) and any(same_outputs(Recording({name: meant[name]}), seen) for name in meant):
        return (str(Cause.NODE_DROPPED),)
    return ()


def _gives(graph: Graph, case: Case, seen: Recording) -> bool:
    try:
        return same_outputs(simulate(graph, case.stimulus, case.dt), seen)
    except InvalidGraph:
        return False


def _counted(graph: Graph) -> Graph | None:
    """The graph with dimensions that are counted from the front one further to the front; None where there are none."""
    nodes = dict(graph.nodes)
    for name in graph.of_kind("Flatten"):
        node = nodes[name]
        if not isinstance(node, Node):
            continue
        (start,), (end,) = (whole_numbers(node, each, 1) for each in ("start_dim", "end_dim"))
        if start == 0 or end == 0:
            return None
        moved = {each: np.array(value - (value > 0)) for each, value in (("start_dim", start), ("end_dim", end))}
        nodes[name] = Node("Flatten", {**node.params, **moved})
    return reshaped(Graph(nodes, graph.edges)) if nodes != dict(graph.nodes) else None
