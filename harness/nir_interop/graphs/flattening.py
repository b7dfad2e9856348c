"""The order in which a Flatten joins the elements of its dimensions: NIR's is the last dimension fastest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from nir_interop.graphs.model import Array, Graph, Node
from nir_interop.graphs.primitives import DENSE
from nir_interop.graphs.shapes import Shape, flatten_range

LONGEST_ORDER, WIDEST_ORDER = 4, 2048
"""Dimensions of which all orders are tried, and features that a matrix may permute."""

Order = tuple[int, ...]


def joined(node: Node, shape: Shape) -> Shape | None:
    """The dimensions that a Flatten joins, where the last of a sample is among them; else None."""
    first, last = flatten_range(node, len(shape))
    return shape[first:] if last + 1 == len(shape) else None


def columns_of(sizes: Shape, order: Order) -> Array:
    """Joined with the dimensions in another order, feature k is what feature ``columns[k]`` was."""
    return np.arange(int(np.prod(sizes))).reshape(sizes).transpose(order).reshape(-1)


def orders(node: Node, shape: Shape) -> Iterator[tuple[Order, Array]]:
    """Every other order in which a Flatten may join its dimensions, with its columns."""
    sizes = joined(node, shape)
    if sizes is None or len(sizes) > LONGEST_ORDER:
        return
    for order in itertools.permutations(range(len(sizes))):
        columns = columns_of(sizes, order)
        if not np.array_equal(columns, np.sort(columns)):
            yield order, columns


def reordered(graph: Graph, name: str, columns: Array) -> Graph | None:
    """The graph in which feature k of a node's answer is what feature ``columns[k]`` was; None where that is too large.

    The weights behind it meet their features in that order; where something else hears it, too, a permutation follows.
    """
    behind = {target: graph.nodes[target] for target in graph.out_of(name)}
    if all(node.kind in DENSE for node in behind.values()):
        # Weight k meets the old feature columns[k].
        inverse = np.argsort(columns)
        changed = {
            target: Node(node.kind, {**node.params, "weight": node["weight"][:, inverse]})
            for target, node in behind.items()
            if isinstance(node, Node)
        }
        return Graph({**graph.nodes, **changed}, graph.edges, graph.metadata)
    if len(columns) > WIDEST_ORDER:
        return None
    order = f"{name}>order"
    edges = tuple((order if source == name else source, target) for source, target in graph.edges)
    weight = np.eye(len(columns), dtype=np.float32)[columns]
    return Graph({**graph.nodes, order: Node("Linear", {"weight": weight})}, (*edges, (name, order)), graph.metadata)
