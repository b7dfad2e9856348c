"""A pass about several Outputs, for importers that give one of them, or none."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Wiring
from nir_interop.graphs import Graph, Node, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.vocabulary import Cause


def one_output(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Lay what reaches several Outputs side by side, in the order of their names, and give it at one.

    .. math:: y = \sum_k P_k\,y^{(k)}, \qquad (P_k)_{ij} = [\,i = j + n_1 + \dots + n_{k-1}\,]

    with :math:`n_k` the size of the *k*-th Output: each :math:`P_k` is a Linear layer of zeros and ones, so that no number
    changes.  Several nodes that reach one Output reach its layer, and add up there.  Refused where what reaches an Output has
    several axes, since layers take one.
    """
    names = sorted(graph.of_kind("Output"))
    domain, several = target.domain, Wiring.SEVERAL_OUTPUTS
    if len(names) < 2 or not (domain.declined(several) or domain.misruns(several)):
        return None
    shapes = {name: shape for name, (shape, _) in validate(graph).items() if name in names}
    if any(len(shape) != 1 for shape in shapes.values()):
        why = "the importer does not give several Outputs, and what reaches one has several axes"
        raise Refused(Cause.UNSUPPORTED, tuple(names), why)
    sizes = {name: shapes[name][0] for name in names}
    whole, first = sum(sizes.values()), 0
    nodes = {name: node for name, node in graph.nodes.items() if name not in names}
    edges = [edge for edge in graph.edges if edge[1] not in names]
    end = free_name("output", nodes)
    nodes[end] = Node("Output", {"shape": np.array([whole])})
    for name in names:
        place = np.zeros((whole, sizes[name]), dtype=np.float32)
        place[first + np.arange(sizes[name]), np.arange(sizes[name])] = 1
        layer, first = free_name(f"{name}_place", nodes), first + sizes[name]
        nodes[layer] = Node("Linear", {"weight": place})
        edges += [(source, layer) for source in graph.into(name)] + [(layer, end)]
    why = f"the importer does not give several Outputs; one has them side by side: {', '.join(names)}"
    return Rewritten(Graph(nodes, tuple(edges), graph.metadata), tuple(names), why)


OUTPUT_PASSES: tuple[Pass, ...] = (
    Pass(
        "one_output",
        (),
        frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED}),
        "every output, side by side in the order of the Outputs' names; spikes and membranes",
        one_output,
    ),
)
