"""A user's module is run as its library's users run it, and is as it was afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.backends.adapter import load_adapter
from tests.transfer.own_networks import NAMES, network, seen

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CASES = [(library, name) for library, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("library", "name"), CASES)
def test_a_recording_is_what_the_library_gives_by_hand(library: str, name: str) -> None:
    own = network(library, name)
    module = own.trained()
    x, _ = seen(own, 5)
    expected = own.output(x)
    recording = load_adapter(library).record(module, x.numpy())
    np.testing.assert_array_equal(recording.outputs["output"], expected)
    assert expected.any()
