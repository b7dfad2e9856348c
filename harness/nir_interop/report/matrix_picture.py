"""The matrix as an SVG picture: for pages that run no script, and for print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from nir_interop.report.page.model import Page
from nir_interop.report.page.tables import Row, kind, letter, place
from nir_interop.vocabulary import CONTINUOUS, REFERENCE

CELL, HALF, HEIGHT = 46, 22, 17
"""Width of a cell and of one of its two letters, and height of a row."""
LEFT, TOP = 170, 112
ACROSS = 5
"""Entries of the key on a line."""
COLOURS = {
    "good": ("#d3efda", "#0c4420"),
    "silent": ("#b3261e", "#ffffff"),
    "wrong": ("#ffd9a8", "#5a2e00"),
    "declined": ("#dbe6f7", "#163a6b"),
    "error": ("#e5ddf2", "#41246b"),
    "nothing": ("#e9eaed", "#44484e"),
}
"""Of an outcome's kind: ground and letter."""


def matrix_picture(page: Page) -> str:
    """Networks by exporter and importer, at the step of the export: as the libraries leave it, and once rewritten."""
    rows: dict[tuple[str, str], dict[tuple[str, str], Row]] = {}
    for row in page.headline:
        rows.setdefault((row["network"], row["idiom"]), {})[row["exporter"], row["importer"] or ""] = row
    exporters = sorted({exporter for cells in rows.values() for exporter, _ in cells}, key=_libraries_first)
    readers = {
        exporter: sorted(
            {reader for cells in rows.values() for one, reader in cells if one == exporter and reader}, key=_libraries_first
        )
        or [""]
        for exporter in exporters
    }
    width = LEFT + CELL * sum(map(len, readers.values())) + 8
    height = TOP + HEIGHT * len(rows) + 14 + HEIGHT * -(-len(_key(page)) // ACROSS)
    return "\n".join(_drawn(page, rows, readers, width, height)) + "\n"


def _libraries_first(name: str) -> tuple[int, str]:
    """By name, but for what is no library."""
    return (REFERENCE, CONTINUOUS).index(name) + 1 if name in (REFERENCE, CONTINUOUS) else 0, name


def _drawn(
    page: Page,
    rows: Mapping[tuple[str, str], Mapping[tuple[str, str], Row]],
    readers: Mapping[str, Sequence[str]],
    width: int,
    height: int,
) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">'
    )
    yield "<title>Networks by exporter and importer; two letters a cell: as it is, and once rewritten</title>"
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    x = LEFT
    for exporter, names in readers.items():
        yield f'<path d="M{x - 2} 4V{TOP + HEIGHT * len(rows)}" stroke="#565d66"/>'
        yield f'<text x="{x + 3}" y="16" font-weight="bold">{escape(exporter)} →</text>'
        for number, name in enumerate(names):
            at = x + number * CELL + 16
            yield f'<text transform="translate({at} {TOP - 6}) rotate(-90)">{escape(name or "(no graph)")}</text>'
        x += CELL * len(names)
    for line, ((network, idiom), cells) in enumerate(sorted(rows.items())):
        y = TOP + line * HEIGHT
        yield f'<text x="6" y="{y + 12}">{escape(network)} <tspan fill="#565d66" font-size="10">{escape(idiom)}</tspan></text>'
        x = LEFT
        for exporter, names in readers.items():
            failed = cells.get((exporter, ""))
            if failed is not None:
                yield from _letter(failed, x, y, CELL * len(names) - 4)
            else:
                for number, name in enumerate(names):
                    row = cells.get((exporter, name))
                    if row is not None:
                        yield from _letter(row, x + number * CELL, y, HALF - 1)
                        after = page.after.get(place(row))
                        if after is not None:
                            yield from _letter(after, x + number * CELL + HALF, y, HALF - 1)
            x += CELL * len(names)
    for number, (row, meaning) in enumerate(_key(page).values()):
        x, y = 8 + number % ACROSS * (width // ACROSS), TOP + HEIGHT * len(rows) + 10 + number // ACROSS * HEIGHT
        yield from _letter(row, x, y, HALF - 1)
        yield f'<text x="{x + HALF + 4}" y="{y + 12}">{escape(meaning)}</text>'
    yield "</svg>"


def _key(page: Page) -> dict[tuple[str, str], tuple[Row, str]]:
    """What the letters mean, those that there are: an example of each, and words."""
    found: dict[tuple[str, str], tuple[Row, str]] = {}
    rewritten = [page.after[place(row)] for row in page.headline if place(row) in page.after]
    for row in sorted((*page.headline, *rewritten), key=lambda row: (letter(row), kind(row))):
        said = {"silent": ", silently", "nothing": ", continuous time"}.get(kind(row), "")
        found.setdefault((letter(row), kind(row)), (row, f"{row['status'].replace('_', ' ')}{said}"))
    return found


def _letter(row: Row, x: int, y: int, width: int) -> Iterator[str]:
    ground, ink = COLOURS[kind(row)]
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT - 2}" rx="2" fill="{ground}"/>'
    place = f'x="{x + width / 2:g}" y="{y + 12}" text-anchor="middle"'
    yield f'<text {place} font-weight="bold" fill="{ink}">{escape(letter(row))}</text>'
