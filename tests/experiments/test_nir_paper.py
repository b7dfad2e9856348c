"""nir_paper: the published traces and networks, from a few recordings, as a user runs it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.backends.environments import Backend
from nir_interop.cli.progress import TaskProgress
from nir_interop.errors import BadData
from nir_interop.graphs import Node, read, validate
from nir_interop.reference import exact_simulator
from nir_interop_studies.nir_paper import braille, lif, live_traces, study
from nir_interop_studies.nir_paper.crossing import as_file, first_layer, first_neurons
from nir_interop_studies.nir_paper.page import merged
from nir_interop_studies.nir_paper.paper import BRAILLE_GRAPH, CNN_GRAPH, VARIABLE, Paper, PaperOptions, find_paper, spike_steps
from nir_interop_studies.nir_paper.similarity import pair_rows
from tests.known import CORE, installed, knowing_store
from tests.tables import rows_of

"""Fingerprints are kept where ``make matrix`` keeps them: finding one takes seconds."""
TABLES = {
    "published", "lif_backends", "lif_rules", "cnn", "cnn_gain", "cnn_rules", "braille", "braille_rules", "first_layers",
}  # fmt: skip
OWN_TABLES = {"lif_backends", "own_cnn", "own_recurrent", "first_layers"}
LIBRARIES = CORE


def call(folder: Path, named: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A quick run in a folder, with a store that knows the libraries' rules and nothing else."""
    store = knowing_store(folder)
    environment = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "NIR_INTEROP_DATA")}
    environment |= {VARIABLE: str(named)} if named is not None else {}
    words = [sys.executable, "-m", "nir_interop", "experiment", "nir_paper", "--quick", "--out", "out", "--store", str(store)]
    return subprocess.run([*words, *arguments], capture_output=True, text=True, cwd=folder, env=environment, timeout=500)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory, paper: Path, data: Path) -> Path:
    """The folder of a quick run on the real data."""
    for name in LIBRARIES:
        installed(name)
    folder = tmp_path_factory.mktemp("quick")
    run = call(folder, paper, "--data-dir", str(data))
    assert run.returncode == 0, run.stderr
    assert {Path(line).stem for line in run.stdout.split() if line.endswith(".csv")} == TABLES
    return folder / "out"


def test_every_published_trace_is_explained_by_a_rule(paper: Path) -> None:
    found, traces = lif.published(Paper(paper)), Paper(paper).traces()
    recording, _ = exact_simulator(found.graph, lif.DT).run(found.current)
    (membrane,) = recording.membranes.values()
    exact = lif.Made(recording.output.ravel(), membrane.ravel())
    rows = {row["trace"]: row for row in lif.rule_rows(found, traces, exact)}
    assert len(rows) == 11
    assert [name for name, row in rows.items() if not row["explained"]] == []
    assert rows["nengo"]["rule"] == "decay=exponential, gain=complement"
    assert rows["sinabs"]["rule"] == rows["rockpool"]["rule"] == "decay=exponential, reset=subtract"
    assert rows["spyx"]["rule"] == "reset=subtract, spike_from=previous"
    assert rows["norse"]["rule"] == rows["spinnaker2"]["rule"] == "NIR's meaning in steps"
    assert rows["spinnaker2"]["scale"] == pytest.approx(24.995, abs=1e-3)
    assert rows["lava_cpu_fixed"]["v_max_abs"] == 0
    assert rows["lava_loihi_fixed"]["v_steps_differing"] == 4
    assert rows["sinabs"]["offset_to_exact"] == "-10 -10 0 0"


def test_a_trace_that_no_rule_gives_is_not_explained(paper: Path) -> None:
    found = Paper(paper)
    trace = found.traces()["norse"].copy()
    trace[300:, 1] *= 1.01
    (row,) = lif.rule_rows(lif.published(found), {"bent": trace}, lif.Made())
    assert row["explained"] is False
    assert row["steps_differing"] == 0
    assert row["v_max_abs"] > lif.SAME


def test_a_live_library_reproduces_a_trace_only_where_it_spikes_in_every_step_and_no_other(paper: Path) -> None:
    found = Paper(paper)
    given, trace = lif.published(found), found.traces()["nengo"]
    spikes, membrane = trace[:, 2], trace[:, 1]

    def row(run: lif.Made) -> dict[str, Any]:
        ran = live_traces.Ran(Backend("nengo", "module:Class"), run, run)
        (made,) = live_traces.rows(given, {"nengo": trace}, {"nengo": [ran]})
        return made

    same = row(lif.Made(spikes, membrane))
    assert (same["reproduced"], same["steps_late"], same["steps_differing"]) == (True, 0, 0)
    assert same["v_max_abs"] < lif.SAME
    late = row(lif.Made(np.roll(spikes, 1), np.roll(membrane, 1)))
    assert (late["reproduced"], late["steps_late"], late["steps_differing"]) == (False, 1, 8)
    other = row(lif.Made(np.roll(spikes, 40), membrane))
    assert (other["reproduced"], other["steps_late"]) == (False, None)
    failed = row(lif.Made(failed="import_error: a word"))
    assert (failed["reproduced"], failed["status"], failed["spikes_run"]) == (False, "import_error: a word", None)


def test_a_trace_that_nothing_here_runs_has_a_row_that_says_so(paper: Path) -> None:
    found = Paper(paper)
    rows = {row["trace"]: row for row in live_traces.rows(lif.published(found), found.traces(), {})}
    assert set(rows) == set(found.traces())
    assert rows["lava_loihi_fixed"]["status"] == "nothing here runs it"
    assert rows["sinabs"]["status"] == "not installed"
    assert rows["sinabs"]["run"] == "the file, τ in steps, current × dt/τ"
    assert {row["reproduced"] for row in rows.values()} == {None}


def test_importers_are_given_the_fields_that_a_published_file_has(paper: Path) -> None:
    path = paper / "02_cnn" / CNN_GRAPH
    fields = {name for _, node in as_file(path).primitives() for name in node.params}
    assert "v_reset" not in fields
    assert {name for _, node in read(path).primitives() for name in node.params} == fields | {"v_reset"}


def test_published_accuracies_are_shares_of_the_paper_s_samples(paper: Path) -> None:
    found = Paper(paper)
    shares = {(each.network, each.platform): each.share for each in found.accuracies()}
    assert (shares["cnn", "Speck"].right, shares["cnn", "Speck"].samples) == (9540, 10_000)
    # One is written as 0.95, the other as 94.29.
    assert shares["bias, reset to zero", "snnTorch"].right == 133
    assert shares["bias, reset to zero", "Norse"].right == 132
    assert len(found.braille_activity()) == 6
    assert {spikes.shape for spikes in found.braille_activity().values()} == {(256, 38)}


def test_a_network_is_cut_after_its_first_neurons(paper: Path) -> None:
    graph = read(paper / "02_cnn" / CNN_GRAPH)
    name = first_neurons(graph)
    short = first_layer(graph, validate(graph, finite=False)[name][1])
    assert set(short.nodes) == {"input", "0", "1", "output"}
    assert validate(short)["output"][1] == (16, 16, 16)
    assert first_neurons(read(paper / "03_rnn" / BRAILLE_GRAPH)) == "lif1.lif"


def test_changes_of_the_recurrent_network_change_what_they_say_and_nothing_else(paper: Path) -> None:
    graph = read(paper / "03_rnn" / BRAILLE_GRAPH)
    for words, (_, change, _) in braille.CHANGES.items():
        changed = change(graph)
        differing = {
            (name, parameter)
            for name, node in graph.primitives()
            for parameter, value in node.params.items()
            if isinstance(changed.nodes[name], Node) and not np.array_equal(changed.nodes[name][parameter], value)  # type: ignore[index]
        }
        expected = {
            "the recurrent bias is dropped": {("lif1.w_rec", "bias")},
            "by subtraction, a step late, no recurrent bias": {("lif1.w_rec", "bias")},
            "the recurrence is dropped": {("lif1.w_rec", "weight")},
            "weights of 8 bits": {*itertools.product(("fc1", "fc2", "lif1.w_rec"), ("weight", "bias"))},
        }
        assert differing == expected.get(words, set()), words


def test_a_rate_cosine_hides_what_a_cosine_step_by_step_shows() -> None:
    early, late = np.zeros((4, 1, 2), dtype=np.uint8), np.zeros((4, 1, 2), dtype=np.uint8)
    early[0] = late[3] = 1
    (row,) = pair_rows("task", "data", "mode", {"early": early, "late": late})
    assert row["rate_cosine"] == pytest.approx(1)
    assert row["time_cosine"] == 0
    assert row["mismatched"] == 4
    (silent,) = pair_rows("task", "data", "mode", {"early": early, "silent": 0 * late})
    assert silent["rate_cosine"] is None


def test_rows_that_say_the_same_at_several_steps_are_one() -> None:
    assert merged([("a", "1", "x"), ("b", "1", "y"), ("a", "2", "x")], 1) == [("a", "1, 2", "x"), ("b", "1", "y")]


def test_reconciled_backends_give_one_accuracy_on_each_network(quick: Path) -> None:
    for name in ("cnn", "braille"):
        rows = [row for row in rows_of(quick, name) if row["mode"] == "reconciled"]
        assert {row["backend"] for row in rows} == {"reference", *LIBRARIES}
        assert len({row["right"] for row in rows}) == 1
        assert {row["mismatched"] for row in rows} == {"0"}, rows


def test_every_accuracy_has_its_samples_an_interval_and_says_whether_it_compares(quick: Path) -> None:
    for name, samples in (("cnn", "10"), ("braille", "28"), ("cnn_rules", "10"), ("braille_rules", "28")):
        for row in rows_of(quick, name):
            assert (row["samples"], row["comparable"]) == (samples, "false")
            if row["accuracy"]:
                assert float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"])


def test_what_the_imports_of_the_recurrence_do_is_named(quick: Path) -> None:
    rows = {row["backend"]: row for row in rows_of(quick, "braille") if row["mode"] == "native"}
    assert rows["norse"]["causes"] == rows["spikingjelly"]["causes"] == "feedback_bias_at_start"
    assert int(rows["norse"]["mismatched"]) > 0
    assert rows["snntorch"]["status"] == "import_error"
    assert rows["exact"]["causes"] == "discretisation"


def test_the_gain_of_every_importer_is_stated(quick: Path) -> None:
    rows = {(row["backend"], float(row["dt"])): row for row in rows_of(quick, "cnn_gain")}
    assert float(rows["reference", 1e-3]["gain"]) == 1e-3
    assert rows["reference", 1e-3]["first_layer_spikes"] == "0"
    for dt in (1e-3, 1.0):
        assert float(rows["norse", dt]["gain"]) == 1
        assert rows["norse", dt]["first_layer_spikes"] == rows["norse", dt]["spikes_at_gain_1"]
        assert float(rows["snntorch", dt]["gain"]) == 1
    assert rows["spikingjelly", 1e-3]["status"] == "refused"
    assert float(rows["spikingjelly", 1.0]["gain"]) == 1


def test_the_page_states_the_claim_and_what_it_cannot_compare(quick: Path) -> None:
    page = (quick / "README.md").read_text(encoding="utf-8")
    for words in (
        "N-MNIST: **holds**",
        "Braille: **holds**",
        "11 of 11 traces are explained",
        "comparable with a published one",
    ):
        assert words in page
    assert str(Path.home()) not in page
    assert {path.name for path in quick.glob("*.png")} == {"lif_traces.png", "accuracy.png", "first_layers.png"}
    assert (quick / "graphs" / "braille_for_snntorch.nir").is_file()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick run with nothing at all."""
    for name in LIBRARIES:
        installed(name)
    folder = tmp_path_factory.mktemp("own")
    run = call(folder, None)
    assert run.returncode == 0, run.stderr
    assert "networks of our own on the embedded digits" in run.stderr
    assert {Path(line).stem for line in run.stdout.split() if line.endswith(".csv")} == OWN_TABLES
    return folder / "out"


def test_without_the_paper_the_claim_is_tested_on_networks_of_our_own(own: Path) -> None:
    for name in ("own_cnn", "own_recurrent"):
        rows = rows_of(own, name)
        assert {(row["dataset"], row["network"], row["comparable"]) for row in rows} == {
            ("digits-events", f"{name}.nir", "false")
        }
        assert (own / "graphs" / f"{name}.nir").is_file()
        rewritten = [row for row in rows if row["mode"] == "reconciled"]
        assert {row["backend"] for row in rewritten} == {"reference", *LIBRARIES}
        assert {row["mismatched"] for row in rewritten} == {"0"}
        assert {row["samples"] for row in rewritten} == {"20"}
        # Far above chance, so that backends that agree agree about something.
        assert all(float(row["accuracy_low"]) > 0.3 for row in rewritten)
        assert any(row["mismatched"] != "0" for row in rows if row["mode"] == "native")
    (steps,) = {row["spikes_backend"] for row in rows_of(own, "lif_backends") if row["backend"] in LIBRARIES}
    assert len(steps.split()) > 10


def test_without_the_paper_the_page_says_that_nothing_was_published(own: Path) -> None:
    page = (own / "README.md").read_text(encoding="utf-8")
    for words in ("Nothing here was published", "--paper-dir", VARIABLE, "not N-MNIST", "No accuracy here is comparable"):
        assert words in page
    assert page.count("**holds**") == 2


@pytest.mark.slow
@pytest.mark.parametrize("table_of", [TABLES, OWN_TABLES], ids=["published", "own"])
def test_every_table_says_which_data_it_is_from(table_of: set[str], request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue("quick" if table_of is TABLES else "own")
    for name in table_of:
        rows = rows_of(folder, name)
        assert rows and all(row["dataset"] for row in rows), name


@pytest.mark.parametrize("by", ["--paper-dir", pytest.param(VARIABLE, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("make", "words"),
    [(None, "is not a folder"), ("elsewhere", "holds neither 01_lif nor paper/01_lif"), ("01_lif", "holds no lif_norse.nir")],
)
def test_a_bad_folder_of_the_paper_is_named_in_one_line(make: str | None, words: str, by: str, tmp_path: Path) -> None:
    named = tmp_path / "paper"
    if make is not None:
        (named / make).mkdir(parents=True)
    run = call(tmp_path, named) if by == VARIABLE else call(tmp_path, None, "--paper-dir", str(named))
    (line,) = run.stderr.strip().splitlines()
    assert run.returncode == 2
    assert words in line
    assert not (tmp_path / "out").exists()


def test_a_damaged_trace_is_named(paper: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    for path in sorted(paper.rglob("*")):
        if path.is_file():
            (copied / path.parent.name).mkdir(parents=True, exist_ok=True)
            (copied / path.parent.name / path.name).write_bytes(path.read_bytes())
    (copied / "01_lif" / "lif_nengo.csv").write_text("input;membrane\n", encoding="utf-8")
    with pytest.raises(BadData, match=r"lif_nengo\.csv"):
        Paper(copied).traces()


def test_the_folder_is_the_paper_s_or_a_checkout_and_an_option_goes_before_the_environment(
    paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = PaperOptions(None, tmp_path, tmp_path, tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert find_paper(options) is None
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copytree(paper, checkout / "paper")
    # What a checkout has elsewhere under the same name is not what was published.
    (checkout / "paper" / "lif_norse.nir").write_bytes(b"of another time")
    monkeypatch.setenv(VARIABLE, str(checkout))
    found = find_paper(options)
    assert found is not None
    assert found.folder == checkout / "paper"
    assert found.graph("lif_norse.nir").parent.name == "01_lif"
    assert spike_steps(found.traces()["spyx"][:, 2]) == [461, 511, 711, 761]
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    named = find_paper(replace(options, paper_dir=paper))
    assert named is not None
    assert named.folder == paper


def test_an_option_of_another_study_is_refused(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "nir_interop", "experiment", "csnn_mnist", "--paper-dir", str(tmp_path)]
    run = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    (line,) = run.stderr.strip().splitlines()
    assert run.returncode == 2
    assert "--paper-dir: the study csnn_mnist has no such option" in line


def test_what_is_not_here_is_replaced_and_nothing_else(paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIR_INTEROP_DATA", raising=False)
    options = PaperOptions(None, tmp_path / "out", tmp_path, tmp_path, quick=True, paper_dir=paper)
    given = study._given(options, TaskProgress(quiet=True))
    assert {(name, task.inputs.name) for name, task in given.tasks.items()} == {
        ("cnn", "digits-events"),
        ("own_recurrent", "digits-events"),
    }
    assert given.tasks["cnn"].path.name == CNN_GRAPH
    assert given.neuron.dataset == "the paper's spike train"
    assert not any(task.inputs.comparable for task in given.tasks.values())
