"""Parts of a graph taken out, put in and looked at, the graph staying one that can be run."""

from __future__ import annotations

import itertools

import numpy as np

from nir_interop.compare.divergence import differs, flatten, match_nodes
from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Graph, Node, components, validate, whole_numbers
from nir_interop.graphs.shapes import output_shape
from nir_interop.recording import Recording


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


def has_biased_feedback(graph: Graph, kind: str) -> bool:
    """Whether a neuron of a kind is on a cycle of an inlined graph that a bias is on."""
    for group in components(graph.nodes, graph.edges):
        members = [graph.nodes[name] for name in group]
        cyclic = len(group) > 1 or (group[0], group[0]) in graph.edges
        biased = any(isinstance(node, Node) and np.any(node.params.get("bias", 0)) for node in members)
        if cyclic and biased and any(node.kind == kind for node in members):
            return True
    return False


def pruned(graph: Graph) -> Graph:
    """The graph without nodes that nothing feeds."""
    while True:
        fed = {target for _, target in graph.edges}
        nodes = {name: node for name, node in graph.nodes.items() if name in fed or node.kind == "Input"}
        if len(nodes) == len(graph.nodes):
            return graph
        graph = Graph(nodes, tuple(edge for edge in graph.edges if edge[0] in nodes and edge[1] in nodes))


def swallowed(graph: Graph, batch: int) -> dict[str, int]:
    """Flatten nodes whose dimensions, counted as torch counts them, take the batch in → the features they then give."""
    try:
        shapes = validate(graph)
    except InvalidGraph:
        return {}
    found = {}
    for name in graph.of_kind("Flatten"):
        node = graph.nodes[name]
        if isinstance(node, Node) and whole_numbers(node, "start_dim", 1) == (0,):
            found[name] = batch * int(np.prod(shapes[name][0]))
    return found


def split_batch(graph: Graph, target: Recording, batch: int) -> tuple[Recording, tuple[str, ...]]:
    """A target whose Flatten joined the batch with the features, with the two told apart again, and the Flatten nodes.

    The target as it is, and no nodes, where that is not what its shapes say.
    """
    nodes = tuple(sorted(swallowed(graph, batch)))
    if not nodes:
        return target, ()
    shapes = {name: shape for name, (_, shape) in validate(graph).items()}
    outputs = dict(zip(sorted(graph.of_kind("Output")), sorted(target.outputs), strict=False))
    parts = {}
    for name, theirs in outputs.items():
        array = target.outputs[theirs]
        wanted = (len(array), batch, *shapes[name])
        if array.shape == wanted or array.size != np.prod(wanted):
            return target, ()
        parts[theirs] = array.reshape(wanted)
    spikes = {}
    for ours, theirs in match_nodes(shapes, target.spikes).items():
        array = target.spikes[theirs]
        wanted = (len(array), batch, *shapes[ours])
        spikes[theirs] = array.reshape(wanted) if array.size == np.prod(wanted) else array
    return Recording(parts, spikes), nodes if parts else ()


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
