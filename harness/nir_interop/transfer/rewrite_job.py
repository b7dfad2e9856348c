"""What a worker of the reference does for ``mode = reconciled``: rewrites a graph for an importer, and says what remains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.backends.adapter import Adapter
from nir_interop.transfer.explain_job import as_outcome, graph_at, intended_graph, rules_of, target_of, unexplained
from nir_interop.transfer.importing import recording_at
from nir_interop.vocabulary import REFERENCE, Stage, Status
from nir_interop.workers.error_messages import describe
from nir_interop.workers.job import GRAPH, OK, Job, Outcome, Progress, stimulus_at

if TYPE_CHECKING:
    from nir_interop.workers.live import LiveBackend


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
    from nir_interop.graphs import write
    from nir_interop.reconcile.forbidding import forbidding
    from nir_interop.transfer.case import Case, explain_meaningless
    from nir_interop.transfer.rewriting import rewrite

    case = Case(
        graph_at(job["graph"]),
        stimulus_at(job["stimulus"])["input"],
        Side(job["exporter"], job["dt"], rules_of(job["source_rules"])),
        target_of(job),
        recorded=recording_at(job["native"]),
        intended=intended_graph(job),
    )
    try:
        made = rewrite(case, None if job["importer"] == REFERENCE else _KEPT.live(job["backend"], job["limit"]))
    except InvalidGraph:
        meaningless = explain_meaningless(case, RunFailed(str(Status.REFUSED)))
        verdict = None if meaningless is None else as_outcome(meaningless, case.graph)
        causes = [] if meaningless is None else [each.cause for each in meaningless.causes]
        return {"status": OK, "passes": [], "verdict": verdict, "forbidden": sorted(map(str, forbidding(causes)))}
    if made.plan.passes:
        write(Path(job["folder"]) / GRAPH, made.plan.graph)
    forbids = () if made.verdict is None else forbidding(each.cause for each in made.verdict.causes)
    return {
        "status": OK,
        "passes": [each.as_dict() for each in made.plan.passes],
        "verdict": None if made.verdict is None else as_outcome(made.verdict, made.plan.graph),
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
        from nir_interop.workers.live import LiveBackend

        if self._live is None or self._asked != (backend, limit):
            if self._live is not None:
                self._live.close()
            self._asked, self._live = (backend, limit), LiveBackend(Backend.from_dict(backend), limit=limit)
        return self._live


_KEPT = _Kept()
