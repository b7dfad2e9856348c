"""``nir-interop transfer``: a module that was trained in one library, for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nir_interop.cli.options import (
    STORE,
    Json,
    MemoryLimit,
    Quiet,
    Seed,
    Store,
    TimeLimit,
    complete_backend,
    plain,
    print_json,
    say,
)
from nir_interop.memory import USUAL


def transfer(
    module: Annotated[str, typer.Argument(help="FILE.py:NAME of the module, or of what makes it.", metavar="FILE.py:NAME")],
    to: Annotated[
        list[str], typer.Option("--to", help="A library that is to run it; repeatable.", autocompletion=complete_backend)
    ],
    input: Annotated[
        Path, typer.Option("--input", help="npz with 'input', axes (T, B, *shape), and 'labels' if there are any.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the file goes; of several libraries, a folder.")],
    weights: Annotated[Path | None, typer.Option("--weights", help="Its state_dict, loaded as weights only.")] = None,
    source: Annotated[str | None, typer.Option("--from", help="Its library, if the file imports several.")] = None,
    run: Annotated[str | None, typer.Option("--run", help="A function of the file that runs it: run(module, x).")] = None,
    dt: Annotated[float | None, typer.Option("--dt", help="Time step that it is meant at, if not its library's.")] = None,
    seed: Seed = 0,
    store: Store = STORE,
    time_limit: TimeLimit = 20.0,
    memory_limit: MemoryLimit = USUAL,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Move a trained module to other libraries, so that they compute what it computes; exit 1 where one does not.

    The Python file runs in a process of its own. The module is recorded as its library's users run it, on a seeded set of
    inputs made for it and on yours. A file is written for each library that gives every output of the module, rounding apart.
    """
    from nir_interop.interface.arguments import check_step, labels_in
    from nir_interop.interface.functions import transfer as move
    from nir_interop.interface.places import check_file, check_folder

    if dt is not None:
        check_step(dt, "--dt")
    targets = list(dict.fromkeys(to))
    if len(targets) > 1:
        check_folder(out, "-o")
    else:
        check_file(out, "-o")
    found = move(
        module, to=targets, input=input, labels=labels_in(input), run=run, dt=dt, weights=weights, source=source, seed=seed,
        store=store, time_limit=time_limit, progress=(lambda line: None) if quiet else _tell,
    )  # fmt: skip
    written = {}
    for name, each in found.items():
        if each.right:
            written[name] = each.write(out if len(targets) == 1 else _in(out, name))
    if json:
        print_json(found.to_dict() | {"written": {name: str(path) for name, path in written.items()}})
    elif not quiet:
        for line in found.lines():
            say(line)
        for name, path in written.items():
            say(f"{name} → {path}")
    if not found.right:
        raise typer.Exit(1)


def _in(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.nir"


def _tell(line: str) -> None:
    typer.echo(plain(line), err=True)
