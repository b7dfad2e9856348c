"""The command line, ``nir-interop``: one module a verb.

Exit status: 0 complete; 1 something differs (``check``, ``explain``) or got worse (``diff``); 2 bad usage or unreadable input,
one line on stderr; 3 partial; 70 nir-interop itself failed, one line on stderr; 130 interrupted.  A verb imports what it needs
when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from harness.cli.backends import backends
from harness.cli.check import check
from harness.cli.diff import diff
from harness.cli.experiment import experiment
from harness.cli.explain import explain
from harness.cli.matrix import matrix
from harness.cli.options import complain
from harness.cli.primitives import primitives
from harness.cli.reconcile import reconcile
from harness.cli.report import report
from harness.cli.repro import repro
from harness.cli.rules import rules
from harness.cli.sweep import sweep
from harness.errors import NirInteropError, OwnFailure

FIRST = """\
What every NIR graph does in every spiking-network library. Begin with one of:

  nir-interop check my_graph.nir                   every library, against NIR
  nir-interop explain my_graph.nir --backend norse what differs, and why
  nir-interop reconcile my_graph.nir --to norse -o out.nir   so that it is right
  nir-interop matrix                               each library with each other
  nir-interop backends                             what is installed

nir-interop --help lists every verb, nir-interop VERB --help what it takes.
"""
"""What ``nir-interop`` alone says."""
TRACEBACK = "NIR_INTEROP_TRACEBACK"
"""The variable that has an unforeseen error shown in full."""
OWN_FAILURE, BROKEN_PIPE = 70, 141
"""The exit statuses where nir-interop itself failed (EX_SOFTWARE of sysexits.h), and where nobody reads its output any more."""
INTERRUPTED = 130
"""The exit status after Ctrl-C."""


class _Verbs(TyperGroup):
    """Verbs that say in one line what is kept when they are interrupted."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            kept = (
                str(interrupt) or "interrupted; what was finished is kept in the store, and the same command goes on from there"
            )
            complain(kept)
            raise typer.Exit(INTERRUPTED) from interrupt


app = typer.Typer(
    name="nir-interop",
    cls=_Verbs,
    help="What every NIR graph does in every spiking-network library: measured, explained, reconciled.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _first(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(FIRST, nl=False)


app.command()(matrix)
app.command()(check)
app.command()(explain)
app.command()(reconcile)
app.command()(diff)
app.command()(repro)
app.command()(report)
app.command()(rules)
app.command()(primitives)
app.command()(sweep)
app.add_typer(backends, name="backends")
app.command()(experiment)


def main() -> None:
    """Run a verb; errors on purpose and bad usage become one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal has no letters for is shown as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(standalone_mode=False, prog_name="nir-interop")
    except OwnFailure as error:
        complain(str(error))
        sys.exit(OWN_FAILURE)
    except NirInteropError as error:
        complain(str(error))
        sys.exit(2)
    except typer.Abort:
        sys.exit(1)
    except BrokenPipeError:  # who read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(BROKEN_PIPE)
    except Exception as error:
        usage = getattr(error, "format_message", None)  # click's errors, or those of typer's own copy of it
        if usage is None:
            if os.environ.get(TRACEBACK):
                raise
            sys.exit(_unexpected(error))
        context = getattr(error, "ctx", None)
        asks = f"; {context.command_path} --help says what it takes" if context is not None else ""
        complain(f"{' '.join(usage().split()).rstrip('.')}{asks}")
        sys.exit(2)
    if status == INTERRUPTED:  # no worker is left, and taking down what torch and execnet hold takes a second
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _unexpected(error: Exception) -> int:
    """One line about what nobody foresaw, and the exit status for it."""
    from harness.matrix.messages import describe

    if isinstance(error, OSError) and error.filename is not None:
        complain(f"{error.filename}: {error.strerror}; name a file or folder that can be used")
        return 2
    if isinstance(error, MemoryError):
        complain("there is not enough memory for this; give a smaller graph or a shorter input")
        return 2
    said = describe(error)
    where = f" at {said['error_at']}" if said["error_at"] else ""
    told = f"{said['error_type']}: {said['error_message']}{where}"
    complain(f"nir-interop itself failed: {told}; report this line, {TRACEBACK}=1 shows more")
    return OWN_FAILURE


__all__ = ["app", "main"]
