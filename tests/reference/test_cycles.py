"""The meaning of cycles by example: what waits, what a Delay on them does, and what is there in the first step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.graphs import Graph, Node
from nir_interop.reference import Simulator, simulate
from nir_interop.rule import NIR_MEANING, FeedbackBias, LeakUse, Precision, UpdateRule
from tests.strategies import DT, cyclic_graphs, node, port, stimulus

ABSENT = NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT)
SINGLE = NIR_MEANING.but(precision=Precision.FLOAT32)


def impulse(steps: int, size: int = 1) -> np.ndarray:
    x = np.zeros((steps, 1, size))
    x[0] = 1
    return x


def circle(*nodes: Node, read: int = 0, size: int = 1) -> Graph:
    """Input → n0 → n1 → … → n0, and ``read`` → Output."""
    named = {f"n{number}": each for number, each in enumerate(nodes)}
    edges = itertools.pairwise(["input", *named, "n0"])
    ends = {"input": port("Input", size), "output": port("Output", size)}
    return Graph(ends | named, (*edges, (f"n{read}", "output")))


def answer(graph: Graph, x: np.ndarray) -> list[float]:
    return simulate(graph, x, DT).output.ravel().tolist()


def loop(bias: float) -> Graph:
    nodes = {
        "input": port("Input", 1),
        "cell": node("IF", r=[1 / DT], v_threshold=[1.0], v_reset=[0.0]),
        "rec": node("Affine", weight=[[0.5]], bias=[bias]),
        "output": port("Output", 1),
    }
    return Graph(nodes, (("input", "cell"), ("cell", "rec"), ("rec", "cell"), ("cell", "output")))


def test_feedback_comes_one_step_late() -> None:
    x = np.array([1.5, 0.6, 0.0]).reshape(3, 1, 1)
    recording = simulate(loop(bias=0.0), x, DT)
    assert recording.output.ravel().tolist() == [1, 1, 0]
    np.testing.assert_allclose(recording.membranes["cell"].ravel(), [0.0, 0.0, 0.5])


def test_a_recurrent_bias_is_there_from_the_first_step() -> None:
    x = np.zeros((2, 1, 1))
    assert simulate(loop(bias=1.5), x, DT).output.ravel().tolist() == [1, 1]
    absent = NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT)
    assert simulate(loop(bias=1.5), x, DT, absent).output.ravel().tolist() == [0, 1]


def test_a_bias_is_absent_everywhere_where_the_rule_of_one_primitive_of_the_graph_says_so() -> None:
    x = np.zeros((2, 1, 1))
    found = [simulate(loop(bias=1.5), x, DT, {kind: ABSENT}).output.ravel().tolist() for kind in ("IF", "LIF")]
    assert found == [[0, 1], [1, 1]]  # a rule for neurons that the graph does not have says nothing


def test_a_rule_can_be_given_for_one_primitive_alone() -> None:
    leaky = node("LI", tau=[1e-3], r=[1.0], v_leak=[1.0])
    spiking = node("LIF", tau=[1e-3], r=[1.0], v_leak=[1.0], v_threshold=[2.0], v_reset=[0.0])
    x, ignored = np.zeros((3, 1, 1)), NIR_MEANING.but(leak=LeakUse.IGNORED)
    for kind in ("LI", "LIF"):
        membranes = simulate(circle(leaky, spiking), x, DT, {kind: ignored}).membranes
        assert {name: values.any() for name, values in membranes.items()} == {"n0": kind != "LI", "n1": True}


def test_a_graph_is_computed_in_single_precision_where_all_rules_that_it_uses_say_so() -> None:
    def precision(**rules: UpdateRule) -> np.dtype:
        return simulate(loop(bias=0.0), impulse(2), DT, rules).membranes["cell"].dtype

    assert precision(IF=SINGLE, LIF=NIR_MEANING) == np.float32
    assert precision(IF=NIR_MEANING, LIF=SINGLE) == np.float64
    mixed = circle(node("LI", tau=[1e-3], r=[1.0], v_leak=[0.0]), node("I", r=[1.0]))
    membranes = simulate(mixed, impulse(2), DT, {"I": SINGLE, "LI": NIR_MEANING}).membranes
    assert {values.dtype for values in membranes.values()} == {np.dtype(np.float64)}


def test_a_delay_on_a_cycle_counts_for_itself() -> None:
    nodes = {
        "input": port("Input", 1),
        "cell": node("IF", r=[1 / DT], v_threshold=[1.0], v_reset=[0.0]),
        "delay": node("Delay", delay=[2 * DT]),
        "gain": node("Scale", scale=[2.0]),
        "output": port("Output", 1),
    }
    edges = (("input", "cell"), ("cell", "delay"), ("delay", "gain"), ("gain", "cell"), ("cell", "output"))
    x = np.array([2.0, 0, 0, 0, 0, 0]).reshape(6, 1, 1)
    assert simulate(Graph(nodes, edges), x, DT).output.ravel().tolist() == [1, 0, 1, 0, 1, 0]


def test_what_enters_a_cycle_at_its_delay_comes_out_after_the_delay_and_no_step_earlier() -> None:
    graph = circle(node("Delay", delay=[2 * DT]), node("Scale", scale=[0.5]))
    assert answer(graph, impulse(7)) == [0, 0, 1, 0, 0.5, 0, 0.25]


def test_delays_in_a_row_on_a_cycle_add_up() -> None:
    graph = circle(node("Delay", delay=[DT]), node("Delay", delay=[2 * DT]), read=1)
    assert answer(graph, impulse(7)) == [0, 0, 0, 1, 0, 0, 1]


def test_a_delay_that_feeds_itself_repeats_what_it_got() -> None:
    assert answer(circle(node("Delay", delay=[2 * DT])), impulse(6)) == [0, 0, 1, 0, 1, 0]


def test_a_delay_with_an_element_of_no_step_waits_on_a_cycle_like_any_other_node() -> None:
    graph = circle(node("Delay", delay=[0.0, DT]), node("Scale", scale=[0.5, 0.5]), size=2)
    output = simulate(graph, impulse(6, size=2), DT).output
    np.testing.assert_array_equal(output[:, 0].T, [[1, 0.5, 0.25, 0.125, 0.0625, 0.03125], [0, 1, 0, 0.5, 0, 0.25]])


def test_a_bias_before_a_delay_on_a_cycle_is_delayed() -> None:
    graph = circle(node("Affine", weight=[[1.0]], bias=[1.0]), node("Delay", delay=[2 * DT]), read=1)
    assert answer(graph, np.zeros((6, 1, 1))) == [0, 0, 1, 1, 2, 2]


@given(graph=cyclic_graphs(), seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 29))
@settings(max_examples=60, deadline=None)
def test_a_cycle_in_two_parts_with_its_state_carried_is_the_whole_sequence(graph: Graph, seed: int, cut: int) -> None:
    simulator, x = Simulator(graph, DT), stimulus(seed, size=2)
    head, memory = simulator.run(x[:cut])
    tail, _ = simulator.run(x[cut:], memory)
    # A processor may add up a product of one row otherwise than one of many.
    whole = simulator.run(x)[0].output
    np.testing.assert_allclose(np.concatenate([head.output, tail.output]), whole, rtol=1e-9, atol=1e-12)


def test_in_a_cycle_without_memory_silence_has_gone_round_once() -> None:
    """Before the first step the edge that waits carries zeros: n0 answers 1 to that, and n1 gives it back."""
    graph = circle(node("Affine", weight=[[0.5]], bias=[1.0]), node("Scale", scale=[1.0]))
    assert answer(graph, np.zeros((3, 1, 1))) == [1.5, 1.75, 1.875]


def test_a_node_without_memory_can_feed_itself() -> None:
    assert answer(circle(node("Scale", scale=[0.5])), impulse(4)) == [0.5, 0.25, 0.125, 0.0625]


def test_edges_that_wait_are_silent_to_each_other_before_the_first_step() -> None:
    """Two fed nodes that feed each other: each hears at t = 0 the other's bias alone."""
    nodes = {name: node("Affine", weight=[[2.0]], bias=[bias]) for name, bias in (("a", 1.0), ("b", 10.0))}
    ends = {"input": port("Input", 1), "output": port("Output", 1)}
    edges = (("input", "a"), ("input", "b"), ("a", "b"), ("b", "a"), ("a", "output"))
    assert answer(Graph(ends | nodes, edges), np.zeros((2, 1, 1))) == [2 * 10 + 1, 2 * (2 * 1 + 10) + 1]


@pytest.mark.parametrize("length", [1, 1200])
def test_a_cycle_may_be_of_any_length(length: int) -> None:
    graph = circle(*[node("Scale", scale=[1.0])] * length)
    assert answer(graph, impulse(2)) == [1, 1]
