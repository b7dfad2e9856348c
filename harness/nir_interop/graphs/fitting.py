"""Changes that may make every shape of a graph fit: a batch taken away, a Flatten without it, parameters stretched, and more.

Each gives a graph and what it changed, a sentence each; it says nothing where it finds nothing to change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.inlining import Place, placed
from nir_interop.graphs.model import Array, Graph, Node, as_array
from nir_interop.graphs.old_forms import Reading
from nir_interop.graphs.primitives import DENSE, ELEMENTWISE, POOLS, WHOLE
from nir_interop.graphs.shapes import Shape, is_scalar, own_shape, whole_numbers
from nir_interop.graphs.validation import fed, validate
from nir_interop.printable import shape_text, shown

Change = Callable[[Graph], Reading]


def without_axes(count: int) -> Change:
    """Without the first axes of the Input, a batch or time, and of whatever counts them too."""

    def change(graph: Graph) -> Reading:
        inputs = graph.of_kind("Input")
        if len(inputs) != 1:
            return graph, ()
        node = graph.nodes[inputs[0]]
        try:
            shape = whole_numbers(node, "shape") if isinstance(node, Node) else ()
        except InvalidGraph:
            return graph, ()
        if len(shape) <= count:
            return graph, ()
        lead = shape[:count]
        made, _ = _rewritten(graph, lambda _, each: _stripped(each, lead))
        axes = "axis is" if count == 1 else "axes are"
        what = "a batch of 1" if lead == (1,) else "a batch or time"
        said = f"the Input {shown(inputs[0])} has shape {shape_text(shape)}, whose first {axes} {what}"
        return made, (f"{said}: read as {shape_text(shape[count:])}",)

    return change


def without_batch(graph: Graph) -> Reading:
    """A valid graph without a batch of 1 in its Input and in all behind it, where that reaches an Affine or Linear: NIR's take
    one axis."""
    shapes = fed(graph)
    inputs = [shapes.get((name,), ()) for name in graph.of_kind("Input")]
    wide = [place for place, node in placed(graph) if node.kind in DENSE and len(shapes.get(place, ())) > 1]
    if not wide or not inputs or any(shape[:1] != (1,) for shape in inputs):
        return graph, ()
    made, notes = without_axes(1)(graph)
    try:
        validate(made)
    except InvalidGraph:
        return graph, ()
    return made, notes


def _stripped(node: Node, lead: tuple[int, ...]) -> Node | None:
    """A node without leading axes where it has them; a parameter only where they are of size 1."""
    count = len(lead)
    params: dict[str, Any] = dict(node.params)
    if node.kind in ("Input", "Output"):
        shape = params.get("shape")
        if isinstance(shape, np.ndarray) and shape.ndim == 1 and tuple(shape[:count].tolist()) in (lead, (1,) * count):
            params["shape"] = shape[count:]
    elif node.kind in ELEMENTWISE:
        for name, value in node.params.items():
            if (
                name not in WHOLE
                and isinstance(value, np.ndarray)
                and value.ndim > count
                and value.shape[:count] == (1,) * count
            ):
                params[name] = value.reshape(value.shape[count:])
    changed = any(params[name] is not node.params[name] for name in params)
    return Node(node.kind, params, node.metadata) if changed else None


def flatten_without_batch(graph: Graph) -> Reading:
    """Flattens whose dimensions are counted with a batch in front."""
    made, changed = _rewritten(graph, _one_less)
    return made, tuple(
        f"Flatten {shown(name)} counts a batch: read with start_dim {_start(node) - 1}" for name, node in changed
    )


def _start(node: Node) -> int:
    return int(np.ravel(node.params["start_dim"])[0])


def _one_less(name: str, node: Node) -> Node | None:
    if node.kind != "Flatten":
        return None
    params: dict[str, Any] = dict(node.params)
    for dimension in ("start_dim", "end_dim"):
        value = params.get(dimension)
        if not isinstance(value, np.ndarray) or value.size != 1 or value.dtype.kind not in "iu":
            return None
        if int(value.reshape(-1)[0]) > 0:
            params[dimension] = as_array(value - 1)
    return Node(node.kind, params, node.metadata) if params["start_dim"] is not node.params["start_dim"] else None


def pools_by_window(graph: Graph) -> Reading:
    """Pools whose stride was lost: 1, where the window is larger."""

    def change(name: str, node: Node) -> Node | None:
        if node.kind not in POOLS or not all(
            isinstance(node.params.get(each), np.ndarray) for each in ("kernel_size", "stride")
        ):
            return None
        window: Array = node["kernel_size"]
        if window.dtype.kind not in "iu" or not (node["stride"] == 1).all() or not (window > 1).any():
            return None
        return Node(node.kind, {**node.params, "stride": window}, node.metadata)

    made, changed = _rewritten(graph, change)
    names = ", ".join(shown(name) for name, _ in changed)
    return made, (
        f"the pools {names} step by 1, which fits nothing behind them: read as stepping by their window",
    ) if changed else ()


def input_by_layer(graph: Graph) -> Reading:
    """An Input without axes, in the shape that the layers behind it tell."""
    inputs = graph.of_kind("Input")
    if len(inputs) != 1:
        return graph, ()
    node = graph.nodes[inputs[0]]
    declared = node.params.get("shape") if isinstance(node, Node) else None
    if not isinstance(declared, np.ndarray) or declared.size:
        return graph, ()
    told = {_own(graph.nodes[name]) for name in graph.out_of(inputs[0])}
    shape = told.pop() if len(told) == 1 else None
    if not shape:
        return graph, ()
    changed = Node("Input", {"shape": as_array(np.array(shape, np.int64))}, getattr(node, "metadata", {}))
    said = f"the Input {shown(inputs[0])} has no axes: read as {shape_text(shape)}, which what it feeds takes"
    return Graph({**graph.nodes, inputs[0]: changed}, graph.edges, graph.metadata), (said,)


def _own(node: Node | Graph) -> Shape | None:
    try:
        return own_shape(node) if isinstance(node, Node) else None
    except (KeyError, AttributeError):
        return None


def stretched(graph: Graph) -> Reading:
    """Parameters with axes of size 1 in front, or where an element each is meant, as many as there are elements."""
    shapes = fed(graph)

    def change(place: Place, node: Node) -> tuple[Node, str] | None:
        shape = shapes.get(place)
        if node.kind not in ELEMENTWISE or shape is None:
            return None
        params: dict[str, Any] = dict(node.params)
        found: dict[Shape, list[str]] = {}
        for name, value in node.params.items():
            if name in WHOLE or not isinstance(value, np.ndarray) or is_scalar(value) or value.shape == shape:
                continue
            made = _stretch(value, shape)
            if made is None:
                return None
            params[name] = made
            found.setdefault(value.shape, []).append(name)
        if not found:
            return None
        parts = [f"{', '.join(names)} of shape {shape_text(old)}" for old, names in sorted(found.items())]
        said = f"{node.kind} {shown('.'.join(place))} has {' and '.join(parts)}: read as {shape_text(shape)}"
        return Node(node.kind, params, node.metadata), said

    return _at_places(graph, change)


def _stretch(value: Array, shape: Shape) -> Array | None:
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    if value.size == 1:
        return as_array(np.full(shape, value.reshape(())))
    if value.ndim != len(shape) or any(size not in (1, wanted) for size, wanted in zip(value.shape, shape, strict=True)):
        return None
    return as_array(np.broadcast_to(value, shape))


def ends_as_fed(graph: Graph) -> Reading:
    """Outputs, and the Inputs of subgraphs, in the shape of what comes in."""
    shapes = fed(graph)

    def change(place: Place, node: Node) -> tuple[Node, str] | None:
        shape = shapes.get(place)
        if shape is None or not (node.kind == "Output" or (node.kind == "Input" and len(place) > 1)):
            return None
        declared: Any = node.params.get("shape")
        says = "no shape"
        if isinstance(declared, np.ndarray) and declared.ndim == 1:
            if tuple(declared.tolist()) == shape:
                return None
            says = f"shape {shape_text(tuple(declared.tolist()))}"
        said = f"the {node.kind} {shown('.'.join(place))} says {says}, what comes in has {shape_text(shape)}: read as that"
        return Node(node.kind, {**node.params, "shape": as_array(np.array(shape, np.int64))}, node.metadata), said

    return _at_places(graph, change)


def _at_places(graph: Graph, change: Callable[[Place, Node], tuple[Node, str] | None]) -> Reading:
    """Every primitive put through a change, with its place, and what each change says."""
    notes: list[str] = []

    def walk(part: Graph, place: Place) -> Graph:
        nodes: dict[str, Node | Graph] = {}
        for name, node in part.nodes.items():
            if isinstance(node, Graph):
                nodes[name] = walk(node, (*place, name))
                continue
            found = change((*place, name), node)
            if found is not None:
                notes.append(found[1])
            nodes[name] = node if found is None else found[0]
        return Graph(nodes, part.edges, part.metadata)

    made = walk(graph, ())
    return (made, tuple(notes)) if notes else (graph, ())


def _rewritten(graph: Graph, change: Callable[[str, Node], Node | None]) -> tuple[Graph, list[tuple[str, Node]]]:
    """Every primitive put through a change, inner ones too, and those that it changed with their full names."""
    changed: list[tuple[str, Node]] = []

    def walk(part: Graph, prefix: str) -> Graph:
        nodes: dict[str, Node | Graph] = {}
        for name, node in part.nodes.items():
            if isinstance(node, Graph):
                nodes[name] = walk(node, f"{prefix}{name}.")
                continue
            other = change(f"{prefix}{name}", node)
            if other is not None:
                changed.append((f"{prefix}{name}", node))
            nodes[name] = node if other is None else other
        return Graph(nodes, part.edges, part.metadata)

    return walk(graph, ""), changed
