"""Two runs of the matrix compared, cell by cell: what got better, what got worse, what is new, what is gone; and that in words.

How bad an outcome is, best first (:func:`badness`):

1. ``exact``: every output is right.
2. ``rounding``: right but for rounding at the threshold, which is proven.
3. ``vacuous``: too few spikes to prove anything; nothing wrong was seen either.
4. ``refused``: no answer, on purpose, and the library says what it lacks.
5. ``export_error``, ``write_error``, ``read_error``, ``import_error``, ``run_error``: no answer, by accident; the user notices,
   and can catch it.  How far it came makes it neither better nor worse.
6. ``timeout``, ``crash``: no answer, and what else the process was doing is lost with it.
7. A wrong answer with a warning.  What ``exact`` gives counts as such: it is no library, but a yardstick.
8. A wrong answer without a warning: the worst, and worse than any error, since nobody notices it.

Among wrong answers ``wrong_shape`` is the least bad, since the next layer fails on it; then ``mismatch``, by ``mismatch_rate``;
then ``unstable``, which differs from run to run and cannot be repaired.  ``env_missing`` says nothing of a library:
such a cell was not measured, and is absent here.

What no library did does not make a cell worse:

- Between machines that are not known to be one, a processor may round otherwise.  ``rounding`` is then as good as ``exact``,
  and a rate may move as far as rounding is seen to move one in this network: by the largest rates of its cells that are proven
  to be rounding, in both runs together.  Where there is no such cell it may not move at all.  Numbers may differ in digits that
  single precision does not have.  The cells in which they do are named.
- Where a network learned other weights in one run than in the other, a cell is worse by its status alone.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.errors import BadInput, UnknownName
from nir_interop.networks import catalogue, names
from nir_interop.printable import printable
from nir_interop.report.cells import is_silent
from nir_interop.schema import REPORT, Kind, read_table
from nir_interop.vocabulary import Mode, Status

if TYPE_CHECKING:
    from rich.console import RenderableType

Row = Mapping[str, Any]
ROLES = ("exporter", "importer")


@dataclass(frozen=True)
class SavedRun:
    """What one run left behind.

    path : its report.csv
    rows : its cells, column → value, None for no value; those that were not measured left out
    environment : its environment.json; empty where there is none
    """

    path: Path
    rows: tuple[Row, ...]
    environment: Mapping[str, Any]

    @property
    def versions(self) -> dict[str, str]:
        """Backend → version, of those that took part; several where the cells have several."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            for role in ("exporter", "importer"):
                if row[role] and row[f"{role}_version"]:
                    found.setdefault(row[role], set()).add(row[f"{role}_version"])
        return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}

    @property
    def distributions(self) -> dict[str, str]:
        """Python and distribution → version; several where the environments have several."""
        found: dict[str, set[str]] = {}
        backends = self.environment.get("backends")
        for versions in backends.values() if isinstance(backends, dict) else ():
            for name, version in versions.items() if isinstance(versions, dict) else ():
                found.setdefault(name, set()).add(str(version))
        python = self.environment.get("python")
        named = {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}
        return named | ({"python": str(python)} if python else {})

    @property
    def weights(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Network → exporter → ``sha256`` of the weights that it learned, and whether they came with the project (``shipped``).

        Empty where the run is from before that was written down.
        """
        found = self.environment.get("weights")
        networks = {name: by for name, by in (found.items() if isinstance(found, dict) else ()) if isinstance(by, dict)}
        return {
            network: {
                exporter: {"sha256": str(each.get("sha256")), "shipped": bool(each.get("shipped"))}
                for exporter, each in by.items()
                if isinstance(each, dict)
            }
            for network, by in networks.items()
        }


def read_run(path: Path) -> SavedRun:
    """Read a folder of results, or its report.csv, and the environment.json beside it.

    Raises BadInput where there is no report, or one of other columns.
    """
    report = path / REPORT.name if path.is_dir() else path
    if not report.is_file():
        lacks = f"holds no {REPORT.name}" if path.is_dir() else "there is no such file or folder"
        raise BadInput(f"{path}: {lacks}; name a folder that nir-interop matrix --results wrote, or its {REPORT.name}")
    with report.open("rb") as file:
        if REPORT.names[0].encode() not in file.readline(2**16):
            raise BadInput(f"{report}: is no {REPORT.name}; name one that nir-interop matrix wrote")
    frame = read_table(report, REPORT)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    environment = environment_beside(report)
    measured = tuple({str(name): value for name, value in row.items()} for row in rows if row["status"] != Status.ENV_MISSING)
    return SavedRun(report, measured, environment)


def environment_beside(report: Path) -> dict[str, Any]:
    """The environment.json beside a report; empty where there is none.  Entries that are not what they should be are left out.

    Raises BadInput where it cannot be read, or holds something other than an object.
    """
    beside = report.with_name("environment.json")
    try:
        found = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{beside}: cannot be read ({error}); nir-interop matrix writes it beside {REPORT.name}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{beside}: holds no object; nir-interop matrix writes it beside {REPORT.name}")
    kept: dict[str, Any] = {name: value for name, value in found.items() if isinstance(value, (str, int, float))}
    for name in _NUMBERS & {*kept}:
        if not isinstance(kept[name], (int, float)):
            del kept[name]
    backends = found.get("backends")
    if isinstance(backends, dict):
        kept["backends"] = {name: versions for name, versions in backends.items() if isinstance(versions, dict)}
    return kept


_NUMBERS = {"cores", "cpus", "memory_gib"}


def without(run: SavedRun, backend: str) -> SavedRun:
    """The run as if a backend had taken no part."""
    return replace(run, rows=tuple(row for row in run.rows if backend not in (row["exporter"], row["importer"])))


def in_place(run: SavedRun, backend: str) -> SavedRun:
    """The run as if ``<library>==<label>`` were the library: its cells bear the library's name, whose own are left out.

    Raises UnknownName for a backend without a label, or one that took no part.
    """
    library, _, label = backend.partition("==")
    there = sorted({row[role] for row in run.rows for role in ROLES if row[role]})
    if not label or backend not in there:
        labelled = ", ".join(name for name in there if "==" in name) or "none"
        raise UnknownName(
            f"--backend {backend}: {run.path} has no such version of a library beside the installed one; it has {labelled}"
        )

    def renamed(row: Row) -> Row:
        names = {role: library if row[role] == backend else row[role] for role in ROLES}
        cell_id = row["cell_id"].replace(f".{backend}@", f".{library}@").replace(f">{backend}@", f">{library}@")
        return {**row, **names, "cell_id": cell_id}

    weights = {
        network: {library if name == backend else name: each for name, each in by.items() if name != library}
        for network, by in run.weights.items()
    }
    environment = {**run.environment, "weights": weights} if run.weights else run.environment
    return replace(run, rows=tuple(renamed(row) for row in without(run, library).rows), environment=environment)


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
class RunDifference:
    """What became of every cell, worst first.

    same_machine : whether both runs are known to come from one machine
    rounding : network → the share of outputs that rounding may move, where that is any; empty on one machine
    other_weights : network and exporter that learned other weights in one run than in the other
    """

    old: SavedRun
    new: SavedRun
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


def compare(old: SavedRun, new: SavedRun) -> RunDifference:
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
    return RunDifference(old, new, tuple(changes), same, allowed.rounding, allowed.weights)


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


def _moved_by_rounding(old: SavedRun, new: SavedRun) -> dict[str, float]:
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


def _other_weights(old: SavedRun, new: SavedRun, same: bool) -> frozenset[tuple[str, str]]:
    """Network and exporter whose weights differ; where a run does not say which it had, whose graphs do, between machines."""
    before, after = ({(row["network"], row["exporter"]): row for row in run.rows} for run in (old, new))
    return frozenset(
        pair for pair in before.keys() & after.keys() if _learned(old, new, *pair, before[pair], after[pair], same) is False
    )


def _learned(old: SavedRun, new: SavedRun, network: str, exporter: str, before: Row, after: Row, same: bool) -> bool | None:
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


FEW = 5
"""Cells that got worse and are named after a run of the matrix."""


def paragraphs(found: RunDifference) -> Iterator[str]:
    """The whole difference as plain lines: what is compared, the counts, and each cell that got worse or better."""
    yield from _head(found)
    yield from _counted(found)
    for kind in ("worse", "better"):
        for change in found.of(kind):
            yield f"{kind}: {change.cell_id}: {ended(change.old)} → {ended(change.new)}"
    yield from _summed(found)


def renderables(found: RunDifference) -> Iterator[RenderableType]:
    """The same for a terminal, to be printed with rich."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    def shown(text: str) -> str:
        return escape(printable(text))

    for line in _head(found):
        yield shown(line)
    counts = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    counts.add_column("mode")
    for kind in KINDS:
        counts.add_column(kind, justify="right", no_wrap=True)
    for mode, count in found.counts().items():
        counts.add_row(mode, *(str(count[kind] or "·") for kind in KINDS))
    yield counts
    for kind in ("worse", "better"):
        changes = found.of(kind)
        if changes:
            table = Table(title=kind, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
            for name in ("cell", "was", "is"):
                table.add_column(name, overflow="fold", max_width=None if name == "cell" else 18)
            for change in changes:
                cell = shown(change.cell_id).replace(">", ">\n")  # where it may be cut on a terminal of 80 columns
                table.add_row(cell, shown(ended(change.old)), shown(ended(change.new)))
            yield table
    for line in _summed(found):
        yield shown(line)


def few_lines(found: RunDifference) -> Iterator[str]:
    """What a run changed in the report that was there: nothing where nothing did."""
    counts = Counter(change.kind for change in found.changes)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind != "same" and counts[kind])
    if told:
        yield f"since the last report: {told}{_versions(found, ' (', ')', absent=False)}"
    yield from _weights(found)
    worse = found.of("worse")
    for change in worse[:FEW]:
        yield f"worse: {change.cell_id}: {ended(change.old)} → {ended(change.new)}"
    if len(worse) > FEW:
        yield f"worse: and {len(worse) - FEW} more"
    yield from _rounded(found)


def ended(row: Row | None) -> str:
    """How a cell ended, in a few words."""
    if row is None:
        return "absent"
    rate = row["mismatch_rate"]
    share = "" if not rate else f" {rate:.2%}"
    silence = ", in silence" if is_silent(row) else ""
    error = f" ({row['error_type']})" if row["error_type"] else ""
    return f"{row['status']}{share}{error}{silence}"


def _head(found: RunDifference) -> Iterator[str]:
    yield f"old: {found.old.path}, {len(found.old.rows)} cells"
    yield f"new: {found.new.path}, {len(found.new.rows)} cells"
    yield "versions: " + (_versions(found) or "the same: " + ", ".join(f"{n} {v}" for n, v in found.new.versions.items()))
    if not found.same_machine:
        moved = ", ".join(f"{network} (up to {share:.2%})" for network, share in sorted(found.rounding.items()))
        yield f"not known to be of one machine: rounding counts as exact; it moves outputs of {moved or 'no network'}"
    yield from _weights(found)


def _weights(found: RunDifference) -> Iterator[str]:
    """Which networks have other weights, if any."""
    if found.other_weights:
        pairs = ", ".join(f"{network} in {exporter}" for network, exporter in sorted(found.other_weights))
        yield f"other weights: {pairs}; what is made of them is worse by its status alone"


def _rounded(found: RunDifference) -> Iterator[str]:
    """The cells that only another processor's rounding changed."""
    for change in found.rounded():
        yield f"rounding: {change.cell_id}: {', '.join(change.rounded)}"


def _versions(found: RunDifference, before: str = "", after: str = "", *, absent: bool = True) -> str:
    """The versions that differ, between ``before`` and ``after``; empty where none does.

    absent : also of what took part in one run only
    """
    pairs = [(name, old, new) for name, (old, new) in found.versions.items() if absent or (old and new)]
    told = [f"{name} {old or 'absent'} → {new or 'absent'}" for name, old, new in pairs]
    return f"{before}{', '.join(told)}{after}" if told else ""


def _counted(found: RunDifference) -> Iterator[str]:
    for mode, counts in found.counts().items():
        if any(counts.values()) or mode == Mode.NATIVE:
            yield f"{mode}: " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)


def _summed(found: RunDifference) -> Iterator[str]:
    """What need not be told cell by cell, and which cells are others by rounding alone."""
    columns = Counter(column for change in found.of("changed") for column in change.columns)
    if columns:
        ranked = sorted(columns.items(), key=lambda each: (-each[1], each[0]))
        yield "changed, as bad as before, in: " + ", ".join(f"{name} ({count})" for name, count in ranked)
    for kind in ("new", "gone"):
        pairs = Counter(_pair(change) for change in found.of(kind))
        if pairs:
            yield f"{kind}: " + ", ".join(f"{pair} ({count})" for pair, count in sorted(pairs.items()))
    yield from _rounded(found)


def _pair(change: Change) -> str:
    row: Row = change.new or change.old or {}
    mode = "" if change.mode == Mode.NATIVE else f", {change.mode}"
    return f"{row['exporter']} → {row['importer'] or 'no graph'}{mode}"
