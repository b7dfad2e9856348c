"""``nir-interop diff``: two runs of the matrix held against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nir_interop.cli.options import Json, Quiet, complete_backend, print_json, say_line


def diff(
    old: Annotated[Path, typer.Argument(help="A folder of results, or its report.csv.")],
    new: Annotated[Path, typer.Argument(help="The same, of the newer run.")],
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend", help="NAME==LABEL of NEW against the installed NAME of OLD.", autocompletion=complete_backend
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Say which cells got better, worse, are new or gone from one report to another; exit 1 if anything got worse."""
    from rich.console import Console

    from nir_interop.report.diff import compare, in_place, paragraphs, read_run, renderables, without

    before, after = read_run(old), read_run(new)
    if backend is not None:
        before, after = without(before, backend), in_place(after, backend)
    found = compare(before, after)
    console = Console(highlight=False)
    if json:
        print_json(found.as_dict())
    elif quiet:
        pass  # the exit status says it
    elif console.is_terminal:
        for each in renderables(found):
            console.print(each)
    else:
        for line in paragraphs(found):
            say_line(line)
    if found.of("worse"):
        raise typer.Exit(1)
