"""Writing and reading tables.

A table is CSV in UTF-8 with ``\\n`` line ends; an empty cell says that there is no value, ``true`` and ``false`` are flags, and
reals have nine digits.  A text that a spreadsheet would run, because it begins with ``= + - @``, a tab or a line's end, is
written with an apostrophe before it, and so is one that begins with an apostrophe; :func:`read_table` takes it off again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import operator
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.errors import BadData
from nir_interop.printable import listed, shown
from nir_interop.schema.columns import Column, Kind, Table

if TYPE_CHECKING:
    import pandas as pd

_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the first four in full width, which some locales take for them."""
_OLD = 3600.0
"""Seconds after which a draft is nobody's any more."""


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], schema: Table) -> None:
    """Sort rows by the table's key, check them, and write them so that a reader finds the old file or the new one.

    rows : column → value; None, NaN or no entry for no value.  An empty text is no value.
        What UTF-8 or CSV cannot hold (lone surrogates, NUL) is written as a backslash escape.

    Raises BadData where a row does not fit.
    """
    formatted = []
    for number, row in enumerate(rows, start=1):
        unknown = sorted(set(row) - set(schema.names))
        if unknown:
            raise BadData(f"{path.name}, row {number}: {schema.name} has no column {', '.join(unknown)}")
        cells = [_format(row.get(column.name), column, f"{path.name}, row {number}") for column in schema.columns]
        formatted.append((_sort_key(cells, schema), cells))
    body = [cells for _, cells in sorted(formatted)]
    kept = [at for at, column in enumerate(schema.columns) if not column.optional or any(cells[at] for cells in body)]
    lines = [[cells[at] for at in kept] for cells in (schema.names, *body)]
    text = "".join(",".join(map(_quote, line)) + "\n" for line in lines)
    _parse(text, schema, path.name)

    write_text(path, text)


def write_text(path: Path, text: str) -> Path:
    """Write a text in UTF-8 so that a reader finds the old file or the new one, whatever is killed; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(text.encode())
        os.replace(draft, path)
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
    finally:
        draft.unlink(missing_ok=True)
    for old in path.parent.glob(f".{path.name}.*"):  # of runs that were killed
        with contextlib.suppress(OSError):
            if old.suffix[1:].isdigit() and time.time() - old.stat().st_mtime > _OLD:
                old.unlink()
    return path


def read_table(path: Path, schema: Table) -> pd.DataFrame:
    """Read what :func:`write_table` wrote: texts as str with NaN, integers as Int64, flags as boolean, reals as float64.

    Raises BadData, in one line, where the file cannot be read or does not fit.
    """
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: cannot be read ({error}); write it with nir-interop matrix") from error
    return _parse(text, schema, str(path))


def _sort_key(cells: Sequence[str], schema: Table) -> tuple[Any, ...]:
    key = []
    for column, cell in zip(schema.columns, cells, strict=True):
        if column.name in schema.key:
            value: Any = cell if column.kind is Kind.TEXT or not cell else float(cell)
            key.append((schema.key.index(column.name), (bool(cell), value)))
    return tuple(entry for _, entry in sorted(key))


def _format(value: Any, column: Column, where: str) -> str:
    """A value as the text of its cell."""
    import pandas as pd

    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return ""
    try:
        if column.kind is Kind.TEXT:
            if not isinstance(value, str):
                raise TypeError
            text = str(value).encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
            return f"'{text}" if text.startswith(_RUN_BY_SPREADSHEETS) else text
        if pd.api.types.is_bool(value) is not (column.kind is Kind.FLAG):
            raise TypeError
        if column.kind is Kind.FLAG:
            return "true" if value else "false"
        if column.kind is Kind.INTEGER:
            return str(operator.index(value))
        return f"{float(value) + 0.0:.9g}"
    except (TypeError, ValueError) as error:
        raise BadData(f"{where}: {column.name} takes {column.kind.name.lower()}, not {value!r}") from error


def _quote(cell: str) -> str:
    """A cell as RFC 4180 wants it; the csv module leaves a lone return unquoted."""
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in ',"\r\n') else cell


def _parse(text: str, schema: Table, where: str) -> pd.DataFrame:
    """CSV text as a checked DataFrame."""
    import pandas as pd
    import pandera.errors

    try:
        header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError) as error:
        raise BadData(f"{where}: not a table ({error}); write it with nir-interop matrix") from error
    if not schema.holds(header):
        raise BadData(f"{where}: {_columns_that_differ(header, schema)}; write it with nir-interop matrix")
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise BadData(f"{where}, row {number}: {len(line)} cells in {len(header)} columns")
    cells = dict(zip(header, zip(*lines, strict=True) if lines else [()] * len(header), strict=True))
    nothing = [""] * len(lines)  # of a column that the file was written without
    frame = pd.DataFrame(
        {column.name: _column(list(cells.get(column.name, nothing)), column, where) for column in schema.columns}
    )
    try:
        return schema.pandera().validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        raise BadData(f"{where}: {_first_failure(error.failure_cases)}") from error


def _integer(cell: str) -> int:
    """A whole number of 64 bits.  Raises ValueError for any other text."""
    if not -(2**63) <= (number := int(cell)) < 2**63:
        raise ValueError(cell)
    return number


_READERS: Mapping[Kind, Callable[[str], Any]] = {
    Kind.INTEGER: _integer,
    Kind.REAL: float,
    Kind.FLAG: {"true": True, "false": False}.__getitem__,
}


def _column(cells: list[str], column: Column, where: str) -> pd.Series[Any]:
    import pandas as pd

    if column.kind is Kind.TEXT:
        return pd.Series([cell.removeprefix("'") or None for cell in cells], dtype="str")
    convert = _READERS[column.kind]
    values: list[Any] = []
    for number, cell in enumerate(cells, start=1):
        try:
            values.append(convert(cell) if cell else None)
        except (ValueError, KeyError) as error:
            raise BadData(
                f"{where}, row {number}: {column.name} takes {column.kind.name.lower()}, not {shown(cell)}"
            ) from error
    series: pd.Series[Any] = pd.Series(values, dtype=column.kind.value)
    return series


def _columns_that_differ(header: Sequence[str], schema: Table) -> str:
    missing = [column.name for column in schema.columns if not column.optional and column.name not in header]
    unknown = [name for name in header if name not in schema.names]
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    parts += [f"has no use for {listed(map(shown, unknown))}"] if unknown else []
    return f"{schema.name} " + (" and ".join(parts) if parts else "has its columns in another order or twice")


def _first_failure(failures: pd.DataFrame) -> str:
    """The first of pandera's failures as one line."""
    first = failures.iloc[0]
    row = "" if first["index"] is None else f", row {int(first['index']) + 1}"
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return f"column {first['column']}{row}: {shown(first['failure_case'])} does not fit: {first['check']}{more}"
