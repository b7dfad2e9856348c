"""One misbehaving library takes its own cell down, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nir_interop.matrix.results import Results
from tests.matrix import fakes
from tests.matrix.matrix_runs import NETWORK, by_importer, plan_of, run_in, wait_until, workers_of

NAMES = """
    Aborting Closing Deaf Deprecated Dirty Drawing Dropping Exiting Failing FixedStep
    Flipping Forgetting Honest Interrupting Killed Looping Loud Printing
    Refusing Sleeping Tiring Wandering Wrong
"""
ALL = tuple(getattr(fakes, name) for name in NAMES.split())
HANGING = (fakes.Deaf, fakes.Looping, fakes.Sleeping)
LIMIT = 1.5
"""Seconds that these are waited for; the others have the usual time, for a machine may be busy."""
LATE = f"no answer within {LIMIT} s in import; --time-limit raises it"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def results(store: Path) -> Results:
    behaving = run_in(store, plan_of(*(each for each in ALL if each not in HANGING)), jobs=2)
    late = run_in(store, plan_of(fakes.Honest, *HANGING), jobs=2, time_limit=LIMIT)
    names = {each.__name__.lower() for each in HANGING}
    cells = (*behaving.cells, *(cell for cell in late.cells if cell.job.importer in names))
    return replace(behaving, plan=plan_of(*ALL), cells=cells)


@pytest.mark.parametrize(
    ("importer", "expected"),
    [
        ("aborting", {"status": "crash", "stage": "import", "error_message": "killed by signal 6"}),
        ("closing", {"status": "exact"}),
        ("deaf", {"status": "timeout", "stage": "run"}),
        ("deprecated", {"status": "exact", "warned": False}),
        ("dirty", {"status": "exact"}),
        ("drawing", {"status": "mismatch"}),
        ("dropping", {"status": "exact"}),
        ("exiting", {"status": "import_error", "error_type": "SystemExit", "error_message": "3"}),
        ("fixedstep", {"status": "exact", "dt_effective": 1e-4}),
        ("forgetting", {"status": "unstable", "error_message": "ran, output 10; values differ"}),
        ("honest", {"status": "exact", "blame": "none", "mismatched": 0}),
        ("interrupting", {"status": "run_error", "error_type": "KeyboardInterrupt"}),
        ("killed", {"status": "crash", "stage": "run", "error_message": "killed by signal 9"}),
        ("looping", {"status": "timeout", "stage": "import", "error_message": LATE}),
        ("loud", {"status": "mismatch", "warned": True}),
        ("printing", {"status": "exact", "warned": False}),
        ("refusing", {"status": "refused", "stage": "import", "error_message": "there are no words for LIF here"}),
        ("sleeping", {"status": "timeout", "stage": "run"}),
        ("tiring", {"status": "run_error", "error_type": "OverflowError"}),
        ("wandering", {"status": "exact"}),
        ("wrong", {"status": "mismatch", "warned": False, "mismatch_rate": 1.0, "blame": None}),
    ],
)  # fmt: skip
def test_each_end_is_told_by_its_own_cell(results: Results, importer: str, expected: dict[str, Any]) -> None:
    row = by_importer(results, importer)
    assert {name: row[name] for name in expected} == expected


def test_every_cell_of_the_plan_has_a_row(results: Results) -> None:
    rows = results.report_rows()
    assert len(rows) == len({row["cell_id"] for row in rows}) == len(ALL)  # the two idioms come to the same, and are run once


def test_a_message_holds_no_address_no_path_and_no_chance_order(results: Results) -> None:
    row = by_importer(results, "failing")
    assert row["error_message"] == "<object object at 0x> of graph.nir is in {'a', 'b'} at x.py"
    assert (row["error_type"], row["error_at"].split(":")[0]) == ("TypeError", "fakes.py")


def test_an_importer_that_drops_a_node_and_flips_is_unstable_in_the_same_words_every_time(results: Results) -> None:
    row = by_importer(results, "flipping")
    assert (row["status"], row["error_message"]) == ("unstable", "ran, output 10; run_error RuntimeError")


def test_nodes_that_went_missing_are_counted_and_the_import_repeated(results: Results) -> None:
    (outcome,) = {
        cell.outcome.runs: cell.outcome for cell in results.cells if cell.job.importer == "dropping"
    }.values()  # fmt: skip
    assert (outcome.missing, outcome.runs) == (("lif1",), 25)


def test_a_megabyte_of_output_leaves_two_thousand_characters(results: Results) -> None:
    texts = [cell.outcome.text for cell in results.cells if cell.job.importer == "printing"]
    assert {len(text) for text in texts} == {2000}


def test_another_step_than_the_exports_is_the_callers_setting(tmp_path: Path) -> None:
    results = run_in(tmp_path, plan_of(fakes.Honest, fakes.Wrong, fakes.FixedStep, fakes.Forgetting, dts=(1e-4, 1e-3)))
    assert by_importer(results, "wrong", dt=1e-3)["blame"] == "setting"
    assert by_importer(results, "fixedstep", dt=1e-3)["blame"] == "none"
    assert by_importer(results, "fixedstep", dt=1e-3)["dt_effective"] == 1e-4


def test_no_worker_outlives_its_run(results: Results, store: Path) -> None:
    assert wait_until(lambda: not workers_of(store), 3)
    assert list((store / "tmp").iterdir()) == []


def test_what_a_library_raises_while_exporting_becomes_a_row(tmp_path: Path) -> None:
    plan = plan_of(fakes.Honest, fakes.Unwritable, fakes.Choosy, networks=[NETWORK, "mlp_lif_mixed", "conv1d", "csnn_maxpool"])
    found = {
        (row["network"], row["exporter"]): (row["status"], row["stage"], row["importer"])
        for row in run_in(tmp_path, plan).report_rows()
        if row["importer"] is None
    }
    assert found == {
        ("mlp_if", "unwritable"): ("write_error", "write", None),
        ("mlp_lif_mixed", "unwritable"): ("write_error", "write", None),
        ("conv1d", "unwritable"): ("write_error", "write", None),
        ("csnn_maxpool", "unwritable"): ("refused", "build", None),
        ("csnn_maxpool", "honest"): ("refused", "build", None),
        ("mlp_if", "choosy"): ("refused", "build", None),
        ("conv1d", "choosy"): ("export_error", "export", None),
        ("csnn_maxpool", "choosy"): ("refused", "build", None),
    }
