"""How the page writes numbers and rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nir_interop_studies.nir_paper import substitute_networks as own

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]


DATASETS = {
    "nmnist": "N-MNIST",
    "digits-events": "the embedded digits of scikit-learn as events, not N-MNIST",
    "braille": "Braille letters of the pool that the network was trained on",
}
"""Data set → what the page calls it."""

PUBLISHED = {"cnn": "cnn", own.CNN: "", "braille": "bias, reset to zero", own.RECURRENT: ""}
"""Task → its network among the published accuracies, in the order of the page."""

_TITLES = {
    "cnn": "N-MNIST",
    own.CNN: "A convolutional network of our own, on digits as events",
    "braille": "Braille",
    own.RECURRENT: "A recurrent network of our own, on digits as events",
}


def title(tables: Rows, task: str) -> str:
    """What the page calls a task; the published network for N-MNIST may have been fed something else."""
    rows = tables.get(task, ())
    elsewhere = task == "cnn" and rows and rows[0]["dataset"] != "nmnist"
    return "The network for N-MNIST, on digits as events" if elsewhere else _TITLES[task]


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
