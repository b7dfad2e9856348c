"""What SpikingJelly states about its exchange with NIR, and where; ``promises.csv`` holds it, whether it is so is measured."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Promise:
    """One statement, a row of ``promises.csv``.

    key : in tables, and of what measures it
    direction : what it is about
    subject : the module, node or argument
    says : SpikingJelly's own words, of a list the entry
    place : where it is stated
    version : whose documentation that is: 2.0.0, or 0.0.0.1.0, which came with the first edition of the tutorial
    found : text that the installed package holds where it states the same; empty where only the documentation does
    """

    key: str
    direction: str
    subject: str
    says: str
    place: str
    version: str
    found: str


def read_rows(name: str) -> list[dict[str, str]]:
    """A table that comes with the study."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _promise(row: dict[str, str]) -> Promise:
    docstring = row["place"].startswith("docstring")
    return Promise(**row | ({"found": row["says"]} if docstring else {}))


PROMISES = tuple(map(_promise, read_rows("promises.csv")))
"""In the order of the page."""
