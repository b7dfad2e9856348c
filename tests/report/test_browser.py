"""The page in a real browser, opened from disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from nir_interop.report.page import page_of, write_page
from nir_interop.schema import REPORT, read_table, write_table
from tests.report.conftest import HOSTILE, Ran

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REQUIRED = "NIR_INTEROP_REQUIRE_BROWSER"
"""Set where these tests may not be skipped."""
AXE = Path(__file__).parents[2] / ".browser" / "package" / "axe.min.js"
"""Where .ci/run unpacks axe-core."""
pytestmark = pytest.mark.slow

TABS = ("matrix", "rules", "primitives", "dt", "studies", "issues", "reading")
CELL = "lif_single.portable.reference@0.0001>exact@0.0001.native.0"
PATIENCE = 10_000
"""Milliseconds after which what is waited for does not come."""
FOLLOW = """address => new Promise(done => {
    const before = location.href;
    addEventListener("hashchange", done, { once: true });
    location.hash = address;
    if (location.href === before) done();
})"""
"""An address is followed when the page has heard of it: its own listener comes before this one."""


def missing(what: str) -> Any:
    """Fail where a browser is required, else skip."""
    return pytest.fail(what) if os.environ.get(REQUIRED) else pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("needs playwright, which the extra dev installs")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        missing("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page, and all that it did behind one's back."""

    def __init__(
        self, browser: Browser, file: Path, *, width: int = 1600, dark: bool = False, address: str = "",
        wait: str = "#cells button",
    ) -> None:  # fmt: skip
        scheme = "dark" if dark else "light"
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        self.said: list[str] = []
        self.requested: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(file.as_uri() + address)
        self.page.locator(wait).first.wait_for(state="attached")
        self.file = file

    def go(self, address: str) -> None:
        """Follow an address within the page."""
        self.page.evaluate(FOLLOW, address)

    def stands_at(self, *hashes: str) -> bool:
        """Whether the address bar comes to hold one of these; a browser tells of some changes only a moment later."""
        addresses = {self.file.as_uri() + each for each in hashes}
        return came(lambda: self.page.wait_for_url(lambda url: url in addresses, timeout=PATIENCE))

    def shows(self, what: str) -> bool:
        """Whether this comes into sight."""
        return came(lambda: self.page.locator(what).first.wait_for(state="visible", timeout=PATIENCE))

    def hides(self, what: str) -> bool:
        """Whether this goes out of sight."""
        return came(lambda: self.page.locator(what).first.wait_for(state="hidden", timeout=PATIENCE))

    def close(self) -> None:
        """Nothing was said, and nothing but the file itself was asked for."""
        outside = [url for url in self.requested if not url.startswith(("data:", self.file.as_uri()))]
        self.context.close()
        assert self.said == []
        assert outside == []


def came(waiting: Callable[[], None]) -> bool:
    """Whether what is waited for came before patience was lost."""
    from playwright.sync_api import TimeoutError as Late

    try:
        waiting()
    except Late:
        return False
    return True


@pytest.fixture(scope="module")
def file(ran: Ran) -> Path:
    return write_page(page_of(ran.folder, ran.details), ran.folder)


@pytest.fixture(scope="module")
def asked(ran: Ran, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of some cells between libraries, of the table that is kept."""
    folder = tmp_path_factory.mktemp("asked")
    table = read_table(Path(__file__).parents[2] / "results" / REPORT.name, REPORT)
    some = table[table["network"].isin(["csnn_maxpool", "mlp_lif", "mlp_cuba"]) & (table["dt_import"].fillna(1e-4) == 1e-4)]
    rows = some.astype(object).where(some.notna(), None).to_dict("records")
    write_table(folder / REPORT.name, rows, REPORT)
    return write_page(page_of(folder, None), folder)


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Opened]:
    one = Opened(browser, file)
    yield one
    one.close()


def test_it_can_be_used_within_a_second(opened: Opened) -> None:
    page = opened.page
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    filtering = """() => {
        const field = document.querySelector("#filters select[name=status]"), began = performance.now();
        field.value = "mismatch";
        field.dispatchEvent(new Event("input", { bubbles: true }));
        document.getElementById("cells").getBoundingClientRect();
        return performance.now() - began;
    }"""
    assert 0 < ready + page.evaluate(filtering) < 1000


def test_a_filter_leaves_its_cells_alone_and_stands_in_the_address_bar(opened: Opened) -> None:
    page = opened.page
    every = page.locator("#cells button").count()
    page.select_option("#filters select[name=importer]", "exact")
    page.select_option("#filters select[name=status]", "mismatch")
    assert 0 < page.locator("#cells button").count() < every
    assert set(page.locator("#cells button").evaluate_all("all => all.map(one => one.textContent[0])")) == {"m"}
    assert opened.stands_at("#importer=exact&status=mismatch")
    assert not came(lambda: page.wait_for_url("**#importer=norse", timeout=100))


def test_a_link_with_a_filter_shows_the_same_view(browser: Browser, file: Path) -> None:
    one = Opened(browser, file, address="#network=lif_single&importer=reference&dt=all")
    labels = one.page.locator("#cells button").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert len(labels) == 2
    assert all("lif_single" in label and "read by reference" in label for label in labels)
    assert one.page.locator("#filters select[name=network]").input_value() == "lif_single"
    one.close()


def test_the_search_finds_a_cause_and_nothing_finds_nothing(opened: Opened) -> None:
    page = opened.page
    page.fill("input[name=q]", "discretisation")
    assert page.locator("#cells button").count() > 0
    page.fill("input[name=q]", "no such word")
    assert page.locator("#cells button").count() == 0
    assert page.locator("#found").inner_text().startswith("0 cells")
    page.click("button[type=reset]")
    assert opened.stands_at("", "#")
    assert page.locator("#cells button").count() > 0


def test_a_cell_opens_and_says_what_why_and_how_to_see_it_again(opened: Opened) -> None:
    page = opened.page
    page.select_option("#filters select[name=network]", "lif_single")
    page.locator("#cells button[aria-label*='read by exact']").click()
    text = page.locator("#cell").inner_text()
    assert CELL in text
    assert "mismatch" in text and "outputs" in text and "differ from what reference computed" in text
    assert "discretisation" in text and "of the outputs that differ" in text
    assert f"nir-interop repro '{CELL}'" in text
    assert page.locator("#cell svg[role=img]").count() >= 2
    assert "threshold" in page.locator("#cell").inner_text()
    assert opened.stands_at(f"#network=lif_single&cell={quote(CELL, safe='.')}")
    page.keyboard.press("Escape")
    assert opened.hides("#cell")
    assert opened.stands_at("#network=lif_single")


def test_a_question_about_two_libraries_is_answered_network_by_network_with_what_to_do(browser: Browser, asked: Path) -> None:
    one = Opened(browser, asked)
    page = one.page
    assert page.locator("#answer").inner_text() == ""
    page.select_option("#question select[name=exporter]", "snntorch")
    page.select_option("#question select[name=importer]", "norse")
    assert page.locator("#answer li").count() == 3
    page.select_option("#question select[name=family]", "convolutional")
    answer = page.locator("#answer").inner_text()
    assert "Of 1 convolutional network made in snntorch, norse runs 0 right as they are and 0 once rewritten" in answer
    assert "csnn_maxpool (two-dimensional convolution, max pooling, LIF): no graph" in answer
    assert "nir-interop reconcile my_graph.nir --from snntorch --to norse -o for_norse.nir" in answer
    assert one.stands_at("#family=convolutional&exporter=snntorch&importer=norse")
    assert page.locator("#filters select[name=exporter]").input_value() == "snntorch"
    one.close()
    link = Opened(browser, asked, address="#exporter=snntorch&importer=norse&family=fully+connected", wait="#answer li")
    lines = link.page.locator("#answer li").all_inner_texts()
    assert len(lines) == 2
    assert any("mlp_lif (LIF): right once rewritten, accuracy" in line for line in lines)
    link.page.locator("#answer li a").first.click()
    assert link.shows("#cell")
    link.close()


def test_libraries_come_before_what_is_none(opened: Opened) -> None:
    names = opened.page.locator(".matrix thead .importer").all_inner_texts()
    assert names == ["reference", "exact"]
    options = opened.page.locator("#filters select[name=importer] option").all_inner_texts()
    assert options == ["any", "reference", "exact"]


def test_a_rewritten_cell_says_which_passes_and_why(browser: Browser, file: Path, ran: Ran) -> None:
    name, passes = next((name, one["passes"]) for name, one in sorted(ran.details.items()) if one.get("passes"))
    one = Opened(browser, file, address=f"#dt=all&cell={quote(name.replace('.reconciled.', '.native.'))}")
    text = " ".join(one.page.locator("#cell ol").inner_text().split())
    for each in passes:
        assert f"{each['name'].replace('_', ' ')} at {', '.join(each['nodes'])}: {each['why']}." in text
    one.close()


def test_print_has_an_open_cell_alone_and_letters_without_colour(browser: Browser, file: Path) -> None:
    one = Opened(browser, file, dark=True, address=f"#cell={quote(CELL)}")
    one.page.emulate_media(media="print")
    assert not one.page.locator("main").is_visible()
    assert one.page.locator("#cell").is_visible()
    seen = "one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]"
    assert one.page.locator("#cell .chip").first.evaluate(seen) == ["rgb(0, 0, 0)", "rgba(0, 0, 0, 0)"]
    assert one.page.locator("#cell").evaluate("one => one.scrollHeight <= one.clientHeight")
    one.go("")
    assert one.page.locator(".matrix").is_visible()
    assert not one.page.locator("#filters").is_visible()
    one.close()


def test_a_link_to_a_cell_opens_it_and_one_to_no_cell_says_so(browser: Browser, file: Path) -> None:
    one = Opened(browser, file, address=f"#cell={quote(CELL)}")
    assert one.page.locator("#cell-title").inner_text() == "lif_single: reference → exact"
    one.go("#cell=no.such.cell")
    assert one.page.locator("#cell-title").inner_text() == "No such cell"
    one.close()


def test_links_lead_to_pages_and_to_filtered_cells(opened: Opened) -> None:
    page = opened.page
    for tab in TABS:
        page.click(f"nav a[data-tab={tab}]")
        assert opened.shows(f"#{tab}")
        assert page.locator(".tab:visible").count() == 1
    page.go_back()
    assert opened.shows("#issues")
    page.locator("#issues tbody a[href^='#issue=']").first.click()
    assert opened.shows("#cells button")
    assert page.locator("#filters select[name=issue]").input_value() != ""


def test_a_filter_stays_while_one_reads_another_page(opened: Opened) -> None:
    page = opened.page
    page.select_option("#filters select[name=importer]", "exact")
    count = page.locator("#cells button").count()
    for tab in ("reading", "matrix"):
        page.click(f"nav a[data-tab={tab}]")
        assert opened.shows(f"#{tab}")
    assert page.locator("#cells button").count() == count
    assert page.locator("#filters select[name=importer]").input_value() == "exact"


def test_the_keyboard_reaches_every_cell_and_comes_back_to_it(opened: Opened) -> None:
    page = opened.page
    page.locator("#cells button[tabindex='0']").focus()
    first = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    there = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert there != first
    page.keyboard.press("Enter")
    assert opened.shows("#cell")
    page.keyboard.press("Escape")
    assert opened.hides("#cell")
    assert opened.stands_at("", "#")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == there
    assert page.locator("#cells button[tabindex='0']").count() == 1


def test_the_list_sorts_by_a_column_and_back(opened: Opened) -> None:
    page = opened.page
    page.select_option("#filters select[name=view]", "list")
    page.get_by_role("button", name="outputs that differ").click()
    one = page.locator("#cells tbody tr").all_inner_texts()
    page.get_by_role("button", name="outputs that differ").click()
    other = page.locator("#cells tbody tr").all_inner_texts()
    assert one != other
    assert sorted(one) == sorted(other)
    assert page.locator("th[aria-sort=descending]").inner_text() == "outputs that differ"


@pytest.mark.parametrize("width", [375, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_is_wider_than_the_screen(browser: Browser, file: Path, width: int, dark: bool) -> None:
    one = Opened(browser, file, width=width, dark=dark)
    for address in (*(f"#tab={tab}" for tab in TABS), "#view=list&dt=all", f"#cell={quote(CELL)}"):
        one.go(address)
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width, address
        dialog = "(document.getElementById('cell').scrollWidth - document.getElementById('cell').clientWidth)"
        assert one.page.evaluate(dialog) <= 0, address
    one.close()


def test_a_hostile_name_is_text_and_does_nothing(browser: Browser, hostile: tuple[Path, Any]) -> None:
    folder, details = hostile
    one = Opened(browser, write_page(page_of(folder, details), folder), address=f"#cell={quote(CELL)}")
    assert HOSTILE in one.page.locator("#cell").inner_text()
    for tab in TABS:
        one.go(f"#tab={tab}")
    one.go("#view=list&dt=all&q=onerror")
    assert one.page.locator("#cells button").count() > 0
    assert one.page.locator("img[onerror], img[src='x']").count() == 0
    assert one.page.locator("a[href^='javascript']").count() == 0
    one.close()


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(browser: Browser, file: Path, ran: Ran, dark: bool) -> None:
    if not AXE.exists():
        missing(f"needs axe-core, which .ci/run unpacks to {AXE.relative_to(AXE.parents[2])}")
    one = Opened(browser, file, dark=dark)
    one.page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, list[Any]] = {}
    rewritten = next(name for name, detail in sorted(ran.details.items()) if detail.get("passes"))
    cells = (CELL, rewritten.replace(".reconciled.", ".native."))
    for address in (*(f"#tab={tab}" for tab in TABS), "#view=list&dt=all", *(f"#dt=all&cell={quote(name)}" for name in cells)):
        one.go(address)
        for violation in one.page.evaluate("axe.run(document)")["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found.setdefault(f"{address} {violation['id']}", [node["html"][:200] for node in violation["nodes"][:3]])
    one.close()
    assert found == {}
