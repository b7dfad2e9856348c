"""Training settings, reading a class from an output, accuracy with its interval.

Needs numpy alone: adapters use it in their library's own environment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.vocabulary import Readout

Array = NDArray[Any]


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained; the surrogate gradient and the loop are the library's own idiom.

    epochs, batch : passes over the samples, samples a batch
    learning_rate : of Adam
    surrogate_slope : steepness of the surrogate gradient, in the library's own unit
    seed : of the weights' initial values' order of use: batches are shuffled with it
    """

    epochs: int
    batch: int = 64
    learning_rate: float = 1e-3
    surrogate_slope: float | None = None
    seed: int = 0

    def batches(self, samples: int, epoch: int) -> list[NDArray[np.int64]]:
        """Shuffled sample numbers of one epoch, batch by batch; depends on seed and epoch only."""
        order = np.random.default_rng([self.seed, epoch]).permutation(samples)
        return [order[i : i + self.batch] for i in range(0, samples, self.batch)]


@dataclass(frozen=True)
class Surrogate:
    """A surrogate gradient in a library's own words.

    name : a function of ``snntorch.surrogate``, a method of Norse's ``threshold``, a class of SpikingJelly's ``surrogate``
    slope : its one argument; how steep it is, in the library's own unit
    """

    name: str
    slope: float


@dataclass(frozen=True)
class Samples:
    """Encoded samples: ``inputs`` with axes (T, N, \\*shape), ``labels`` with axes (N,)."""

    inputs: Array
    labels: NDArray[np.int64]

    @property
    def steps(self) -> int:
        """T."""
        return len(self.inputs)

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, chosen: NDArray[np.int64]) -> Array:
        """Some of them, axes (T, B, \\*shape)."""
        return self.inputs[:, chosen]


def classify(output: Array, readout: Readout) -> NDArray[np.int64]:
    """Read a class per sample from an output with axes (T, B, classes); a tie goes to the lower class."""
    score = output.sum(axis=0) if readout is Readout.RATE else output[-1]
    result: NDArray[np.int64] = score.argmax(axis=-1)
    return result


def accuracy(output: Array, labels: NDArray[np.int64], readout: Readout) -> float:
    """Share of samples whose class is right, 0–1."""
    return float((classify(output, readout) == labels).mean())


def wilson_interval(right: int, samples: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927), 95 % by default, 0–1.

    Raises ValueError without samples.
    """
    if samples < 1:
        raise ValueError("an accuracy needs at least one sample")
    share = right / samples
    centre = share + z * z / (2 * samples)
    half = z * math.sqrt(share * (1 - share) / samples + z * z / (4 * samples * samples))
    scale = 1 + z * z / samples
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


@dataclass(frozen=True)
class Share:
    """An accuracy: so many right of so many samples."""

    right: int
    samples: int

    @classmethod
    def of(cls, hits: Any) -> Share:
        """Of an array of truths."""
        return cls(int(np.count_nonzero(hits)), int(np.size(hits)))

    @property
    def value(self) -> float:
        """0–1."""
        return self.right / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, 0–1."""
        return wilson_interval(self.right, self.samples)

    def columns(self, prefix: str) -> dict[str, Any]:
        """``<prefix>``, ``<prefix>_low``, ``<prefix>_high`` of a table that has ``samples``."""
        low, high = self.interval
        return {prefix: self.value, f"{prefix}_low": low, f"{prefix}_high": high}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.2f} % ({100 * low:.2f}–{100 * high:.2f}, n = {self.samples})"
