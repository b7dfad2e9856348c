"""nmnist_transfer: its frames, its networks, its training, and a quick run as a user runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

from nir_interop.backends.adapter import load_adapter
from nir_interop.backends.environments import backend
from nir_interop.cli import main
from nir_interop.compare import assert_same_spikes
from nir_interop.datasets import load_digits_events
from nir_interop.graphs import from_nir
from nir_interop.networks import LIF, PoolKind
from nir_interop.stimuli import events_to_frames
from nir_interop.stimuli.sparse_frames import WINDOW, Frames, Windows, frames_of
from nir_interop.training import SAVE_EVERY, Trained, save_checkpoint, train_from_checkpoint
from nir_interop.vocabulary import Idiom
from nir_interop_studies import trained_networks as lessons
from nir_interop_studies.common import Options
from nir_interop_studies.nmnist_transfer.crossing import TREATMENTS, stretched
from nir_interop_studies.nmnist_transfer.network import FRAME, POOLINGS, SHORT, Regime, network, regimes, summed, written_for
from tests.known import CORE, installed, knowing_store
from tests.tables import rows_of

"""Fingerprints are kept where ``make matrix`` keeps them: finding one takes seconds."""
TABLES = ("training", "sources", "exports", "steps", "transfer", "flips")
FIGURES = ("accuracy.png", "rasters.png")
CPU = torch.device("cpu")
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """Three recordings, whole."""
    return frames_of(load_digits_events(False), [0, 1, 2], 320, tmp_path_factory.mktemp("frames"))


def test_frames_are_the_denoised_events_of_each_millisecond_and_then_silence(frames: Frames) -> None:
    from tonic.transforms import Denoise

    recordings = load_digits_events(False)
    batch = frames.batch(0, 3)
    assert batch.shape == (320, 3, 2, 34, 34)
    for number in range(3):
        kept = Denoise(filter_time=10_000)(recordings[number])
        expected = events_to_frames(kept, recordings.sensor_size, time_window=WINDOW)[:, 0]
        np.testing.assert_array_equal(batch[: len(expected), number], expected)
        assert not batch[len(expected) :, number].any()
    assert 0 < frames.dropped < 0.5
    np.testing.assert_array_equal(frames.labels, recordings.labels[:3])


def test_frames_are_made_once_and_known_by_what_is_in_them(frames: Frames, tmp_path: Path) -> None:
    seen: list[int] = []
    again = frames_of(load_digits_events(False), [0, 1, 2], 320, frames.path.parent, lambda: seen.append(1))
    assert (again.path, again.sha256, len(seen)) == (frames.path, frames.sha256, 3)
    other = frames_of(load_digits_events(False), [0, 1, 3], 320, tmp_path)
    assert other.sha256 != frames.sha256
    assert frames.cut(10).key != frames.key


def test_stretches_are_parts_of_the_recordings(frames: Frames) -> None:
    windows = Windows(frames, (0, 50, 290), 40)
    assert len(windows) == 9
    assert windows.labels.tolist() == np.repeat(frames.labels, 3).tolist()
    whole = frames.batch(0, 3)
    picked = windows.pick(np.array([1, 5]))
    np.testing.assert_array_equal(picked[:, 0], whole[50:90, 0])
    np.testing.assert_array_equal(picked[:30, 1], whole[290:, 1])
    assert not picked[30:, 1].any()


@quiet
def test_a_network_does_the_same_for_each_step_and_with_sum_pooling(frames: Frames) -> None:
    adapter, inputs = load_adapter("norse"), frames.cut(60).batch(0, 3)
    average = network(0, PoolKind.AVERAGE)
    wanted = adapter.run(adapter.build(average, FRAME, Idiom.PORTABLE), inputs).output
    assert wanted.sum() > 100
    for other in (written_for(average, SHORT), summed(average), summed(written_for(average, SHORT))):
        made = adapter.run(adapter.build(other, other.dt, Idiom.PORTABLE), inputs).output
        np.testing.assert_array_equal(made, wanted)
    assert {layer.tau for layer in written_for(average, SHORT).layers if isinstance(layer, LIF)} == {8 * SHORT}


def test_only_average_pooling_becomes_sum_pooling() -> None:
    with pytest.raises(ValueError, match="pool1 is no average pooling"):
        summed(network(0, PoolKind.MAX))


def test_stretching_changes_time_constants_alone() -> None:
    graph = from_nir(network(0, PoolKind.SUM, SHORT).to_nir())
    wanted = from_nir(network(0, PoolKind.SUM, FRAME).to_nir())
    made = stretched(graph, 10.0)
    for name, node in wanted.primitives():
        for parameter, value in node.params.items():
            found = made.nodes[name][parameter]  # type: ignore[index]
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                np.testing.assert_allclose(found, value, rtol=1e-6)
            else:
                assert np.array_equal(found, value), (name, parameter)


def regime_of(library: str) -> Regime:
    """The quick settings, so short that a test can wait for them."""
    options = Options(None, Path(), Path(), Path(), quick=True, libraries=(library,))
    chosen = next(regime for regime in regimes(options) if regime.pooling is PoolKind.AVERAGE)
    return replace(chosen, settings=replace(chosen.settings, batch=1, steps=6, epochs=10))


def trained(library: str, frames: Frames, path: Path, *, stop: int = 0) -> Trained:
    """Train; an interrupt comes after ``stop`` updates."""
    regime, seen = regime_of(library), 0

    def advance() -> None:
        nonlocal seen
        seen += 1
        if seen == stop:
            raise KeyboardInterrupt

    return train_from_checkpoint(
        load_adapter(library), regime.start, Windows(frames, (40,), 6), regime.settings, CPU, path, advance
    )


@pytest.mark.parametrize("library", POOLINGS)
@quiet
def test_a_training_on_frames_that_was_interrupted_ends_as_one_that_was_not(
    library: str, frames: Frames, tmp_path: Path
) -> None:
    whole = trained(library, frames, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        trained(library, frames, tmp_path / "parts.pt", stop=SAVE_EVERY + 2)
    assert torch.load(tmp_path / "parts.pt", weights_only=True)["updates"] == SAVE_EVERY
    resumed = trained(library, frames, tmp_path / "parts.pt")
    assert len(whole.curve) == 30
    np.testing.assert_array_equal(resumed.curve, whole.curve)
    start = regime_of(library).start.parameters()
    for key, array in whole.parameters.items():
        np.testing.assert_array_equal(resumed.parameters[key], array)
    assert any((array != start[key]).any() for key, array in whole.parameters.items())


@pytest.mark.parametrize("library", POOLINGS)
@quiet
def test_a_frame_in_training_is_a_step_of_the_adapter(library: str, frames: Frames) -> None:
    regime, adapter = regime_of(library), load_adapter(library)
    inputs = frames.cut(40).batch(0, 3)
    tested = adapter.run(adapter.build(regime.start, FRAME, Idiom.PORTABLE), inputs).output
    training = adapter.trainable(adapter.build(regime.start, FRAME, Idiom.PORTABLE), regime.settings.surrogate, CPU)
    for _ in range(2):  # The second time from zero state again.
        fired = training.outputs(torch.from_numpy(inputs)).detach().numpy()
        assert fired.sum() > 20
        assert_same_spikes(fired, tested)


def test_recordings_of_another_length_than_the_settings_are_refused(frames: Frames, tmp_path: Path) -> None:
    regime = regime_of("norse")
    with pytest.raises(ValueError, match="recordings of 7 steps, and settings for 6"):
        train_from_checkpoint(
            load_adapter("norse"), regime.start, Windows(frames, (0,), 7), regime.settings, CPU, tmp_path / "one.pt"
        )


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit status and what is on stderr; whoever starts to train fails the test."""

    def fail(*arguments: object, **more: object) -> None:
        pytest.fail("training began")

    monkeypatch.setattr(lessons, "train_from_checkpoint", fail)
    monkeypatch.delenv("NIR_INTEROP_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", ["nir-interop", "experiment", "nmnist_transfer", "--quick", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), capsys.readouterr().err


def nothing(folder: Path) -> None:
    """A folder without data."""


def partial(folder: Path) -> None:
    path = folder / "NMNIST" / "Train" / "3" / "00001.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes([5, 5, 128, 0, 1] * 4))


def damaged(folder: Path) -> None:
    partial(folder)
    shutil.copytree(folder / "NMNIST" / "Train", folder / "NMNIST" / "Test")
    (folder / "NMNIST" / "Train" / "3" / "00001.bin").write_bytes(b"cut")


@pytest.mark.parametrize(
    ("make", "words"),
    [(nothing, "no N-MNIST in"), (partial, "no N-MNIST in"), (damaged, "is empty or cut off")],
    ids=["nothing", "partial", "damaged"],
)
def test_a_data_folder_that_is_no_use_is_named_before_any_training(
    make: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert callable(make)
    make(tmp_path / "data")
    code, said = call(monkeypatch, capsys, "--quiet", "--data-dir", "data")
    (line,) = said.strip().splitlines()
    assert code == 2
    assert words in line
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--backend", "spikingjelly"), "this study trains in norse, snntorch"),
        (("--device", "cuda:17"), "--device cuda:17: this machine has"),
        (("--data-dir", "nowhere"), "'nowhere' is not a folder"),
    ],
    ids=["library", "device", "folder"],
)
def test_a_bad_call_says_in_one_line_what_is_wrong(
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = call(monkeypatch, capsys, *arguments)
    (line,) = said.strip().splitlines()
    assert code == 2
    assert words in line
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "kept" / "norse_max.pt"
    save_checkpoint(path, {"network": {"name": "another"}}, {"updates": 1, "parameters": {}})
    before = path.read_bytes()
    code, said = call(monkeypatch, capsys, "--quiet", "--checkpoints", "kept")
    (line,) = said.strip().splitlines()
    assert code == 2
    assert "norse_max.pt: a checkpoint of another run" in line
    assert path.read_bytes() == before


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick run on the embedded digits."""
    for name in CORE:
        installed(name)
    folder = tmp_path_factory.mktemp("quick")
    store = str(knowing_store(folder))
    words = [sys.executable, "-m", "nir_interop", "experiment", "nmnist_transfer", "--quick", "--store", store]
    digits = {name: value for name, value in os.environ.items() if name != "NIR_INTEROP_DATA"}
    run = subprocess.run(words, capture_output=True, text=True, cwd=folder, timeout=500, check=False, env=digits)
    assert run.returncode == 0, run.stderr
    out = folder / "results" / "nmnist_transfer-quick"
    assert {Path(line).name for line in run.stdout.split()} == {"README.md", *(f"{name}.csv" for name in TABLES), *FIGURES}
    return out


def test_every_table_says_which_data_it_is_from(quick: Path) -> None:
    for name in TABLES:
        assert {row["dataset"] for row in rows_of(quick, name)} <= {"digits-events"}, name
    assert {len(rows_of(quick, name)) for name in ("training", "sources", "transfer")} == {3, 12, 90}


def test_every_accuracy_has_its_samples_and_an_interval(quick: Path) -> None:
    for name in ("training", "sources", "transfer"):
        for row in rows_of(quick, name):
            if row["accuracy"]:
                assert row["samples"] == "20"
                assert float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"])


def test_max_pooling_is_refused_and_says_where(quick: Path) -> None:
    rows = {row["library"]: row for row in rows_of(quick, "exports") if row["pooling"] == "max"}
    assert (rows["norse"]["stage"], rows["norse"]["status"]) == ("write", "write_error")
    assert rows["norse"]["declined_at"].startswith("norse/torch/utils/export_nir.py:")
    assert (rows["snntorch"]["stage"], rows["spikingjelly"]["stage"]) == ("export", "export")
    ways = [row for row in rows_of(quick, "transfer") if row["pooling"] == "max"]
    assert len(ways) == 2 * 3 * len(TREATMENTS)
    assert {(row["accuracy"], row["causes"]) for row in ways} == {("", "not_expressible")}
    assert all(row["accuracy_source"] and row["remedy"] for row in ways)


def test_rewritten_graphs_give_every_spike_of_their_source(quick: Path) -> None:
    rows = [row for row in rows_of(quick, "transfer") if row["treatment"] == "reconciled" and row["pooling"] != "max"]
    assert len(rows) == 24
    for row in rows:
        assert (row["status"], row["mismatched"], row["right"]) == ("exact", "0", row["right_source"]), row
        assert row["sample_exact"] == "true"
        assert int(row["spikes_source"]) > 20
    assert rows_of(quick, "flips") == []


def test_a_step_that_is_not_the_file_s_is_named_as_the_cause(quick: Path) -> None:
    rows = {(row["source"], row["importer"], row["case"], row["treatment"]): row for row in rows_of(quick, "transfer")}
    fixed = rows["norse_sum", "snntorch", "1e-3", "native"]
    assert (fixed["causes"], fixed["asked_by"], fixed["status"]) == ("dt_fixed", "nobody", "mismatch")
    default = rows["norse_sum", "spikingjelly", "1e-3", "native"]
    assert (default["causes"], default["asked_by"], default["dt_taken"]) == ("dt_requested", "default", "0.0001")
    assert rows["norse_sum", "snntorch", "1e-3", "by hand"]["mismatched"] == "0"
    assert rows["snntorch_average", "norse", "1e-3", "by hand"]["causes"] == "unsupported"


def test_exporters_say_which_step_they_write(quick: Path) -> None:
    rows = {(row["library"], row["exporter_call"], row["dt_written"]): row for row in rows_of(quick, "steps")}
    assert float(rows["snntorch", "no dt", "0.001"]["dt_of_file"]) == pytest.approx(1e-4)
    assert float(rows["norse", "dt = 1", "0.001"]["dt_of_file"]) == pytest.approx(1e-3)
    assert float(rows["norse", "no dt", "0.001"]["dt_of_file"]) == pytest.approx(1e-6)


def test_the_graphs_that_crossed_are_there(quick: Path) -> None:
    graphs = {path.stem for path in (quick / "graphs").glob("*.nir")}
    assert {f"{source}_{step}" for source in ("norse_sum", "snntorch_average") for step in ("1e-3", "1e-4")} < graphs
    assert "snntorch_average_1e-3_for_norse" in graphs
    assert not any("max" in name for name in graphs)
    assert set(nir.read(quick / "graphs" / "norse_sum_1e-3.nir").nodes) >= {"conv1", "pool1", "lif3"}


def test_the_page_names_data_command_versions_and_time(quick: Path) -> None:
    page = (quick / "README.md").read_text(encoding="utf-8")
    for words in (
        "the embedded digits of scikit-learn as events along N-MNIST's saccades, not N-MNIST",
        "96 training and 20 test recordings",
        "`nir-interop experiment nmnist_transfer --quick`",
        f"norse {backend('norse').version}",
        "MB of memory",
        "Norse's exporter wrote none of these networks",
    ):
        assert words in page, words
    assert str(Path.home()) not in page
