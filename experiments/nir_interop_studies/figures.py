"""Figures that are the same bytes at every run: the Agg backend, no dates, no versions in the file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

COLOURS = ("#4477aa", "#cc6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")


def figure(columns: int = 1, rows: int = 1, *, width: float = 7.0, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Made

    made = Made(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(made)
    grid = made.subplots(rows, columns, squeeze=False)
    return made, list(grid.flat)


def save(made: Figure, path: Path) -> Path:
    """Write a PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{os.getpid()}-{path.name}")
    made.savefig(passing, format="png", metadata={"Software": None})
    os.replace(passing, path)
    return path


def bars(axes: Axes, groups: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> None:
    """Grouped bars; what is not there is marked with a cross on the axis."""
    width = 0.8 / max(1, len(series))
    for number, (name, values) in enumerate(series.items()):
        places = np.arange(len(groups)) + (number - (len(series) - 1) / 2) * width
        axes.bar(places, [value or 0.0 for value in values], width, label=name, color=COLOURS[number % len(COLOURS)])
        for place, value in zip(places, values, strict=True):
            if value is None:
                axes.plot(place, 0, marker="x", color=COLOURS[number % len(COLOURS)], clip_on=False)
    axes.set_xticks(range(len(groups)), groups, rotation=30, ha="right", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def raster(axes: Axes, output: Array, title: str, differs: Array | None = None) -> None:
    """Spikes of one sample, axes (T, n); where ``differs`` is true in red."""
    steps, neurons = np.nonzero(output)
    axes.plot(steps, neurons, "|", color="black", markersize=5)
    if differs is not None and differs.any():
        steps, neurons = np.nonzero(differs)
        axes.plot(steps, neurons, "s", color="#cc3311", markersize=4, fillstyle="none")
    axes.set_title(title, fontsize=8)
    axes.set_xlim(-1, len(output))
    axes.set_ylim(-0.7, output.shape[1] - 0.3)
    axes.tick_params(labelsize=7)
