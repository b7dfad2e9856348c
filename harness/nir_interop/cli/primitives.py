"""``nir-interop primitives``: every NIR primitive and its aspects, through each library's importer and exporter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nir_interop.cli.options import (
    ALL,
    RESULTS,
    STORE,
    All,
    Json,
    Quiet,
    Store,
    a_folder,
    complain,
    complete_backend,
    every_backend,
    print_json,
    say_line,
    say_table,
)


def primitives(
    backend: Annotated[list[str] | None, typer.Argument(help="Only these backends.", autocompletion=complete_backend)] = None,
    everything: All = False,
    store: Store = STORE,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            callback=a_folder("--results"),
            help=f"Where primitives.csv and primitives.md are written: {RESULTS} by default, {ALL} with --all.",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", callback=a_folder("--write"), help="Write the cases as files into this folder instead of running them."
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Measure what each importer and exporter makes of every NIR primitive; write results/primitives.csv and primitives.md."""
    from nir_interop.backends.environments import backends, installed
    from nir_interop.conformance.primitives import SUITE, cases, measure_all, write_vectors
    from nir_interop.errors import BadInput
    from nir_interop.report.primitives import EXPORT, IMPORT, write_primitives
    from nir_interop.schema import PRIMITIVES
    from nir_interop.store.store import Store as Cells
    from nir_interop.transfer.descriptions import described, exporter_by, importer_by

    if write is not None:
        if backend:
            raise BadInput("--write writes the cases, which are the same for every backend; name none")
        written = write_vectors(write)
        if json:
            print_json({"suite": SUITE, "cases": len(cases()), "files": len(written)})
        elif not quiet:
            say_line(f"{len(cases())} cases of suite {SUITE} in {write}; {written[-1].name} says what each is")
        return
    every, missing = every_backend(backend) if everything else ([], [])
    usual = [each.name for each in backends() if each.name != "exact" and not each.apart and each.installed]
    there = installed(backend or [name for name in every if name != "exact"] or usual)
    cells = Cells(store)
    rows = measure_all(there, cells)
    said = {each.name: described(each, cells) for each in there}
    by = {IMPORT: importer_by, EXPORT: exporter_by}
    rows = [{**row, "by": by[str(row["direction"])](said[str(row["backend"])])} for row in rows]
    if not backend:
        write_primitives(rows, results or (ALL if everything else RESULTS))
    if json:
        ordered = sorted(rows, key=lambda row: tuple(row[name] for name in PRIMITIVES.key))
        print_json({"suite": SUITE, "rows": [{name: row[name] for name in PRIMITIVES.names} for row in ordered]})
    elif not quiet:
        _show(rows)
    for each in missing:
        complain(each)
    if missing:
        raise typer.Exit(3)


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    from nir_interop.report.primitives import DIRECTIONS, by_primitive, summary

    names = sorted({row["backend"] for row in rows})
    lines = [(" / ".join(DIRECTIONS), *names)]
    for primitive, per_backend in by_primitive(rows).items():
        marks = [[summary(per_backend[name][direction]) for direction in DIRECTIONS] for name in names]
        lines.append((primitive, *(" / ".join(each) for each in marks)))
    say_table(lines)
