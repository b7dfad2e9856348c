"""Cycles that nothing outside feeds: what drives them takes the place of what feeds a cycle, and names decide nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.graphs import Graph, Node
from nir_interop.reference import Simulator, simulate
from tests.strategies import DT, lif, node, port

TAU = 2e-3
STEPS = 120


def beside(nodes: dict[str, Node], edges: list[tuple[str, str]], read: str, size: int) -> Graph:
    """A cycle beside an Input that feeds an Output of its own."""
    ends = {"input": port("Input", 1), "plain": port("Output", 1), "output": port("Output", size)}
    return Graph({**ends, **nodes}, (*edges, (read, "output"), ("input", "plain")))


def outcome(graph: Graph, steps: int = STEPS) -> np.ndarray:
    return np.asarray(simulate(graph, np.zeros((steps, 1, 1)), DT).outputs["output"][:, 0])


def test_what_comes_back_to_the_weights_whose_bias_drives_the_cycle_comes_a_step_late() -> None:
    rng = np.random.default_rng(0)
    drive, bias, back = rng.normal(0, 0.5, (3, 2)), np.array([1.0, 1.4, 0.7]), rng.normal(0, 1, (2, 3))
    weights = {"drive": node("Affine", weight=drive, bias=bias), "back": node("Linear", weight=back)}
    nodes = {**weights, "cell": lif(3, v_threshold=0.3)}
    found = outcome(beside(nodes, [("drive", "cell"), ("cell", "back"), ("back", "drive")], "cell", 3))
    v, heard, spikes = np.zeros(3), np.zeros(2), []
    for _ in range(STEPS):
        v = v + DT / TAU * (drive @ heard + bias - v)
        spikes.append(v > 0.3)
        v = np.where(v > 0.3, 0, v)
        heard = back @ spikes[-1]
    np.testing.assert_array_equal(found, spikes)
    assert np.sum(spikes) > 20


def test_of_two_nodes_that_drive_it_both_hear_the_step_before() -> None:
    """Had one of the two edges not to wait, one node would hear the other in the same step."""
    rng = np.random.default_rng(1)
    weight, bias, leak = rng.normal(0, 0.6, (2, 2)), np.array([0.5, -1.0]), np.array([0.3, 0.8])
    nodes = {
        "a": node("Affine", weight=weight, bias=bias),
        "b": node("LI", tau=np.full(2, TAU), r=np.ones(2), v_leak=leak),
    }
    found = outcome(beside(nodes, [("a", "b"), ("b", "a")], "a", 2))
    v, given, meant = np.zeros(2), bias, []  # before the first step, the weights answer their bias to silence
    for _ in range(STEPS):
        meant.append(weight @ v + bias)
        v = v + DT / TAU * (leak - v + given)
        given = meant[-1]
    np.testing.assert_allclose(found, meant, rtol=1e-12)


def test_a_threshold_below_zero_drives_a_cycle() -> None:
    cell = lif(1, v_threshold=-0.5, v_reset=-1.0)
    nodes = {"cell": cell, "back": node("Linear", weight=np.array([[-0.5]]))}
    found = outcome(beside(nodes, [("cell", "back"), ("back", "cell")], "cell", 1))
    v, last, spikes = 0.0, 0.0, []
    for _ in range(STEPS):
        v = v + DT / TAU * (-0.5 * last - v)
        last = float(v > -0.5)
        spikes.append([last])
        v = -1.0 if last else v
    np.testing.assert_array_equal(found, spikes)
    assert 0 < np.sum(spikes) < STEPS


def test_a_cycle_without_constants_is_silent() -> None:
    nodes = {"cell": lif(2), "back": node("Linear", weight=np.ones((2, 2)))}
    assert not outcome(beside(nodes, [("cell", "back"), ("back", "cell")], "cell", 2)).any()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 6))
def test_names_do_not_decide_what_waits(seed: int, count: int) -> None:
    """A circle with chords of weights and neurons, some with biases, under names in any order."""
    rng = np.random.default_rng(seed)
    edges = {(k, (k + 1) % count) for k in range(count)} | {tuple(rng.integers(0, count, 2).tolist()) for _ in range(2)}
    made: list[Node] = []
    for _ in range(count):
        bias = np.where(rng.random() < 0.5, rng.normal(0, 1, 2), 0.0)
        weights = node("Affine", weight=rng.normal(0, 0.5, (2, 2)), bias=bias)
        made.append(weights if rng.random() < 0.6 else lif(2, v_threshold=0.3, v_leak=0.5 if rng.random() < 0.3 else 0.0))
    answers = []
    for names in ([f"n{k}" for k in range(count)], [f"m{k}" for k in rng.permutation(count)]):
        listed = sorted(edges) if names[0] == "n0" else sorted(edges, reverse=True)
        graph = beside(dict(zip(names, made, strict=True)), [(names[a], names[b]) for a, b in listed], names[0], 2)
        assert any(stage.cyclic for stage in Simulator(graph, DT).stages)
        answers.append(outcome(graph, 30))
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-6, atol=1e-9)
