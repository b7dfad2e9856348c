"""What an importer may have made of a graph outside any rule: candidate rewrites, each replayed under the importer's rule."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.explain.structure import pruned, replaced, reshaped, without
from nir_interop.graphs import Array, Graph, Node, components, listed, validate
from nir_interop.graphs.flattening import orders, reordered
from nir_interop.graphs.primitives import DENSE
from nir_interop.reference.simulator import DelayedEdge
from nir_interop.vocabulary import Cause

Edge = tuple[str, str]

MOST_ORDERS = 48
"""Orders in which the nodes behind a node may be taken, that are tried."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A graph that an importer may have run instead.

    nodes : of the intended graph, where it was changed
    everywhere : at every place where it can be, as an importer does it that knows no better
    again : the stimulus had been run before, and its state was kept
    """

    cause: Cause
    nodes: tuple[str, ...]
    graph: Graph
    text: str
    everywhere: bool = False
    again: bool = False


def candidates(graph: Graph, dt: float) -> Iterator[Candidate]:
    """Every rewrite of an inlined graph that is known as an importer's fault, all places at once before each alone.

    Of two that are at work together, the one that comes first here is to be applied first.
    """
    yield Candidate(Cause.STATE_CARRIED, (), graph, "state is carried over from a run of the same input", True, again=True)
    places = (_returned, _drops, _drops_of_two_kinds, _biases, _transposed, _paddings, _permuted, _recurrences, _joins, _cuts)
    for sites in places:
        yield from sites(graph)
    yield from _cycles(graph, dt)
    yield from depth_first(graph, dt)


def _returned(graph: Graph) -> Iterator[Candidate]:
    """Of several Outputs one is given: every node runs, and what one of them gives is returned; first the one met last."""
    outputs = graph.of_kind("Output")
    if len(outputs) < 2:
        return
    for name in reversed(order_of(graph)):
        if graph.nodes[name].kind in ("Input", "Output"):
            continue
        nodes = {other: node for other, node in graph.nodes.items() if other not in outputs[1:]}
        edges = tuple(edge for edge in graph.edges if edge[1] not in outputs)
        lost = tuple(output for output in outputs if graph.into(output) != (name,))
        text = f"of the {len(outputs)} Outputs one is given: what {name} gives"
        yield Candidate(Cause.NODE_DROPPED, lost, reshaped(Graph(nodes, (*edges, (name, outputs[0])))), text, True)


def _each(cause: Cause, graph: Graph, changed: dict[str, Node], text: str) -> Iterator[Candidate]:
    if len(changed) > 1:
        names = tuple(sorted(changed))
        yield Candidate(cause, names, replaced(graph, **changed), text.format(listed(names)), True)
    for name, node in sorted(changed.items()):
        yield Candidate(cause, (name,), replaced(graph, **{name: node}), text.format(name), len(changed) == 1)


def _by_kind(graph: Graph) -> dict[str, list[str]]:
    kinds = sorted({node.kind for _, node in graph.primitives()} - {"Input", "Output"})
    return {kind: [*graph.of_kind(kind)] for kind in kinds}


def _drops(graph: Graph) -> Iterator[Candidate]:
    for kind, names in _by_kind(graph).items():
        if len(names) > 1:
            yield Candidate(Cause.NODE_DROPPED, tuple(names), without(graph, *names), f"every {kind} is left out", True)
        for name in names:
            yield Candidate(Cause.NODE_DROPPED, (name,), without(graph, name), f"{kind} {name} is left out", len(names) == 1)


def _drops_of_two_kinds(graph: Graph) -> Iterator[Candidate]:
    by_kind = _by_kind(graph)
    for one, other in itertools.combinations(sorted(by_kind), 2):
        names = sorted(by_kind[one] + by_kind[other])
        yield Candidate(Cause.NODE_DROPPED, tuple(names), without(graph, *names), f"every {one} and {other} is left out", True)


def _cuts(graph: Graph) -> Iterator[Candidate]:
    """A node that is not taken leaves two parts, and one of them is run."""
    for name, node in graph.primitives():
        if node.kind in ("Input", "Output"):
            continue
        for side, step in (("before", graph.into), ("behind", graph.out_of)):
            lost = {name, *_reached(name, step)} - {*graph.of_kind("Input"), *graph.of_kind("Output")}
            if 1 < len(lost) < len(graph.nodes) - 2:
                text = f"{node.kind} {name} and all that lies {side} it are left out"
                yield Candidate(Cause.NODE_DROPPED, tuple(sorted(lost)), without(graph, *lost), text)


def _reached(name: str, step: Callable[[str], tuple[str, ...]]) -> set[str]:
    found, waiting = set[str](), [name]
    while waiting:
        for other in step(waiting.pop()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def _biases(graph: Graph) -> Iterator[Candidate]:
    changed = {
        name: Node(node.kind, {**node.params, "bias": np.zeros_like(node["bias"])})
        for name, node in graph.primitives()
        if "bias" in node.params and np.any(node["bias"])
    }
    yield from _each(Cause.BIAS_DROPPED, graph, changed, "the bias of {} is left out")


def _transposed(graph: Graph) -> Iterator[Candidate]:
    def turned(node: Node) -> Array | None:
        weight = node.get("weight")
        if weight is None or weight.ndim < 2 or weight.shape[0] != weight.shape[1]:
            return None
        other = weight.swapaxes(0, 1)
        return None if np.array_equal(other, weight) else other

    found = {name: (node, turned(node)) for name, node in graph.primitives()}
    changed = {
        name: Node(node.kind, {**node.params, "weight": other}) for name, (node, other) in found.items() if other is not None
    }
    dense = {name: node for name, node in changed.items() if node.kind in DENSE}
    if len(dense) < len(changed):
        yield from _each(Cause.WEIGHT_TRANSPOSED, graph, changed, "the weight of {} is transposed")
    yield from _each(Cause.WEIGHT_TRANSPOSED, graph, dense, "the weight of {} is transposed")


def _paddings(graph: Graph) -> Iterator[Candidate]:
    changed = {
        name: Node(node.kind, {**node.params, "padding": np.zeros_like(node["padding"])})
        for name, node in graph.primitives()
        if node.kind in ("SumPool2d", "AvgPool2d") and np.any(node["padding"])
    }
    yield from _each(Cause.POOL_PADDING, graph, changed, "the padding of {} is not used")


def _permuted(graph: Graph) -> Iterator[Candidate]:
    """Features joined in another order: the weights behind a Flatten see their columns permuted, or a permutation follows."""
    try:
        shapes = validate(graph)
    except InvalidGraph:
        return
    for name in graph.of_kind("Flatten"):
        node = graph.nodes[name]
        if isinstance(node, Node):
            for order, columns in orders(node, shapes[name][0]):
                other = reordered(graph, name, columns)
                if other is not None:
                    text = f"{name} joins its dimensions in the order {order}"
                    yield Candidate(Cause.FLATTEN_ORDER, (name,), reshaped(other), text, len(graph.of_kind("Flatten")) == 1)


def _recurrences(graph: Graph) -> Iterator[Candidate]:
    """A neuron with a feedback of its own: the input goes through the feedback's weights, or through both."""
    moved: dict[str, str] = {}
    for name, node in graph.primitives():
        into = graph.into(name)
        if node.kind in ("Affine", "Linear", "Scale") and len(into) == 1 and into == graph.out_of(name):
            moved[into[0]] = name
    for cells in ([*moved], *([cell] for cell in moved)) if len(moved) > 1 else ([*moved],) if moved else ():
        names = tuple(sorted(moved[cell] for cell in cells))
        all_of_them, shown = len(cells) == len(moved), listed(names)
        through = tuple(
            (source, moved[target]) if target in cells and source != moved[target] else (source, target)
            for source, target in graph.edges
        )
        rewired = {
            f"the input goes through {shown}": Graph(graph.nodes, through),
            f"the feedback through {shown} is cut": _cut(graph, names),
            f"the input goes through {shown} as well": _through_both(graph, cells, moved),
        }
        for text, other in rewired.items():
            yield Candidate(Cause.RECURRENCE_REWIRED, names, other, text, all_of_them)


def _cut(graph: Graph, names: tuple[str, ...]) -> Graph:
    nodes = {name: node for name, node in graph.nodes.items() if name not in names}
    return Graph(nodes, tuple(edge for edge in graph.edges if not set(edge) & set(names)))


def _through_both(graph: Graph, cells: list[str], moved: dict[str, str]) -> Graph:
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for cell in cells:
        feedback = graph.nodes[moved[cell]]
        twin = f"{moved[cell]}.twin"
        if isinstance(feedback, Node):
            bias = {"bias": np.zeros_like(feedback["bias"])} if "bias" in feedback.params else {}
            nodes[twin] = Node(feedback.kind, {**feedback.params, **bias})
            edges += [(source, twin) for source in graph.into(cell) if source != moved[cell]] + [(twin, cell)]
    return Graph(nodes, tuple(edges))


def _joins(graph: Graph) -> Iterator[Candidate]:
    """Of several edges into a node one is left; or the node is skipped, and one of its sources stands for it."""
    home = {name: number for number, members in enumerate(components(graph.nodes, graph.edges)) for name in members}
    joins = {}
    for name in sorted(graph.nodes):
        branches = sorted(source for source in graph.into(name) if home[source] != home[name])
        if len(branches) > 1:
            joins[name] = branches
    if len(joins) > 1:
        for place in (-1, 0):
            lost = {(source, name) for name, found in joins.items() for source in found if source != found[place]}
            kept = Graph(graph.nodes, tuple(edge for edge in graph.edges if edge not in lost))
            yield Candidate(Cause.JOIN_MISRUN, tuple(joins), pruned(kept), "of the edges into a join one is left", True)
    for name, branches in joins.items():
        for source in branches:
            kept = Graph(
                graph.nodes,
                tuple(edge for edge in graph.edges if edge[1] != name or edge[0] not in branches or edge[0] == source),
            )
            text = f"of the edges into {name} only the one from {source} is left"
            yield Candidate(Cause.JOIN_MISRUN, (name,), pruned(kept), text, len(joins) == 1)
            edges = tuple((source if start == name else start, end) for start, end in graph.edges if end != name)
            nodes = {other: node for other, node in graph.nodes.items() if other != name}
            if graph.nodes[name].kind != "Output":
                skipped = pruned(reshaped(Graph(nodes, tuple(dict.fromkeys(edges)))))
                yield Candidate(Cause.JOIN_MISRUN, (name,), skipped, f"{source} stands for {name}", len(joins) == 1)


def _cycles(graph: Graph, dt: float) -> Iterator[Candidate]:
    """Other edges of a cycle wait: all that lead back by name, or one of them."""
    cycles: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for part in components(graph.nodes, graph.edges):
        inside = [edge for edge in dict.fromkeys(graph.edges) if set(edge) <= set(part)]
        if len(inside) > 1:
            cycles[tuple(part)] = inside
    if len(cycles) > 1:
        back = [edge for inside in cycles.values() for edge in inside if edge[0] >= edge[1]]
        everyone = tuple(itertools.chain.from_iterable(cycles))
        yield Candidate(Cause.CYCLE_ORDER, everyone, delayed(graph, back, dt), "edges that lead back by name wait a step", True)
    for members, inside in cycles.items():
        by_name = [edge for edge in inside if edge[0] >= edge[1]]
        for number, edges in enumerate((by_name, inside, *([edge] for edge in inside))):
            shown = listed(f"{source} → {target}" for source, target in edges)
            everywhere = len(cycles) == 1 and number < 2
            yield Candidate(Cause.CYCLE_ORDER, members, delayed(graph, edges, dt), f"{shown} waits a step", everywhere)


def depth_first(graph: Graph, dt: float) -> Iterator[Candidate]:
    """The joins of a graph whose nodes run depth first, each where it is first met, in every order behind a node.

    Of a node with several sources those that are met later have not run yet: what comes from them is what they gave in the
    step before, and nothing in the first.  What the last node gives is taken for the output.  nirtorch's ``GraphExecutor``
    does so (nirtorch 2.6, ``graph_utils.trace_execution``); it takes the nodes behind a node in the order of the file's edges.
    """
    if len(graph.of_kind("Input")) != 1 or len(graph.of_kind("Output")) != 1:
        return
    (start,) = graph.of_kind("Input")
    home = {name: number for number, members in enumerate(components(graph.nodes, graph.edges)) for name in members}
    joins = tuple(name for name in graph.nodes if len({home[source] for source in graph.into(name)} - {home[name]}) > 1)
    if not joins:
        return
    seen: set[tuple[tuple[Edge, ...], str]] = set()
    for turns in itertools.islice(_turns(graph), MOST_ORDERS):
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
            yield Candidate(Cause.JOIN_MISRUN, joins, _rewired(graph, late, last, dt), text)


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


def delayed(graph: Graph, edges: Collection[Edge], dt: float) -> Graph:
    """An inlined graph in which some edges wait a step of ``dt`` [s]; like all that wait, with their sources' answer to silence
    in the first step, where the rule has it so."""
    nodes, kept = dict(graph.nodes), [edge for edge in graph.edges if edge not in edges]
    for source, target in edges:
        name = f"{source}>{target}"
        nodes[name] = DelayedEdge("Delay", {"delay": np.array(dt)})
        kept += [(source, name), (name, target)]
    return Graph(nodes, tuple(kept))
