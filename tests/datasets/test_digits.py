from __future__ import annotations

import numpy as np
import pytest

from nir_interop.datasets import load_digits_images
from nir_interop.errors import BadData


def test_the_embedded_digits_are_split_into_1437_and_360_with_every_class_in_both() -> None:
    train, test = load_digits_images(train=True), load_digits_images(train=False)
    assert (train.images.shape, test.images.shape) == ((1437, 8, 8), (360, 8, 8))
    for split in (train, test):
        assert split.images.dtype == np.float32
        assert split.labels.dtype == np.int64
        assert (split.images.min(), split.images.max()) == (0, 1)
        assert np.bincount(split.labels).min() >= 0.08 * len(split)


def test_no_digit_is_in_both_splits() -> None:
    train, test = ({image.tobytes() for image in load_digits_images(split).images} for split in (True, False))
    assert not train & test


def test_digits_are_the_same_at_every_call() -> None:
    first, second = load_digits_images(train=False), load_digits_images(train=False)
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(first.labels, second.labels)


def test_upsampled_digits_keep_their_mean_and_their_look() -> None:
    small, large = load_digits_images(train=False), load_digits_images(train=False, size=28)
    assert large.images.shape == (360, 28, 28)
    assert large.images.min() >= 0
    assert large.images.max() <= 1
    np.testing.assert_allclose(large.images.mean((1, 2)), small.images.mean((1, 2)), atol=0.02)
    # An old pixel covers 3.5 new ones, 7 halves: averaged over its own ground, the digit comes back, a little blurred.
    averaged = np.repeat(np.repeat(large.images, 2, axis=1), 2, axis=2).reshape(-1, 8, 7, 8, 7).mean((2, 4))
    for one, other in zip(averaged[:20], small.images[:20], strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95


def test_upsampling_by_bilinear_interpolation_reproduces_a_linear_ramp() -> None:
    from nir_interop.datasets.digits import resample

    ramp = np.broadcast_to(np.arange(8.0), (1, 8, 8))
    resampled = resample(ramp, 16)[0, 5]
    np.testing.assert_allclose(resampled[1:-1], np.arange(1, 15) / 2 - 0.25)
    np.testing.assert_allclose(resampled[[0, -1]], [0, 7])


def test_a_size_without_pixels_is_bad_data() -> None:
    with pytest.raises(BadData, match="0 pixels"):
        load_digits_images(train=True, size=0)
