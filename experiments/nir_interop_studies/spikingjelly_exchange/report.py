"""The study's folder: tables, and a page that is written from the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import backend
from nir_interop.vocabulary import Status
from nir_interop_studies.common import Options, markdown_table, write_table, write_text
from nir_interop_studies.provenance import how_made
from nir_interop_studies.spikingjelly_exchange.bench import BATCH, DATASET, DT, OTHERS, REFERENCE, SIDES, STEPS, Case, Compared
from nir_interop_studies.spikingjelly_exchange.promises import Direction, Promise

Row = Mapping[str, Any]

ERROR = ("error_type", "error_message", "error_at")
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
_BETTER = (Status.EXACT, Status.VACUOUS)


@dataclass(frozen=True)
class Measured:
    """A promise with its cases.

    in_package : whether the installed package states it too; None where only the documentation is quoted
    """

    promise: Promise
    cases: Sequence[Case]
    in_package: bool | None = None

    @property
    def kept(self) -> bool | None:
        """Every case that could be measured is; None where none could."""
        verdicts = {case.kept for case in self.cases}
        return False if False in verdicts or not verdicts else (True if True in verdicts else None)

    @property
    def first(self) -> Case | None:
        """The first case that speaks against it."""
        return next((case for case in self.cases if case.kept is False), None)

    def seen(self, side: str) -> list[Compared]:
        """A side's comparisons, over all cases."""
        return [case.sides[side] for case in self.cases if side in case.sides]

    def worst(self, side: str) -> str:
        """How a side did: its status where that is one, else all of them, each once."""
        return "; ".join(sorted({str(found.status) for found in self.seen(side)}))


def write_report(
    options: Options, out: Path, measured: Sequence[Measured], example: Sequence[Row], seconds: float
) -> Sequence[Path]:
    """Write everything; the page comes first in what is returned."""
    tables = (
        ("promises", PROMISE_COLUMNS, [promise_row(each) for each in measured]),
        ("cases", CASE_COLUMNS, [row for each in measured for row in case_rows(each)]),
        ("comparisons", COMPARISON_COLUMNS, [row for each in measured for row in comparison_rows(each)]),
        ("example", EXAMPLE_COLUMNS, example),
    )
    written = [write_table(out / f"{name}.csv", columns, rows) for name, columns, rows in tables]
    page = "\n".join(_page(options, measured, example, seconds)) + "\n"
    return [write_text(out / "README.md", page), *written]


def promise_row(each: Measured) -> dict[str, Any]:
    """One row of promises.csv; of a broken promise with what the first broken case says."""
    promise, first = each.promise, each.first
    row = {
        "dataset": DATASET,
        "promise": promise.key,
        "direction": promise.direction.value,
        "subject": promise.subject,
        "says": promise.says,
        "place": promise.place.value,
        "version": promise.version,
        "in_package": each.in_package,
        "kept": _KEPT[each.kept],
        "cases": len(each.cases),
        "cases_kept": sum(case.kept is True for case in each.cases),
        "cases_not_measured": sum(case.kept is None for case in each.cases),
        "found": f"{first.name}: {first.remark}" if first else "",
        **_failed(first.failed if first else {}),
    }
    for side in SIDES:
        seen = each.seen(side)
        row |= {side: each.worst(side), f"{side}_exact": sum(one.status is Status.EXACT for one in seen) if seen else None}
    return row


def case_rows(each: Measured) -> Iterator[dict[str, Any]]:
    """Rows of cases.csv."""
    for case in each.cases:
        yield {
            "dataset": DATASET, "promise": each.promise.key, "case": case.name, "kept": _KEPT[case.kept],
            "baseline": case.baseline, "remark": case.remark, **_failed(case.failed),
        }  # fmt: skip


def comparison_rows(each: Measured) -> Iterator[dict[str, Any]]:
    """Rows of comparisons.csv: of every case, every side beside the baseline."""
    for case in each.cases:
        for side, found in case.sides.items():
            yield {
                "dataset": DATASET, "promise": each.promise.key, "case": case.name, "baseline": case.baseline, "side": side,
                "status": str(found.status), "spikes_baseline": found.spikes_baseline, "spikes": found.spikes,
                "outputs": found.outputs, "mismatched": found.mismatched, "first_step": found.first_step, "under": found.under,
                **_failed(found.failed),
            }  # fmt: skip


def _failed(failed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _first_line(failed.get(name, "")) for name in ERROR}


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _page(options: Options, measured: Sequence[Measured], example: Sequence[Row], seconds: float) -> Iterator[str]:
    count = {kept: sum(each.kept is kept for each in measured) for kept in (True, False, None)}
    cases = [case for each in measured for case in each.cases]
    yield "# spikingjelly_exchange: every promise of SpikingJelly's exchange with NIR"
    yield ""
    yield f"**{len(measured)} promises: {count[True]} kept, {count[False]} broken, {count[None]} not measured here**"
    yield f"({sum(case.kept is True for case in cases)} of {len(cases)} cases kept)."
    yield ""
    yield f"Data: none; seeded random input ({STEPS} steps, {BATCH} samples, dt = {DT:g} s unless a case says otherwise) and"
    yield "Gaussian weights. What SpikingJelly states is quoted with its place; whether it is so is measured. A promise to"
    yield "convert is kept where the module in both step modes gives what it is to give, spike for spike: after an export what"
    yield "the original module gives, after an import of a NIR node what the reference gives. The reference is NIR's meaning in"
    yield "steps: forward Euler, all states start at 0, what a cycle's waiting edge carries has answered to silence before the"
    yield "first step; NIR itself states neither of the last two. One case breaks a promise; the others are in cases.csv."
    yield ""
    yield "## Broken"
    yield ""
    yield "In brackets: where it was raised, which need not be where the fault is."
    yield ""
    broken = [each for each in measured if each.kept is False]
    yield from markdown_table(("promise", "place", "kept", "the cases that are not"), (_broken(each) for each in broken))
    yield ""
    open_cases = [(each, case) for each in measured for case in each.cases if case.kept is None]
    if open_cases:
        yield "Not measured:"
        yield ""
        yield from (f"- {each.promise.subject}, {case.name}: {case.remark}" for each, case in open_cases)
        yield ""
    yield "## All promises"
    yield ""
    yield "Of each side, how many of the cases are exact; where not all are, what else there is."
    for direction in Direction:
        yield ""
        yield f"### {direction.value[0].upper()}{direction.value[1:]}"
        yield ""
        yield from _promises([each for each in measured if each.promise.direction is direction])
    yield ""
    yield from _departures(measured)
    yield "## The documentation's example"
    yield ""
    yield "Conv2d(3, 16, 3, padding 1) · IFNode · AvgPool2d 2 · Flatten · Linear(4096, 10) ·"
    yield "ParametricLIFNode(10, decay_input=False), weights as torch initialises them. The tutorial's first edition has"
    yield "v_reset=None, the present one v_reset=0.0; beside a change of the first edition's network stands what that edition"
    yield "prints."
    yield ""
    yield from _example(example)
    also = "" if options.quick else ". `--quick` is the same: the study is short"
    yield from how_made(options.command, seconds, used=map(backend, ("spikingjelly", *OTHERS)), also=also)


def _broken(each: Measured) -> Sequence[Any]:
    said: dict[str, list[str]] = {}
    for case in each.cases:
        if case.kept is False:
            message = _first_line(case.failed.get("error_message", ""))
            raised = f": {case.failed['error_type']}: {message} ({case.failed['error_at']})" if message else ""
            said.setdefault(f"{case.remark}{raised}", []).append(case.name)
    promise = each.promise
    quoted = "" if promise.says == promise.subject else f": “{promise.says}”"
    kept = sum(case.kept is True for case in each.cases)
    return (
        f"{promise.subject}{quoted}", f"{promise.place.value}, {promise.version}", f"{kept} of {len(each.cases)}",
        "<br>".join(f"**{'; '.join(names)}**: {words}" for words, names in said.items()),
    )  # fmt: skip


def _promises(measured: Sequence[Measured]) -> Iterator[str]:
    sides = [side for side in SIDES if any(each.seen(side) for each in measured)]
    heads = ("promise", "kept", "cases", *(side.replace("_", " ") for side in sides))
    rows = []
    for each in measured:
        kept = sum(case.kept is True for case in each.cases)
        rows.append(
            (
                each.promise.subject,
                _KEPT[each.kept],
                f"{kept} of {len(each.cases)}",
                *(_side(each.seen(side)) for side in sides),
            )
        )
    yield from markdown_table(heads, rows)


def _side(seen: Sequence[Compared]) -> str:
    if not seen:
        return ""
    exact = sum(found.status is Status.EXACT for found in seen)
    other = sorted({str(found.status) for found in seen if found.status is not Status.EXACT})
    return f"{exact} of {len(seen)}" + (f"; {', '.join(other)}" if other else "")


def _departures(measured: Sequence[Measured]) -> Iterator[str]:
    """Where the reference and the original module part, and what ends that; where the other libraries run and part."""
    rows: dict[Sequence[str], None] = {}
    others: dict[Sequence[str], None] = {}
    for each in measured:
        for case in each.cases:
            where = (each.promise.key, case.name.removesuffix(", single-step").removesuffix(", multi-step"))
            found = case.sides.get(REFERENCE)
            if found is not None and found.status not in _BETTER:
                rows[(*where, found.words, found.under or "not explained")] = None
            there = [case.sides[name] for name in OTHERS if name in case.sides]
            if any(one.status in (Status.MISMATCH, Status.ROUNDING) for one in there):
                others[(*where, *(one.words for one in there))] = None
    if rows:
        yield "Where the reference departs from the original module, and the change of its rule with which it does not:"
        yield ""
        yield from markdown_table(("promise", "case", "outputs", "the reference agrees with"), rows)
        yield ""
    if others:
        yield "Where the other libraries run a graph and give other spikes (by rounding: a replay shows nothing else):"
        yield ""
        yield from markdown_table(("promise", "case", *OTHERS), others)
        yield ""


def _example(example: Sequence[Row]) -> Iterator[str]:
    for variant in dict.fromkeys(row["variant"] for row in example):
        rows = [row for row in example if row["variant"] == variant]
        failed = next((row for row in rows if row["error_type"]), None)
        yield f"### {variant}"
        yield ""
        if failed is not None:
            yield f"{failed['step']} raises {failed['error_type']}: {failed['error_message']} ({failed['error_at']})"
            yield ""
            continue
        printed = [row for row in rows if row["same"] is not None]
        yield f"It runs from start to end; {sum(row['same'] for row in printed)} of {len(printed)} answers are as printed."
        shown = [row for row in rows if not row["same"]]
        if shown:
            yield ""
            yield from markdown_table(
                ("other answers", "printed", "today"), ((row["step"], row["printed"], row["today"]) for row in shown)
            )
        yield ""
