"""``nir-interop matrix``: build, train, export, import, compare, and write the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    RESULTS,
    STORE,
    Jobs,
    Json,
    Quiet,
    Seed,
    Store,
    TimeLimit,
    a_folder,
    complete_backend,
    complete_network,
    print_json,
)

if TYPE_CHECKING:
    from harness.report.difference import Difference
    from harness.report.runs import Run


def matrix(
    network: Annotated[
        list[str] | None, typer.Option("--network", help="Only this network (repeatable).", autocompletion=complete_network)
    ] = None,
    exporter: Annotated[
        list[str] | None, typer.Option("--exporter", help="Only this exporter (repeatable).", autocompletion=complete_backend)
    ] = None,
    importer: Annotated[
        list[str] | None, typer.Option("--importer", help="Only this importer (repeatable).", autocompletion=complete_backend)
    ] = None,
    dt: Annotated[list[float] | None, typer.Option("--dt", help="Only this import step, in seconds (repeatable).")] = None,
    seed: Seed = 0,
    jobs: Jobs = 0,
    time_limit: TimeLimit = 20.0,
    explain: Annotated[bool, typer.Option(help="Say of every cell that differs who and why.")] = True,
    store: Store = STORE,
    results: Annotated[
        Path, typer.Option("--results", callback=a_folder("--results"), help="Where the tables are written.")
    ] = RESULTS,
    fail_on_worse: Annotated[bool, typer.Option("--fail-on-worse", help="Exit 1 if a cell got worse.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run the matrix and write results/report.csv and its sisters; what did not change is not run again.

    What differs from the report that is replaced is said at the end.
    """
    from harness.cli.progress import Progress
    from harness.matrix.known_issues import stale
    from harness.matrix.plan import DTS, make_plan
    from harness.matrix.runner import run
    from harness.matrix.store import Store as Cells
    from harness.report.files import write_pages, write_results
    from harness.report.page import keep

    cells = Cells(store)
    plan = make_plan(networks=network, exporters=exporter, importers=importer, dts=tuple(dt or DTS), seed=seed)
    before, unread = _last_run(results)
    with Progress(quiet=quiet or json, store=store) as progress:
        found = run(plan, cells, jobs=jobs, time_limit=time_limit, on_event=progress.show, explain=explain)
    rows = found.report_rows()
    written = write_results(found, results, rows)
    if explain:  # the pages say who and why; without that there is nothing to show that the tables do not
        written += write_pages(results, keep(found, cells, results))
    difference = None if before is None else _difference(before, written[0], whole=plan.default)
    installed = [row for row in rows if "==" not in f"{row['exporter']}{row['importer']}"]  # known issues are counted on these
    surprises = stale(installed, found.issues) if plan.default and explain else []
    if json:
        counts = dict(sorted(found.counts().items()))
        print_json(
            {
                "cells": len(rows),
                "seconds": round(found.seconds, 1),
                "library_cpu_seconds": round(found.library_cpu_seconds, 1),
                "status": counts,
                "known_issues": surprises,
                "difference": None if difference is None else difference.counts(),
                "files": [str(path) for path in written],
            }
        )
    else:
        progress.conclude(rows, found.seconds, surprises, written)
        progress.compare(difference, unread)
    if fail_on_worse and difference is not None and difference.of("worse"):
        raise typer.Exit(1)


def _last_run(folder: Path) -> tuple[Run | None, str]:
    """The run whose report is about to be replaced; or why it cannot be compared with, if there is one."""
    from harness.errors import BadInput
    from harness.report.runs import read_run
    from harness.schema import REPORT

    if not (folder / REPORT.name).exists():
        return None, ""
    try:
        return read_run(folder), ""
    except BadInput as error:
        return None, f"not compared with the report that was there: {error}"


def _difference(before: Run, report: Path, whole: bool) -> Difference:
    """What the new report changed; what a run of a part did not ask for is not gone."""
    from dataclasses import replace

    from harness.report.difference import compare
    from harness.report.runs import read_run

    found = compare(before, read_run(report))
    return found if whole else replace(found, changes=tuple(each for each in found.changes if each.kind != "gone"))
