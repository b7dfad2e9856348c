"""What a graph leaves to its reader, or says too much of: the size of what a convolution hears, a batch in its Input.

Times in another unit, and inputs that a target multiplies, are axes of its rule, which the passes about steps and gains make up
for: a number of steps is ``time_step = unit``, milliseconds are a dt in milliseconds, a factor of the input is a gain.
"""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph, Node, validate
from nir_interop.graphs.primitives import CONVOLUTIONS, ELEMENTWISE
from nir_interop.reconcile.model import Pass, Rewritten
from nir_interop.vocabulary import Cause


def sizes_given(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write the size of its input, which follows from the graph, on every convolution that does not say it, or says another.

    .. math:: \mathrm{input\_shape} = (d_1, \dots, d_n)\ \text{for samples of}\ (c, d_1, \dots, d_n)

    An annotation changes nothing of what a graph means; but nir 1.0.8 constructs no convolution without it.  What probes found
    of a convolution they found of one that says its size, so that no other is known to be taken: where nothing is known of the
    target's convolutions, nothing is rewritten.
    """
    names = [name for name in graph.of_kind(*CONVOLUTIONS) if graph.nodes[name].kind in target.domain]
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


def unbatched_input(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Take the batch of 1, with which a graph was exported, out of its Input.

    .. math:: W\,(x) = (W\,x) \quad\text{for samples } (x) \in \mathbb{R}^{1 \times n},\ x \in \mathbb{R}^n

    Every layer and neuron does to a single row what it does to a vector, so that outputs, spikes and membranes are the same
    numbers without an axis of one element.  nir 1.0.8 reads no graph whose Input has that axis before a weight: the type of a
    weight is its columns alone.

    Nothing is done where anything depends on axes (a convolution, a pool, a Flatten), where a node has other than one row, and
    where what the target takes is not known.
    """
    entries = graph.of_kind("Input")
    if not target.domain or len(entries) != 1:
        return None
    shapes = validate(graph)
    kinds = {node.kind for _, node in graph.primitives()} - {"Input", "Output", "Affine", "Linear"}
    rows = [shape for both in shapes.values() for shape in both]
    if kinds - ELEMENTWISE or any(len(shape) != 2 or shape[0] != 1 for shape in rows):
        return None
    nodes: dict[str, Node | Graph] = {}
    for name, node in graph.primitives():
        if node.kind in ("Input", "Output"):
            nodes[name] = Node(node.kind, {**node.params, "shape": np.array(shapes[name][0][1:])})
        elif node.kind in ELEMENTWISE:
            nodes[name] = Node(node.kind, {key: value[0] if value.ndim == 2 else value for key, value in node.params.items()})
        else:
            nodes[name] = node
    changed = tuple(sorted(name for name in nodes if nodes[name] is not graph.nodes[name]))
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), changed, "the batch of one sample is taken out of the Input")


BATCHES: tuple[Pass, ...] = (
    Pass("unbatched_input", (), frozenset({Cause.UNSUPPORTED}), "outputs, spikes and membranes", unbatched_input),
)
"""Before all passes but those that make a graph mean something."""

SIZES: tuple[Pass, ...] = (
    Pass("sizes_given", (), frozenset({Cause.UNSUPPORTED}), "outputs, spikes and membranes", sizes_given),
)
"""Behind passes that make convolutions, before those that nest nodes."""
