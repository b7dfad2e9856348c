"""The charts of the time steps: logarithmic axes, one line a backend, as coordinates that a template draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Noted = tuple[list[tuple[float, float]], str]
"""Points, and what is said of them."""

WIDTH, HEIGHT = 340.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 18.0, 10.0, 34.0
"""Margins for the axes' numbers."""


@dataclass(frozen=True)
class Tick:
    """A number on an axis, and where."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One backend: its points in the picture, what it is drawn as (a number for colour, dash and marker), and a note."""

    name: str
    look: int
    points: tuple[tuple[float, float], ...]
    note: str

    @property
    def path(self) -> str:
        """As a polyline's points."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Chart:
    """What the template draws."""

    title: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    floor: str = ""

    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM

    @property
    def description(self) -> str:
        """For those who do not see it."""
        return f"{self.title}, {self.y_label} over the time step: " + "; ".join(
            f"{line.name}: {line.note}" for line in self.lines
        )


def charts(rows: Sequence[Row]) -> list[Chart]:
    """Spike-time and membrane errors of each neuron, and the accuracy of each network, over dt."""
    looks = {name: number for number, name in enumerate(sorted({row["backend"] for row in rows}))}
    found = []
    for subject in sorted({row["subject"] for row in rows}):
        own = [row for row in rows if row["subject"] == subject and row["status"] == "ok"]
        for column, label in (("spike_time_error", "spike-time error [s]"), ("membrane_error", "membrane error [V]")):
            order = f"{column}_order"
            lines = _errors(own, column, order)
            if lines:
                found.append(_chart(f"{subject}", label, lines, looks, floor=column == "spike_time_error"))
        shares = _values(own, "accuracy", lambda value: value is not None)
        if shares:
            notes = {name: f"{values[-1][1]:.2f} at {values[-1][0]:g} s" for name, values in shares.items()}
            found.append(_chart(subject, "accuracy", {name: (values, notes[name]) for name, values in shares.items()}, looks))
    return found


def _errors(rows: Iterable[Row], column: str, order: str) -> dict[str, Noted]:
    rows = list(rows)
    found = {}
    for name, values in _values(rows, column, lambda value: value is not None and value > 0).items():
        orders = {row[order] for row in rows if row["backend"] == name and row[order] is not None}
        note = f"order {min(orders):.2f}" if orders else f"{values[-1][1]:.1e} at {values[-1][0]:g} s"
        found[name] = (values, note)
    return found


def _values(rows: Iterable[Row], column: str, drawn: Callable[[Any], bool]) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for row in sorted(rows, key=lambda row: (row["backend"], row["dt"])):
        if drawn(row[column]):
            found.setdefault(row["backend"], []).append((row["dt"], row[column]))
    return found


def _chart(
    title: str,
    label: str,
    lines: Mapping[str, tuple[list[tuple[float, float]], str]],
    looks: Mapping[str, int],
    floor: bool = False,
) -> Chart:
    linear = label == "accuracy"
    steps = [x for values, _ in lines.values() for x, _ in values]
    heights = [y for values, _ in lines.values() for _, y in values]
    low_x, high_x = math.floor(math.log10(min(steps)) + 1e-9), math.ceil(math.log10(max(steps)) - 1e-9)
    high_x = max(high_x, low_x + 1)
    low_y, high_y = (0, 1) if linear else (math.floor(math.log10(min(heights))), math.ceil(math.log10(max(heights))))
    high_y = max(high_y, low_y + 1)

    def across(dt: float) -> float:
        share = (math.log10(dt) - low_x) / (high_x - low_x)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def up(value: float) -> float:
        share = ((value if linear else math.log10(value)) - low_y) / (high_y - low_y)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    x_ticks = tuple(Tick(across(10.0**power), f"1e{power}") for power in range(low_x, high_x + 1))
    stride = max(1, (high_y - low_y + 5) // 6)
    y_ticks = (
        tuple(Tick(up(share / 4), f"{share / 4:g}") for share in range(5))
        if linear
        else tuple(Tick(up(10.0**power), f"1e{power}") for power in range(low_y, high_y + 1, stride))
    )
    drawn = tuple(
        Line(name, looks[name], tuple((across(x), up(y)) for x, y in values), note) for name, (values, note) in lines.items()
    )
    half = _between(low_x, high_x, low_y, high_y) if floor else []
    return Chart(title, label, x_ticks, y_ticks, drawn, " ".join(f"{across(dt):g},{up(dt / 2):g}" for dt in half))


def _between(low_x: int, high_x: int, low_y: int, high_y: int) -> list[float]:
    """The two steps between which half a step is inside the picture."""
    begin, end = max(float(low_x), low_y + math.log10(2)), min(float(high_x), high_y + math.log10(2))
    return [10.0**begin, 10.0**end] if begin < end else []
