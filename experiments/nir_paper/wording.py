"""How the page writes numbers and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]


def share(row: Row) -> str:
    """An accuracy with its interval and the number of samples."""
    low, high = row["accuracy_low"], row["accuracy_high"]
    return f"{100 * row['accuracy']:.2f} % ({100 * low:.2f}–{100 * high:.2f}, n = {row['samples']})"


def cosine(value: float | None) -> str | None:
    """A cosine to four digits."""
    return None if value is None else f"{value:.4f}"


def small(value: float | None) -> str | None:
    """A gap to two digits."""
    return None if value is None else f"{value:.2g}"


def shortened(message: str, most: int = 90) -> str:
    """A message that fits a table."""
    return message if len(message) <= most else message[: most - 1] + "…"


def merged(rows: Iterable[Sequence[Any]], place: int) -> list[Sequence[Any]]:
    """Rows that differ in one place only as one row, with all that stood there."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for row in rows:
        found.setdefault((*row[:place], *row[place + 1 :]), []).append(str(row[place]))
    return [(*rest[:place], ", ".join(there), *rest[place:]) for rest, there in found.items()]
