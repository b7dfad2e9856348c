"""What the networks are fed: N-MNIST as frames of 1 ms, ten published digits, Braille letters; a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nir_interop.arrays import Array
from nir_interop.datasets import Recordings, find_data, load_braille, load_digits_events, load_nmnist
from nir_interop.errors import BadData
from nir_interop.stimuli import recordings_to_frames
from nir_interop_studies.common import Options
from nir_interop_studies.nir_paper.paper import CNN_SAMPLES

WINDOW = 1_000
"""Length of a frame [µs]."""
STEPS, QUICK_STEPS = 300, 60
QUICK_RECORDINGS, QUICK_LETTERS = 10, 28
EMBEDDED_RECORDINGS = 100
"""Of the embedded digits, so many are run through the published network."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Event recordings as frames of 1 ms, made when they are asked for: any number of them, in little memory.

    chosen : their numbers in the split
    """

    recordings: Recordings
    chosen: Array
    steps: int

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.recordings.name

    @property
    def labels(self) -> Array:
        """The digits, axes (N,)."""
        return self.recordings.labels[self.chosen]

    @property
    def key(self) -> str:
        """Says which they are, for what is kept."""
        return f"{self.name} {len(self.recordings)} {self.chosen.tolist()} {self.steps}"

    @property
    def comparable(self) -> bool:
        """Whether this is the paper's test set."""
        return self.name == "nmnist" and len(self.chosen) == CNN_SAMPLES and self.steps == STEPS

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, start: int, stop: int) -> Array:
        """Recordings ``start`` to ``stop``, axes (T, B, 2, 34, 34)."""
        return recordings_to_frames(self.recordings, self.chosen[start:stop].tolist(), time_window=WINDOW, steps=self.steps)


@dataclass(frozen=True, eq=False)
class Held:
    r"""Samples that are in memory, axes (T, N, \*shape); ``comparable`` : whether they are the paper's."""

    samples: Array
    labels: Array
    name: str
    comparable: bool = False

    @property
    def key(self) -> str:
        """See :class:`Frames`."""
        return f"{self.name} {self.samples.shape} {float(self.samples.sum()):g}"

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, start: int, stop: int) -> Array:
        """Samples ``start`` to ``stop``."""
        return self.samples[:, start:stop]


Inputs = Frames | Held


def evenly(count: int, most: int) -> Array:
    """So many of ``count`` numbers at most, at even distances: samples are ordered by class."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))


def test_recordings(options: Options) -> Frames:
    """The test recordings there are: N-MNIST's, else the embedded digits' event version.

    Raises BadData for a data folder without N-MNIST.
    """
    folder = find_data(options.data_dir)
    found = load_digits_events(False) if folder is None else load_nmnist(False, folder)
    count = min(EMBEDDED_RECORDINGS, len(found)) if folder is None else len(found)
    return Frames(found, evenly(count, QUICK_RECORDINGS if options.quick else count), _steps(options))


def embedded(train: bool, options: Options, count: int) -> Frames:
    """The first of the embedded digits' event version."""
    return Frames(load_digits_events(train), np.arange(count), _steps(options))


def _steps(options: Options) -> int:
    return QUICK_STEPS if options.quick else STEPS


def first_of_each(recordings: Frames) -> Held:
    """One recording of each digit."""
    labels, first = np.unique(recordings.labels, return_index=True)
    frames = np.concatenate([recordings.batch(int(each), int(each) + 1) for each in first], axis=1)
    return Held(frames, labels, f"{recordings.name}, one of each digit")


def published_digits(options: Options, recordings: Frames) -> Held:
    """The ten digits on which the paper compared the first layers; without them one recording of each digit.

    Raises BadData for a file that is something else.
    """
    folder = find_data(options.data_dir)
    if folder is None or not (folder / "NIR-paper").is_dir():
        return first_of_each(recordings)
    digits = _digits(folder / "NIR-paper" / "cnn_numbers.npz")
    steps = QUICK_STEPS if options.quick else len(digits)
    return Held(digits[:steps].astype(np.float32), np.arange(10), "cnn_numbers", comparable=not options.quick)


def _digits(path: Path) -> Array:
    try:
        with np.load(path, allow_pickle=False) as archive:
            digits: Array = archive["cnn_numbers"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BadData(f"{str(path)!r} is missing or no npz with cnn_numbers; copy it again") from error
    if digits.ndim != 5 or digits.shape[1:] != (10, 2, 34, 34):
        raise BadData(f"{str(path)!r} holds frames {digits.shape}, not (T, 10, 2, 34, 34); copy it again")
    return digits


def letters(options: Options) -> Held | None:
    """The Braille letters, None where there is no folder of them: they are not embedded.

    Raises BadData for a file that is something else.
    """
    folder = find_data(options.data_dir)
    if folder is None or not (folder / "Braille").is_dir():
        return None
    found = load_braille(folder)
    chosen = evenly(len(found), QUICK_LETTERS if options.quick else len(found))
    return Held(np.ascontiguousarray(found.spikes[:, chosen]), found.labels[chosen], found.name)
