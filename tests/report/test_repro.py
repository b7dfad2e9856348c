"""What ``repro`` says of a cell: where graph and input come from, and whether it is as the report has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nir_interop.matrix.plan import SourceJob
from nir_interop.matrix.results import SourceResult
from nir_interop.report.repro import held_against, where_from
from nir_interop.workers.environment import ENVIRONMENT, SAME_SUMS
from nir_interop.workers.jobs import Exported, StimulusMade, Trained
from tests.cli.test_diff import differs, folder_with, row

STORE = Path("kept")


def source(cached: bool, training: Trained | None, training_cached: bool = False) -> SourceResult:
    return SourceResult(
        SourceJob("mlp_lif", "portable", "norse", 1e-4), Exported(), StimulusMade(), training, cached, training_cached
    )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (source(True, None), "from kept"),
        (source(False, Trained()), "made now"),
        (source(True, Trained(trained=True, shipped=True)), "from kept, made with the weights that come with the project"),
        (source(False, Trained(trained=True, shipped=True)), "made now with the weights that come with the project"),
        (
            source(True, Trained(trained=True), True),
            "from kept, made with weights that were trained here: numbers may differ from a report's",
        ),
        (
            source(False, Trained(trained=True), True),
            "made now with weights that were trained here: numbers may differ from a report's",
        ),
        (source(False, Trained(trained=True)), "made now, and the network trained anew: numbers may differ from a report's"),
    ],
)
def test_it_says_where_graph_and_input_come_from(found: SourceResult, says: str) -> None:
    assert where_from(found, STORE) == f"graph and input: {says}"


def test_a_cell_is_held_against_its_row_of_the_report(tmp_path: Path) -> None:
    kept = folder_with(
        tmp_path / "results", differs(0.25, graph_sha="a" * 64), row(importer="norse", status="rounding", mismatched=3)
    )
    report = kept / "report.csv"
    same = held_against(differs(0.25, graph_sha="a" * 64), kept)
    assert (same.differs, same.says) == ({}, f"as in {report}")
    other = held_against(differs(0.5, graph_sha="b" * 64), kept)
    assert other.differs == {"graph_sha": ("a" * 64, "b" * 64), "mismatched": (25, 50)}
    assert other.says == f"not as in {report}: another graph, mismatched 50, not 25"
    assert other.as_dict()["differs"]["mismatched"] == [25, 50]


def test_a_mismatch_that_the_report_proves_to_be_rounding_is_the_same(tmp_path: Path) -> None:
    kept = folder_with(tmp_path, row(status="rounding", mismatched=3))
    assert held_against(row(status="mismatch", mismatched=3), kept).differs == {}
    assert set(held_against(row(status="mismatch", mismatched=4), kept).differs) == {"status", "mismatched"}


def test_where_there_is_no_report_or_no_such_row_nothing_is_said(tmp_path: Path) -> None:
    kept = folder_with(tmp_path / "results", row())
    (tmp_path / "spoiled").mkdir()
    (tmp_path / "spoiled" / "report.csv").write_text("a,b\n")
    for folder, cell in ((kept, row(importer="other")), (tmp_path / "nowhere", row()), (tmp_path / "spoiled", row())):
        assert held_against(cell, folder).says == ""


def test_the_script_adds_up_as_the_workers_do() -> None:
    assert SAME_SUMS.items() <= ENVIRONMENT.items()
