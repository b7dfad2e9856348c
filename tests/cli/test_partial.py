"""Which run of the matrix may replace the report that is there without being told to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nir_interop.backends.environments import backends
from nir_interop.cli.matrix import PART, _elsewhere
from nir_interop.matrix.plan import make_plan
from nir_interop.report.diff import SavedRun
from tests.cli.test_diff import row, weights, without_graph

RESULTS = Path("results")
WHOLE = make_plan()
ROWS = (row(causes="decay"), row(importer="norse", dt_import=1e-3), without_graph(exporter="spikingjelly"))
OURS = weights("a", shipped=True)


def told(*rows: Any, environment: Any = OURS, unread: str = "", explain: bool = True, train: bool = False, **part: Any) -> str:
    before = SavedRun(RESULTS / "report.csv", rows, environment) if rows else None
    plan = make_plan(**part) if part else WHOLE
    return _elsewhere(plan, explain, train, RESULTS, before, unread)


def test_the_whole_matrix_replaces_whatever_is_there() -> None:
    assert WHOLE.default
    assert told(*ROWS) == told() == told(unread="is no report.csv") == ""
    assert told(*ROWS, row(seed=7)) == told(row(network="gone")) == ""


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ({"networks": ["mlp_if"]}, 0),
        ({"networks": ["rlif"]}, 3),
        ({"exporters": ["norse"]}, 1),
        ({"importers": ["norse"]}, 1),
        ({"dts": (1e-4,)}, 1),
        ({"dts": (1e-4, 1e-3, 1e-2)}, 0),
        ({"seed": 1}, 3),
    ],
    ids=lambda each: "".join(each) if isinstance(each, dict) else str(each),
)
def test_a_part_replaces_no_cell_that_it_does_not_have(part: dict[str, Any], kept: int) -> None:
    line = told(*ROWS, **part)
    assert bool(line) == bool(kept)
    if kept:
        assert line.startswith(f"results holds {kept} cells that this run does not have, and stays: this run is in {PART}")
    assert told(**part) == ""  # there is nothing to keep
    assert "cannot be read" in told(unread="is no report.csv", **part)


def test_a_run_that_says_less_or_has_other_weights_replaces_no_report_that_says_more() -> None:
    assert "--no-explain" in told(*ROWS, explain=False)
    assert told(row(), explain=False) == ""
    assert "weights" in told(*ROWS, train=True)
    assert told(*ROWS, train=True, environment=weights("b")) == ""
    assert told(*ROWS, train=True, networks=["mlp_if"], environment={}) == ""


def test_every_backend_takes_part_in_the_whole_matrix() -> None:
    assert WHOLE.importers == tuple(each.name for each in backends() if not each.apart)


def test_the_matrix_of_all_backends_replaces_its_report_unless_a_library_is_missing() -> None:
    plan = make_plan(everything=True)
    assert plan.everything and not plan.default
    assert plan.missing  # nothing but the libraries of the default matrix is installed for tests
    there = (row(), row(importer=plan.missing[0].name))
    before = SavedRun(RESULTS / "report.csv", there, OURS)
    assert "holds 1 cells that this run does not have" in _elsewhere(plan, True, False, RESULTS, before, "")
    whole = replace(plan, backends={each.name: replace(each, installed=True) for each in plan.backends.values()})
    assert _elsewhere(whole, True, False, RESULTS, before, "") == ""
