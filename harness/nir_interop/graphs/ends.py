"""What a graph is fed in a step: a sample of its Input, or, of several Inputs, their samples side by side.

Several Inputs are fed as several Outputs are read: by name, or in one array, each flattened and one beside the other in the
order of their names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from nir_interop.graphs.model import Graph
from nir_interop.graphs.shapes import Shape
from nir_interop.graphs.validation import Shapes


def input_shapes(graph: Graph, shapes: Shapes) -> dict[str, Shape]:
    """The Inputs of a graph, sorted by name → the shape of a sample of each.

    shapes : as :func:`nir_interop.graphs.validate` finds them
    """
    return {name: tuple(int(size) for size in shapes[name][1]) for name in graph.of_kind("Input")}


def sample_shape(inputs: Mapping[str, Shape]) -> Shape:
    """The shape of what a graph with these Inputs is fed in a step: that of the only one, or (n,), all side by side."""
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    return (sum(math.prod(shape) for shape in inputs.values()),)


def places(inputs: Mapping[str, Shape]) -> dict[str, slice]:
    """Of several Inputs side by side, where each stands."""
    found, first = {}, 0
    for name, shape in sorted(inputs.items()):
        found[name] = slice(first, first + math.prod(shape))
        first += math.prod(shape)
    return found
