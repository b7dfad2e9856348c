"""How many of the default matrix's cells that differ can be reconciled, and how long one takes."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path

from rich.console import Console

from bench.figures import Figure

STORE = Path(".nir-interop")
"""What `make matrix` has stored is not run again."""


def figures() -> list[Figure]:
    """Shares of the cells, and seconds a cell; prints what forbids the others."""

    from nir_interop.matrix.campaign import run
    from nir_interop.matrix.plan import make_plan
    from nir_interop.report.cells import reconciliation
    from nir_interop.store.store import Store
    from nir_interop.vocabulary import Mode

    found = run(make_plan(), Store(STORE), explain=True)
    rows = found.report_rows()
    counts = reconciliation(rows)
    seconds = [cell.rewriting.timing.seconds for cell in found.cells if cell.rewriting is not None]
    forbidden = Counter(
        f"{row['exporter']} → {row['importer']}: {row['forbidden']}"
        for row in rows
        if row["mode"] == Mode.RECONCILED and row["forbidden"]
    )
    console = Console(highlight=False, width=160)
    for words, count in sorted(forbidden.items()):
        console.print(f"{count:4d} forbidden, {words}")
    share, of_allowed = (100 * counts["reconciled"] / max(1, counts[name]) for name in ("differ", "allowed"))
    return [
        Figure(f"of {counts['differ']} cells that differ, but for settings and quiet ones, reconciled", share, None, "%"),
        Figure(f"of the {counts['allowed']} that nothing forbids", of_allowed, 95.0, "%", at_most=False),
        Figure("seconds to reconcile a cell, median", statistics.median(seconds), 1.0, "s"),
    ]
