"""The command line, ``nir-interop``: one module a verb.

Exit status: 0 complete; 1 something differs (``check``, ``explain``) or got worse (``diff``); 2 bad usage or unreadable input,
one line on stderr; 3 partial; 70 nir-interop itself failed, one line on stderr; 130 interrupted, 143 and 129 asked to end by
SIGTERM and SIGHUP.  A verb imports what it needs when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import nir_interop
from nir_interop.cli.backends import backends
from nir_interop.cli.check import check
from nir_interop.cli.diff import diff
from nir_interop.cli.experiment import experiment
from nir_interop.cli.explain import explain
from nir_interop.cli.matrix import matrix
from nir_interop.cli.options import complain
from nir_interop.cli.primitives import primitives
from nir_interop.cli.reconcile import reconcile
from nir_interop.cli.report import report
from nir_interop.cli.repro import repro
from nir_interop.cli.rules import rules
from nir_interop.cli.sweep import sweep
from nir_interop.cli.transfer import transfer
from nir_interop.cli.upgrade import upgrade
from nir_interop.errors import NirInteropError, OwnFailure

FIRST = """\
What every NIR graph does in every spiking-network library. Begin with one of:

  nir-interop check my_graph.nir                   every library, against NIR
  nir-interop explain my_graph.nir --backend norse what differs, and why
  nir-interop reconcile my_graph.nir --to norse -o out.nir   so that it is right
  nir-interop transfer my_net.py:net --to norse …  a module that you trained
  nir-interop matrix                               each library with each other
  nir-interop backends                             what is installed

nir-interop --help lists every verb, nir-interop VERB --help what it takes.
"""
"""What ``nir-interop`` alone says."""
TRACEBACK = "NIR_INTEROP_TRACEBACK"
"""The variable that has an unforeseen error shown in full."""
OWN_FAILURE, BROKEN_PIPE = 70, 141
"""The exit statuses where nir-interop itself failed (EX_SOFTWARE of sysexits.h), and where nobody reads its output any more."""
_ended_by = signal.SIGINT
"""What a KeyboardInterrupt came of."""


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
            raise typer.Exit(_interrupted()) from interrupt
        except BrokenPipeError as error:  # who read the output has gone
            _say_no_more()
            raise typer.Exit(BROKEN_PIPE) from error
        except SystemExit as leaving:  # rich's word for it
            if isinstance(leaving.__context__, BrokenPipeError):
                raise typer.Exit(BROKEN_PIPE) from leaving
            raise


app = typer.Typer(
    name="nir-interop",
    cls=_Verbs,
    help="What every NIR graph does in every spiking-network library: measured, explained, reconciled.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"nir-interop {nir_interop.__version__}")
        raise typer.Exit


@app.callback()
def _first(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(FIRST, nl=False)


app.command()(matrix)
app.command()(check)
app.command()(explain)
app.command()(reconcile)
app.command()(transfer)
app.command()(upgrade)
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
    _open_streams()
    _end_in_order()
    try:
        os.getcwd()
    except OSError:
        complain("the folder that this was called in is gone; change to another")
        sys.exit(2)
    try:
        status = app(standalone_mode=False, prog_name="nir-interop")
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where it can still be told that it does not go anywhere
    except KeyboardInterrupt:  # before the verb, or behind it
        complain("interrupted")
        status = _interrupted()
    except OwnFailure as error:
        complain(str(error))
        sys.exit(OWN_FAILURE)
    except NirInteropError as error:
        complain(str(error))
        sys.exit(2)
    except typer.Abort:
        sys.exit(1)
    except BrokenPipeError:  # at the very end
        _say_no_more()
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
    if status == _interrupted():  # no worker is left, and taking down what torch and execnet hold takes a second
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status if isinstance(status, int) else 0)


def _open_streams() -> None:
    """Have all three streams lead somewhere, and write what their encoding lacks as an escape.

    A file that is opened while one of them is closed would take its place, and get what is meant for it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _end_in_order() -> None:
    """Take SIGTERM, and SIGHUP where it is not ignored, as Ctrl-C is taken; the second time they end it at once."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        global _ended_by
        _ended_by = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(ValueError):  # not in the main thread: somebody calls this as a function
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)


def _interrupted() -> int:
    """The exit status for the signal that came, as a shell gives it."""
    return 128 + _ended_by


def _say_no_more() -> None:
    """Send what is still to be written to stdout nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _unexpected(error: Exception) -> int:
    """One line about what nobody foresaw, and the exit status for it."""
    from nir_interop.workers.error_messages import describe

    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say_no_more()
        where = error.filename or "the output, or the disk"
        complain(f"{where}: {error.strerror}; free some, and the same command goes on from what is stored")
        return 2
    if isinstance(error, FileNotFoundError) and "usable temporary directory" in str(error):
        complain("there is no folder for temporary files that can be written to; have TMPDIR name one")
        return 2
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
