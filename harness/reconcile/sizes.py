"""What a graph leaves to its reader: the size of what a convolution hears.

Times in another unit, and inputs that a target multiplies, are axes of its rule, which the passes about steps and gains make up
for: a number of steps is ``time_step = unit``, milliseconds are a dt in milliseconds, a factor of the input is a gain.
"""

from __future__ import annotations

import numpy as np

from harness.graphs import Graph, Node, validate
from harness.reconcile.model import Pass, Rewritten, Side
from harness.vocabulary import Cause

_CONVOLUTIONS = ("Conv1d", "Conv2d")


def sizes_given(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write the size of its input, which follows from the graph, on every convolution that does not say it, or says another.

    .. math:: \mathrm{input\_shape} = (d_1, \dots, d_n)\ \text{for samples of}\ (c, d_1, \dots, d_n)

    An annotation changes nothing of what a graph means; but nir 1.0.8 constructs no convolution without it.  What probes found
    of a convolution they found of one that says its size, so that no other is known to be taken: where nothing is known of the
    target's convolutions, nothing is rewritten.
    """
    names = [name for name in graph.of_kind(*_CONVOLUTIONS) if graph.nodes[name].kind in target.domain]
    if not names:
        return None
    shapes, changed = validate(graph), dict[str, Node]()
    for name, node in graph.primitives():
        if name in names:
            size = shapes[name][0][1:]
            said = node.get("input_shape")
            if said is None or not np.array_equal(np.atleast_1d(said), size):
                given = np.array(size if len(size) > 1 else size[0])
                changed[name] = Node(node.kind, {**node.params, "input_shape": given})
    if not changed:
        return None
    why = "the importer is only known to take convolutions that say the size of what they hear"
    return Rewritten(Graph({**graph.nodes, **changed}, graph.edges, graph.metadata), tuple(sorted(changed)), why)


SIZES: tuple[Pass, ...] = (
    Pass("sizes_given", (), frozenset({Cause.UNSUPPORTED}), "outputs, spikes and membranes", sizes_given),
)
"""Behind passes that make convolutions, before those that nest nodes."""
