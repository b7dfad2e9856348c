"""``nir-interop reconcile``: a graph rewritten so that a library computes what another computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    a_file,
    complain,
    complete_backend,
    plain,
    print_json,
    say,
)
from nir_interop.memory import USUAL


def reconcile(
    graph: Annotated[Path, typer.Argument(help="A .nir file.")],
    target: Annotated[str, typer.Option("--to", help="The library that is to run it.", autocompletion=complete_backend)],
    out: Annotated[Path, typer.Option("--out", "-o", callback=a_file("-o"), help="Where the rewritten graph goes.")],
    source: Annotated[str, typer.Option("--from", help="Whose importer computes what is meant; nir: NIR's own.")] = "nir",
    dt: Annotated[float, typer.Option("--dt", help="Time step of both sides, in seconds.")] = 1e-4,
    dt_from: Annotated[float | None, typer.Option("--dt-from", help="The source's, where it is another.")] = None,
    dt_to: Annotated[float | None, typer.Option("--dt-to", help="The target's, where it is another.")] = None,
    from_rule: Annotated[str, typer.Option("--from-rule", help="A source of axis=value pairs instead: start=leak,…")] = "",
    from_recording: Annotated[
        Path | None, typer.Option("--from-recording", help="What the source computed: npz with 'input' and 'output'.")
    ] = None,
    input: Input = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Of the seeded inputs, if not as the graph suggests.")
    ] = None,
    seed: Seed = 0,
    store: Store = STORE,
    time_limit: TimeLimit = 20.0,
    memory_limit: MemoryLimit = USUAL,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Rewrite a graph so that a library's own importer computes what the source computed; exit 1 where that cannot be.

    What the rules of the two sides say differs is rewritten, whatever an input shows. Nothing is written unless every output is
    the source's, rounding apart, on the input given or on a seeded set of inputs made for the graph.
    """
    from nir_interop.errors import BadInput
    from nir_interop.interface.arguments import check_step
    from nir_interop.interface.functions import reconcile as run
    from nir_interop.interface.places import check_other

    for option, step in (("--dt", dt), ("--dt-from", dt_from), ("--dt-to", dt_to)):
        if step is not None:
            check_step(step, option)
    check_other(out, graph, "-o")
    if from_recording is not None and input is not None:
        raise BadInput("--input: the recording has an input of its own; give one of the two")
    found = run(
        graph, to=target, source=source, input=from_recording or input, output=from_recording, rule=from_rule, dt=dt,
        dt_from=dt_from, dt_to=dt_to, steps=steps, seed=seed, store=store, time_limit=time_limit, tell=complain,
        progress=(lambda line: None) if quiet else _tell,
    )  # fmt: skip
    if found.right:
        found.write(out)
    if json:
        print_json(found.to_dict() | {"written": str(out) if found.right else None})
    elif not quiet:
        for line in found.lines(out):
            say(line)
    if not found.right:
        raise typer.Exit(1)


def _tell(line: str) -> None:
    typer.echo(plain(line), err=True)
