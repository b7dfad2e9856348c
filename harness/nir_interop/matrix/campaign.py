"""From a plan to outcomes: what can be done when, what is known already, and what each answer leads to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nir_interop.arrays import save_arrays
from nir_interop.backends.environments import Backend
from nir_interop.matrix.known_outcomes import Answers
from nir_interop.matrix.outcomes import CellResult, Limits, Rewriting, SourceResult, Stimuli, repeated
from nir_interop.matrix.plan import CellJob, Plan, SourceJob
from nir_interop.matrix.reconciled import Reconciliations, verdict_after
from nir_interop.matrix.verdicts import Explanations
from nir_interop.networks import Catalogued, catalogue
from nir_interop.networks.trained_weights import Shipped, fitting
from nir_interop.store.keys import key, stimulus_key, with_backend
from nir_interop.store.store import Store
from nir_interop.transfer.graph_facts import graph_facts
from nir_interop.vocabulary import REFERENCE, Idiom, Stage, Status
from nir_interop.workers.job import GRAPH, OK, PARAMETERS, RECORDING, SHIPPED, Outcome
from nir_interop.workers.scheduler import TIME_LIMIT, Slots, Task

_DESCRIBE, _STIMULUS, _IDENTIFY, _TRAIN, _SOURCE, _INTENDED, _CELL, _EXPLAIN, _REWRITE = range(9)


class Campaign:
    """Everything one run has found and has still to do; all methods are called under the slots' lock or before they run.

    tell : called with each source and cell as it is known
    train : whether to train where the project has weights that fit as well
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        slots: Slots,
        limits: Limits,
        stimuli: Stimuli,
        tell: Callable[[Any], None],
        explain: bool = False,
        train: bool = False,
    ) -> None:
        self.train = train
        self.plan, self.store, self.limits, self.stimuli, self.tell = plan, store, limits, stimuli, tell
        self.described: dict[str, Outcome] = {}
        self.inputs: dict[str, Outcome] = {}
        self.sources: dict[SourceJob, SourceResult] = {}
        self.cells: dict[CellJob, CellResult] = {}
        self.trainings: dict[tuple[str, str], tuple[Outcome, bool]] = {}
        self.known = 0
        self._begun: set[Any] = set()
        self._beside: dict[tuple[str, str], list[SourceJob]] = {}
        self._own: set[SourceJob] = set()
        self._answers = Answers(store, slots)
        self.explanations: Explanations | None = None
        if explain and REFERENCE in plan.backends and plan.backends[REFERENCE].installed:
            self.explanations = Explanations(plan, store, self._answers.once, (_IDENTIFY, _EXPLAIN), self._explained)
            self.reconciliations = Reconciliations(
                self.explanations, store, self._answers.once, _REWRITE, limits.cell, self._rewritten
            )

    def begin(self) -> None:
        """Queue what depends on nothing."""
        if self.explanations is not None:
            self.explanations.begin()
        for network in self.plan.networks:
            self._stimulus(network)
        for backend in self.plan.backends.values():
            self._describe(backend)

    # What leads to what: a description and a stimulus to trainings, a training to sources, a source to cells.

    def _describe(self, backend: Backend) -> None:
        def known(outcome: Outcome, cached: bool) -> None:
            self.described[backend.name] = outcome
            self._advance()

        if not backend.installed:
            known({"status": str(Status.ENV_MISSING), "error_type": "", "error_message": backend.hint}, True)
            return
        self._answers.once(
            "backends", with_backend(backend, {"what": "description"}), known,
            Task(backend.name, _DESCRIBE, (backend.name,), 4.0, 0.0, lambda folder: None, _described),
        )  # fmt: skip

    def _stimulus(self, network: str) -> None:
        def known(outcome: Outcome, cached: bool) -> None:
            self.inputs[network] = outcome
            self._advance()

        def make(folder: Path) -> Outcome:
            entry = catalogue(network)
            built = entry.build(self.plan.seed)
            made = self.stimuli.stimulus_for(entry, built, self.plan.seed)
            path = folder / "stimulus.npz"
            save_arrays(path, {"input": made.input} | ({} if made.labels is None else {"labels": made.labels}))
            steps, batch = made.input.shape[:2]
            facts = {"dataset": made.dataset, "encoding": made.encoding, "steps": int(steps), "batch": int(batch)}
            return facts | {"status": OK, "digest": made.digest(), "objects": {"stimulus": self.store.adopt(path)}}

        self._answers.once(
            "stimuli", stimulus_key(network=network, seed=self.plan.seed, maker=type(self.stimuli).__qualname__), known,
            Task("", _STIMULUS, (network,), 0.1, 0.0, make),
        )  # fmt: skip

    def _advance(self) -> None:
        for exporter in self.plan.exporters:
            described = self.described.get(exporter)
            if described is None:
                continue
            for network in self.plan.networks:
                if network in self.inputs and (exporter, network) not in self._begun:
                    self._begun.add((exporter, network))
                    self._network(exporter, network, described)
        for source in list(self.sources.values()):
            self._cells(source)

    def _network(self, exporter: str, network: str, described: Outcome) -> None:
        missing = "status" in described
        idioms = [str(Idiom.PORTABLE)] if missing else described["idioms"]
        jobs = [job for job in self.plan.sources(exporter, idioms) if job.network == network]
        self._beside[exporter, network] = jobs
        self.known += len(jobs)
        if missing:
            for job in jobs:
                self._source_known(SourceResult(job, {**described, "stage": str(Stage.BUILD)}, self.inputs[network]))
        elif jobs and catalogue(network).epochs:
            self._train(exporter, network, jobs)
        else:
            for job in jobs:
                self._source(job, None, False)

    def _train(self, exporter: str, network: str, jobs: list[SourceJob]) -> None:
        entry = catalogue(network)

        def known(outcome: Outcome, cached: bool) -> None:
            self.trainings[exporter, network] = (outcome, cached)
            for one in jobs:
                if outcome["status"] == OK:
                    self._source(one, outcome, cached)
                else:
                    self._source_known(SourceResult(one, outcome, self.inputs[network], outcome, cached, cached))

        version, dt = self.plan.backends[exporter].version, jobs[0].dt_export
        weights = None
        if not self.train:
            weights = fitting(network, exporter, version=version, seed=self.plan.seed, dt=dt, entry=entry)
        if weights is not None:
            known(self._shipped(weights), True)
        else:
            self._train_here(exporter, network, jobs, entry, known)

    def _shipped(self, weights: Shipped) -> Outcome:
        """The outcome of a training that came with the project; the bytes are those that training them here would leave."""
        name = key(shipped=weights.sha256)
        kept = self.store.get("trainings", name)
        if kept is None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / PARAMETERS
                save_arrays(path, weights.load())
                kept = {"status": OK, "trained": True, SHIPPED: True, "objects": {PARAMETERS: self.store.adopt(path)}}
            self.store.put("trainings", name, kept)
        return kept

    def _train_here(
        self,
        exporter: str,
        network: str,
        jobs: list[SourceJob],
        entry: Catalogued,
        known: Callable[[Outcome, bool], None],
    ) -> None:
        idiom = next((job.idiom for job in jobs if job.idiom == Idiom.PORTABLE), jobs[0].idiom)
        job = {
            "kind": "train", "network": network, "seed": self.plan.seed, "dt": jobs[0].dt_export, "idiom": idiom,
            "epochs": entry.epochs, "batch": entry.batch, "learning_rate": entry.learning_rate,
            "samples_key": stimulus_key(network=network, seed=self.plan.seed, train=True),
        }  # fmt: skip

        def prepare(folder: Path) -> Mapping[str, Any]:
            inputs, labels = self.stimuli.training_samples(entry, entry.build(self.plan.seed), self.plan.seed)
            save_arrays(folder / "samples.npz", {"input": inputs, "labels": labels})
            return job | {"samples": str(folder / "samples.npz"), "folder": str(folder)}

        steps = entry.stimulation.steps * entry.epochs
        size = sum(array.size for array in entry.build(self.plan.seed).parameters().values())
        cost = 1.0 + steps * (0.5 if size > 20000 else 0.01)
        limit = max(self.limits.training, self.limits.source)
        task = Task(exporter, _TRAIN, (-cost, network), cost, limit, prepare, self._kept(PARAMETERS))
        self._answers.once("trainings", with_backend(self.plan.backends[exporter], job), known, task, limit)

    def _source(self, job: SourceJob, training: Outcome | None, training_cached: bool) -> None:
        stimulus = self.inputs[job.network]
        learned = ((training or {}).get("objects") or {}).get(PARAMETERS)
        parts = {
            "kind": "source", "network": job.network, "seed": job.seed, "dt": job.dt_export, "idiom": job.idiom,
            "learned": learned, "input": stimulus["objects"]["stimulus"],
        }  # fmt: skip
        paths = {"stimulus": str(self.store.object(parts["input"])), "parameters": self._path(learned)}

        def known(outcome: Outcome, cached: bool) -> None:
            self._source_known(SourceResult(job, outcome, stimulus, training, cached, training_cached))

        task = Task(
            job.exporter, _SOURCE, (job.network, job.idiom), 0.2, self.limits.source,
            lambda folder: parts | paths | {"folder": str(folder)}, self._kept(RECORDING, GRAPH),
        )  # fmt: skip
        self._answers.once("sources", with_backend(self.plan.backends[job.exporter], parts), known, task, self.limits.source)

    def _source_known(self, source: SourceResult) -> None:
        """Its cells are its own once all idioms are known, and none stands for it."""
        exporter = source.job.exporter
        how = (self.described[exporter].get("idioms") or {}).get(source.job.idiom, "")
        self.sources[source.job] = replace(source, how=how)
        self.tell(source)
        self._intended(source)
        beside = self._beside[exporter, source.job.network]
        if not all(job in self.sources for job in beside):
            return
        standing = repeated(self.sources[job] for job in beside)
        for job in beside:
            if job in standing:
                self.sources[job] = replace(self.sources[job], repeats=standing[job])
            else:
                self._own.add(job)
                self._exported(self.sources[job])

    def _exported(self, source: SourceResult) -> None:
        self.known += len(self.plan.cells(source.job, source.exported))
        if source.exported:
            self._cells(source)
        else:
            (job,) = self.plan.cells(source.job, False)
            self._cell_known(CellResult(job, source, source.outcome, source.cached))

    def _intended(self, source: SourceResult) -> None:
        backend = self.plan.backends.get(REFERENCE)
        recording = (source.outcome.get("objects") or {}).get(RECORDING)
        if backend is None or not backend.installed or recording is None:
            return
        job = source.job
        learned = ((source.training or {}).get("objects") or {}).get(PARAMETERS)
        stimulus = source.stimulus["objects"]["stimulus"]
        parts = {
            "kind": "intended", "network": job.network, "seed": job.seed, "dt": job.dt_export,
            "learned": learned, "input": stimulus, "native": recording, "file": source.outcome["objects"].get(GRAPH),
        }  # fmt: skip
        paths = {"stimulus": self._path(stimulus), "parameters": self._path(learned), "source": self._path(recording)}
        paths |= {"graph": self._path(parts["file"])}

        def known(outcome: Outcome, cached: bool) -> None:
            self.sources[job] = replace(self.sources[job], intended=outcome)

        task = Task(
            REFERENCE, _INTENDED, (job.network, job.exporter, job.idiom), 0.3, self.limits.source,
            lambda folder: parts | paths | {"folder": str(folder)},
        )  # fmt: skip
        self._answers.once("intended", with_backend(backend, parts), known, task, self.limits.source)

    def _cells(self, source: SourceResult) -> None:
        if not source.exported or source.job not in self._own:
            return
        for job in self.plan.cells(source.job, True):
            described = self.described.get(job.importer)
            if described is not None and job not in self._begun:
                self._begun.add(job)
                self._cell(job, source, described)

    def _cell(self, job: CellJob, source: SourceResult, described: Outcome, made: Rewriting | None = None) -> None:
        if "status" in described:
            self._cell_known(CellResult(job, source, {**described, "stage": str(Stage.IMPORT)}))
            return
        objects, graph = source.outcome["objects"], source.outcome["graph"]
        stimulus = source.stimulus["objects"]["stimulus"]
        dt = job.dt_import if described["fixed_dt"] is None else described["fixed_dt"]
        parts = {
            "kind": "cell", "file": objects[GRAPH], "content": graph["digest"], "input": stimulus, "dt": dt,
            "native": source.outcome["recording_digest"], "readout": source.outcome["readout"], "seed": job.source.seed,
        }  # fmt: skip
        paths = {
            "graph": self._path(objects[GRAPH]),
            "stimulus": self._path(stimulus),
            "source": self._path(objects[RECORDING]),
        }

        def known(outcome: Outcome, cached: bool) -> None:
            self._cell_known(CellResult(job, source, {**outcome, "dt_effective": dt}, cached, rewriting=made))

        task = Task(
            job.importer, _CELL, (job.source.network, objects[GRAPH], dt, job.cell_id), 0.05, self.limits.cell,
            lambda folder: parts | paths | {"nodes": graph["nodes"], "order": graph["order"], "folder": str(folder)},
            self._kept(RECORDING), option=TIME_LIMIT,
        )  # fmt: skip
        self._answers.once("cells", with_backend(self.plan.backends[job.importer], parts), known, task, self.limits.cell)

    def _cell_known(self, cell: CellResult) -> None:
        if cell.rewriting is not None:
            cell = replace(cell, verdict=verdict_after(cell))
        self.cells[cell.job] = cell
        self.tell(cell)
        if self.explanations is not None and cell.rewriting is None:
            self.known += cell.outcome["status"] != Status.EXACT
            self.explanations.ask(cell)

    def _explained(self, cell: CellResult) -> None:
        self.cells[cell.job] = cell
        if cell.outcome["status"] != Status.EXACT:
            self.tell(cell)
        if self.reconciliations.wanted(cell):
            self.known += 1
            self.reconciliations.ask(cell)

    def _rewritten(self, job: CellJob, source: SourceResult, made: Rewriting) -> None:
        self._cell(job, source, self.described[job.importer], made)

    def _path(self, name: str | None) -> str | None:
        return None if name is None else str(self.store.object(name))

    def _kept(self, *files: str) -> Callable[[Outcome, Path], Outcome]:
        """Takes a job's files into the store; says what stands in a graph."""

        def finish(outcome: Outcome, folder: Path) -> Outcome:
            ended = outcome.get("status") not in (Status.TIMEOUT, Status.CRASH, Status.ENV_MISSING)
            there = [name for name in files if ended and (folder / name).exists()]
            if GRAPH in there:
                outcome["graph"] = graph_facts(folder / GRAPH)
            return outcome | {"objects": {name: self.store.adopt(folder / name) for name in there}}

        return finish


def _described(outcome: Outcome, folder: Path) -> Outcome:
    return {name: value for name, value in outcome.items() if name not in ("text", "problem", "cpu_seconds")}
