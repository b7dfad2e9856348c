"""Whether what a probe is evidence of is true of a graph, too: a cause must not say what the graph is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from nir_interop.fingerprint import Condition, FlattenDims, Form, Join, Nesting, NeuronCondition, Outputs, Recurrence, Written
from nir_interop.graphs import NEURONS, SPIKING, Graph, Node, components, early, inline, nested
from nir_interop.graphs.primitives import WHOLE
from nir_interop.vocabulary import Cause

_BY_NAMES = (Nesting.RECURRENCE_BEFORE_SOURCE, Recurrence.SOURCE_BEFORE_INPUT, Nesting.LAYERS_AGAINST_ORDER)
"""Probes that differ from another only in the names of their nodes."""
_SHAPES = (Written.ONE_NUMBER, Written.ARRAY_OF_ONE, Written.ONE_FOR_BOTH, Written.ARRAY_FOR_LENGTH)

_OfNode = Callable[[Node], bool]


def cause_of(condition: Condition) -> Cause:
    """The cause that a probe is evidence of, where a library declines it."""
    if condition in _BY_NAMES:
        return Cause.NAME_ORDER
    if condition in _SHAPES:
        return Cause.PARAMETER_SHAPE
    return Cause.NUMBER_TYPE if isinstance(condition, Written) else Cause.UNSUPPORTED


def holds(condition: Condition, graph: Graph, nodes: Iterable[str]) -> bool:
    """Whether a condition is true of a graph; what cannot be told is believed.

    graph : as it is in the file
    nodes : of the inlined graph, of the probe's kind or on the joins and cycles that it is about
    """
    if isinstance(condition, (Join, Recurrence, Nesting, Outputs)):
        return condition not in _OF_WIRING or _OF_WIRING[condition](graph)
    flat = inline(graph)
    chosen = [node for name in nodes if isinstance(node := flat.nodes.get(name), Node)]
    return all(any(map(test, chosen)) for test in _tests(condition))


def early_nodes(graph: Graph, condition: Condition) -> tuple[tuple[str, str], ...]:
    """Edges whose end a file names before their start, where a probe of names is evidence of that."""
    if condition is Nesting.LAYERS_AGAINST_ORDER:
        return early(graph, graph.nodes)
    if condition is Nesting.RECURRENCE_BEFORE_SOURCE:
        return early(graph, nested(graph)) or tuple(
            edge
            for name in nested(graph)
            if isinstance(inner := graph.nodes[name], Graph)
            for edge in early_nodes(inner, condition)
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
_OF_WIRING: Mapping[Condition, Callable[[Graph], bool]] = {
    Nesting.LAYER: lambda graph: bool(nested(graph)),
    Nesting.RECURRENCE: lambda graph: any(_cycles(inline(inner)) for inner in graph.nodes.values() if isinstance(inner, Graph)),
    Nesting.RECURRENCE_BEFORE_SOURCE: lambda graph: bool(early_nodes(graph, Nesting.RECURRENCE_BEFORE_SOURCE)),
    Nesting.LAYERS_AGAINST_ORDER: lambda graph: bool(early_nodes(graph, Nesting.LAYERS_AGAINST_ORDER)),
    Recurrence.ONE_LAYER: lambda graph: bool(_cycles(inline(graph))),
    Recurrence.TWO_LAYERS: lambda graph: len(_cycles(inline(graph))) > 1,
    Recurrence.FEEDBACK_LISTED_LAST: lambda graph: any(
        map(_leads_on_first, [graph, *(each for each in graph.nodes.values() if isinstance(each, Graph))])
    ),
    Recurrence.SOURCE_BEFORE_INPUT: lambda graph: bool(early_nodes(graph, Recurrence.SOURCE_BEFORE_INPUT)),
    Join.BRANCHES_INTO_OUTPUT: lambda graph: _joined(graph, "Output"),
    Join.BRANCHES_INTO_NEURON: lambda graph: _joined(graph, *_AT_NEURONS),
    Join.SPIKES_INTO_NEURON: lambda graph: _joined(graph, *_AT_NEURONS) and _several_spike(graph),
    Join.SKIP: lambda graph: _joined(graph, *_AT_NEURONS) and _several_spike(graph),
    Join.BRANCHES_INTO_LAYER: _joined,
    Join.SPIKES_INTO_LAYER: lambda graph: _joined(graph) and _several_spike(graph),
}
"""Wirings that a graph shows; it is believed to have others."""


def _numbers(node: Node) -> list[Any]:
    return [value for name, value in node.params.items() if name not in WHOLE and isinstance(value, np.ndarray)]


def _uneven(name: str) -> _OfNode:
    keys = (name, "tau_mem") if name == "tau" else (name,)
    return lambda node: any(key in node.params and np.unique(node[key]).size > 1 for key in keys)


def _off_zero(name: str) -> _OfNode:
    return lambda node: name in node.params and bool(np.any(node[name]))


def _scalar(*names: str) -> _OfNode:
    return lambda node: any(name in node.params and np.asarray(node.params[name]).ndim == 0 for name in names)


def _typed(kinds: str) -> _OfNode:
    exact = kinds[-1].isdigit()
    return lambda node: any(each.dtype.str[1:] == kinds if exact else each.dtype.kind in kinds for each in _numbers(node))


def _padded(node: Node) -> bool:
    padding: Any = node.params.get("padding", 0)
    return not isinstance(padding, str) and bool(np.any(padding))


def _grouped(node: Node) -> bool:
    return bool(np.max(node.params.get("groups", 1)) > 1)


_OF_NODES: Mapping[Form | Written, _OfNode] = {
    Written.ONE_NUMBER: lambda node: any(each.ndim == 0 for each in _numbers(node)),
    Written.ARRAY_OF_ONE: lambda node: any(each.shape == (1,) for each in _numbers(node)),
    Written.INTEGERS: _typed("iu"),
    Written.BOOLEANS: _typed("b"),
    Written.HALF: _typed("f2"),
    Written.DOUBLE: _typed("f8"),
    Written.ONE_FOR_BOTH: _scalar("kernel_size", "stride", "padding", "dilation"),
    Written.ARRAY_FOR_LENGTH: lambda node: not _scalar("stride")(node),
    Form.PADDING_SAME: lambda node: isinstance(node.params.get("padding"), str),
    Form.PADDING: _padded,
    Form.HIDDEN_PADDING: _padded,
    Form.GROUPS: _grouped,
    Form.DEPTHWISE: _grouped,
    Form.KERNEL_NOT_SQUARE: lambda node: "weight" in node.params and len({*node["weight"].shape[2:]}) > 1,
}
"""Forms that a node shows; it is believed to have others."""


def _tests(condition: NeuronCondition | Form | Written | FlattenDims) -> list[_OfNode]:
    """What some node has to show, each of them some node."""
    if isinstance(condition, NeuronCondition):
        voltages = {"v_reset"} if condition.one_voltage else condition.off_zero
        return [*map(_off_zero, sorted(voltages)), *map(_uneven, sorted(condition.spread))]
    return [] if isinstance(condition, FlattenDims) or condition not in _OF_NODES else [_OF_NODES[condition]]
