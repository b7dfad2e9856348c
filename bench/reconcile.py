"""How many of the default matrix's cells that are not exact can be reconciled, and how long one takes."""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.figures import Figure

STORE = Path(".nir-interop")
"""What `make matrix` has stored is not run again."""


def figures() -> list[Figure]:
    """Shares of the cells at the step of their export, and seconds a cell; prints what remains, by cause."""
    from harness.environments import backends
    from harness.errors import InvalidGraph
    from harness.graphs import read
    from harness.matrix.fingerprints import import_fingerprint, native_rules
    from harness.matrix.job import GRAPH, RECORDING, stimulus_at
    from harness.matrix.live import LiveBackend
    from harness.matrix.plan import make_plan
    from harness.matrix.repeats import recording_at
    from harness.matrix.runner import run
    from harness.matrix.store import Store
    from harness.networks import catalogue
    from harness.reconcile.model import Side
    from harness.reconcile.passes import PASSES
    from harness.reconcile.planner import reconcile
    from harness.vocabulary import Idiom, Status

    store, known = Store(STORE), {each.name: each for each in backends()}
    importers = [name for name in make_plan().importers if name not in ("exact", "reference")]
    found = run(make_plan(importers=importers), store, explain=True)
    by_importer: dict[str, list[Any]] = defaultdict(list)
    for cell in found.cells:
        if cell.source.exported and cell.job.dt_import == cell.job.source.dt_export and not Status(cell.status).agrees:
            by_importer[cell.job.importer].append(cell)
    ends: Counter[str] = Counter()
    left: Counter[str] = Counter()
    seconds: list[float] = []
    for name, cells in sorted(by_importer.items()):
        fingerprint = import_fingerprint(known[name], store)
        with LiveBackend(known[name]) as live:
            for cell in sorted(cells, key=lambda each: each.job.cell_id):
                source = cell.job.source
                network = catalogue(source.network).build(source.seed)
                rules = native_rules(known[source.exporter], network, Idiom(source.idiom), store)
                target = Side(name, cell.job.dt_import, fingerprint.by_primitive(), fingerprint.rules)
                begun = time.perf_counter()
                objects = cell.source.outcome["objects"]
                try:
                    plan = reconcile(
                        read(store.object(objects[GRAPH])),
                        Side(source.exporter, source.dt_export, rules),
                        target,
                        stimulus_at(str(store.object(cell.source.stimulus["objects"]["stimulus"])))["input"],
                        PASSES,
                        wanted=recording_at(str(store.object(objects[RECORDING]))),
                        run=live,
                    )
                except InvalidGraph:
                    plan = None
                seconds.append(time.perf_counter() - begun)
                exact = plan is not None and plan.exact
                ends["exact" if exact else "not"] += 1
                if not exact:
                    causes = [each["cause"] for each in (cell.verdict or {}).get("causes", ())]
                    left[f"{source.exporter} → {name}: {', '.join(causes)}"] += 1
    console = Console(highlight=False, width=160)
    for words, count in sorted(left.items()):
        console.print(f"{count:4d} not reconciled, {words}")
    return [
        Figure(f"of {sum(ends.values())} cells that differ, reconciled", 100 * ends["exact"] / sum(ends.values()), None, "%"),
        Figure("seconds to reconcile a cell, median", statistics.median(seconds), 1.0, "s"),
    ]
