"""``nir-interop primitives``: as text, as JSON, as tables and as files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nir_interop.cli import app
from nir_interop.conformance import primitives
from nir_interop.conformance.primitives import cases, networks
from nir_interop.errors import BadInput, UnknownName
from nir_interop.schema import PRIMITIVES, read_table
from nir_interop.vocabulary import Idiom
from nir_interop.workers.live import LiveBackend


def run(*arguments: str, folder: Path) -> str:
    """The verb on the reference, with its store and results in a folder."""
    given = ["primitives", *arguments, "--store", str(folder / "store"), "--results", str(folder / "results")]
    done = CliRunner().invoke(app, given)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.slow
def test_the_reference_is_exact_in_every_case_and_a_second_run_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("reference", "--json", folder=tmp_path)
    document = json.loads(first)
    assert document["suite"] == "1"
    directions = Counter(row["direction"] for row in document["rows"])
    portable = [each for each in networks() if Idiom.PORTABLE in each.idioms]
    assert directions == {"import": len(cases()), "export": len(portable)}, "it has no tutorial"
    assert {row["status"] for row in document["rows"]} == {"exact"}
    assert not (tmp_path / "results").exists(), "a part of the backends is no table of all"

    def started(*_: object, **__: object) -> None:
        raise AssertionError("a stored result was measured again")

    monkeypatch.setattr(LiveBackend, "ask", started)
    assert run("reference", "--json", folder=tmp_path) == first
    lines = run("reference", folder=tmp_path).splitlines()
    assert lines[0].split() == ["import", "/", "export", "reference"]
    assert ["LIF", "exact", "/", "exact"] in [line.split() for line in lines]
    assert ["Scale", "exact", "/", "—"] in [line.split() for line in lines]


def test_all_backends_give_the_table_and_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "suite": "1", "primitive": "LIF", "aspect": "r = 1", "version": "1", "direction": "import", "dt": 1e-4,
        "status": "exact", "outputs": 10, "mismatched": 0, "causes": None, "message": None,
    }  # fmt: skip
    monkeypatch.setattr(primitives, "measure_all", lambda found, _store: [{**row, "backend": each.name} for each in found])
    run(folder=tmp_path)
    table = read_table(tmp_path / "results" / "primitives.csv", PRIMITIVES)
    assert "reference" in set(table["backend"])
    assert "exact" not in set(table["backend"]), "it has no importer of its own"
    assert "| LIF |" in (tmp_path / "results" / "primitives.md").read_text(encoding="utf-8")


def test_the_cases_are_written_without_running_anything(tmp_path: Path) -> None:
    said = run("--write", str(tmp_path / "vectors"), folder=tmp_path)
    assert said.startswith(f"{len(cases())} cases of suite 1 in ")
    index = json.loads((tmp_path / "vectors" / "index.json").read_text(encoding="utf-8"))
    names = {"index.json"} | {entry[file] for entry in index["cases"] for file in ("graph", "data")}
    assert {path.name for path in (tmp_path / "vectors").iterdir()} == names
    assert len(names) == 2 * len(cases()) + 1
    assert not (tmp_path / "store").exists()


def test_bad_arguments_are_refused_before_anything_is_run(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="there are"):
        run("nobody", folder=tmp_path)
    with pytest.raises(BadInput, match="name none"):
        run("reference", "--write", str(tmp_path / "vectors"), folder=tmp_path)
    assert not list(tmp_path.iterdir())
