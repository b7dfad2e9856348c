"""The exact neurons in a graph: what one hands to the next, and what a cycle does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from nir_interop.compare import assert_same_spikes
from nir_interop.graphs import Graph, Node, inline
from nir_interop.reference import exact_simulator, simulate
from nir_interop.reference.exact import exact_neuron
from tests import strategies
from tests.reference.exact_neurons import DT, KINDS, random_node
from tests.strategies import chain, node

SIZE = 4


def with_feedback(graph: Graph, feedback: Node) -> Graph:
    """The feedback goes from the node before the Output to the node behind the Input."""
    (last,), (first,) = graph.into("output"), graph.out_of("input")
    return Graph({**graph.nodes, "feedback": feedback}, (*graph.edges, (last, "feedback"), ("feedback", first)))


def affine(rng: np.random.Generator) -> Node:
    return node("Affine", weight=rng.normal(0, 1.5, (SIZE, SIZE)), bias=rng.normal(0, 0.5, SIZE))


def drive(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(2.0, 4.0, (30, 3, SIZE))


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_of_one_neuron_records_what_the_neuron_does(kind: str) -> None:
    rng = np.random.default_rng(0)
    neurons, x = random_node(kind, rng, (SIZE,)), drive(rng)
    recording, _ = exact_simulator(chain(neurons, size=SIZE), DT).run(x)
    neuron = exact_neuron(neurons, (SIZE,), DT)
    outputs, membranes, _ = neuron.sequence(x, neuron.start(3))
    assert_same_spikes(recording.outputs["output"], outputs)
    assert np.array_equal(recording.membranes["n0"], membranes)
    assert outputs.any()


def test_the_next_node_gets_the_count_of_a_steps_spikes_in_the_same_step() -> None:
    rng = np.random.default_rng(1)
    graph, x = chain(random_node("IF", rng, (SIZE,)), node("I", r=np.full(SIZE, 2.0)), size=SIZE), 10 * drive(rng)
    recording, _ = exact_simulator(graph, DT).run(x)
    counts = recording.spikes["n0"].astype(np.float64)
    assert counts.max() > 1
    assert np.allclose(recording.membranes["n1"], 2.0 * DT * np.cumsum(counts, axis=0), rtol=1e-12, atol=0)


def test_a_perfect_integrator_is_the_same_in_steps_and_in_continuous_time() -> None:
    rng = np.random.default_rng(2)
    graph, x = chain(affine(rng), random_node("I", rng, (SIZE,)), size=SIZE), drive(rng)
    recording, _ = exact_simulator(graph, DT).run(x)
    assert np.allclose(recording.output, simulate(graph, x, DT).output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
def test_a_cycle_gives_back_what_was_spiked_one_step_before(kind: str) -> None:
    rng = np.random.default_rng(3)
    neurons, feedback, x = random_node(kind, rng, (SIZE,)), affine(rng), drive(rng)
    recording, _ = exact_simulator(with_feedback(chain(neurons, size=SIZE), feedback), DT).run(x)
    neuron = exact_neuron(neurons, (SIZE,), DT)
    state, counts = neuron.start(3), np.zeros((1, 3, SIZE))
    for step in range(len(x)):
        back = counts @ feedback["weight"].T + feedback["bias"]
        counts, _, state = neuron.sequence(x[step : step + 1] + back, state)
        assert np.array_equal(recording.outputs["output"][step], counts[0])
    assert recording.output.mean() > 0.05


@given(graph=strategies.graphs())
@settings(deadline=None, max_examples=10)
def test_whatever_the_graph_parts_samples_and_nesting_make_no_difference(graph: Graph) -> None:
    simulator, x = exact_simulator(graph, strategies.DT), strategies.stimulus(0, steps=15)
    whole = simulator.run(x)[0].output
    first, memory = simulator.run(x[:6])
    second, _ = simulator.run(x[6:], memory)
    alone = [simulator.run(x[:, sample : sample + 1])[0].output for sample in range(x.shape[1])]
    flat = exact_simulator(inline(graph), strategies.DT).run(x)[0].output
    for other in (np.concatenate([first.output, second.output]), np.concatenate(alone, axis=1), flat):
        np.testing.assert_allclose(other, whole, rtol=1e-9, atol=1e-9)
