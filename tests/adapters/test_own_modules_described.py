"""What is said of a user's module computes what the module computes: NIR's step in NumPy against the library."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nir_interop.backends.adapter import load_adapter
from tests.adapters.own_steps import computed
from tests.transfer.own_networks import NAMES, network, seen

with warnings.catch_warnings():
    # Of torch's, while libraries are imported.
    warnings.simplefilter("ignore")
    from tests.adapters.own_layers_by_hand import CASES as LAYERS

DT = {"snntorch": 1e-4, "norse": 1e-3, "spikingjelly": 1e-4}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

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


@pytest.mark.parametrize(
    ("library", "name", "make", "by_hand", "shape"), [pytest.param(*case, id=f"{case[0]}: {case[1]}") for case in LAYERS]
)
def test_the_description_of_a_layer_or_a_wiring_computes_what_it_does(
    library: str, name: str, make: Any, by_hand: Any, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(5)
    kind = torch.float32 if library == "snntorch" else torch.float64
    module = make().to(kind)
    for each in module.modules():
        if isinstance(each, (nn.BatchNorm1d, nn.BatchNorm2d)):
            each.running_mean, each.running_var = torch.rand_like(each.running_mean), 0.5 + torch.rand_like(each.running_var)
    x = (torch.rand(30, 4, *shape) < 0.4).to(kind)
    adapter = load_adapter(library)
    recording = adapter.record(module, x.numpy())
    described = adapter.describe(module, x[0].numpy(), DT[library])
    module.eval()
    with torch.no_grad():
        expected = by_hand(module, x).numpy()
    assert expected.any() and (expected != expected[:, :1]).any()
    np.testing.assert_array_equal(recording.outputs["output"], expected)
    values = computed(described, x.numpy())
    near = np.testing.assert_array_equal if np.isin(expected, (0, 1)).all() else np.testing.assert_allclose
    near(values["output"], expected, **({} if near is np.testing.assert_array_equal else {"rtol": 1e-4, "atol": 1e-5}))
    for each, spikes in recording.spikes.items():
        np.testing.assert_array_equal(values[each], spikes, err_msg=each)
