"""``nir-interop matrix``: build, train, export, import, compare, and write the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import RESULTS, STORE, Jobs, Json, Seed, Store, TimeLimit, print_json


def matrix(
    network: Annotated[list[str] | None, typer.Option("--network", help="Only this network (repeatable).")] = None,
    exporter: Annotated[list[str] | None, typer.Option("--exporter", help="Only this exporter (repeatable).")] = None,
    importer: Annotated[list[str] | None, typer.Option("--importer", help="Only this importer (repeatable).")] = None,
    dt: Annotated[list[float] | None, typer.Option("--dt", help="Only this import step, in seconds (repeatable).")] = None,
    seed: Seed = 0,
    jobs: Jobs = 0,
    time_limit: TimeLimit = 20.0,
    explain: Annotated[bool, typer.Option(help="Say of every cell that differs who and why.")] = True,
    store: Store = STORE,
    results: Annotated[Path, typer.Option("--results", help="Where the tables are written.")] = RESULTS,
    json: Json = False,
) -> None:
    """Run the matrix and write results/report.csv and its sisters; what did not change is not run again."""
    from harness.cli.progress import Progress
    from harness.matrix.known_issues import stale
    from harness.matrix.plan import DTS, make_plan
    from harness.matrix.runner import run
    from harness.matrix.store import Store as Cells
    from harness.report.files import write_results

    plan = make_plan(networks=network, exporters=exporter, importers=importer, dts=tuple(dt or DTS), seed=seed)
    with Progress(quiet=json) as progress:
        found = run(plan, Cells(store), jobs=jobs, time_limit=time_limit, on_event=progress.show, explain=explain)
    rows = found.report_rows()
    written = write_results(found, results, rows)
    surprises = stale(rows, found.issues) if plan.default and explain else []
    if json:
        counts = dict(sorted(found.counts().items()))
        print_json(
            {
                "cells": len(rows),
                "seconds": round(found.seconds, 1),
                "library_cpu_seconds": round(found.library_cpu_seconds, 1),
                "status": counts,
                "known_issues": surprises,
                "files": [str(path) for path in written],
            }
        )
        return
    progress.conclude(rows, found.seconds, surprises, written)
