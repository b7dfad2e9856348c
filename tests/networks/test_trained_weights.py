"""Trained weights that come with the project: whole, those of today's catalogue, and refused where they are not."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.errors import BadData
from nir_interop.matrix.weights import samples_digest
from nir_interop.networks import catalogue, names
from nir_interop.networks.catalogue import DT
from nir_interop.networks.trained_weights import FOLDER, fitting, shipped, write
from nir_interop.stimuli import training_samples
from tests.known import CORE
from tests.places import ROOT

USUAL, APART = CORE, ("sinabs",)
"""Libraries of the default matrix, and those that live apart and train networks of the catalogue."""
LIBRARIES = (*USUAL, *APART)
TRAINED = [name for name in names() if catalogue(name).epochs]
PAIRS = [(network, library) for network in TRAINED for library in LIBRARIES]


def fits(network: str, library: str, folder: Path = FOLDER, **others: Any) -> bool:
    found = shipped(network, library, folder)
    version = "" if found is None else found.provenance["version"]
    asked = {"version": version, "seed": 0, "dt": DT, "entry": catalogue(network)} | others
    return fitting(network, library, folder=folder, **asked) is not None


def copied(folder: Path, network: str = "mlp_lif", library: str = "norse") -> Path:
    """A folder with one pair of files."""
    folder.mkdir()
    for path in FOLDER.glob(f"{network}.{library}.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_each_trained_network_has_weights_of_each_library_and_nothing_else_lies_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{a}.{b}.{kind}" for a, b in PAIRS for kind in ("npz", "json")}
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["nir_interop"]
    inside = {path.relative_to(ROOT / "harness" / "nir_interop").as_posix() for path in FOLDER.iterdir()}
    assert inside <= {
        path.relative_to(ROOT / "harness" / "nir_interop").as_posix()
        for each in patterns
        for path in (ROOT / "harness" / "nir_interop").glob(each)
    }


@pytest.mark.parametrize(("network", "library"), PAIRS)
def test_weights_are_those_that_training_the_catalogue_would_give(network: str, library: str) -> None:
    assert fits(network, library)
    found = shipped(network, library)
    assert found is not None
    started, learned = catalogue(network).build(0).parameters(), found.load()
    assert {name: array.shape for name, array in learned.items()} == {name: array.shape for name, array in started.items()}
    assert all(array.dtype == np.float64 and np.isfinite(array).all() for array in learned.values())
    assert not any(np.array_equal(array, started[name]) for name, array in learned.items())
    said = {name: found.provenance[name] for name in ("versions", "samples", "date", "machine", "idiom")}
    assert all(said.values())


@pytest.mark.parametrize("network", TRAINED)
def test_the_samples_they_were_trained_on_are_those_of_today(network: str) -> None:
    entry = catalogue(network)
    inputs, labels = training_samples(entry, entry.build(0), 0)
    for library in LIBRARIES:
        found = shipped(network, library)
        assert found is not None
        assert found.provenance["samples"] == {"count": len(labels), "sha256": samples_digest(inputs, labels)}


@pytest.mark.parametrize(("folder", "libraries"), [("results", USUAL)])
def test_the_committed_tables_were_made_with_them(folder: str, libraries: tuple[str, ...]) -> None:
    with (ROOT / folder / "sources.csv").open(newline="") as file:
        rows = {(row["network"], row["exporter"]): row for row in csv.DictReader(file) if row["idiom"] == "portable"}
    known = json.loads((ROOT / folder / "environment.json").read_text())["weights"]
    for network, library in PAIRS:
        if library not in libraries:
            continue
        found, row = shipped(network, library), rows[network, library]
        assert found is not None
        assert row["trained"] == "true"
        assert float(row["accuracy"]) == pytest.approx(found.accuracy)
        assert int(row["samples"]) == found.provenance["accuracy"]["samples"]
        assert known[network][library]["shipped"] is True


@pytest.mark.parametrize(
    "others",
    [{"version": "0.0"}, {"seed": 1}, {"dt": 1e-3}, {"entry": catalogue("mlp_cuba")}],
    ids=["version", "seed", "step", "settings"],
)
def test_weights_of_another_training_do_not_fit(others: dict[str, Any]) -> None:
    assert not fits("mlp_lif", "norse", **others)


def test_a_version_beside_the_installed_one_and_an_unknown_library_have_none() -> None:
    assert shipped("mlp_lif", "norse==1.1.0") is None
    assert shipped("mlp_lif", "another") is None
    assert shipped("lif_single", "norse") is None


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _pickled(path: Path) -> None:
    np.savez(path, **{"fc1.weight": np.array([object()], dtype=object)})


@pytest.mark.parametrize("spoil", [_cut, _pickled, Path.unlink], ids=["cut", "pickled", "gone"])
def test_a_file_that_is_not_the_one_described_is_refused_in_one_line(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    folder = copied(tmp_path / "trained")
    spoil(folder / "mlp_lif.norse.npz")
    found = shipped("mlp_lif", "norse", folder)
    assert found is not None
    with pytest.raises(BadData, match=r"mlp_lif\.norse\.npz: .*--train") as caught:
        found.load()
    assert "\n" not in str(caught.value)


def test_objects_are_not_unpickled_even_where_the_digest_is_right(tmp_path: Path) -> None:
    import hashlib

    folder = copied(tmp_path / "trained")
    _pickled(folder / "mlp_lif.norse.npz")
    beside = folder / "mlp_lif.norse.json"
    sha256 = hashlib.sha256((folder / "mlp_lif.norse.npz").read_bytes()).hexdigest()
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"sha256": sha256}))
    found = shipped("mlp_lif", "norse", folder)
    assert found is not None
    with pytest.raises(BadData, match="cannot be read"):
        found.load()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"network": "mlp_cuba", "library": "norse", "sha256": "0"}'])
def test_a_provenance_that_says_nothing_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    folder = copied(tmp_path / "trained")
    (folder / "mlp_lif.norse.json").write_text(text)
    with pytest.raises(BadData, match=r"mlp_lif\.norse\.json: cannot be read") as caught:
        shipped("mlp_lif", "norse", folder)
    assert "\n" not in str(caught.value)


def test_what_is_written_is_read_again_with_every_digit_and_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    found = shipped("mlp_cuba", "norse")
    assert found is not None
    learned = found.load() | {"fc1.bias": np.full(128, 1 / 3)}  # no single precision holds that
    for folder in ("one", "two"):
        write(learned, found.provenance, tmp_path / folder)
    again = shipped("mlp_cuba", "norse", tmp_path / "one")
    assert again is not None
    for name, array in again.load().items():
        np.testing.assert_array_equal(array, learned[name])
    one, two = ((tmp_path / folder / "mlp_cuba.norse.npz").read_bytes() for folder in ("one", "two"))
    assert one == two
    assert again.provenance["date"] == found.provenance["date"]
    assert fits("mlp_cuba", "norse", tmp_path / "one")
