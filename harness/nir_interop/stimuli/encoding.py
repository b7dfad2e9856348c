"""Numbers over time: seeded spike trains and encoded images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadStimulus, UnknownName

Array = NDArray[Any]

ENCODINGS = ("direct", "latency", "rate")

# A seed's streams, so that no two uses of one seed draw the same numbers; the catalogue's weights use others.
RANDOM_STREAM, TEST_STREAM, TRAIN_STREAM = 101, 102, 103


def bernoulli(shape: tuple[int, ...], steps: int, batch: int, rate: float, seed: int) -> NDArray[np.float32]:
    """Independent spikes of probability ``rate`` per step: zeros and ones, axes (steps, batch, \\*shape).

    Raises BadStimulus for a rate outside 0–1, no steps or no samples.
    """
    if not 0 <= rate <= 1:
        raise BadStimulus(f"a spike probability of {rate} is not within 0 to 1")
    _check_extent(steps, batch)
    probabilities = np.full((batch, *shape), rate, dtype=np.float32)
    return _rate(probabilities, steps, np.random.default_rng([seed, RANDOM_STREAM]))


def encode(images: Array, encoding: str, steps: int, seed: int, stream: int = TEST_STREAM) -> NDArray[np.float32]:
    r"""Images of intensity 0–1, axes (N, \*shape), over time: (steps, N, \*shape).

    ``rate`` : each step spikes with the probability of the intensity, independently
    ``latency`` : one spike, at step :math:`\mathrm{round}((1 - \text{intensity})(T - 1))`; intensity 0 never spikes
    ``direct`` : the intensity itself, at every step

    stream : of the seed; another stream draws other spikes

    Raises UnknownName for another encoding, BadStimulus for intensities outside 0–1, no steps or no images.
    """
    intensities = np.asarray(images, dtype=np.float32)
    _check_extent(steps, len(intensities))
    if not np.all((intensities >= 0) & (intensities <= 1)):
        raise BadStimulus("image intensities must lie within 0 to 1; divide by the largest value first")
    if encoding == "rate":
        return _rate(intensities, steps, np.random.default_rng([seed, stream]))
    if encoding == "latency":
        return _latency(intensities, steps)
    if encoding == "direct":
        return np.repeat(intensities[None], steps, axis=0)
    raise UnknownName(f"no encoding {encoding!r}; there are {', '.join(ENCODINGS)}")


def _check_extent(steps: int, batch: int) -> None:
    if steps < 1 or batch < 1:
        raise BadStimulus(f"a stimulus needs at least one step and one sample, not {steps} steps and {batch} samples")


def _rate(probabilities: NDArray[np.float32], steps: int, generator: np.random.Generator) -> NDArray[np.float32]:
    spikes = np.empty((steps, *probabilities.shape), dtype=np.float32)
    for step in spikes:  # One at a time: the draws of all steps together would double the memory.
        step[...] = generator.random(probabilities.shape, dtype=np.float32) < probabilities
    return spikes


def _latency(intensities: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    spikes = np.zeros((steps, *intensities.shape), dtype=np.float32)
    lit = np.nonzero(intensities)
    when = np.rint((1 - intensities[lit]) * (steps - 1)).astype(np.int64)
    spikes[(when, *lit)] = 1
    return spikes
