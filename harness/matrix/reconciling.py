"""One graph rewritten for a library: the two sides from what is known of them, the passes, and the library's own answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.environments import Backend
from harness.errors import BadInput, RunFailed
from harness.explain.misruns import misruns
from harness.explain.verdict import explain_cell
from harness.graphs import NEURONS, Graph, read
from harness.matrix.arrays import Array
from harness.matrix.fingerprints import import_fingerprint
from harness.matrix.live import LiveBackend
from harness.matrix.outcomes import REFERENCE
from harness.matrix.store import Store
from harness.reconcile.model import Side
from harness.reconcile.passes import PASSES
from harness.reconcile.planner import Plan, Remaining, reconcile
from harness.recording import Recording
from harness.reference import simulate
from harness.rule import AXES, UpdateRule

NIR = "nir"
"""The side that means what NIR says."""


_SHORT = {("timing", "late"): "next_step"}
"""What is said for short."""


@dataclass(frozen=True)
class Reconciled:
    """A plan, and the sides it is between.

    before : outputs that differ without it, None where the target gives none
    """

    plan: Plan
    source: Side
    target: Side
    before: int | None

    def as_dict(self) -> dict[str, Any]:
        """What ``nir-interop reconcile --json`` prints."""
        plan = self.plan
        return {
            "from": self.source.name,
            "to": self.target.name,
            "dt_from": self.source.dt,
            "dt_to": self.target.dt,
            "passes": [
                {"name": each.name, "nodes": list(each.nodes), "why": each.why, "preserves": each.preserves}
                for each in plan.passes
            ],
            "exact": plan.exact,
            "basis": "measured" if plan.asked else "proof",
            "outputs": plan.outputs,
            "mismatched_before": self.before,
            "mismatched": plan.measured,
            "predicted_mismatched": plan.predicted,
            "remaining": [{"cause": str(each.cause), "nodes": list(each.nodes), "why": each.why} for each in plan.remaining],
        }


def side_of(name: str, dt: float, store: Store, backends: Mapping[str, Backend]) -> Side:
    """What a backend's importer does at a step; NIR's own meaning for ``nir`` and the reference."""
    if name in (NIR, REFERENCE):
        return Side(name, dt)
    found = import_fingerprint(backends[name], store)
    return Side(name, dt, found.by_primitive(), found.rules)


def side_from_rule(text: str, dt: float) -> Side:
    """A side of ``axis=value`` pairs, separated by commas; other axes have NIR's meaning.

    Raises BadInput for an axis or a value that there is not.
    """
    axes: dict[str, str] = {}
    values = {axis.name: [each.value for each in axis.type] for axis in AXES}
    for pair in filter(None, text.split(",")):
        name, _, value = (part.strip() for part in pair.partition("="))
        value = _SHORT.get((name, value), value)
        if name not in values:
            raise BadInput(f"--from-rule {pair}: no axis {name!r}; there are {', '.join(values)}")
        if value not in values[name]:
            raise BadInput(f"--from-rule {pair}: {name} is one of {', '.join(values[name])}")
        axes[name] = value
    return Side(f"a rule with {text}", dt, dict.fromkeys(NEURONS, UpdateRule.from_dict(axes)))


def reconcile_graph(
    path: Path, stimulus: Array, source: Side, target: Side, backend: Backend, *, wanted: Recording | None = None, limit: float
) -> Reconciled:
    r"""Rewrite a graph for a backend, ask the backend for its answer, and say what remains.

    stimulus : axes (T, B, \*shape)
    wanted : what the source computed; by default what its rules give
    limit : seconds that one run of the backend may take
    """
    graph = read(path)
    if backend.name == REFERENCE:
        plan = reconcile(graph, source, target, stimulus, PASSES, wanted=wanted)
        return Reconciled(plan, source, target, reconcile(graph, source, target, stimulus, (), wanted=wanted).predicted)
    with LiveBackend(backend, limit=limit) as run:
        plain = reconcile(graph, source, target, stimulus, (), wanted=wanted, run=run)
        plan = plain if plain.exact else reconcile(graph, source, target, stimulus, PASSES, wanted=wanted, run=run)
        if not plan.exact:
            meant = wanted or simulate(graph, stimulus, source.dt, source.rules)
            plan = _with_remaining(plan, graph, stimulus, source, target, meant, run)
    return Reconciled(plan, source, target, plain.measured)


def _with_remaining(
    plan: Plan, graph: Graph, stimulus: Array, source: Side, target: Side, meant: Recording, run: LiveBackend
) -> Plan:
    """The plan with the causes of the original mismatch that no pass of it answers."""
    failure, made = None, None
    try:
        made = run(graph, stimulus, target.dt)
    except RunFailed as failed:
        failure = failed
    verdict = explain_cell(
        intended=None,
        exported=graph,
        source_rule=source.rules,
        target_rule=target.rules,
        native=meant,
        target=made,
        stimulus=stimulus,
        dt_export=source.dt,
        dt_import=target.dt,
        failure=failure,
        names=(source.name, target.name),
        likely=misruns(target.domain),
    )
    used = {each.name for each in plan.passes}
    answered = {cause for each in PASSES if each.name in used for cause in each.answers}
    known = {each.cause for each in plan.remaining}
    further = [
        Remaining(share.cause, share.nodes, share.says)
        for share in verdict.causes
        if share.cause not in answered and share.cause not in known
    ]
    return replace(plan, remaining=(*plan.remaining, *further))
