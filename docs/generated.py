"""Pages that are made from the program itself, so that they cannot say other than it does."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from command_line import cli
from docstrings import constants, markdown, summary, table

import nir_interop.rule
import nir_interop.schema.tables
import nir_interop.vocabulary
from nir_interop.graphs import NEURONS, SPIKING
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.reconcile.passes import PASSES
from nir_interop.rule import AXES, AXIS, NIR_MEANING
from nir_interop.schema import SEPARATOR, TABLES
from nir_interop.schema.columns import Column, Kind
from nir_interop.vocabulary import Word

RESULTS = Path(__file__).resolve().parents[1] / "results"
HOLDS = {Kind.TEXT: "text", Kind.INTEGER: "whole number", Kind.REAL: "number", Kind.FLAG: "`true` or `false`"}
WORDS = "words.md"


def vocabulary() -> dict[str, type[Word]]:
    """Name → class, of all the words of the tables."""
    kinds = {name: kind for name, kind in vars(nir_interop.vocabulary).items() if isinstance(kind, type)}
    return {name: kind for name, kind in kinds.items() if issubclass(kind, Word) and kind is not Word}


def words() -> str:
    """Statuses, blame, causes, and the other words."""
    mends: dict[str, list[str]] = {}
    for each in PASSES:
        for cause in each.answers:
            mends.setdefault(cause.value, []).append(f"[`{each.name}`](passes.md#{each.name})")
    lines = ["# Words of the tables", "", "What may stand in the columns of the [tables](columns.md), and what it means.", ""]
    first = ("Status", "Blame", "Cause")
    kinds = vocabulary()
    for name in (*first, *(name for name in kinds if name not in first)):
        kind = kinds[name]
        lines += [f"## {name}", "", summary(kind.__doc__), ""]
        rows = [(f'<span id="{one.value}"></span>`{one.value}`', one.meaning) for one in kind]
        if name == "Cause":
            shown = table(
                ("cause", "means", "passes that may take it away"),
                [(word, meaning, ", ".join(mends.get(one.value, ()))) for one, (word, meaning) in zip(kind, rows, strict=True)],
            )
        else:
            shown = table(("word", "means"), [(f"`{one.value}`", one.meaning) for one in kind])
        lines += [*shown, ""]
    return "\n".join(lines)


def rules() -> str:
    """The axes of an update rule, each value an equation; and the rule of every library, as it was measured."""
    measured = _rules_table()
    lines = [
        "# Update rules",
        "",
        markdown(nir_interop.rule.__doc__ or ""),
        "",
        "In [NIR's own meaning in steps](../concepts.md#what-nir-means-here-in-steps) every axis has the value that is set "
        "**bold** below. The last column says whose importer or own neuron was found to have a value, by probing it: "
        "`nir-interop rules` does that, and [the last section](#what-each-library-does) has each rule as a sentence. Where no "
        "input that the library accepts tells two values apart, one is shown; column `ties` of `results/rules.csv` has both.",
        "",
    ]
    by_type: dict[type[Any], list[str]] = {}
    for axis in AXES:
        by_type.setdefault(axis.type, []).append(axis.name)
    for kind, axes in by_type.items():
        meant = {getattr(NIR_MEANING, axis) for axis in axes}
        lines += [f"## {', '.join(f'`{axis}`' for axis in axes)} {{ #{axes[0]} }}", "", summary(kind.__doc__), ""]
        rows = []
        for one in kind:
            name = f"**`{one.value}`**" if one in meant else f"`{one.value}`"
            rows.append((name, summary(one.equation), _who(measured, axes, one.value)))
        lines += [*table(("value", "is", "measured in"), rows), ""]
    lines += ["## What each library does", "", "From `results/rules.csv`, which `nir-interop rules` writes.", ""]
    for backend in ("NIR", *_libraries(measured)):
        for side, title in (("import", "its importer"), ("native", "its own neurons")):
            found = [row for row in measured if row["backend"] == backend and row["side"] == side]
            if not found:
                continue
            version = f" {found[0]['version']}" if found[0]["version"] else ""
            lines += [f"### {backend}{version}, {title}" if backend != "NIR" else "### NIR's own meaning", ""]
            head = ("neuron", "rule") if side == "import" else ("neuron", "stands for", "rule")
            lines += [*table(head, [_sentence(row) for row in found]), ""]
    return "\n".join(lines)


def _sentence(row: Mapping[str, str]) -> tuple[str, ...]:
    own = (f"`{row['options']}`",) if row["side"] == "native" else ()
    return (*own, f"`{row['primitive']}`", row["says"])


def _rules_table() -> list[dict[str, str]]:
    """The neurons of results/rules.csv that are taken."""
    with (RESULTS / "rules.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if row["primitive"] in NEURONS and row["says"] != "not taken"]


def _libraries(rows: Iterable[Mapping[str, str]]) -> list[str]:
    found = {row["backend"] for row in rows} - {"NIR", "reference", "exact"}
    return sorted(found)


def _who(rows: list[dict[str, str]], axes: Iterable[str], value: str) -> str:
    """The libraries in which an axis was found to have a value, and on which side."""
    parts = []
    for backend in _libraries(rows):
        sides = []
        for side in ("import", "native"):
            neurons = {
                row["primitive"] for row in rows if row["backend"] == backend and row["side"] == side for axis in axes
                if row[axis] == value and _applies_to(axis, row["primitive"])
            }  # fmt: skip
            sides += [f"{side}: {', '.join(sorted(neurons))}"] if neurons else []
        parts += [f"{backend} ({'; '.join(sides)})"] if sides else []
    return "<br>".join(parts)


def _applies_to(axis: str, kind: str) -> bool:
    """Whether an axis says anything of a neuron; a feedback's bias is looked for where there are spikes to feed back."""
    return AXIS[axis].applies_to(PARAMETERS[kind]) and (axis != "feedback_bias" or kind in SPIKING)


def passes() -> str:
    """Every pass, in the order in which they are tried."""
    links = {each.rewrite.__name__.lstrip("_"): f"#{each.name}" for each in PASSES}
    links |= {f"_{name}": where for name, where in links.items()}
    lines = [
        "# Passes of reconcile",
        "",
        "`nir-interop reconcile` makes a graph right for a library by small rewrites, each with a condition and a claim of "
        "what it preserves. They are tried in this order; what a later one does, no earlier one undoes. The symbols are those "
        "of the [update rules](rules.md): index *A* is the source, *B* the target, *h* the step. What they make together is "
        "run on the library itself, and written only if every output is right.",
        "",
        *table(
            ("pass", "does"),
            [(f"[`{each.name}`](#{each.name})", summary(each.rewrite.__doc__)) for each in PASSES],
        ),
        "",
    ]
    for each in PASSES:
        axes = ", ".join(f"[`{axis}`](rules.md#{_anchor(axis)})" for axis in each.axes)
        causes = ", ".join(f"[`{cause}`](words.md#{cause})" for cause in sorted(cause.value for cause in each.answers))
        lines += [
            f"## {each.name} {{ #{each.name} }}",
            "",
            markdown(each.rewrite.__doc__ or "", links),
            "",
            "Preserves",
            f": {each.preserves}.",
            "",
            "Makes up for",
            f": {axes or 'nothing in the update rule: the graph means the same, written otherwise'}.",
            "",
            "May take away",
            f": {causes}.",
            "",
        ]
    return "\n".join(lines)


def _anchor(axis: str) -> str:
    """The heading under which an axis stands: that of the first axis of its kind."""
    kinds = {each.name: each.type for each in AXES}
    return next(name for name, kind in kinds.items() if kind is kinds[axis])


def columns() -> str:
    """Every table of results/, column by column."""
    says = constants(nir_interop.schema.tables)
    constant = {id(value): name for name, value in vars(nir_interop.schema.tables).items()}
    vocabularies = {tuple(one.value for one in kind): name for name, kind in vocabulary().items()}
    about = markdown(nir_interop.schema.files.__doc__ or "").split("\n\n", 1)[1]
    lines = ["# Columns of the tables", "", about, ""]
    for each in TABLES.values():
        key = ", ".join(f"`{name}`" for name in each.key)
        heading = f"## {each.name} {{ #{each.name.removesuffix('.csv')} }}"
        lines += [heading, "", summary(says[constant[id(each)]]), "", f"Sorted by {key}.", ""]
        rows = [(f"`{column.name}`", markdown(column.meaning), _holds(column, vocabularies)) for column in each.columns]
        lines += [*table(("column", "means", "holds"), rows), ""]
    return "\n".join(lines)


def _holds(column: Column, vocabularies: Mapping[tuple[str, ...], str]) -> str:
    text = HOLDS[column.kind]
    if column.words:
        name = vocabularies.get(column.words)
        text = f"[{name.lower()}]({WORDS}#{name.lower()})" if name else " or ".join(f"`{word}`" for word in column.words)
        text += f"; several are joined by `{SEPARATOR}`" if column.several else ""
    if column.low is not None or column.high is not None:
        low, high = (None if bound is None else f"{bound:g}" for bound in (column.low, column.high))
        text += f", {low} to {high}" if low and high else f", from {low}" if low else f", up to {high}"
    return text + ("; never empty" if column.required else "") + ("; unique" if column.unique else "")


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/rules.md": rules,
    "reference/passes.md": passes,
    "reference/columns.md": columns,
    "reference/words.md": words,
    "reference/cli.md": cli,
}
"""Path of the page → what writes it."""
