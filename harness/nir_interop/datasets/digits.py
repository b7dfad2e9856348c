"""The embedded digits: 1797 real handwritten digits of 8 × 8 pixels, as scikit-learn ships them.

Source: E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998
(its test part; CC BY 4.0), through :func:`sklearn.datasets.load_digits`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.datasets.samples import Images
from nir_interop.errors import BadData

Array = NDArray[Any]

SIZE = 8
"""Pixels along each side of an embedded digit."""

TEST_SAMPLES = 360
"""The last samples of the file are the test split; the others the training split.

The file keeps the order in which digits were collected, writer by writer, so the test digits come for the most part
from hands that the training digits do not: harder than a shuffled split, and closer to what an accuracy should mean.
"""


def load_digits_images(train: bool, size: int = SIZE) -> Images:
    """The 1437 training or the 360 test digits; a size other than 8 resamples them bilinearly.

    Raises BadData for a size below 1.
    """
    from sklearn.datasets import load_digits

    if size < 1:
        raise BadData(f"digits cannot be {size} pixels wide; use a size of 1 or more (8 is their own)")
    pixels, classes = load_digits(return_X_y=True)
    split = slice(None, -TEST_SAMPLES) if train else slice(-TEST_SAMPLES, None)
    images = np.asarray(pixels[split], dtype=np.float64).reshape(-1, SIZE, SIZE) / 16
    return Images(resample(images, size).astype(np.float32), classes[split].astype(np.int64), "digits")


def resample(images: Array, size: int) -> Array:
    """Bilinear interpolation of square images (N, s, s) to (N, size, size), pixel centres on pixel areas.

    Beyond the outermost centres the border pixel goes on.
    """
    old = images.shape[-1]
    if size == old:
        return images
    centres = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    low = centres.astype(np.int64)
    high = np.minimum(low + 1, old - 1)
    share = centres - low
    # Element by element, not as a product of matrices: that rounds as the processor does.
    rows = images[:, low] * (1 - share)[:, None] + images[:, high] * share[:, None]
    resampled: Array = rows[:, :, low] * (1 - share) + rows[:, :, high] * share
    return resampled
