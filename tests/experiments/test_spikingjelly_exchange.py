"""spikingjelly_exchange as a user runs it; and that what is broken is shown to be broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nir_interop.cli.progress import TaskProgress
from nir_interop.errors import BadInput
from nir_interop.workers.capture import Capture, guarded
from nir_interop_studies.common import Options
from nir_interop_studies.spikingjelly_exchange.bench import SIDES, Bench, Trial, recorded
from nir_interop_studies.spikingjelly_exchange.promises import PROMISES
from nir_interop_studies.spikingjelly_exchange.report import Measured, promise_row, write_report
from tests.known import CORE, installed
from tests.tables import rows_of

TABLES = ("promises", "cases", "comparisons", "example")
KEYS = {promise.key: promise for promise in PROMISES}


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    for name in CORE:
        installed(name)


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of two runs."""
    folders = tuple(tmp_path_factory.mktemp(f"run{number}") for number in range(2))
    words = [sys.executable, "-m", "nir_interop", "experiment", "spikingjelly_exchange", "--quick"]
    runs = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=each) for each in folders]
    for run in runs:
        said, errors = run.communicate(timeout=600)
        assert run.returncode == 0, errors
        assert [Path(line).name for line in said.split()] == ["README.md", *(f"{name}.csv" for name in TABLES)]
    first, second = (folder / "results" / "spikingjelly_exchange-quick" for folder in folders)
    return first, second


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench that is not entered: the other libraries are left out."""
    with guarded(Capture()):
        made = Bench(tmp_path, 0)
        made.adapter.prepare()
    yield made


def measure(bench: Bench, key: str) -> Measured:
    with guarded(Capture()):
        from nir_interop_studies.spikingjelly_exchange.measures import measured

        return Measured(KEYS[key], measured(bench, KEYS[key]))


def test_two_runs_write_the_same_tables(twice: tuple[Path, Path]) -> None:
    for name in TABLES:
        assert (twice[0] / f"{name}.csv").read_bytes() == (twice[1] / f"{name}.csv").read_bytes(), name


def test_every_promise_has_a_row_with_its_words_and_its_place(twice: tuple[Path, Path]) -> None:
    rows = rows_of(twice[0], "promises")
    assert [row["promise"] for row in rows] == list(KEYS)
    for row in rows:
        assert row["kept"] in ("kept", "broken", "not measured")
        assert row["says"] and row["place"] and row["version"] in ("2.0.0", "0.0.0.1.0")
        assert row["dataset"] == "random"
        assert int(row["cases"]) >= int(row["cases_kept"]) + int(row["cases_not_measured"])
        assert (row["kept"] == "broken") == bool(row["found"])


def test_what_is_quoted_of_the_package_stands_in_the_package(twice: tuple[Path, Path]) -> None:
    quoted = {row["promise"]: row["in_package"] for row in rows_of(twice[0], "promises") if row["in_package"]}
    assert set(quoted.values()) == {"true"}
    assert set(quoted) == {promise.key for promise in PROMISES if promise.found}


def test_every_conversion_stands_beside_both_modes_the_reference_and_two_libraries(twice: tuple[Path, Path]) -> None:
    exports = {promise.key for promise in PROMISES if promise.direction == "SpikingJelly to NIR"}
    rows = [row for row in rows_of(twice[0], "comparisons") if row["promise"] in exports]
    sides: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        sides.setdefault((row["promise"], row["case"]), []).append(row["side"])
        assert row["status"] != "vacuous" and int(row["spikes_baseline"] or 20) >= 20, row
        assert row["status"] in ("exact", "rounding", "mismatch") or row["error_message"], row
    assert {key for key, _ in sides} == exports
    assert {tuple(found) for found in sides.values()} == {SIDES}


def test_an_import_is_judged_by_the_reference(twice: tuple[Path, Path]) -> None:
    rows = [row for row in rows_of(twice[0], "comparisons") if row["promise"].startswith("import nir.")]
    assert {row["baseline"] for row in rows} == {"reference"}
    kept = {row["promise"]: row["kept"] for row in rows_of(twice[0], "promises") if row["promise"].startswith("import nir.")}
    assert len(kept) == 9
    assert all(kept[f"import nir.{name}"] == "kept" for name in ("Linear", "Affine", "Flatten", "IF", "LIF", "CubaLIF"))


def test_a_library_whose_answers_are_chance_is_said_to_be_unstable(twice: tuple[Path, Path]) -> None:
    rows = [
        row
        for row in rows_of(twice[0], "comparisons")
        if row["promise"] == "export torch.nn.AvgPool2d" and row["side"] == "norse"
    ]
    assert {row["status"] for row in rows} == {"unstable"}
    assert all("; " in row["error_message"] for row in rows)


def test_the_names_of_two_layers_that_feed_each_other_decide_what_is_imported(twice: tuple[Path, Path]) -> None:
    rows = [
        row for row in rows_of(twice[0], "comparisons") if row["promise"] == "import recurrent" and row["side"] == "imported_s"
    ]
    found = {row["case"]: row for row in rows}
    direct = [found["two layers directly, a and b"], found["the same two directly, named b and a"]]
    assert {row["spikes_baseline"] for row in direct} == {direct[0]["spikes_baseline"]}
    assert direct[0]["spikes"] != direct[1]["spikes"]


def test_what_is_called_rounding_is_little(twice: tuple[Path, Path]) -> None:
    for row in rows_of(twice[0], "comparisons"):
        if row["status"] == "rounding":
            assert row["side"] in ("norse", "snntorch") and 0 < int(row["mismatched"]) <= 3, row


def test_the_example_as_first_printed_is_refused_and_one_change_is_enough(twice: tuple[Path, Path]) -> None:
    rows = rows_of(twice[0], "example")
    failed = {row["variant"]: row["error_message"] for row in rows if row["error_type"]}
    assert failed["as printed in 0.0.0.1.0"] == "NIR does not distinguish soft reset."
    assert {row["variant"] for row in rows} - set(failed) == {"v_reset left out", "as printed in 2.0.0"}
    today = {row["step"]: row["today"] for row in rows if row["variant"] == "as printed in 2.0.0"}
    assert today["y.shape of (9, 3, 32, 32)"] == "[9, 10]"
    assert today["y.shape of (7, 9, 3, 32, 32), step_mode='m'"] == "[7, 9, 10]"
    assert all(row["same"] != "false" for row in rows if row["variant"] == "as printed in 2.0.0")
    not_reached = [row for row in rows if row["variant"] == "as printed in 0.0.0.1.0" and row["step"] != "export_to_nir"]
    assert {row["today"] for row in not_reached} == {"not reached"}


def test_the_page_names_what_is_broken_the_command_the_versions_and_the_time(twice: tuple[Path, Path]) -> None:
    page = (twice[0] / "README.md").read_text(encoding="utf-8")
    broken = [row for row in rows_of(twice[0], "promises") if row["kept"] == "broken"]
    assert f", {len(broken)} broken, " in page
    part = page[page.index("## Broken") : page.index("## All promises")]
    for row in broken:
        assert row["subject"] in part and row["error_message"].replace("|", "\\|") in part, row
    for words in ("`nir-interop experiment spikingjelly_exchange --quick`", "spikingjelly 2.0.0", " s, beside "):
        assert words in page
    assert str(Path.home()) not in page and str(twice[0]) not in page


def test_every_promise_is_measured_and_nothing_else_is(bench: Bench) -> None:
    with guarded(Capture()):
        from nir_interop_studies.spikingjelly_exchange.measures import MEASURES
    assert set(MEASURES) == set(KEYS)
    assert len(KEYS) == len(PROMISES)


def test_an_exporter_that_stops_taking_a_module_breaks_its_promise(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with guarded(Capture()):
        from spikingjelly.activation_based.nir_exchange import to_nir

    def refuse(self: Any, module: Any) -> Any:
        raise RuntimeError("no dense layers today\nnor tomorrow")

    assert measure(bench, "export layer.Linear").kept is True
    monkeypatch.setattr(to_nir._ModuleMapper, "map_linear", refuse)
    found = measure(bench, "export layer.Linear")
    row = promise_row(found)
    assert (row["kept"], row["cases"], row["cases_kept"]) == ("broken", 4, 0)
    assert (row["error_type"], row["error_message"]) == ("RuntimeError", "no dense layers today nor tomorrow")


def test_an_importer_that_changes_weights_without_a_word_breaks_promises(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with guarded(Capture()):
        from spikingjelly.activation_based.nir_exchange import from_nir
    kept = from_nir._NodeMapper.map_affine

    def halve(self: Any, node: Any) -> Any:
        module = kept(self, node)
        module.weight.data = module.weight.data * 0.5
        return module

    monkeypatch.setattr(from_nir._NodeMapper, "map_affine", halve)
    export, imported = measure(bench, "export torch.nn.Linear"), measure(bench, "import nir.Affine")
    for each in (export, imported):
        assert promise_row(each)["kept"] == "broken"
        assert "differ, first at step" in promise_row(each)["found"]
    out = tmp_path / "out"
    write_report(Options(None, out, out, out), out, [export, imported], [], 1.0)
    page = (out / "README.md").read_text(encoding="utf-8")
    assert "**2 promises: 0 kept, 2 broken, 0 not measured here**" in page


def test_a_promise_to_refuse_is_broken_by_silence_and_by_another_exception(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measure(bench, "refuse soft reset").kept is True
    with guarded(Capture()):
        from spikingjelly.activation_based.nir_exchange import to_nir
    monkeypatch.setattr(to_nir._ModuleMapper, "_hard_reset", staticmethod(lambda module: module.v_reset or 0.0))
    silent = measure(bench, "refuse soft reset")
    assert {case.remark for case in silent.cases} == {"nothing is raised where NotImplementedError is stated"}
    assert silent.kept is False

    def other(module: Any) -> Any:
        raise KeyError("v_reset")

    monkeypatch.setattr(to_nir._ModuleMapper, "_hard_reset", staticmethod(other))
    assert {case.kept for case in measure(bench, "refuse soft reset").cases} == {False}


def test_a_measurement_that_fails_is_a_broken_case_and_not_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with guarded(Capture()):
        from nir_interop_studies.spikingjelly_exchange import running

    def fail(*arguments: object, **more: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(running, "read", fail)
    found = measure(bench, "export IFNode")
    assert [case.failed["error_message"] for case in found.cases] == ["no room"]
    assert found.kept is False


def test_silence_proves_nothing(bench: Bench) -> None:
    import numpy as np

    from nir_interop_studies.spikingjelly_exchange.bench import compared, verdict

    quiet = recorded(np.zeros((5, 1, 4)))
    case = verdict("quiet", "original", {"imported_s": compared(quiet, quiet)}, ("imported_s",))
    assert case.kept is None and "0 spikes prove nothing" in case.remark
    assert Measured(PROMISES[0], [case]).kept is None
    assert Measured(PROMISES[0], [case, Trial("loud", True)]).kept is True
    assert Measured(PROMISES[0], []).kept is False


@pytest.mark.parametrize("given", [{"libraries": ("norse",)}, {"train_only": True}], ids=lambda each: next(iter(each)))
def test_options_that_mean_nothing_here_are_refused(given: dict[str, Any], tmp_path: Path) -> None:
    from nir_interop_studies.spikingjelly_exchange import STUDY

    with pytest.raises(BadInput, match="leave the option out"):
        STUDY.run(Options(None, tmp_path / "out", tmp_path, tmp_path, **given), TaskProgress(quiet=True))
    assert not (tmp_path / "out").exists()
