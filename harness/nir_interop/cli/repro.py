"""``nir-interop repro``: one cell as a folder that shows the difference without this project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nir_interop.cli.options import RESULTS, STORE, Json, Quiet, Store, TimeLimit, a_folder, print_json, say_line


def repro(
    cell_id: Annotated[str, typer.Argument(help="As in report.csv.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", callback=a_folder("-o"), help="The folder; repro/CELL_ID by default.")
    ] = None,
    store: Store = STORE,
    results: Annotated[
        Path, typer.Option("--results", help="Whose report.csv the cell is held against, if it is there.")
    ] = RESULTS,
    time_limit: TimeLimit = 20.0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write the graph, the input, the expected output and a short script that needs only the library itself.

    Graph and input are those of the store, or made anew: of a network that is trained with the weights that come with the
    project, where they fit.  Which it was is said, and so is what differs from the cell's row in results/report.csv.
    """
    from nir_interop.backends.environments import installed
    from nir_interop.errors import BadInput
    from nir_interop.matrix.campaign import run
    from nir_interop.matrix.plan import parse_cell_id
    from nir_interop.printable import path_word
    from nir_interop.report.repro import held_against, where_from, write_repro
    from nir_interop.store.store import Store as Cells
    from nir_interop.vocabulary import Mode
    from nir_interop.workers.jobs import Described

    plan, job = parse_cell_id(cell_id)
    installed(filter(None, (job.source.exporter, job.importer)))
    cells = Cells(store)
    found = run(plan, cells, time_limit=time_limit, explain=job.mode == Mode.RECONCILED)
    cell = next((cell for cell in found.cells if cell.job == job), None)
    if cell is None:
        raise BadInput(f"{cell_id}: there is no such cell; a graph is reconciled only where its import differs")
    folder = out or Path("repro") / cell_id
    files = write_repro(cell, cells, folder, found.described.get(job.importer, Described()))
    (row,) = [row for row in found.report_rows() if row["cell_id"] == cell_id]
    origin, held = where_from(cell.source, store), held_against(row, results)
    if json:
        files_written = {"cell": cell_id, "folder": str(folder), "files": [path.name for path in files]}
        print_json(files_written | {"origin": origin, "report": held.as_dict()})
    elif not quiet:
        say_line(f"{folder}: {', '.join(path.name for path in files)}")
        say_line(origin)
        if held.says:
            say_line(held.says)
        importer = plan.backends[job.importer]
        python = "python" if importer.own_interpreter else path_word(importer.python.absolute())
        say_line(f"run: cd {path_word(folder)} && {python} repro.py")
