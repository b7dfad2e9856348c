"""What an importer may have made of a graph outside any rule: candidate rewrites, each replayed under the importer's rule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.compare.nodes import differs, flatten, match_nodes
from harness.errors import InvalidGraph
from harness.graphs import Array, Graph, Node, components, validate, whole_numbers
from harness.graphs.shapes import flatten_range, output_shape
from harness.recording import Recording
from harness.vocabulary import Cause

Edge = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A graph that an importer may have run instead.

    nodes : of the intended graph, where it was changed
    again : the stimulus had been run before, and its state was kept
    """

    cause: Cause
    nodes: tuple[str, ...]
    graph: Graph
    says: str
    again: bool = False


def candidates(graph: Graph, dt: float) -> Iterator[Candidate]:
    """Every rewrite of an inlined graph that is known as an importer's fault, all places at once before each alone."""
    yield Candidate(Cause.STATE_CARRIED, (), graph, "state is carried over from a run of the same input", again=True)
    for sites in (_drops, _biases, _transposed, _paddings, _permuted):
        yield from sites(graph)
    yield from _recurrences(graph)
    yield from _joins(graph)
    yield from _cycles(graph, dt)
    yield from _drops_of_two_kinds(graph)


def without(graph: Graph, *names: str) -> Graph:
    """The graph with some nodes taken out and their neighbours joined; Outputs take the shape that now reaches them."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for name in names:
        before = [source for source, target in edges if target == name and source != name]
        after = [target for source, target in edges if source == name and target != name]
        edges = [edge for edge in edges if name not in edge] + list(itertools.product(before, after))
        del nodes[name]
    return reshaped(Graph(nodes, tuple(dict.fromkeys(edges))))


def reshaped(graph: Graph) -> Graph:
    """The graph with every Output declared as what reaches it, where the graph lets that be known."""
    shapes: dict[str, tuple[int, ...]] = {}
    nodes = dict(graph.nodes)
    waiting = [(name, whole_numbers(node, "shape")) for name, node in graph.primitives() if node.kind == "Input"]
    while waiting:
        name, shape = waiting.pop()
        node = nodes[name]
        if name in shapes or not isinstance(node, Node):
            continue
        if node.kind == "Output":
            shapes[name] = shape
            nodes[name] = Node("Output", {"shape": np.array(shape)})
            continue
        try:
            shapes[name] = output_shape(node, shape)
        except InvalidGraph:
            return graph
        waiting += [(target, shapes[name]) for target in graph.out_of(name)]
    return Graph(nodes, graph.edges)


def replaced(graph: Graph, **changed: Node) -> Graph:
    """The graph with other nodes under some names."""
    return reshaped(Graph({**graph.nodes, **changed}, graph.edges))


def _each(cause: Cause, graph: Graph, changed: dict[str, Node], says: str) -> Iterator[Candidate]:
    if len(changed) > 1:
        yield Candidate(cause, tuple(sorted(changed)), replaced(graph, **changed), says.format(", ".join(sorted(changed))))
    for name, node in sorted(changed.items()):
        yield Candidate(cause, (name,), replaced(graph, **{name: node}), says.format(name))


def _by_kind(graph: Graph) -> dict[str, list[str]]:
    kinds = sorted({node.kind for _, node in graph.primitives()} - {"Input", "Output"})
    return {kind: [*graph.of_kind(kind)] for kind in kinds}


def _drops(graph: Graph) -> Iterator[Candidate]:
    for kind, names in _by_kind(graph).items():
        if len(names) > 1:
            yield Candidate(Cause.NODE_DROPPED, tuple(names), without(graph, *names), f"every {kind} is left out")
        for name in names:
            yield Candidate(Cause.NODE_DROPPED, (name,), without(graph, name), f"{kind} {name} is left out")


def _drops_of_two_kinds(graph: Graph) -> Iterator[Candidate]:
    by_kind = _by_kind(graph)
    for one, other in itertools.combinations(sorted(by_kind), 2):
        names = sorted(by_kind[one] + by_kind[other])
        yield Candidate(Cause.NODE_DROPPED, tuple(names), without(graph, *names), f"every {one} and {other} is left out")


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
    yield from _each(Cause.WEIGHT_TRANSPOSED, graph, changed, "the weight of {} is transposed")


def _paddings(graph: Graph) -> Iterator[Candidate]:
    changed = {
        name: Node(node.kind, {**node.params, "padding": np.zeros_like(node["padding"])})
        for name, node in graph.primitives()
        if node.kind in ("SumPool2d", "AvgPool2d") and np.any(node["padding"])
    }
    yield from _each(Cause.POOL_PADDING, graph, changed, "the padding of {} is not used")


def _permuted(graph: Graph) -> Iterator[Candidate]:
    """Features joined in another order: the weights behind a Flatten see their columns permuted."""
    try:
        shapes = validate(graph)
    except InvalidGraph:
        return
    for name in graph.of_kind("Flatten"):
        node, shape = graph.nodes[name], shapes[name][0]
        if not isinstance(node, Node):
            continue
        first, last = flatten_range(node, len(shape))
        joined = shape[first : last + 1]
        behind = [(target, graph.nodes[target]) for target in graph.out_of(name)]
        if last + 1 != len(shape) or not all(
            isinstance(each, Node) and each.kind in ("Affine", "Linear") for _, each in behind
        ):
            continue
        for order in itertools.permutations(range(len(joined))):
            columns = np.arange(int(np.prod(joined))).reshape(joined).transpose(order).reshape(-1)
            if len(joined) > 4 or np.array_equal(columns, np.sort(columns)):
                continue
            # The target's feature k is the file's feature columns[k]: its weight k meets that one.
            inverse = np.argsort(columns)
            changed = {
                target: Node(each.kind, {**each.params, "weight": each["weight"][:, inverse]})
                for target, each in behind
                if isinstance(each, Node)
            }
            says = f"{name} joins its dimensions in the order {order}"
            yield Candidate(Cause.FLATTEN_ORDER, (name,), replaced(graph, **changed), says)


def _recurrences(graph: Graph) -> Iterator[Candidate]:
    """A neuron with a feedback of its own: the input goes through the feedback's weights, or through both."""
    moved: dict[str, str] = {}
    for name, node in graph.primitives():
        into = graph.into(name)
        if node.kind in ("Affine", "Linear", "Scale") and len(into) == 1 and into == graph.out_of(name):
            moved[into[0]] = name
    for cells in ([*moved], *([cell] for cell in moved)) if len(moved) > 1 else ([*moved],) if moved else ():
        names = tuple(sorted(moved[cell] for cell in cells))
        through = tuple(
            (source, moved[target]) if target in cells and source != moved[target] else (source, target)
            for source, target in graph.edges
        )
        yield Candidate(
            Cause.RECURRENCE_REWIRED, names, Graph(graph.nodes, through), f"the input goes through {', '.join(names)}"
        )
        lost = tuple(edge for edge in graph.edges if not set(edge) & set(names))
        nodes = {name: node for name, node in graph.nodes.items() if name not in names}
        yield Candidate(Cause.RECURRENCE_REWIRED, names, Graph(nodes, lost), f"the feedback through {', '.join(names)} is cut")
        yield _through_both(graph, cells, moved, names)


def _through_both(graph: Graph, cells: list[str], moved: dict[str, str], names: tuple[str, ...]) -> Candidate:
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for cell in cells:
        feedback = graph.nodes[moved[cell]]
        twin = f"{moved[cell]}.twin"
        if isinstance(feedback, Node):
            bias = {"bias": np.zeros_like(feedback["bias"])} if "bias" in feedback.params else {}
            nodes[twin] = Node(feedback.kind, {**feedback.params, **bias})
            edges += [(source, twin) for source in graph.into(cell) if source != moved[cell]] + [(twin, cell)]
    says = f"the input goes through {', '.join(names)} as well"
    return Candidate(Cause.RECURRENCE_REWIRED, names, Graph(nodes, tuple(edges)), says)


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
            yield Candidate(Cause.JOIN_MISRUN, tuple(joins), pruned(kept), "of the edges into a join one is left")
    for name, branches in joins.items():
        for source in branches:
            kept = Graph(
                graph.nodes,
                tuple(edge for edge in graph.edges if edge[1] != name or edge[0] not in branches or edge[0] == source),
            )
            yield Candidate(
                Cause.JOIN_MISRUN, (name,), pruned(kept), f"of the edges into {name} only the one from {source} is left"
            )
            edges = tuple((source if start == name else start, end) for start, end in graph.edges if end != name)
            nodes = {other: node for other, node in graph.nodes.items() if other != name}
            if graph.nodes[name].kind != "Output":
                skipped = pruned(reshaped(Graph(nodes, tuple(dict.fromkeys(edges)))))
                yield Candidate(Cause.JOIN_MISRUN, (name,), skipped, f"{source} stands for {name}")


def pruned(graph: Graph) -> Graph:
    """The graph without nodes that nothing feeds."""
    while True:
        fed = {target for _, target in graph.edges}
        nodes = {name: node for name, node in graph.nodes.items() if name in fed or node.kind == "Input"}
        if len(nodes) == len(graph.nodes):
            return graph
        graph = Graph(nodes, tuple(edge for edge in graph.edges if edge[0] in nodes and edge[1] in nodes))


def _cycles(graph: Graph, dt: float) -> Iterator[Candidate]:
    """Other edges of a cycle wait: all that lead back by name, or one of them."""
    for members in components(graph.nodes, graph.edges):
        inside = [edge for edge in dict.fromkeys(graph.edges) if set(edge) <= set(members)]
        if len(inside) < 2:
            continue
        for edges in ([edge for edge in inside if edge[0] >= edge[1]], inside, *([edge] for edge in inside)):
            shown = ", ".join(f"{source} → {target}" for source, target in edges)
            yield Candidate(Cause.CYCLE_ORDER, tuple(members), _delayed(graph, edges, dt), f"{shown} waits a step")


def _delayed(graph: Graph, edges: list[Edge], dt: float) -> Graph:
    nodes, kept = dict(graph.nodes), [edge for edge in graph.edges if edge not in edges]
    for source, target in edges:
        name = f"{source}>{target}"
        nodes[name] = Node("Delay", {"delay": np.array(dt)})
        kept += [(source, name), (name, target)]
    return Graph(nodes, tuple(kept))


def swallowed(graph: Graph, batch: int) -> dict[str, int]:
    """Flatten nodes whose dimensions, counted as torch counts them, take the batch in → the features they then give."""
    try:
        shapes = validate(graph)
    except InvalidGraph:
        return {}
    found = {}
    for name in graph.of_kind("Flatten"):
        node = graph.nodes[name]
        if isinstance(node, Node) and int(node["start_dim"]) == 0:
            found[name] = batch * int(np.prod(shapes[name][0]))
    return found


def suspects(graph: Graph, replay: Recording, target: Recording) -> frozenset[str]:
    """Nodes between the recorded nodes that agree and those that do not: where the fault must lie; all, where nothing tells."""
    pairs = match_nodes(replay.spikes, target.spikes)
    agreeing = set()
    for ours, theirs in pairs.items():
        one, other = flatten(replay.spikes[ours]), flatten(target.spikes[theirs])
        if one.shape == other.shape and not differs(one, other).any():
            agreeing.add(ours)
    upstream: set[str] = set()
    waiting = [name for name in graph.nodes if name in pairs and name not in agreeing] or [*graph.of_kind("Output")]
    while waiting:
        name = waiting.pop()
        if name not in upstream:
            upstream.add(name)
            waiting += [source for source in graph.into(name) if source not in agreeing]
    return frozenset(upstream)
