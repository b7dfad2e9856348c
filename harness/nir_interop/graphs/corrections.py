"""What a graph was meant to be, where it means nothing as it stands and what was meant is clear.

Exporters of several years wrote a batch into the Input, a bias that is False, or edges to nodes by other names.  Each such
thing has a reading here.  A graph that is valid is never read otherwise; one that is not is read in the way that changes least
and makes every shape fit, and each reading is a sentence that the user is told.  Libraries are given the file as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.model import NEURONS, Array, Graph, Node, as_array
from nir_interop.graphs.primitives import ELEMENTWISE, POOLS, WHOLE
from nir_interop.graphs.reading import read
from nir_interop.graphs.shapes import whole_numbers
from nir_interop.graphs.validation import validate
from nir_interop.printable import shape_text, shown

Reading = tuple[Graph, tuple[str, ...]]
"""A graph, and what is not as it stands in the file, one sentence each."""

_MOST_AXES = 2
"""Axes that an Input may have too many: a batch, and time."""


def read_corrected(path: Path) -> Reading:
    """Read a file as it was meant.

    Raises UnreadableGraph and InvalidGraph, the latter for the graph as it stands where nothing makes sense of it.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return corrected(read(path))  # which says what is wrong
    return _read_corrected(path.absolute(), found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1)
def _read_corrected(path: Path, inode: int, size: int, changed: int) -> Reading:
    """A verb asks for the same file some times; a large one takes seconds.  The numbers tell another file of its name."""
    return corrected(read(path))


def corrected(graph: Graph) -> Reading:
    """The graph, and how it was read where it means nothing as it stands.

    Raises InvalidGraph where no reading makes sense of it: what is wrong as it stands, or what is still wrong once a reading
    has come further.
    """
    graph, notes = _each(graph, "", _bools)
    graph, more = _each(graph, "", _names)
    notes += more
    try:
        validate(graph)
    except InvalidGraph as error:
        return _fitted(graph, notes, error)
    return graph, notes


def _fitted(graph: Graph, notes: tuple[str, ...], error: InvalidGraph) -> Reading:
    """The reading with the fewest changes under which every shape fits."""
    furthest, left = error.reached, error
    for changes in _combinations(graph):
        changed, told = graph, notes
        for change in changes:
            changed, said = change(changed)
            told += said
        try:
            validate(changed)
        except InvalidGraph as other:
            if other.reached > furthest:
                furthest, left = other.reached, InvalidGraph(_still(other, told))
        else:
            return changed, told
    raise left


def _still(error: InvalidGraph, told: tuple[str, ...]) -> str:
    return f"{error} ({'; '.join(told)})"


Change = Callable[[Graph], Reading]


def _combinations(graph: Graph) -> Iterator[tuple[Change, ...]]:
    """Sets of changes that do something, smallest first."""
    axes: list[Change | None] = [None, *(_without_axes(count) for count in range(1, _MOST_AXES + 1))]
    kinds: list[list[Change | None]] = [axes, [None, _flatten_without_batch], [None, _pools_by_window]]
    chosen = [tuple(each for each in some if each is not None) for some in itertools.product(*kinds)]
    for some in sorted(filter(None, chosen), key=len):
        if all(change(graph)[1] for change in some):
            yield some


def _each(graph: Graph, prefix: str, change: Callable[[Graph, str], Reading]) -> Reading:
    """Apply a change to a graph and to those inside it."""
    nodes: dict[str, Node | Graph] = {}
    notes: tuple[str, ...] = ()
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            nodes[name], more = _each(node, f"{prefix}{name}.", change)
            notes += more
        else:
            nodes[name] = node
    changed, more = change(Graph(nodes, graph.edges, graph.metadata) if notes else graph, prefix)
    return changed, notes + more


def _rewritten(graph: Graph, change: Callable[[str, Node], Node | None]) -> tuple[Graph, list[tuple[str, Node]]]:
    """Every primitive put through a change, inner ones too, and those that it changed with their full names."""
    changed: list[tuple[str, Node]] = []

    def walk(part: Graph, prefix: str) -> Graph:
        nodes: dict[str, Node | Graph] = {}
        for name, node in part.nodes.items():
            if isinstance(node, Graph):
                nodes[name] = walk(node, f"{prefix}{name}.")
                continue
            other = change(f"{prefix}{name}", node)
            if other is not None:
                changed.append((f"{prefix}{name}", node))
            nodes[name] = node if other is None else other
        return Graph(nodes, part.edges, part.metadata)

    return walk(graph, ""), changed


def _bools(graph: Graph, prefix: str) -> Reading:
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
                params[parameter] = as_array(np.zeros(weight.shape[0]))
                notes.append(f"the bias of {shown(prefix + name)} is False: read as none")
            else:
                params[parameter] = as_array(value.astype(np.float64))
                notes.append(f"{parameter} of {shown(prefix + name)} is made of truth values: read as 0 and 1")
        nodes[name] = Node(node.kind, params)
    return (Graph(nodes, graph.edges, graph.metadata), tuple(notes)) if notes else (graph, ())


def _names(graph: Graph, prefix: str) -> Reading:
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
    graph, others = _other_names(graph, prefix)
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


def _other_names(graph: Graph, prefix: str) -> Reading:
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


def _without_axes(count: int) -> Change:
    """Without the first axes of the Input, a batch or time, and of whatever counts them too."""

    def change(graph: Graph) -> Reading:
        inputs = graph.of_kind("Input")
        if len(inputs) != 1:
            return graph, ()
        node = graph.nodes[inputs[0]]
        try:
            shape = whole_numbers(node, "shape") if isinstance(node, Node) else ()
        except InvalidGraph:
            return graph, ()
        if len(shape) <= count:
            return graph, ()
        lead = shape[:count]
        made, _ = _rewritten(graph, lambda _, each: _stripped(each, lead))
        axes = "axis is" if count == 1 else "axes are"
        what = "a batch of 1" if lead == (1,) else "a batch or time"
        said = f"the Input {shown(inputs[0])} has shape {shape_text(shape)}, whose first {axes} {what}"
        return made, (f"{said}: read as {shape_text(shape[count:])}",)

    return change


def _stripped(node: Node, lead: tuple[int, ...]) -> Node | None:
    """A node without leading axes where it has them; a parameter only where they are of size 1."""
    count = len(lead)
    params: dict[str, Any] = dict(node.params)
    if node.kind in ("Input", "Output"):
        shape = params.get("shape")
        if isinstance(shape, np.ndarray) and shape.ndim == 1 and tuple(shape[:count].tolist()) in (lead, (1,) * count):
            params["shape"] = shape[count:]
    elif node.kind in ELEMENTWISE:
        for name, value in node.params.items():
            if (
                name not in WHOLE
                and isinstance(value, np.ndarray)
                and value.ndim > count
                and value.shape[:count] == (1,) * count
            ):
                params[name] = value.reshape(value.shape[count:])
    changed = any(params[name] is not node.params[name] for name in params)
    return Node(node.kind, params) if changed else None


def _flatten_without_batch(graph: Graph) -> Reading:
    """Flattens whose dimensions are counted with a batch in front."""
    made, changed = _rewritten(graph, _one_less)
    return made, tuple(
        f"Flatten {shown(name)} counts a batch: read with start_dim {_start(node) - 1}" for name, node in changed
    )


def _start(node: Node) -> int:
    return int(np.ravel(node.params["start_dim"])[0])


def _one_less(name: str, node: Node) -> Node | None:
    if node.kind != "Flatten":
        return None
    params: dict[str, Any] = dict(node.params)
    for dimension in ("start_dim", "end_dim"):
        value = params.get(dimension)
        if not isinstance(value, np.ndarray) or value.size != 1 or value.dtype.kind not in "iu":
            return None
        if int(value.reshape(-1)[0]) > 0:
            params[dimension] = as_array(value - 1)
    return Node(node.kind, params) if params["start_dim"] is not node.params["start_dim"] else None


def _pools_by_window(graph: Graph) -> Reading:
    """Pools whose stride was lost: 1, where the window is larger."""

    def change(name: str, node: Node) -> Node | None:
        if node.kind not in POOLS or not all(
            isinstance(node.params.get(each), np.ndarray) for each in ("kernel_size", "stride")
        ):
            return None
        window: Array = node["kernel_size"]
        if window.dtype.kind not in "iu" or not (node["stride"] == 1).all() or not (window > 1).any():
            return None
        return Node(node.kind, {**node.params, "stride": window})

    made, changed = _rewritten(graph, change)
    names = ", ".join(shown(name) for name, _ in changed)
    return made, (
        f"the pools {names} step by 1, which fits nothing behind them: read as stepping by their window",
    ) if changed else ()
