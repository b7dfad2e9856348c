"""Two runs of the matrix held against each other, cell by cell: what got better, what got worse, what is new, what is gone.

How bad an outcome is, best first (:func:`badness`):

1. ``exact``: every output is right.
2. ``rounding``: right but for proven coin tosses at the threshold.
3. ``vacuous``: too few spikes to prove anything; nothing wrong was seen either.
4. ``refused``: no answer, on purpose, and the library says what it lacks.
5. ``export_error``, ``write_error``, ``read_error``, ``import_error``, ``run_error``: no answer, by accident; the user notices,
   and can catch it.  How far it came makes it neither better nor worse.
6. ``timeout``, ``crash``: no answer, and what else the process was doing is lost with it.
7. A wrong answer about which the library said a word: whoever reads it is warned.  So it is with what ``exact`` gives, which is
   no library: it is there to be held against.
8. A wrong answer in silence, which somebody will publish: the worst there is, and worse than any error.

Among wrong answers ``wrong_shape`` is the least bad, for the next layer trips over it; then ``mismatch``, by ``mismatch_rate``;
then ``unstable``, which nobody can repair for it is another answer the next time.  ``env_missing`` says nothing of a library:
such a cell was not measured, and is absent here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.report.runs import Row, Run
from harness.report.tables import is_silent
from harness.schema import REPORT, Kind
from harness.vocabulary import Mode, Status

Badness = tuple[int, bool, int]

TOLERANCE = 0.01
"""By how much a number may differ, relatively or absolutely, between two machines: they add up in another order, a membrane
that grazes its threshold falls to the other side, and a trained weight is another one in its last digits."""
MACHINE = ("platform", "machine", "cpus")
"""What of environment.json makes two machines one, with PROCESSOR."""
PROCESSOR = ("cpu", "cores", "memory_gib")
"""The same, of which a run from before they were written down knows nothing."""
KINDS = ("worse", "better", "changed", "new", "gone", "same")
"""What may have become of a cell.  ``changed``: as bad as it was, but other causes, numbers or words."""

_WRONG = {Status.WRONG_SHAPE: 0, Status.MISMATCH: 1, Status.UNSTABLE: 2}
_TOLD_ELSEWHERE = frozenset({"exporter_version", "importer_version", "repro"})
_OF_THE_WEIGHTS = frozenset({"graph_sha"})
"""Differs wherever a trained weight does, and has no tolerance."""


@dataclass(frozen=True)
class Change:
    """One cell in both runs, or in one of them.

    kind : one of KINDS
    columns : those that differ, versions left out
    """

    kind: str
    cell_id: str
    mode: str
    old: Row | None
    new: Row | None
    columns: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data: which cell, how it ended on both sides, and what else differs."""
        sides = {"old": _ended(self.old), "new": _ended(self.new)}
        return {"cell_id": self.cell_id, "mode": self.mode, **sides, "columns": list(self.columns)}


@dataclass(frozen=True)
class Difference:
    """What became of every cell, worst first.

    same_machine : whether both runs are known to come from one machine
    tolerance : by how much numbers might differ; 0 on one machine
    """

    old: Run
    new: Run
    changes: tuple[Change, ...]
    same_machine: bool
    tolerance: float

    def of(self, kind: str) -> list[Change]:
        """The changes of one of KINDS."""
        return [change for change in self.changes if change.kind == kind]

    def counts(self) -> dict[str, dict[str, int]]:
        """Mode → kind → cells."""
        found = Counter((change.mode, change.kind) for change in self.changes)
        return {str(mode): {kind: found[str(mode), kind] for kind in KINDS} for mode in Mode}

    @property
    def versions(self) -> dict[str, tuple[str | None, str | None]]:
        """Backend, distribution or python → its version in the old and the new run, of those that differ."""
        old, new = ({**run.distributions, **run.versions} for run in (self.old, self.new))
        both = {name: (old.get(name), new.get(name)) for name in sorted({*old, *new})}
        return {name: pair for name, pair in both.items() if pair[0] != pair[1]}

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        sides = {
            name: {"path": str(run.path), "versions": run.versions, "distributions": run.distributions}
            for name, run in (("old", self.old), ("new", self.new))
        }
        return {
            "runs": sides,
            "versions": {name: list(pair) for name, pair in self.versions.items()},
            "same_machine": self.same_machine,
            "tolerance": self.tolerance,
            "counts": self.counts(),
            "cells": {kind: [change.as_dict() for change in self.of(kind)] for kind in KINDS if kind != "same"},
        }


def badness(row: Row) -> Badness:
    """How bad an outcome is, in the order of the module's docstring: lower is better."""
    status = Status(row["status"])
    if status in _WRONG:
        return (6, is_silent(row), _WRONG[status])
    if status.is_error:
        return (5 if status in (Status.TIMEOUT, Status.CRASH) else 4, False, 0)
    return ((Status.EXACT, Status.ROUNDING, Status.VACUOUS, Status.REFUSED).index(status), False, 0)


def compare(old: Run, new: Run) -> Difference:
    """What became of every cell.

    A cell is itself in both runs by its ``cell_id``.  Where an export fails there is one cell in place of all that an importer
    would have given: each of those is held against it, so that an exporter that broke, or was mended, shows in full.
    Numbers count as equal within TOLERANCE, and ``exact`` as good as ``rounding``, unless both runs are known to come from
    one machine.
    """
    same = _one_machine(old.environment, new.environment)
    tolerance = 0.0 if same else TOLERANCE
    before, after = ({row["cell_id"]: row for row in run.rows} for run in (old, new))
    failed_before, failed_after = _failed(old.rows), _failed(new.rows)
    changes = []
    for cell_id in sorted({*before, *after}):
        left, right = before.get(cell_id), after.get(cell_id)
        here = left or right or {}
        if not here["importer"] and (left is None or right is None):
            continue  # told by the cells that it stands for
        if here["mode"] == Mode.NATIVE:
            left = left or failed_before.get(_source(here))
            right = right or failed_after.get(_source(here))
        changes.append(_change(cell_id, here["mode"], left, right, tolerance))
    changes += _unpaired(before, after, tolerance)
    changes.sort(key=_worst_first)
    return Difference(old, new, tuple(changes), same, tolerance)


def _one_machine(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether both are known, and of one machine."""
    both = [name for name in PROCESSOR if name in old and name in new]
    return bool(old) and all(old.get(name) == new.get(name) for name in (*MACHINE, *both))


def _unpaired(before: Mapping[str, Row], after: Mapping[str, Row], tolerance: float) -> Iterator[Change]:
    """Failed exports in one run only, of sources of which the other run has no cell at all."""
    sources_before, sources_after = ({_source(row) for row in rows.values()} for rows in (before, after))
    for cell_id in sorted({*before} ^ {*after}):
        row = before.get(cell_id) or after[cell_id]
        if not row["importer"] and not (_source(row) in sources_before and _source(row) in sources_after):
            yield _change(cell_id, row["mode"], before.get(cell_id), after.get(cell_id), tolerance)


def _change(cell_id: str, mode: str, old: Row | None, new: Row | None, tolerance: float) -> Change:
    if old is None or new is None:
        return Change("new" if old is None else "gone", cell_id, mode, old, new)
    columns = tuple(_columns_that_differ(old, new, tolerance))
    kind = _kind(old, new, tolerance)
    return Change(kind if kind != "same" or not columns else "changed", cell_id, mode, old, new, columns)


def _kind(old: Row, new: Row, tolerance: float) -> str:
    """Whether a cell got ``worse`` or ``better``; ``same`` where it is as bad as it was."""
    both_agree = Status(old["status"]).agrees and Status(new["status"]).agrees
    if tolerance and both_agree:
        return "same"
    before, after = badness(old), badness(new)
    if before != after:
        return "worse" if after > before else "better"
    left, right = old["mismatch_rate"], new["mismatch_rate"]
    if Status(old["status"]) not in _WRONG or left is None or right is None or _alike(left, right, tolerance):
        return "same"
    return "worse" if right > left else "better"


def _columns_that_differ(old: Row, new: Row, tolerance: float) -> Iterator[str]:
    for column in REPORT.columns:
        name = column.name
        if name == "cell_id" or name in _TOLD_ELSEWHERE or (tolerance and name in _OF_THE_WEIGHTS):
            continue
        number = column.kind in (Kind.REAL, Kind.INTEGER)
        if not (_alike(old[name], new[name], tolerance) if number else old[name] == new[name]):
            yield name


def _alike(old: float | None, new: float | None, tolerance: float) -> bool:
    if old is None or new is None or not tolerance:
        return old == new
    return math.isclose(old, new, rel_tol=tolerance, abs_tol=tolerance)


def _failed(rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    """Source → the cell that says why there is no graph."""
    return {_source(row): row for row in rows if not row["importer"]}


def _source(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("network", "idiom", "exporter", "dt_export", "seed"))


def _worst_first(change: Change) -> tuple[Any, ...]:
    """By kind; within it the worst outcome first, by which the new run ends, or the old one where there is no new."""
    row: Row = change.new or change.old or {}
    rank, silent, which = badness(row)
    return (KINDS.index(change.kind), -rank, not silent, -which, -(row["mismatch_rate"] or 0.0), change.cell_id)


def _ended(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    names = ("status", "warned", "mismatch_rate", "mismatched", "outputs", "error_type", "error_message", "blame", "causes")
    return {name: row[name] for name in names}
