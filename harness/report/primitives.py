"""``primitives.csv``, and the page that a user reads: one line a primitive, one column a backend, footnotes for aspects."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.graphs.primitives import PARAMETERS
from harness.matrix.primitives import SUITE, Outcome
from harness.schema import PRIMITIVES, SEPARATOR, write_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Row = Mapping[str, Any]

PAGE = "primitives.md"
SUPPORT = Path(__file__).parents[1] / "matrix" / "nir_support.toml"
_KINDS = (*PARAMETERS, "NIRGraph", "self-loop", "two-node cycle", "longer cycle", "join at a neuron", "join at Output")
"""Lines of the page, in order; others follow by name."""


@dataclass(frozen=True)
class Support:
    """What NIR's documentation says: backend → primitives that it reads, of those that its table has."""

    source: str
    commit: str
    read_on: str
    primitives: frozenset[str]
    reads: Mapping[str, frozenset[str]]

    @classmethod
    def load(cls, path: Path = SUPPORT) -> Support:
        """The table in the repository."""
        with path.open("rb") as file:
            document = tomllib.load(file)
        reads = {name: frozenset(entry["reads"]) for name, entry in document.items() if isinstance(entry, dict)}
        read_on = document["read_on"].isoformat()
        return cls(document["source"], document["commit"], read_on, frozenset(document["primitives"]), reads)

    def claims(self, backend: str, primitive: str) -> bool | None:
        """Whether it says that a backend reads a primitive; None where it is silent."""
        return primitive in self.reads[backend] if backend in self.reads and primitive in self.primitives else None


def write_primitives(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write primitives.csv and primitives.md; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table, page = folder / PRIMITIVES.name, folder / PAGE
    write_table(table, [dict(row) for row in rows], PRIMITIVES)
    page.write_text("\n".join(page_lines(rows, Support.load())) + "\n", encoding="utf-8")
    return [table, page]


def by_primitive(rows: Iterable[Row]) -> dict[str, dict[str, list[Row]]]:
    """Primitive → backend → rows, in the order of the page."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        found.setdefault(row["primitive"], {}).setdefault(row["backend"], []).append(row)
    rank = {kind: number for number, kind in enumerate(_KINDS)}
    return dict(sorted(found.items(), key=lambda entry: (rank.get(entry[0], len(rank)), entry[0])))


def summary(rows: Sequence[Row]) -> str:
    """One word where all aspects end alike, else how many of them are right."""
    counts = Counter(str(row["status"]) for row in rows)
    right = sum(count for status, count in counts.items() if Outcome(status).agrees)
    if right == len(rows):
        return "exact" if set(counts) == {"exact"} else "exact or rounding"
    if len(counts) == 1:
        return next(iter(counts))
    return f"{right} of {len(rows)}"


def page_lines(rows: Sequence[Row], support: Support) -> Iterator[str]:
    """The page, line by line."""
    versions = dict(sorted({(row["backend"], row["version"] or "") for row in rows}))
    found = by_primitive(rows)
    yield "# What each importer makes of NIR's primitives"
    yield ""
    yield f"Measured: {len({(row['primitive'], row['aspect']) for row in rows})} graphs (suite {SUITE}), each run by a library"
    yield "through its own importer and held against NIR's meaning in steps of dt. A number counts the aspects that are exact,"
    yield "or differ by float32 rounding alone; the notes below say what comes of the others."
    yield ""
    yield f"*docs* is what [NIR's own table]({support.source}) (commit {support.commit[:8]}, read {support.read_on}) says of"
    yield "reading; **≠** marks where it and the measurement contradict each other: it says yes and not one aspect is right, or"
    yield "it says no and one is. Exporters are not measured here."
    yield ""
    yield "| primitive | " + " | ".join(f"{name} {version}".strip() for name, version in versions.items()) + " |"
    yield "|---|" + "---|" * len(versions)
    notes: list[tuple[str, list[Row]]] = []
    for primitive, per_backend in found.items():
        cells = []
        for backend in versions:
            of = per_backend.get(backend, [])
            left = [row for row in of if not Outcome(row["status"]).agrees]
            note = ""
            if left:
                notes.append((f"{primitive}, {backend}", left))
                note = f" [{len(notes)}](#{len(notes)})"
            cells.append(f"{summary(of) if of else ''}{note}{_docs(support, backend, primitive, of)}")
        yield f"| {primitive} | " + " | ".join(cells) + " |"
    for number, (title, left) in enumerate(notes, start=1):
        yield ""
        yield f'<a id="{number}"></a>**{number}** {title}:'
        yield ""
        yield from _notes(left)


def contradicts(support: Support, backend: str, primitive: str, rows: Sequence[Row]) -> bool:
    """Whether what the documentation says of reading is not what was measured."""
    claimed = support.claims(backend, primitive)
    return claimed is not None and claimed != any(Outcome(row["status"]).agrees for row in rows)


def _docs(support: Support, backend: str, primitive: str, rows: Sequence[Row]) -> str:
    claimed = support.claims(backend, primitive)
    if claimed is None:
        return ""
    mark = " **≠**" if contradicts(support, backend, primitive, rows) else ""
    return f"; docs: {'yes' if claimed else 'no'}{mark}"


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    """Aspects that end alike on one line, under what the library said or why."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        why = ", ".join((row["causes"] or "").split(SEPARATOR)) or row["message"] or ""
        alike.setdefault((row["status"], why), []).append(row["aspect"])
    for (status, why), aspects in alike.items():
        said = f" ({why})" if why else ""
        yield f"- {status}{_escaped(said)}: {'; '.join(aspects)}"


def _escaped(text: str) -> str:
    """Library messages as plain text in Markdown."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in text)
