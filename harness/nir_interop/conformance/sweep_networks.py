"""What the time step does to a trained network: accuracy and agreement, from the step of its export to finer ones.

The input stays the same in seconds: each of its steps is held for several finer ones.  A coarser step than the input's own
would be another input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nir_interop.arrays import load_arrays
from nir_interop.backends.environments import Backend
from nir_interop.errors import RunFailed
from nir_interop.graphs import read
from nir_interop.learning import accuracy, classify
from nir_interop.matrix.campaign import run as run_plan
from nir_interop.matrix.plan import make_plan
from nir_interop.matrix.results import SourceResult
from nir_interop.recording import Recording
from nir_interop.store.store import Store
from nir_interop.vocabulary import Idiom, Readout, Status
from nir_interop.workers.jobs import GRAPH, RECORDING, STIMULUS
from nir_interop.workers.live import LiveBackend

Row = dict[str, Any]

FINER = (1, 2, 5, 10)
"""Into how many steps one step of the input is divided."""


def sweep_network(
    network: str,
    exporter: str,
    backends: Iterable[Backend],
    store: Store,
    *,
    seed: int = 0,
    limit: float = 60.0,
    on_row: Callable[[Row], None] | None = None,
) -> list[Row]:
    """One row per backend and step for a network that an exporter trained, or has trained as the store knows."""
    plan = make_plan(networks=[network], exporters=[exporter], importers=["reference"], seed=seed)
    found = run_plan(plan, store)
    written = {Idiom(one.job.idiom): one for one in found.sources if one.exported}
    source = next(written[idiom] for idiom in reversed(Idiom) if idiom in written)
    rows = []
    for backend in backends:
        with LiveBackend(backend, limit=limit, seed=seed) as live:
            for parts in FINER:
                row = {"backend": backend.name, "version": backend.version or None} | _row(live, source, store, parts)
                rows.append(row)
                if on_row is not None:
                    on_row(row)
    return rows


def _row(live: LiveBackend, source: SourceResult, store: Store, parts: int) -> Row:
    objects = source.outcome.objects
    given = load_arrays(store.object(source.stimulus.objects[STIMULUS]))
    native = Recording.load(store.object(objects[RECORDING])).output
    readout = Readout(source.outcome.readout)
    dt = source.job.dt_export / parts
    stimulus = np.repeat(given["input"], parts, axis=0)
    row: Row = {
        "subject": f"{source.job.network} from {source.job.exporter}",
        "dt": dt,
        "steps": len(stimulus),
        "floor": dt / 2,
    }
    try:
        output = live(read(store.object(objects[GRAPH])), stimulus, dt).output
    except RunFailed as error:
        return row | {"status": error.status, "error_message": error.message}
    if output.shape[1:] != native.shape[1:]:
        return row | {"status": str(Status.WRONG_SHAPE)}
    return row | {
        "status": "ok",
        "spikes": int(output.sum()),
        "accuracy": accuracy(output, given["labels"], readout),
        "agreement": float((classify(output, readout) == classify(native, readout)).mean()),
        "samples": int(output.shape[1]),
    }
