"""Whether a graph means anything: the harness's own rules, each refusal with a line that says what, where, and what to do."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.components import unfed_cycles
from nir_interop.graphs.inlining import Flat, Place, flatten, inline
from nir_interop.graphs.model import Array, Graph, Node, as_array
from nir_interop.graphs.primitives import ANNOTATIONS, CONVOLUTIONS, DENSE, ELEMENTWISE, PARAMETERS, TIME_CONSTANTS
from nir_interop.graphs.shapes import Shape, check_size, output_shape, own_shape, whole_numbers
from nir_interop.printable import shape_text, shown

Shapes = Mapping[str, tuple[Shape, Shape]]
"""Name in the inlined graph → shape of what comes in, shape of what goes out; without time and batch."""


def validate(graph: Graph, *, finite: bool = True) -> Shapes:
    """Check a graph and find the shape at each of its nodes, keyed by their names in ``inline(graph)``.

    finite : refuse infinite parameters and NaN

    Legal: two and more Inputs or Outputs, and nodes without a way to an Output.
    Raises InvalidGraph for nodes of unknown kind, with missing, unknown, non-finite or senseless parameters; for edges to
    missing nodes, into an Input or out of an Output; without Input or without Output; for nodes that nothing feeds; for
    subgraphs without exactly one Input and Output; and for shapes that do not fit.
    """
    flat = flatten(graph)
    for name, node in sorted(flat.nodes.items()):
        with _Where(name, node):
            check_parameters(node, finite=finite)
    _check_ends(graph)
    _check_feeding(flat)
    shapes = _propagate(flat)
    inline(graph)
    return {name: shapes[name] for name in sorted(shapes) if name not in flat.passes}


def shapes_by_place(graph: Graph) -> dict[Place, tuple[Shape, Shape]]:
    """The shapes at each node of a valid graph, by its place: of subgraphs' own Inputs and Outputs, too."""
    flat = flatten(graph)
    return {flat.places[name]: shapes for name, shapes in _propagate(flat).items()}


_ANY = Node("Scale", {"scale": as_array(1.0)})
"""Takes every shape, and gives it on."""


def fed(graph: Graph) -> dict[Place, Shape]:
    """What comes in at each node, whatever Outputs, the ends of subgraphs and elementwise parameters say; empty where that is
    not to be found."""
    try:
        flat = flatten(graph)
        free = {name for name, node in flat.nodes.items() if node.kind in (*ELEMENTWISE, "Output") or name in flat.passes}
        nodes = {name: _ANY if name in free else node for name, node in flat.nodes.items()}
        return {flat.places[name]: into for name, (into, _) in _propagate(replace(flat, nodes=nodes)).items()}
    except (InvalidGraph, KeyError, ValueError, AttributeError):
        return {}


class _Where:
    """Puts the node into the message of an error from inside."""

    def __init__(self, name: str, node: Node) -> None:
        self.prefix = f"{node.kind if node.kind in PARAMETERS else 'node'} {shown(name)}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InvalidGraph):
            told = InvalidGraph(f"{self.prefix}: {error}")
            told.reached = error.reached
            raise told from None


def check_parameters(node: Node, *, finite: bool = True) -> None:
    """What can be said of a node by itself.  Raises InvalidGraph, without the node's name."""
    if node.kind not in PARAMETERS:
        raise InvalidGraph(f"its type {shown(node.kind)} is unknown to NIR; use one of NIR's primitives")
    names = PARAMETERS[node.kind]
    for name in names:
        if name not in node.params:
            raise InvalidGraph(f"it has no {name}; write one")
    params: Mapping[str, Any] = node.params
    for name, value in sorted(params.items()):
        if name in ANNOTATIONS.get(node.kind, ()):
            continue
        if name not in names:
            raise InvalidGraph(f"NIR knows no parameter {shown(name)} here; take it away")
        if name == "padding" and isinstance(value, str) and node.kind.startswith("Conv"):
            continue
        _check_numbers(name, value, finite)
    _check_signs(node)


def _check_numbers(name: str, value: Array, finite: bool) -> None:
    numbers = isinstance(value, np.ndarray) and (value.dtype.kind in "fiu" or (value.dtype.kind == "b" and name == "weight"))
    if not numbers:
        raise InvalidGraph(f"{name} is not made of numbers; write an array of floats")
    # An Input of one number per sample has the shape (), which is written as an empty list.
    if not value.size and name != "shape":
        raise InvalidGraph(f"{name} is empty (shape {shape_text(value.shape)}); write at least one number")
    if finite and value.dtype.kind == "f" and not np.isfinite(value).all():
        word = "NaN" if np.isnan(value).any() else "infinite"
        raise InvalidGraph(f"{name} is {word}{_place(~np.isfinite(value))}; write finite numbers")


def _check_signs(node: Node) -> None:
    for name in TIME_CONSTANTS:
        value = node.get(name)
        if value is not None and (value <= 0).any():
            word = "negative" if (value < 0).any() else "zero"
            raise InvalidGraph(f"{name} is {word}{_place(value <= 0)}; a time constant is more than 0 seconds")
    if node.kind == "Delay" and (node["delay"] < 0).any():
        raise InvalidGraph(f"delay is negative{_place(node['delay'] < 0)}; write 0 seconds or more")
    threshold, reset = node.get("v_threshold"), node.get("v_reset")
    if threshold is not None and reset is not None:
        if threshold.size > 1 and reset.size > 1 and threshold.shape != reset.shape:
            shapes = f"{shape_text(threshold.shape)} and {shape_text(reset.shape)}"
            raise InvalidGraph(f"v_threshold and v_reset have shapes {shapes}; write the same shape")
        high = _single(reset) >= _single(threshold)
        if high.any():
            raise InvalidGraph(f"v_reset is not below v_threshold{_place(high)}: it would spike without end; lower v_reset")


def _single(value: Array) -> Array:
    return value.reshape(()) if value.size == 1 else value


def _place(wrong: Array) -> str:
    """Where the first of many is."""
    if wrong.size <= 1:
        return ""
    return " at " + shape_text(tuple(int(index) for index in np.unravel_index(int(np.argmax(wrong)), wrong.shape)))


def _check_ends(graph: Graph) -> None:
    if not graph.of_kind("Input"):
        raise InvalidGraph("the graph has no Input; add one with the shape of a sample")
    if not graph.of_kind("Output"):
        raise InvalidGraph("the graph has no Output; add one behind the last node")


def _check_feeding(flat: Flat) -> None:
    """Every node is fed, be it by a cycle that nothing else feeds."""
    fed = {target for _, target in flat.edges}
    for name, node in sorted(flat.nodes.items()):
        if name not in fed and (node.kind != "Input" or name in flat.passes):
            if name in flat.passes and node.kind == "Input":
                raise InvalidGraph(f"nothing feeds subgraph {shown(flat.passes[name])}; add an edge into it or take it away")
            raise InvalidGraph(f"nothing feeds {node.kind} {shown(name)}; add an edge into it or take it away")


def _propagate(flat: Flat) -> dict[str, tuple[Shape, Shape]]:
    after: dict[str, list[str]] = {name: [] for name in flat.nodes}
    for source, target in flat.edges:
        after[source].append(target)
    starts = sorted(name for name, node in flat.nodes.items() if node.kind == "Input" and name not in flat.passes)
    shapes = {start: _sample(start, flat.nodes[start]) for start in starts}
    if len(starts) > 1:
        check_size((sum(math.prod(shape) for shape, _ in shapes.values()),))
    fed_by: dict[str, str] = {}
    try:
        _follow(flat, after, shapes, deque(starts), fed_by)
        for members in unfed_cycles(flat.nodes, flat.edges):
            _begin(flat, after, members, shapes)
            _follow(flat, after, shapes, deque(name for name in members if name in shapes), fed_by)
    except InvalidGraph as error:
        error.reached = len(shapes)
        raise
    return shapes


def _sample(name: str, node: Node) -> tuple[Shape, Shape]:
    """What an Input takes and gives."""
    with _Where(name, node):
        shape = whole_numbers(node, "shape")
        if min(shape, default=1) < 1:
            raise InvalidGraph(f"its shape {shape_text(shape)} has a size below 1; write the shape of a sample")
        check_size(shape)
    return shape, shape


def _begin(flat: Flat, after: Mapping[str, list[str]], members: list[str], shapes: dict[str, tuple[Shape, Shape]]) -> None:
    """Add the shapes of a node of a cycle that nothing feeds, from the parameters of the cycle and of what it feeds."""
    found = _taken(flat, after, members)
    if found is not None:
        name, shape = found
        with _Where(name, flat.nodes[name]):
            check_size(shape)
            shapes[name] = (shape, output_shape(flat.nodes[name], shape))
        return
    names = ", ".join(shown(name) for name in members[:3]) + (", …" if len(members) > 3 else "")
    if any(flat.nodes[name].kind in ELEMENTWISE for name in members):
        remedy = "write the parameters of one of its nodes as one number per neuron"
    elif any(flat.nodes[name].kind in CONVOLUTIONS for name in members):
        remedy = "write the input_shape of one of its convolutions"
    else:
        remedy = "feed one of its nodes"
    raise InvalidGraph(f"nothing feeds the cycle {names}, and no node of it tells its shape; {remedy}")


def _taken(flat: Flat, after: Mapping[str, list[str]], members: list[str]) -> tuple[str, Shape] | None:
    """A node of a cycle that nothing feeds, and what it takes: by its own parameters, else by those of a node that it feeds.

    Weights tell last: they take any axes before the one that they count.
    """
    elementwise = [name for name in members if flat.nodes[name].kind in ELEMENTWISE]  # which give what they take
    pairs = [(name, name) for name in members]
    pairs += [(name, target) for name in elementwise for target in sorted(after[name])]
    for dense in (False, True):
        for name, by in pairs:
            node = flat.nodes[by]
            if (node.kind in DENSE) is not dense:
                continue
            shape = whole_numbers(node, "shape") if node.kind == "Output" else own_shape(node)
            if shape is not None:
                return name, shape
    return None


def _follow(
    flat: Flat,
    after: Mapping[str, list[str]],
    shapes: dict[str, tuple[Shape, Shape]],
    waiting: deque[str],
    fed_by: dict[str, str],
) -> None:
    """Add the shapes of all that is fed by what is waiting."""
    while waiting:
        source = waiting.popleft()
        given = shapes[source][1]
        for target in sorted(after[source]):
            if target in shapes:
                if shapes[target][0] != given:
                    before = f"{shown(fed_by[target])} gives" if target in fed_by else "it takes"
                    first = f"{before} {shape_text(shapes[target][0])}"
                    text = f"{first} and {shown(source)} gives {shape_text(given)}; edges into one node add up: make them equal"
                    raise InvalidGraph(f"{flat.nodes[target].kind} {shown(target)}: {text}")
                continue
            with _Where(target, flat.nodes[target]):
                shapes[target] = (given, output_shape(flat.nodes[target], given))
            fed_by[target] = source
            waiting.append(target)
