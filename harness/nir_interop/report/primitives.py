"""``primitives.csv``, and the page that a user reads: one line a primitive, one column a backend, footnotes for aspects."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.printable import markdown
from nir_interop.schema import PRIMITIVES, SEPARATOR, write_table, write_text
from nir_interop.vocabulary import Direction, PrimitiveStatus

Row = Mapping[str, Any]

PAGE = "primitives.md"
IMPORT, EXPORT = str(Direction.IMPORT), str(Direction.EXPORT)
DIRECTIONS = (IMPORT, EXPORT)
NOTHING = "—"
SUPPORT = Path(__file__).parents[1] / "matrix" / "nir_support.toml"
_KINDS = (*PARAMETERS, "NIRGraph", "self-loop", "two-node cycle", "longer cycle", "join at a neuron", "join at Output")
"""Lines of the page, in order; others follow by name."""


@dataclass(frozen=True)
class Support:
    """What NIR's documentation says: direction → backend → primitives that it reads or writes, of those that its table has."""

    source: str
    commit: str
    read_on: str
    primitives: frozenset[str]
    says: Mapping[str, Mapping[str, frozenset[str]]]

    @classmethod
    def load(cls, path: Path = SUPPORT) -> Support:
        """The table in the repository."""
        with path.open("rb") as file:
            document = tomllib.load(file)
        entries = {name: entry for name, entry in document.items() if isinstance(entry, dict)}
        says = {
            direction: {name: frozenset(entry[word]) for name, entry in entries.items()}
            for direction, word in ((IMPORT, "reads"), (EXPORT, "writes"))
        }
        read_on = document["read_on"].isoformat()
        return cls(document["source"], document["commit"], read_on, frozenset(document["primitives"]), says)

    def covers(self, backend: str) -> bool:
        """Whether its table has a column for a backend."""
        return backend in self.says[IMPORT]

    def claims(self, backend: str, primitive: str, direction: str = IMPORT) -> bool | None:
        """Whether it says that a backend reads, or writes, a primitive; None where it is silent."""
        known = self.says[direction]
        return primitive in known[backend] if backend in known and primitive in self.primitives else None


def write_primitives(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write primitives.csv and primitives.md; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table, page = folder / PRIMITIVES.name, folder / PAGE
    write_table(table, [dict(row) for row in rows], PRIMITIVES)
    write_text(page, "\n".join(page_lines(rows, Support.load())) + "\n")
    return [table, page]


def by_primitive(rows: Iterable[Row]) -> dict[str, dict[str, dict[str, list[Row]]]]:
    """Primitive → backend → direction → rows, in the order of the page."""
    found: dict[str, dict[str, dict[str, list[Row]]]] = {}
    for row in rows:
        backends = found.setdefault(row["primitive"], {})
        backends.setdefault(row["backend"], {name: [] for name in DIRECTIONS})[row["direction"]].append(row)
    rank = {kind: number for number, kind in enumerate(_KINDS)}
    return dict(sorted(found.items(), key=lambda entry: (rank.get(entry[0], len(rank)), entry[0])))


def summary(rows: Sequence[Row]) -> str:
    """One word where all aspects end alike, else how many of them are right; a dash where there is nothing to measure."""
    counts = Counter(str(row["status"]) for row in rows)
    right = sum(count for status, count in counts.items() if PrimitiveStatus(status).agrees)
    if not rows:
        return NOTHING
    if right == len(rows):
        return "exact" if set(counts) == {"exact"} else "right"
    if len(counts) == 1:
        return next(iter(counts))
    return f"{right} of {len(rows)}"


def page_lines(rows: Sequence[Row], support: Support) -> Iterator[str]:
    """The page, line by line."""
    from nir_interop.conformance.primitives import SUITE  # here: the cases need torch, and what is read of the page does not

    versions = dict(sorted({(row["backend"], row["version"] or "") for row in rows}))
    asked = {name: {(row["primitive"], row["aspect"]) for row in rows if row["direction"] == name} for name in DIRECTIONS}
    found = by_primitive(rows)
    yield "# What each library makes of NIR's primitives"
    yield ""
    yield "A cell holds what a library's **importer** makes of graphs with the primitive / what its **exporter** writes of"
    yield "networks with it."
    yield ""
    yield f"- Import: {len(asked[IMPORT])} graphs (suite {SUITE}), each run by the library through its own importer and held"
    yield "  against NIR's meaning in steps of dt."
    yield f"- Export: {len(asked[EXPORT])} networks. Those that a library has modules for are built in it, run, and written by"
    yield "  its own exporter; what the file means is held against the graph that a faultless exporter would have written."
    yield "  Exported in the idiom of those who know how: worked_around where the library has it, else portable, else"
    yield "  tutorial; *as its documentation says* is portable, *as a tutorial writes it* is tutorial."
    unasked = [each for each in found if each not in {primitive for primitive, _ in asked[EXPORT]}]
    if unasked:
        yield f"  No network has a layer for {', '.join(unasked)}."
    yield "- *exact*: every output is the same; *right*: that, or off by float32 rounding alone; *3 of 7*: so many aspects are;"
    yield f"  {NOTHING}: not measured, for want of a layer or of the library's module. Numbers lead to what the others are."
    yield ""
    yield f"*docs* is what [NIR's own table]({support.source}) (commit {support.commit[:8]}, read {support.read_on}) says of"
    yield "reading / writing. **≠** marks where it and the measurement contradict each other: it says yes and not one aspect is"
    yield "right, or it says no and one is."
    yield ""
    heads = {name: [f"{name} {version}".strip(), *(["docs"] * support.covers(name))] for name, version in versions.items()}
    yield "| primitive | " + " | ".join(head for each in heads.values() for head in each) + " |"
    yield "|---|" + "---|" * sum(map(len, heads.values()))
    notes: list[tuple[str, list[Row]]] = []
    for primitive, per_backend in found.items():
        cells = []
        for backend in versions:
            of = per_backend.get(backend, {name: [] for name in DIRECTIONS})
            cells.append(" / ".join(_mark(of[name], f"{primitive}, {backend}, {name}", notes) for name in DIRECTIONS))
            if support.covers(backend):
                said = [_claimed(support, backend, primitive, name, of[name]) for name in DIRECTIONS]
                cells.append(" / ".join(said) if any(said) else "")
        yield f"| {primitive} | " + " | ".join(cells) + " |"
    for number, (title, left) in enumerate(notes, start=1):
        yield ""
        yield f'<a id="{number}"></a>**{number}** {title}:'
        yield ""
        yield from _notes(left)


def contradicts(support: Support, backend: str, primitive: str, rows: Sequence[Row], direction: str = IMPORT) -> bool:
    """Whether what the documentation says is not what was measured; where nothing was, it is not."""
    claimed = support.claims(backend, primitive, direction)
    return claimed is not None and bool(rows) and claimed != any(PrimitiveStatus(row["status"]).agrees for row in rows)


def _mark(rows: Sequence[Row], title: str, notes: list[tuple[str, list[Row]]]) -> str:
    """A summary, with a note of the aspects that are not right."""
    left = [row for row in rows if not PrimitiveStatus(row["status"]).agrees]
    if not left:
        return summary(rows)
    notes.append((title, left))
    return f"{summary(rows)} [{len(notes)}](#{len(notes)})"


def _claimed(support: Support, backend: str, primitive: str, direction: str, rows: Sequence[Row]) -> str:
    claimed = support.claims(backend, primitive, direction)
    word = "" if claimed is None else "yes" if claimed else "no"
    return f"{word} **≠**" if contradicts(support, backend, primitive, rows, direction) else word


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """Aspects that end alike on one line, under what the library said or why."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        causes = ", ".join((row["causes"] or "").split(SEPARATOR))
        said = (
            row["message"]
            if not causes or PrimitiveStatus(row["status"]) in (PrimitiveStatus.ERROR, PrimitiveStatus.UNREADABLE)
            else ""
        )
        alike.setdefault((row["status"], "; ".join(text for text in (causes, said) if text)), []).append(row["aspect"])
    for (status, why), aspects in alike.items():
        said = f" ({markdown(why)})" if why else ""
        yield f"- {status}{said}: {'; '.join(aspects)}"
