"""``nir-interop rules``: both sides of a backend, as text, as JSON and as a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nir_interop.cli import app
from nir_interop.fingerprint import Domain, Fingerprint, Identified, Origin, Refusal, Tie
from nir_interop.report.results_folder import write_rules
from nir_interop.rule import NIR_MEANING, Start
from nir_interop.schema import RULES, read_table
from nir_interop.transfer import fingerprints
from nir_interop.transfer.fingerprints import NativeRules
from tests.conditions import off_zero

OWN = "LIFBoxCell(reset_method=reset_value)"
LATE = Identified(NIR_MEANING.but(start=Start.LEAK), 40, 0, (Tie("gain", ("step", "complement"), "none"),))
IGNORES = Identified(NIR_MEANING, 50, 0, refusals=(Refusal(off_zero("v_leak"), "refused", "no leak"),))
IMPORT = Fingerprint("norse", Origin.IMPORT, "", Domain({"LIF": IGNORES, "Delay": Identified(NIR_MEANING)}))
NATIVE = Fingerprint("norse", Origin.NATIVE, OWN, Domain({"LIF": LATE}))


@pytest.fixture(autouse=True)
def identified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints that are known already: identifying has tests of its own."""

    def native(_backend: object, _store: object, *, recurrent: bool = False, **_: object) -> NativeRules:
        return NativeRules("norse", () if recurrent else (NATIVE,), {})

    monkeypatch.setattr(fingerprints, "import_fingerprint", lambda *_, **__: IMPORT)
    monkeypatch.setattr(fingerprints, "native_neurons", native)


def run(*arguments: str, folder: Path) -> str:
    done = CliRunner().invoke(app, ["rules", "reference", "--store", str(folder), "--results", str(folder), *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_json_has_both_sides_and_nirs_own_meaning_beside_them(tmp_path: Path) -> None:
    document = json.loads(run("--json", folder=tmp_path))
    assert document["NIR"]["meaning"]["start"] == "zero"
    native = document["norse"]["native"][OWN]["LIF"]
    assert (native["start"], native["outputs"], native["mismatched"]) == ("leak", 40, 0)
    assert native["says"].endswith("starts at v_leak")
    assert native["ties"] == [{"axis": "gain", "values": ["step", "complement"], "splits": "none"}]
    imported = document["norse"]["import"]
    assert imported["LIF"]["refuses"] == [{"parameter": "v_leak off 0", "status": "refused", "message": "no leak"}]
    assert imported["Delay"]["says"] == "not taken"


def test_text_names_a_native_neuron_by_its_options(tmp_path: Path) -> None:
    lines = run(folder=tmp_path).splitlines()
    assert lines[0] == "NIR (its own meaning)"
    assert "norse (import)" in lines
    assert f"norse (native: {OWN})" in lines
    assert not (tmp_path / "rules.csv").exists(), "a part of the backends is no table of all"


def test_the_table_holds_both_sides_and_nirs_meaning_of_neurons(tmp_path: Path) -> None:
    table = read_table(write_rules([("1.1.0", IMPORT), ("1.1.0", NATIVE)], tmp_path), RULES)
    rows = [tuple(row) for row in table[["backend", "side", "options", "primitive"]].fillna("").to_numpy()]
    assert rows == [
        ("NIR", "import", "", "LIF"),
        ("norse", "import", "", "Delay"),
        ("norse", "import", "", "LIF"),
        ("norse", "native", OWN, "LIF"),
    ]
