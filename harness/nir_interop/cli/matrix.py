"""``nir-interop matrix``: build, train, export, import, compare, and write the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nir_interop.cli.options import (
    ALL,
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
    from collections.abc import Sequence

    from nir_interop.matrix.known_issues import Issue
    from nir_interop.matrix.plan import Plan
    from nir_interop.report.diff import RunDifference, SavedRun

PART = Path("part")
"""Where the tables of some cells go while the report of more cells stays."""


def matrix(
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Every backend that there is an adapter for, those that live apart as well, on all networks and twins that "
            f"subtract; written as libraries document it, read at the step of the export. Results go to {ALL}.",
        ),
    ] = False,
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
    explain: Annotated[bool, typer.Option(help="Say who is to blame for each cell that differs, and why.")] = True,
    store: Store = STORE,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            callback=a_folder("--results"),
            help=f"Where tables are written: {RESULTS} by default, {ALL} with --all, {PART} where a part would replace more.",
        ),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train anew, and say how accuracies compare.")] = False,
    save_weights: Annotated[
        Path | None,
        typer.Option(
            "--save-weights",
            callback=a_folder("--save-weights"),
            help="Write the trained weights there, each with where it comes from.",
        ),
    ] = None,
    fail_on_worse: Annotated[bool, typer.Option("--fail-on-worse", help="Exit 1 if a cell got worse.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run the matrix and write results/report.csv and the tables beside it; what did not change is not run again.

    A run of some cells, one with --no-explain, and one with other weights replace a report of more cells only where --results
    names it.  What differs from the report that is replaced is said at the end.  A backend that is not installed is named, with
    the command that installs it; its cells say so, and the exit status of --all is then 3.
    """
    from nir_interop.backends.environments import installed
    from nir_interop.cli.progress import Progress
    from nir_interop.matrix.campaign import run
    from nir_interop.matrix.known_issues import stale
    from nir_interop.matrix.plan import make_plan
    from nir_interop.matrix.weights import compared, save
    from nir_interop.report.page import keep
    from nir_interop.report.results_folder import machine, write_pages, write_results
    from nir_interop.store.store import Store as Cells
    from nir_interop.transfer.stimuli import CatalogueStimuli
    from nir_interop.vocabulary import Status

    cells = Cells(store)
    installed([*(exporter or ()), *(importer or ())])
    plan = make_plan(networks=network, exporters=exporter, importers=importer, dts=dt, seed=seed, everything=everything)
    usual = ALL if everything else RESULTS
    before, unread = _last_run(results or usual)
    instead = "" if results else _elsewhere(plan, explain, train, usual, before, unread)
    results = results or (PART if instead else usual)
    with Progress(quiet=quiet or json, store=store) as progress:
        found = run(plan, cells, jobs=jobs, time_limit=time_limit, on_event=progress.show, explain=explain, train=train)
    rows = found.report_rows()
    trainings = compared(found, cells)
    written = write_results(found, results, rows)
    if explain:  # the pages say who and why; without that there is nothing to show that the tables do not
        written += write_pages(results, keep(found, cells, results))
    if save_weights is not None:
        written += save(found, cells, CatalogueStimuli(), save_weights, machine())
    difference = None if before is None else _difference(before, written[0], whole=plan.whole)
    counted = [row for row in rows if "==" not in f"{row['exporter']}{row['importer']}"]  # known issues are counted on these
    surprises = stale(counted, _counted(plan, found.issues)) if explain else []
    missing = [f"{each.hint}: its cells are {Status.ENV_MISSING}" for each in plan.missing] if everything else []
    if json:
        counts = dict(sorted(found.counts().items()))
        print_json(
            {
                "cells": len(rows),
                "seconds": round(found.seconds, 1),
                "library_cpu_seconds": round(found.library_cpu_seconds, 1),
                "status": counts,
                "known_issues": surprises,
                "missing": missing,
                "trained": [each.as_dict() for each in trainings],
                "instead": instead,
                "difference": None if difference is None else difference.counts(),
                "rounded": [] if difference is None else [change.cell_id for change in difference.rounded()],
                "other_weights": [] if difference is None else [list(pair) for pair in sorted(difference.other_weights)],
                "files": [str(path) for path in written],
            }
        )
    else:
        progress.conclude(rows, found.seconds, surprises, written)
        progress.say([*(each.says() for each in trainings), *([instead] if instead else []), *missing])
        progress.compare(difference, unread)
    if fail_on_worse and difference is not None and difference.of("worse"):
        raise typer.Exit(1)
    if missing:
        raise typer.Exit(3)


def _counted(plan: Plan, issues: Sequence[Issue]) -> list[Issue]:
    """The known issues that a run has all cells of: those of the backends that live apart are counted on the matrix of all."""
    from nir_interop.backends.environments import backends

    apart = {each.name: each.installed for each in backends() if each.apart}
    if plan.default:
        return [each for each in issues if each.backend not in apart]
    return [each for each in issues if apart.get(each.backend)] if plan.everything else []


def _elsewhere(plan: Plan, explain: bool, train: bool, folder: Path, before: SavedRun | None, unread: str) -> str:
    """Why a run does not replace the report in a folder, in a line; empty where there is no more in that than in the run."""
    if before is None:
        kept = "a report that cannot be read" if unread and not plan.whole else ""
    elif there := sum(not plan.holds(row) for row in before.rows) * (not plan.whole) or _lost(plan, before):
        kept = f"{there} cells that this run does not have"
    elif not explain and any(row["causes"] for row in before.rows):
        kept = "what --no-explain leaves out"
    elif train and any(each["shipped"] for by in before.weights.values() for each in by.values()):
        kept = "what the weights give that come with the project"
    else:
        kept = ""
    return f"{folder} holds {kept}, and stays: this run is in {PART}; --results {folder} replaces it" if kept else ""


def _lost(plan: Plan, before: SavedRun) -> int:
    """How many measured cells of a report a run of all backends lacks since their libraries are not installed."""
    gone = {each.name for each in plan.missing} if plan.everything else set[str]()
    return sum(bool(gone & {row["exporter"], row["importer"]}) for row in before.rows)


def _last_run(folder: Path) -> tuple[SavedRun | None, str]:
    """The run whose report is about to be replaced; or why it cannot be compared with, if there is one."""
    from nir_interop.errors import BadInput
    from nir_interop.report.diff import read_run
    from nir_interop.schema import REPORT

    if not (folder / REPORT.name).exists():
        return None, ""
    try:
        return read_run(folder), ""
    except BadInput as error:
        return None, f"not compared with the report that was there: {error}"


def _difference(before: SavedRun, report: Path, whole: bool) -> RunDifference:
    """What the new report changed; what a run of a part did not ask for is not gone."""
    from dataclasses import replace

    from nir_interop.report.diff import compare, read_run

    found = compare(before, read_run(report))
    return found if whole else replace(found, changes=tuple(each for each in found.changes if each.kind != "gone"))
