"""Graphs in which other edges of a cycle wait: they compute what a simulator that chooses those edges computes."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nir_interop.agreement.guided import guided
from nir_interop.explain.rewrites import delayed
from nir_interop.graphs import Graph, components
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, FeedbackBias
from nir_interop.vocabulary import Cause
from tests.explain.fake_backend import FakeBackend
from tests.strategies import DT, cyclic_graphs, node, port, stimulus

BY_NAME = frozenset({Cause.CYCLE_ORDER})


def back(graph: Graph) -> list[tuple[str, str]]:
    """The edges of cycles that lead back by name, in a graph where no other cycle is left without them."""
    found = []
    for members in components(graph.nodes, graph.edges):
        inside = [edge for edge in graph.edges if set(edge) <= set(members)]
        found += [edge for edge in inside if edge[0] >= edge[1]]
    return found


@given(graph=cyclic_graphs(delays=False), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_edges_that_lead_back_by_name_wait_as_in_a_simulator_that_goes_by_names(graph: Graph, seed: int) -> None:
    edges = back(graph)
    assume(edges)
    x, late = stimulus(seed, size=2), delayed(graph, edges, DT)
    for choice in FeedbackBias:
        expected = FakeBackend(BY_NAME, {"feedback_bias": choice})(graph, x, DT).output
        actual = simulate(late, x, DT, NIR_MEANING.but(feedback_bias=choice)).output
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


def feedback() -> Graph:
    nodes = {"input": port("Input", 1), "sum": node("Scale", scale=[1.0]), "output": port("Output", 1)}
    nodes["rec"] = node("Affine", weight=[[0.0]], bias=[1.0])
    return Graph(nodes, (("input", "sum"), ("sum", "rec"), ("rec", "sum"), ("sum", "output")))


def test_the_bias_on_an_edge_that_waits_is_there_from_the_first_step_where_the_rule_has_it_so() -> None:
    late, x = delayed(feedback(), [("rec", "sum")], DT), np.zeros((3, 1, 1))
    found = {choice: simulate(late, x, DT, NIR_MEANING.but(feedback_bias=choice)).output.ravel() for choice in FeedbackBias}
    assert found[FeedbackBias.PRESENT].tolist() == [1, 1, 1]
    assert found[FeedbackBias.ABSENT].tolist() == [0, 1, 1]


def test_a_guided_replay_knows_which_edges_wait() -> None:
    late, x = delayed(feedback(), [("rec", "sum")], DT), np.zeros((3, 1, 1))
    assert guided(late, DT, NIR_MEANING, x, simulate(late, x, DT)).proven
