"""The matrix as tests: each (network, exporter, importer) at the step of its export, and each graph rewritten where it differs.

What is known to fail is a strict xfail: it must fail as its known issue says, with that status and in that place.  A
library's fix, or a new way of failing, is a failure here, and `make matrix` with known_issues.toml brought up to date mends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nir_interop.matrix.known_issues import load, stale
from nir_interop.matrix.plan import make_plan
from nir_interop.matrix.results import Results
from nir_interop.networks import names
from nir_interop.report.cells import natively, reconciliation
from nir_interop.schema import REPORT, read_table
from nir_interop.vocabulary import Blame, Status
from tests.known import CORE

Row = Mapping[str, Any]
Triple = tuple[str, str, str]

COMMITTED = Path(__file__).parents[2] / "results" / "report.csv"
EXPORTERS = tuple(sorted((*CORE, "reference")))
BLAMED = tuple(str(each) for each in Blame if each not in (Blame.NONE, Blame.UNEXPLAINED))
IMPORTERS = tuple(make_plan().importers)


QUICK = ("conv_grouped", "csnn_maxpool", "lif_single", "mlp_gain", "mlp_if", "rlif")
"""Networks without training that show most kinds of outcome; the others, and what is said of all of them, are slow."""


class KnownFailure(Exception):
    """A cell fails as its known issue says."""


def cells_of(rows: Mapping[str, Row], triple: Triple) -> dict[str, Row]:
    """The cells of a triple: of every idiom the imported graph, or the export that failed."""
    network, exporter, importer = triple
    return {
        cell_id: row
        for cell_id, row in rows.items()
        if (row["network"], row["exporter"], row["mode"]) == (network, exporter, "native")
        and row["importer"] in (importer, None)
        and (row["importer"] is None or row["dt_import"] == row["dt_export"])
    }


def told(row: Row) -> str:
    """What became of a cell, in a line."""
    numbers = "" if row["mismatched"] is None else f", {row['mismatched']} of {row['outputs']} outputs differ"
    first = "" if row["first_step"] is None else f", first at step {row['first_step']}, node {row['first_node']}"
    error = "" if row["error_type"] is None else f", {row['error_type']} at {row['error_at']}: {row['error_message']}"
    return f"{row['cell_id']}: {row['status']}{numbers}{first}{error} ({row['known_issue'] or 'no known issue'})"


def outcome(row: Row) -> tuple[Any, ...]:
    """What must be as it was: the status, where it came about, who and why, and the issue that says so."""
    return tuple(row[name] for name in ("status", "error_type", "error_at", "blame", "causes", "known_issue"))


def committed() -> dict[str, Row]:
    """The rows of the report in the repository."""
    if not COMMITTED.exists():
        return {}
    table = read_table(COMMITTED, REPORT).astype(object)
    return {row["cell_id"]: row for row in table.where(table.notna(), None).to_dict("records")}


BEFORE = committed()


def parameters() -> list[Any]:
    found = []
    for triple in ((network, exporter, importer) for network in names() for exporter in EXPORTERS for importer in IMPORTERS):
        issues = sorted({row["known_issue"] for row in cells_of(BEFORE, triple).values() if row["known_issue"]})
        marks = [pytest.mark.xfail(strict=True, raises=KnownFailure, reason=", ".join(issues))] if issues else []
        marks += [] if triple[0] in QUICK else [pytest.mark.slow]
        found.append(pytest.param(triple, marks=marks, id="-".join(triple)))
    return found


@pytest.mark.parametrize("triple", parameters())
def test_roundtrip(triple: Triple, rows: dict[str, Row]) -> None:
    cells = cells_of(rows, triple)
    assert cells, f"no cell of {triple} was run"
    known = {}
    for cell_id, row in cells.items():
        if cell_id in BEFORE and outcome(row) != outcome(BEFORE[cell_id]):
            pytest.fail(f"was {told(BEFORE[cell_id])}; is {told(row)}")
        if not Status(row["status"]).agrees:
            assert row["known_issue"], told(row)
            known[cell_id] = row
    if known:
        raise KnownFailure("; ".join(told(row) for row in known.values()))


@pytest.mark.slow
def test_every_known_issue_covers_the_roundtrip_cells_it_says(rows: dict[str, Row]) -> None:
    assert stale(rows.values(), load()) == []


@pytest.mark.slow
def test_every_cell_that_differs_is_explained(rows: dict[str, Row]) -> None:
    differ = [row for row in rows.values() if row["status"] != "exact"]
    assert len(differ) > 300
    assert [told(row) for row in differ if not row["causes"] or "unexplained" in row["causes"] or row["explained"] != 1] == []
    assert {row["blame"] for row in differ if row["blame"] != "none"} <= {*BLAMED}
    rounding = [row for row in rows.values() if "rounding" in (row["causes"] or "")]
    of_spikes = [row for row in rounding if row["spikes_source"] is not None]  # values round, as a rule
    assert len(of_spikes) <= 0.01 * len(rows), "so much rounding is a bug to find"
    assert all(row["blame"] == "none" and row["causes"] == "rounding" for row in rounding)


@pytest.mark.slow
def test_no_roundtrip_of_the_reference_through_itself_differs(rows: dict[str, Row]) -> None:
    found = [
        row["status"] for row in rows.values() if row["exporter"] == row["importer"] == "reference" and row["dt_import"] == 1e-4
    ]
    assert len(found) == len(names()) - 1
    assert set(found) == {"exact"}


@pytest.mark.slow
def test_what_the_libraries_build_is_what_was_asked_for(results: Results) -> None:
    """Sources against the reference on the intended graph: the equivalent networks are equivalent before any NIR."""
    rows = {row["source_id"]: row for row in results.source_rows()}
    portable = [row for row in rows.values() if row["idiom"] == "portable" and row["status"] in ("exact", "mismatch")]
    differ = sorted(row["source_id"] for row in portable if row["status"] == "mismatch")
    assert len(portable) > 40
    # Norse starts at v_leak and SpikingJelly at v_reset, where NIR starts at 0.
    assert differ == [
        "mlp_leak.portable.norse@0.0001",
        "mlp_rest.portable.norse@0.0001",
        "mlp_rest.portable.spikingjelly@0.0001",
    ]


@pytest.mark.slow
def test_trained_networks_have_learned_the_digits(results: Results) -> None:
    trained = [row for row in results.source_rows() if row["trained"]]
    assert {row["exporter"] for row in trained} == set(CORE)
    for row in trained:
        if row["idiom"] == "portable":
            assert row["accuracy"] >= 0.80, row["source_id"]
            assert row["rate_min"] >= 0.005, row["source_id"]


def tried(row: Row) -> str:
    """What became of a reconciled cell, in a line."""
    return f"{row['cell_id']}: {row['status']}, {row['mismatched']} differ, {row['causes']}, remedy {row['remedy']}"


def pairs(rows: Mapping[str, Row]) -> list[tuple[Row, Row]]:
    """Native and reconciled rows of one cell."""
    return [
        (rows[cell_id.replace(".reconciled.", ".native.")], row) for cell_id, row in rows.items() if row["mode"] == "reconciled"
    ]


@pytest.mark.slow
def test_every_cell_that_differs_is_tried_again(rows: dict[str, Row]) -> None:
    found = pairs(rows)
    again = {native["cell_id"] for native, _ in found}
    rules = [row for row in natively(rows.values()) if row["importer"] not in (None, "exact")]
    differ = {row["cell_id"] for row in rules if not Status(row["status"]).agrees and row["status"] != "vacuous"}
    assert again == differ
    assert len(again) > 250


@pytest.mark.slow
def test_of_the_cells_that_nothing_forbids_nearly_all_become_right(rows: dict[str, Row]) -> None:
    found = reconciliation(list(rows.values()))
    assert found["allowed"] > 100
    assert found["reconciled"] >= 0.95 * found["allowed"], found
    left = [tried(row) for _, row in pairs(rows) if not Status(row["status"]).agrees and not row["forbidden"]]
    assert len(left) <= 0.05 * found["allowed"], left


@pytest.mark.slow
def test_a_cell_that_stays_wrong_says_why(rows: dict[str, Row]) -> None:
    wrong = [row for _, row in pairs(rows) if not Status(row["status"]).agrees]
    assert wrong
    assert [tried(row) for row in wrong if not row["causes"] or "unexplained" in row["causes"]] == []
    assert all(set((row["forbidden"] or row["causes"]).split(";")) <= set(row["causes"].split(";")) for row in wrong)


@pytest.mark.slow
def test_trained_networks_lose_no_accuracy_where_they_are_reconciled(rows: dict[str, Row]) -> None:
    exact = [(native, row) for native, row in pairs(rows) if row["status"] == "exact"]
    assert all(row["mismatched"] == 0 for _, row in exact)
    trained = [(native, row) for native, row in exact if row["accuracy_source"] is not None and row["dataset"] == "digits"]
    assert len(trained) > 20
    assert [tried(row) for _, row in trained if row["accuracy_delta"] != 0 or row["agreement"] != 1] == []
    lost = [native["accuracy_delta"] for native, _ in trained if native["accuracy_delta"] is not None]
    assert min(lost) < -0.5, "what reconciling is good for"


@pytest.mark.slow
def test_a_reconciled_cell_names_its_remedy_and_so_does_the_cell_it_mends(rows: dict[str, Row]) -> None:
    right = [(native, row) for native, row in pairs(rows) if Status(row["status"]).agrees and row["status"] == "exact"]
    assert all(row["remedy"] and native["remedy"] == row["remedy"] for native, row in right), "a remedy for each"
    assert {native["remedy"] for native, row in pairs(rows) if not Status(row["status"]).agrees} == {None}
