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

What nobody did is not called worse:

- Between machines that are not known to be one, a processor may round otherwise.  ``rounding`` is then as good as ``exact``,
  and a rate may move as far as rounding is seen to move one in this network: by the largest rates of its cells that are proven
  to be rounding, in both runs together.  Where there is no such cell it may not move at all.  Numbers may differ in digits that
  single precision does not have.  The cells in which they do are named.
- Where a network learned other weights in one run than in the other, a cell is worse by its status alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nir_interop.networks import catalogue, names
from nir_interop.report.runs import Row, Run
from nir_interop.report.tables import is_silent
from nir_interop.schema import REPORT, Kind
from nir_interop.vocabulary import Mode, Status

Badness = tuple[int, bool, int]

NOISE = 1e-6
"""By how much numbers may differ between processors, relatively or absolutely: single precision holds seven digits."""
MACHINE = ("platform", "machine", "cpus")
"""What of environment.json makes two machines one, with PROCESSOR."""
PROCESSOR = ("cpu", "cores", "memory_gib")
"""The same, of which a run from before they were written down knows nothing."""
KINDS = ("worse", "better", "changed", "new", "gone", "same")
"""What may have become of a cell.  ``changed``: as bad as it was, but other causes, numbers or words."""

_WRONG = {Status.WRONG_SHAPE: 0, Status.MISMATCH: 1, Status.UNSTABLE: 2}
_TOLD_ELSEWHERE = frozenset({"exporter_version", "importer_version", "repro"})
_OF_THE_WEIGHTS = frozenset({"graph_sha"})
"""Differs wherever a trained weight does."""


@dataclass(frozen=True)
class Change:
    """One cell in both runs, or in one of them.

    kind : one of KINDS
    columns : those that differ, versions left out
    rounded : those that differ by no more than rounding may
    """

    kind: str
    cell_id: str
    mode: str
    old: Row | None
    new: Row | None
    columns: tuple[str, ...] = ()
    rounded: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data: which cell, how it ended on both sides, and what else differs."""
        sides = {"old": _ended(self.old), "new": _ended(self.new)}
        return {
            "cell_id": self.cell_id,
            "mode": self.mode,
            **sides,
            "columns": list(self.columns),
            "rounded": list(self.rounded),
        }


@dataclass(frozen=True)
class Difference:
    """What became of every cell, worst first.

    same_machine : whether both runs are known to come from one machine
    rounding : network → the share of outputs that rounding may move, where that is any; empty on one machine
    other_weights : network and exporter that learned other weights in one run than in the other
    """

    old: Run
    new: Run
    changes: tuple[Change, ...]
    same_machine: bool
    rounding: Mapping[str, float]
    other_weights: frozenset[tuple[str, str]]

    def of(self, kind: str) -> list[Change]:
        """The changes of one of KINDS."""
        return [change for change in self.changes if change.kind == kind]

    def rounded(self) -> list[Change]:
        """The cells that are as they were but for rounding."""
        return [change for change in self.changes if change.kind == "same" and change.rounded]

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
            "rounding": dict(sorted(self.rounding.items())),
            "other_weights": [{"network": network, "exporter": exporter} for network, exporter in sorted(self.other_weights)],
            "rounded": [change.as_dict() for change in self.rounded()],
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
    What another processor or other weights do is not called worse; see the module.
    """
    same = _one_machine(old.environment, new.environment)
    allowed = _Allowed({} if same else _moved_by_rounding(old, new), same, _other_weights(old, new, same))
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
        changes.append(_change(cell_id, here["mode"], left, right, allowed))
    changes += _unpaired(before, after, allowed)
    changes.sort(key=_worst_first)
    return Difference(old, new, tuple(changes), same, allowed.rounding, allowed.weights)


@dataclass(frozen=True)
class _Allowed:
    """What may differ though nobody did anything.

    rounding : network → the share of outputs that rounding may move
    """

    rounding: Mapping[str, float]
    same_machine: bool
    weights: frozenset[tuple[str, str]]

    def other_weights(self, row: Row) -> bool:
        """Whether a cell's network has other weights."""
        return (row["network"], row["exporter"]) in self.weights

    def alike(self, name: str, old: Row, new: Row) -> bool:
        """Whether two numbers of a column are the same but for rounding, or the weights."""
        if self.other_weights(new):
            return True
        one, other = old[name], new[name]
        if self.same_machine or one is None or other is None:
            return bool(one == other)
        return self.rounding.get(new["network"], 0.0) > 0 or math.isclose(one, other, rel_tol=NOISE, abs_tol=NOISE)


def _moved_by_rounding(old: Run, new: Run) -> dict[str, float]:
    """Network → the largest rates of its cells that are proven to be rounding, of both runs together, at most 1."""
    found: dict[str, float] = {}
    for run in (old, new):
        here: dict[str, float] = {}
        for row in run.rows:
            if row["status"] == Status.ROUNDING:
                here[row["network"]] = max(here.get(row["network"], 0.0), row["mismatch_rate"] or 0.0)
        for network, rate in here.items():
            found[network] = min(1.0, found.get(network, 0.0) + rate)
    return found


def _other_weights(old: Run, new: Run, same: bool) -> frozenset[tuple[str, str]]:
    """Network and exporter whose weights differ; where a run does not say which it had, whose graphs do, between machines."""
    before, after = ({(row["network"], row["exporter"]): row for row in run.rows} for run in (old, new))
    return frozenset(
        pair for pair in before.keys() & after.keys() if _learned(old, new, *pair, before[pair], after[pair], same) is False
    )


def _learned(old: Run, new: Run, network: str, exporter: str, before: Row, after: Row, same: bool) -> bool | None:
    """Whether a network learned the same weights in both runs; None where it learned none, or nobody knows."""
    mine, other = (run.weights.get(network, {}).get(exporter) for run in (old, new))
    if mine is not None and other is not None:
        return bool(mine["sha256"] == other["sha256"])
    if same or network not in names() or not catalogue(network).epochs:
        return None
    if before["exporter_version"] != after["exporter_version"]:
        return None
    shas = [
        {row["cell_id"]: row["graph_sha"] for row in run.rows if (row["network"], row["exporter"]) == (network, exporter)}
        for run in (old, new)
    ]
    return all(shas[0][cell] == shas[1][cell] for cell in shas[0].keys() & shas[1].keys())


def _one_machine(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether both are known, and of one machine."""
    both = [name for name in PROCESSOR if name in old and name in new]
    return bool(old) and all(old.get(name) == new.get(name) for name in (*MACHINE, *both))


def _unpaired(before: Mapping[str, Row], after: Mapping[str, Row], allowed: _Allowed) -> Iterator[Change]:
    """Failed exports in one run only, of sources of which the other run has no cell at all."""
    sources_before, sources_after = ({_source(row) for row in rows.values()} for rows in (before, after))
    for cell_id in sorted({*before} ^ {*after}):
        row = before.get(cell_id) or after[cell_id]
        if not row["importer"] and not (_source(row) in sources_before and _source(row) in sources_after):
            yield _change(cell_id, row["mode"], before.get(cell_id), after.get(cell_id), allowed)


def _change(cell_id: str, mode: str, old: Row | None, new: Row | None, allowed: _Allowed) -> Change:
    if old is None or new is None:
        return Change("new" if old is None else "gone", cell_id, mode, old, new)
    columns, rounded = _columns_that_differ(old, new, allowed)
    kind = _kind(old, new, allowed)
    return Change(kind if kind != "same" or not columns else "changed", cell_id, mode, old, new, columns, rounded)


def _kind(old: Row, new: Row, allowed: _Allowed) -> str:
    """Whether a cell got ``worse`` or ``better``; ``same`` where it is as bad as it was."""
    if _agree(old, new) and (not allowed.same_machine or allowed.other_weights(new)):
        return "same"
    before, after = badness(old), badness(new)
    if before != after:
        return "worse" if after > before else "better"
    left, right = old["mismatch_rate"], new["mismatch_rate"]
    if Status(old["status"]) not in _WRONG or left is None or right is None or allowed.other_weights(new):
        return "same"
    if left == right or abs(left - right) <= allowed.rounding.get(new["network"], 0.0):
        return "same"
    return "worse" if right > left else "better"


def _agree(old: Row, new: Row) -> bool:
    return Status(old["status"]).agrees and Status(new["status"]).agrees


def _columns_that_differ(old: Row, new: Row, allowed: _Allowed) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that differ, and those that do by no more than rounding may; what other weights change is in neither."""
    columns: list[str] = []
    rounded: list[str] = []
    for column in REPORT.columns:
        name = column.name
        if name == "cell_id" or name in _TOLD_ELSEWHERE or old[name] == new[name]:
            continue
        if allowed.other_weights(new) and (name in _OF_THE_WEIGHTS or column.kind in (Kind.REAL, Kind.INTEGER)):
            continue
        number = column.kind in (Kind.REAL, Kind.INTEGER)
        rounding = (number and allowed.alike(name, old, new)) or (
            name == "status" and _agree(old, new) and not allowed.same_machine
        )
        (rounded if rounding else columns).append(name)
    return tuple(columns), tuple(rounded)


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
