"""The small table at the end of a run: how often each importer computed what each exporter meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nir_interop.vocabulary import CONTINUOUS, Blame, Mode, Status

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]

SHORT = {"reconciled": "after", "rounding": "round", "mismatch": "differ", "refused": "refuse", "errors": "error"}
"""Column heads that leave room for the names on a terminal of 80 columns."""
COLUMNS = ("exact", "reconciled", "rounding", "mismatch", "silent", "other", "refused", "errors")
"""``reconciled``: exact or rounding, as they are or once reconciled;
``silent``: the wrong answers of :func:`is_silent`, counted among ``mismatch`` or ``other`` too;
``other``: vacuous, unstable, and outputs of the wrong shape."""


def headline(rows: Iterable[Row]) -> list[Row]:
    """The cells that count, of either mode: those imported at the step of their export, and failed exports."""
    return [row for row in rows if not row["importer"] or row["dt_import"] == row["dt_export"]]


def natively(rows: Iterable[Row]) -> list[Row]:
    """The cells as the libraries leave them."""
    return [row for row in rows if row["mode"] == Mode.NATIVE]


def reconciliation(rows: Sequence[Row]) -> dict[str, int]:
    """How far reconciling comes, over every cell that differs but those that a setting made differ, and the vacuous ones.

    ``differ``: how many there are; ``reconciled``: how many become exact or rounding; ``allowed``: how many of them nothing
    forbids, which those that are reconciled are counted among
    """
    differ = [
        row
        for row in natively(rows)
        if row["importer"]
        and not (row["blame"] and Blame(row["blame"]).of_setting)
        and not Status(row["status"]).agrees
        and row["status"] not in (Status.VACUOUS, Status.ENV_MISSING)
    ]
    after = {_place(row): row for row in rows if row["mode"] == Mode.RECONCILED}
    found = Counter(differ=len(differ), reconciled=0, allowed=0)
    for row in differ:
        other = after.get(_place(row))
        right = other is not None and Status(other["status"]).agrees
        forbidden = other["forbidden"] if other is not None else row["causes"]
        found["reconciled"] += right
        found["allowed"] += right or not forbidden
    return dict(found)


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("network", "idiom", "exporter", "importer", "dt_export", "dt_import", "seed"))


def summary(rows: Iterable[Row]) -> dict[tuple[str, str], Counter[str]]:
    """(exporter, importer) → counts of COLUMNS over the headline cells; importer '' stands for a failed export."""
    rows = headline(rows)
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        if row["mode"] == Mode.RECONCILED:
            counts.setdefault((row["exporter"], row["importer"]), Counter())["reconciled"] += Status(row["status"]).agrees
    for row in natively(rows):
        count = counts.setdefault((row["exporter"], row["importer"] or ""), Counter())
        status = Status(row["status"])
        count[_column(status)] += 1
        count["reconciled"] += status.agrees
        if is_silent(row):
            count["silent"] += 1
    return dict(sorted(counts.items()))


def is_silent(row: Row) -> bool:
    """Whether a library gave a wrong answer without a word: the worst outcome there is.

    ``exact`` is no library but the yardstick: it solves the equations in continuous time, and how far it is from steps is
    what steps cost.  The tables, the pages and the comparison of two runs count by this.
    """
    wrong = row["status"] in (Status.MISMATCH, Status.WRONG_SHAPE, Status.UNSTABLE)
    return wrong and row["importer"] != CONTINUOUS and row["warned"] in (False, "false")


def _column(status: Status) -> str:
    if status in (Status.EXACT, Status.ROUNDING, Status.MISMATCH, Status.REFUSED):
        return str(status)
    return "errors" if status.is_error else "other"


def summary_table(rows: Iterable[Row]) -> Table:
    """The summary, to be printed with rich."""
    from rich import box
    from rich.table import Table

    title = "cells imported at the step they were exported for (after: once reconciled)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for name in ("exporter", "importer", *(SHORT.get(column, column) for column in COLUMNS)):
        named = name.endswith("porter")  # a long name is folded, a number never
        table.add_column(name, justify="left" if named else "right", no_wrap=not named, overflow="fold")
    for (exporter, importer), count in summary(rows).items():
        table.add_row(exporter, importer or "(no graph)", *(str(count[column] or "·") for column in COLUMNS))
    return table
