"""Rows of report.csv: which of them count, what an outcome is worth, and how it is told in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.schema import SEPARATOR, Table, read_table
from nir_interop.vocabulary import CONTINUOUS, Blame, Cause, Mode, Stage, Status

if TYPE_CHECKING:
    from rich.table import Table as RichTable

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


def summary_table(rows: Iterable[Row]) -> RichTable:
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


def outcome_text(row: Row) -> str:
    """How a cell ended, in a sentence."""
    status, exporter, importer = Status(row["status"]), row["exporter"], row["importer"]
    if not importer:
        what = "declined to write" if status is Status.REFUSED else "gave no graph for"
        return f"{exporter} {what} {row['network']}: {_failure(row, status)}."
    if status is Status.EXACT:
        return f"{importer} computes what {exporter} computed: {row['outputs']:,} outputs, all the same."
    if status is Status.ROUNDING:
        return f"{_differ(row)}, by float rounding at the threshold alone; proven by replay."
    if status is Status.REFUSED:
        return f"{importer} declines the graph: {_failure(row, status)}."
    if status.is_error or status is Status.VACUOUS or row["mismatched"] is None:
        said = f": {_failure(row, status)}" if status.is_error or status is Status.UNSTABLE else f" ({status.meaning})"
        return f"{importer} ends with {status_text(status)}{said}{_word(row)}."
    lost = row["accuracy_delta"]
    cost = f" Accuracy goes from {row['accuracy_source']:.2f} to {row['accuracy_target']:.2f}." if lost is not None else ""
    return f"{_differ(row)} from what {exporter} computed{_word(row)}.{cost}"


def blame_text(row: Row) -> str:
    """Who is to blame, in a sentence; empty where there is nothing to blame."""
    if not row["blame"] or row["blame"] == Blame.NONE:
        return ""
    one = Blame(row["blame"])
    who = {Blame.EXPORTER: row["exporter"], Blame.BUILDER: row["exporter"], Blame.IMPORTER: row["importer"]}.get(one)
    if one is Blame.UNEXPLAINED:
        return "Blame: not known."
    named = f"{one} ({who})" if who else str(one)
    return f"Blame: {named} — {one.meaning}."


def causes_text(row: Row) -> str:
    """The causes of a row, each with its meaning."""
    return "; ".join(f"{each} ({Cause(each).meaning})" for each in causes(row))


def causes(row: Row) -> list[str]:
    """The causes of a row, the one that repairs most outputs first."""
    return str(row["causes"]).split(SEPARATOR) if row["causes"] else []


def remedy_text(row: Row, after: Row | None) -> str:
    """What reconciling comes to, in a sentence."""
    if row["mode"] != Mode.NATIVE or Status(row["status"]).agrees:
        return ""
    if not row["importer"]:
        return "There is no graph to rewrite."
    if after is None:
        return (
            "Not rewritten: the importer solves the equations themselves."
            if row["importer"] == CONTINUOUS
            else "Not rewritten."
        )
    passes = ", ".join(str(after["remedy"]).split(SEPARATOR)) if after["remedy"] else ""
    if Status(after["status"]).agrees:
        graph = f"The graph rewritten by {passes}" if passes else "The same graph"
        return f"{graph} gives the source's outputs ({after['status']})."
    if after["forbidden"]:
        return f"No graph rewrite can repair this: {', '.join(str(after['forbidden']).split(SEPARATOR))}."
    tried = f" Tried: {passes}." if passes else ""
    return f"Not reconciled: still {status_text(Status(after['status']))}.{tried}"


def machine_text(environment: Mapping[str, Any]) -> str:
    """What environment.json says of a machine; an older one knows neither its processor nor its memory."""
    cores, threads = environment.get("cores"), environment.get("cpus")
    memory = environment.get("memory_gib")
    parts = (
        environment.get("cpu") or environment.get("machine"),
        f"{cores} cores" if cores else None,
        f"{threads} threads" if threads and threads != cores else None,
        f"{memory:g} GiB" if memory else None,
    )
    return ", ".join(str(part) for part in parts if part)


def status_text(status: Status) -> str:
    """A status as words."""
    return str(status).replace("_", " ")


def _differ(row: Row) -> str:
    return f"{row['mismatched']:,} of {row['outputs']:,} outputs ({row['mismatch_rate']:.1%}) differ"


def _word(row: Row) -> str:
    if is_silent(row):
        return f", and {row['importer']} gave no warning"
    return ", and it warned" if row["warned"] and not Status(row["status"]).is_error else ""


def _failure(row: Row, status: Status) -> str:
    said = ": ".join(str(text) for text in (row["error_type"], row["error_message"]) if text)
    stage = f" ({Stage(row['stage']).meaning})" if row["stage"] else ""
    return f"{said or status.meaning}{stage}".rstrip(".")
