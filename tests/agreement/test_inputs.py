"""The inputs made for a graph: each kind is what it says, and every layer fires on some of them."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.inputs import FEWEST, KINDS, LONGEST, ROOM, SHORTEST, given, inputs_for
from nir_interop.graphs import Graph
from nir_interop.reference import simulate
from tests.strategies import DT, chain, lif, node


def network(theta: float = 1.0, tau: float = 10 * DT, weight: float = 1.0, size: int = 4) -> Graph:
    dense = np.random.default_rng(0).uniform(0.2, 1.0, (size, size)) * weight
    return chain(node("Linear", weight=dense), lif(size, tau=tau, v_threshold=theta), size=size)


def sample(graph: Graph, kind: str) -> np.ndarray:
    found = inputs_for(graph, DT)
    return np.asarray(found.input[:, found.kinds.index(kind)])


def test_each_kind_is_what_it_says() -> None:
    graph = network()
    assert not sample(graph, "silent").any()
    assert sample(graph, "medium")[0].any() and not sample(graph, "medium after an empty step")[0].any()
    assert sample(graph, "sparse from the first step")[0].any() and not sample(graph, "sparse")[0].any()
    assert (sample(graph, "sparse") != 0).mean() < 0.06 < 0.8 < (sample(graph, "dense") != 0).mean()
    assert len(np.unique(sample(graph, "constant"))) == 1
    assert sample(graph, "weak").max() * 16 == sample(graph, "strong").max()
    assert sample(graph, "signed").min() < 0 < sample(graph, "signed").max()
    burst, late = sample(graph, "a burst and silence"), sample(graph, "silence and medium")
    assert burst[:10].any() and not burst[len(burst) // 2 :].any()
    assert not late[:10].any() and late[len(late) // 2 :].any()


@pytest.mark.parametrize("theta", [1e-3, 1.0, 700.0])
def test_a_spike_is_as_large_as_makes_the_layer_fire(theta: float) -> None:
    graph = network(theta)
    found = inputs_for(graph, DT)
    spikes = simulate(graph, found.input, DT).spikes["n1"]
    assert found.quiet == ()
    assert 0.005 < spikes[:, found.kinds.index("medium")].mean() < 0.65
    assert np.log2(found.scale or 0).is_integer()


def test_one_seed_gives_one_set_and_another_seed_another() -> None:
    one, again, other = (inputs_for(network(), DT, seed) for seed in (0, 0, 1))
    assert np.array_equal(one.input, again.input)
    assert not np.array_equal(one.input, other.input)


def test_layers_that_nothing_makes_fire_are_named() -> None:
    found = inputs_for(network(weight=0.0), DT)
    assert found.quiet == ("n1",)


def test_they_are_as_long_as_the_slowest_neuron_makes_worthwhile_and_as_short_as_large_layers_need() -> None:
    assert inputs_for(network(tau=3 * DT), DT).steps == SHORTEST
    assert SHORTEST < inputs_for(network(tau=60 * DT), DT).steps < LONGEST
    assert inputs_for(network(tau=1e4 * DT), DT).steps == LONGEST
    wide = chain(node("Scale", scale=np.ones(ROOM // 2000)), size=ROOM // 2000)
    assert FEWEST <= inputs_for(wide, DT).steps < SHORTEST


def test_an_input_that_was_given_says_so() -> None:
    document = given(np.zeros((7, 2, 4), np.float32)).as_dict()
    assert (document["made"], document["steps"], document["samples"]) == (False, 7, ["given", "given"])
    assert set(inputs_for(network(), DT).as_dict()["samples"]) == set(KINDS)
