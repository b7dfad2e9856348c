"""The verdict on a cell that ended without a recording: who is to blame, and the cause where the probes know it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nir_interop.errors import InvalidGraph, OwnFailure
from nir_interop.explain.conditions_in_words import condition_in_words, subject_in_words
from nir_interop.explain.exporting import exporter_changes
from nir_interop.explain.verdict import Failure
from nir_interop.fingerprint import (
    Condition,
    Domain,
    FlattenDims,
    Form,
    GivenField,
    Join,
    Nesting,
    NeuronCondition,
    Outputs,
    Recurrence,
    Subject,
    Wiring,
    Written,
)
from nir_interop.graphs import NEURONS, SPIKING, Graph, Node, components, early, inline, nested, validate
from nir_interop.graphs.primitives import WHOLE
from nir_interop.graphs.unwritten import holds_field
from nir_interop.verdict import CauseShare, Verdict
from nir_interop.vocabulary import Blame, Cause, Stage, Status


def without_graph(failure: Failure, stage: Stage) -> Verdict:
    """A source that gave no graph: NIR cannot say it, the library cannot hold it, or its exporter failed."""
    status, says = Status(failure.status), _says(failure)
    if status is Status.ENV_MISSING:
        return Verdict(status, Blame.SETTING)
    if failure.error_type == "NotExpressible":
        return Verdict(status, Blame.FORMAT, (CauseShare(Cause.NOT_EXPRESSIBLE, 0, (), says),), 1.0)
    if failure.error_type == OwnFailure.__name__:
        return Verdict(status, Blame.HARNESS)
    blame = Blame.EXPORTER if stage in (Stage.EXPORT, Stage.WRITE) else Blame.BUILDER
    return Verdict(status, blame, (CauseShare(Cause.UNSUPPORTED, 0, (), says),), 1.0)


def without_meaning(failure: Failure, intended: Graph | None, exported: Graph, dt: float) -> Verdict | None:
    """A graph that means nothing, refused by whoever was given it: the exporter's deed.  None where it means something."""
    try:
        validate(exported)
    except InvalidGraph as error:
        changes = () if intended is None else exporter_changes(inline(intended), inline(exported), dt)
        causes = tuple(CauseShare(cause, 0, (), str(error)) for cause in changes)
        return Verdict(Status(failure.status), Blame.EXPORTER, causes, 1.0 if causes else 0.0)
    return None


def attributed(verdict: Verdict, failure: Failure, exported: Graph, domain: Domain) -> Verdict:
    """The verdict on a graph that an importer gave no recording of, with its domain as the cause where nothing else is.

    A domain is known from the probes: what fails in the words in which a probe did, fails for the probe's reason; and what
    no probe of a primitive has got through can do no better.  A refusal says itself what it does not take.  A node that is left
    out, of a primitive that no probe got through with, is one that the library does not have: that has one name.
    """
    if verdict.blame is Blame.HARNESS:
        return verdict
    if verdict.causes and verdict.status is not Status.READ_ERROR:
        return replace(verdict, causes=tuple(_not_taken(each, inline(exported), domain) for each in verdict.causes))
    if verdict.status is Status.ENV_MISSING:
        return Verdict(verdict.status, Blame.SETTING)
    graph, says = inline(exported), _says(failure)
    words = _normal(says, graph)
    parts = _parts(graph) | ({Wiring.NESTING: nested(exported)} if nested(exported) else {})
    for subject, nodes in parts.items():
        refusals = domain[subject].refusals if subject in domain else ()
        said = [(_normal(refusal.message, graph), refusal.condition) for refusal in refusals]
        alike = [condition for message, condition in said if message and (message in words or words in message)]
        where = [condition for condition in alike if holds(condition, exported, nodes)]
        if where:
            return _declined(verdict, exported, subject, nodes, where, says)
    if verdict.causes:
        return replace(verdict, causes=tuple(_not_taken(each, graph, domain) for each in verdict.causes))
    for subject, nodes in parts.items():
        if domain.lacks(subject):
            return _unsupported(verdict, nodes, f"{subject_in_words(subject)}, in whatever way it was tried: {says}")
    if verdict.status is Status.REFUSED:
        return _unsupported(verdict, (), says)
    return Verdict(verdict.status, Blame.IMPORTER)


def _declined(
    verdict: Verdict, exported: Graph, subject: Subject, nodes: tuple[str, ...], where: list[Condition], says: str
) -> Verdict:
    """What fails as some probes of a primitive or wiring did, which are true of the graph."""
    blame = verdict.blame if verdict.causes else Blame.IMPORTER
    condition = where[0]
    cause, name, words = cause_of(condition), subject_in_words(subject), condition_in_words(condition, subject)
    if cause is Cause.NAME_ORDER:
        (source, target), *_ = early_edges(exported, condition)
        text = (
            f"{target} is named before {source}, which feeds it, and a file keeps its nodes sorted by name; under names in the "
        )
        return Verdict(
            verdict.status,
            blame,
            (CauseShare(cause, 0, (target,), f"{text}order in which they run it does not end so: {says}"),),
            1.0,
        )
    if cause is not Cause.UNSUPPORTED:
        flat = inline(exported)
        own = tuple(each for each in nodes if holds(condition, flat, (each,)))
        return Verdict(verdict.status, blame, (CauseShare(cause, 0, own, f"{name}, {words}: {says}"),), 1.0)
    what = name if condition is Form.ANY else f"{name}, {words}"
    named = f"{what}: {says}" if len(where) == 1 else says
    return Verdict(verdict.status, blame, (CauseShare(cause, 0, nodes, named),), 1.0)


def _not_taken(share: CauseShare, graph: Graph, domain: Domain) -> CauseShare:
    """A node that was left out, of a primitive that is not taken in any way in which it was tried."""
    kinds = {graph.nodes[name].kind for name in share.nodes if name in graph.nodes}
    if share.cause is not Cause.NODE_DROPPED or not kinds or not all(map(domain.lacks, kinds)):
        return share
    return replace(share, cause=Cause.UNSUPPORTED)


def _unsupported(verdict: Verdict, nodes: tuple[str, ...], says: str) -> Verdict:
    return Verdict(verdict.status, Blame.IMPORTER, (CauseShare(Cause.UNSUPPORTED, 0, nodes, says),), 1.0)


def _parts(graph: Graph) -> dict[Subject, tuple[str, ...]]:
    """What a graph is made of, primitives and wiring, and the nodes that are it."""
    kinds = {node.kind for _, node in graph.primitives()} - {"Input", "Output"}
    parts: dict[Subject, tuple[str, ...]] = {kind: tuple(sorted(graph.of_kind(kind))) for kind in sorted(kinds)}
    cyclic = sorted(
        name
        for group in components(graph.nodes, graph.edges)
        if len(group) > 1 or (group[0], group[0]) in graph.edges
        for name in group
    )
    joins = sorted(name for name in graph.nodes if len({*graph.into(name)} - {*cyclic}) > 1)
    outputs = tuple(sorted(graph.of_kind("Output")))
    several = outputs if len(outputs) > 1 else ()
    wirings = {Wiring.SEVERAL_OUTPUTS: several, Wiring.JOIN: tuple(joins), Wiring.RECURRENCE: tuple(cyclic)}
    return parts | {wiring: nodes for wiring, nodes in wirings.items() if nodes}


def _says(failure: Failure) -> str:
    return ": ".join(text for text in (failure.error_type, failure.message) if text)


def _normal(message: str, graph: Graph) -> str:
    """A message without what differs from graph to graph: how many numbers and which, and names, quoted ones and the nodes'."""
    names = "|".join(re.escape(name) for name in sorted(graph.nodes, key=len, reverse=True))
    text = re.sub(r"[\w.]+\.(input|output)\b", "…", message)
    text = re.sub(rf"\b({names})\b", "…", text)
    text = re.sub(r"'[^']*'|\bn\d+\b|[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "…", text)
    return re.sub(r"…(\s+…)+", "…", re.sub(r"\s+", " ", text)).strip()


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
    if isinstance(condition, GivenField):
        return Cause.UNREADABLE
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


def early_edges(graph: Graph, condition: Condition) -> tuple[tuple[str, str], ...]:
    """Edges whose end a file names before their start, where a probe of names is evidence of that."""
    if condition is Nesting.LAYERS_AGAINST_ORDER:
        return early(graph, graph.nodes)
    if condition is Nesting.RECURRENCE_BEFORE_SOURCE:
        return early(graph, nested(graph)) or tuple(
            edge
            for name in nested(graph)
            if isinstance(inner := graph.nodes[name], Graph)
            for edge in early_edges(inner, condition)
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
    Nesting.RECURRENCE_BEFORE_SOURCE: lambda graph: bool(early_edges(graph, Nesting.RECURRENCE_BEFORE_SOURCE)),
    Nesting.LAYERS_AGAINST_ORDER: lambda graph: bool(early_edges(graph, Nesting.LAYERS_AGAINST_ORDER)),
    Recurrence.ONE_LAYER: lambda graph: bool(_cycles(inline(graph))),
    Recurrence.TWO_LAYERS: lambda graph: len(_cycles(inline(graph))) > 1,
    Recurrence.FEEDBACK_LISTED_LAST: lambda graph: any(
        map(_leads_on_first, [graph, *(each for each in graph.nodes.values() if isinstance(each, Graph))])
    ),
    Recurrence.SOURCE_BEFORE_INPUT: lambda graph: bool(early_edges(graph, Recurrence.SOURCE_BEFORE_INPUT)),
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


def _tests(condition: NeuronCondition | Form | Written | FlattenDims | GivenField) -> list[_OfNode]:
    """What some node has to show, each of them some node."""
    if isinstance(condition, GivenField):
        return [lambda node: holds_field(node, condition.field)]
    if isinstance(condition, NeuronCondition):
        voltages = {"v_reset"} if condition.one_voltage else condition.off_zero
        return [*map(_off_zero, sorted(voltages)), *map(_uneven, sorted(condition.spread))]
    return [] if isinstance(condition, FlattenDims) or condition not in _OF_NODES else [_OF_NODES[condition]]
