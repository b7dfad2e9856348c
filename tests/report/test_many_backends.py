"""The pages of a matrix that is too wide for one picture, and of importers that are no library's own."""

from __future__ import annotations

import xml.etree.ElementTree as tree
from pathlib import Path
from typing import Any

import pytest

from nir_interop.report.cells import letter
from nir_interop.report.page import Page, page_of
from nir_interop.report.results_folder import write_pages
from nir_interop.report.summary_page import WIDEST, lines, matrix_picture
from nir_interop.schema import REPORT, RULES, write_table
from nir_interop.vocabulary import ADAPTERS_OWN
from tests.report.conftest import Ran

LIBRARIES = tuple(f"library{number:02}" for number in range(WIDEST))
OWN = LIBRARIES[3]


@pytest.fixture(scope="module")
def many(ran: Ran, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every cell of continuous time once more for each of many libraries."""
    folder = tmp_path_factory.mktemp("many")
    rows: list[dict[str, Any]] = ran.found.report_rows()
    rows += [
        {
            **row,
            "importer": name,
            "importer_by": ADAPTERS_OWN if name == OWN else None,
            "cell_id": row["cell_id"].replace(">exact", f">{name}"),
        }
        for row in rows
        for name in LIBRARIES
        if row["importer"] == "exact"
    ]
    write_table(folder / REPORT.name, rows, REPORT)
    rule = {"backend": OWN, "side": "import", "primitive": "LIF", "says": "it steps", "importer_by": ADAPTERS_OWN, "outputs": 1}
    write_table(folder / RULES.name, [rule, {**rule, "backend": "NIR", "importer_by": None}], RULES)
    return folder


@pytest.fixture(scope="module")
def page(many: Path) -> Page:
    return page_of(many, None)


def test_the_picture_has_a_column_a_library_and_says_how_many_files_of_each_exporter_come_right(page: Page) -> None:
    root = tree.fromstring(matrix_picture(page))
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert float(root.get("width") or 0) < 46 * (len(LIBRARIES) + 2) + 200
    heads = [*(f"{name} {ADAPTERS_OWN}" if name == OWN else name for name in LIBRARIES), "reference", "exact"]
    assert texts[1 : len(heads) + 1] == heads
    given = [row for row in page.headline if row["exporter"] == "reference" and row["importer"] == OWN]
    assert {row["network"] for row in given} == {"lif_single", "mlp_if"}  # no file has maximum pooling, which NIR cannot say
    after_heads = texts[len(heads) + 1 :]
    for row in given:
        line = after_heads[after_heads.index(row["network"]) + 1 :][: len(LIBRARIES)]
        assert line == [letter(row)] * len(LIBRARIES)
    assert texts.count("2 → 2") == 1  # the reference reads its own; nobody else here is right
    assert texts.count("0 → 0") == len(LIBRARIES)  # and continuous time is no library


def test_the_summary_says_who_reads_whose_files_and_what_is_the_adapters_own(page: Page) -> None:
    text = "\n".join(lines(page))
    assert "## Who reads whose files" in text and "2 → 2 of 2" in text
    named = f"{OWN} ({ADAPTERS_OWN} importer)"
    assert f"| reference | {named} |" in text
    assert f"- {OWN} ({ADAPTERS_OWN} importer): it steps." in text
    assert any(line.startswith(f"- {OWN} ") and line.endswith(f", {ADAPTERS_OWN} importer") for line in text.splitlines())
    assert "library04 (" not in text


def test_the_page_says_what_is_the_adapters_own(many: Path) -> None:
    html = write_pages(many, None)[0].read_text(encoding="utf-8")
    assert f'"own_importers":["{OWN}"]' in html
    assert "adapter&#39;s own importer" in html


def test_a_matrix_that_fits_has_one_picture_and_no_such_words(ran: Ran) -> None:
    page = page_of(ran.folder, ran.details)
    assert page.own_importers == ()
    text = "\n".join(lines(page)) + matrix_picture(page)
    assert ADAPTERS_OWN not in text and "Who reads whose files" not in text
