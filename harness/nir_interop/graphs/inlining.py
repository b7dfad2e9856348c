"""Graphs within graphs, made flat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.model import Graph, Node
from nir_interop.printable import shown

_DEEPEST = 64
MOST_EDGES = 2**20
"""That the edges through the ends of subgraphs may become."""

Place = tuple[str, ...]
"""Where a node is: the names of the subgraphs around it, and its own."""


@dataclass(frozen=True)
class Flat:
    """All nodes of a graph on one level; the Inputs and Outputs of its subgraphs are still there.

    passes : names of those inner Inputs and Outputs → the subgraph they belong to
    places : name → the names that lead to the node in the graph itself, the outermost first
    """

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    passes: dict[str, str]
    places: dict[str, Place] = field(default_factory=dict)


def inline(graph: Graph) -> Graph:
    """Put the nodes of every subgraph into the graph itself.

    Node ``b`` of subgraph ``a`` becomes ``a.b`` (with underscores added where that name is taken); the inner Input and
    Output vanish, and the edges on their two sides are joined.
    Raises InvalidGraph for an edge to a missing node, a subgraph without exactly one Input and one Output, where two edges
    between the same two nodes would become one, and where there would be more than MOST_EDGES.
    """
    if all(isinstance(node, Node) for node in graph.nodes.values()):
        return graph
    flat = flatten(graph)
    into: dict[str, dict[str, None]] = {name: {} for name in flat.nodes}
    out_of: dict[str, dict[str, None]] = {name: {} for name in flat.nodes}
    for source, target in flat.edges:
        out_of[source][target] = into[target][source] = None
    joined = 0
    for name, subgraph in flat.passes.items():
        sources, targets = into.pop(name), out_of.pop(name)
        if name in sources:
            raise InvalidGraph(f"subgraph {shown(subgraph)} feeds itself without a node between; take that edge away")
        for source in sources:
            del out_of[source][name]
        for target in targets:
            del into[target][name]
        joined += len(sources) * len(targets)
        if joined > MOST_EDGES:
            many = f"{len(sources):,} edges into subgraph {shown(subgraph)} meet {len(targets):,} behind them"
            raise InvalidGraph(f"{many}: more than {MOST_EDGES:,} edges once inlined; put one Scale of 1 between")
        for source in sources:
            for target in targets:
                if target in out_of[source]:
                    where = f"{shown(source)} feeds {shown(target)} directly and through subgraph {shown(subgraph)}"
                    raise InvalidGraph(f"{where}; NIR has one edge between two nodes: put a Scale on one of them")
                out_of[source][target] = into[target][source] = None
    nodes = {name: node for name, node in flat.nodes.items() if name not in flat.passes}
    edges = tuple((source, target) for source in nodes for target in out_of[source])
    return Graph(nodes, edges, graph.metadata)


def placed(graph: Graph, around: Place = ()) -> Iterator[tuple[Place, Node]]:
    """Every primitive of a graph and of those in it, with its place."""
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            yield from placed(node, (*around, name))
        else:
            yield (*around, name), node


def flatten(graph: Graph) -> Flat:
    """All nodes on one level, inner Inputs and Outputs kept.  Raises InvalidGraph as :func:`inline` does."""
    taken = {name for name, node in graph.nodes.items() if isinstance(node, Node)}
    flat = Flat({}, [], {})
    _add(flat, graph, (), "", taken)
    return flat


def _add(flat: Flat, graph: Graph, place: Place, prefix: str, taken: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Add one level; returns where edges into and out of each of its nodes lead now."""
    if len(place) > _DEEPEST:
        raise InvalidGraph(f"subgraphs nested deeper than {_DEEPEST} levels at {shown(prefix)}; inline some")
    entry: dict[str, str] = {}
    leaving: dict[str, str] = {}
    ordered = sorted(graph.nodes.items(), key=lambda item: item[0])
    for name, node in ordered:
        if isinstance(node, Node):
            entry[name] = leaving[name] = _free(prefix, name, taken)
            flat.nodes[entry[name]] = node
            flat.places[entry[name]] = (*place, name)
    for name, node in ordered:
        if isinstance(node, Graph):
            full = f"{prefix}{name}"
            ends = [_only(node, kind, full) for kind in ("Input", "Output")]
            inner_entry, inner_leaving = _add(flat, node, (*place, name), f"{full}.", taken)
            entry[name], leaving[name] = inner_entry[ends[0]], inner_leaving[ends[1]]
            flat.passes[entry[name]] = flat.passes[leaving[name]] = full
    for source, target in dict.fromkeys(graph.edges):
        for name in (source, target):
            if name not in graph.nodes:
                where = f" of subgraph {shown(prefix[:-1])}" if prefix else ""
                raise InvalidGraph(f"an edge{where} leads {_end(source, target, name)}, a node that is not there; take it away")
        for name, kind in ((target, "Input"), (source, "Output")):
            if graph.nodes[name].kind == kind:
                direction = f"{shown(source)} into Input" if kind == "Input" else f"Output {shown(source)} to"
                raise InvalidGraph(f"an edge leads from {direction} {shown(target)}; take it away")
        flat.edges.append((leaving[source], entry[target]))
    return entry, leaving


def _end(source: str, target: str, missing: str) -> str:
    return f"from {shown(source)} to {shown(target)}, where {shown(missing)} names"


def _only(graph: Graph, kind: str, name: str) -> str:
    found = graph.of_kind(kind)
    if len(found) != 1:
        count = len(found) or "no"
        raise InvalidGraph(f"subgraph {shown(name)} has {count} {kind}{'s' if found else ''}; a subgraph has exactly one")
    return found[0]


def _free(prefix: str, name: str, taken: set[str]) -> str:
    if not prefix:
        return name
    full = prefix + name
    while full in taken:
        full += "_"
    taken.add(full)
    return full
