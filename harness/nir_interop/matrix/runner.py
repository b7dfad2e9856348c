"""Running a plan: workers in slots, results from the store where nothing changed, an event for each result."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nir_interop.matrix.campaign import Campaign
from nir_interop.matrix.known_issues import load
from nir_interop.matrix.outcomes import CellResult, Limits, SourceResult, Stimuli
from nir_interop.matrix.plan import Plan
from nir_interop.matrix.rows import Results
from nir_interop.store.store import Store
from nir_interop.transfer.check import run_graph
from nir_interop.workers.scheduler import Slots


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


class CatalogueStimuli:
    """Inputs as :mod:`nir_interop.stimuli` makes them; imported when the first is made."""

    def stimulus_for(self, entry: Any, network: Any, seed: int) -> Any:
        """See :func:`nir_interop.stimuli.stimulus_for`."""
        from nir_interop.stimuli import stimulus_for

        return stimulus_for(entry, network, seed)

    def training_samples(self, entry: Any, network: Any, seed: int) -> Any:
        """See :func:`nir_interop.stimuli.training_samples`."""
        from nir_interop.stimuli import training_samples

        return training_samples(entry, network, seed)


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
    slots = Slots(plan.backends, jobs or os.cpu_count() or 1, store.scratch)
    counts: Counter[str] = Counter()
    done = 0

    def tell(result: SourceResult | CellResult) -> None:
        nonlocal done
        done += 1
        if isinstance(result, CellResult) and result.rewriting is not None:
            kind, name, status = "reconciled", result.job.cell_id, result.status
        elif isinstance(result, CellResult):
            kind, name, status = "cell" if result.verdict is None else "verdict", result.job.cell_id, result.status
            counts[status] += 1
            counts[str(result.outcome["status"])] -= result.verdict is not None
        else:
            kind, name, status = "source", result.job.source_id, str(result.outcome["status"])
        if on_event is not None:
            on_event(Event(kind, name, status, done, campaign.known, dict(+counts), result.cached))

    campaign = Campaign(
        plan, store, slots, Limits(time_limit, source_limit), stimuli or CatalogueStimuli(), tell, explain, train
    )
    with slots.lock:
        campaign.begin()
    slots.run()
    return Results(
        plan,
        tuple(campaign.sources.values()),
        tuple(campaign.cells.values()),
        time.perf_counter() - started,
        slots.start_seconds,
        load(),
    )


__all__ = ["CatalogueStimuli", "Event", "run", "run_graph"]
