"""What a worker of the reference does for ``mode = reconciled``: rewrites a graph for an importer, and says what remains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.adapter import Adapter
from harness.matrix.explaining import as_outcome, graph_at, intended_graph, rules_of, unexplained
from harness.matrix.job import GRAPH, OK, Job, Outcome, Progress, stimulus_at
from harness.matrix.messages import describe
from harness.matrix.repeats import recording_at
from harness.vocabulary import Stage, Status

if TYPE_CHECKING:
    from harness.matrix.live import LiveBackend


def rewrite(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """The rewritten graph in GRAPH of the job's folder; ``passes``, the ``verdict`` on what remains, ``forbidden`` causes.

    A rewriting that fails is a bug of ours, shown as a cell that is not explained.
    """
    progress.enter(Stage.BUILD)
    try:
        return _rewritten(job)
    except Exception as error:
        said = describe(error)
        says = f"{said['error_type']}: {said['error_message']} ({said['error_at']})"
        return {"status": OK, "passes": [], "verdict": unexplained(says), "forbidden": []}


def _rewritten(job: Job) -> Outcome:
    from harness.errors import InvalidGraph, RunFailed
    from harness.explain.endings import without_meaning
    from harness.fingerprint import Fingerprint
    from harness.graphs import write
    from harness.matrix.outcomes import REFERENCE
    from harness.matrix.remains import remains, settled
    from harness.reconcile.forbidding import forbidding
    from harness.reconcile.model import Side
    from harness.reconcile.passes import PASSES
    from harness.reconcile.planner import reconcile

    graph, intended = graph_at(job["graph"]), intended_graph(job)
    stimulus, native = stimulus_at(job["stimulus"])["input"], recording_at(job["native"])
    known = Fingerprint.from_dict({"backend": job["importer"], "side": "import", "options": "", "rules": job["target_rules"]})
    target = Side(job["importer"], job["dt_import"], known.by_primitive(), known.rules)
    run = None if job["importer"] == REFERENCE else _KEPT.live(job["backend"], job["limit"])
    try:
        own = Side(job["exporter"], job["dt"], rules_of(job["source_rules"]))
        source, lost = settled(graph, intended, own, stimulus, native)
        plan = reconcile(graph, source, target, stimulus, PASSES, wanted=native, run=run)
    except InvalidGraph:
        meaningless = without_meaning(RunFailed(str(Status.REFUSED)), intended, graph, job["dt"])
        verdict = None if meaningless is None else as_outcome(meaningless, graph)
        causes = [] if meaningless is None else [each.cause for each in meaningless.causes]
        return {"status": OK, "passes": [], "verdict": verdict, "forbidden": sorted(map(str, forbidding(causes)))}
    if plan.passes:
        write(Path(job["folder"]) / GRAPH, plan.graph)
    left = None if plan.exact else remains(plan, target, stimulus, lost)
    forbids = () if left is None else forbidding(each.cause for each in left.causes)
    return {
        "status": OK,
        "passes": [each.as_dict() for each in plan.passes],
        "verdict": None if left is None else as_outcome(left, plan.graph),
        "forbidden": sorted(map(str, forbids)),
    }


class _Kept:
    """One importer's own process, kept for the jobs that follow; it ends with this one, or where another is asked for."""

    def __init__(self) -> None:
        self._asked: tuple[Any, float] | None = None
        self._live: LiveBackend | None = None

    def live(self, backend: Mapping[str, Any], limit: float) -> LiveBackend:
        """The importer as a callable."""
        from harness.environments import Backend
        from harness.matrix.live import LiveBackend

        if self._live is None or self._asked != (backend, limit):
            if self._live is not None:
                self._live.close()
            self._asked, self._live = (backend, limit), LiveBackend(Backend.from_dict(backend), limit=limit)
        return self._live


_KEPT = _Kept()
