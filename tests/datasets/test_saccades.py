from __future__ import annotations

import numpy as np
import pytest
from tonic.transforms import ToFrame

from nir_interop.datasets import EVENT, digit_events, load_digits_events, load_digits_images
from nir_interop.datasets.saccades import SACCADE, SENSOR_SIZE


def test_digit_events_are_sorted_events_on_the_sensor_within_three_saccades() -> None:
    events = load_digits_events(train=False)[0]
    assert events.dtype == EVENT
    assert np.all(np.diff(events["t"]) >= 0)
    assert events["t"].min() > 0
    assert events["t"].max() <= 3 * SACCADE
    for axis, extent in zip("xyp", SENSOR_SIZE, strict=True):
        assert 0 <= events[axis].min() <= events[axis].max() < extent


def test_digits_have_about_as_many_events_as_n_mnist_of_both_polarities() -> None:
    # 100 recordings of N-MNIST's test part: 1069 to 6326 events, 3856 on average, 49 % of them brighter.
    recordings = load_digits_events(train=False)
    samples = [recordings[index] for index in range(0, 360, 18)]
    counts = [len(events) for events in samples]
    assert min(counts) > 1000
    assert max(counts) < 6500
    assert 3000 < np.mean(counts) < 4700
    for events in samples:
        assert 0.4 < events["p"].mean() < 0.6


def test_every_saccade_has_its_share_of_events() -> None:
    events = load_digits_events(train=False)[5]
    shares = np.bincount((events["t"] - 1) // SACCADE, minlength=3) / len(events)
    assert shares.min() > 0.2


def test_the_same_digit_gives_the_same_events() -> None:
    image = load_digits_images(train=True).images[7]
    assert np.array_equal(digit_events(image), digit_events(image))


def test_digit_events_go_through_tonics_frames_like_any_recording() -> None:
    events = load_digits_events(train=False)[3]
    frames = ToFrame(sensor_size=SENSOR_SIZE, time_window=1000, include_incomplete=True)(events)
    assert frames.shape[1:] == (2, 34, 34)
    assert 250 <= len(frames) <= 300
    assert frames.sum() == len(events)
    assert np.array_equal(frames.sum((0, 2, 3)), np.bincount(events["p"]))


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_events_come_from_the_edges_of_the_digit(index: int) -> None:
    recordings, image = load_digits_events(train=False), load_digits_images(train=False, size=28).images[index]
    events = recordings[index]
    rate = np.zeros(SENSOR_SIZE[:2])
    np.add.at(rate, (events["y"], events["x"]), 1)
    own, turned = (_smeared_edges(picture) for picture in (image, np.rot90(image)))
    assert np.corrcoef(rate.ravel(), own.ravel())[0, 1] > 0.8
    assert np.corrcoef(rate.ravel(), turned.ravel())[0, 1] < np.corrcoef(rate.ravel(), own.ravel())[0, 1]


def _smeared_edges(image: np.ndarray) -> np.ndarray:
    """Gradient of the log intensity on the sensor, averaged over the 6 pixels that the digit moves each way."""
    edges = np.hypot(*np.gradient(np.log(0.1 + np.pad(image, 3))))
    return np.mean([np.roll(edges, (dy, dx), (0, 1)) for dx in range(-3, 4) for dy in range(-3, 4)], axis=0)


def test_an_image_without_edges_gives_no_event() -> None:
    assert len(digit_events(np.zeros((8, 8)))) == 0


def test_a_higher_contrast_threshold_gives_fewer_events() -> None:
    image = load_digits_images(train=False).images[0]
    counts = [len(digit_events(image, threshold)) for threshold in (0.3, 0.5, 1.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[2] < counts[0] / 2


def test_crossings_are_timed_within_a_frame_and_in_order() -> None:
    events = digit_events(load_digits_images(train=False).images[0])
    assert len(np.unique(events["t"] % 1000)) > 500
    pixels = events[["x", "y", "t"]]
    assert len(np.unique(pixels)) > 0.99 * len(pixels)  # A pixel's crossings come one after the other.


def test_recordings_end_with_an_index_error() -> None:
    recordings = load_digits_events(train=False)
    assert len(recordings) == 360
    assert np.array_equal(recordings[-1], recordings[359])
    with pytest.raises(IndexError, match="360 recordings"):
        recordings[360]


def test_no_event_hangs_on_rounding() -> None:
    # Levels that differ by rounding alone give the same events: nothing ends exactly on a threshold.
    image = load_digits_images(train=False).images[0].astype(np.float64)
    events, nudged = digit_events(image), digit_events(image * (1 + 1e-12))
    assert np.array_equal(events[["x", "y", "p"]], nudged[["x", "y", "p"]])
    assert np.abs(events["t"] - nudged["t"]).max() <= 1
