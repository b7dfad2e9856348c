"""``report.md``: the report in short, for where Markdown is shown; beside it the matrix as a picture, ``report.svg``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from nir_interop.vocabulary import ADAPTERS_OWN, CONTINUOUS, REFERENCE, Status

NAME, PICTURE = "report.md", "report.svg"


def write_summary(page: Page, folder: Path) -> list[Path]:
    """Write report.md and report.svg into a folder; returns their paths."""
    text, picture = "\n".join(lines(page)) + "\n", matrix_picture(page)
    return [write_text(folder / NAME, text), write_text(folder / PICTURE, picture)]


def lines(page: Page) -> Iterator[str]:
    """The page, line by line."""
    done = page.reconciliation
    across = sum(map(len, _readers(page).values()))
    yield "# Who computes what NIR means"
    yield ""
    yield f"**{page.silent} silent wrong answers** among {len(page.headline)} cells: a network written by one library and read"
    yield "by another gives different outputs, and no error or warning says so."
    if page.after:
        yield f"{done['reconciled']} of the {done['differ']} cells that differ are right once the graph is rewritten for the"
        yield "library that reads it; cells that differ because another time step was asked for are not counted."
    yield "`report.html`, beside this page, has every cell; it opens from disk."
    yield ""
    seen = "networks by exporter and importer" if across <= WIDEST else "what every library makes of a faultless file"
    yield f"![The matrix: {seen}, a letter for how each cell ended]({PICTURE})"
    yield ""
    yield from _worst(page)
    if across > WIDEST:
        yield from _crossed(page)
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
                f"{row['exporter']} → {page.importer_text(row['importer'])}",
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
        (exporter, page.importer_text(importer) or "(no graph)", *(str(count[column] or "") for column in COLUMNS))
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
                own = f" ({row['importer_by']} importer)" if row["importer_by"] else ""
                who = f"{row['backend']} {row['version'] or ''}".rstrip() + own
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
    yield from _table(
        ("primitive", *(page.importer_text(f"{backend}") + f" {version}".rstrip() for backend, version in page.columns)),
        rows,
        marked=True,
    )


def _ran(page: Page) -> Iterator[str]:
    yield "## What was run"
    yield ""
    for name, version in page.versions.items():
        yield f"- {markdown(name)} {markdown(version)}".rstrip() + f", {ADAPTERS_OWN} importer" * (name in page.own_importers)
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
ACROSS, NARROW = 5, 4
"""Entries of the key on a line, and in the picture that shows the matrix in short."""
WIDEST = 30
"""Pairs of exporter and importer that the picture can hold beside each other."""
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
    """Networks by exporter and importer, at the step of the export: as the libraries leave it, and once rewritten.

    Where that is too wide to be read: what every library makes of the reference's files, network by network, and below that how
    many networks of each exporter come right in each importer.
    """
    readers = _readers(page)
    if sum(map(len, readers.values())) > WIDEST:
        return "\n".join(_in_short(page, readers)) + "\n"
    rows = _by_network(page)
    width = LEFT + CELL * sum(map(len, readers.values())) + 8
    height = TOP + HEIGHT * len(rows) + 14 + HEIGHT * -(-len(_key(page)) // ACROSS)
    return "\n".join(_drawn(page, rows, readers, width, height)) + "\n"


def _by_network(page: Page) -> dict[tuple[str, str], dict[tuple[str, str], Row]]:
    """(network, idiom) → (exporter, importer) → the cell at the step of the export; no importer where there is no graph."""
    rows: dict[tuple[str, str], dict[tuple[str, str], Row]] = {}
    for row in page.headline:
        rows.setdefault((row["network"], row["idiom"]), {})[row["exporter"], row["importer"] or ""] = row
    return rows


def _readers(page: Page) -> dict[str, list[str]]:
    """Exporter → who reads what it writes, an empty name where it writes nothing; in the order of columns."""
    found: dict[str, set[str]] = {}
    for row in page.headline:
        found.setdefault(row["exporter"], set()).update({row["importer"]} - {None, ""})
    return {name: sorted(found[name], key=_libraries_first) or [""] for name in sorted(found, key=_libraries_first)}


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
                        yield from _both(page, row, x + number * CELL, y)
            x += CELL * len(names)
    for number, (row, meaning) in enumerate(_key(page).values()):
        x, y = 8 + number % ACROSS * (width // ACROSS), TOP + HEIGHT * len(rows) + 10 + number // ACROSS * HEIGHT
        yield from _letter(row, x, y, HALF - 1)
        yield f'<text x="{x + HALF + 4}" y="{y + 12}">{escape(meaning)}</text>'
    yield "</svg>"


def _in_short(page: Page, readers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A column for each library that reads."""
    names = sorted({name for each in readers.values() for name in each if name}, key=_libraries_first)
    given = {network: cells for (network, _), cells in sorted(_by_network(page).items()) if (REFERENCE, names[0]) in cells}
    crossed, exporters = _right(page), [name for name in readers if readers[name] != [""]]
    top = TOP + 14
    middle = top + HEIGHT * len(given) + 34
    key = _key(page, {REFERENCE})
    width = LEFT + CELL * len(names) + 8
    bottom = middle + HEIGHT * len(exporters) + 14
    height = bottom + HEIGHT * -(-len(key) // NARROW) + 6
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">'
    )
    yield "<title>Who computes what NIR means: networks by library; two letters a cell: as it is, and once rewritten</title>"
    yield f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    yield '<text x="6" y="16" font-weight="bold">a faultless file, read by</text>'
    for number, name in enumerate(names):
        own = f' <tspan fill="#565d66" font-size="9">{ADAPTERS_OWN}</tspan>' if name in page.own_importers else ""
        at = LEFT + number * CELL + 26
        yield f'<text transform="translate({at} {top - 6}) rotate(-90)">{escape(name)}{own}</text>'
    for line, (network, cells) in enumerate(given.items()):
        y = top + line * HEIGHT
        yield f'<text x="6" y="{y + 12}">{escape(network)}</text>'
        for number, name in enumerate(names):
            row = cells.get((REFERENCE, name))
            if row is not None:
                yield from _both(page, row, LEFT + number * CELL, y)
    yield f'<text x="6" y="{middle - 8}" font-weight="bold">of each exporter’s files, right as they are → once rewritten</text>'
    for line, exporter in enumerate(exporters):
        y = middle + line * HEIGHT
        yield f'<text x="6" y="{y + 12}">{escape(exporter)} <tspan fill="#565d66" font-size="10">writes</tspan></text>'
        for number, name in enumerate(names):
            now, then, count = crossed.get((exporter, name), (0, 0, 0))
            if count and name != CONTINUOUS:
                yield from _share(f"{now} → {then}", then / count, LEFT + number * CELL, y)
        count = max((crossed[exporter, name][2] for name in names if (exporter, name) in crossed), default=0)
        yield f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end" fill="#565d66" font-size="10">of {count}</text>'
    for number, (row, meaning) in enumerate(key.values()):
        x, y = 8 + number % NARROW * (width // NARROW), bottom + number // NARROW * HEIGHT
        yield from _letter(row, x, y, HALF - 1)
        yield f'<text x="{x + HALF + 4}" y="{y + 12}">{escape(meaning)}</text>'
    yield "</svg>"


def _right(page: Page) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(exporter, importer) → cells that are right as they are, right as they are or once rewritten, and all."""
    return {
        sides: (
            count["exact"] + count["rounding"],
            count["reconciled"],
            sum(count.values()) - count["reconciled"] - count["silent"],
        )
        for sides, count in summary(page.rows).items()
        if sides[1]
    }


def _crossed(page: Page) -> Iterator[str]:
    """The table of who reads whose files."""
    found = _right(page)
    exporters, importers = (sorted({sides[at] for sides in found}, key=_libraries_first) for at in (0, 1))
    yield "## Who reads whose files"
    yield ""
    yield "*3 → 9 of 17*: of 17 files that the exporter wrote, 3 are right in the importer as they are, and 9 as they are or"
    yield "once they are rewritten for it."
    yield ""
    rows = []
    for exporter in exporters:
        counts = [found.get((exporter, importer)) for importer in importers]
        rows.append((exporter, *("" if each is None else f"{each[0]} → {each[1]} of {each[2]}" for each in counts)))
    yield from _table(("written by \\ read by", *map(page.importer_text, importers)), rows)


def _key(page: Page, exporters: Collection[str] = ()) -> dict[tuple[str, str], tuple[Row, str]]:
    """What the letters mean, those that there are in the files of some or all exporters: an example of each, and words."""
    found: dict[tuple[str, str], tuple[Row, str]] = {}
    shown = [row for row in page.headline if not exporters or (row["exporter"] in exporters and row["importer"])]
    rewritten = [page.after[place(row)] for row in shown if place(row) in page.after]
    for row in sorted((*shown, *rewritten), key=lambda row: (letter(row), kind(row))):
        said = {"silent": ", silently", "nothing": ", continuous time"}.get(kind(row), "")
        found.setdefault((letter(row), kind(row)), (row, f"{row['status'].replace('_', ' ')}{said}"))
    return found


def _both(page: Page, row: Row, x: int, y: int) -> Iterator[str]:
    """How a cell ended as it is, and once rewritten."""
    yield from _letter(row, x, y, HALF - 1)
    after = page.after.get(place(row))
    if after is not None:
        yield from _letter(after, x + HALF, y, HALF - 1)


def _share(text: str, share: float, x: int, y: int) -> Iterator[str]:
    """Two counts on a ground that is the greener the more of all they are."""
    pale, full = (0xFF, 0xFF, 0xFF), (0x7F, 0xCF, 0x94)
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(pale, full, strict=True))
    ground = f"#{red:02x}{green:02x}{blue:02x}"
    box = f'x="{x}" y="{y}" width="{CELL - 3}" height="{HEIGHT - 2}" rx="2"'
    yield f'<rect {box} fill="{ground}" stroke="#c9ced4" stroke-width="0.5"/>'
    yield f'<text x="{x + (CELL - 3) / 2:g}" y="{y + 12}" text-anchor="middle" font-size="10">{escape(text)}</text>'


def _letter(row: Row, x: int, y: int, width: int) -> Iterator[str]:
    ground, ink = COLOURS[kind(row)]
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT - 2}" rx="2" fill="{ground}"/>'
    place = f'x="{x + width / 2:g}" y="{y + 12}" text-anchor="middle"'
    yield f'<text {place} font-weight="bold" fill="{ink}">{escape(letter(row))}</text>'
