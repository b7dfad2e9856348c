"""The study's figures: accuracies of all ways, and the rasters of one recording on both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop_studies.figures import Array, bars, figure, raster, save
from nir_interop_studies.nmnist_transfer.crossing import CASES, NATIVE, RECONCILED, TREATMENTS, Crossed
from nir_interop_studies.nmnist_transfer.sentences import step

Row = Mapping[str, Any]

SHOWN = (("norse_sum_1e-3", "snntorch"), ("snntorch_sum_1e-4", "norse"))
"""Source and importer whose rasters are drawn: sum pooling is what both importers take."""


def accuracies(rows: Sequence[Row], path: Path) -> Path:
    """Per case: every source in its own library and in each importer, with each treatment."""
    cases = [case for case in CASES if case.name in {row["case"] for row in rows}]
    made, grid = figure(1, len(cases), width=8.0, height=2.7 * len(cases))
    for axes, case in zip(grid, cases, strict=True):
        mine = [row for row in rows if row["case"] == case.name]
        rows_of = {each: [row for row in mine if row["treatment"] == each and row["pooling"] != "max"] for each in TREATMENTS}
        ways = [f"{row['source']} → {row['importer']}" for row in rows_of[NATIVE]]
        series: dict[str, list[float | None]] = {"own library": [row["accuracy_source"] for row in rows_of[NATIVE]]}
        series |= {each: [row["accuracy"] for row in rows_of[each]] for each in TREATMENTS}
        bars(axes, ways, series)
        axes.set_ylim(0, 1)
        axes.set_ylabel("accuracy", fontsize=8)
        axes.tick_params(labelsize=6)
        steps = f"written for {step(case.written)}, deployed at {step(case.deployed)}"
        axes.set_title(f"case {case.name}: {steps}; a cross: no output", fontsize=8)
    made.legend(*grid[0].get_legend_handles_labels(), fontsize=7, loc="outside upper center", ncols=4)
    return save(made, path)


def rasters(crossed: Crossed, path: Path) -> Path | None:
    """One recording: the source, the target as the graph is, the difference, and the difference once rewritten."""
    ways = [way for way in SHOWN if way[0] in crossed.sources]
    outcomes: dict[tuple[str, str, str], Array] = {}
    for each, outcome in zip(crossed.crossings, crossed.outcomes, strict=True):
        if outcome is not None and outcome.output is not None:
            outcomes.setdefault((each.source.name, each.importer, each.treatment), outcome.output)
    drawn = [way for way in ways if (*way, NATIVE) in outcomes and (*way, RECONCILED) in outcomes]
    if not drawn:
        return None
    made, grid = figure(4, len(drawn), width=11.0, height=2.6 * len(drawn))
    for row, (source, importer) in enumerate(drawn):
        ours = crossed.natives[source].output
        if ours is None:
            continue
        native, rewritten = (outcomes[source, importer, each] for each in (NATIVE, RECONCILED))
        # The recording with the most ordinary number of differences, not the worst.
        counts = (native != ours).sum(axis=(0, 2))
        number = int(np.argsort(counts, kind="stable")[len(counts) // 2])
        axes = grid[4 * row : 4 * row + 4]
        one, other, last = ours[:, number], native[:, number], rewritten[:, number]
        raster(axes[0], one, f"{source}, own library\nrecording {number}, a {crossed.test.labels[number]}")
        raster(axes[1], other, f"{importer}, native")
        none = np.zeros_like(one)
        raster(axes[2], none, f"difference: {int((one != other).sum())} outputs", one != other)
        raster(axes[3], none, f"difference once reconciled: {int((one != last).sum())}", one != last)
        axes[0].set_ylabel("class", fontsize=8)
    for axes_ in grid[-4:]:
        axes_.set_xlabel("frame", fontsize=8)
    return save(made, path)
