"""How a backend's answer to a case is judged: measured against NIR's meaning, nothing declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nir_interop.agreement.replay import VALUE_ROUNDING
from nir_interop.agreement.side import RunGraph, Side
from nir_interop.compare.divergence import differs, output_of
from nir_interop.conformance.primitives.cases import SUITE, Array, PrimitiveCase
from nir_interop.errors import InvalidGraph, RunFailed
from nir_interop.explain.structure import reshaped
from nir_interop.graphs import Graph, Node, whole_numbers
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.schema import SEPARATOR
from nir_interop.transfer import case as transfer
from nir_interop.vocabulary import Cause, Direction, PrimitiveStatus, Status
from nir_interop.workers.error_messages import one_line

Row = dict[str, Any]
IMPORT, EXPORT = str(Direction.IMPORT), str(Direction.EXPORT)
REPEATS, REPEATS_IF_RIGHT = 12, 4
"""Runs of a graph with an order, by how the first ended: an importer that depends on the order of a set gives this now, that
later."""

_ENDS = {
    str(Status.REFUSED): PrimitiveStatus.REFUSED,
    str(Status.TIMEOUT): PrimitiveStatus.HANG,
    str(Status.READ_ERROR): PrimitiveStatus.UNREADABLE,
}


@dataclass(frozen=True)
class Judged:
    """The outcome, the outputs that were compared and those that differ, what the library said, and its recording."""

    outcome: PrimitiveStatus
    outputs: int = 0
    mismatched: int = 0
    message: str = ""
    recording: Recording | None = None


def judge(run: RunGraph, case: PrimitiveCase, repeats: int = REPEATS) -> Judged:
    """Give a backend a case and say what came of it.

    repeats : runs at most of a case whose nodes have an order, unless the library declines it; what depends on chance is
        unstable
    """
    first = _judged(run, case)
    if not case.ordered or first.outcome in (PrimitiveStatus.REFUSED, PrimitiveStatus.HANG, PrimitiveStatus.UNREADABLE):
        return first
    for _ in range(min(repeats, REPEATS_IF_RIGHT if first.outcome.agrees else REPEATS) - 1):
        other = _judged(run, case)
        if (other.outcome, other.mismatched, other.message) != (first.outcome, first.mismatched, first.message):
            return Judged(PrimitiveStatus.UNSTABLE, message="not the same from one import to the next")
    return first


def _judged(run: RunGraph, case: PrimitiveCase) -> Judged:
    try:
        seen = run(case.graph, case.stimulus, case.dt)
    except RunFailed as error:
        return failed(error)
    return compared(case, seen)


def failed(error: RunFailed) -> Judged:
    """What a backend that gave no answer is judged as."""
    outcome = _ENDS.get(error.status, PrimitiveStatus.ERROR)
    stage = error.status if outcome is PrimitiveStatus.ERROR else ""
    return Judged(outcome, message=": ".join(text for text in (stage, error.error_type, error.message) if text))


def row(case: PrimitiveCase, direction: str, judged: Judged, causes: Sequence[str] = ()) -> Row:
    """The columns of primitives.csv, without the backend's."""
    return {
        "suite": SUITE,
        "primitive": case.primitive,
        "aspect": case.aspect,
        "direction": direction,
        "dt": case.dt,
        "status": str(judged.outcome),
        "outputs": judged.outputs,
        "mismatched": judged.mismatched,
        "causes": SEPARATOR.join(causes) or None,
        "message": one_line(judged.message) or None,
    }


def compared(case: PrimitiveCase, seen: Recording) -> Judged:
    """What a recording is beside the one that was meant."""
    meant = case.meant
    count = sum(array.size for array in meant.outputs.values())
    pairs = _pairs(meant, seen)
    if pairs is None:
        outcome = PrimitiveStatus.DROPPED if _is_dropped(case, seen) else PrimitiveStatus.WRONG
        said = f"outputs of axes {_axes(seen)} for {_axes(meant)}"
        return Judged(outcome, message=f"the same values, but {said}" if _only_shaped(meant, seen) else said, recording=seen)
    mismatched = sum(int(differs(ours, theirs).sum()) for ours, theirs in pairs)
    if not mismatched:
        return Judged(PrimitiveStatus.EXACT, count, 0, "", seen)
    asked = transfer.Case(case.graph, case.stimulus, Side("NIR", case.dt), Side("", case.dt), recorded=meant)
    if transfer.judge(asked, seen).status is Status.ROUNDING:
        return Judged(PrimitiveStatus.ROUNDING, count, mismatched, "", seen)
    return Judged(PrimitiveStatus.DROPPED if _is_dropped(case, seen) else PrimitiveStatus.WRONG, count, mismatched, "", seen)


def _is_dropped(case: PrimitiveCase, seen: Recording) -> bool:
    without = case.without()
    return without is not None and same_outputs(without, seen)


def same_outputs(one: Recording, other: Recording) -> bool:
    """Whether outputs have the same axes, and values that rounding explains."""
    pairs = _pairs(one, other)
    return pairs is not None and all(_is_rounded(ours, theirs) for ours, theirs in pairs)


def _pairs(one: Recording, other: Recording) -> list[tuple[Array, Array]] | None:
    """Outputs of one beside those of the other, by name; a single one may have a name of the library's own."""
    if len(one.outputs) != len(other.outputs):
        return None
    if one.outputs.keys() != other.outputs.keys() and len(one.outputs) > 1:
        return None
    names = zip(sorted(one.outputs), sorted(other.outputs), strict=True)
    pairs = [(one.outputs[mine], other.outputs[own]) for mine, own in names]
    return pairs if all(ours.shape == theirs.shape for ours, theirs in pairs) else None


def _only_shaped(meant: Recording, seen: Recording) -> bool:
    ours, theirs = output_of(meant), output_of(seen)
    return ours is not None and theirs is not None and ours.shape == theirs.shape and _is_rounded(ours, theirs)


def _is_rounded(ours: Array, theirs: Array) -> bool:
    largest = float(np.abs(ours.astype(np.float64)).max(initial=0.0))
    apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    return bool((apart <= VALUE_ROUNDING * largest).all())


def _axes(recording: Recording) -> str:
    return ", ".join("×".join(map(str, array.shape)) for _, array in sorted(recording.outputs.items())) or "none"


def by_axes(case: PrimitiveCase, seen: Recording) -> tuple[str, ...]:
    """The cause, or nothing where neither reading of the case gives what was seen.

    ``flatten_batch``: dimensions of a Flatten counted with the batch.  A Flatten that starts at 0 is not asked: it joins the
    batch itself, for which there is no graph.
    ``node_dropped``: some of several Outputs left out.
    """
    graph = _counted(case.graph)
    if graph is not None and _gives(graph, case, seen):
        return (str(Cause.FLATTEN_BATCH),)
    meant = case.meant.outputs
    if len(seen.outputs) == 1 < len(meant) and any(same_outputs(Recording({name: meant[name]}), seen) for name in meant):
        return (str(Cause.NODE_DROPPED),)
    return ()


def _gives(graph: Graph, case: PrimitiveCase, seen: Recording) -> bool:
    try:
        return same_outputs(simulate(graph, case.stimulus, case.dt), seen)
    except InvalidGraph:
        return False


def _counted(graph: Graph) -> Graph | None:
    """The graph with dimensions that are counted from the front one further to the front; None where there are none."""
    nodes = dict(graph.nodes)
    for name in graph.of_kind("Flatten"):
        node = nodes[name]
        if not isinstance(node, Node):
            continue
        (start,), (end,) = (whole_numbers(node, each, 1) for each in ("start_dim", "end_dim"))
        if start == 0 or end == 0:
            return None
        moved = {each: np.array(value - (value > 0)) for each, value in (("start_dim", start), ("end_dim", end))}
        nodes[name] = Node("Flatten", {**node.params, **moved})
    return reshaped(Graph(nodes, graph.edges)) if nodes != dict(graph.nodes) else None
