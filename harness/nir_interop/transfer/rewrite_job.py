"""What a worker of the reference does for ``mode = reconciled``: rewrites a graph for an importer, and says what remains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nir_interop.backends.adapter import Adapter
from nir_interop.transfer.explain_job import as_outcome, case_of, told, unexplained
from nir_interop.vocabulary import REFERENCE, Stage, Status
from nir_interop.workers.jobs import GRAPH, Rewrite, Rewritten
from nir_interop.workers.progress import JobProgress

if TYPE_CHECKING:
    from nir_interop.workers.live import LiveBackend


def rewrite(adapter: Adapter, job: Rewrite, progress: JobProgress) -> Rewritten:
    """The rewritten graph in GRAPH of the job's folder; the passes, the verdict on what remains, and what forbids more.

    A rewriting that fails is a bug of ours, shown as a cell that is not explained.
    """
    progress.enter(Stage.BUILD)
    try:
        return _rewritten(job)
    except Exception as error:
        return Rewritten(verdict=unexplained(told(error)))


def _rewritten(job: Rewrite) -> Rewritten:
    from nir_interop.errors import InvalidGraph, RunFailed
    from nir_interop.graphs import write
    from nir_interop.reconcile.forbidden import forbidding
    from nir_interop.transfer.case import explain_meaningless
    from nir_interop.transfer.rewriting import rewrite

    case = case_of(job)
    try:
        made = rewrite(case, None if job.importer == REFERENCE else _KEPT.live(job.backend, job.limit))
        passes, left, graph, kept = made.plan.passes, made.verdict, made.plan.graph, made.kept
        source = made.source
    except InvalidGraph:
        passes, left, graph, kept = (), explain_meaningless(case, RunFailed(str(Status.REFUSED))), case.graph, ""
        source = case.source
    causes = () if left is None else tuple(each.cause for each in left.causes)
    if passes:
        write(job.left(GRAPH), graph)
    return Rewritten(
        passes=tuple(passes),
        verdict=None if left is None else as_outcome(left, graph),
        forbidden=tuple(sorted(map(str, forbidding(causes, source, case.target)))),
        kept=kept,
    )


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
