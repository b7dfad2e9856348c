"""What the probes are fed: waveforms of unit size, axes (T, B, n), which a probe scales to its neuron."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Waveform = Callable[[np.random.Generator, int, int, int], Values]


def impulse(_rng: np.random.Generator, steps: int, batch: int, size: int) -> Values:
    """One step of input, a few steps of silence after the start."""
    x = np.zeros((steps, batch, size))
    x[2] = 1
    return x


def constant(_rng: np.random.Generator, steps: int, batch: int, size: int) -> Values:
    """The same input at every step."""
    return np.ones((steps, batch, size))


def noise(rng: np.random.Generator, steps: int, batch: int, size: int) -> Values:
    """Positive input at about every other step."""
    return np.asarray(rng.uniform(0.2, 1.0, (steps, batch, size)) * (rng.random((steps, batch, size)) < 0.5))


def step(_rng: np.random.Generator, steps: int, batch: int, size: int) -> Values:
    """Silence, strong drive, silence."""
    x = np.zeros((steps, batch, size))
    x[steps // 6 : steps // 2] = 1
    return x


def swing(rng: np.random.Generator, steps: int, batch: int, size: int) -> Values:
    """Strong negative drive, then positive drive of random strength."""
    x = rng.uniform(0.5, 1.0, (steps, batch, size))
    x[: steps // 3] = -1
    return x


def random(rng: np.random.Generator, steps: int, batch: int, size: int) -> Values:
    """Gaussian input with a positive mean."""
    return rng.normal(0.4, 1.0, (steps, batch, size))


def silence(_rng: np.random.Generator, steps: int, batch: int, size: int) -> Values:
    """Nothing."""
    return np.zeros((steps, batch, size))
