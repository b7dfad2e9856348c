"""What the networks are fed: N-MNIST as frames of 1 ms, ten published digits, Braille letters; a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.datasets import find_data, load_braille, load_digits_events, load_nmnist
from nir_interop.datasets.samples import Recordings
from nir_interop.errors import BadData
from nir_interop.stimuli.frames import recordings_to_frames
from nir_interop_studies.common import Options
from nir_interop_studies.nir_paper.paper import CNN_SAMPLES

Array = NDArray[Any]

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
    """Samples that are in memory, axes (T, N, \\*shape)."""

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


def test_recordings(options: Options) -> Frames:
    """The test recordings there are: N-MNIST's, else the embedded digits' event version.

    Raises BadData for a data folder without N-MNIST.
    """
    folder = find_data(options.data_dir)
    if folder is None:
        found = load_digits_events(False)
        count = min(EMBEDDED_RECORDINGS, len(found))
    else:
        found = load_nmnist(False, folder)
        count = len(found)
    chosen = np.arange(count)
    if options.quick:
        # Recordings are ordered by digit: take them evenly.
        chosen = np.unique(np.linspace(0, count - 1, QUICK_RECORDINGS).astype(int))
    return Frames(found, chosen, QUICK_STEPS if options.quick else STEPS)


def embedded(train: bool, options: Options, count: int) -> Frames:
    """The first of the embedded digits' event version."""
    return Frames(load_digits_events(train), np.arange(count), QUICK_STEPS if options.quick else STEPS)


def first_of_each(recordings: Frames) -> Held:
    """One recording of each digit."""
    labels = recordings.labels
    first = [int(np.flatnonzero(labels == digit)[0]) for digit in sorted({*labels.tolist()})]
    frames = np.concatenate([recordings.batch(each, each + 1) for each in first], axis=1)
    return Held(frames, labels[first], f"{recordings.name}, one of each digit")


def published_digits(options: Options, recordings: Frames) -> Held:
    """The ten digits on which the paper compared the first layers; without them one recording of each digit.

    Raises BadData for a file that is something else.
    """
    folder = find_data(options.data_dir)
    path = None if folder is None else folder / "NIR-paper" / "cnn_numbers.npz"
    if path is None or not path.parent.is_dir():
        return first_of_each(recordings)
    digits = _digits(path)
    steps = QUICK_STEPS if options.quick else len(digits)
    return Held(digits[:steps].astype(np.float32), np.arange(10), "cnn_numbers", comparable=not options.quick)


def letters(options: Options) -> Held | None:
    """The Braille letters, None where there is no folder of them: they are not embedded.

    Raises BadData for a file that is something else.
    """
    folder = find_data(options.data_dir)
    if folder is None or not (folder / "Braille").is_dir():
        return None
    found = load_braille(folder)
    count = QUICK_LETTERS if options.quick else len(found)
    chosen = np.unique(np.linspace(0, len(found) - 1, count).astype(int))
    return Held(np.ascontiguousarray(found.spikes[:, chosen]), found.labels[chosen], found.name)


def _digits(path: Path) -> Array:
    try:
        with np.load(path, allow_pickle=False) as archive:
            digits: Array = archive["cnn_numbers"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BadData(f"{str(path)!r} is missing or no npz with cnn_numbers; copy it again") from error
    if digits.ndim != 5 or digits.shape[1:] != (10, 2, 34, 34):
        raise BadData(f"{str(path)!r} holds frames {digits.shape}, not (T, 10, 2, 34, 34); copy it again")
    return digits
