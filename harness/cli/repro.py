"""``nir-interop repro``: one cell as a folder that shows the difference without this project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import STORE, Json, Quiet, Store, TimeLimit, a_folder, print_json, say, say_line


def repro(
    cell_id: Annotated[str, typer.Argument(help="As in report.csv.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", callback=a_folder("-o"), help="The folder; repro/CELL_ID by default.")
    ] = None,
    store: Store = STORE,
    time_limit: TimeLimit = 20.0,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write the graph, the input, the expected output and a short script that needs only the library itself."""
    from harness.errors import BadInput
    from harness.matrix.plan import parse_cell_id
    from harness.matrix.runner import run
    from harness.matrix.store import Store as Cells
    from harness.report.repro import write_repro
    from harness.vocabulary import Mode
    from harness.wording import shell_word

    plan, job = parse_cell_id(cell_id)
    cells = Cells(store)
    found = run(plan, cells, time_limit=time_limit, explain=job.mode == Mode.RECONCILED)
    cell = next((cell for cell in found.cells if cell.job == job), None)
    if cell is None:
        raise BadInput(f"{cell_id}: there is no such cell; a graph is reconciled only where its import differs")
    folder = out or Path("repro") / cell_id
    files = write_repro(cell, cells, folder)
    if json:
        print_json({"cell": cell_id, "folder": str(folder), "files": [path.name for path in files]})
    elif not quiet:
        say_line(f"{folder}: {', '.join(path.name for path in files)}")
        say(f"run: cd {shell_word(str(folder))} && python repro.py")
