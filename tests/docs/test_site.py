"""The site of docs/: it builds strictly, says what the program does, and needs no network."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pytest
from typer.main import get_command

from nir_interop import vocabulary
from nir_interop.cli import app
from nir_interop.reconcile.passes import PASSES
from nir_interop.reference import steps
from nir_interop.rule import AXES
from nir_interop.schema import REPORT, TABLES, read_table
from nir_interop.vocabulary import Word
from tests.places import PYTHONPATH, ROOT
from tests.report.test_browser import AXE, browser, missing  # noqa: F401  browser is a fixture

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGES = ("index", "adapters", "reference/passes")


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a checkout, as ``make docs`` does."""
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(source / "mkdocs.yml"), "-d", str(site)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": PYTHONPATH}
    return subprocess.run(words, env=environment, capture_output=True, text=True, cwd=source)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


class Text(HTMLParser):
    """The text of a page's article, the headings' ids, and what the page loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.text, self.ids, self.loads = "", set[str](), list[str]()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {given["id"] or ""} if "id" in given else set()
        source = given.get("src") if tag != "link" else given.get("href") if given.get("rel") != "canonical" else None
        self.loads += [source] if source else []

    def handle_data(self, data: str) -> None:
        self.text += data


def words_of(site: Path, page: str) -> Text:
    return Text(site / f"{page}.html")


def test_every_pass_has_a_heading_and_an_equation(site: Path) -> None:
    page = site.joinpath("reference/passes.html").read_text(encoding="utf-8")
    sections = {found[1]: found[2] for found in re.finditer(r'<h2 id="(\w+)">(.*?)(?=<h2|</article>)', page, re.DOTALL)}
    assert set(sections) == {each.name for each in PASSES}
    assert [name for name, section in sections.items() if "<math" not in section] == []
    for each in PASSES:
        assert each.preserves in " ".join(unescape(sections[each.name]).split())
        assert all(f"words.html#{cause.value}" in sections[each.name] for cause in each.answers)


def test_no_equation_and_no_role_is_left_as_it_stands_in_the_docstring(site: Path) -> None:
    for page in sorted(site.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        assert "arithmatex" not in text, page
        assert not re.search(r":(math|func|class|meth|mod):`|\.\. math::", text), page


def test_every_axis_of_a_rule_and_every_value_is_there(site: Path) -> None:
    page = words_of(site, "reference/rules")
    for axis in AXES:
        assert axis.name in page.text
        assert all(str(value.value) in page.text for value in axis.type)
    assert {"decay", "gain", "what-each-library-does"} <= page.ids


def test_the_steps_stand_in_concepts_as_they_stand_in_the_program(site: Path) -> None:
    shown = words_of(site, "concepts").text
    code = inspect.getsource(steps).partition("\n\n\n")[2]
    assert code.startswith("def i_step(") and code.strip() in shown


def test_an_axis_is_not_said_of_a_neuron_that_it_says_nothing_of(site: Path) -> None:
    page = site.joinpath("reference/rules.html").read_text(encoding="utf-8")
    sections = {found[1]: found[2] for found in re.finditer(r'<h2 id="(\w+)">(.*?)(?=<h2)', page, re.DOTALL)}
    for axis, strange in (("reset", "LI"), ("comparison", "LI"), ("order", "LIF"), ("leak", "IF")):
        measured = re.findall(r"\((?:import|native): ([^)]*)\)", sections[axis])
        assert measured
        assert strange not in re.split(r"[ ,;:]+", " ".join(measured)), axis
    assert "norse (import: CubaLIF, IF, LIF)" in sections["reset"]


def test_every_column_of_every_table_is_there_with_its_meaning(site: Path) -> None:
    page = words_of(site, "reference/columns")
    for table in TABLES.values():
        assert table.name.removesuffix(".csv") in page.ids
        assert all(column.name in page.text for column in table.columns)
        assert all(column.meaning in page.text for column in table.columns if ":math:" not in column.meaning)


def test_every_word_of_the_vocabulary_is_there_with_its_meaning(site: Path) -> None:
    page = words_of(site, "reference/words")
    kinds = [
        kind for kind in vars(vocabulary).values() if isinstance(kind, type) and issubclass(kind, Word) and kind is not Word
    ]
    assert len(kinds) > 5
    for word in (word for kind in kinds for word in kind):
        assert word.value in page.text and word.meaning in page.text
    assert {cause.value for cause in vocabulary.Cause} <= page.ids


def verbs(command: Any, path: str = "nir-interop") -> Iterator[tuple[str, Any]]:
    """Every verb below a command, by what is typed."""
    for name, below in getattr(command, "commands", {}).items():
        yield f"{path} {name}", below
        yield from verbs(below, f"{path} {name}")


def test_every_verb_every_option_and_every_default_is_there(site: Path) -> None:
    page = words_of(site, "reference/cli")
    found = dict(verbs(get_command(app)))
    assert "nir-interop backends install" in found
    for path, verb in found.items():
        assert path.replace(" ", "-") in page.ids
        for option in (each for each in verb.params if each.param_type_name == "option"):
            assert all(name in page.text for name in option.opts), (path, option.opts)
    assert "20.0" in page.text and "130" in page.text and "diff if anything got worse" in page.text


def test_every_study_is_listed_and_its_figures_are_there(site: Path) -> None:
    studies = [path.parent for path in (ROOT / "results").glob("*/README.md") if not path.parent.name.endswith("-quick")]
    listed = words_of(site, "results/index").text
    assert studies
    for study in studies:
        assert study.name in listed
        page = words_of(site, f"results/{study.name}/index")
        for figure in (each for each in page.loads if each.endswith(".png")):
            assert site.joinpath("results", study.name, figure).exists()


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in sorted(site.rglob("*.html")):
        strange = [source for source in Text(page).loads if source.startswith(("http:", "https:", "//"))]
        assert strange == [], page
    assert not any("@import" in sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css"))


def test_a_link_or_an_anchor_that_leads_nowhere_stops_the_build(tmp_path: Path) -> None:
    source = tmp_path / "checkout"
    shutil.copytree(ROOT / "docs", source / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "results", source / "results", ignore=shutil.ignore_patterns("graphs", "report.*ml"))
    shutil.copy(ROOT / "mkdocs.yml", source)
    with source.joinpath("docs", "index.md").open("a", encoding="utf-8") as page:
        page.write("\n[a](nowhere.md) [b](concepts.md#nothing) [c](reference/passes.md#no_pass) $\\nonsense$\n")
    built = build(source, tmp_path / "site")
    assert built.returncode != 0
    for said in ("nowhere.md", "#nothing", "#no_pass", r"\nonsense"):
        assert said in built.stderr


def test_readme_leads_to_files_that_are_there() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("http") and not (ROOT / link).exists()]
    assert links and missing == []


def test_the_example_of_readme_is_in_the_results() -> None:
    report: pd.DataFrame = read_table(ROOT / "results" / REPORT.name, REPORT).set_index("cell_id")
    row = report.loc["mlp_cuba.portable.norse@0.0001>norse@0.0001.native.0"]
    mended = report.loc["mlp_cuba.portable.norse@0.0001>norse@0.0001.reconciled.0"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for where, accuracy, said in (
        ("before", row.accuracy_source, ""),
        ("after a round trip through NIR", row.accuracy_target, "one " if row.warned else "none "),
        ("once its graph is reconciled", mended.accuracy_target, ""),
    ):
        assert f"| in Norse, {where} | {accuracy:.2f} | {said}|" in readme
    assert all(f"`{word}`" in readme for word in f"{row.causes};{row.remedy}".split(";"))
    assert f"all {mended.outputs} outputs" in readme


def test_the_search_finds_a_word_from_disk(site: Path, browser: Browser) -> None:  # noqa: F811
    page = browser.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(site.joinpath("index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("fold_resistance")
    found = page.locator(".md-search-result__link").first
    found.wait_for(state="visible")
    assert "reference/passes.html" in str(found.get_attribute("href"))
    assert said == []
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(375, "light"), (1280, "dark")])
def test_pages_hold_in_a_browser_and_ask_for_nothing(
    site: Path,
    browser: Browser,  # noqa: F811
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    if not AXE.is_file():
        missing("needs axe-core, which .ci/run unpacks into .browser/")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for name in PAGES:
        page.goto(site.joinpath(f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.add_script_tag(path=str(AXE))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
        serious = [each["id"] for each in found["violations"] if each["impact"] in ("serious", "critical")]
        assert serious == [], name
    assert [url for url in asked if not url.startswith(("file:", "blob:null/"))] == []
    assert said == []
    context.close()
