"""``report.md``: the report in short, for where Markdown is shown; beside it the matrix as a picture, ``report.svg``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from nir_interop.printable import markdown
from nir_interop.report.cells import (
    COLUMNS,
    SHORT,
    Row,
    blame_text,
    causes_text,
    kind,
    letter,
    place,
    remedy_text,
    status_text,
    summary,
)
from nir_interop.report.page.model import Page
from nir_interop.schema import write_text
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Status

NAME, PICTURE = "report.md", "report.svg"


def write_summary(page: Page, folder: Path) -> list[Path]:
    """Write report.md and report.svg into a folder; returns their paths."""
    text, picture = "\n".join(lines(page)) + "\n", matrix_picture(page)
    return [write_text(folder / NAME, text), write_text(folder / PICTURE, picture)]


def lines(page: Page) -> Iterator[str]:
    """The page, line by line."""
    done = page.reconciliation
    yield "# Who computes what NIR means"
    yield ""
    yield f"**{page.silent} silent wrong answers** among {len(page.headline)} cells: a network written by one library and read"
    yield "by another gives different outputs, and no error or warning says so."
    if page.after:
        yield f"{done['reconciled']} of the {done['differ']} cells that differ are right once the graph is rewritten for the"
        yield "library that reads it; cells that differ because another time step was asked for are not counted."
    yield "`report.html`, beside this page, has every cell; it opens from disk."
    yield ""
    yield f"![The matrix: networks by exporter and importer, a letter for how each cell ended]({PICTURE})"
    yield ""
    yield from _worst(page)
    yield from _counts(page)
    yield from _idioms(page)
    yield from _rules(page)
    yield from _primitives(page)
    yield from _ran(page)


def _worst(page: Page) -> Iterator[str]:
    yield "## Silent wrong answers, worst first"
    yield ""
    if not page.worst:
        yield "None."
        yield ""
        return
    head = ("network", "written by → read by", "accuracy", "outputs that differ", "why", "blame", "remedy")
    rows = []
    for row in page.worst:
        lost = row["accuracy_delta"] is not None
        rows.append(
            (
                f"{row['network']} ({row['idiom']})",
                f"{row['exporter']} → {row['importer']}",
                f"{row['accuracy_source']:.2f} → {row['accuracy_target']:.2f}" if lost else "",
                f"{row['mismatch_rate']:.1%}" if row["mismatch_rate"] is not None else status_text(Status(row["status"])),
                causes_text(row),
                blame_text(row).removeprefix("Blame: ").rstrip("."),
                remedy_text(row, page.after.get(place(row))),
            )
        )
    yield from _table(head, rows)


def _counts(page: Page) -> Iterator[str]:
    yield "## Cells imported at the step they were exported for"
    yield ""
    yield "*after*: exact or rounding, with the graph as it is or rewritten. *silent*: of the cells that differ, those without"
    yield "an error or a warning. The importer *exact* solves the equations in continuous time: a yardstick, not a library."
    yield ""
    head = ("exporter", "importer", *(SHORT.get(column, column) for column in COLUMNS))
    rows = [
        (exporter, importer or "(no graph)", *(str(count[column] or "") for column in COLUMNS))
        for (exporter, importer), count in summary(page.rows).items()
    ]
    yield from _table(head, rows)


def _idioms(page: Page) -> Iterator[str]:
    if not page.idioms:
        return
    yield "## How networks are written and exported"
    yield ""
    yield from _table(
        ("library", "idiom", "what it does"), [(n, i, how) for n, each in page.idioms.items() for i, how in each.items()]
    )


def _rules(page: Page) -> Iterator[str]:
    if not page.rules:
        return
    yield "## Update rules of the importers"
    for primitive in page.rule_primitives:
        yield ""
        yield f"**{primitive}**"
        yield ""
        for row in page.rules_for(primitive):
            if row["side"] == "import":
                who = f"{row['backend']} {row['version'] or ''}".rstrip()
                yield f"- {markdown(who)}: {markdown(str(row['says']))}."
    yield ""


def _primitives(page: Page) -> Iterator[str]:
    if not page.primitives:
        return
    yield "## Primitives"
    yield ""
    yield "Import / export; *3 of 7*: 3 of 7 aspects are right. **≠**: NIR's own table of supported primitives says otherwise."
    yield "`primitives.md` lists the aspects."
    yield ""
    rows = []
    for primitive, claims in page.primitives.items():
        cells = []
        for backend, _ in page.columns:
            sides = [claims.get((backend, direction)) for direction in ("import", "export")]
            cells.append(" / ".join("—" if one is None else one.summary + " **≠**" * one.contradicts for one in sides))
        rows.append((markdown(primitive), *cells))
    yield from _table(("primitive", *(f"{backend} {version}".strip() for backend, version in page.columns)), rows, marked=True)


def _ran(page: Page) -> Iterator[str]:
    yield "## What was run"
    yield ""
    yield from (f"- {markdown(name)} {markdown(version)}".rstrip() for name, version in page.versions.items())
    if page.environment:
        known = page.environment
        machine = f"{markdown(page.machine)}; {markdown(str(known.get('platform', 'unknown system')))}"
        suite, python = (markdown(str(known.get(name, "unknown"))) for name in ("suite", "python"))
        yield f"- nir-interop {suite} with Python {python} on {machine}"
    wrong = sum(kind(row) in ("silent", "wrong") for row in page.headline)
    yield f"- {len(page.native)} cells, {len(page.headline)} of them at the step of their export; {wrong} of these are wrong"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, marked: bool = False) -> Iterator[str]:
    yield "| " + " | ".join(map(markdown, head)) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell if marked else markdown(cell) for cell in row) + " |"
    yield ""


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
