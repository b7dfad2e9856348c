"""Bad input to a study: one line, exit 2, nothing trained and nothing written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nir_interop.cli import main
from nir_interop.training import save_checkpoint


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit status and what is on stderr."""
    monkeypatch.setattr(sys, "argv", ["nir-interop", "experiment", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), capsys.readouterr().err


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever starts to train fails the test."""

    def fail(*arguments: object, **more: object) -> None:
        pytest.fail("training began")

    from nir_interop_studies import trained_networks as lessons

    monkeypatch.setattr(lessons, "train_from_checkpoint", fail)
    monkeypatch.delenv("NIR_INTEROP_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def nothing(folder: Path) -> None:
    """A folder without data."""


def partial(folder: Path) -> None:
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 0]))


def wrong(folder: Path) -> None:
    partial(folder)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (folder / "MNIST" / "raw" / name).write_bytes(b"these are no digits")


@pytest.mark.parametrize(
    ("make", "words"),
    [(nothing, "no MNIST in"), (partial, "MNIST is partial"), (wrong, "not an idx file")],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_data_folder_that_is_no_use_is_named(
    make: Callable[[Path], None],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    make(folder)
    code, said = call(monkeypatch, capsys, "csnn_mnist", "--quick", "--data-dir", str(folder))
    (line,) = said.strip().splitlines()
    assert code == 2
    assert line.startswith("nir-interop: ")
    assert words in line
    assert not (tmp_path / "results").exists()


BAD = {
    "unknown study": (["csnn_minst"], "no experiment 'csnn_minst'; there are csnn_mnist"),
    "no such folder": (["csnn_mnist", "--data-dir", "nowhere"], "'nowhere' is not a folder"),
    "no such device": (["csnn_mnist", "--device", "cuda:17"], "--device cuda:17: this machine has"),
    "no device at all": (["csnn_mnist", "--device", "abacus"], "--device abacus: no device of that name"),
    "another kind of device": (["csnn_mnist", "--device", "meta"], "studies train on cpu or cuda"),
    "a library that does not train": (["csnn_mnist", "--backend", "reference"], "this study trains in snntorch"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_says_in_one_line_what_is_wrong(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = BAD[name]
    code, said = call(monkeypatch, capsys, *arguments)
    (line,) = said.strip().splitlines()
    assert code == 2
    assert words in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("found", ["of another network", "damaged", "something else"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_refused(
    found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kept" / "spikingjelly_chosen.pt"
    path.parent.mkdir()
    if found == "of another network":
        save_checkpoint(path, {"network": {"name": "another"}}, {"updates": 1, "parameters": {}})
    elif found == "damaged":
        path.write_bytes(b"PK\x03\x04 and no more")
    else:
        torch.save({"weights": torch.ones(2)}, path)
    before = path.read_bytes()
    code, said = call(monkeypatch, capsys, "csnn_mnist", "--quick", "--checkpoints", str(path.parent))
    (line,) = said.strip().splitlines()
    assert code == 2
    assert "spikingjelly_chosen.pt" in line
    assert ("a checkpoint of another run" if found == "of another network" else "not a checkpoint") in line
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
