"""Pages of studies: prose in ``<study>/templates/*.md.j2``, numbers and tables handed in."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from nir_interop.backends.environments import Backend, backends, installed_versions

if TYPE_CHECKING:
    from nir_interop.training import Trained


def page(study: str, template: str = "page.md.j2", **values: Any) -> str:
    """A template of a study, filled in.

    In a template ``table(columns, rows)`` writes a Markdown table; ``columns(rows, {heading: cell})`` makes one of
    rows by name, a cell being a column or a function of the row.  A line of nothing but a statement leaves no line.
    Raises jinja2.UndefinedError for a value that is not given.
    """
    loader = PackageLoader(f"nir_interop_studies.{study}")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["table"] = lambda columns, rows: "\n".join(markdown_table(columns, rows))
    environment.globals["columns"] = _columns
    return environment.get_template(template).render(values) + "\n"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A table of a page, line by line."""
    shown = [["" if value is None else str(value).replace("|", "\\|") for value in row] for row in rows]
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(row) + " |" for row in shown),
    ]


def _columns(rows: Iterable[Mapping[str, Any]], cells: Mapping[str, Any]) -> str:
    shown = [[row[cell] if isinstance(cell, str) else cell(row) for cell in cells.values()] for row in rows]
    return "\n".join(markdown_table(tuple(cells), shown))


def how_made(
    command: str,
    seconds: float,
    trained: Mapping[str, Trained] | None = None,
    *,
    used: Iterable[Backend] | None = None,
    packages: tuple[str, ...] = ("torch", "nir"),
    also: str = "",
) -> Iterator[str]:
    """The command, wall time, machine, what training took, and versions, line by line.

    used : the backends that took part, None for all; packages : whose versions are told beside their own; also : said behind
    """
    yield "## How this was made"
    yield ""
    yield f"`{command}`: {seconds:.0f} s, beside what an earlier run had left, on {platform.machine()} with"
    yield f"{os.cpu_count()} cores, Python {platform.python_version()}; the largest process took {_peak()} MB of memory."
    yield ""
    if trained:
        for name, found in trained.items():
            yield f"- {name}: trained in {found.seconds:.0f} s on {found.device}"
        yield ""
    told = backends() if used is None else used
    versions = {name: value for each in told for name, value in each.versions.items()} | installed_versions(packages)
    yield ", ".join(f"{name} {value}" for name, value in sorted(versions.items())) + f"{also}."


def _peak() -> int:
    """Resident memory of the largest process of this run, in MB."""
    used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(used) * 1024 // 10**6
