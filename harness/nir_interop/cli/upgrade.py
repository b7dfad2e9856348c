"""``nir-interop upgrade``: a file of any year, written as today's NIR."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nir_interop.cli.options import Json, MemoryLimit, Quiet, Seed, TimeLimit, a_file, print_json, say
from nir_interop.memory import USUAL


def upgrade(
    graph: Annotated[Path, typer.Argument(help="A .nir file of any version of NIR.")],
    out: Annotated[Path, typer.Option("--out", "-o", callback=a_file("-o"), help="Where today's NIR goes.")],
    input: Annotated[Path | None, typer.Option("--input", help="npz with 'input', axes (T, B, *shape).")] = None,
    dt: Annotated[float, typer.Option("--dt", help="Time step at which old and new are compared, in seconds.")] = 1e-4,
    seed: Seed = 0,
    time_limit: TimeLimit = 20.0,
    memory_limit: MemoryLimit = USUAL,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a graph as today's NIR has it, so that nir.read and the libraries' importers take it, and say what was changed.

    What it computes stays: the reference runs old and new on --input or on a seeded set of inputs made for the graph, and
    nothing is written unless every output, spike and membrane is the same, bit for bit.
    """
    from nir_interop.interface.arguments import check_step
    from nir_interop.interface.functions import upgrade as run
    from nir_interop.interface.places import check_other

    check_step(dt, "--dt")
    check_other(out, graph, "-o")
    found = run(graph, input=input, dt=dt, seed=seed, time_limit=time_limit)
    found.write(out)
    if json:
        print_json(found.to_dict() | {"written": str(out)})
    elif not quiet:
        for line in found.lines(out):
            say(line)
