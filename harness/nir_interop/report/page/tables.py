"""The tables of a results folder as rows of plain values, and the cells of the page: native and reconciled side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nir_interop.report.tables import headline, is_silent, natively
from nir_interop.schema import Table, read_table
from nir_interop.vocabulary import CONTINUOUS, Blame, Mode, Status

Row = Mapping[str, Any]

SHOWN = (
    "cell_id", "network", "idiom", "exporter", "importer", "dt_export", "dt_import", "dt_effective", "stage", "status",
    "warned", "error_type", "error_message", "error_at", "blame", "causes", "explained", "known_issue", "spikes_source",
    "spikes_target",
    "outputs", "mismatched", "mismatch_rate", "first_step", "first_node", "best_lag", "raster_cosine", "rate_cosine",
    "accuracy_source", "accuracy_target", "accuracy_delta", "agreement", "samples", "remedy", "forbidden", "repro",
)  # fmt: skip
"""The columns of report.csv that the page carries."""

LETTERS = {
    Status.EXACT: "E",
    Status.ROUNDING: "G",
    Status.MISMATCH: "M",
    Status.WRONG_SHAPE: "W",
    Status.UNSTABLE: "U",
    Status.VACUOUS: "V",
    Status.REFUSED: "R",
    Status.EXPORT_ERROR: "X",
    Status.WRITE_ERROR: "Y",
    Status.READ_ERROR: "Z",
    Status.IMPORT_ERROR: "I",
    Status.RUN_ERROR: "N",
    Status.TIMEOUT: "T",
    Status.CRASH: "C",
    Status.ENV_MISSING: "–",
}
"""What a status is in a cell of the matrix; an exclamation mark is added to a silent wrong answer, and the letter of an
expected difference is small."""


def rows_of(folder: Path, schema: Table) -> list[dict[str, Any]]:
    """The rows of a table, None for an empty cell; no rows where there is no such file."""
    path = folder / schema.name
    if not path.exists():
        return []
    table = read_table(path, schema)
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): _plain(value) for name, value in row.items()} for row in plain.to_dict("records")]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def kind(row: Row) -> str:
    """What an outcome is worth: good, silent, wrong, declined, error or nothing; the page colours by it."""
    status = Status(row["status"])
    if status.agrees:
        return "good"
    if is_expected(row):
        return "nothing"
    if is_silent(row):
        return "silent"
    if status in (Status.MISMATCH, Status.WRONG_SHAPE, Status.UNSTABLE):
        return "wrong"
    if status is Status.REFUSED:
        return "declined"
    return "error" if status.is_error else "nothing"


def letter(row: Row) -> str:
    """What stands in the cell."""
    one = LETTERS[Status(row["status"])]
    return one.lower() if is_expected(row) else one + "!" * (kind(row) == "silent")


def is_expected(row: Row) -> bool:
    """Whether a difference is expected: the caller asked for another time step, or the reader is continuous time."""
    wrong = row["status"] in (Status.MISMATCH, Status.WRONG_SHAPE, Status.UNSTABLE)
    asked = bool(row["blame"]) and Blame(row["blame"]).of_setting
    return wrong and (asked or row["importer"] == CONTINUOUS)


def worst(rows: Sequence[Row]) -> list[Row]:
    """The silent wrong answers at the step of their export, worst first.

    By the accuracy they cost, then by the share of outputs that differ; a wrong shape, which has neither, comes after those
    that cost accuracy.
    """
    silent = [row for row in headline(natively(rows)) if is_silent(row)]
    return sorted(
        silent, key=lambda row: (min(0.0, row["accuracy_delta"] or 0.0), -(row["mismatch_rate"] or 0.0), row["cell_id"])
    )


def place(row: Row) -> str:
    """A cell without its mode: what a native row and its reconciled one share."""
    parts = str(row["cell_id"]).rsplit(".", 2)  # of a table that somebody sent there may be fewer
    return f"{parts[0]}.{parts[2]}" if len(parts) == 3 and parts[1] in [str(each) for each in Mode] else str(row["cell_id"])
