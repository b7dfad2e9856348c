"""``nir-interop explain``: who makes a graph mean something else in a library, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nir_interop.cli.options import (
    STORE,
    Input,
    Json,
    MemoryLimit,
    Quiet,
    Seed,
    Store,
    TimeLimit,
    complain,
    complete_backend,
    print_json,
    say,
)
from nir_interop.memory import USUAL


def explain(
    graph: Annotated[Path, typer.Argument(help="A .nir file.")],
    backend: Annotated[str, typer.Option("--backend", help="The library that is to run it.", autocompletion=complete_backend)],
    dt: Annotated[float, typer.Option("--dt", help="Time step, in seconds.")] = 1e-4,
    input: Input = None,
    seed: Seed = 0,
    store: Store = STORE,
    time_limit: TimeLimit = 20.0,
    memory_limit: MemoryLimit = USUAL,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run a graph in one library and say why it differs from NIR's own meaning in steps; exit 1 if it does."""
    from nir_interop.interface.arguments import check_step
    from nir_interop.interface.functions import explain as run

    check_step(dt, "--dt")
    options: dict[str, Any] = {"seed": seed, "store": store, "time_limit": time_limit, "tell": complain}
    found = run(graph, backend=backend, input=input, dt=dt, **options)
    if json:
        print_json(found.to_dict())
    elif not quiet:
        say(found.text)
    if not found.agrees:
        raise typer.Exit(1)
