"""Training: it goes on where it stopped, bit by bit; checkpoints are of one run alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nir_interop.backends.adapter import load_adapter
from nir_interop.compare import assert_same_spikes
from nir_interop.datasets import Images, load_digits_images
from nir_interop.errors import BadInput
from nir_interop.networks import Network
from nir_interop.training import SAVE_EVERY, Trained, about, load_checkpoint, save_checkpoint, train_from_checkpoint
from nir_interop_studies.common import LIBRARIES, Options
from nir_interop_studies.csnn_mnist.network import CHOSEN, Regime, regimes

CPU = torch.device("cpu")
SAMPLES = 2 * (SAVE_EVERY + 5)


@pytest.fixture(scope="module")
def images() -> Images:
    found = load_digits_images(True, 28)
    return Images(found.images[:SAMPLES], found.labels[:SAMPLES], found.name)


def regime_of(library: str) -> Regime:
    """The chosen settings, so short that a test can wait for them."""
    options = Options(None, Path(), Path(), Path(), quick=True, libraries=(library,))
    (chosen,) = (regime for regime in regimes(options) if regime.name == CHOSEN)
    return replace(chosen, settings=replace(chosen.settings, batch=2, steps=2))


def trained(library: str, images: Images, path: Path, *, stop: int = 0) -> Trained:
    """Train; an interrupt comes after ``stop`` updates."""
    regime, seen = regime_of(library), 0

    def advance() -> None:
        nonlocal seen
        seen += 1
        if seen == stop:
            raise KeyboardInterrupt

    return train_from_checkpoint(load_adapter(library), regime.start, images, regime.settings, CPU, path, advance)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_interrupted_training_ends_as_one_that_was_not(library: str, images: Images, tmp_path: Path) -> None:
    whole = trained(library, images, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        trained(library, images, tmp_path / "parts.pt", stop=SAVE_EVERY + 2)
    half = torch.load(tmp_path / "parts.pt", weights_only=True)
    assert half["updates"] == SAVE_EVERY
    resumed = trained(library, images, tmp_path / "parts.pt")
    assert len(resumed.curve) == len(whole.curve) == SAMPLES // 2
    np.testing.assert_array_equal(resumed.curve, whole.curve)
    for key, array in whole.parameters.items():
        np.testing.assert_array_equal(resumed.parameters[key], array)
    assert any((array != regime_of(library).start.parameters()[key]).any() for key, array in whole.parameters.items())


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_step_in_training_is_a_step_of_the_adapter(library: str, images: Images) -> None:
    """What is trained is what is tested and exported."""
    regime, adapter = regime_of(library), load_adapter(library)
    network: Network = regime.start
    pictures = images.images[:6, None]
    held = np.repeat(pictures[None], 12, axis=0)
    tested = adapter.run(adapter.build(network, network.dt, regime.settings.idiom), held).output
    built = adapter.build(network, network.dt, regime.settings.idiom)
    training = adapter.trainable(built, regime.settings.surrogate, CPU)
    for _ in range(2):  # The second time from zero state again.
        fired = training.outputs_of_held(torch.from_numpy(pictures), 12).detach().numpy()
        assert fired.sum() > 20
        assert_same_spikes(fired, tested)


def test_a_checkpoint_of_another_run_is_refused_and_says_what_differs(images: Images, tmp_path: Path) -> None:
    path, regime = tmp_path / "one.pt", regime_of("snntorch")
    subject = about(regime.start, images, regime.settings)
    save_checkpoint(path, subject, {"updates": 1, "parameters": {}})
    assert load_checkpoint(path, subject) is not None
    other = about(regime.start, images, replace(regime.settings, seed=7))
    with pytest.raises(BadInput, match=r"another run \(its settings.seed is 0, not 7\)"):
        load_checkpoint(path, other)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.pt"
    save_checkpoint(path, {}, {"updates": 1, "parameters": {"w": torch.ones(3)}})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadInput, match="not a checkpoint"):
        load_checkpoint(path, {})


def test_a_number_that_is_damaged_in_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    path, weights = tmp_path / "one.pt", torch.arange(100.0)
    save_checkpoint(path, {}, {"updates": 1, "parameters": {"w": weights, "mask": torch.ones(3) > 0, "step": torch.tensor(2)}})
    whole = load_checkpoint(path, {})
    assert whole is not None
    torch.testing.assert_close(whole["parameters"]["w"], weights)
    content = bytearray(path.read_bytes())
    content[content.find(weights.numpy().tobytes()) + 40] ^= 64
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"one\.pt: a checkpoint that is damaged; remove it"):
        load_checkpoint(path, {})


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.pt"
    torch.save({"fingerprint": Path("code"), "about": "", "updates": 1, "parameters": {}}, path)
    with pytest.raises(BadInput, match="not a checkpoint"):
        load_checkpoint(path, {})


def test_a_checkpoint_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "nothing.pt", {}) is None
