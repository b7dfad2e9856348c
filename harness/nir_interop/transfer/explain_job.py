"""What a worker of the reference does to explain a cell; needs torch and the whole harness, which a library may lack."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nir_interop.backends.adapter import Adapter
from nir_interop.errors import NotExpressible, RunFailed
from nir_interop.transfer.job_files import network_of, recording_at, stimulus_at
from nir_interop.verdict import CauseShare, Verdict
from nir_interop.vocabulary import Blame, Cause, Stage
from nir_interop.workers.error_messages import describe
from nir_interop.workers.jobs import Explain, Explained, Rewrite
from nir_interop.workers.progress import JobProgress

if TYPE_CHECKING:
    from nir_interop.graphs import Graph
    from nir_interop.transfer.case import Case


def explain(adapter: Adapter, job: Explain, progress: JobProgress) -> Explained:
    """The verdict on a cell; one that fails is a bug of ours, shown as a cell that is not explained."""
    progress.enter(Stage.COMPARE)
    try:
        return as_outcome(_verdict(job), None if job.graph is None else graph_at(job.path(job.graph)))
    except Exception as error:
        return unexplained(told(error))


def unexplained(says: str) -> Explained:
    """The verdict where there can be none, and why."""
    cause = CauseShare(Cause.UNEXPLAINED, 0, (), says)
    return Explained(blame=str(Blame.UNEXPLAINED), causes=(cause,), explained=0.0)


def told(error: Exception) -> str:
    """An exception and where it came from, in a line."""
    said = describe(error)
    return f"{said['error_type']}: {said['error_message']} ({said['error_at']})"


def as_outcome(verdict: Verdict, graph: Graph | None = None) -> Explained:
    """A verdict on a graph as plain data."""
    from nir_interop.explain.warnings import at_fault

    suspects = at_fault(((each.cause, each.nodes, each.text) for each in verdict.causes), graph)
    return Explained(
        status=str(verdict.status),
        blame=str(verdict.blame),
        causes=verdict.causes,
        explained=None if verdict.status.is_error and not verdict.causes else verdict.explained,
        suspects=None if suspects is None else {"nodes": suspects.nodes, "words": suspects.words},
    )


def _verdict(job: Explain) -> Verdict:
    from nir_interop.transfer.case import explain, explain_export

    failed = job.failure
    failure = RunFailed("") if failed is None else RunFailed(failed.status, failed.error_type, failed.error_message)
    if job.graph is None:
        return explain_export(failure, Stage((failed.stage if failed else "") or Stage.BUILD))
    return explain(case_of(job), failure if job.target is None else recording_at(job.path(job.target)))


def case_of(job: Explain | Rewrite) -> Case:
    """The case that a job is about; it has a graph."""
    from nir_interop.agreement.side import Side
    from nir_interop.fingerprint import Domain, Fingerprint
    from nir_interop.rule import UpdateRule
    from nir_interop.transfer.case import Case

    known = Fingerprint(job.importer, rules=Domain.from_json(job.domain))
    own = {kind: UpdateRule.from_dict(axes) for kind, axes in sorted(job.source_rules.items())}
    return Case(
        graph_at(job.path(job.graph or "")),
        stimulus_at(job.path(job.stimulus))["input"],
        Side(job.exporter, job.dt, own),
        Side.of(known, job.dt if job.dt_import is None else job.dt_import),
        recorded=recording_at(job.path(job.native or "")),
        intended=_intended(job),
        dt_effective=job.dt_effective if isinstance(job, Explain) else None,
    )


@lru_cache(maxsize=3)
def graph_at(path: Path) -> Graph:
    """A stored graph; consecutive cells share it."""
    from nir_interop.graphs import read

    return read(path)


def _intended(job: Explain | Rewrite) -> Graph | None:
    """What a faultless exporter would have written, or None where NIR cannot say it."""
    from nir_interop.graphs import from_nir

    try:
        return from_nir(network_of(job.network, job.seed, job.path(job.parameters) if job.parameters else None).to_nir())
    except NotExpressible:
        return None
