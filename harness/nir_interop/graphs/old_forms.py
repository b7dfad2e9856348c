"""Forms that NIR or its exporters had: what one of them means is clear without its neighbours.

A bias that is False or missing, names of parameters before NIR 0.1, edges to nodes by other names, and graphs without the ends
that nir.read gives them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.model import NEURONS, Graph, Node, as_array
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.graphs.shapes import Shape, own_shape, whole_numbers
from nir_interop.graphs.validation import fed
from nir_interop.printable import listed, shape_text, shown

Reading = tuple[Graph, tuple[str, ...]]
"""A graph, and what is not as it stands in the file, one sentence each."""

_FORMER = {"weights": "weight", "theta": "v_threshold"}
"""Names of parameters before NIR 0.1 → of today."""


def former_names(graph: Graph, prefix: str) -> Reading:
    """Parameters under the names of NIR 0.0; a Linear with a bias, which is an Affine since."""
    nodes, notes = dict(graph.nodes), []
    for name, node in graph.nodes.items():
        if not isinstance(node, Node):
            continue
        known = PARAMETERS.get(node.kind, ())
        called = {old: new for old, new in _FORMER.items() if old in node.params and new in known and new not in node.params}
        params: dict[str, Any] = {called.get(each, each): value for each, value in node.params.items()}
        notes += [f"{old} of {shown(prefix + name)}: read as {new}, its name since NIR 0.1" for old, new in called.items()]
        threshold = params.get("v_threshold")
        if "theta" in called and "v_reset" in known and "v_reset" not in params and isinstance(threshold, np.ndarray):
            params["v_reset"] = as_array(np.zeros_like(threshold))
            notes.append(f"v_reset is not in the file at {shown(prefix + name)}: read as 0")
        kind = node.kind
        if kind == "Linear" and "bias" in params:
            kind = "Affine"
            notes.append(f"Linear {shown(prefix + name)} has a bias: read as Affine")
        if kind != node.kind or called:
            nodes[name] = Node(kind, params, node.metadata)
    return (Graph(nodes, graph.edges, graph.metadata), tuple(notes)) if notes else (graph, ())


def missing_biases(graph: Graph, prefix: str) -> Reading:
    """A bias that is not there is none."""
    nodes, found = dict(graph.nodes), []
    for name, node in graph.nodes.items():
        if isinstance(node, Node) and "bias" in PARAMETERS.get(node.kind, ()) and "bias" not in node.params:
            weight = node.params.get("weight")
            if isinstance(weight, np.ndarray) and weight.ndim:
                nodes[name] = Node(node.kind, {**node.params, "bias": _zeros(weight.shape[0])}, node.metadata)
                found.append(shown(prefix + name))
    if not found:
        return graph, ()
    return Graph(nodes, graph.edges, graph.metadata), (f"there is no bias at {listed(found)}: read as none",)


def _zeros(count: int) -> Any:
    return as_array(np.zeros(count, np.float32))


def bools(graph: Graph, prefix: str) -> Reading:
    """Truth values as numbers; a bias that is False is none."""
    nodes, notes = dict(graph.nodes), []
    for name, node in graph.nodes.items():
        if not isinstance(node, Node):
            continue
        params: dict[str, Any] = dict(node.params)
        for parameter, value in node.params.items():
            if not isinstance(value, np.ndarray) or value.dtype != bool or (parameter == "bias" and value.any()):
                continue
            weight = node.params.get("weight")
            if parameter == "bias" and value.size == 1 and isinstance(weight, np.ndarray) and weight.ndim:
                params[parameter] = _zeros(weight.shape[0])
                notes.append(f"the bias of {shown(prefix + name)} is False: read as none")
            else:
                params[parameter] = as_array(value.astype(np.float64))
                notes.append(f"{parameter} of {shown(prefix + name)} is made of truth values: read as 0 and 1")
        nodes[name] = Node(node.kind, params, node.metadata)
    return (Graph(nodes, graph.edges, graph.metadata), tuple(notes)) if notes else (graph, ())


def other_names(graph: Graph, prefix: str) -> Reading:
    """Edges to names that are not there, where only one thing can be meant."""
    ends = dict.fromkeys(name for edge in graph.edges for name in edge)
    missing = [name for name in ends if name not in graph.nodes]
    notes: list[str] = []
    for name in missing:
        members = {each: node for each, node in graph.nodes.items() if each.startswith(f"{name}.")}
        for reading in (_grouped, _only_member):
            made = reading(graph, name, members)
            if made is not None:
                graph, said = made
                notes.append(said.format(where=_level(prefix)))
                break
    graph, others = _paired_names(graph, prefix)
    return graph, (*notes, *others)


def _level(prefix: str) -> str:
    return f" of subgraph {shown(prefix[:-1])}" if prefix else ""


def _grouped(graph: Graph, name: str, members: dict[str, Node | Graph]) -> tuple[Graph, str] | None:
    """Nodes called ``a.input``, ``a.output`` and ``a.…``, with edges to ``a``: a subgraph that was written flat."""
    if [node.kind for node in members.values() if node.kind in ("Input", "Output")].count("Input") != 1:
        return None
    if sum(node.kind == "Output" for node in members.values()) != 1:
        return None
    inner = tuple((a[len(name) + 1 :], b[len(name) + 1 :]) for a, b in graph.edges if a in members and b in members)
    if any((a in members) != (b in members) for a, b in graph.edges):
        return None
    within = Graph({each[len(name) + 1 :]: node for each, node in members.items()}, inner)
    nodes: dict[str, Node | Graph] = {each: node for each, node in graph.nodes.items() if each not in members}
    edges = tuple(edge for edge in graph.edges if edge[0] not in members)
    said = f"edges{{where}} name {_safe(name)}, nodes begin with {_safe(name + '.')}: read as the subgraph {_safe(name)}"
    return Graph({**nodes, name: within}, edges, graph.metadata), said


def _only_member(graph: Graph, name: str, members: dict[str, Node | Graph]) -> tuple[Graph, str] | None:
    """One node called ``a.…``, or one neuron among them, with edges to ``a``."""
    neurons = [each for each, node in members.items() if node.kind in NEURONS]
    chosen = list(members) if len(members) == 1 else neurons
    if len(chosen) != 1:
        return None
    said = f"edges{{where}} name {_safe(name)}, which is not there: read as {_safe(chosen[0])}"
    return _renamed(graph, {name: chosen[0]}), said


def _paired_names(graph: Graph, prefix: str) -> Reading:
    """As many names without a node as nodes without an edge, one of each or alike but for capitals."""
    ends = dict.fromkeys(name for edge in graph.edges for name in edge)
    missing = [name for name in ends if name not in graph.nodes]
    unused = [name for name in graph.nodes if name not in ends]
    if not missing or len(missing) != len(unused):
        return graph, ()
    pairs = dict(zip(missing, unused, strict=True))
    if len(missing) > 1:
        lower = {name.lower(): name for name in unused}
        pairs = {name: lower[name.lower()] for name in missing if name.lower() in lower}
        if len(set(pairs.values())) != len(missing):
            return graph, ()
    where = _level(prefix)
    notes = [
        f"edges{where} name {shown(a)}, which is not there, and none names {shown(b)}: read as it" for a, b in pairs.items()
    ]
    return _renamed(graph, pairs), tuple(notes)


def _renamed(graph: Graph, names: dict[str, str]) -> Graph:
    edges = tuple((names.get(source, source), names.get(target, target)) for source, target in graph.edges)
    return Graph(graph.nodes, edges, graph.metadata)


def _safe(name: str) -> str:
    """A name shown, for a text with fields."""
    return shown(name).replace("{", "{{").replace("}", "}}")


def missing_ends(graph: Graph) -> Reading:
    """A graph without any Input, or without any Output, as nir.read takes it: with one at each node that nothing feeds, or
    that feeds nothing."""
    nodes, edges, notes = dict(graph.nodes), list(graph.edges), []
    if not graph.of_kind("Input"):
        for name in [each for each in graph.nodes if not graph.into(each)]:
            shape = _entry(graph.nodes[name])
            if shape is None:
                return graph, ()
            new = _free(f"input_{name}", nodes)
            nodes[new] = Node("Input", {"shape": as_array(np.array(shape, np.int64))})
            edges.append((new, name))
            notes.append(
                f"the graph has no Input: read with one of shape {shape_text(shape)} into {shown(name)}, as nir.read does"
            )
    if not graph.of_kind("Output"):
        for name in [each for each in graph.nodes if not graph.out_of(each)]:
            new = _free(f"output_{name}", nodes)
            edges.append((name, new))
            nodes[new] = Node("Output", {"shape": as_array(np.zeros(0, np.int64))})
            shape = fed(Graph(nodes, tuple(edges))).get((new,), ())
            nodes[new] = Node("Output", {"shape": as_array(np.array(shape, np.int64))})
            notes.append(f"the graph has no Output: read with one behind {shown(name)}, as nir.read does")
    return (Graph(nodes, tuple(edges), graph.metadata), tuple(notes)) if notes else (graph, ())


def _entry(node: Node | Graph) -> Shape | None:
    """The shape that a node says it takes."""
    try:
        if isinstance(node, Graph):
            (entry,) = node.of_kind("Input")
            inner = node.nodes[entry]
            return whole_numbers(inner, "shape") if isinstance(inner, Node) else None
        return own_shape(node)
    except (InvalidGraph, ValueError, KeyError, AttributeError):
        return None


def _free(name: str, taken: dict[str, Node | Graph]) -> str:
    while name in taken:
        name += "_"
    return name
