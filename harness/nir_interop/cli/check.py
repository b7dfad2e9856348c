"""``nir-interop check``: what every library makes of your own graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nir_interop.cli.inputs import check_step, inputs_of, notes_of, quiet_hint, renamed_of
from nir_interop.cli.options import (
    STORE,
    Backends,
    Jobs,
    Json,
    MemoryLimit,
    Quiet,
    Seed,
    Store,
    TimeLimit,
    a_folder,
    print_json,
    say,
)
from nir_interop.memory import USUAL

if TYPE_CHECKING:
    from nir_interop.transfer.check import Checked


def check(
    graph: Annotated[Path, typer.Argument(help="A .nir file.")],
    dt: Annotated[float, typer.Option("--dt", help="Time step, in seconds.")] = 1e-4,
    backend: Backends = None,
    input: Annotated[Path | None, typer.Option("--input", help="npz with 'input', axes (T, B, *shape).")] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    json: Json = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            callback=a_folder("--save"),
            help="A folder for the recordings, npz that --input and --from-recording read.",
        ),
    ] = None,
    store: Store = STORE,
    jobs: Jobs = 0,
    time_limit: TimeLimit = 20.0,
    memory_limit: MemoryLimit = USUAL,
) -> None:
    """Run a graph in every library and compare each with NIR's own meaning in steps; exit 1 if something differs.

    Without --input that is on a seeded set of inputs made for the graph (silent, sparse, dense, weak, strong, …), and exact
    means exact on all of them. Rounding is no difference, where it is proven. Continuous time always differs from steps:
    ``exact`` is shown, and counts only where it is asked for by --backend.
    """
    import os

    from nir_interop.backends.environments import backend as find
    from nir_interop.backends.environments import backends
    from nir_interop.store.store import Store as Cells
    from nir_interop.transfer.check import run_graph
    from nir_interop.vocabulary import Status

    check_step(dt)
    chosen = [find(name) for name in dict.fromkeys(backend)] if backend else list(backends())
    inputs = inputs_of(graph, input, dt, seed, time_limit=time_limit)
    found = run_graph(
        graph, inputs.input, dt, chosen, find("reference"), Cells(store),
        jobs=jobs or os.cpu_count() or 1, time_limit=time_limit, seed=seed, save=save,
    )  # fmt: skip
    if json:
        facts: dict[str, Any] = {"graph": str(graph), "read_as": notes_of(graph), "renamed": renamed_of(graph)}
        facts |= {"dt": dt, "inputs": inputs.as_dict()}
        print_json(facts | {"cells": [each.as_dict() for each in found]})
    elif not quiet:
        _show(graph, dt, found)
        say(f"On {inputs.says()}.")
        hint = quiet_hint(inputs, any(each.status is Status.VACUOUS for each in found))
        if hint:
            say(hint)
    counted = [each for each in found if backend or each.importer != "exact"]
    if not all(each.agrees for each in counted):
        raise typer.Exit(1)


def _show(graph: Path, dt: float, found: list[Checked]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from nir_interop.printable import printable

    title = f"{printable(graph.name)} at {dt:g} s, against NIR's own meaning in steps"
    table = Table(title=escape(title), title_justify="left")
    for name in ("backend", "status", "differ", "first at", "what it said"):
        table.add_column(name, justify="right" if name == "differ" else "left")
    for each in found:
        cell = each.as_dict()
        differ = "" if cell["outputs"] is None else f"{cell['mismatched']} of {cell['outputs']}"
        first = "" if cell["first_step"] is None else f"step {cell['first_step']}, {cell['first_node']}"
        error = ": ".join(text for text in (cell["error_type"], cell["error_message"]) if text)
        said = error or cell["rounding"] or ("warned" if cell["warned"] else "")
        table.add_row(*(escape(printable(text)) for text in (each.importer, cell["status"], differ, first, said)))
    Console(highlight=False).print(table)
