"""The matrix's second half: which cells are tried again, with which graph, and what the tables say of them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nir_interop.backends.environments import backends
from nir_interop.matrix.campaign import Event, run, verdict_after
from nir_interop.matrix.plan import make_plan
from nir_interop.matrix.results import CellResult, Results
from nir_interop.report.cells import reconciliation, summary
from nir_interop.store.store import Store
from nir_interop.verdict import Applied
from nir_interop.workers.jobs import Explained, Rewritten
from tests.matrix.matrix_runs import tables

OWN = [backend for backend in backends() if backend.name in ("reference", "exact")]
AGAIN = "mlp_if.portable.reference@0.0001>reference@0.001.reconciled.0"
Ran = tuple[Results, list[Event], Path]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    events: list[Event] = []
    store = tmp_path_factory.mktemp("store")
    found = run(make_plan(networks=["mlp_if"], known=OWN), Store(store), jobs=1, explain=True, on_event=events.append)
    return found, events, store


def row(results: Results, cell_id: str) -> dict[str, Any]:
    (found,) = [each for each in results.report_rows() if each["cell_id"] == cell_id]
    return found


def test_a_cell_at_another_step_is_right_once_its_graph_is_rewritten_for_that_step(ran: Ran) -> None:
    before, after = row(ran[0], AGAIN.replace("reconciled", "native")), row(ran[0], AGAIN)
    assert (before["status"], after["status"], after["mismatched"]) == ("mismatch", "exact", 0)
    assert after["graph_sha"] != before["graph_sha"]
    assert before["remedy"] == after["remedy"] == "same_decay"
    assert (after["blame"], after["causes"], after["forbidden"], after["known_issue"]) == ("none", None, None, None)


def test_only_cells_that_differ_at_an_importer_of_steps_are_tried_again(ran: Ran) -> None:
    assert [cell.job.cell_id for cell in ran[0].cells if cell.job.mode == "reconciled"] == [AGAIN]
    assert [event.name for event in ran[1] if event.kind == "reconciled"] == [AGAIN]


def test_without_explanations_nothing_is_reconciled(ran: Ran) -> None:
    found = run(make_plan(networks=["mlp_if"], known=OWN), Store(ran[2]), jobs=1)
    assert {cell.job.mode for cell in found.cells} == {"native"}


def test_what_was_rewritten_once_is_kept(ran: Ran, tmp_path: Path) -> None:
    kept = {path: path.stat().st_mtime_ns for path in (ran[2] / "rewritings").iterdir()}
    again = run(make_plan(networks=["mlp_if"], known=OWN), Store(ran[2]), jobs=1, explain=True)
    assert kept == {path: path.stat().st_mtime_ns for path in (ran[2] / "rewritings").iterdir()}
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    assert tables(ran[0], tmp_path / "a") == tables(again, tmp_path / "b")


def test_the_table_at_the_end_has_native_beside_reconciled(ran: Ran) -> None:
    rows = ran[0].report_rows()
    counts = summary(rows)["reference", "reference"]
    assert (counts["exact"], counts["reconciled"]) == (1, 1)
    setting = {**row(ran[0], AGAIN.replace("reconciled", "native")), "blame": "importer"}
    shares = reconciliation([setting if each["cell_id"] == setting["cell_id"] else each for each in rows])
    # continuous time differs as well, and nothing is reconciled there
    assert shares == {"differ": 2, "reconciled": 1, "allowed": 1}


def again(ran: Ran, status: str, verdict: Explained | None) -> CellResult:
    (cell,) = [cell for cell in ran[0].cells if cell.job.cell_id == AGAIN]
    return replace(
        cell,
        outcome=replace(cell.outcome, status=status),
        rewriting=Rewritten(passes=(Applied("same_decay", ("lif1",), "another scheme", "spikes"),), verdict=verdict),
    )


def test_a_cell_that_ends_otherwise_than_its_rewriting_foresaw_is_not_explained(ran: Ran) -> None:
    assert verdict_after(again(ran, "exact", None)).blame == "none"
    assert verdict_after(again(ran, "mismatch", None)).blame == "unexplained"
    left = Explained(status="mismatch", blame="importer", explained=1.0)
    assert verdict_after(again(ran, "mismatch", left)) == left


def test_a_reconciled_cell_can_be_seen_without_this_project(ran: Ran, tmp_path: Path) -> None:
    def repro(cell_id: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nir_interop", "repro", cell_id, "--store", str(ran[2]), "-o", str(tmp_path / "out")]
        return subprocess.run(command, capture_output=True, text=True, timeout=240)

    done = repro(AGAIN.replace("@0.001.", "@0.0001."))
    assert done.returncode == 2
    assert "reconciled only where its import differs" in done.stderr
    assert repro(AGAIN).returncode == 0
    shown = subprocess.run([sys.executable, "repro.py"], cwd=tmp_path / "out", capture_output=True, text=True, timeout=240)
    assert shown.stdout.startswith("0 of "), shown.stderr
