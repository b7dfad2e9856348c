"""``nir-interop check``: what every library makes of your own graph."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
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
    from rich.live import Live
    from rich.table import Table

    from nir_interop.interface.results import Check
    from nir_interop.transfer.check import Checked


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

    What a library gives is told on stderr as soon as it is known, NIR's own first; the table comes at the end.

    Without --input that is on a seeded set of inputs made for the graph (silent, sparse, dense, weak, strong, …), and exact
    means exact on all of them. Rounding is no difference, where it is proven. Continuous time always differs from steps:
    ``exact`` is shown, and counts only where it is asked for by --backend.
    """
    from nir_interop.interface.arguments import check_step
    from nir_interop.interface.functions import backends as every
    from nir_interop.interface.functions import check as run

    check_step(dt, "--dt")
    names = list(dict.fromkeys(backend or [each.name for each in every() if each.installed or not each.apart]))
    with Coming(names, shown=not quiet, lines=not json) as coming:
        found = run(
            graph, input=input, dt=dt, backends=names, seed=seed, jobs=jobs, store=store, time_limit=time_limit, save=save,
            tell=complain, answered=coming.answered,
        )  # fmt: skip
    if json:
        print_json(found.to_dict())
    elif not quiet:
        _print(found)
        for line in filter(None, (f"On {found.inputs.text}.", found.hint)):
            say(line)
    if not (all(each.agrees for each in found.values()) if backend else found.agrees):
        raise typer.Exit(1)


_NO_CURSOR = ("", "dumb", "unknown")
"""Terminals on which nothing can be drawn anew."""


class Coming:
    """What is known so far, on stderr: a table that fills on a terminal and goes at the end, plain lines elsewhere.

    names : of the backends that are asked, in the order of the table
    shown : whether anything is; lines : whether plain lines are
    """

    def __init__(self, names: Sequence[str], *, shown: bool = True, lines: bool = True) -> None:
        self._rows: dict[str, tuple[str, ...]] = {name: (name, "…") for name in names}
        self._live: Live | None = None
        self._draws = shown and sys.stderr.isatty() and os.environ.get("TERM", "") not in _NO_CURSOR
        self._lines = shown and lines and not self._draws

    def __enter__(self) -> Coming:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def answered(self, checked: Checked) -> None:
        """Show one more."""
        from nir_interop.interface.results import row_of

        name, status, differ, first, said = self._rows[checked.importer] = row_of(checked)
        if self._lines:
            parts = (status, differ and f"{differ} differ", first and f"first at {first}", said)
            typer.echo(f"{name}: {', '.join(filter(None, parts))}", err=True)
        elif self._draws:
            self._draw()

    def _draw(self) -> None:
        from rich.console import Console
        from rich.live import Live

        table = _table(self._rows.values())
        if self._live is None:
            self._live = Live(table, console=Console(stderr=True, highlight=False), transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(table, refresh=True)


def _table(rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from nir_interop.interface.results import Check

    table = Table(title=None if title is None else escape(title), title_justify="left")
    for name in Check.HEADS:
        table.add_column(name, justify="right" if name == "differ" else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _print(found: Check) -> None:
    from rich.console import Console

    Console(highlight=False).print(_table(found.rows(), found.title))
