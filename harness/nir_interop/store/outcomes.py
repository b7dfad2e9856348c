"""What comes of jobs: known to this run, kept in the store, or a task that is queued once for all who ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nir_interop.store.graph_facts import graph_facts
from nir_interop.store.store import Store
from nir_interop.vocabulary import Status
from nir_interop.workers.jobs import GRAPH, Job, O, Outcome, outcome_of, to_json
from nir_interop.workers.scheduler import Future, Scheduler, Task

_LEAVES_NOTHING = (Status.TIMEOUT, Status.CRASH, Status.ENV_MISSING)


class Outcomes:
    """One run's; called under the scheduler's lock or before it runs."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store, self._scheduler = store, scheduler
        self._asked: dict[tuple[str, str], list[Future[Any]]] = {}
        self._found: dict[tuple[str, str], Outcome] = {}

    def ask(
        self,
        job: Job[O],
        key: str,
        *,
        backend: str = "",
        urgency: int,
        order: tuple[Any, ...],
        cost: float,
        limit: float = 0.0,
        option: str = "",
        prepare: Callable[[Any, Path], Job[Any]] = lambda job, folder: job,
        here: Callable[[Any], Outcome] | None = None,
    ) -> Future[tuple[O, bool]]:
        """What comes of a job, and whether that was known, to the store or to this run.

        key : of :mod:`nir_interop.store.keys`; what it names is kept under ``job.kept``
        backend, urgency, order, cost, limit, option : as :class:`nir_interop.workers.scheduler.Task` has them
        prepare : puts files into the task's folder that the job needs
        here : what the run itself does, for jobs that no worker does
        """
        place = (job.kept, key)
        coming: Future[tuple[O, bool]] = Future()
        if place in self._asked:
            self._asked[place].append(coming)
            return coming
        if place not in self._found:
            kept = self._kept(job, place, limit)
            if kept is None:
                self._asked[place] = [coming]
                self._scheduler.add(
                    Task(
                        backend,
                        urgency,
                        order,
                        cost,
                        limit,
                        lambda folder: prepare(replace(job, objects=str(self._store.objects), folder=str(folder)), folder),
                        lambda outcome, folder: self._keep(job, place, outcome, folder),
                        lambda outcome: self._known(place, outcome),
                        option,
                        here,
                    )
                )
                return coming
            self._found[place] = kept
        coming.give((self._found[place], True))  # type: ignore[arg-type]  # what is found under a job's key is of its kind
        return coming

    def _known(self, place: tuple[str, str], outcome: Outcome) -> None:
        self._found[place] = outcome
        for number, coming in enumerate(self._asked.pop(place)):
            coming.give((outcome, number > 0))

    def _kept(self, job: Job[O], place: tuple[str, str], limit: float) -> O | None:
        """An outcome in the store; none that ran into another limit than there is now."""
        document = self._store.get(*place)
        if document is None:
            return None
        try:
            outcome = outcome_of(job, document)
        except (TypeError, ValueError, KeyError, AttributeError):
            return None
        late = outcome.status == Status.TIMEOUT and outcome.limit != limit
        return None if late or outcome.memory not in (None, self._scheduler.memory) else outcome

    def _keep(self, job: Job[Any], place: tuple[str, str], outcome: Outcome, folder: Path) -> Outcome:
        """Take what a job left into the store, and its outcome; say what stands in a graph."""
        if job.leaves and outcome.status not in _LEAVES_NOTHING:
            there = [name for name in job.leaves if (folder / name).exists()]
            facts: dict[str, Any] = {"graph": graph_facts(folder / GRAPH)} if GRAPH in there else {}
            outcome = replace(outcome, objects={name: self._store.adopt(folder / name) for name in there}, **facts)
        if outcome.status != Status.ENV_MISSING and not outcome.no_space:
            self._store.put(*place, to_json(outcome))
        return outcome
