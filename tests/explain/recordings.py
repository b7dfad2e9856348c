"""When two recordings of one graph say the same."""

from __future__ import annotations

import numpy as np

from nir_interop.compare import assert_same_spikes
from nir_interop.recording import Recording


def assert_same(actual: Recording, expected: Recording) -> None:
    """Spikes are equal, values and membranes but for rounding."""
    assert list(actual.outputs) == list(expected.outputs)
    assert list(actual.spikes) == list(expected.spikes)
    assert list(actual.membranes) == list(expected.membranes)
    for name, spikes in expected.spikes.items():
        assert_same_spikes(actual.spikes[name], spikes, node=name)
    for name, values in expected.outputs.items():
        np.testing.assert_allclose(actual.outputs[name], values, rtol=1e-9, atol=1e-9, err_msg=f"output {name}")
    for name, values in expected.membranes.items():
        np.testing.assert_allclose(actual.membranes[name], values, rtol=1e-8, atol=1e-8, err_msg=f"membrane of {name}")
