"""The small table at the end of a run: how often each importer computed what each exporter meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from harness.vocabulary import Status

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]

SHORT = {"rounding": "round", "mismatch": "differ", "refused": "refuse", "errors": "error"}
"""Column heads that leave room for the names on a terminal of 80 columns."""
COLUMNS = ("exact", "rounding", "mismatch", "silent", "other", "refused", "errors")
"""``silent``: the mismatches about which the library said nothing, counted among the mismatches too;
``other``: vacuous, unstable, and outputs of the wrong shape."""


def headline(rows: Iterable[Row]) -> list[Row]:
    """The cells that count: those imported at the step of their export, and failed exports."""
    return [row for row in rows if not row["importer"] or row["dt_import"] == row["dt_export"]]


def summary(rows: Iterable[Row]) -> dict[tuple[str, str], Counter[str]]:
    """(exporter, importer) → counts of COLUMNS over the headline cells; importer '' stands for a failed export."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in headline(rows):
        count = counts.setdefault((row["exporter"], row["importer"] or ""), Counter())
        status = Status(row["status"])
        count[_column(status)] += 1
        if is_silent(row):
            count["silent"] += 1
    return dict(sorted(counts.items()))


def is_silent(row: Row) -> bool:
    """Whether a wrong answer came without a word: the worst outcome there is."""
    wrong = row["status"] in (Status.MISMATCH, Status.WRONG_SHAPE, Status.UNSTABLE)
    return wrong and row["warned"] in (False, "false")


def _column(status: Status) -> str:
    if status in (Status.EXACT, Status.ROUNDING, Status.MISMATCH, Status.REFUSED):
        return str(status)
    return "errors" if status.is_error else "other"


def summary_table(rows: Iterable[Row]) -> Table:
    """The summary, to be printed with rich."""
    from rich import box
    from rich.table import Table

    title = "cells imported at the step they were exported for"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("exporter", "importer", *(SHORT.get(column, column) for column in COLUMNS)):
        table.add_column(name, justify="left" if name.endswith("porter") else "right", no_wrap=True)
    for (exporter, importer), count in summary(rows).items():
        table.add_row(exporter, importer or "(no graph)", *(str(count[column] or "·") for column in COLUMNS))
    return table
