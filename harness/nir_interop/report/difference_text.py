"""A difference of two runs in words: all of it for ``nir-interop diff``, a few lines after a run of the matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nir_interop.printable import printable
from nir_interop.report.difference import KINDS, Change, Difference
from nir_interop.report.runs import Row
from nir_interop.report.tables import is_silent
from nir_interop.vocabulary import Mode

if TYPE_CHECKING:
    from rich.console import RenderableType

FEW = 5
"""Cells that got worse and are named after a run of the matrix."""


def paragraphs(found: Difference) -> Iterator[str]:
    """The whole difference as plain lines: what is compared, the counts, and each cell that got worse or better."""
    yield from _head(found)
    yield from _counted(found)
    for kind in ("worse", "better"):
        for change in found.of(kind):
            yield f"{kind}: {change.cell_id}: {ended(change.old)} → {ended(change.new)}"
    yield from _summed(found)


def renderables(found: Difference) -> Iterator[RenderableType]:
    """The same for a terminal, to be printed with rich."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    def shown(text: str) -> str:
        return escape(printable(text))

    for line in _head(found):
        yield shown(line)
    counts = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    counts.add_column("mode")
    for kind in KINDS:
        counts.add_column(kind, justify="right", no_wrap=True)
    for mode, count in found.counts().items():
        counts.add_row(mode, *(str(count[kind] or "·") for kind in KINDS))
    yield counts
    for kind in ("worse", "better"):
        changes = found.of(kind)
        if changes:
            table = Table(title=kind, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
            for name in ("cell", "was", "is"):
                table.add_column(name, overflow="fold", max_width=None if name == "cell" else 18)
            for change in changes:
                cell = shown(change.cell_id).replace(">", ">\n")  # where it may be cut on a terminal of 80 columns
                table.add_row(cell, shown(ended(change.old)), shown(ended(change.new)))
            yield table
    for line in _summed(found):
        yield shown(line)


def few_lines(found: Difference) -> Iterator[str]:
    """What a run changed in the report that was there: nothing where nothing did."""
    counts = Counter(change.kind for change in found.changes)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind != "same" and counts[kind])
    if told:
        yield f"since the last report: {told}{_versions(found, ' (', ')', absent=False)}"
    yield from _weights(found)
    worse = found.of("worse")
    for change in worse[:FEW]:
        yield f"worse: {change.cell_id}: {ended(change.old)} → {ended(change.new)}"
    if len(worse) > FEW:
        yield f"worse: and {len(worse) - FEW} more"
    yield from _rounded(found)


def ended(row: Row | None) -> str:
    """How a cell ended, in a few words."""
    if row is None:
        return "absent"
    rate = row["mismatch_rate"]
    share = "" if not rate else f" {rate:.2%}"
    silence = ", in silence" if is_silent(row) else ""
    error = f" ({row['error_type']})" if row["error_type"] else ""
    return f"{row['status']}{share}{error}{silence}"


def _head(found: Difference) -> Iterator[str]:
    yield f"old: {found.old.path}, {len(found.old.rows)} cells"
    yield f"new: {found.new.path}, {len(found.new.rows)} cells"
    yield "versions: " + (_versions(found) or "the same: " + ", ".join(f"{n} {v}" for n, v in found.new.versions.items()))
    if not found.same_machine:
        moved = ", ".join(f"{network} (up to {share:.2%})" for network, share in sorted(found.rounding.items()))
        yield f"not known to be of one machine: rounding counts as exact; it moves outputs of {moved or 'no network'}"
    yield from _weights(found)


def _weights(found: Difference) -> Iterator[str]:
    """Which networks have other weights, if any."""
    if found.other_weights:
        pairs = ", ".join(f"{network} in {exporter}" for network, exporter in sorted(found.other_weights))
        yield f"other weights: {pairs}; what is made of them is worse by its status alone"


def _rounded(found: Difference) -> Iterator[str]:
    """The cells that only another processor's rounding changed."""
    for change in found.rounded():
        yield f"rounding: {change.cell_id}: {', '.join(change.rounded)}"


def _versions(found: Difference, before: str = "", after: str = "", *, absent: bool = True) -> str:
    """The versions that differ, between ``before`` and ``after``; empty where none does.

    absent : also of what took part in one run only
    """
    pairs = [(name, old, new) for name, (old, new) in found.versions.items() if absent or (old and new)]
    told = [f"{name} {old or 'absent'} → {new or 'absent'}" for name, old, new in pairs]
    return f"{before}{', '.join(told)}{after}" if told else ""


def _counted(found: Difference) -> Iterator[str]:
    for mode, counts in found.counts().items():
        if any(counts.values()) or mode == Mode.NATIVE:
            yield f"{mode}: " + ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)


def _summed(found: Difference) -> Iterator[str]:
    """What need not be told cell by cell, and which cells are others by rounding alone."""
    columns = Counter(column for change in found.of("changed") for column in change.columns)
    if columns:
        ranked = sorted(columns.items(), key=lambda each: (-each[1], each[0]))
        yield "changed, as bad as before, in: " + ", ".join(f"{name} ({count})" for name, count in ranked)
    for kind in ("new", "gone"):
        pairs = Counter(_pair(change) for change in found.of(kind))
        if pairs:
            yield f"{kind}: " + ", ".join(f"{pair} ({count})" for pair, count in sorted(pairs.items()))
    yield from _rounded(found)


def _pair(change: Change) -> str:
    row: Row = change.new or change.old or {}
    mode = "" if change.mode == Mode.NATIVE else f", {change.mode}"
    return f"{row['exporter']} → {row['importer'] or 'no graph'}{mode}"
