"""Answers in a terminal and in a notebook: short, escaped, and with nothing loaded from elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nir_interop as ni
from nir_interop.compare.divergence import first_divergence
from nir_interop.graphs import Graph, write
from nir_interop.interface import notebook
from nir_interop.interface.results import Check, Explanation, Reconciliation
from nir_interop.recording import Recording
from nir_interop.reference import read

EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The tags of a piece of HTML, what they load, and its text; every tag has to be closed."""

    VOID = ("rect", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open += [tag] if tag not in self.VOID else []
        self.loads += [value or "" for name, value in attrs if name in ("src", "href") or name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def evil(graph: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph with names that a page would run."""
    found = read(graph)
    called = {"fc1": EVIL.replace("/", "\\"), "lif1": "<b onload='x'>"}
    edges = tuple((called.get(a, a), called.get(b, b)) for a, b in found.edges)
    path = tmp_path_factory.mktemp("evil") / "<i>.nir"
    write(path, Graph({called.get(name, name): node for name, node in found.nodes.items()}, edges))
    return path


def test_answers_show_themselves_in_a_notebook(evil: Path, x: Any) -> None:
    checked = ni.check(evil, input=x, backends=["norse"])
    why = ni.explain(evil, backend="norse", input=x)
    fixed = ni.reconcile(evil, to="norse", input=x)
    for found in (checked, why, fixed, ni.backends()):
        page = Page(found._repr_html_())
        assert {"table", "th"} <= set(page.tags) and not {"script", "b", "i", "link", "style"} & set(page.tags)
        assert page.loads == []
    for found in (checked, why):
        page = Page(found._repr_html_())
        assert "svg" in page.tags and "First divergence: step" in page.text and "<b onload='x'>" in page.text
    assert "fold_resistance" in Page(fixed._repr_html_()).text
    assert "<i>.nir" in Page(checked._repr_html_()).text


def test_answers_are_short_in_a_terminal(graph: Path, x: Any, checked: Check, why: Explanation, fixed: Reconciliation) -> None:
    assert repr(checked).splitlines()[:2] == [
        "my_graph.nir at 0.0001 s, against NIR's own meaning in steps",
        "backend   status    differ       first at      what it said",
    ]
    assert len(repr(checked).splitlines()) == 5
    assert repr(why).splitlines()[1:] == ["Blame: importer", "- resistance_ignored at lif1"]
    assert str(why) == why.text
    assert len(repr(fixed).splitlines()) == 4
    assert [line.split()[0] for line in repr(ni.backends()).splitlines()] == [each.name for each in ni.backends()]
    assert repr(ni.simulate(graph, x)).splitlines()[0] == "Recording of 100 steps, 4 samples"


def spikes(*numbers: int) -> Recording:
    """Ten steps, one sample, one neuron, which fires in some."""
    train = np.isin(np.arange(10), numbers).astype(np.uint8).reshape(10, 1, 1)
    return Recording({"output": train}, {"lif": train})


def test_a_raster_marks_the_steps_that_differ() -> None:
    drawn = notebook.raster(spikes(1, 4, 7), spikes(1, 5, 7), "norse")
    assert drawn.count('fill="#d33"') == 2
    assert drawn.count('width="2"') == 6
    assert "First divergence: step 4, node lif, sample 0" in drawn


def test_values_are_drawn_as_text_and_nothing_where_nothing_differs() -> None:
    assert notebook.raster(spikes(1), spikes(1), "norse") == ""
    values = [Recording({"output": np.float32([[[0.5]], [[each]]])}) for each in (0.25, 0.75)]
    drawn = notebook.raster(*values, "<norse>")
    assert drawn.startswith("<pre>") and "0.25" in drawn and "&lt;norse&gt;" in drawn
    assert first_divergence(*values) is not None
