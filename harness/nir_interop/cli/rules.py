"""``nir-interop rules``: the update rule of each backend, identified by probing it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nir_interop.cli.options import RESULTS, STORE, Json, Quiet, Store, a_folder, complete_backend, print_json, say


def rules(
    backend: Annotated[list[str] | None, typer.Argument(help="Only these backends.", autocompletion=complete_backend)] = None,
    store: Store = STORE,
    results: Annotated[
        Path, typer.Option("--results", callback=a_folder("--results"), help="Where rules.csv is written.")
    ] = RESULTS,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Identify how each library steps NIR's neurons, its importer's and its own, and write results/rules.csv."""
    from nir_interop.interface.functions import rules as identify
    from nir_interop.report.results_folder import write_rules

    found = identify(*dict.fromkeys(backend or ()), store=store)
    if not backend:
        write_rules(found.found, results)
    if json:
        print_json(found.to_dict())
    elif not quiet:
        say(found.text)
