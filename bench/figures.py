"""A figure and its target, and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """A measured value with its target; ``at_most``: whether the target is a ceiling or a floor."""

    name: str
    value: float
    target: float | None
    unit: str
    at_most: bool = True

    @property
    def verdict(self) -> str:
        """Whether the target is reached."""
        if self.target is None:
            return ""
        return "reached" if (self.value <= self.target) == self.at_most or self.value == self.target else "missed"


def show(figures: Iterable[Figure]) -> None:
    """Print figures as a table."""
    table = Table()
    for name in ("figure", "measured", "target", ""):
        table.add_column(name, justify="right" if name in ("measured", "target") else "left")
    for figure in figures:
        target = "" if figure.target is None else f"{'≤' if figure.at_most else '≥'} {figure.target:g} {figure.unit}"
        table.add_row(figure.name, f"{figure.value:.4g} {figure.unit}", target, figure.verdict)
    Console(highlight=False).print(table)
