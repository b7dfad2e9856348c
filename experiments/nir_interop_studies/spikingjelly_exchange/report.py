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
from nir_interop_studies.spikingjelly_exchange.bench import (
    BATCH,
    DATASET,
    DT,
    ERROR,
    OTHERS,
    REFERENCE,
    SIDES,
    STEPS,
    Compared,
    Trial,
)
from nir_interop_studies.spikingjelly_exchange.promises import PROMISES, Promise
from nir_interop_studies.tables import write_table

Row = Mapping[str, Any]

PROMISE_COLUMNS = (
    "dataset", "promise", "direction", "subject", "says", "place", "version", "in_package", "kept", "cases", "cases_kept",
    "cases_not_measured", "found", *ERROR, *(column for side in SIDES for column in (side, f"{side}_exact")),
)  # fmt: skip
CASE_COLUMNS = ("dataset", "promise", "case", "kept", "baseline", "remark", *ERROR)
COMPARISON_COLUMNS = (
    "dataset", "promise", "case", "baseline", "side", "status", "spikes_baseline", "spikes", "outputs", "mismatched",
    "first_step", "under", *ERROR,
)  # fmt: skip
EXAMPLE_COLUMNS = ("dataset", "variant", "step", "printed", "today", "same", *ERROR)

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
    def broken(self) -> list[Trial]:
        """The cases that speak against it."""
        return [case for case in self.cases if case.kept is False]

    def count(self, kept: bool | None) -> int:
        """How many cases are kept, broken, or could not be measured."""
        return sum(case.kept is kept for case in self.cases)

    def seen(self, side: str) -> list[Compared]:
        """A side's comparisons, over all cases."""
        return [case.sides[side] for case in self.cases if side in case.sides]


def write_report(
    options: Options, out: Path, measured: Sequence[Measured], example: Sequence[Row], seconds: float
) -> Sequence[Path]:
    """Write everything; the page comes first in what is returned."""
    cases = [(each.promise, case) for each in measured for case in each.cases]
    tables = (
        ("promises", PROMISE_COLUMNS, [promise_row(each) for each in measured]),
        ("cases", CASE_COLUMNS, [_case_row(*each) for each in cases]),
        ("comparisons", COMPARISON_COLUMNS, [row for each in cases for row in _comparison_rows(*each)]),
        ("example", EXAMPLE_COLUMNS, example),
    )
    written = [write_table(out / f"{name}.csv", columns, rows) for name, columns, rows in tables]
    return [write_text(out / "README.md", _page(options, measured, example, seconds)), *written]


def promise_row(each: Measured) -> dict[str, Any]:
    """One row of promises.csv; of a broken promise with what the first broken case says."""
    first = next(iter(each.broken), None)
    row = vars(each.promise) | {
        "dataset": DATASET,
        "promise": each.promise.key,
        "in_package": each.in_package,
        "kept": _KEPT[each.kept],
        "cases": len(each.cases),
        "cases_kept": each.count(True),
        "cases_not_measured": each.count(None),
        "found": f"{first.name}: {first.remark}" if first else "",
        **_failed(first.failed if first else {}),
    }
    for side in SIDES:
        seen = [found.status for found in each.seen(side)]
        row |= {side: "; ".join(sorted({*map(str, seen)})), f"{side}_exact": seen.count(Status.EXACT) if seen else None}
    return row


def _case_row(promise: Promise, case: Trial) -> dict[str, Any]:
    named = {"dataset": DATASET, "promise": promise.key, "case": case.name}
    return vars(case) | named | {"kept": _KEPT[case.kept], **_failed(case.failed)}


def _comparison_rows(promise: Promise, case: Trial) -> Iterator[dict[str, Any]]:
    """Every side beside the baseline."""
    for side, found in case.sides.items():
        named = {"dataset": DATASET, "promise": promise.key, "case": case.name, "baseline": case.baseline, "side": side}
        yield vars(found) | named | {"status": str(found.status), **_failed(found.failed)}


def _failed(failed: Mapping[str, Any]) -> dict[str, str]:
    return {name: _first_line(failed.get(name, "")) for name in ERROR}


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _page(options: Options, measured: Sequence[Measured], example: Sequence[Row], seconds: float) -> str:
    also = "" if options.quick else ". `--quick` is the same: the study is short"
    used = map(backend, ("spikingjelly", *OTHERS))
    return page(
        "spikingjelly_exchange",
        measured=measured,
        kept=Counter(_KEPT[each.kept] for each in measured),
        cases=[case for each in measured for case in each.cases],
        steps=STEPS, batch=BATCH, dt=f"{DT:g}",
        broken=[_broken(each) for each in measured if each.kept is False],
        not_measured=[(each, case) for each in measured for case in each.cases if case.kept is None],
        directions=[_direction(each, measured) for each in dict.fromkeys(promise.direction for promise in PROMISES)],
        departures=_departures(measured),
        elsewhere=_elsewhere(measured),
        example=[_variant(each, example) for each in dict.fromkeys(row["variant"] for row in example)],
        made="\n".join(how_made(options.command, seconds, used=used, also=also)),
    )  # fmt: skip


def _broken(each: Measured) -> Sequence[Any]:
    said: dict[str, list[str]] = {}
    for case in each.broken:
        message = _first_line(case.failed.get("error_message", ""))
        raised = f": {case.failed['error_type']}: {message} ({case.failed['error_at']})" if message else ""
        said.setdefault(f"{case.remark}{raised}", []).append(case.name)
    promise = each.promise
    quoted = "" if promise.says == promise.subject else f": “{promise.says}”"
    return (
        f"{promise.subject}{quoted}", f"{promise.place}, {promise.version}", _of(each),
        "<br>".join(f"**{'; '.join(names)}**: {words}" for words, names in said.items()),
    )  # fmt: skip


def _of(each: Measured) -> str:
    return f"{each.count(True)} of {len(each.cases)}"


def _direction(direction: str, measured: Sequence[Measured]) -> tuple[str, Sequence[str], list[Sequence[str]]]:
    """A table of the promises that are about one thing, with a column for each side that there is."""
    mine = [each for each in measured if each.promise.direction == direction]
    sides = [side for side in SIDES if any(each.seen(side) for each in mine)]
    heads = ("promise", "kept", "cases", *(side.replace("_", " ") for side in sides))
    shown = [(each, [_exact(each.seen(side)) for side in sides]) for each in mine]
    return direction, heads, [(each.promise.subject, _KEPT[each.kept], _of(each), *exact) for each, exact in shown]


def _exact(seen: Sequence[Compared]) -> str:
    others = ", ".join(sorted({str(found.status) for found in seen} - {str(Status.EXACT)}))
    exact = sum(found.status is Status.EXACT for found in seen)
    return (f"{exact} of {len(seen)}" + (f"; {others}" if others else "")) if seen else ""


def _variant(name: str, example: Sequence[Row]) -> Row:
    rows = [row for row in example if row["variant"] == name]
    same = [row["same"] for row in rows if row["same"] is not None]
    others = [(row["step"], row["printed"], row["today"]) for row in rows if not row["same"]]
    failed = next((row for row in rows if row["error_type"]), None)
    return {"name": name, "failed": failed, "same": sum(same), "printed": len(same), "others": others}


def _departures(measured: Sequence[Measured]) -> list[Sequence[str]]:
    """Where the reference and the original module part, and what ends that; what both step modes say is said once."""
    found = ((name, case.sides[REFERENCE]) for name, case in _named(measured) if REFERENCE in case.sides)
    parted = ((name, side) for name, side in found if side.status not in (Status.EXACT, Status.VACUOUS))
    return list(dict.fromkeys((*name, side.words, side.under or "not explained") for name, side in parted))


def _elsewhere(measured: Sequence[Measured]) -> list[Sequence[str]]:
    """Where the other libraries run a graph and give other spikes."""
    rows: dict[Sequence[str], None] = {}
    for name, case in _named(measured):
        there = [case.sides[library] for library in OTHERS if library in case.sides]
        if any(one.status in (Status.MISMATCH, Status.ROUNDING) for one in there):
            rows[(*name, *(one.words for one in there))] = None
    return list(rows)


def _named(measured: Sequence[Measured]) -> Iterator[tuple[tuple[str, str], Trial]]:
    for each in measured:
        for case in each.cases:
            yield (each.promise.key, case.name.removesuffix(", single-step").removesuffix(", multi-step")), case
