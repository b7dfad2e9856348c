"""From cells to verdicts: the fingerprints of the backends that take part, then one explanation for each cell that differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nir_interop.backends.environments import Backend
from nir_interop.fingerprint import Fingerprint, Origin
from nir_interop.matrix.known_outcomes import Once
from nir_interop.matrix.outcomes import CellResult
from nir_interop.matrix.plan import Plan, SourceJob
from nir_interop.networks import catalogue
from nir_interop.store.keys import explanation_key, rules_key
from nir_interop.store.store import Store
from nir_interop.transfer.explain_job import unexplained
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Blame, Status
from nir_interop.workers.job import GRAPH, OK, PARAMETERS, RECORDING, Outcome
from nir_interop.workers.scheduler import Task

IDENTIFY_LIMIT, EXPLAIN_LIMIT = 600.0, 120.0
"""Seconds that the probes of one backend, and one verdict, may take."""
IDENTIFY_COST, EXPLAIN_COST = 30.0, 0.2
"""Guesses of the same, for the order of work."""

_FAILURE = ("status", "stage", "error_type", "error_message")


class Explanations:
    """The verdicts of one run; all methods are called under the slots' lock or before they run.

    once : answers from the store or queues a task, as :meth:`nir_interop.matrix.known_outcomes.Answers.once`
    tell : called with each cell whose verdict is known
    """

    def __init__(
        self, plan: Plan, store: Store, once: Once, urgency: tuple[int, int], tell: Callable[[CellResult], None]
    ) -> None:
        self.plan, self.store, self.once, self.tell = plan, store, once, tell
        self.first, self.last = urgency
        self.fingerprints: dict[str, Outcome] = {}
        self.unknown: dict[str, str] = {}
        self._waiting: list[CellResult] = []

    def begin(self) -> None:
        """Queue the probes of every library."""
        for backend in self.plan.backends.values():
            if backend.name in (REFERENCE, CONTINUOUS) or not backend.installed:
                self.fingerprints[backend.name] = {"status": OK, "import": {"rules": {}}, "native": {}}
            else:
                self._identify(backend)

    def ask(self, cell: CellResult) -> None:
        """Explain a cell as soon as the rules of both its sides are known."""
        if cell.outcome["status"] == Status.EXACT:
            self.tell(replace(cell, verdict={"status": str(Status.EXACT), "blame": "none", "causes": []}))
        elif not cell.source.exported or {cell.job.source.exporter, cell.job.importer} <= set(self.fingerprints):
            unknown = [self.unknown[name] for name in (cell.job.source.exporter, cell.job.importer) if name in self.unknown]
            if cell.outcome["status"] == Status.ENV_MISSING:
                self.tell(replace(cell, verdict={"status": str(Status.ENV_MISSING), "blame": str(Blame.SETTING), "causes": []}))
            elif unknown and cell.source.exported:
                self.tell(replace(cell, verdict=unexplained("; ".join(unknown))))
            else:
                self._explain(cell)
        else:
            self._waiting.append(cell)

    def _identify(self, backend: Backend) -> None:
        def known(outcome: Outcome, cached: bool) -> None:
            self.fingerprints[backend.name] = outcome
            if outcome["status"] != OK:
                self.unknown[backend.name] = f"{backend.name}: its rules could not be identified: {_said(outcome)}"
            waiting, self._waiting = self._waiting, []
            for cell in waiting:
                self.ask(cell)

        job = {"kind": "identify", "backend": backend.as_dict(), "store": str(self.store.path)}
        task = Task(
            REFERENCE, self.first, (backend.name,), IDENTIFY_COST, IDENTIFY_LIMIT,
            lambda folder: job,
        )  # fmt: skip
        self.once("rules", rules_key(self.plan.backends[REFERENCE], backend), known, task, IDENTIFY_LIMIT)

    def _explain(self, cell: CellResult) -> None:
        job, source = cell.job, cell.source
        graph, native = self._object(source.outcome, GRAPH), self._object(source.outcome, RECORDING)
        target = self._object(cell.outcome, RECORDING) if source.exported else None
        learned = self._object(source.training or {}, PARAMETERS)
        imported = self.fingerprints[job.importer]["import"]["rules"] if source.exported else {}
        failed = None if target else {name: cell.outcome.get(name) or "" for name in _FAILURE}
        parts: dict[str, Any] = {
            "kind": "explain", "network": job.source.network, "seed": job.source.seed, "learned": learned, "file": graph,
            "exporter": job.source.exporter, "importer": job.importer, "recordings": [native, target], "failure": failed,
            "input": source.stimulus["objects"]["stimulus"],
            "dt": job.source.dt_export, "dt_import": job.dt_import, "dt_effective": cell.outcome.get("dt_effective"),
            "source_rules": self.native_rules(job.source) if source.exported else {}, "domain": imported,
        }  # fmt: skip
        named = {"graph": graph, "stimulus": parts["input"], "parameters": learned, "native": native, "target": target}
        paths = {name: None if each is None else str(self.store.object(each)) for name, each in named.items()}

        def known(outcome: Outcome, cached: bool) -> None:
            self.tell(replace(cell, verdict=outcome))

        task = Task(
            REFERENCE, self.last, (job.source.network, graph or "", job.cell_id), EXPLAIN_COST, EXPLAIN_LIMIT,
            lambda folder: parts | paths,
        )  # fmt: skip
        key = explanation_key(self.plan.backends[REFERENCE], what="verdict", parts=json.dumps(parts, sort_keys=True))
        self.once("verdicts", key, known, task, EXPLAIN_LIMIT)

    def _object(self, outcome: Outcome, name: str) -> str | None:
        """The object that a job left under a name."""
        found: str | None = (outcome.get("objects") or {}).get(name)
        return found

    def native_rules(self, source: SourceJob) -> dict[str, Any]:
        """Primitive → rule of a library's own neurons, as it writes this network; where none is known, NIR's meaning."""
        reset = catalogue(source.network).build(source.seed).reset
        found = self.fingerprints[source.exporter]["native"].get(f"{reset} {source.idiom}")
        return _rules(found["rules"]) if found else {}


def _rules(found: dict[str, Any]) -> dict[str, Any]:
    """Primitive → its rule, where that is known."""
    known = Fingerprint.from_dict({"backend": "", "side": Origin.IMPORT.value, "options": "", "rules": found})
    return {kind: rule.as_dict() for kind, rule in known.by_primitive().items()}


def _said(outcome: Outcome) -> str:
    return str(outcome.get("error_message") or outcome["status"])
