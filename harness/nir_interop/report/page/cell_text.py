"""A cell's outcome in sentences, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nir_interop.report.tables import is_silent
from nir_interop.schema import SEPARATOR
from nir_interop.vocabulary import CONTINUOUS, Blame, Cause, Mode, Stage, Status

Row = Mapping[str, Any]


def headline(row: Row) -> str:
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
        return f"{importer} ends with {words(status)}{said}{_word(row)}."
    lost = row["accuracy_delta"]
    cost = f" Accuracy goes from {row['accuracy_source']:.2f} to {row['accuracy_target']:.2f}." if lost is not None else ""
    return f"{_differ(row)} from what {exporter} computed{_word(row)}.{cost}"


def blame(row: Row) -> str:
    """Who is to blame, in a sentence; empty where there is nothing to blame."""
    if not row["blame"] or row["blame"] == Blame.NONE:
        return ""
    one = Blame(row["blame"])
    who = {Blame.EXPORTER: row["exporter"], Blame.BUILDER: row["exporter"], Blame.IMPORTER: row["importer"]}.get(one)
    if one is Blame.UNEXPLAINED:
        return "Blame: not known."
    named = f"{one} ({who})" if who else str(one)
    return f"Blame: {named} — {one.meaning}."


def why(row: Row) -> str:
    """The causes of a row, each with its meaning."""
    return "; ".join(f"{each} ({Cause(each).meaning})" for each in causes(row))


def causes(row: Row) -> list[str]:
    """The causes of a row, the one that repairs most outputs first."""
    return str(row["causes"]).split(SEPARATOR) if row["causes"] else []


def remedy(row: Row, after: Row | None) -> str:
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
    return f"Not reconciled: still {words(Status(after['status']))}.{tried}"


def machine(environment: Mapping[str, Any]) -> str:
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


def words(status: Status) -> str:
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
