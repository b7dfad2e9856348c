"""What a column and a table are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandera.pandas as pa

SEPARATOR = ";"
"""Between the words of a cell that holds several."""


class Kind(Enum):
    """What a column holds; the value is the type in a DataFrame."""

    TEXT = "str"
    INTEGER = "Int64"
    REAL = "float64"
    FLAG = "boolean"


@dataclass(frozen=True)
class Column:
    """One column: its name, what it means, and what may stand in it.

    required : no cell may be empty
    unique : no two cells may be equal
    words : what a text may be; with ``several``, joined by SEPARATOR
    low, high : bounds of a number, included
    optional : a file in which it would be empty is written without it
    """

    name: str
    meaning: str
    kind: Kind = Kind.TEXT
    required: bool = False
    unique: bool = False
    words: tuple[str, ...] = ()
    several: bool = False
    low: float | None = None
    high: float | None = None
    optional: bool = False

    def pandera(self) -> pa.Column:
        """The column's contract."""
        import pandera.pandas as pa

        checks = []
        if self.low is not None:
            checks.append(pa.Check.ge(self.low))
        if self.high is not None:
            checks.append(pa.Check.le(self.high))
        if self.words:
            checks.append(pa.Check(self._knows, element_wise=True, error="no such word in the vocabulary"))
        return pa.Column(self.kind.value, checks, nullable=not self.required, unique=self.unique, coerce=True)

    def _knows(self, text: str) -> bool:
        return set(text.split(SEPARATOR) if self.several else [text]) <= set(self.words)


@dataclass(frozen=True)
class Table:
    """One table: its columns in order, and by which of them its rows are sorted (an empty cell comes first)."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    def holds(self, names: Sequence[str]) -> bool:
        """Whether a file may have these columns: all in order, but for optional ones."""
        there = [column.name for column in self.columns if not column.optional or column.name in names]
        return list(names) == there

    def pandera(self) -> pa.DataFrameSchema:
        """The table's contract: these columns, no others, in this order."""
        import pandera.pandas as pa

        columns = {column.name: column.pandera() for column in self.columns}
        return pa.DataFrameSchema(columns, name=self.name, strict=True, ordered=True, coerce=True)
