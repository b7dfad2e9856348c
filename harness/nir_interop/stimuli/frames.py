"""Event recordings as frames, through tonic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.datasets import Recordings
from nir_interop.errors import BadStimulus

Array = NDArray[Any]


def events_to_frames(
    events: Array, sensor_size: tuple[int, int, int], *, time_window: int | None = None, steps: int | None = None
) -> NDArray[np.float32]:
    """Event counts per step, axes (T, 1, polarities, height, width), through :class:`tonic.transforms.ToFrame`.

    events : structured array with x, y, t [µs], p, sorted by time
    sensor_size : width, height, polarities
    time_window : length of a step [µs], from the first event on; an incomplete last step is left out unless it is the only one
    steps : instead, the number of equal steps between the first and the last event

    Raises BadStimulus unless exactly one of the two is given, and for events that do not fit the sensor.
    """
    from tonic.transforms import ToFrame

    if (time_window is None) == (steps is None):
        raise BadStimulus("say how events become steps: with either time_window [µs] or steps")
    if (time_window if steps is None else steps) < 1:  # type: ignore[operator]
        raise BadStimulus(f"events need steps of positive length and number, not time_window={time_window}, steps={steps}")
    _check_events(events, sensor_size)
    frames: Array = ToFrame(sensor_size=sensor_size, time_window=time_window, n_time_bins=steps)(events)
    return frames.astype(np.float32)[:, None]


def recordings_to_frames(
    recordings: Recordings, indices: Iterable[int], *, time_window: int, steps: int
) -> NDArray[np.float32]:
    """Several recordings as one batch, axes (steps, B, polarities, height, width).

    Each starts at its first event and is cut after ``steps`` steps of ``time_window`` µs, or followed by silence.

    Raises BadStimulus for no recordings or no steps, BadData for one that cannot be read.
    """
    chosen = list(indices)
    if not chosen or steps < 1:
        raise BadStimulus(f"a stimulus needs at least one step and one sample, not {steps} steps and {len(chosen)} samples")
    width, height, polarities = recordings.sensor_size
    batch = np.zeros((steps, len(chosen), polarities, height, width), dtype=np.float32)
    for place, index in enumerate(chosen):
        frames = events_to_frames(recordings[index], recordings.sensor_size, time_window=time_window)[:steps]
        batch[: len(frames), place] = frames[:, 0]
    return batch


def _check_events(events: Array, sensor_size: tuple[int, int, int]) -> None:
    missing = sorted({"x", "y", "t", "p"} - set(events.dtype.names or ()))
    if missing:
        raise BadStimulus(f"events are a structured array with x, y, t and p; missing: {', '.join(missing)}")
    if not len(events):
        raise BadStimulus("the recording holds no event")
    for axis, extent in zip("xyp", sensor_size, strict=True):
        low, high = int(events[axis].min()), int(events[axis].max())
        if low < 0 or high >= extent:
            raise BadStimulus(f"events have {axis} from {low} to {high}, outside the sensor's 0 to {extent - 1}")
    if np.any(np.diff(events["t"]) < 0):
        raise BadStimulus("events go back in time; sort them by t first")
