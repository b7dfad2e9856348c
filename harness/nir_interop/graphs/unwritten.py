"""Files for a reader whose nir is older: fields that its classes do not have are left out where that says the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np

from nir_interop.graphs.model import Graph, Node
from nir_interop.graphs.primitives import DEFAULTS, PARAMETERS

METADATA = "metadata"
"""What a file says of a node beside its parameters: it means nothing."""


def newer_fields(kind: str, taken: Collection[str]) -> tuple[str, ...]:
    """The fields that a file may leave out, and that a class does not take.

    kind : a primitive
    taken : the fields that the reader's class has
    """
    known = [name for name in PARAMETERS.get(kind, ()) if name in DEFAULTS]
    return tuple(name for name in (*known, METADATA) if name not in taken)


def holds_field(node: Node, field: str) -> bool:
    """Whether a file with a node has one of these fields."""
    return field not in node.unwritten and (bool(node.metadata) if field == METADATA else field in node.params)


def is_neutral(node: Node, field: str) -> bool:
    """Whether a file without a field means the same."""
    return field == METADATA or bool(np.all(np.asarray(node[field]) == DEFAULTS[field]))


def without_fields(
    graph: Graph, lacking: Mapping[str, Collection[str]], may_go: Callable[[Node, str], bool] = is_neutral
) -> tuple[Graph, tuple[str, ...]]:
    """A graph whose file has no such fields where they may go; and the nodes that lose one, by name, sorted.

    lacking : primitive → fields
    may_go : whether a node can do without a field
    """
    nodes, changed = dict(graph.nodes), list[str]()
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            inner, within = without_fields(node, lacking, may_go)
            nodes[name] = inner if within else node
            changed += [f"{name}.{each}" for each in within]
            continue
        gone = {field for field in lacking.get(node.kind, ()) if holds_field(node, field) and may_go(node, field)}
        if gone:
            nodes[name] = replace(node, unwritten=node.unwritten | gone)
            changed.append(name)
    return (Graph(nodes, graph.edges, graph.metadata), tuple(sorted(changed))) if changed else (graph, ())
