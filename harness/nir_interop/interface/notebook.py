"""Results as HTML for a notebook: tables, and spikes around the first divergence; one piece each, with nothing loaded.

Whatever comes from a file or a library is escaped.  Colours are those of the notebook, dark or light.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from nir_interop.printable import printable

if TYPE_CHECKING:
    from nir_interop.recording import Recording
    from nir_interop.report.explanation import Window

_CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0"
_STEP, _ROW, _LABEL = 12, 14, 110
"""Pixels of a step, of a row, and of the names at its left."""


def shown(parts: Iterable[str]) -> str:
    """Pieces of HTML as one."""
    return f"<div>{''.join(parts)}</div>"


def lines(told: Iterable[str]) -> str:
    """A paragraph a line; empty ones are left out."""
    return "".join(f'<p style="margin:4px 0">{_text(line)}</p>' for line in told if line)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, title: str) -> str:
    """Rows of text under their heads."""
    head = "".join(f'<th style="{_CELL}" scope="col">{_text(each)}</th>' for each in heads)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{_text(each)}</td>' for each in row) + "</tr>" for row in rows)
    caption = f'<caption style="text-align:left;caption-side:top">{_text(title)}</caption>'
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def raster(meant: Recording, made: Recording, who: str) -> str:
    """Spikes of both sides around the first divergence, those that differ on red; values as text; empty where none differ."""
    from nir_interop.compare.divergence import first_divergence
    from nir_interop.report.explanation import raster as as_text
    from nir_interop.report.explanation import window

    first = first_divergence(meant, made)
    if first is None:
        return ""
    found = window(meant, made, first)
    if not found.spikes:
        return f"<pre>{escape(chr(10).join(as_text(meant, made, first, who)))}</pre>"
    return lines([found.title]) + _drawn(found, who)


def _drawn(found: Window, who: str) -> str:
    steps = found.end - found.begin
    high = (2 * _ROW + 6) * len(found.neurons) + _ROW
    marks: list[str] = []
    for place, neuron in enumerate(found.neurons):
        top = place * (2 * _ROW + 6)
        names = (f"{neuron}: NIR", who)
        for row, (values, name) in enumerate(zip((found.ours, found.theirs), names, strict=True)):
            y = top + row * _ROW
            marks.append(f'<text x="{_LABEL - 8}" y="{y + 11}" text-anchor="end">{_text(name[:16])}</text>')
            for step in range(steps):
                x = _LABEL + step * _STEP
                if row == 0 and found.unequal[step, neuron]:
                    marks.append(f'<rect x="{x}" y="{y}" width="{_STEP}" height="{2 * _ROW}" fill="#d33" fill-opacity="0.3"/>')
                count = int(values[step, neuron])
                if count > 1:
                    marks.append(f'<text x="{x + _STEP // 2}" y="{y + 11}" text-anchor="middle">{min(count, 9)}</text>')
                elif count:
                    marks.append(f'<rect x="{x + _STEP // 2 - 1}" y="{y + 2}" width="2" height="{_ROW - 4}"/>')
    for step in range(0, steps, 4):
        at = _LABEL + step * _STEP + _STEP // 2
        marks.append(f'<text x="{at}" y="{high - 2}" text-anchor="middle">{found.begin + step}</text>')
    size = f'width="{_LABEL + steps * _STEP}" height="{high}"'
    return (
        f'<svg {size} role="img" aria-label="{_text(found.title)}" xmlns="http://www.w3.org/2000/svg" fill="currentColor" '
        f'font-size="11" font-family="monospace">{"".join(marks)}</svg>'
    )


def _text(text: str) -> str:
    return escape(printable(text))
