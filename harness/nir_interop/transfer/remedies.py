"""What reconciling knows of a graph that a backend does not compute: the rewriting that makes it right, and what it is for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from nir_interop.agreement.side import Side
from nir_interop.arrays import Array
from nir_interop.backends.environments import Backend
from nir_interop.errors import BackendMissing, InvalidGraph
from nir_interop.explain.causes import causes_between
from nir_interop.explain.probe_findings import misrun_causes
from nir_interop.graphs import NEURONS, Graph, inline
from nir_interop.reconcile.model import Pass, Plan
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile as planned
from nir_interop.transfer.as_usual import HANGING
from nir_interop.transfer.case import Case
from nir_interop.transfer.reconciling import NIR
from nir_interop.transfer.rewriting import reconcile, unless_it_hangs
from nir_interop.verdict import Applied, CauseShare, Verdict, by_share
from nir_interop.vocabulary import Blame, Cause, Status
from nir_interop.workers.live import LiveBackend

KEEPS_SHAPES = frozenset({Cause.FLATTEN_ORDER, Cause.CYCLE_ORDER})
"""What makes no run fail and no shape another."""


@dataclass(frozen=True)
class Remedy:
    """A rewriting with which the backend itself gave every output that was meant.

    needed : causes of the passes without which it does not, where they were asked for
    """

    passes: tuple[Applied, ...]
    needed: tuple[CauseShare, ...] = ()


def remedy_for(
    graph: Graph, stimulus: Array, dt: float, backend: Backend, target: Side, verdict: Verdict, limit: float
) -> Remedy | None:
    r"""What ``nir-interop reconcile`` would do, measured on the backend; None where it does not come out right.

    stimulus : axes (T, B, \*shape)
    limit : seconds that one run may take
    """
    if verdict.status is Status.TIMEOUT and not verdict.causes:
        return None  # each run would take as long again
    source = Side(NIR, dt)
    try:
        with LiveBackend(backend, limit=min(limit, HANGING) if verdict.status is Status.TIMEOUT else limit) as run:
            plan = reconcile(Case(graph, stimulus, source, target), run).plan
            if not (plan.right and plan.asked and plan.passes):
                return None
            known = any(each.cause is not Cause.UNEXPLAINED for each in verdict.causes)
            needed = () if known else _needed(run, graph, stimulus, source, target, plan, verdict.status)
    except (BackendMissing, InvalidGraph):
        return None
    return Remedy(plan.passes, needed)


def with_causes(verdict: Verdict, remedy: Remedy | None) -> Verdict:
    """The verdict with the causes that the needed passes answer, where nothing else is known."""
    if remedy is None or not remedy.needed or verdict.blame is Blame.HARNESS:
        return verdict
    blame = Blame.IMPORTER if verdict.blame is Blame.UNEXPLAINED else verdict.blame
    return replace(verdict, blame=blame, causes=remedy.needed, explained=1.0)


def _needed(
    run: LiveBackend, graph: Graph, stimulus: Array, source: Side, target: Side, plan: Plan, status: Status
) -> tuple[CauseShare, ...]:
    """The causes that passes answer without which the plan does not come out right; none where one answers several."""
    applied = {each.name for each in plan.passes}
    asked, failed = unless_it_hangs(run, target), status is not Status.MISMATCH
    found = []
    for each in plan.passes:
        others = [one for one in PASSES if one.name in applied and one.name != each.name]
        if planned(graph, source, target, stimulus, others, run=asked).right:
            continue
        (own,) = (one for one in PASSES if one.name == each.name)
        ruled = _in_rules(own, graph, source, target)
        cause = next(iter(ruled)) if len(ruled) == 1 else _answered(own.answers, failed, misrun_causes(target.domain))
        if cause is None:
            return ()
        found.append(CauseShare(cause, 0, tuple(name for name in each.nodes if name in graph.nodes), each.why))
    return by_share(found)


def _in_rules(own: Pass, graph: Graph, source: Side, target: Side) -> frozenset[Cause]:
    """The causes in the rules of the graph's neurons that a pass answers."""
    kinds = {node.kind for _, node in inline(graph).primitives() if node.kind in NEURONS}
    between = [pair for kind in kinds for pair in causes_between(source.rule(kind), target.rule(kind), kind)]
    return frozenset(cause for axis, cause in between if axis in own.axes and cause in own.answers)


def _answered(answers: Collection[Cause], failed: bool, likely: Collection[Cause]) -> Cause | None:
    """The one cause that a pass answers here, None where it may be one of several."""
    if failed and Cause.UNSUPPORTED in answers:
        return Cause.UNSUPPORTED
    left = {*answers} - {Cause.UNSUPPORTED} - (KEEPS_SHAPES if failed else frozenset())
    left = left & {*likely} or left
    return next(iter(left)) if len(left) == 1 else None
