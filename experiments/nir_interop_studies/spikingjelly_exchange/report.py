"""The study's folder: tables, and a page that is written from the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import backend
from nir_interop.schema import write_text
from nir_interop.vocabulary import Status
from nir_interop_studies.common import Options
from nir_interop_studies.pages import how_made, page
from nir_interop_studies.spikingjelly_exchange import bench
from nir_interop_studies.spikingjelly_exchange.bench import DATASET, ERROR, OTHERS, REFERENCE, SIDES, Compared, Trial
from nir_interop_studies.spikingjelly_exchange.promises import PROMISES, Promise
from nir_interop_studies.tables import write_table

Row = Mapping[str, Any]

COLUMNS = {
    "promises": (
        "dataset", "promise", "direction", "subject", "says", "place", "version", "in_package", "kept", "cases", "cases_kept",
        "cases_not_measured", "found", *ERROR, *(column for side in SIDES for column in (side, f"{side}_exact")),
    ),
    "cases": ("dataset", "promise", "case", "kept", "baseline", "remark", *ERROR),
    "comparisons": (
        "dataset", "promise", "case", "baseline", "side", "status", "spikes_baseline", "spikes", "outputs", "mismatched",
        "first_step", "under", *ERROR,
    ),
    "example": ("dataset", "variant", "step", "printed", "today", "same", *ERROR),
}  # fmt: skip
"""Table → its columns, in the order in which they are written."""

_KEPT = {True: "kept", False: "broken", None: "not measured"}


@dataclass(frozen=True)
class Measured:
    """A promise with its cases.

    in_package : whether the installed package states it too; None where only the documentation is quoted
    """

    promise: Promise
    cases: Sequence[Trial]
    in_package: bool | None = None

    @property
    def kept(self) -> bool | None:
        """Every case that could be measured is; None where none could."""
        verdicts = {case.kept for case in self.cases}
        return False if False in verdicts or not verdicts else (True if True in verdicts else None)

    @property
    def share(self) -> str:
        """How many of the cases are kept."""
        return f"{self.count(True)} of {len(self.cases)}"

    def count(self, kept: bool | None) -> int:
        """How many cases are kept, broken, or could not be measured."""
        return sum(case.kept is kept for case in self.cases)

    def statuses(self, side: str) -> list[Status]:
        """How a side did, case by case."""
        return [case.sides[side].status for case in self.cases if side in case.sides]


def write_report(
    options: Options, out: Path, measured: Sequence[Measured], example: Sequence[Row], seconds: float
) -> Sequence[Path]:
    """Write everything; the page comes first in what is returned."""
    named = [(_named(each.promise, case), case) for each in measured for case in each.cases]
    rows: Mapping[str, Sequence[Row]] = {
        "promises": [promise_row(each) for each in measured],
        "cases": [vars(case) | name | {"kept": _KEPT[case.kept], **_error(case)} for name, case in named],
        "comparisons": [
            vars(found) | name | {"side": side, "status": str(found.status), **_error(found)}
            for name, case in named
            for side, found in case.sides.items()
        ],
        "example": example,
    }
    written = [write_table(out / f"{name}.csv", columns, rows[name]) for name, columns in COLUMNS.items()]
    return [write_text(out / "README.md", _page(options, measured, example, seconds)), *written]


def promise_row(each: Measured) -> dict[str, Any]:
    """One row of promises.csv; of a broken promise with what the first broken case says."""
    first = next((case for case in each.cases if case.kept is False), Trial("", None))
    row = vars(each.promise) | _error(first) | {
        "dataset": DATASET, "promise": each.promise.key, "in_package": each.in_package, "kept": _KEPT[each.kept],
        "cases": len(each.cases), "cases_kept": each.count(True), "cases_not_measured": each.count(None),
        "found": f"{first.name}: {first.remark}" if first.name else "",
    }  # fmt: skip
    for side in SIDES:
        seen = each.statuses(side)
        row |= {side: "; ".join(sorted({*map(str, seen)})), f"{side}_exact": seen.count(Status.EXACT) if seen else None}
    return row


def _named(promise: Promise, case: Trial) -> dict[str, str]:
    return {"dataset": DATASET, "promise": promise.key, "case": case.name, "baseline": case.baseline}


def _error(of: Trial | Compared) -> dict[str, str]:
    return {name: of.failed.get(name, "") for name in ERROR}


def _page(options: Options, measured: Sequence[Measured], example: Sequence[Row], seconds: float) -> str:
    also = "" if options.quick else ". `--quick` is the same: the study is short"
    used = map(backend, ("spikingjelly", *OTHERS))
    return page(
        "spikingjelly_exchange",
        measured=measured,
        kept=Counter(_KEPT[each.kept] for each in measured),
        cases=[case for each in measured for case in each.cases],
        bench=bench,
        broken=[_broken(each) for each in measured if each.kept is False],
        directions=[_direction(each, measured) for each in dict.fromkeys(promise.direction for promise in PROMISES)],
        departures=list(dict.fromkeys(_departures(measured))),
        elsewhere=list(dict.fromkeys(_elsewhere(measured))),
        example=[_variant(each, example) for each in dict.fromkeys(row["variant"] for row in example)],
        made="\n".join(how_made(options.command, seconds, used=used, also=also)),
    )


def _broken(each: Measured) -> Sequence[Any]:
    said: dict[str, list[str]] = {}
    for case in (case for case in each.cases if case.kept is False):
        raised = ": {error_type}: {error_message} ({error_at})".format(**_error(case)) if _error(case)["error_message"] else ""
        said.setdefault(f"{case.remark}{raised}", []).append(case.name)
    promise = each.promise
    quoted = "" if promise.says == promise.subject else f": “{promise.says}”"
    cases = "<br>".join(f"**{'; '.join(names)}**: {words}" for words, names in said.items())
    return f"{promise.subject}{quoted}", f"{promise.place}, {promise.version}", each.share, cases


def _direction(direction: str, measured: Sequence[Measured]) -> tuple[str, Sequence[str], list[Sequence[str]]]:
    """A table of the promises that are about one thing, with a column for each side that there is."""
    mine = [each for each in measured if each.promise.direction == direction]
    sides = [side for side in SIDES if any(each.statuses(side) for each in mine)]
    heads = ("promise", "kept", "cases", *(side.replace("_", " ") for side in sides))
    shown = [(each, [_exact(each.statuses(side)) for side in sides]) for each in mine]
    return direction, heads, [(each.promise.subject, _KEPT[each.kept], each.share, *exact) for each, exact in shown]


def _exact(seen: Sequence[Status]) -> str:
    others = ", ".join(sorted({*map(str, seen)} - {str(Status.EXACT)}))
    return (f"{seen.count(Status.EXACT)} of {len(seen)}" + (f"; {others}" if others else "")) if seen else ""


def _departures(measured: Sequence[Measured]) -> Iterator[Sequence[str]]:
    """Where the reference and the original module part, and what ends that."""
    for name, sides in _sides(measured):
        if REFERENCE in sides and sides[REFERENCE].status not in (Status.EXACT, Status.VACUOUS):
            yield *name, sides[REFERENCE].words, sides[REFERENCE].under or "not explained"


def _elsewhere(measured: Sequence[Measured]) -> Iterator[Sequence[str]]:
    """Where the other libraries run a graph and give other spikes."""
    for name, sides in _sides(measured):
        there = [sides[library] for library in OTHERS if library in sides]
        if any(one.status in (Status.MISMATCH, Status.ROUNDING) for one in there):
            yield *name, *(one.words for one in there)


def _sides(measured: Sequence[Measured]) -> Iterator[tuple[tuple[str, str], Mapping[str, Compared]]]:
    """Promise and case, without the step mode: what both modes say is said once."""
    for each in measured:
        for case in each.cases:
            yield (each.promise.key, case.name.removesuffix(", single-step").removesuffix(", multi-step")), case.sides


def _variant(name: str, example: Sequence[Row]) -> Row:
    rows = [row for row in example if row["variant"] == name]
    same = [row["same"] for row in rows if row["same"] is not None]
    failed = next((row for row in rows if row["error_type"]), None)
    others = [row for row in rows if not row["same"]]
    return {"name": name, "failed": failed, "same": sum(same), "printed": len(same), "others": others}
