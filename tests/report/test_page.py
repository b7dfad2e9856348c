"""What is in report.html, and what cannot get into it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime, timezone
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nir_interop.networks import names
from nir_interop.report.cells import (
    blame_text,
    is_silent,
    kind,
    letter,
    machine_text,
    outcome_text,
    remedy_text,
    summary,
    worst,
)
from nir_interop.report.page import Details, page_of, render, write_page
from nir_interop.report.page.model import FAMILIES, described
from nir_interop.report.page.rendering import as_script_data
from nir_interop.report.results_folder import cores_in, machine, name_in
from tests.report.conftest import HOSTILE, SCRIPT, Ran


class Elements(HTMLParser):
    """Every element with its attributes, and what is in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.inside:
            self.inside[self._open].append(data)


@pytest.fixture(scope="module")
def text(ran: Ran) -> str:
    return render(page_of(ran.folder, ran.details))


def row(**columns: Any) -> dict[str, Any]:
    """A row of report.csv: a silent mismatch from snntorch to norse unless said otherwise."""
    from nir_interop.schema import REPORT

    known = {
        "cell_id": "net.portable.snntorch@0.0001>norse@0.0001.native.0", "network": "net", "idiom": "portable",
        "exporter": "snntorch", "importer": "norse", "dt_export": 1e-4, "dt_import": 1e-4, "mode": "native",
        "status": "mismatch", "warned": False, "blame": "importer", "causes": "resistance_ignored;start",
        "outputs": 1000, "mismatched": 250, "mismatch_rate": 0.25,
    }  # fmt: skip
    return dict.fromkeys(REPORT.names) | known | columns


def test_the_policy_lets_in_this_style_and_script_and_nothing_from_outside(text: str) -> None:
    elements = Elements(text)
    (policy,) = [each["content"] for tag, each in elements.found if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy and "http" not in policy
    data, script = elements.inside["script"]
    for name, content in (("script-src", script), ("style-src", elements.inside["style"][0])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert json.loads(data)["columns"][0] == "cell_id"


def test_no_element_runs_or_loads_anything(text: str) -> None:
    for tag, attributes in Elements(text).found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        assert not str(attributes.get("src") or "data:").startswith(("http", "//")), (tag, attributes)
        assert tag not in ("iframe", "object", "embed", "base"), tag
        if tag == "link":
            assert attributes["href"] == "data:,"


def test_hostile_words_are_text_wherever_they_stand(hostile: tuple[Path, Details]) -> None:
    folder, details = hostile
    text = render(page_of(folder, details))
    elements = Elements(text)
    assert len(elements.inside["script"]) == 2
    assert not [each for tag, each in elements.found if tag == "img" or "onerror" in each]
    assert not [each for tag, each in elements.found if str(each.get("href") or "").startswith("javascript")]
    known = json.loads(elements.inside["script"][0])
    assert any(HOSTILE in json.dumps(cell["details"]) for cell in known["cells"])
    assert any(SCRIPT in (each or "") for cell in known["cells"] for each in cell["row"] if isinstance(each, str))


def test_data_may_hold_what_ends_a_script() -> None:
    value = {"a": "</script><!--", "b": "\u2028&"}
    text = as_script_data(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_the_same_results_give_the_same_bytes(ran: Ran, tmp_path: Path) -> None:
    one = write_page(page_of(ran.folder, ran.details), tmp_path).read_bytes()
    assert write_page(page_of(ran.folder, json.loads(json.dumps(dict(ran.details)))), tmp_path).read_bytes() == one


def test_no_path_of_this_machine_is_in_the_page(ran: Ran, text: str) -> None:
    for path in (ran.folder, ran.store.path, Path.home(), Path(__file__).parents[2]):
        assert not re.search(rf"{re.escape(str(path))}\b/", text), path


def test_every_cell_is_there_with_its_reconciled_sibling(ran: Ran) -> None:
    cells = page_of(ran.folder, ran.details).cells()["cells"]
    rows = ran.found.report_rows()
    assert len(cells) == sum(each["mode"] == "native" for each in rows)
    assert sum("after" in cell for cell in cells) == sum(each["mode"] == "reconciled" for each in rows) > 0
    assert {len(cell["row"]) for cell in cells} == {len(page_of(ran.folder, None).cells()["columns"])}


def test_without_the_store_the_page_says_what_it_lacks(ran: Ran) -> None:
    text = render(page_of(ran.folder, None))
    assert "made without the store of the run" in text
    assert "made without the store of the run" not in render(page_of(ran.folder, ran.details))


def test_tables_that_are_not_there_leave_a_word_about_how_to_get_them(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes((ran.folder / "report.csv").read_bytes())
    text = render(page_of(tmp_path, ran.details))
    for verb in ("rules", "primitives", "sweep", "experiment"):
        assert f"<code>nir-interop {verb}</code>" in text


def test_a_table_of_another_version_does_not_keep_the_matrix_from_being_shown(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_bytes((ran.folder / "report.csv").read_bytes())
    (tmp_path / "rules.csv").write_text("backend,another\nnorse,1\n", encoding="utf-8")
    page = page_of(tmp_path, ran.details)
    assert len(page.rows) == len(ran.found.report_rows())
    assert list(page.problems) == ["rules.csv"]
    assert str(tmp_path) not in render(page)


def test_silent_wrong_answers_are_ranked_by_the_accuracy_they_cost_then_by_what_differs() -> None:
    rows = [
        row(cell_id="c", mismatch_rate=0.2),
        row(cell_id="loud", warned=True, mismatch_rate=1.0),
        row(cell_id="b", mismatch_rate=0.9),
        row(cell_id="a", accuracy_delta=-0.5, mismatch_rate=0.1),
        row(cell_id="gained", accuracy_delta=0.5, mismatch_rate=0.3),
        row(cell_id="asked for another step", dt_import=1e-3, mismatch_rate=1.0),
        row(cell_id="continuous time", importer="exact", mismatch_rate=1.0),
    ]
    assert [each["cell_id"] for each in worst(rows)] == ["a", "b", "gained", "c"]


def test_the_page_and_the_tables_count_the_same_silent_wrong_answers() -> None:
    rows = [
        row(),
        row(importer="exact", mismatch_rate=1.0),
        row(importer="spikingjelly", status="wrong_shape"),
        row(importer="snntorch", warned=True),
        row(dt_import=1e-3),
    ]
    assert sum(count["silent"] for count in summary(rows).values()) == len(worst(rows)) == 2
    assert not is_silent(rows[1])
    assert "gave no warning" not in outcome_text(rows[1])


def test_a_letter_says_whether_a_wrong_answer_came_without_a_word() -> None:
    assert (letter(row()), kind(row())) == ("M!", "silent")
    assert (letter(row(warned=True)), kind(row(warned=True))) == ("M", "wrong")
    assert (letter(row(blame="setting")), kind(row(blame="setting"))) == ("m", "nothing")
    assert (letter(row(status="refused")), kind(row(status="refused"))) == ("R", "declined")
    assert (letter(row(status="rounding")), kind(row(status="rounding"))) == ("G", "good")


def test_a_cell_is_told_in_sentences() -> None:
    lost = row(accuracy_source=0.92, accuracy_target=0.09, accuracy_delta=-0.83)
    assert outcome_text(lost) == (
        "250 of 1,000 outputs (25.0%) differ from what snntorch computed, and norse gave no warning. "
        "Accuracy goes from 0.92 to 0.09."
    )
    assert blame_text(lost) == "Blame: importer (norse) — the importer changed the meaning."
    assert (
        outcome_text(row(status="exact", mismatched=0)) == "norse computes what snntorch computed: 1,000 outputs, all the same."
    )
    failed = row(status="import_error", error_type="KeyError", error_message="'lif'", stage="import")
    assert outcome_text(failed) == "norse ends with import error: KeyError: 'lif' (the library's importer)."
    unwritten = row(importer=None, dt_import=None, status="write_error", error_message="None has no to_dict", stage="write")
    assert outcome_text(unwritten) == "snntorch gave no graph for net: None has no to_dict (writing the file)."


def test_a_remedy_is_told_in_a_sentence() -> None:
    after = row(mode="reconciled", status="exact", remedy="fold_resistance;same_start")
    assert remedy_text(row(), after) == "The graph rewritten by fold_resistance, same_start gives the source's outputs (exact)."
    left = row(mode="reconciled", forbidden="node_dropped")
    assert remedy_text(row(), left) == "No graph rewrite can repair this: node_dropped."
    assert remedy_text(row(status="exact"), None) == ""


def test_every_network_is_of_a_family_and_says_what_it_is_made_of() -> None:
    assert {described(name).family for name in names()} == set(FAMILIES)
    assert all(described(name).about for name in names())
    assert described("csnn_avgpool").about == "two-dimensional convolution, average pooling, LIF"
    assert described("of another project").family == ""


def test_the_head_says_what_was_run_on_what_and_when(ran: Ran) -> None:
    page = page_of(ran.folder, ran.details)
    known = json.loads((ran.folder / "environment.json").read_text(encoding="utf-8"))
    assert page.machine == machine_text(known)
    assert machine()["memory_gib"] == known["memory_gib"] > 0
    year = datetime.now(timezone.utc).year
    assert re.fullmatch(rf"\d+ [A-Z][a-z]+ {year}", page.written)
    text = render(page)
    assert f"results of {page.written}, on {escape(page.machine)}" in text


def test_a_machine_is_told_as_far_as_it_is_known() -> None:
    known = {"cpu": "A 1", "cores": 2, "cpus": 4, "memory_gib": 8, "machine": "x86_64"}
    assert machine_text(known) == "A 1, 2 cores, 4 threads, 8 GiB"
    assert machine_text({"cpus": 2, "machine": "x86_64"}) == "x86_64, 2 threads"
    assert machine_text({}) == ""


def test_threads_that_share_a_core_count_once() -> None:
    block = "processor\t: {0}\nmodel name\t: Some  CPU @ 2 GHz\nphysical id\t: {1}\ncore id\t\t: {2}\n"
    text = "\n".join(block.format(*numbers) for numbers in ((0, 0, 0), (1, 0, 0), (2, 0, 1), (3, 1, 0)))
    assert name_in(text) == "Some CPU @ 2 GHz"
    assert cores_in(text) == 3
    assert (name_in("Hardware: arm"), cores_in("Hardware: arm")) == ("", None)
