"""The study's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nir_interop.graphs import Array
from nir_interop.vocabulary import Mode
from nir_interop_studies.figures import COLOURS, bars, figure, save
from nir_interop_studies.nir_paper.lif import Made, volts
from nir_interop_studies.nir_paper.page import PUBLISHED, Row, Rows, published, title


def lif_traces(traces: Mapping[str, Array], made: Mapping[str, Made], path: Path) -> Path:
    """Membranes around the first two spikes, in volts, and when everybody spikes."""
    made_figure, (left, right) = figure(2, width=10.0, height=4.2)
    shown = slice(440, 530)
    steps = np.arange(shown.start, shown.stop)
    for number, (name, trace) in enumerate(traces.items()):
        style = ("-", "--", ":")[number // len(COLOURS)]
        colour = COLOURS[number % len(COLOURS)]
        left.plot(steps, volts(trace[:, 1])[shown], style, color=colour, linewidth=1, label=name)
    left.axhline(0.1, color="black", linewidth=0.5)
    left.set_xlabel("step of 0.1 ms")
    left.set_ylabel("membrane [V]")
    left.legend(fontsize=6)
    trains = {f"given: {name}": trace[:, 2] for name, trace in traces.items()}
    trains |= {f"here: {name}": run.spikes for name, run in made.items() if run.spikes is not None}
    for place, spikes in enumerate(trains.values()):
        found = np.flatnonzero(spikes)
        right.plot(found, np.full(len(found), place), "|", color=COLOURS[place % len(COLOURS)], markersize=8)
    right.set_yticks(range(len(trains)), list(trains), fontsize=6)
    right.invert_yaxis()
    right.set_xlabel("step of 0.1 ms")
    return save(made_figure, path)


def accuracies(tables: Rows, path: Path) -> Path:
    """What was published, and what every backend gives here, natively at its best step and rewritten."""
    made, (top, bottom) = figure(1, 2, width=9.0, height=6.0)
    none = float("nan")
    for axes, name in zip((top, bottom), (name for name in PUBLISHED if name in tables), strict=True):
        theirs, rows = published(tables, name), tables[name]
        backends = list(dict.fromkeys(row["backend"] for row in rows))
        groups = [*(f"{row['platform']}\n(published)" for row in theirs), *backends]
        series: dict[str, list[float | None]] = {"published": [row["accuracy"] for row in theirs] + [none] * len(backends)}
        for mode in map(str, (Mode.NATIVE, Mode.RECONCILED)):
            series[mode] = [none] * len(theirs)
            for backend in backends:
                mine = [row["accuracy"] for row in rows if (row["backend"], row["mode"]) == (backend, mode)]
                series[mode].append(max((each for each in mine if each is not None), default=None if mine else none))
        bars(axes, groups, series)
        axes.set_ylim(0, 1.05)
        axes.set_ylabel("accuracy")
        same = any(row["comparable"] for row in rows)
        samples = "the published test samples" if same else "other test samples here than published, not comparable"
        axes.set_title(f"{title(tables, name)}; {samples}; native: at the best step; a cross: no output at any", fontsize=8)
    made.legend(*top.get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    return save(made, path)


_PAIRS = {
    "published, Braille": ("braille", "published"),
    "here, Braille, native": ("braille", str(Mode.NATIVE)),
    "here, Braille, reconciled": ("braille", str(Mode.RECONCILED)),
    "here, N-MNIST, reconciled": ("cnn", str(Mode.RECONCILED)),
    "here, our own recurrent network, native": ("own_recurrent", str(Mode.NATIVE)),
    "here, our own recurrent network, reconciled": ("own_recurrent", str(Mode.RECONCILED)),
}
"""In the legend → task and mode."""


def cosines(rows: Sequence[Row], path: Path) -> Path:
    """First layers in pairs: alike rate-wise, less so step by step."""
    made, (axes,) = figure(width=5.5, height=4.5)
    for number, (label, key) in enumerate(_PAIRS.items()):
        mine = [row for row in rows if (row["task"], row["mode"]) == key and row["time_cosine"] is not None]
        if not mine:
            continue
        rate, time = [row["rate_cosine"] for row in mine], [row["time_cosine"] for row in mine]
        marker = ("o", "s", "D", "^")[number % 4]
        axes.plot(rate, time, marker, color=COLOURS[number], label=label, markersize=11 - 2 * (number % 4), fillstyle="none")
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.5)
    axes.set_xlabel("cosine of rates, as published")
    axes.set_ylabel("cosine of spikes, step by step")
    axes.legend(fontsize=7)
    return save(made, path)
