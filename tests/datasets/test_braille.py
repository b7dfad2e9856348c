from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nir_interop.datasets import load_braille
from nir_interop.errors import BadData


def test_the_real_letters_are_spike_trains_of_twelve_taxels(real_data: Path) -> None:
    letters = load_braille(real_data)
    assert letters.spikes.shape == (256, 700, 12)
    assert set(np.unique(letters.spikes)) == {0, 1}
    assert letters.classes == ("Space", "A", "E", "I", "O", "U", "Y")
    assert np.bincount(letters.labels).min() >= 90
    packed = np.load(real_data / "Braille" / "braille7.npz")["spikes_packed"]
    # Bit by bit: taxel 9 is the second bit of the second byte.
    assert np.array_equal(letters.spikes[:, 5, 9], packed[5, :, 1] >> 6 & 1)


def test_without_a_folder_the_message_says_what_to_name() -> None:
    with pytest.raises(BadData, match="NIR_INTEROP_DATA"):
        load_braille()


@pytest.mark.parametrize(
    "arrays",
    [
        None,
        {"spikes_packed": np.zeros((3, 4, 2), np.uint8)},
        {"spikes_packed": np.zeros((3, 4, 2), np.uint8), "labels": np.zeros(2, int), "letters": np.array(["A"])},
        {"spikes_packed": np.zeros((3, 4, 3), np.uint8), "labels": np.zeros(3, int), "letters": np.array(["A"])},
        {"spikes_packed": np.zeros((3, 4, 2), np.uint8), "labels": np.full(3, 1), "letters": np.array(["A"])},
        {"spikes_packed": np.zeros((3, 4, 2), np.uint8), "labels": np.array([None] * 3), "letters": np.array(["A"])},
    ],
)
def test_a_missing_or_strange_file_is_bad_data(tmp_path: Path, arrays: dict[str, np.ndarray] | None) -> None:
    (tmp_path / "Braille").mkdir()
    if arrays is not None:
        np.savez(tmp_path / "Braille" / "braille7.npz", **arrays)
    with pytest.raises(BadData, match=r"braille7\.npz"):
        load_braille(tmp_path)
