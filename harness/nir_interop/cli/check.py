"""``nir-interop check``: what every library makes of your own graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nir_interop.cli.options import (
    STORE,
    Backends,
    Input,
    Jobs,
    Json,
    MemoryLimit,
    Quiet,
    Seed,
    Store,
    TimeLimit,
    a_folder,
    complain,
    print_json,
    say,
)
from nir_interop.memory import USUAL

if TYPE_CHECKING:
    from nir_interop.interface.results import Check


def check(
    graph: Annotated[Path, typer.Argument(help="A .nir file.")],
    dt: Annotated[float, typer.Option("--dt", help="Time step, in seconds.")] = 1e-4,
    backend: Backends = None,
    input: Input = None,
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
    from nir_interop.interface.arguments import check_step
    from nir_interop.interface.functions import backends as every
    from nir_interop.interface.functions import check as run

    check_step(dt, "--dt")
    found = run(
        graph, input=input, dt=dt, backends=backend or [each.name for each in every()], seed=seed, jobs=jobs, store=store,
        time_limit=time_limit, save=save, tell=complain,
    )  # fmt: skip
    if json:
        print_json(found.to_dict())
    elif not quiet:
        _show(found)
        for line in filter(None, (f"On {found.inputs.text}.", found.hint)):
            say(line)
    if not (all(each.agrees for each in found.values()) if backend else found.agrees):
        raise typer.Exit(1)


def _show(found: Check) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(found.title), title_justify="left")
    for name in found.HEADS:
        table.add_column(name, justify="right" if name == "differ" else "left")
    for row in found.rows():
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)
