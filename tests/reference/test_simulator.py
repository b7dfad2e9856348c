"""What must be conserved, whatever the graph; and the meaning of joins, values and stimuli by example."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.compare import assert_same_spikes
from nir_interop.errors import BadStimulus
from nir_interop.graphs import Graph, Node, from_nir, inline
from nir_interop.networks import catalogue, names
from nir_interop.recording import Recording
from nir_interop.reference import Simulator, simulate
from nir_interop.rule import NIR_MEANING, Precision
from tests.strategies import DT, chain, graphs, neuron, node, port, stimulus

seeds = st.integers(0, 2**32 - 1)
thorough = settings(max_examples=60, deadline=None)


def assert_same(actual: Recording, expected: Recording) -> None:
    for section in ("outputs", "spikes"):
        here, there = getattr(actual, section), getattr(expected, section)
        assert here.keys() == there.keys()
        for name in here:
            np.testing.assert_allclose(here[name], there[name], rtol=1e-9, atol=1e-9, err_msg=f"{section} of {name}")


@thorough
@given(graph=graphs(), seed=seeds)
def test_a_nested_graph_computes_what_its_inlined_form_computes(graph: Graph, seed: int) -> None:
    x = stimulus(seed)
    assert_same(simulate(graph, x, DT), simulate(inline(graph), x, DT))


@thorough
@given(graph=graphs(), seed=seeds)
def test_a_batch_computes_what_its_samples_compute_one_by_one(graph: Graph, seed: int) -> None:
    x = stimulus(seed)
    whole = simulate(graph, x, DT)
    for sample in range(x.shape[1]):
        alone = simulate(graph, x[:, sample : sample + 1], DT)
        part = Recording(
            {name: values[:, sample : sample + 1] for name, values in whole.outputs.items()},
            {name: values[:, sample : sample + 1] for name, values in whole.spikes.items()},
        )
        assert_same(alone, part)


@thorough
@given(graph=graphs(), seed=seeds, cut=st.integers(1, 29))
def test_a_sequence_in_two_parts_with_its_state_carried_is_the_whole_sequence(graph: Graph, seed: int, cut: int) -> None:
    x = stimulus(seed)
    simulator = Simulator(graph, DT)
    whole, _ = simulator.run(x)
    head, memory = simulator.run(x[:cut])
    tail, _ = simulator.run(x[cut:], memory)
    joined = Recording(
        {name: np.concatenate([head.outputs[name], tail.outputs[name]]) for name in whole.outputs},
        {name: np.concatenate([head.spikes[name], tail.spikes[name]]) for name in whole.spikes},
    )
    assert_same(joined, whole)


@given(graph=graphs(), seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_memory_can_be_gone_on_from_more_than_once(graph: Graph, seed: int) -> None:
    simulator, x = Simulator(graph, DT), stimulus(seed)
    _, memory = simulator.run(x[:10])
    assert simulator.run(x[10:], memory)[0].digest() == simulator.run(x[10:], memory)[0].digest()


@thorough
@given(graph=graphs(), seed=seeds)
def test_single_precision_agrees_with_double_away_from_the_threshold(graph: Graph, seed: int) -> None:
    x = np.float32(stimulus(seed)).astype(np.float64)
    double = simulate(graph, x, DT)
    if double.margin is not None and double.margin < 1e-3:
        return
    single = simulate(graph, x, DT, NIR_MEANING.but(precision=Precision.FLOAT32))
    for name, spikes in double.spikes.items():
        assert_same_spikes(single.spikes[name], spikes)


@given(graph=graphs(), seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_second_run_starts_from_zero_again(graph: Graph, seed: int) -> None:
    simulator = Simulator(graph, DT)
    x = stimulus(seed)
    assert simulator.run(x)[0].digest() == simulator.run(x)[0].digest()


def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = from_nir(catalogue("conv1d").build(0).to_nir())
    x = np.random.default_rng(0).random((20, 2, 4, 20)) < 0.3
    whole = simulate(graph, np.float64(x), DT)
    monkeypatch.setattr("nir_interop.reference.simulator.BLOCK", 1)
    assert_same(simulate(graph, np.float64(x), DT), whole)


def test_edges_into_one_node_add_up() -> None:
    nodes = {
        "input": port("Input", 2),
        "left": node("Linear", weight=[[1.0, 0.0]]),
        "right": node("Linear", weight=[[0.0, 3.0]]),
        "output": port("Output", 1),
    }
    edges = (("input", "left"), ("input", "right"), ("left", "output"), ("right", "output"))
    assert simulate(Graph(nodes, edges), np.array([[[2.0, 5.0]]]), DT).output.item() == 17.0


def test_values_that_are_no_counts_are_recorded_as_they_are() -> None:
    nodes = {
        "input": port("Input", 2),
        "huge": node("Scale", scale=[2.0**1001] * 2),
        "sum": node("Linear", weight=[[1.0, 1.0]]),
        "output": port("Output", 1),
    }
    graph = Graph(nodes, tuple(itertools.pairwise(nodes)))
    x = np.array([[2.0**30] * 2, [2.0**30, -(2.0**30)], [2.0**-990, 0.0], [-(2.0**-1000), 0.0]])[:, None]
    np.testing.assert_array_equal(simulate(graph, x, DT).output.ravel(), [np.inf, np.nan, 2.0**11, -2.0])


def test_a_padding_in_words_is_a_padding_in_numbers() -> None:
    rng = np.random.default_rng(0)
    conv = node("Conv1d", weight=rng.normal(size=(2, 2, 3)), bias=rng.normal(size=2), stride=1, groups=1, dilation=2, padding=2)
    worded = Node("Conv1d", {**conv.params, "padding": "same"})
    ends = {"input": node("Input", shape=[2, 9]), "output": node("Output", shape=[2, 9])}
    edges = (("input", "conv"), ("conv", "output"))
    x = rng.normal(size=(2, 3, 2, 9))
    assert_same(simulate(Graph({**ends, "conv": worded}, edges), x, DT), simulate(Graph({**ends, "conv": conv}, edges), x, DT))


def test_two_outputs_are_both_recorded() -> None:
    nodes = {"input": port("Input", 1), "twice": node("Scale", scale=[2.0]), "a": port("Output", 1), "b": port("Output", 1)}
    graph = Graph(nodes, (("input", "a"), ("input", "twice"), ("twice", "b")))
    assert simulate(graph, np.array([[[3.0]]]), DT).output.ravel().tolist() == [3.0, 6.0]


def test_a_delay_off_the_grid_is_flagged() -> None:
    graph = chain(node("Delay", delay=[1.5 * DT]), size=1)
    with pytest.warns(UserWarning, match="no whole number of steps"):
        Simulator(graph, DT)


def test_a_stimulus_that_does_not_fit_is_refused() -> None:
    graph = chain(neuron("LIF", 2, np.random.default_rng(0)), size=2)
    with pytest.raises(BadStimulus, match="the graph takes"):
        simulate(graph, np.zeros((5, 1, 3)), DT)


@pytest.mark.parametrize("name", ["mlp_subtract"])
def test_a_soft_reset_written_as_a_composition_is_subtraction(name: str) -> None:
    from nir_interop.rule import ResetKind
    from nir_interop.vocabulary import Reset

    soft = catalogue(name).build(0)
    assert soft.reset is Reset.SUBTRACT
    from dataclasses import replace

    hard = from_nir(replace(soft, reset=Reset.VALUE).to_nir())
    x = np.float64(np.random.default_rng(0).random((100, 4, 20)) < 0.3)
    composed = simulate(from_nir(soft.to_nir()), x, DT)
    subtracted = simulate(hard, x, DT, NIR_MEANING.but(reset=ResetKind.SUBTRACT))
    assert composed.spikes["lif1"].sum() > 100
    for layer in ("lif1", "lif2"):
        assert_same_spikes(composed.spikes[layer], subtracted.spikes[layer])


def test_every_expressible_network_of_the_catalogue_runs() -> None:
    for name in sorted(set(names()) - {"csnn_maxpool"}):
        network = catalogue(name).build(0)
        recording = simulate(from_nir(network.to_nir()), np.ones((2, 1, *network.input_shape)), network.dt)
        assert recording.output.shape[:2] == (2, 1)
