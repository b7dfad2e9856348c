"""Whether the matrix takes the weights that come with the project, or trains, and how it says which."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.arrays import load_arrays
from nir_interop.backends.environments import Backend
from nir_interop.errors import BadData, NirInteropError
from nir_interop.matrix import campaign, weights
from nir_interop.matrix.campaign import run
from nir_interop.matrix.plan import make_plan
from nir_interop.matrix.results import Results
from nir_interop.matrix.weights import compared, save
from nir_interop.networks.trained_weights import FOLDER, fitting, shipped
from nir_interop.store.store import Store
from nir_interop.transfer.stimuli import CatalogueStimuli
from tests.matrix import fakes

NETWORK = "mlp_lif"


def norse(version: str = "1.1.0", kind: type[fakes.Honest] = fakes.Honest) -> Backend:
    """A fake by the name of a library that trained, and of that version."""
    return replace(fakes.backend(kind, "norse"), distributions=("norse",), versions={"norse": version})


def ran(store: Path, backend: Backend, **options: Any) -> Results:
    plan = make_plan(networks=[NETWORK], dts=(1e-4,), seed=options.pop("seed", 0), known=[backend])
    return run(plan, Store(store), jobs=1, **options)


def learned(found: Results, store: Path) -> dict[str, np.ndarray]:
    (source,) = found.trainings()
    return load_arrays(Store(store).object(source.parameters or ""))


@pytest.fixture(scope="module")
def ours() -> dict[str, np.ndarray]:
    found = shipped(NETWORK, "norse")
    assert found is not None
    return found.load()


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(array, other[name]) for name, array in one.items())


def test_the_version_that_trained_them_is_given_the_weights_and_any_other_trains(
    ours: dict[str, np.ndarray], tmp_path: Path
) -> None:
    whole = ran(tmp_path, norse())
    assert same(learned(whole, tmp_path), ours)
    assert whole.environment()["weights"][NETWORK]["norse"]["shipped"] is True
    assert compared(whole, Store(tmp_path)) == []  # nothing was trained
    assert all(row["trained"] for row in whole.source_rows())
    for other in (ran(tmp_path, norse("1.2.0")), ran(tmp_path, norse(), seed=1)):
        assert not same(learned(other, tmp_path), ours)
        assert other.environment()["weights"][NETWORK]["norse"]["shipped"] is False


def test_weights_that_were_damaged_in_the_store_are_taken_from_the_project_again(
    ours: dict[str, np.ndarray], tmp_path: Path
) -> None:
    (source,) = ran(tmp_path, norse()).trainings()
    kept = Store(tmp_path).object(source.parameters or "")
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert same(learned(ran(tmp_path, norse()), tmp_path), ours)


def test_train_trains_and_says_how_the_accuracies_compare(ours: dict[str, np.ndarray], tmp_path: Path) -> None:
    found = ran(tmp_path, norse(), train=True)
    assert not same(learned(found, tmp_path), ours)
    (one,) = compared(found, Store(tmp_path))
    known = shipped(NETWORK, "norse")
    assert known is not None
    assert (one.network, one.library, one.before, one.same) == (NETWORK, "norse", known.accuracy, False)
    assert one.accuracy is not None and one.accuracy < 0.5  # the fake only guesses
    assert one.within is False
    assert one.says() == (
        f"trained: mlp_lif in norse 1.1.0: accuracy {one.accuracy:.3f} of 360, {known.accuracy:.3f} with the weights that come "
        "with the project: beyond chance (95 % intervals)"
    )
    equal = replace(one, accuracy=known.accuracy - 0.01)
    assert equal.within is True and equal.says().endswith("within chance (95 % intervals)")
    assert replace(one, before=None).says().endswith("no weights come with the project")
    assert "by norse 1.1.0" in replace(one, version="1.2.0").says()


@pytest.mark.parametrize("spoiled", ["mlp_lif.norse.npz", "mlp_lif.norse.json"])
def test_files_that_are_spoiled_end_a_run_in_one_line_and_training_anew_does_without_them(
    spoiled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FOLDER, tmp_path / "trained")
    (tmp_path / "trained" / spoiled).write_bytes(b"{")
    elsewhere = {"folder": tmp_path / "trained"}
    monkeypatch.setattr(campaign, "fitting", partial(fitting, **elsewhere))
    monkeypatch.setattr(weights, "shipped", partial(shipped, **elsewhere))
    with pytest.raises(BadData, match=r"mlp_lif\.norse"):
        ran(tmp_path / "store", norse())
    found = ran(tmp_path / "store", norse(), train=True)
    (one,) = compared(found, Store(tmp_path / "store"))
    assert one.before is None and one.accuracy is not None


def test_weights_that_cannot_be_written_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = ran(tmp_path / "store", norse())
    with pytest.raises(NirInteropError, match=r"--save-weights .*cannot be written") as caught:
        save(found, Store(tmp_path / "store"), CatalogueStimuli(), tmp_path / "file", {})
    assert "\n" not in str(caught.value)


def test_weights_are_saved_with_where_they_come_from_and_read_again(ours: dict[str, np.ndarray], tmp_path: Path) -> None:
    machine = {"cpu": "A 1"}
    for name, options in (("trained", {"train": True}), ("ours", {})):
        found = ran(tmp_path / "store", norse(), **options)
        paths = save(found, Store(tmp_path / "store"), CatalogueStimuli(), tmp_path / name, machine)
        assert [path.name for path in paths] == ["mlp_lif.norse.npz", "mlp_lif.norse.json"]
        again, known = shipped(NETWORK, "norse", tmp_path / name), shipped(NETWORK, "norse")
        assert again is not None and known is not None
        assert same(again.load(), learned(found, tmp_path / "store"))
        if options:
            assert again.provenance["machine"]["cpu"] == "A 1"
            assert again.provenance["samples"] == known.provenance["samples"]
            assert again.provenance["settings"] == known.provenance["settings"]
            assert again.accuracy == next(iter(found.trainings())).outcome.accuracy
        else:
            assert same(again.load(), ours)
            assert again.provenance["date"] == known.provenance["date"]
