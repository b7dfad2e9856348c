"""Gains that go into weights, and chains: with NumPy alone, against products taken by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.backends.building import chain, folded_arrays, folded_factors, gain_ratio, is_chain
from nir_interop.errors import CannotBuild
from nir_interop.networks import LIF, Affine, Flatten, Network, catalogue

DT = 1e-4


def network(*, free_gain: bool = True, tau: float = 0.01, r: object = 1.0) -> Network:
    rng = np.random.default_rng(3)
    weights = Affine(name="fc1", weight=rng.normal(size=(3, 4)), bias=rng.normal(size=3))
    return Network("one", (4,), (weights, LIF(name="lif1", tau=tau, r=r, v_threshold=1.0)), dt=DT, free_gain=free_gain)


def test_weight_times_gain_stays_what_was_asked_for() -> None:
    r = np.array([1.0, 2.0, 5.0])
    asked, own = network(r=r), 0.01 / np.float64(DT)  # a library whose neuron has a gain of tau / dt
    (neuron,) = asked.neurons()
    factors = folded_factors(asked, {"lif1": gain_ratio(asked, neuron, r=(r, own))})
    arrays = folded_arrays(asked, factors)
    (layer,) = (each for each in asked.layers if isinstance(each, Affine))
    assert arrays["fc1.weight"].dtype == np.float32
    for row in range(3):
        np.testing.assert_allclose(arrays["fc1.weight"][row] * own, layer.weight[row] * r[row], rtol=1e-6)
        np.testing.assert_allclose(arrays["fc1.bias"][row] * own, layer.bias[row] * r[row], rtol=1e-6)


def test_a_network_that_wants_the_values_themselves_gets_no_others() -> None:
    asked = network(free_gain=False)
    with pytest.raises(CannotBuild, match=r"layer 'lif1': r = 1, but the library's neuron has 100"):
        gain_ratio(asked, asked.neurons()[0], r=(1.0, 100.0))


def test_a_chain_gives_its_layers_and_anything_else_says_where_it_is_none() -> None:
    one = network()
    assert [layer.name for layer in chain(one, "nn.Sequential")] == ["fc1", "lif1"]
    other = catalogue("residual").build(0)
    assert not is_chain(other)
    with pytest.raises(CannotBuild, match=r"layer 'skip': nn.Sequential is a chain, where it would be fed by 'lif1'"):
        chain(other, "nn.Sequential")


def test_a_gain_without_weights_before_it_cannot_be_built() -> None:
    bare = Network("bare", (2, 2), (Flatten(name="flat"), LIF(name="lif1", tau=0.01, v_threshold=1.0)), dt=DT, free_gain=True)
    with pytest.raises(CannotBuild, match="has no weights before it"):
        folded_factors(bare, {"lif1": np.full(4, 2.0)})
