"""Running a plan, source by source, in the order of time.

::

    describe → stimulus → train → export → cells → verdicts → reconciled cells

Each source and each cell is a coroutine that reads in this order; it awaits what jobs come to, which workers do, the store
knows, or another source has asked for.  What is done when, and by whom, never shows in a result.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nir_interop.arrays import save_arrays
from nir_interop.backends.environments import Backend
from nir_interop.fingerprint import Domain
from nir_interop.matrix.known_issues import every
from nir_interop.matrix.plan import CellJob, Plan, SourceJob
from nir_interop.matrix.results import CellResult, Results, SourceResult, repeated
from nir_interop.networks import catalogue
from nir_interop.networks.trained_weights import Shipped, fitting
from nir_interop.store.keys import job_key, key, made_key
from nir_interop.store.outcomes import Outcomes
from nir_interop.store.store import Store
from nir_interop.transfer.explain_job import unexplained
from nir_interop.transfer.stimuli import CatalogueStimuli, Stimuli, make_stimulus, makers
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Blame, Idiom, Mode, Stage, Status
from nir_interop.workers.jobs import (
    GRAPH,
    OK,
    PARAMETERS,
    RECORDING,
    STIMULUS,
    Cell,
    Compared,
    Describe,
    Described,
    Explain,
    Explained,
    Exported,
    Failure,
    Fingerprinted,
    Identify,
    Intended,
    Job,
    MakeStimulus,
    O,
    Rewrite,
    Rewritten,
    Rules,
    Source,
    StimulusMade,
    Train,
    Trained,
    ended,
    from_json,
    to_json,
)
from nir_interop.workers.scheduler import TIME_LIMIT, Future, Scheduler, start

_URGENCY: tuple[type[Job[Any]], ...] = (Describe, MakeStimulus, Identify, Train, Source, Intended, Cell, Explain, Rewrite)
"""What is done first where there is a choice."""

IDENTIFY_LIMIT, EXPLAIN_LIMIT, REWRITE_LIMIT = 600.0, 120.0, 300.0
"""Seconds that the probes of one backend, one verdict and one rewriting may take."""
IDENTIFY_COST, EXPLAIN_COST, REWRITE_COST = 30.0, 0.2, 0.4
"""Guesses of the same, for the order of work."""


@dataclass(frozen=True)
class Limits:
    """Seconds after which a worker is killed."""

    cell: float = 20.0
    source: float = 120.0
    training: float = 600.0


@dataclass(frozen=True)
class Event:
    """A source, a cell or the verdict on a cell is known.

    kind : ``source``, ``cell``, ``verdict`` or ``reconciled``
    name : its id
    status : how it ended
    done, total : of all of these, known so far and to be known; the total grows as sources are exported
    counts : cells by status so far, as they are without reconciling
    cached : whether it was known before
    """

    kind: str
    name: str
    status: str
    done: int
    total: int
    counts: Mapping[str, int]
    cached: bool


def run(
    plan: Plan,
    store: Store,
    *,
    jobs: int = 0,
    time_limit: float = 20.0,
    source_limit: float = 120.0,
    on_event: Callable[[Event], None] | None = None,
    stimuli: Stimuli | None = None,
    explain: bool = False,
    train: bool = False,
) -> Results:
    """Run what the store does not know, and give all of the plan's results.

    jobs : workers at a time; 0: one per core
    time_limit, source_limit : seconds a cell may take, and building, running and exporting a source
    explain : whether cells that differ get a verdict
    train : whether networks are trained here even where weights come with the project (``networks.trained_weights``)
    on_event : called from the workers' threads, one call at a time

    KeyboardInterrupt kills the workers; what is finished is stored.
    """
    started = time.perf_counter()
    scheduler = Scheduler(plan.backends, jobs or os.cpu_count() or 1, store.scratch)
    limits = Limits(time_limit, source_limit)
    campaign = Campaign(
        plan, store, Outcomes(store, scheduler), limits, stimuli or CatalogueStimuli(), on_event, explain=explain, train=train
    )
    with scheduler.lock:
        campaign.begin()
    scheduler.run()
    seconds = time.perf_counter() - started
    sources, cells = tuple(campaign.sources.values()), tuple(campaign.cells.values())
    described = {name: each.known for name, each in campaign.described.items()}
    return Results(plan, sources, cells, seconds, scheduler.start_seconds, every(), described)


class Campaign:
    """One run of a plan; all methods are called under the scheduler's lock or before it runs.

    explain : whether cells that differ are explained and reconciled, which the reference does
    train : whether to train where the project has weights that fit as well
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        outcomes: Outcomes,
        limits: Limits,
        stimuli: Stimuli,
        on_event: Callable[[Event], None] | None = None,
        *,
        explain: bool = False,
        train: bool = False,
    ) -> None:
        self.plan, self.store, self.outcomes, self.limits, self.stimuli = plan, store, outcomes, limits, stimuli
        self.train, self.on_event = train, on_event
        reference = plan.backends.get(REFERENCE)
        self.reference = reference if reference is not None and reference.installed else None
        self.explain = explain and self.reference is not None
        self.sources: dict[SourceJob, SourceResult] = {}
        self.cells: dict[CellJob, CellResult] = {}
        self.described: dict[str, Future[Described]] = {}
        self._inputs: dict[str, Future[StimulusMade]] = {}
        self._rules: dict[str, Future[Fingerprinted]] = {}
        self._known = self._done = 0
        self._counts: Counter[str] = Counter()

    def begin(self) -> None:
        """Ask for what depends on nothing, and begin every source."""
        if self.explain:
            self._rules = {name: start(self._identify(backend)) for name, backend in self.plan.backends.items()}
        self._inputs = {network: start(self._make_stimulus(network)) for network in self.plan.networks}
        self.described = {name: start(self._describe(backend)) for name, backend in self.plan.backends.items()}
        for exporter in self.plan.exporters:
            for network in self.plan.networks:
                start(self._network(exporter, network))

    # What several sources and cells ask for.

    async def _describe(self, backend: Backend) -> Described:
        """What an adapter says of itself."""
        if not backend.installed:
            return Described(status=str(Status.ENV_MISSING), error_message=backend.hint)
        return (await self._ask(Describe(), backend, order=(backend.name,), cost=4.0))[0]

    async def _make_stimulus(self, network: str) -> StimulusMade:
        job = MakeStimulus(network=network, seed=self.plan.seed, maker=type(self.stimuli).__qualname__)
        made = self.outcomes.ask(
            job,
            made_key(*makers(self.stimuli), network=network, seed=self.plan.seed, maker=job.maker),
            urgency=_URGENCY.index(MakeStimulus),
            order=(network,),
            cost=0.1,
            here=lambda job: make_stimulus(job, self.stimuli),
        )
        return (await made)[0]

    async def _identify(self, backend: Backend) -> Fingerprinted:
        """The rules of a library; the reference has NIR's meaning."""
        if backend.name in (REFERENCE, CONTINUOUS) or not backend.installed:
            return Fingerprinted(imported={"rules": {}})
        job = Identify(backend=backend.as_dict(), store=str(self.store.path))
        asked = self._ask(job, self._reference, asks=backend, order=(backend.name,), cost=IDENTIFY_COST, limit=IDENTIFY_LIMIT)
        return (await asked)[0]

    # A library's sources of a network.

    async def _network(self, exporter: str, network: str) -> None:
        """One library's sources of a network, in every idiom; then the cells of those that do not repeat another."""
        described, stimulus = await self.described[exporter], await self._inputs[network]
        missing = described.status != OK
        idioms = [str(Idiom.PORTABLE)] if missing else list(described.idioms)
        jobs = [job for job in self.plan.sources(exporter, idioms) if job.network == network]
        self._known += len(jobs)
        if missing:
            failed = ended(Exported, described, stage=str(Stage.BUILD))
            for job in jobs:
                self._source_known(SourceResult(job, failed, stimulus))
        else:
            training, cached = await self._training(exporter, jobs) if jobs else (None, False)
            for each in [start(self._source(job, described, stimulus, training, cached)) for job in jobs]:
                await each
        standing = repeated(self.sources[job] for job in jobs)
        for job in jobs:
            source = self.sources[job]
            if job in standing:
                self.sources[job] = replace(source, repeats=standing[job])
                continue
            cells = self.plan.cells(job, source.exported)
            self._known += len(cells)
            for cell in cells:
                start(self._cell(cell, source))

    async def _training(self, exporter: str, jobs: list[SourceJob]) -> tuple[Trained | None, bool]:
        """What the network of some sources has learned, and whether that was known; None where it is not trained."""
        network, dt = jobs[0].network, jobs[0].dt_export
        entry = catalogue(network)
        if not entry.epochs:
            return None, False
        if not self.train:
            version = self.plan.backends[exporter].version
            weights = fitting(network, exporter, version=version, seed=self.plan.seed, dt=dt, entry=entry)
            if weights is not None:
                return self._shipped(weights), True
        idiom = next((job.idiom for job in jobs if job.idiom == Idiom.PORTABLE), jobs[0].idiom)
        samples_key = made_key(*makers(self.stimuli), network=network, seed=self.plan.seed, train=True)

        def prepare(job: Train, folder: Path) -> Train:
            inputs, labels = self.stimuli.training_samples(entry, entry.build(self.plan.seed), self.plan.seed)
            save_arrays(folder / "samples.npz", {"input": inputs, "labels": labels})
            return replace(job, samples=str(folder / "samples.npz"))

        size = sum(array.size for array in entry.build(self.plan.seed).parameters().values())
        cost = 1.0 + entry.stimulation.steps * entry.epochs * (0.5 if size > 20000 else 0.01)
        return await self._ask(
            Train(
                network=network,
                seed=self.plan.seed,
                dt=dt,
                idiom=idiom,
                epochs=entry.epochs,
                batch=entry.batch,
                learning_rate=entry.learning_rate,
                samples_key=samples_key,
            ),
            self.plan.backends[exporter],
            order=(-cost, network),
            cost=cost,
            limit=max(self.limits.training, self.limits.source),
            prepare=prepare,
        )

    def _shipped(self, weights: Shipped) -> Trained:
        """The outcome of a training that came with the project; the bytes are those that training them here would leave."""
        name = key(shipped=weights.sha256)
        kept = self.store.get(Train.kept, name)
        if kept is not None:
            return from_json(Trained, kept)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / PARAMETERS
            save_arrays(path, weights.load())
            made = Trained(trained=True, shipped=True, objects={PARAMETERS: self.store.adopt(path)})
        self.store.put(Train.kept, name, to_json(made))
        return made

    async def _source(
        self, job: SourceJob, described: Described, stimulus: StimulusMade, training: Trained | None, training_cached: bool
    ) -> None:
        """Build a network with what it has learned, run it natively, and export it."""
        how = described.idioms.get(job.idiom, "")
        source = SourceResult(job, Exported(), stimulus, training, training_cached=training_cached, how=how)
        if training is not None and training.status != OK:
            self._source_known(replace(source, outcome=ended(Exported, training), cached=training_cached))
            return
        outcome, cached = await self._ask(
            Source(
                network=job.network,
                seed=job.seed,
                dt=job.dt_export,
                idiom=job.idiom,
                parameters=source.parameters,
                stimulus=stimulus.objects[STIMULUS],
            ),
            self.plan.backends[job.exporter],
            order=(job.network, job.idiom),
            cost=0.2,
            limit=self.limits.source,
        )
        self._source_known(replace(source, outcome=outcome, cached=cached))

    def _source_known(self, source: SourceResult) -> None:
        self.sources[source.job] = source
        self._tell("source", source.job.source_id, source.outcome.status, source.cached)
        if self.reference is not None and RECORDING in source.outcome.objects:
            start(self._intended(source, self.reference))

    async def _intended(self, source: SourceResult, reference: Backend) -> None:
        """Hold a source against the graph that was meant."""
        job, objects = source.job, source.outcome.objects
        outcome, _ = await self._ask(
            Intended(
                network=job.network,
                seed=job.seed,
                dt=job.dt_export,
                parameters=source.parameters,
                stimulus=source.stimulus.objects[STIMULUS],
                native=objects[RECORDING],
                graph=objects.get(GRAPH),
            ),
            reference,
            order=(job.network, job.exporter, job.idiom),
            cost=0.3,
            limit=self.limits.source,
        )
        self.sources[job] = replace(self.sources[job], intended=outcome)

    # A source's graph in an importer.

    async def _cell(self, job: CellJob, source: SourceResult) -> None:
        """Import a source's graph and compare; where it differs explain it, rewrite the graph, and import that as well."""
        cell = await self._imported(job, source)
        self._cell_known(cell, "cell")
        if not self.explain:
            return
        differs = cell.outcome.status != Status.EXACT
        self._known += differs
        cell = replace(cell, verdict=await self._verdict(cell))
        self.cells[job] = cell
        if differs:
            self._counts[cell.outcome.status] -= 1
            self._cell_known(cell, "verdict")
        if await self._can_be_reconciled(cell):
            self._known += 1
            self._cell_known(await self._reconciled(cell), "reconciled")

    def _cell_known(self, cell: CellResult, kind: str) -> None:
        self.cells[cell.job] = cell
        if cell.rewriting is None:
            self._counts[cell.status] += 1
        self._tell(kind, cell.job.cell_id, cell.status, cell.cached)

    async def _imported(self, job: CellJob, source: SourceResult, rewriting: Rewritten | None = None) -> CellResult:
        """Import a source's graph, as the library wrote it or as it was rewritten, and compare."""
        if not source.exported:
            return CellResult(job, source, ended(Compared, source.outcome), source.cached)
        described = await self.described[job.importer]
        if described.status != OK:
            return CellResult(job, source, ended(Compared, described, stage=str(Stage.IMPORT)), rewriting=rewriting)
        objects, graph = source.outcome.objects, source.outcome.graph
        dt = job.dt_import if described.fixed_dt is None else described.fixed_dt
        if dt is None or graph is None:
            raise ValueError(f"{job.cell_id}: no step, or no graph")
        outcome, cached = await self._ask(
            Cell(
                graph=objects[GRAPH],
                stimulus=source.stimulus.objects[STIMULUS],
                dt=dt,
                readout=source.outcome.readout,
                seed=job.source.seed,
                native=source.outcome.recording_digest or "",
                source=objects[RECORDING],
                nodes=graph.nodes,
                order=graph.order,
            ),
            self.plan.backends[job.importer],
            order=(job.source.network, objects[GRAPH], dt, job.cell_id),
            cost=0.05,
            limit=self.limits.cell,
            option=TIME_LIMIT,
        )
        return CellResult(job, source, outcome, cached, dt, rewriting=rewriting)

    async def _verdict(self, cell: CellResult) -> Explained:
        """Who and why, as soon as the rules of both sides are known."""
        if cell.outcome.status == Status.EXACT:
            return Explained(status=str(Status.EXACT), blame=str(Blame.NONE))
        job, source, outcome = cell.job, cell.source, cell.outcome
        unknown = await self._unknown(cell) if source.exported else []
        if outcome.status == Status.ENV_MISSING:
            return Explained(status=str(Status.ENV_MISSING), blame=str(Blame.SETTING))
        if unknown:
            return unexplained("; ".join(unknown))
        target = outcome.objects.get(RECORDING) if source.exported else None
        failure = Failure(
            status=outcome.status,
            stage=outcome.stage,
            error_type=outcome.error_type,
            error_message=outcome.error_message,
        )
        explained, _ = await self._ask(
            Explain(
                network=job.source.network,
                seed=job.source.seed,
                parameters=source.parameters,
                stimulus=source.stimulus.objects[STIMULUS],
                exporter=job.source.exporter,
                importer=job.importer,
                graph=source.outcome.objects.get(GRAPH),
                native=source.outcome.objects.get(RECORDING),
                target=target,
                failure=None if target else failure,
                dt=job.source.dt_export,
                dt_import=job.dt_import,
                dt_effective=cell.dt_effective,
                source_rules=await self._native_rules(job.source) if source.exported else {},
                domain=(await self._rules[job.importer]).imported["rules"] if source.exported else {},
            ),
            self._reference,
            order=(job.source.network, source.outcome.objects.get(GRAPH, ""), job.cell_id),
            cost=EXPLAIN_COST,
            limit=EXPLAIN_LIMIT,
        )
        return explained

    async def _unknown(self, cell: CellResult) -> list[str]:
        """Why the rules of a cell's sides could not be identified."""
        return [
            f"{name}: its rules could not be identified: {rules.error_message or rules.status}"
            for name in (cell.job.source.exporter, cell.job.importer)
            if (rules := await self._rules[name]).status != OK
        ]

    async def _native_rules(self, source: SourceJob) -> Rules:
        """Primitive → rule of a library's own neurons, as it writes this network; where none is known, NIR's meaning."""
        reset = catalogue(source.network).build(source.seed).reset
        found = (await self._rules[source.exporter]).native.get(f"{reset} {source.idiom}")
        return _known_rules(found["rules"]) if found else {}

    async def _can_be_reconciled(self, cell: CellResult) -> bool:
        """Whether a cell whose verdict is known is to be repeated: it differs, and both its sides have rules."""
        differs = not Status(cell.status).agrees and cell.status not in (Status.VACUOUS, Status.ENV_MISSING)
        imported = cell.source.exported and cell.job.importer != CONTINUOUS
        return imported and differs and not await self._unknown(cell)

    async def _reconciled(self, cell: CellResult) -> CellResult:
        """The cell with its graph rewritten for its importer; the verdict is on what that leaves."""
        job, source, backend = cell.job, cell.source, self.plan.backends[cell.job.importer]
        if job.dt_import is None:
            raise ValueError(f"{job.cell_id}: no step")
        made, _ = await self._ask(
            Rewrite(
                network=job.source.network,
                seed=job.source.seed,
                parameters=source.parameters,
                stimulus=source.stimulus.objects[STIMULUS],
                exporter=job.source.exporter,
                importer=job.importer,
                graph=source.outcome.objects[GRAPH],
                native=source.outcome.objects[RECORDING],
                dt=job.source.dt_export,
                dt_import=job.dt_import,
                source_rules=await self._native_rules(job.source),
                domain=(await self._rules[job.importer]).imported["rules"],
                limit=self.limits.cell,
                backend=backend.as_dict(),
            ),
            self._reference,
            asks=backend,
            order=(job.importer, job.source.network, job.cell_id),
            cost=REWRITE_COST,
            limit=REWRITE_LIMIT,
        )
        if made.status != OK:
            made = replace(made, verdict=unexplained(f"the rewriting ended with {made.status}: {made.error_message}"))
        if made.objects:
            objects = {**source.outcome.objects, **made.objects}
            source = replace(source, outcome=replace(source.outcome, objects=objects, graph=made.graph))
        again = await self._imported(replace(job, mode=str(Mode.RECONCILED)), source, made)
        return replace(again, verdict=verdict_after(again))

    # How all of them ask, and tell.

    @property
    def _reference(self) -> Backend:
        if self.reference is None:
            raise ValueError("nothing is explained without the reference")
        return self.reference

    def _ask(self, job: Job[O], backend: Backend, *, asks: Backend | None = None, **how: Any) -> Future[tuple[O, bool]]:
        """What comes of a job that a backend's worker does, and whether that was known.

        asks : the backend that it asks in its turn; how : as :meth:`nir_interop.store.outcomes.Outcomes.ask` has it
        """
        urgency = _URGENCY.index(type(job))
        return self.outcomes.ask(job, job_key(job, backend, asks), backend=backend.name, urgency=urgency, **how)

    def _tell(self, kind: str, name: str, status: str, cached: bool) -> None:
        self._done += 1
        if self.on_event is not None:
            self.on_event(Event(kind, name, status, self._done, self._known, dict(+self._counts), cached))


def verdict_after(cell: CellResult) -> Explained:
    """The verdict on a reconciled cell: what its rewriting left, where it did not end as its rewriting foresaw, nothing."""
    if cell.outcome.status == Status.EXACT:
        return Explained(status=str(Status.EXACT), blame=str(Blame.NONE))
    if cell.rewriting is None or cell.rewriting.verdict is None:
        return unexplained("the importer gave every output while the graph was rewritten, and does so no longer")
    return cell.rewriting.verdict


def _known_rules(found: Mapping[str, Any]) -> Rules:
    """Primitive → its rule, where that is known."""
    known = Domain.from_json(found)
    return {kind: rule.as_dict() for kind, rule in known.by_primitive().items()}
