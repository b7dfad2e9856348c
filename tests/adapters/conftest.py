"""Fixtures of the adapter tests."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nir_interop.backends.adapter import Adapter, load_adapter
from nir_interop.learning import Samples
from tests.known import CORE

NAMES = CORE


@pytest.fixture(params=NAMES)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    """Each of the three, ready to work."""
    found = load_adapter(request.param)
    found.prepare()
    return found


@pytest.fixture(scope="session")
def digits() -> Samples:
    """256 rate-coded digits of 10 steps."""
    data = load_digits()
    images = data.images[:256].reshape(256, 64) / 16
    spikes = np.random.default_rng(0).random((10, *images.shape)) < images
    return Samples(spikes.astype(np.uint8), data.target[:256].astype(np.int64))
