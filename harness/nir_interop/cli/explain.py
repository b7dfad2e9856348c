"""``nir-interop explain``: who makes a graph mean something else in a library, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nir_interop.cli.inputs import check_step, inputs_of, quiet_hint, renamed_of
from nir_interop.cli.options import STORE, Json, MemoryLimit, Quiet, Seed, Store, TimeLimit, complete_backend, print_json, say
from nir_interop.memory import USUAL


def explain(
    graph: Annotated[Path, typer.Argument(help="A .nir file.")],
    backend: Annotated[str, typer.Option("--backend", help="The library that is to run it.", autocompletion=complete_backend)],
    dt: Annotated[float, typer.Option("--dt", help="Time step, in seconds.")] = 1e-4,
    input: Annotated[Path | None, typer.Option("--input", help="npz with 'input', axes (T, B, *shape).")] = None,
    seed: Seed = 0,
    store: Store = STORE,
    time_limit: TimeLimit = 20.0,
    memory_limit: MemoryLimit = USUAL,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Run a graph in one library and say why it differs from NIR's own meaning in steps; exit 1 if it does."""
    from nir_interop.backends.environments import backend as find
    from nir_interop.errors import BackendMissing
    from nir_interop.report.explanation import paragraphs
    from nir_interop.store.store import Store as Cells
    from nir_interop.transfer.graph_explanation import explain_graph
    from nir_interop.vocabulary import Status

    check_step(dt)
    chosen = find(backend)
    if not chosen.installed:
        raise BackendMissing(chosen.hint)
    inputs = inputs_of(graph, input, dt, seed, time_limit=time_limit)
    found = explain_graph(graph, inputs.input, dt, chosen, find("reference"), Cells(store), time_limit=time_limit, seed=seed)
    if json:
        print_json(found.as_dict() | {"renamed": renamed_of(graph), "inputs": inputs.as_dict()})
    elif not quiet:
        for text in paragraphs(found, graph, input):
            say(text)
        say(f"On {inputs.says()}.")
        hint = quiet_hint(inputs, found.verdict.status is Status.VACUOUS)
        if hint:
            say(hint)
    if not found.agrees:
        raise typer.Exit(1)
