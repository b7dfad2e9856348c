"""The matrix once more, with each graph that comes out differently rewritten for its importer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report.tables import natively, reconciliation
from harness.vocabulary import Status

Row = Mapping[str, Any]


def pairs(rows: Mapping[str, Row]) -> list[tuple[Row, Row]]:
    """Native and reconciled rows of one cell."""
    return [
        (rows[cell_id.replace(".reconciled.", ".native.")], row) for cell_id, row in rows.items() if row["mode"] == "reconciled"
    ]


def told(row: Row) -> str:
    return f"{row['cell_id']}: {row['status']}, {row['mismatched']} differ, {row['causes']}, remedy {row['remedy']}"


def test_every_cell_that_differs_is_tried_again(rows: dict[str, Row]) -> None:
    found = pairs(rows)
    again = {native["cell_id"] for native, _ in found}
    rules = [row for row in natively(rows.values()) if row["importer"] not in (None, "exact")]
    differ = {row["cell_id"] for row in rules if not Status(row["status"]).agrees and row["status"] != "vacuous"}
    assert again == differ
    assert len(again) > 250


def test_of_the_cells_that_nothing_forbids_nearly_all_become_right(rows: dict[str, Row]) -> None:
    found = reconciliation(list(rows.values()))
    assert found["allowed"] > 100
    assert found["reconciled"] >= 0.95 * found["allowed"], found
    left = [told(row) for _, row in pairs(rows) if not Status(row["status"]).agrees and not row["forbidden"]]
    assert len(left) <= 0.05 * found["allowed"], left


def test_a_cell_that_stays_wrong_says_why(rows: dict[str, Row]) -> None:
    wrong = [row for _, row in pairs(rows) if not Status(row["status"]).agrees]
    assert wrong
    assert [told(row) for row in wrong if not row["causes"] or "unexplained" in row["causes"]] == []
    assert all(set((row["forbidden"] or row["causes"]).split(";")) <= set(row["causes"].split(";")) for row in wrong)


def test_trained_networks_lose_no_accuracy_where_they_are_reconciled(rows: dict[str, Row]) -> None:
    exact = [(native, row) for native, row in pairs(rows) if row["status"] == "exact"]
    assert all(row["mismatched"] == 0 for _, row in exact)
    trained = [(native, row) for native, row in exact if row["accuracy_source"] is not None and row["dataset"] == "digits"]
    assert len(trained) > 20
    assert [told(row) for _, row in trained if row["accuracy_delta"] != 0 or row["agreement"] != 1] == []
    lost = [native["accuracy_delta"] for native, _ in trained if native["accuracy_delta"] is not None]
    assert min(lost) < -0.5, "what reconciling is good for"


def test_a_reconciled_cell_names_its_remedy_and_so_does_the_cell_it_mends(rows: dict[str, Row]) -> None:
    right = [(native, row) for native, row in pairs(rows) if Status(row["status"]).agrees and row["status"] == "exact"]
    assert all(row["remedy"] and native["remedy"] == row["remedy"] for native, row in right), "a remedy for each"
    assert {native["remedy"] for native, row in pairs(rows) if not Status(row["status"]).agrees} == {None}
