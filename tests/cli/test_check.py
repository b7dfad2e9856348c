"""``nir-interop check``: what it imports, and what it says while libraries are still at work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nir_interop.graphs import write
from tests.cli.test_cli import imported_by, lif_graph
from tests.command_line import run

OWN = ("--backend", "exact", "--backend", "reference")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.nir"
    write(path, lif_graph())
    return path


def test_the_command_itself_imports_no_library_and_no_torch(graph: Path) -> None:
    loaded = imported_by("check", str(graph), *OWN)
    assert "nir_interop.transfer.check" in loaded
    assert loaded.isdisjoint({"torch", "pandas", "pandera", "matplotlib", "scipy", "snntorch", "norse", "spikingjelly"})


def test_explaining_imports_torch_and_nothing_that_it_does_not_need(graph: Path) -> None:
    loaded = imported_by("explain", str(graph), "--backend", "reference")
    assert "torch" in loaded
    assert loaded.isdisjoint({"pandas", "pandera", "matplotlib", "scipy", "rich", "snntorch", "norse", "spikingjelly"})


def test_each_answer_is_a_line_as_soon_as_it_is_known_and_the_table_comes_at_the_end(graph: Path) -> None:
    done = run("check", str(graph), *OWN)
    reference, exact = done.stderr.splitlines()
    assert reference.startswith("reference: exact, 0 of ")
    assert exact.startswith("exact: mismatch, ") and " differ, first at step " in exact
    table = done.stdout
    assert table.index("exact ") < table.index("reference ") < table.index("\nOn 12 inputs of ")


@pytest.mark.parametrize("option", ["--json", "--quiet"])
def test_where_only_the_end_is_asked_for_nothing_else_is_said(option: str, graph: Path) -> None:
    done = run("check", str(graph), "--backend", "reference", option)
    assert (done.returncode, done.stderr) == (0, "")
    assert option == "--quiet" or json.loads(done.stdout)["cells"][0]["status"] == "exact"


def test_a_file_that_is_no_graph_is_one_line_and_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "graph.nir").write_bytes(b"no graph")
    done = run("check", str(tmp_path / "graph.nir"), *OWN)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
