"""What the product does with a file of each kind, from its bytes to the reference's answer; and what must never come of it."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nir_interop.agreement.inputs import inputs_for
from nir_interop.cli.options import plain
from nir_interop.errors import BadInput, NirInteropError, TooSlow
from nir_interop.graphs import canonical, difference, digest, inline, read_corrected, validate, write
from nir_interop.matrix import known_issues
from nir_interop.memory import allowed
from nir_interop.recording import Recording
from nir_interop.reference import Simulator
from nir_interop.reference.room import check_room, check_time
from nir_interop.report.diff import compare, paragraphs, read_run
from nir_interop.stimuli import load_output, load_stimulus

DT = 1e-4
LONGEST_MESSAGE = 1200


@dataclass(frozen=True)
class Bounds:
    """How much of the way a file goes.

    memory, seconds : what ``--memory-limit`` [GiB] and ``--time-limit`` allow
    made : whether inputs are made for a graph, as ``check`` does; otherwise it runs for three steps
    every : they are made for every so many-th file only
    """

    memory: float = 1.0
    seconds: float = 20.0
    made: bool = True
    every: int = 1


WHOLE = Bounds()
SHORT = Bounds(memory=0.25, seconds=2.0, made=False)


class Wrong(Exception):
    """The product did what it must not."""


def feed(kind: str, path: Path, bounds: Bounds) -> str:
    """Give a file to the product; ``taken`` or ``refused``.

    Raises Wrong for a refusal that is not one clear line; whatever else is raised is an error of the product.
    """
    with allowed(bounds.memory), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            _KINDS[kind](path, bounds)
        except (BadInput, TooSlow) as error:
            message = str(error)
            if not message.isprintable() or len(message) > LONGEST_MESSAGE:
                raise Wrong(f"not one clear line: {message[:200]!r} ({len(message)} characters)") from error
            return "refused"
        except NirInteropError as error:
            raise Wrong(f"{type(error).__name__} of a file: {error}") from error
    return "taken"


def graph(path: Path, bounds: Bounds) -> None:
    """As ``check`` reads, judges and runs it, and as ``reconcile`` writes it."""
    found, _ = read_corrected(path)
    shapes = validate(found)
    flat = inline(found)
    if bounds.made:
        inputs_for(found, DT, time_limit=bounds.seconds)
        made = np.zeros((1, 1, *shapes[flat.of_kind("Input")[0]][1]), np.float32)
    else:
        made = np.ones((3, 1, *shapes[flat.of_kind("Input")[0]][1]), np.float32)
    check_time(check_room(flat, shapes, DT, *made.shape[:2]), bounds.seconds)
    recording, _ = Simulator(found, DT).run(made)
    if len(recording.output) != len(made):
        raise Wrong("another number of steps")
    again = path.with_name("again.nir")
    write(again, found)
    reread, notes = read_corrected(again)
    if notes or digest(reread) != digest(found):
        raise Wrong(f"written and read again it is another graph: {difference(canonical(found), canonical(reread))}")


def npz(path: Path, bounds: Bounds) -> None:
    """As ``--input``, ``--from-recording`` and ``Recording.load`` read it."""
    refusals = []
    for read in (
        lambda: load_stimulus(path, (2,)).input,
        lambda: load_output(path, np.zeros((6, 2, 2), np.float32)),
        lambda: Recording.load(path).digest(),
    ):
        try:
            read()
        except BadInput as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def report(path: Path, bounds: Bounds) -> None:
    """As ``diff`` reads it."""
    run = read_run(path)
    for line in paragraphs(compare(run, run)):
        if not plain(line).replace("\n", "").isprintable():
            raise Wrong(f"printed raw: {line!r}")


def issues(path: Path, bounds: Bounds) -> None:
    known_issues.load(path)


_KINDS = {"nir": graph, "npz": npz, "csv": report, "toml": issues}
