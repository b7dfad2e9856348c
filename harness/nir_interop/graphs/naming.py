"""Names and the order in which nodes run: a file keeps its nodes sorted by name, and no other order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from nir_interop.graphs.components import components
from nir_interop.graphs.model import Graph, Node
from nir_interop.safe_names import replacements


def nested(graph: Graph) -> tuple[str, ...]:
    """Names of the nodes that are graphs, sorted."""
    return tuple(sorted(name for name, node in graph.nodes.items() if isinstance(node, Graph)))


def nest(graph: Graph, name: str, inside: Mapping[str, str], shape: tuple[int, ...]) -> Graph:
    """A graph with some of its nodes in a graph of their own, which means the same.

    inside : name in the inner graph → name of the node that goes there; one is fed from outside, and one feeds what is there
    shape : of one sample, going in and coming out
    """
    called = {outer: inner for inner, outer in inside.items()}
    ends = {each: Node(each.capitalize(), {"shape": np.array(shape)}) for each in ("input", "output")}
    inner_edges, outer_edges = dict[tuple[str, str], None](), dict[tuple[str, str], None]()
    for source, target in graph.edges:
        if source in called or target in called:
            inner_edges[called.get(source, "input"), called.get(target, "output")] = None
        if not (source in called and target in called):
            outer_edges[name if source in called else source, name if target in called else target] = None
    members = {inner: graph.nodes[outer] for inner, outer in inside.items()}
    around = {each: node for each, node in graph.nodes.items() if each not in called}
    return Graph({**around, name: Graph({**ends, **members}, tuple(inner_edges))}, tuple(outer_edges), graph.metadata)


def early(graph: Graph, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Edges on the way to some nodes whose end sorts before its start, so that a file names it before it can run.

    Edges within a cycle have no such order and do not count.
    """
    home = {name: number for number, part in enumerate(components(graph.nodes, graph.edges)) for name in part}
    upstream = _upstream(graph, names)
    against = {edge for edge in graph.edges if edge[1] in upstream and edge[1] <= edge[0] and home[edge[0]] != home[edge[1]]}
    return tuple(sorted(against, key=lambda edge: (home[edge[1]], edge)))


def in_order(graph: Graph, names: Iterable[str]) -> dict[str, str]:
    """New names for nodes and all that lead to them, which sort behind those of all nodes before them.

    A name that sorts behind them already stays.  Another becomes the last such name before it, a running number and itself
    (``input_1_fc``), so that names do not grow with the depth of a graph.
    """
    moved = _upstream(graph, names)
    called, last = {name: name for name in graph.nodes}, dict[str, str]()
    anchors: dict[str, str] = {}
    wide, number = len(str(len(graph.nodes))), 0
    for part in components(graph.nodes, graph.edges):
        before = max((last[source] for name in part for source in graph.into(name) if source not in part), default="")
        for name in part:
            if name in moved and name <= before:
                taken = {*called, *called.values()}
                anchor = anchors.get(before, before)
                number += 1
                new = f"{anchor}_{number:0{wide}}_{name}"
                while new in taken:
                    new += "_"
                called[name] = new
                anchors[new] = anchor
        last |= dict.fromkeys(part, max(before, *(called[name] for name in part)))
    return called


def renamed(graph: Graph, called: Mapping[str, str]) -> Graph:
    """A graph with its nodes under other names."""
    edges = tuple((called.get(source, source), called.get(target, target)) for source, target in graph.edges)
    return Graph({called.get(name, name): node for name, node in graph.nodes.items()}, edges, graph.metadata)


def with_safe_names(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """A graph as a library may be given it, and what is called otherwise there: name → safe name, ``outer.inner`` in graphs.

    A graph whose names are all safe comes back itself.
    """
    called = replacements([*graph.nodes, *(end for edge in graph.edges for end in edge)])
    nodes: dict[str, Node | Graph] = {}
    told = {}
    for name, node in graph.nodes.items():
        new = called.get(name, name)
        if new != name:
            told[name] = new
        if isinstance(node, Graph):
            node, inner = with_safe_names(node)
            told |= {f"{name}.{old}": f"{new}.{safe}" for old, safe in inner.items()}
        nodes[name] = node
    return (renamed(Graph(nodes, graph.edges, graph.metadata), called), told) if told else (graph, {})


def _upstream(graph: Graph, names: Iterable[str]) -> set[str]:
    """Nodes and all that lead to them."""
    found, into = set(names), dict[str, list[str]]()
    for source, target in graph.edges:
        into.setdefault(target, []).append(source)
    left = sorted(found)
    while left:
        new = set(into.get(left.pop(), ())) - found
        found |= new
        left += sorted(new)
    return found
