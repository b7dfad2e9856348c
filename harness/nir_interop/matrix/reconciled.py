"""From cells that differ to ``mode = reconciled``: the graph rewritten, then imported as any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nir_interop.matrix.known_outcomes import Once
from nir_interop.matrix.outcomes import CellResult, Rewriting, SourceResult
from nir_interop.matrix.plan import CellJob
from nir_interop.matrix.verdicts import Explanations
from nir_interop.store.keys import rewriting_key
from nir_interop.store.store import Store
from nir_interop.transfer.explain_job import unexplained
from nir_interop.transfer.graph_facts import graph_facts
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Blame, Mode, Status
from nir_interop.workers.job import GRAPH, OK, PARAMETERS, RECORDING, Outcome
from nir_interop.workers.scheduler import Task

REWRITE_LIMIT, REWRITE_COST = 300.0, 0.4
"""Seconds that a rewriting may take, and a guess of what it does."""


class Reconciliations:
    """The rewritings of one run; all methods are called under the slots' lock or before they run.

    once : answers from the store or queues a task
    imported : called with the cell that is to be run, its source as rewritten, and what the rewriting says
    """

    def __init__(
        self,
        explanations: Explanations,
        store: Store,
        once: Once,
        urgency: int,
        limit: float,
        imported: Callable[[CellJob, SourceResult, Rewriting], None],
    ) -> None:
        self.explanations, self.store, self.once, self.imported = explanations, store, once, imported
        self.urgency, self.limit = urgency, limit
        self.backends = explanations.plan.backends

    def wanted(self, cell: CellResult) -> bool:
        """Whether a cell whose verdict is known is to be repeated: it differs, and both its sides have rules."""
        return (
            cell.source.exported
            and cell.job.importer != CONTINUOUS
            and cell.job.mode == Mode.NATIVE
            and not Status(cell.status).agrees
            and cell.status not in (Status.VACUOUS, Status.ENV_MISSING)
            and not {cell.job.source.exporter, cell.job.importer} & set(self.explanations.unknown)
        )

    def ask(self, cell: CellResult) -> None:
        """Rewrite a cell's graph for its importer, and import it."""
        job, source = cell.job, cell.source
        objects, learned = source.outcome["objects"], (source.training or {}).get("objects") or {}
        parts: dict[str, Any] = {
            "kind": "rewrite", "network": job.source.network, "seed": job.source.seed, "exporter": job.source.exporter,
            "importer": job.importer, "dt": job.source.dt_export, "dt_import": job.dt_import, "limit": self.limit,
            "source_rules": self.explanations.native_rules(job.source),
            "domain": self.explanations.fingerprints[job.importer]["import"]["rules"],
        }  # fmt: skip
        named = {
            "graph": objects[GRAPH],
            "stimulus": source.stimulus["objects"]["stimulus"],
            "parameters": learned.get(PARAMETERS),
            "native": objects[RECORDING],
        }
        paths = {name: None if each is None else str(self.store.object(each)) for name, each in named.items()}
        backend = self.backends[job.importer]

        def known(outcome: Outcome, cached: bool) -> None:
            self._rewritten(cell, outcome)

        def finish(outcome: Outcome, folder: Path) -> Outcome:
            if (folder / GRAPH).exists() and outcome["status"] == OK:
                outcome["graph"] = graph_facts(folder / GRAPH)
                outcome["objects"] = {GRAPH: self.store.adopt(folder / GRAPH)}
            return outcome

        task = Task(
            REFERENCE, self.urgency, (job.importer, job.source.network, job.cell_id), REWRITE_COST, REWRITE_LIMIT,
            lambda folder: parts | paths | {"backend": backend.as_dict(), "folder": str(folder)}, finish,
        )  # fmt: skip
        key = rewriting_key(self.backends[REFERENCE], backend, parts=json.dumps(parts | named, sort_keys=True))
        self.once("rewritings", key, known, task, REWRITE_LIMIT)

    def _rewritten(self, cell: CellResult, outcome: Outcome) -> None:
        source = cell.source
        failed = f"the rewriting ended with {outcome['status']}: {outcome.get('error_message') or ''}"
        verdict = outcome.get("verdict") if outcome["status"] == OK else unexplained(failed)
        passes = tuple(outcome.get("passes") or ())
        if outcome.get("objects"):
            objects = {**source.outcome["objects"], **outcome["objects"]}
            source = replace(source, outcome={**source.outcome, "objects": objects, "graph": outcome["graph"]})
        job = replace(cell.job, mode=str(Mode.RECONCILED))
        seconds = (outcome.get("timing") or {}).get("seconds", 0.0)
        self.imported(job, source, Rewriting(passes, verdict, tuple(outcome.get("forbidden") or ()), seconds))


def verdict_after(cell: CellResult) -> Outcome:
    """The verdict on a reconciled cell: what its rewriting left, where it did not end as its rewriting foresaw, nothing."""
    made = cell.rewriting
    if cell.outcome["status"] == Status.EXACT:
        return {"status": str(Status.EXACT), "blame": str(Blame.NONE), "causes": []}
    if made is None or made.verdict is None:
        return unexplained("the importer gave every output while the graph was rewritten, and does so no longer")
    return made.verdict
