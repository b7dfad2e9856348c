"""``nir-interop report``: the page, from the results that lie there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nir_interop.cli.options import RESULTS, STORE, Json, Quiet, a_folder, plain, print_json, say_line


def report(
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    store: Annotated[
        Path, typer.Option("--store", envvar="NIR_INTEROP_STORE", help="Where finished cells were kept; it is only read.")
    ] = STORE,
    results: Annotated[
        Path, typer.Option("--results", callback=a_folder("--results"), help="Where the tables are, and the page is written.")
    ] = RESULTS,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write results/report.html and results/report.md anew from the tables beside them; nothing is run."""
    from nir_interop.errors import BadInput
    from nir_interop.report.page import kept
    from nir_interop.report.results_folder import write_pages
    from nir_interop.schema import REPORT
    from nir_interop.store.store import Store as Cells

    if not (results / REPORT.name).is_file():
        raise BadInput(f"{results / REPORT.name}: there is no such file; nir-interop matrix writes it")
    details = kept(Cells(store), results)
    written = write_pages(results, details)
    if json:
        print_json({"files": [str(path) for path in written], "pictures": details is not None})
    elif not quiet:
        say_line(f"{written[0]}")
        if details is None:
            without = f"without pictures of cells: {store} does not hold this run; nir-interop matrix makes them"
            typer.echo(plain(without), err=True)
    if show:
        typer.launch(written[0].resolve().as_uri())
