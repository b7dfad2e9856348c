"""Tables that somebody sent: their texts are text to a page, Markdown, a shell, a spreadsheet and a terminal."""

from __future__ import annotations

import csv
import json
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nir_interop.cli import app
from nir_interop.errors import UnknownName
from nir_interop.matrix.known_issues import load
from nir_interop.matrix.plan import is_cell_id, parse_cell_id
from nir_interop.report.page import page_of, render
from nir_interop.report.results_folder import write_pages
from nir_interop.schema import PRIMITIVES, REPORT, RULES, Kind, read_table, write_table
from tests.names.hostile import NAMES, PAYLOADS

TEXTS = (
    *NAMES,
    "'quoted",
    "＝1+1",
    "+1",
    "-1",
    "\n=1+1",
    "</script><script>alert(1)</script>",
    "../../../x",
    "a\x00b",
    "; rm -rf ~",
)
MARKUP = ("<img src=x onerror=alert(1)>", "javascript:alert(1)", "</script><script>alert(1)</script>")
FREE = [each.name for each in REPORT.columns if each.kind is Kind.TEXT and not each.words and each.name != "cell_id"]


def row(number: int, text: str, **more: Any) -> dict[str, Any]:
    """A wrong cell in which every free text is this one."""
    known: dict[str, Any] = dict.fromkeys(REPORT.names) | dict.fromkeys(FREE, text)
    known |= {
        "cell_id": f"{text} {number}", "idiom": "portable", "mode": "native", "against": "source", "dt_export": 1e-4,
        "dt_import": 1e-4, "seed": number, "status": "mismatch", "warned": False, "blame": "importer", "causes": "gain",
        "outputs": 100, "mismatched": 50, "mismatch_rate": 0.5, "stage": "compare",
    }  # fmt: skip
    return known | more


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    folder = tmp_path / "sent"
    rows = [row(number, text) for number, text in enumerate(TEXTS)]
    rows += [row(number, text, mode="reconciled", cell_id=f"{text} {number} after") for number, text in enumerate(TEXTS)]
    write_table(folder / REPORT.name, rows, REPORT)
    document = {
        name: "[x](javascript:alert(1)) <img src=x onerror=alert(1)>" for name in ("platform", "suite", "python", "cpu")
    }
    (folder / "environment.json").write_text(json.dumps(document))
    return folder


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_texts_that_a_spreadsheet_would_run_are_kept_from_it_and_come_back(sent: Path) -> None:
    with (sent / REPORT.name).open(encoding="utf-8", newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert not [cell for cell in cells if cell[:1] in {*"=+-@＝＋－＠\t\r\n"} and not cell[1:2].isdigit() and len(cell) > 1]
    frame = read_table(sent / REPORT.name, REPORT)
    assert set(frame["first_node"]) == {text.replace("\0", "\\x00") for text in TEXTS}


def test_a_page_of_them_runs_nothing(sent: Path) -> None:
    page, summary, picture = write_pages(sent, None)
    found = Elements(page.read_text(encoding="utf-8")).found
    assert [tag for tag, _ in found].count("script") == 2
    assert not [
        each for tag, each in found if tag in ("img", "iframe", "object") or any(name.startswith("on") for name in each)
    ]
    assert not [each for _, each in found if str(each.get("href") or "").lower().startswith(("javascript", "data:text"))]
    text = summary.read_text(encoding="utf-8")
    assert "<img" not in text.replace("\\<", "") and "[x](" not in text.replace("\\[", "").replace("\\]", "")
    assert "<img" not in picture.read_text(encoding="utf-8")


def test_no_command_of_a_page_comes_from_a_table(sent: Path) -> None:
    cells = page_of(sent, None).cells()["cells"]
    assert len(cells) == len(TEXTS)
    assert [each["commands"] for each in cells] == [[]] * len(cells)
    good = "mlp_if.portable.norse@0.0001>snntorch@0.0001.native.0"
    more = {"cell_id": good, "network": "mlp_if", "exporter": "norse", "importer": "snntorch", "repro": "rm -rf ~", "seed": 0}
    write_table(sent / REPORT.name, [row(0, "x", **more)], REPORT)
    (cell,) = page_of(sent, None).cells()["cells"]
    assert cell["commands"][0] == f"nir-interop repro {shlex.quote(good)}"
    assert not [command for command in cell["commands"] if "rm" in command]


@pytest.mark.parametrize(
    "text", ["../../x", "a.portable.b@1>../../c@1.native.0", "a.portable.$(b)@1/../x.native.0", "", "\x1b[2J"]
)
def test_what_is_no_cell_is_no_folder(text: str) -> None:
    assert not is_cell_id(text)
    with pytest.raises(UnknownName):
        parse_cell_id(text)


def test_diff_says_them_as_text(sent: Path, tmp_path: Path) -> None:
    rows = [row(number, text, status="exact", mismatch_rate=0.0, mismatched=0) for number, text in enumerate(TEXTS)]
    write_table(tmp_path / "old" / REPORT.name, rows, REPORT)
    done = CliRunner().invoke(app, ["diff", str(tmp_path / "old"), str(sent)])
    assert done.exit_code == 1, done.output
    assert "worse" in done.output
    assert all(letter.isprintable() or letter == "\n" for letter in done.output)


def test_sister_tables_are_text_in_markdown(sent: Path) -> None:
    evil = "![x](https://example.org/x) <b>"
    rule: dict[str, Any] = dict.fromkeys(RULES.names) | {"backend": evil, "version": evil, "side": "import", "primitive": "LIF"}
    for column in RULES.columns:
        if column.required and rule[column.name] is None:
            rule[column.name] = column.words[0] if column.words else evil if column.kind is Kind.TEXT else 0
        elif column.words and rule[column.name] is None:
            rule[column.name] = column.words[0]
    write_table(sent / RULES.name, [rule | {"says": evil, "outputs": 1}], RULES)
    case: dict[str, Any] = dict.fromkeys(PRIMITIVES.names)
    for column in PRIMITIVES.columns:
        if column.words:
            case[column.name] = column.words[0]
        elif column.kind is Kind.TEXT:
            case[column.name] = evil
        elif column.kind is Kind.FLAG:
            case[column.name] = False
    case["causes"] = None
    write_table(sent / PRIMITIVES.name, [case], PRIMITIVES)
    _, summary, _ = write_pages(sent, None)
    plain = summary.read_text(encoding="utf-8").replace("\\[", "").replace("\\]", "").replace("\\<", "")
    assert "example.org" in plain
    assert "](https://example.org" not in plain and "<b>" not in plain


@pytest.mark.parametrize("text", [*PAYLOADS, *MARKUP])
def test_an_issue_of_a_toml_file_is_text(text: str, sent: Path, tmp_path: Path) -> None:
    quoted = json.dumps(text)
    fields = "".join(f"{name} = {quoted}\n" for name in ("id", "backend", "error_message", "why", "thread"))
    (tmp_path / "issues.toml").write_text(
        f'[[issue]]\n{fields}role = "importer"\nversions = [{quoted}]\nstatus = "mismatch"\ncells = 1\n', encoding="utf-8"
    )
    (issue,) = load(tmp_path / "issues.toml")
    assert issue.why == issue.thread == text
    found = Elements(render(replace(page_of(sent, None), issues=[(issue, 1)]))).found
    assert [tag for tag, _ in found].count("script") == 2
    assert "img" not in {tag for tag, _ in found}
    assert not [each for _, each in found if str(each.get("href") or "").startswith("javascript")]
