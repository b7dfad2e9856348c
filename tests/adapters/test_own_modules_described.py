"""What is said of a user's module computes what the module computes: NIR's step in NumPy against the library."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nir_interop.backends.adapter import load_adapter
from tests.adapters.own_steps import computed
from tests.transfer.own_networks import NAMES, network, seen

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

CASES = [(library, name) for library, names in NAMES.items() for name in names]


@pytest.mark.parametrize(("library", "name"), CASES)
def test_the_description_of_a_network_computes_what_the_network_does(library: str, name: str) -> None:
    own = network(library, name)
    torch.manual_seed(3)
    # In double precision no comparison is close; snnTorch's spikes are in single precision whatever goes in.
    kind = torch.float32 if library == "snntorch" else torch.float64
    module = own.make().to(kind)
    with torch.no_grad():
        for weights in module.parameters():
            if weights.ndim > 1:
                weights *= 8
    x = seen(own, 6)[0].to(kind)
    adapter = load_adapter(library)
    described = adapter.describe(module, x[0].numpy(), own.dt)
    with torch.no_grad():
        expected = own.by_hand(module, x).numpy()
    values = computed(described, x.numpy())
    assert expected.any()
    np.testing.assert_array_equal(values["output"], expected)
    recording = adapter.record(module, x.numpy())
    for layer, spikes in recording.spikes.items():
        assert spikes.any(), layer
        np.testing.assert_array_equal(values[layer], spikes, err_msg=layer)
