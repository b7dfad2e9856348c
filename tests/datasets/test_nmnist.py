from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from nir_interop.datasets import EVENT, Recordings, load_nmnist
from nir_interop.errors import BadData
from nir_interop.stimuli import recordings_to_frames


def event_bytes(x: int, y: int, t: int, p: int) -> bytes:
    """One event as N-MNIST stores it."""
    return bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three recordings of two digits, as a part of N-MNIST's test split."""
    for digit, number, events in (
        (0, 1, [(1, 2, 100, 1), (33, 33, 70_000, 0)]),
        (0, 2, [(5, 5, 10, 0)]),
        (7, 1, [(3, 4, 5, 1), (0, 240, 6, 0), (3, 4, 7, 0)]),
    ):
        path = tmp_path / "NMNIST" / "Test" / str(digit) / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(event_bytes(*event) for event in events))
    return tmp_path


def test_a_partial_copy_is_read_in_the_order_of_digits_and_names(small: Path) -> None:
    recordings = load_nmnist(False, small)
    assert recordings.labels.tolist() == [0, 0, 7]
    assert recordings[0].dtype == EVENT
    assert recordings[0].tolist() == [(1, 2, 100, 1), (33, 33, 70_000, 0)]


def test_the_clock_of_a_recording_goes_on_after_an_overflow_event(small: Path) -> None:
    assert load_nmnist(False, small)[2]["t"].tolist() == [5, 7 + 2**13]


def test_the_folder_itself_may_be_named(small: Path) -> None:
    assert len(load_nmnist(False, small / "NMNIST")) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty or cut off"),
        (event_bytes(1, 1, 1, 1)[:-1], "empty or cut off"),
        (event_bytes(34, 1, 1, 1), "outside 34 × 34"),
        (event_bytes(1, 240, 1, 1), "no event"),
        (event_bytes(1, 1, 9, 1) + event_bytes(1, 1, 8, 1), "back in time"),
    ],
)
def test_a_damaged_recording_is_bad_data_when_it_is_read(small: Path, content: bytes, message: str) -> None:
    (small / "NMNIST" / "Test" / "0" / "00002.bin").write_bytes(content)
    recordings = load_nmnist(False, small)
    assert len(recordings[0]) == 2
    with pytest.raises(BadData, match=message) as caught:
        recordings[1]
    assert "00002.bin" in str(caught.value)


def test_a_recording_that_went_away_is_bad_data(small: Path) -> None:
    recordings = load_nmnist(False, small)
    (small / "NMNIST" / "Test" / "7" / "00001.bin").unlink()
    with pytest.raises(BadData, match="cannot be read"):
        recordings[2]


def test_missing_or_misplaced_recordings_are_bad_data(small: Path) -> None:
    with pytest.raises(BadData, match="no folder NMNIST/Train"):
        load_nmnist(True, small)
    (small / "NMNIST" / "Train" / "3").mkdir(parents=True)
    with pytest.raises(BadData, match="holds no recording"):
        load_nmnist(True, small)
    shutil.copytree(small / "NMNIST" / "Test" / "0", small / "NMNIST" / "Test" / "zero")
    with pytest.raises(BadData, match="in no folder of its digit"):
        load_nmnist(False, small)


def test_frames_of_the_real_recordings_are_those_of_the_nir_paper(real_data: Path) -> None:
    # The paper's own input: the first test recording of each digit in 1 ms frames, axes (T, B, C, H, W).
    papers = np.load(real_data / "NIR-paper" / "cnn_numbers.npz")["cnn_numbers"]
    recordings = load_nmnist(False, real_data)
    assert isinstance(recordings, Recordings)
    digits, first = np.unique(recordings.labels, return_index=True)
    assert digits.tolist() == list(range(10))
    frames = recordings_to_frames(recordings, first, time_window=1000, steps=300)
    assert frames.shape == papers.shape
    assert np.array_equal(frames, papers)
