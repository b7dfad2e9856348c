r"""The embedded digits as an event camera would see them, moved along the three saccades of N-MNIST.

The digit, 28 × 28 pixels wide, moves over a sensor of 34 × 34 pixels along the sides of a triangle, 100 ms a side, as the
camera of Orchard et al. (2015) did.  Each pixel remembers a log intensity and answers with an event of polarity 1 (0)
whenever the present one has risen (fallen) by the contrast threshold :math:`C`,

.. math:: L = \log(I_0 + I), \quad |L(t) - L_\mathrm{ref}| \ge C, \quad L_\mathrm{ref} \leftarrow L_\mathrm{ref} \pm C

with the time of the crossing interpolated linearly between frames 1 ms apart (Rebecq et al., *ESIM*, CoRL 2018).
No noise, no refractory time: the same digit gives the same events.

Source: Orchard, Jayawant, Cohen, Thakor, Front. Neurosci. 9:437, 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.datasets.digits import load_digits_images
from nir_interop.datasets.samples import EVENT, Recordings

Array = NDArray[Any]

SENSOR_SIZE = (34, 34, 2)
"""Width, height, polarities: N-MNIST's."""

SACCADE = 100_000
"""Length of a saccade [µs]."""

THRESHOLD = 0.45
"""Contrast threshold C; chosen so that a digit gives about as many events as an N-MNIST one (3,856 on average)."""

_DIGIT = 28
_FRAME = 1_000
_BACKGROUND = 0.1

# Up on every other pixel, down on those between, so that neither polarity is favoured.
_CHECKERBOARD = 1.0 - 2 * (np.indices(SENSOR_SIZE[1::-1]).sum(axis=0) % 2)

# Corners of the path: the digit's top left corner on the sensor, x and y, in pixels; 34 − 28 = 6 to each side.
_CORNERS = np.array([[0.0, 0.0], [3.0, 6.0], [6.0, 0.0], [0.0, 0.0]])


def load_digits_events(train: bool) -> Recordings:
    """The embedded digits as events, split as :func:`~nir_interop.datasets.digits.load_digits_images` splits them."""
    digits = load_digits_images(train)
    return Recordings(lambda index: digit_events(digits.images[index]), digits.labels, SENSOR_SIZE, "digits-events")


def digit_events(image: Array, threshold: float = THRESHOLD) -> Array:
    """The events of one image, intensities 0–1, square: dtype :data:`~nir_interop.datasets.samples.EVENT`, sorted by time."""
    times, levels = _log_intensity(np.asarray(image, dtype=np.float64))
    # A pixel's memory starts off its level by half a threshold: whatever leaves a pixel and comes back, the background
    # above all, would else end a whole number of thresholds away, where rounding decides about the last event.
    reference = levels[0] + threshold / 2 * _CHECKERBOARD
    found: list[Array] = []
    for before, after, start in zip(levels[:-1], levels[1:], times[:-1], strict=True):
        steps = np.trunc((after - reference) / threshold)
        for nth in range(1, int(np.abs(steps).max(initial=0)) + 1):
            y, x = np.nonzero(np.abs(steps) >= nth)
            rising = steps[y, x] > 0
            crossed = reference[y, x] + np.where(rising, nth, -nth) * threshold
            share = (crossed - before[y, x]) / (after[y, x] - before[y, x])
            events = np.empty(len(x), dtype=EVENT)
            events["x"], events["y"], events["p"] = x, y, rising
            events["t"] = start + np.ceil(np.clip(share, 0, 1) * _FRAME)
            found.append(events)
        reference += steps * threshold
    events = np.concatenate(found) if found else np.empty(0, dtype=EVENT)
    return events[np.lexsort((events["p"], events["x"], events["y"], events["t"]))]


def _log_intensity(image: Array) -> tuple[Array, Array]:
    """Times [µs] and log intensities (frames, height, width) along the path."""
    times = np.arange(0, 3 * SACCADE + _FRAME, _FRAME)
    corner_times = np.arange(4) * SACCADE
    columns, rows = (
        _shares(np.interp(times, corner_times, _CORNERS[:, axis]), SENSOR_SIZE[axis], len(image)) for axis in (0, 1)
    )
    seen = rows @ image @ columns.transpose(0, 2, 1)
    return times, np.log(_BACKGROUND + seen)


def _shares(offsets: Array, sensor: int, pixels: int) -> Array:
    """Shares (frames, sensor, pixels) of the image's pixels in the sensor's, along one axis; dark beyond the image."""
    positions = (np.arange(sensor) + 0.5 - offsets[:, None]) * pixels / _DIGIT - 0.5
    shares: Array = np.maximum(0, 1 - np.abs(positions[:, :, None] - np.arange(pixels)))
    return shares
