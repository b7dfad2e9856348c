"""What is kept of a run for its page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nir_interop.report.page import details as module
from nir_interop.report.page import keep, kept
from nir_interop.store.store import Store
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


def test_a_reconciled_cell_names_each_pass_with_its_nodes_and_its_reason(ran: Ran) -> None:
    passes = [one for name, detail in ran.details.items() if ".reconciled." in name for one in detail["passes"]]
    rewritten = {
        name for row in ran.found.report_rows() if row["mode"] == "reconciled" for name in (row["remedy"] or "").split(";")
    }
    assert {one["name"] for one in passes} == rewritten - {""}
    assert passes and all(one["nodes"] and len(one["why"].split()) > 3 for one in passes)


def test_details_are_plain_data_without_paths(ran: Ran) -> None:
    text = json.dumps(dict(ran.details), allow_nan=False)
    assert str(ran.store.path) not in text


def test_the_store_has_what_was_kept_and_it_is_not_made_twice(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept(ran.store, ran.folder) == ran.details

    def never(*given: Any) -> Any:
        raise AssertionError("made again")

    monkeypatch.setattr(module, "details_of", never)
    assert keep(ran.found, ran.store, ran.folder) == ran.details


def test_another_reason_for_a_pass_is_made_anew(ran: Ran) -> None:
    cells = list(ran.found.cells)
    number, cell = next((number, each) for number, each in enumerate(cells) if each.rewriting and each.rewriting.passes)
    assert cell.rewriting is not None
    told = tuple(replace(one, why="for another reason") for one in cell.rewriting.passes)
    cells[number] = replace(cell, rewriting=replace(cell.rewriting, passes=told))
    details = keep(replace(ran.found, cells=tuple(cells)), Store(ran.store.path), ran.folder)
    assert {one["why"] for one in details[cell.job.cell_id]["passes"]} == {"for another reason"}
    keep(ran.found, ran.store, ran.folder)


def test_another_report_has_nothing_in_the_store(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("another\n", encoding="utf-8")
    assert kept(ran.store, tmp_path) is None
    assert kept(Store(tmp_path / "empty"), ran.folder) is None


def test_lines_with_a_clock_in_them_and_repeated_ones_are_not_shown() -> None:
    said = module._said("W1121 10:39:50.600000 15751 x.py:53] Triton\nscaling\nscaling\n\nUserWarning: r\n")
    assert said == "scaling\nUserWarning: r"
