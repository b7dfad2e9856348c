"""``nir-interop rules``: the update rule of each backend, identified by probing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    say,
)


def rules(
    backend: Annotated[list[str] | None, typer.Argument(help="Only these backends.", autocompletion=complete_backend)] = None,
    everything: All = False,
    store: Store = STORE,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            callback=a_folder("--results"),
            help=f"Where rules.csv is written: {RESULTS} by default, {ALL} with --all.",
        ),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Identify how each library steps NIR's neurons, its importer's and its own, and write results/rules.csv."""
    from nir_interop.interface.functions import rules as identify
    from nir_interop.report.results_folder import write_rules
    from nir_interop.vocabulary import CONTINUOUS

    every, missing = every_backend(backend) if everything else ([], [])
    found = identify(*([name for name in every if name != CONTINUOUS] or dict.fromkeys(backend or ())), store=store)
    if not backend:
        write_rules(found.found, results or (ALL if everything else RESULTS), found.own)
    if json:
        print_json(found.to_dict())
    elif not quiet:
        say(found.text)
    for each in missing:
        complain(each)
    if missing:
        raise typer.Exit(3)
