"""Whether what a probe is evidence of is true of a graph, too: its words must not say what the graph is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from nir_interop.explain.probes.wiring import EARLY, FEEDBACK_LAST, ITSELF, LATE_INPUT, LAYER, LAYERS_EARLY
from nir_interop.explain.probes.writing import BOTH, DOUBLE, HALF, INTEGERS, LISTED, ONE, ONE_IN_ARRAY, TRUTH
from nir_interop.graphs import NEURONS, SPIKING, Graph, Node, components, early, inline, nested
from nir_interop.graphs.primitives import WHOLE
from nir_interop.vocabulary import Cause

NAMED = (EARLY, LATE_INPUT, LAYERS_EARLY)
"""Probes that differ from another only in the names of their nodes."""
_FORMS = (ONE, ONE_IN_ARRAY)
_TYPES = (INTEGERS, TRUTH, HALF, DOUBLE)

_OfNode = Callable[[Node], bool]


def cause_of(label: str) -> Cause:
    """The cause that a probe is evidence of, where a library declines it."""
    if label in NAMED:
        return Cause.NAME_ORDER
    if label in (*_FORMS, BOTH, LISTED):
        return Cause.PARAMETER_SHAPE
    return Cause.NUMBER_TYPE if label in _TYPES else Cause.UNSUPPORTED


def holds(label: str, graph: Graph, nodes: Iterable[str]) -> bool:
    """Whether a probe's name is true of a graph; what cannot be told is believed.

    graph : as it is in the file
    nodes : of the inlined graph, of the probe's kind or on the joins and cycles that it is about
    """
    if label in _OF_WIRING:
        return _OF_WIRING[label](graph)
    flat = inline(graph)
    chosen = [node for name in nodes if isinstance(node := flat.nodes.get(name), Node)]
    for part in label.split(", "):
        found = next(((test, match) for pattern, test in _OF_NODES.items() if (match := re.fullmatch(pattern, part))), None)
        if found is not None and not any(found[0](*found[1].groups())(node) for node in chosen):
            return False
    return True


def early_nodes(graph: Graph, label: str) -> tuple[tuple[str, str], ...]:
    """Edges whose end a file names before their start, where a probe of names is evidence of that."""
    if label == LAYERS_EARLY:
        return early(graph, graph.nodes)
    if label == EARLY:
        return early(graph, nested(graph)) or tuple(
            edge
            for name in nested(graph)
            if isinstance(inner := graph.nodes[name], Graph)
            for edge in early_nodes(inner, label)
        )
    ends = set(graph.of_kind("Input"))
    return tuple(edge for edge in early(graph, _cyclic(graph)) if edge[0] in ends)


def _cyclic(graph: Graph) -> list[str]:
    return [name for part in _cycles(graph) for name in part]


def _cycles(graph: Graph) -> list[list[str]]:
    parts = components(graph.nodes, graph.edges)
    return [part for part in parts if len(part) > 1 or (part[0], part[0]) in graph.edges]


def _leads_on_first(graph: Graph) -> bool:
    """Whether an edge out of a cycle is listed before one within it, from the same node."""
    home = {name: number for number, part in enumerate(components(graph.nodes, graph.edges)) for name in part}
    left = set[str]()
    for source, target in graph.edges:
        if home[source] != home[target]:
            left.add(source)
        elif source in left:
            return True
    return False


def _joined(graph: Graph, *kinds: str) -> bool:
    """Whether something joins at a node of some kinds, or with none given at any other."""
    usual = {*NEURONS, "Threshold", "Delay", "Output"}
    flat = inline(graph)
    return any(
        len(flat.into(name)) > 1 and (node.kind in kinds if kinds else node.kind not in usual)
        for name, node in flat.primitives()
    )


def _several_spike(graph: Graph) -> bool:
    return len(inline(graph).of_kind(*SPIKING)) > 1


_AT_NEURONS = (*NEURONS, "Threshold", "Delay")
_OF_WIRING: Mapping[str, Callable[[Graph], bool]] = {
    EARLY: lambda graph: bool(early_nodes(graph, EARLY)),
    LATE_INPUT: lambda graph: bool(early_nodes(graph, LATE_INPUT)),
    LAYERS_EARLY: lambda graph: bool(early_nodes(graph, LAYERS_EARLY)),
    LAYER: lambda graph: bool(nested(graph)),
    ITSELF: lambda graph: any(_cycles(inline(inner)) for inner in graph.nodes.values() if isinstance(inner, Graph)),
    FEEDBACK_LAST: lambda graph: any(
        map(_leads_on_first, [graph, *(each for each in graph.nodes.values() if isinstance(each, Graph))])
    ),
    "one layer that feeds itself": lambda graph: bool(_cycles(inline(graph))),
    "two layers that feed themselves": lambda graph: len(_cycles(inline(graph))) > 1,
    "two branches into the Output": lambda graph: _joined(graph, "Output"),
    "two branches into a neuron": lambda graph: _joined(graph, *_AT_NEURONS),
    "two spiking sources into a neuron": lambda graph: _joined(graph, *_AT_NEURONS) and _several_spike(graph),
    "a skip past a neuron": lambda graph: _joined(graph, *_AT_NEURONS) and _several_spike(graph),
    "two branches into a layer": _joined,
    "two spiking sources into a layer": lambda graph: _joined(graph) and _several_spike(graph),
}


def _numbers(node: Node) -> list[Any]:
    return [value for name, value in node.params.items() if name not in WHOLE and isinstance(value, np.ndarray)]


def _uneven(name: str) -> _OfNode:
    keys = (name, "tau_mem") if name == "tau" else (name,)
    return lambda node: any(key in node.params and np.unique(node[key]).size > 1 for key in keys)


def _off_zero(name: str) -> _OfNode:
    return lambda node: name in node.params and bool(np.any(node[name]))


def _scalar(*names: str) -> _OfNode:
    return lambda node: any(name in node.params and np.asarray(node.params[name]).ndim == 0 for name in names)


def _typed(kinds: str) -> Callable[[], _OfNode]:
    exact = kinds[-1].isdigit()
    return lambda: (
        lambda node: any(each.dtype.str[1:] == kinds if exact else each.dtype.kind in kinds for each in _numbers(node))
    )


def _padded(node: Node) -> bool:
    padding: Any = node.params.get("padding", 0)
    return not isinstance(padding, str) and bool(np.any(padding))


_OF_NODES: Mapping[str, Callable[..., _OfNode]] = {
    r"heterogeneous (\w+)": _uneven,
    r"(v_leak|v_reset) off 0": _off_zero,
    r"v_leak = v_reset off 0": lambda: _off_zero("v_reset"),
    ONE: lambda: lambda node: any(each.ndim == 0 for each in _numbers(node)),
    ONE_IN_ARRAY: lambda: lambda node: any(each.shape == (1,) for each in _numbers(node)),
    INTEGERS: _typed("iu"),
    TRUTH: _typed("b"),
    HALF: _typed("f2"),
    DOUBLE: _typed("f8"),
    BOTH: lambda: _scalar("kernel_size", "stride", "padding", "dilation"),
    LISTED: lambda: lambda node: not _scalar("stride")(node),
    r"padding 'same'": lambda: lambda node: isinstance(node.params.get("padding"), str),
    r"padding|padding that no shape shows": lambda: _padded,
    r"in groups|a kernel for each channel": lambda: lambda node: bool(np.max(node.params.get("groups", 1)) > 1),
    r"a kernel that is not square": lambda: lambda node: "weight" in node.params and len({*node["weight"].shape[2:]}) > 1,
}
"""What a part of a probe's name says of a node, as a pattern; other parts say what no node shows."""
