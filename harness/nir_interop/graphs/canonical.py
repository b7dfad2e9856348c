"""One form for all graphs that mean the same, and its hash."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.inlining import inline
from nir_interop.graphs.model import Array, Graph, Node
from nir_interop.graphs.primitives import ANNOTATIONS, ELEMENTWISE, PARAMETERS, WHOLE
from nir_interop.graphs.shapes import Shape, flatten_range, is_scalar, padding_of, whole_numbers
from nir_interop.graphs.validation import Shapes, validate

_DIMENSIONS = {"Conv1d": 1, "Conv2d": 2, "SumPool2d": 2, "AvgPool2d": 2}


def canonical(graph: Graph) -> Graph:
    """The graph in the form in which all graphs of its meaning are alike.

    Subgraphs inlined; nodes and edges sorted by name; floats as float64, whole numbers as int64; one number written out for
    every element; strides and the like as one number a dimension, paddings in numbers where they are symmetric, Flatten's
    dimensions counted from 0; metadata and annotations that follow from the graph gone.  Names count.
    Where a graph is not valid its parameters keep the shapes they have.  Raises InvalidGraph where it cannot be inlined.
    """
    flat = inline(graph)
    shapes: Shapes
    try:
        shapes = validate(flat)
    except InvalidGraph:
        shapes = {}
    nodes = {name: _node(node, shapes[name][0] if name in shapes else None) for name, node in flat.primitives()}
    return Graph(nodes, tuple(sorted(set(flat.edges))))


def digest(graph: Graph) -> str:
    """SHA-256 of the canonical form, in hexadecimal: equal for graphs that mean the same and name their nodes alike.

    It says nothing of what a library makes of the file: a nested graph and its inlined form have one digest.
    """
    return _digest_of(canonical(graph))


def _digest_of(graph: Graph) -> str:
    hasher = hashlib.sha256(b"NIR graph, canonical form 1\n")
    for name, node in graph.primitives():
        values: dict[str, Any] = dict(sorted(node.params.items()))
        heads = [
            [key, *([value] if isinstance(value, str) else [value.dtype.str, value.shape])] for key, value in values.items()
        ]
        hasher.update(json.dumps([name, node.kind, heads]).encode() + b"\n")
        for value in values.values():
            if not isinstance(value, str):
                hasher.update(np.ascontiguousarray(value).data)
    hasher.update(json.dumps(graph.edges).encode())
    return hasher.hexdigest()


def _node(node: Node, shape: Shape | None) -> Node:
    params: dict[str, Any] = {}
    for name, value in sorted(node.params.items()):
        if name in ANNOTATIONS.get(node.kind, ()):
            continue
        plain = _parameter(node, name, value, shape)
        if isinstance(plain, np.ndarray):
            plain.setflags(write=False)
        params[name] = plain
    return Node(node.kind, params)


def _parameter(node: Node, name: str, value: Any, shape: Shape | None) -> Any:
    if name in WHOLE and node.kind in PARAMETERS:
        try:
            return _whole(node, name, shape)
        except (InvalidGraph, KeyError):
            return value if isinstance(value, str) else np.array(value, dtype=np.float64)
    if isinstance(value, str):
        return value
    # Adding 0 makes 0 of −0.
    array: Array = np.array(value, dtype=np.float64) + 0.0
    if is_scalar(array):
        if node.kind in ELEMENTWISE and shape is not None:
            return np.full(shape, array.reshape(()))
        if name == "bias" and "weight" in node.params and node["weight"].ndim:
            return np.full(node["weight"].shape[:1], array.reshape(()))
        return array.reshape(())
    return np.array(array)


def _whole(node: Node, name: str, shape: Shape | None) -> Any:
    if node.kind == "Flatten" and shape is not None:
        first, last = flatten_range(node, len(shape))
        return np.array(first if name == "start_dim" else last, dtype=np.int64)
    dimensions = _DIMENSIONS.get(node.kind)
    if name in ("start_dim", "end_dim", "groups"):
        return np.array(whole_numbers(node, name, 1)[0], dtype=np.int64)
    if name != "padding" or dimensions is None:
        return np.array(whole_numbers(node, name, dimensions), dtype=np.int64)
    padding: Any = node.params["padding"]
    if isinstance(padding, str):
        size = node["weight"].shape[2:]
        stride, dilation = (whole_numbers(node, key, dimensions) for key in ("stride", "dilation"))
        sides = padding_of(node, size, stride, dilation)
        if any(before != after for before, after in sides):
            return padding
        return np.array([before for before, _ in sides], dtype=np.int64)
    return np.array(whole_numbers(node, name, dimensions), dtype=np.int64)
