"""What no rewriting of a graph takes away: the closed list of causes that forbid reconciling, and when they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.graphs import Graph
from harness.reconcile.model import Side
from harness.rule import ResetKind
from harness.vocabulary import Cause

Condition = Callable[[Graph, Side, Side], bool]
"""(the rewritten graph, source, target) → whether the cause forbids."""

_SUBTRACTIVE = (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL)


def _always(graph: Graph, source: Side, target: Side) -> bool:
    """What the exporter did not write, a function of the file cannot know: networks that differ in it have the same file."""
    return True


def _resets_to_a_value(graph: Graph, source: Side, target: Side) -> bool:
    """After a spike such a neuron is in one state, however far above the threshold it was; a subtracting one is not."""
    return not (target.takes("LI") and target.takes("Threshold")) and any(
        source.rule(kind).reset in _SUBTRACTIVE and target.rule(kind).reset not in _SUBTRACTIVE for kind in _spiking(graph)
    )


def _has_no_such_primitive(graph: Graph, source: Side, target: Side) -> bool:
    """The importer takes the primitive in no way in which it was tried, and no pass could write it in others."""
    kinds = {node.kind for _, node in graph.primitives()} - {"Input", "Output"}
    return any(not target.takes(kind) for kind in kinds)


FORBIDDING: dict[Cause, Condition] = {
    Cause.PARAMETER_LOST: _always,
    Cause.BIAS_LOST: _always,
    Cause.NODE_LOST: _always,
    Cause.NOT_EXPRESSIBLE: _always,
    Cause.DISCRETISATION: _always,
    Cause.RESET_KIND: _resets_to_a_value,
    Cause.RESET_LOST: _resets_to_a_value,
    Cause.UNSUPPORTED: _has_no_such_primitive,
    Cause.NODE_DROPPED: _has_no_such_primitive,
}
"""Each is shown over what the importers accept by tests/reconcile/test_forbidding.py."""


def forbidding(causes: Iterable[Cause], graph: Graph, source: Side, target: Side) -> tuple[Cause, ...]:
    """Those of the causes that remain of a rewritten graph which forbid reconciling it."""
    return tuple(cause for cause in causes if cause in FORBIDDING and FORBIDDING[cause](graph, source, target))


def _spiking(graph: Graph) -> list[str]:
    return sorted({node.kind for _, node in graph.primitives() if "v_threshold" in node.params})
