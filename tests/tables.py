"""Tables as they lie in a folder."""

from __future__ import annotations

import csv
from pathlib import Path


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of ``name.csv``, every value as it is written."""
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
