"""What is known to go wrong, and whether it still does: ``known_issues.toml``."""

from __future__ import annotations

import importlib.util
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import SUITE, Backend, backends
from nir_interop.errors import BadInput
from nir_interop.printable import printable, shown
from nir_interop.schema.columns import SEPARATOR
from nir_interop.vocabulary import Blame, Cause, Mode, Status

PATH = Path(__file__).with_name("known_issues.toml")
ROLES = ("exporter", "importer")

_REQUIRED = {"id": str, "backend": str, "role": str, "versions": list, "status": str, "cells": int, "why": str}
_WHERE_OR_WHY = {"error_at": str, "error_message": str, "cause": str, "networks": list}
_OPTIONAL = {"thread": str}


@dataclass(frozen=True)
class Issue:
    """One entry; empty fields are not looked at.

    role : whether ``backend`` is the exporter or the importer of the cells
    error_message : the beginning of the message, literally
    cells : how many cells of the default matrix it covers
    """

    id: str
    backend: str
    role: str
    versions: tuple[str, ...]
    status: str
    cells: int
    why: str
    error_at: str = ""
    error_message: str = ""
    cause: str = ""
    networks: tuple[str, ...] = ()
    thread: str = ""

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of report.csv is a case of it; what the caller's setting is to blame for never is."""
        return (
            row["status"] == self.status
            and row["mode"] == Mode.NATIVE
            and not (row["blame"] and Blame(row["blame"]).of_setting)
            and row[self.role] == self.backend
            and row[f"{self.role}_version"] in self.versions
            and (not self.error_at or row["error_at"] == self.error_at)
            and (not self.error_message or (row["error_message"] or "").startswith(self.error_message))
            and (not self.cause or self.cause in (row["causes"] or "").split(SEPARATOR))
            and (not self.networks or row["network"] in self.networks)
        )


def every() -> tuple[Issue, ...]:
    """This project's entries, and those of other packages that bring backends: ``known_issues.toml`` in the adapter's package.

    Raises BadInput as :func:`load` does, for an entry about a backend of another package, and for an id that is used twice.
    """
    found = load()
    for each in backends():
        if each.package != SUITE and each.name == each.library and (path := _of_package(each)) is not None:
            for issue in load(path):
                if issue.backend != each.name:
                    raise BadInput(f"{path}: issue {shown(issue.id)} is about {issue.backend}; its package brings {each.name}")
                if issue.id in {other.id for other in found}:
                    raise BadInput(f"{path}: the id {shown(issue.id)} is used elsewhere; begin it with {each.name}-")
                found = (*found, issue)
    return found


def _of_package(backend: Backend) -> Path | None:
    """The file in the package of a backend's adapter; None where there is none."""
    package = importlib.util.find_spec(backend.module.partition(":")[0].partition(".")[0])
    places = [Path(each) / PATH.name for each in (package.submodule_search_locations or ())] if package is not None else []
    return next((each for each in places if each.is_file()), None)


def load(path: Path = PATH) -> tuple[Issue, ...]:
    """Read the entries of a file.

    Raises BadInput for an entry that lacks a field, has one that nothing reads, or would cover anything.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("issue", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{path.name}: {printable(str(error))}") from error
    issues = tuple(_issue(entry, number, path.name) for number, entry in enumerate(entries, start=1))
    twice = [name for name, count in Counter(issue.id for issue in issues).items() if count > 1]
    if twice:
        raise BadInput(f"{path.name}: the id {shown(twice[0])} is used twice; ids tell cells their issue")
    return issues


def _issue(entry: Mapping[str, Any], number: int, where: str) -> Issue:
    name = f"{where}: issue {shown(entry['id']) if entry.get('id') else number}"
    types = {**_REQUIRED, **_WHERE_OR_WHY, **_OPTIONAL}
    for field in entry:
        if field not in types:
            raise BadInput(f"{name}: no such field: {shown(field)}; there are {', '.join(types)}")
        if not isinstance(entry[field], types[field]) or not entry[field]:
            raise BadInput(f"{name}: {field} is a {types[field].__name__} and not empty")
    for field in _REQUIRED:
        if field not in entry:
            raise BadInput(f"{name}: {field} is missing")
    if not any(field in entry for field in _WHERE_OR_WHY):
        raise BadInput(f"{name}: say where or why, by one of {', '.join(_WHERE_OR_WHY)}")
    if entry["role"] not in ROLES:
        raise BadInput(f"{name}: role is one of {', '.join(ROLES)}")
    if entry["status"] not in [str(status) for status in Status]:
        raise BadInput(f"{name}: no status {shown(entry['status'])}")
    if "cause" in entry and entry["cause"] not in [str(cause) for cause in Cause]:
        raise BadInput(f"{name}: no cause {shown(entry['cause'])}")
    fields: dict[str, Any] = {field: tuple(value) if isinstance(value, list) else value for field, value in entry.items()}
    return Issue(**fields)


def mark(rows: Iterable[dict[str, Any]], issues: Sequence[Issue]) -> None:
    """Fill ``known_issue`` of each row that an entry covers."""
    for row in rows:
        row["known_issue"] = next((issue.id for issue in issues if issue.covers(row)), None)


def stale(rows: Iterable[Mapping[str, Any]], issues: Sequence[Issue]) -> list[str]:
    """One line for each entry that covers another number of the default matrix's cells than it says."""
    counts = Counter(row["known_issue"] for row in rows if row["known_issue"])
    return [
        f"known issue {issue.id} covers {counts[issue.id]} cells, not {issue.cells}; "
        + ("it may be fixed: remove it" if not counts[issue.id] else "correct it, or look for what changed")
        for issue in issues
        if counts[issue.id] != issue.cells
    ]
