"""What an importer makes of joins that runs the nodes of a graph depth first, each where it is first met.

Of a node with several sources those that are met later have not run yet: what comes from them is what they gave in the
step before, and nothing in the first.  What the last node gives is taken for the output.  nirtorch's ``GraphExecutor`` does
so (nirtorch 2.6, ``graph_utils.trace_execution``); it takes the nodes behind a node in the order of the file's edges.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nir_interop.explain.structure import pruned, reshaped
from nir_interop.graphs import Graph, Node, components

Edge = tuple[str, str]

MOST = 48
"""Orders that are tried."""


@dataclass(frozen=True, eq=False)
class DepthFirst:
    """A graph as it is run depth first.

    joins : the nodes with several sources
    """

    joins: tuple[str, ...]
    graph: Graph
    text: str


def depth_first(graph: Graph, dt: float) -> Iterator[DepthFirst]:
    """An inlined graph as such an importer runs it, for every order in which the nodes behind a node may be taken."""
    if len(graph.of_kind("Input")) != 1 or len(graph.of_kind("Output")) != 1:
        return
    (start,) = graph.of_kind("Input")
    home = {name: number for number, members in enumerate(components(graph.nodes, graph.edges)) for name in members}
    joins = tuple(name for name in graph.nodes if len({home[source] for source in graph.into(name)} - {home[name]}) > 1)
    if not joins:
        return
    seen: set[tuple[tuple[Edge, ...], str]] = set()
    for turns in itertools.islice(_turns(graph), MOST):
        order = _order(start, turns)
        place = {name: number for number, name in enumerate(order)}
        late = [
            (source, target)
            for source, target in dict.fromkeys(graph.edges)
            if place[source] > place[target] and home[source] != home[target]
        ]
        last = next(name for name in reversed(order) if graph.nodes[name].kind != "Output")
        if (tuple(late), last) not in seen:
            seen.add((tuple(late), last))
            text = "the nodes run depth first: " + "; ".join(
                [
                    *(f"what {source} gives {target} is a step late" for source, target in late),
                    f"the output of {last}, which is run last, is returned",
                ]
            )
            yield DepthFirst(joins, _rewired(graph, late, last, dt), text)


def order_of(graph: Graph) -> list[str]:
    """The nodes of an inlined graph depth first, from its Inputs, what lies behind a node in the order of the file's edges."""
    behind = {name: tuple(dict.fromkeys(graph.out_of(name))) for name in graph.nodes}
    found: dict[str, None] = {}
    for start in graph.of_kind("Input"):
        found.update(dict.fromkeys(_order(start, behind)))
    return [*found]


def _turns(graph: Graph) -> Iterator[dict[str, tuple[str, ...]]]:
    """Node → the nodes behind it, in each order; the file's own first."""
    behind = {name: tuple(dict.fromkeys(graph.out_of(name))) for name in graph.nodes}
    for chosen in itertools.product(*(itertools.permutations(names) for names in behind.values())):
        yield dict(zip(behind, chosen, strict=True))


def _order(start: str, behind: Mapping[str, tuple[str, ...]]) -> list[str]:
    order, waiting = [], [start]
    while waiting:
        name = waiting.pop()
        if name not in order:
            order.append(name)
            waiting += reversed(behind[name])
    return order


def _rewired(graph: Graph, late: list[Edge], last: str, dt: float) -> Graph:
    (output,) = graph.of_kind("Output")
    nodes, edges = dict(graph.nodes), [edge for edge in graph.edges if edge not in late and edge[1] != output]
    for source, target in late:
        if target != output:
            name = f"{source}>{target}"
            nodes[name] = Node("Delay", {"delay": np.array(dt)})
            edges += [(source, name), (name, target)]
    return pruned(reshaped(Graph(nodes, (*edges, (last, output)))))
