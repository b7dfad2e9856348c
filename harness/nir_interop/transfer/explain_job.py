"""What a worker of the reference does for explanations: identify another backend's rules, and give a cell its verdict.

Both need torch and the whole harness, which a library's own environment may lack.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nir_interop.backends.adapter import Adapter
from nir_interop.errors import BackendMissing, NotExpressible, RunFailed
from nir_interop.transfer.importing import recording_at
from nir_interop.vocabulary import Blame, Cause, Stage, Status
from nir_interop.workers.error_messages import describe
from nir_interop.workers.job import OK, Job, Outcome, Progress, network_of, stimulus_at

if TYPE_CHECKING:
    from nir_interop.agreement.side import Side
    from nir_interop.explain.verdict import Verdict
    from nir_interop.graphs import Graph
    from nir_interop.rule import UpdateRule


def identify(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """The fingerprints of the job's ``backend``: ``import``, ``native`` by reset and idiom, and what it does outside rules."""
    from nir_interop.backends.environments import Backend
    from nir_interop.store.store import Store
    from nir_interop.transfer.fingerprints import LIMIT, import_fingerprint, native_fingerprints
    from nir_interop.workers.live import LiveBackend

    backend, store = Backend.from_dict(job["backend"]), Store(Path(job["store"]))
    try:
        with LiveBackend(backend, limit=LIMIT) as live:
            imported = import_fingerprint(backend, store, live=live)
            own = native_fingerprints(backend, store, live=live)
    except BackendMissing as error:
        return {"status": str(Status.ENV_MISSING), "error_type": "BackendMissing", "error_message": str(error)}
    native = {f"{reset.value} {idiom.value}": found.as_dict() for (reset, idiom), found in own.items()}
    return {"status": OK, "import": imported.as_dict(), "native": dict(sorted(native.items()))}


def explain(adapter: Adapter, job: Job, progress: Progress) -> Outcome:
    """The verdict on a cell; one that fails is a bug of ours, shown as a cell that is not explained."""
    progress.enter(Stage.COMPARE)
    try:
        return as_outcome(_verdict(job), None if job["graph"] is None else graph_at(job["graph"]))
    except Exception as error:
        said = describe(error)
        says = f"{said['error_type']}: {said['error_message']} ({said['error_at']})"
        return unexplained(says)


def unexplained(says: str) -> Outcome:
    """The verdict where there can be none, and why."""
    cause = {"cause": str(Cause.UNEXPLAINED), "repaired": 0, "changed": 0, "nodes": [], "says": says}
    return {"status": OK, "blame": str(Blame.UNEXPLAINED), "causes": [cause], "explained": 0.0}


def as_outcome(verdict: Verdict, graph: Graph | None = None) -> Outcome:
    """A verdict on a graph as plain data; ``suspects`` are the nodes and parameters at fault, null where they are not known."""
    from nir_interop.explain.warnings import at_fault

    suspects = at_fault(((each.cause, each.nodes, each.text) for each in verdict.causes), graph)
    return {
        "suspects": None if suspects is None else suspects.as_dict(),
        "status": str(verdict.status),
        "blame": str(verdict.blame),
        "causes": [each.as_dict() for each in verdict.causes],
        "explained": None if verdict.status.is_error and not verdict.causes else verdict.explained,
    }


def _verdict(job: Job) -> Verdict:
    from nir_interop.agreement.side import Side
    from nir_interop.transfer import case

    failed = job["failure"] or {}
    failure = RunFailed(failed.get("status", ""), failed.get("error_type", ""), failed.get("error_message", ""))
    if job["graph"] is None:
        return case.explain_export(failure, Stage(failed["stage"] or Stage.BUILD))
    one = case.Case(
        graph_at(job["graph"]),
        stimulus_at(job["stimulus"])["input"],
        Side(job["exporter"], job["dt"], rules_of(job["source_rules"])),
        target_of(job),
        recorded=recording_at(job["native"]),
        intended=intended_graph(job),
        dt_effective=job["dt_effective"],
    )
    return case.explain(one, failure if job["target"] is None else recording_at(job["target"]))


def target_of(job: Job) -> Side:
    """The importer at the job's step, with what is known of it."""
    from nir_interop.agreement.side import Side
    from nir_interop.fingerprint import Fingerprint

    known = {"backend": job["importer"], "side": "import", "options": "", "rules": job["domain"]}
    return Side.of(Fingerprint.from_dict(known), job["dt_import"])


def rules_of(rules: Mapping[str, Mapping[str, str]]) -> dict[str, UpdateRule]:
    """Primitive → rule, from plain data."""
    from nir_interop.rule import UpdateRule

    return {kind: UpdateRule.from_dict(axes) for kind, axes in sorted(rules.items())}


@lru_cache(maxsize=3)
def graph_at(path: str) -> Graph:
    """A stored graph; consecutive cells share it."""
    from nir_interop.graphs import read

    return read(Path(path))


def intended_graph(job: Job) -> Graph | None:
    """What a faultless exporter would have written, or None where NIR cannot say it."""
    from nir_interop.graphs import from_nir

    try:
        return from_nir(network_of(job).to_nir())
    except NotExpressible:
        return None
