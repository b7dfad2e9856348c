"""The command line, ``nir-interop``: one module a verb.

Exit status: 0 complete; 1 something differs (``check``, ``explain``); 2 bad usage or unreadable input, one line on stderr;
3 partial; 130 interrupted.  A verb imports what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys

import typer

from harness.cli.backends import backends
from harness.cli.check import check
from harness.cli.explain import explain
from harness.cli.matrix import matrix
from harness.cli.primitives import primitives
from harness.cli.reconcile import reconcile
from harness.cli.repro import repro
from harness.cli.rules import rules
from harness.cli.sweep import sweep
from harness.errors import NirInteropError

app = typer.Typer(
    name="nir-interop",
    help="What every NIR graph does in every spiking-network library: measured, explained, reconciled.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(matrix)
app.command()(check)
app.command()(explain)
app.command()(reconcile)
app.command()(repro)
app.command()(rules)
app.command()(primitives)
app.command()(sweep)
app.command()(backends)


def main() -> None:
    """Run a verb; errors on purpose become one line on stderr."""
    try:
        app()
    except NirInteropError as error:
        typer.echo(f"nir-interop: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("nir-interop: interrupted; finished cells are stored, run the same command to go on", err=True)
        sys.exit(130)


__all__ = ["app", "main"]
