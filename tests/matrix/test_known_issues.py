"""Known issues are exact: each says whose, where or why, and how many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nir_interop.errors import BadInput
from nir_interop.matrix.known_issues import Issue, load, mark, stale

ENTRY = {
    "id": "drops-pooling", "backend": "norse", "role": "importer", "versions": ["1.1.0"], "status": "mismatch",
    "cause": "node_dropped", "cells": 2, "why": "pooling is not in its table",
}  # fmt: skip


def write(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "known_issues.toml"
    lines = []
    for entry in entries:
        lines += ["[[issue]]", *(f"{name} = {value!r}" for name, value in entry.items())]
    path.write_text("\n".join(lines))
    return path


def row(**values: Any) -> dict[str, Any]:
    base: dict[str, Any] = dict.fromkeys(("error_at", "error_message", "causes", "known_issue", "blame"))
    return base | {
        "network": "csnn", "mode": "native", "status": "mismatch", "importer": "norse", "importer_version": "1.1.0",
        "causes": "decay;node_dropped",
    } | values  # fmt: skip


def test_the_projects_own_list_can_be_read() -> None:
    assert all(isinstance(issue, Issue) for issue in load())


def test_a_row_is_covered_only_if_everything_fits(tmp_path: Path) -> None:
    issues = load(write(tmp_path, ENTRY))
    rows = [
        row(),
        row(importer_version="1.1.1"),
        row(importer="snntorch"),
        row(status="exact"),
        row(causes="decay"),
        row(causes=None),
    ]
    mark(rows, issues)
    assert [one["known_issue"] for one in rows] == ["drops-pooling", None, None, None, None, None]


def test_a_message_is_compared_from_its_beginning_and_literally(tmp_path: Path) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != "cause"} | {"error_message": "got (.*)"}
    issues = load(write(tmp_path, entry))
    rows = [row(error_message="got (.*) at x"), row(error_message="got (5) at x"), row(error_message="I got (.*)"), row()]
    mark(rows, issues)
    assert [one["known_issue"] for one in rows] == ["drops-pooling", None, None, None]


def test_another_number_of_cells_is_reported(tmp_path: Path) -> None:
    issues = load(write(tmp_path, ENTRY, ENTRY | {"id": "gone", "cause": "gain"}))
    rows = [row(), row(), row()]
    mark(rows, issues)
    told = stale(rows, issues)
    assert [line.split(";")[0] for line in told] == [
        "known issue drops-pooling covers 3 cells, not 2",
        "known issue gone covers 0 cells, not 2",
    ]
    assert "remove it" in told[1]
    mark(rows[:2], issues)
    assert stale(rows[:2], issues[:1]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cells": None}, "cells is missing"),
        ({"versions": None}, "versions is missing"),
        ({"cause": None}, "say where or why"),
        ({"versions": []}, "versions is a list and not empty"),
        ({"cause": "bad_luck"}, "no cause 'bad_luck'"),
        ({"status": "odd"}, "no status 'odd'"),
        ({"role": "reader"}, "role is one of"),
        ({"pattern": ".*"}, "no such field: 'pattern'"),
        ({"cells": 0}, "cells is a int and not empty"),
    ],
)
def test_an_entry_that_leaves_something_open_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    entry = {name: value for name, value in (ENTRY | change).items() if value is not None}
    with pytest.raises(BadInput, match=said):
        load(write(tmp_path, entry))


def test_an_id_is_used_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="used twice"):
        load(write(tmp_path, ENTRY, ENTRY))


def test_what_another_time_step_did_is_no_issue_of_a_library() -> None:
    issue = Issue("i", "norse", "importer", ("1.1.0",), "mismatch", 1, "why", networks=("a",))
    fitting = {"importer": "norse", "importer_version": "1.1.0", "status": "mismatch", "network": "a"}
    assert issue.covers(row(**fitting))
    assert not issue.covers(row(**fitting, blame="setting"))
