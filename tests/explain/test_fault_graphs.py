"""The graphs on which planted faults show, and what the exporter with faults writes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from nir_interop.graphs import Graph, difference, digest, inline, validate
from nir_interop.reference import Simulator, simulate
from nir_interop.rule import ResetKind, UpdateRule
from nir_interop.vocabulary import Cause
from tests.explain.fake.exporter import soft_resets
from tests.explain.fake_backend import (
    EXPORTER_FAULTS,
    MERGED,
    PLANTABLE,
    RULE_AXIS,
    FakeBackend,
    FakeExporter,
)
from tests.explain.fault_graphs import compatible, differing, graph_for, pairs, planted, shows
from tests.explain.recordings import assert_same
from tests.strategies import graphs

NO_FAULT = frozenset[Cause]()
BY_NAME = {"ids": str}


def only(fault: Cause) -> frozenset[Cause]:
    return frozenset({fault})


@pytest.mark.parametrize("fault", PLANTABLE, **BY_NAME)
def test_each_fault_changes_outputs_on_its_graphs(fault: Cause) -> None:
    for seed in range(3):
        graph, x, dt = graph_for(only(fault), seed)
        assert differing(planted(only(fault), graph, x, dt).output, planted(NO_FAULT, graph, x, dt).output) >= 5
        assert_same(planted(NO_FAULT, graph, x, dt), simulate(graph, x, dt))


def test_at_least_thirty_five_causes_can_be_planted() -> None:
    assert len(set(PLANTABLE)) == len(PLANTABLE) >= 35
    assert set(RULE_AXIS) < set(PLANTABLE)
    assert set(EXPORTER_FAULTS) < set(PLANTABLE)


def test_flatten_swallows_the_batch() -> None:
    graph, x, dt = graph_for(only(Cause.FLATTEN_BATCH), 0)
    right, wrong = (planted(faults, graph, x, dt).outputs["output"] for faults in (NO_FAULT, only(Cause.FLATTEN_BATCH)))
    assert wrong.shape == (len(x), x.shape[1] * right.shape[2])


@given(graph=graphs())
@settings(max_examples=30, deadline=None)
def test_an_exporter_without_faults_writes_the_graph(graph: Graph) -> None:
    assert digest(FakeExporter()(graph)) == digest(inline(graph))


EXPORTED = {
    Cause.BIAS_LOST: {"bias"},
    Cause.PARAMETER_LOST: {"v_reset", "w_in", "r"},
    Cause.TAU_REWRITTEN: {"tau", "tau_syn", "tau_mem"},
    Cause.TIME_UNIT: {"tau", "tau_syn", "tau_mem", "delay"},
    Cause.NODE_LOST: {"node"},
}


@pytest.mark.parametrize("fault", EXPORTED, **BY_NAME)
def test_what_an_exporter_loses_is_all_that_differs(fault: Cause) -> None:
    for seed in range(5):
        graph, _, _ = graph_for(only(fault), seed)
        found = difference(graph, FakeExporter(only(fault))(graph))
        assert found
        assert {one.field for one in found} <= EXPORTED[fault]


def test_a_lost_reset_kind_makes_a_neuron_with_a_hard_reset_of_the_composition() -> None:
    for seed in range(5):
        graph, x, dt = graph_for(only(Cause.RESET_LOST), seed)
        exported = FakeExporter(only(Cause.RESET_LOST))(graph)
        compositions = list(soft_resets(dict(graph.primitives()), list(graph.edges)))
        assert compositions
        for _, spikes, _ in compositions:
            assert exported.nodes[spikes].kind in ("LIF", "IF")
            assert not exported.nodes[spikes]["v_reset"].any()
        validate(exported)
        if not graph.of_kind("LIF", "IF", "CubaLIF"):
            subtracting = simulate(exported, x, dt, UpdateRule(reset=ResetKind.SUBTRACT))
            np.testing.assert_allclose(subtracting.output, simulate(graph, x, dt).output, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("number", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_two_faults_show_together(number: int) -> None:
    chosen = pairs()
    rng = np.random.default_rng(0)
    for index in rng.choice(len(chosen), number, replace=False):
        graph, x, dt = graph_for(chosen[index], seed=int(index))
        assert shows(chosen[index], graph, x, dt)


@pytest.mark.parametrize("number", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_two_faults_of_the_rule_are_what_the_reference_computes_under_that_rule(number: int) -> None:
    chosen = [pair for pair in pairs() if pair <= set(RULE_AXIS)]
    rng = np.random.default_rng(1)
    for index in rng.choice(len(chosen), number, replace=False):
        graph, x, dt = graph_for(chosen[index], seed=int(index))
        backend = FakeBackend(chosen[index])
        assert_same(backend(graph, x, dt), Simulator(graph, dt, backend.rule).run(x)[0])


def test_faults_that_no_output_tells_apart_are_not_planted_together() -> None:
    assert not any(compatible(group) for group in MERGED)
    assert not compatible(frozenset({Cause.LEAK_ADDED, Cause.LEAK_IGNORED}))


def test_the_same_seed_gives_the_same_case() -> None:
    one, other = (graph_for(frozenset({Cause.DECAY, Cause.NODE_LOST}), 7) for _ in range(2))
    assert digest(one[0]) == digest(other[0])
    np.testing.assert_array_equal(one[1], other[1])
    assert one[2] == other[2]
