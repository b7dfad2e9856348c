"""What is kept of a run for its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.matrix.store import Store
from harness.report.page import details as module
from harness.report.page import keep, kept
from tests.report.conftest import Ran


def test_a_cell_that_differs_has_causes_and_pictures(ran: Ran) -> None:
    detail = ran.details["lif_single.portable.reference@0.0001>exact@0.0001.native.0"]
    assert detail["causes"][0]["cause"] == "discretisation"
    assert {"first", "raster", "membrane"} <= set(detail)
    assert detail["membrane"]["curves"][0] is not None
    assert detail["membrane"]["curves"][1] is not None


def test_an_exact_cell_takes_no_room(ran: Ran) -> None:
    assert "lif_single.portable.reference@0.0001>reference@0.0001.native.0" not in ran.details


def test_a_reconciled_cell_says_what_was_changed_in_its_graph(ran: Ran) -> None:
    changed = [detail["changes"] for name, detail in ran.details.items() if ".reconciled." in name and detail["changes"]]
    assert changed
    assert all("node " in line or "edge " in line or line.startswith("and ") for lines in changed for line in lines)


def test_details_are_plain_data_without_paths(ran: Ran) -> None:
    text = json.dumps(dict(ran.details), allow_nan=False)
    assert str(ran.store.path) not in text


def test_the_store_has_what_was_kept_and_it_is_not_made_twice(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept(ran.store, ran.folder) == ran.details

    def never(*given: Any) -> Any:
        raise AssertionError("made again")

    monkeypatch.setattr(module, "details_of", never)
    assert keep(ran.found, ran.store, ran.folder) == ran.details


def test_another_report_has_nothing_in_the_store(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("another\n", encoding="utf-8")
    assert kept(ran.store, tmp_path) is None
    assert kept(Store(tmp_path / "empty"), ran.folder) is None


def test_lines_with_a_clock_in_them_and_repeated_ones_are_not_shown() -> None:
    said = module._said("W1121 10:39:50.600000 15751 x.py:53] Triton\nscaling\nscaling\n\nUserWarning: r\n")
    assert said == "scaling\nUserWarning: r"
