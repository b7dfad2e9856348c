"""``--all``: every backend, those that live apart as well; what is not installed is named, with what installs it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nir_interop.backends import environments
from nir_interop.backends.environments import Backend
from nir_interop.cli import app
from nir_interop.conformance import primitives
from nir_interop.errors import BadInput
from nir_interop.fingerprint import Domain, Fingerprint, Identified, Origin
from nir_interop.interface.results import Rules
from nir_interop.rule import NIR_MEANING
from nir_interop.schema import PRIMITIVES, REPORT, RULES, read_table
from nir_interop.store.store import Store
from nir_interop.transfer import descriptions
from nir_interop.vocabulary import ADAPTERS_OWN
from nir_interop.workers.jobs import Described
from tests.matrix import fakes

THERE = Backend("near", "m:C", ("near",), {"near": "1"})
APART = Backend("far", "m:C", ("far",), {"far": "2"}, apart=True)
GONE = Backend("gone", "m:C", ("gone",), installed=False, apart=True)
OTHER = replace(THERE, name="near==0")
CASE = {"suite": "1", "primitive": "LIF", "aspect": "plain", "direction": "import", "status": "exact"}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Four backends, of which one is not installed and one is another version, and what is known of them."""
    monkeypatch.chdir(tmp_path)

    def identified(*names: str, store: object) -> Rules:
        found = [("1", Fingerprint(name, Origin.IMPORT, "", Domain({"LIF": Identified(NIR_MEANING, 9)}))) for name in names]
        return Rules(tuple(found), frozenset({"far"}))

    def measured(some: list[Backend], store: object) -> list[dict[str, Any]]:
        return [{**CASE, "backend": each.name, "version": each.version} for each in some]

    monkeypatch.setattr(environments, "backends", lambda: (APART, GONE, THERE, OTHER))
    monkeypatch.setattr("nir_interop.interface.functions.rules", identified)
    monkeypatch.setattr(primitives, "measure_all", measured)
    monkeypatch.setattr(descriptions, "described", lambda backend, store: Described(ships_importer=backend.name != "far"))


@pytest.mark.parametrize(("verb", "table"), [("rules", RULES), ("primitives", PRIMITIVES)])
def test_all_takes_what_is_installed_and_says_what_is_not(verb: str, table: Any) -> None:
    done = CliRunner().invoke(app, [verb, "--all", "--store", "store"])
    assert done.exit_code == 3, done.output
    assert "gone: gone not installed; run nir-interop backends install gone" in done.stderr
    frame = read_table(Path("results/all") / table.name, table)
    column = "importer_by" if table is RULES else "by"
    whose = dict(zip(frame["backend"], frame[column].fillna(""), strict=True))
    assert {name: by for name, by in whose.items() if name != "NIR"} == {"far": ADAPTERS_OWN, "near": ""}


@pytest.mark.parametrize("verb", ["rules", "primitives"])
def test_all_beside_names_is_refused(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "near", "--all", "--store", "store"])
    assert isinstance(done.exception, BadInput)
    assert str(done.exception) == "--all takes every backend; leave out near, or leave out --all"


def test_what_an_adapter_says_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    backend, store = fakes.backend(fakes.Importing), Store(tmp_path / "kept")
    first = descriptions.described(backend, store)
    assert first.ships_importer and descriptions.importer_by(first) is None
    monkeypatch.setattr("nir_interop.workers.live.LiveBackend", None)  # nothing is started any more
    assert descriptions.described(backend, store) == first


def test_the_matrix_of_all_names_what_is_missing_and_ends_as_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(environments.PLACE, str(tmp_path / "none"))
    two = tuple(each for each in environments.backends() if each.name in ("reference", "sinabs"))
    monkeypatch.setattr("nir_interop.matrix.plan.backends", lambda: two)
    some = ["--network", "lif_single", "--exporter", "reference"]
    done = CliRunner().invoke(app, ["matrix", "--all", *some, "--no-explain", "--json"])
    assert done.exit_code == 3, done.output
    (line,) = json.loads(done.stdout)["missing"]
    assert line.startswith("sinabs: ") and line.endswith("run nir-interop backends install sinabs: its cells are env_missing")
    frame = read_table(Path("results/all") / REPORT.name, REPORT)
    assert dict(zip(frame["importer"], frame["status"], strict=True)) == {"reference": "exact", "sinabs": "env_missing"}
    assert set(frame["dt_import"]) == {1e-4}
