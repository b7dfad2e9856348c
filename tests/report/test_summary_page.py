"""report.md and its picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as tree
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nir_interop.cli import app
from nir_interop.printable import markdown
from nir_interop.report.cells import kind, letter, place
from nir_interop.report.page import Details, page_of
from nir_interop.report.summary_page import lines, write_summary
from tests.report.conftest import HOSTILE, Ran


def test_it_has_the_counts_the_worst_the_rules_and_the_primitives(ran: Ran) -> None:
    text = "\n".join(lines(page_of(ran.folder, ran.details)))
    for title in (
        "Silent wrong answers, worst first",
        "Cells imported at the step",
        "Update rules",
        "Primitives",
        "What was run",
    ):
        assert f"## {title}" in text
    assert "| reference | exact |" in text
    assert "- norse 1.1.0: forward Euler at the dt it is given; ignores r" in text


def test_every_row_of_a_table_has_as_many_cells_as_its_head(ran: Ran) -> None:
    width = 0
    for line in lines(page_of(ran.folder, ran.details)):
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            assert width in (0, cells), line
            width = cells
        else:
            width = 0


def test_words_of_graphs_and_libraries_are_escaped(hostile: tuple[Path, Details]) -> None:
    assert markdown(f"a|b {HOSTILE}\nnext") == "a\\|b \\<img src=x onerror=alert(1)\\> next"
    folder, details = hostile
    assert HOSTILE not in "\n".join(lines(page_of(folder, details)))


def test_the_picture_is_well_formed_and_has_a_letter_for_each_cell(ran: Ran, tmp_path: Path) -> None:
    page = page_of(ran.folder, ran.details)
    _, picture = write_summary(page, tmp_path)
    root = tree.fromstring(picture.read_text(encoding="utf-8"))
    letters = [each for each in root.iter("{http://www.w3.org/2000/svg}text") if each.get("text-anchor") == "middle"]
    rewritten = [page.after[place(row)] for row in page.headline if place(row) in page.after]
    key = {(letter(row), kind(row)) for row in (*page.headline, *rewritten)}
    assert len(letters) == len(page.headline) + len(rewritten) + len(key)


def test_the_verb_writes_the_pages_from_the_tables_and_runs_nothing(ran: Ran) -> None:
    asked = ["report", "--results", str(ran.folder), "--store", str(ran.store.path), "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [Path(each).name for each in said["files"]] == ["report.html", "report.md", "report.svg"]
    assert said["pictures"] is True
    assert CliRunner().invoke(app, [*asked[:-1], "--quiet"]).output == ""


def test_the_verb_says_where_there_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = CliRunner().invoke(app, ["report", "--results", str(tmp_path)])
    assert done.exit_code != 0
    assert "nir-interop matrix writes it" in str(done.exception)
