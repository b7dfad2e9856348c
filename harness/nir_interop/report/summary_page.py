"""``report.md``: the report in short, for where Markdown is shown; beside it the matrix as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nir_interop.report.matrix_picture import matrix_picture
from nir_interop.report.page.cell_text import blame, remedy, why, words
from nir_interop.report.page.model import Page
from nir_interop.report.page.tables import kind, place
from nir_interop.report.tables import COLUMNS, SHORT, summary
from nir_interop.schema import write_text
from nir_interop.vocabulary import Status

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
                f"{row['mismatch_rate']:.1%}" if row["mismatch_rate"] is not None else words(Status(row["status"])),
                why(row),
                blame(row).removeprefix("Blame: ").rstrip("."),
                remedy(row, page.after.get(place(row))),
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
                yield f"- {escaped(who)}: {escaped(str(row['says']))}."
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
        rows.append((escaped(primitive), *cells))
    yield from _table(("primitive", *(f"{backend} {version}".strip() for backend, version in page.columns)), rows, marked=True)


def _ran(page: Page) -> Iterator[str]:
    yield "## What was run"
    yield ""
    yield from (f"- {escaped(name)} {escaped(version)}".rstrip() for name, version in page.versions.items())
    if page.environment:
        known = page.environment
        machine = f"{escaped(page.machine)}; {escaped(str(known.get('platform', 'unknown system')))}"
        suite, python = (escaped(str(known.get(name, "unknown"))) for name in ("suite", "python"))
        yield f"- nir-interop {suite} with Python {python} on {machine}"
    wrong = sum(kind(row) in ("silent", "wrong") for row in page.headline)
    yield f"- {len(page.native)} cells, {len(page.headline)} of them at the step of their export; {wrong} of these are wrong"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, marked: bool = False) -> Iterator[str]:
    yield "| " + " | ".join(map(escaped, head)) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell if marked else escaped(cell) for cell in row) + " |"
    yield ""


def escaped(text: str) -> str:
    """Text that shows as it is in Markdown, on one line."""
    flat = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#&" else letter for letter in flat)
