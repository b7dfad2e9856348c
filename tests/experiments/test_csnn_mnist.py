"""csnn_mnist, quick, as a user runs it: end to end, interrupted and resumed, and the same bytes at every run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nir
import pytest

from nir_interop.backends.environments import backend
from tests.known import CORE, installed, knowing_store
from tests.tables import rows_of

LIBRARIES = CORE
TABLES = ("training", "exports", "deployment", "flips", "curves", "snntorch_exporter")
FIGURES = ("accuracy.png", "training.png", "rasters.png")


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "nir_interop", "experiment", "csnn_mnist", "--quick", *arguments]
    digits = {name: value for name, value in os.environ.items() if name != "NIR_INTEROP_DATA"}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=digits)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick run on the embedded digits."""
    for name in LIBRARIES:
        installed(name)
    folder = tmp_path_factory.mktemp("quick")
    run = started(folder, "--store", str(knowing_store(folder)))
    said, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    out = folder / "results" / "csnn_mnist-quick"
    assert {Path(line).name for line in said.split()} == {"README.md", *(f"{name}.csv" for name in TABLES), *FIGURES}
    return out


def test_every_table_says_which_data_it_is_from(quick: Path) -> None:
    for name in TABLES:
        assert {row["dataset"] for row in rows_of(quick, name)} <= {"digits", "digits, training"}, name
    assert {len(rows_of(quick, name)) for name in ("training", "deployment")} == {4, 24}


def test_every_accuracy_has_its_samples_and_an_interval(quick: Path) -> None:
    for name in ("training", "exports", "deployment"):
        for row in rows_of(quick, name):
            if row["accuracy"]:
                assert (row["samples"], row["comparable"]) == ("360", "false")
                assert float(row["accuracy_low"]) < float(row["accuracy"]) < float(row["accuracy_high"])
    for row in rows_of(quick, "curves"):
        assert float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"])
    chosen = [row for row in rows_of(quick, "curves") if row["settings"] == "chosen" and row["library"] == "norse"]
    assert sum(int(row["samples"]) for row in chosen) == 960


def test_the_networks_learn_even_from_a_few_digits(quick: Path) -> None:
    for row in rows_of(quick, "training"):
        if row["settings"] == "chosen":
            assert float(row["accuracy_low"]) > 0.4, row


def test_rewritten_graphs_classify_every_image_as_their_source_does(quick: Path) -> None:
    rows = [row for row in rows_of(quick, "deployment") if row["mode"] == "reconciled" and row["source"].endswith("_chosen")]
    assert len(rows) == 9
    for row in rows:
        assert (row["status"], row["mismatched"], row["right"]) == ("exact", "0", row["right_source"]), row
        assert row["sample_exact"] == "true"
    assert rows_of(quick, "flips") == []


def test_what_fails_natively_says_at_which_stage_and_why(quick: Path) -> None:
    rows = {(row["source"], row["importer"]): row for row in rows_of(quick, "deployment") if row["mode"] == "native"}
    assert rows["snntorch_chosen", "snntorch"]["causes"] == "flatten_batch"
    assert rows["spikingjelly_chosen", "norse"]["stage"] == "import"
    assert rows["snntorch_chosen", "spikingjelly"]["status"] == "exact"
    for row in rows.values():
        assert row["status"] == "exact" or row["causes"], row


def test_a_reset_that_the_exporter_loses_is_put_together_again(quick: Path) -> None:
    rows = [row for row in rows_of(quick, "deployment") if row["source"] == "snntorch_published_worked_around"]
    lost = [row for row in rows if row["mode"] == "reconciled"]
    assert len(lost) == 3
    assert all("soft_reset_as_composition" in row["remedy"] and row["sample_exact"] == "true" for row in lost)


def test_the_exporter_takes_tensors_and_a_sample_without_its_batch(quick: Path) -> None:
    good = [row for row in rows_of(quick, "snntorch_exporter") if row["status"] == "ok"]
    assert {(row["parameters"], row["ignore_dims"]) for row in good} == {("tensor per neuron", "[0]")}
    bad = [row for row in rows_of(quick, "snntorch_exporter") if row["status"] != "ok"]
    assert all(row["error_message"] and row["error_at"] and row["why"] for row in bad)


def test_every_graph_that_was_given_to_an_importer_is_there(quick: Path) -> None:
    graphs = {path.stem for path in (quick / "graphs").glob("*.nir")}
    assert {f"{library}_chosen" for library in LIBRARIES} < graphs
    rewritten = [row for row in rows_of(quick, "deployment") if row["remedy"]]
    assert {f"{row['source']}_for_{row['importer']}" for row in rewritten} < graphs
    assert set(nir.read(quick / "graphs" / "norse_chosen.nir").nodes) >= {"conv1", "lif1", "lif3"}


def test_the_page_names_data_command_versions_and_time(quick: Path) -> None:
    page = (quick / "README.md").read_text(encoding="utf-8")
    for words in (
        "the embedded digits of scikit-learn, resampled to 28 × 28, not MNIST",
        "960 training and 360 test images, each held for 8 steps",
        "`nir-interop experiment csnn_mnist --quick`",
        f"snntorch {backend('snntorch').version}",
        "MB of memory",
        "(by reference)",
        "No accuracy here is comparable",
    ):
        assert words in page
    assert str(Path.home()) not in page


def test_an_interrupted_run_goes_on_and_ends_in_the_same_bytes(quick: Path, tmp_path: Path) -> None:
    arguments = ("--backend", "snntorch", "--out", "out")
    (tmp_path / "parts").mkdir()
    options = (*arguments, "--store", str(knowing_store(tmp_path / "parts", quick.parents[1] / "store")))
    run = started(tmp_path / "parts", *options)
    kept = tmp_path / "parts" / "store" / "experiments" / "csnn_mnist" / "checkpoints"
    until = time.monotonic() + 120
    while not list(kept.glob("*_published-*.pt")) and time.monotonic() < until and run.poll() is None:
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130, errors
    assert "nir-interop: interrupted" in errors
    assert not (tmp_path / "parts" / "out" / "README.md").exists()
    again = started(tmp_path / "parts", *options)
    _, errors = again.communicate(timeout=200)
    assert again.returncode == 0, errors
    # The whole run trained this network beside others, without a stop.
    for name in ("snntorch_chosen.nir", "snntorch_chosen_for_norse.nir", "snntorch_published_worked_around.nir"):
        assert (tmp_path / "parts" / "out" / "graphs" / name).read_bytes() == (quick / "graphs" / name).read_bytes()
    for name in TABLES:
        ours = [
            row
            for row in rows_of(quick, name)
            if (row.get("library") or row.get("source") or "snntorch").startswith("snntorch")
        ]
        assert rows_of(tmp_path / "parts" / "out", name) == ours, name
    assert (tmp_path / "parts" / "out" / "rasters.png").read_bytes() == (quick / "rasters.png").read_bytes()
