"""What a worker of the reference does for ``mode = reconciled``: rewrites a graph for an importer, and says what remains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.backends.adapter import Adapter
from nir_interop.transfer.explain_job import as_outcome, graph_at, intended_graph, rules_of, unexplained
from nir_interop.transfer.importing import recording_at
from nir_interop.vocabulary import Stage, Status
from nir_interop.workers.error_messages import describe
from nir_interop.workers.job import GRAPH, OK, Job, Outcome, Progress, stimulus_at

if TYPE_CHECKING:
    from nir_interop.transfer.live import LiveBackend


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
    from nir_interop.agreement.side import Side
    from nir_interop.errors import InvalidGraph, RunFailed
    from nir_interop.explain.failed_cells import without_meaning
    from nir_interop.fingerprint import Fingerprint
    from nir_interop.graphs import write
    from nir_interop.reconcile.forbidding import forbidding
    from nir_interop.reconcile.passes import PASSES
    from nir_interop.reconcile.planner import reconcile
    from nir_interop.transfer.remaining import remains, settled
    from nir_interop.vocabulary import REFERENCE

    graph, intended = graph_at(job["graph"]), intended_graph(job)
    stimulus, native = stimulus_at(job["stimulus"])["input"], recording_at(job["native"])
    known = Fingerprint.from_dict({"backend": job["importer"], "side": "import", "options": "", "rules": job["target_rules"]})
    target = Side.of(known, job["dt_import"])
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
        from nir_interop.backends.environments import Backend
        from nir_interop.transfer.live import LiveBackend

        if self._live is None or self._asked != (backend, limit):
            if self._live is not None:
                self._live.close()
            self._asked, self._live = (backend, limit), LiveBackend(Backend.from_dict(backend), limit=limit)
        return self._live


_KEPT = _Kept()
