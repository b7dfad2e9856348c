"""The fake backend: without faults it computes NIR's meaning; with one, what its name says."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nir_interop.errors import NotExpressible, RunFailed
from nir_interop.graphs import Graph, Node, from_nir, validate
from nir_interop.networks import catalogue, names
from nir_interop.reference import Simulator, simulate
from nir_interop.rule import Decay, Gain, Order, ResetKind, Start, TimeStep, UpdateRule
from nir_interop.vocabulary import Cause
from tests.explain.fake_backend import (
    DEFAULT_DT,
    RULE_AXIS,
    FakeBackend,
    FakeExporter,
    observe,
)
from tests.explain.fault_graphs import graph_for
from tests.explain.recordings import assert_same
from tests.strategies import DT, chain, cyclic_graphs, graphs, neuron, node, port, stimulus

BY_NAME = {"ids": str}
seeds = st.integers(0, 2**32 - 1)


def only(fault: Cause) -> frozenset[Cause]:
    return frozenset({fault})


@given(graph=graphs(), seed=seeds)
@settings(max_examples=100, deadline=None)
def test_without_faults_it_computes_what_the_reference_computes(graph: Graph, seed: int) -> None:
    x = stimulus(seed)
    assert_same(FakeBackend()(graph, x, DT), simulate(graph, x, DT))


@pytest.mark.parametrize("name", names())
def test_without_faults_it_computes_the_catalogue(name: str) -> None:
    entry = catalogue(name)
    try:
        graph = from_nir(entry.build(0).to_nir())
    except NotExpressible:
        pytest.skip("NIR cannot say max pooling")
    shape = validate(graph)["input"][0]
    x = (np.random.default_rng(0).random((min(entry.stimulation.steps, 40), 2, *shape)) < 0.3).astype(float)
    expected = simulate(graph, x, DT)
    assert all(spikes.any() for spikes in expected.spikes.values())
    assert_same(FakeBackend()(graph, x, DT), expected)


@given(graph=cyclic_graphs(), seed=seeds)
@settings(max_examples=100, deadline=None)
def test_without_faults_the_same_edges_wait_as_in_the_reference(graph: Graph, seed: int) -> None:
    x = stimulus(seed, size=2)
    assert_same(FakeBackend()(graph, x, DT), simulate(graph, x, DT))


def test_a_delay_breaks_a_cycle_as_in_the_reference() -> None:
    rng = np.random.default_rng(0)
    nodes = {"input": port("Input", 2), "cell": neuron("LIF", 2, rng), "output": port("Output", 2)}
    nodes["delay"] = node("Delay", delay=[DT, 3 * DT])
    nodes["rec"] = node("Affine", weight=rng.normal(0, 2, (2, 2)), bias=rng.normal(0, 1, 2))
    edges = (("input", "cell"), ("cell", "delay"), ("delay", "rec"), ("rec", "cell"), ("cell", "output"))
    x = 2 * stimulus(1, size=2)
    expected = simulate(Graph(nodes, edges), x, DT)
    assert expected.output.sum() > 5
    assert_same(FakeBackend()(Graph(nodes, edges), x, DT), expected)


@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_without_faults_images_go_the_same_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    window, stride, dilation, padding = (rng.integers(low, 3, 2) for low in (1, 1, 1, 0))
    weight = rng.normal(0.2, 1, (2 * int(rng.integers(1, 3)), 4 // groups, *window))
    moves = {"stride": stride, "padding": padding, "dilation": dilation}
    kind = str(rng.choice(["SumPool2d", "AvgPool2d"]))
    pool = node(kind, kernel_size=rng.integers(1, 3, 2), stride=rng.integers(1, 3, 2), padding=rng.integers(0, 2, 2))
    first = int(rng.integers(-3, 2))
    nodes = {
        "input": node("Input", shape=[4, 6, 7]),
        "conv": node("Conv2d", weight=weight, bias=rng.normal(size=len(weight)), groups=groups, **moves),
        "pool": pool,
        "flat": node("Flatten", start_dim=first, end_dim=int(rng.integers(first % 3, 3))),
    }
    x = rng.normal(size=(2, 3, 4, 6, 7))
    graph = with_output(nodes, x)
    assert_same(FakeBackend()(graph, x, DT), simulate(graph, x, DT))


def with_output(nodes: dict[str, Node], x: np.ndarray) -> Graph:
    """A chain of the nodes with an Output of the shape in which an example arrives there."""
    names = [*nodes, "output"]
    edges = tuple(itertools.pairwise(names))
    arrived = FakeBackend()(Graph(nodes | {"output": port("Output", 1)}, edges), x[:1], DT).outputs["output"]
    return Graph(nodes | {"output": node("Output", shape=arrived.shape[2:])}, edges)


def test_padding_in_words_is_padding_in_numbers() -> None:
    rng = np.random.default_rng(0)
    params = {"weight": rng.normal(size=(2, 2, 3)), "bias": rng.normal(size=2), "stride": 1, "groups": 1}
    x = rng.normal(size=(2, 3, 2, 9))
    for word, numbers in (("same", 2), ("valid", 0)):
        conv = node("Conv1d", **params, dilation=2, padding=numbers)
        nodes = {"input": node("Input", shape=[2, 9]), "conv": conv}
        expected = simulate(with_output(nodes, x), x, DT)
        nodes["conv"] = Node("Conv1d", {**conv.params, "padding": word})
        assert_same(FakeBackend()(with_output(nodes, x), x, DT), expected)


@pytest.mark.parametrize("fault", RULE_AXIS, **BY_NAME)
def test_each_fault_of_the_rule_is_what_the_reference_computes_under_that_rule(fault: Cause) -> None:
    rule = UpdateRule(**RULE_AXIS[fault])
    assert FakeBackend(only(fault)).rule == rule
    for seed in range(5):
        graph, x, dt = graph_for(only(fault), seed)
        assert_same(FakeBackend(only(fault))(graph, x, dt), Simulator(graph, dt, rule).run(x)[0])


@st.composite
def rules(draw: st.DrawFn) -> UpdateRule:
    """Any combination of axes in double precision; synapse and membrane are solved together exactly, and in no other scheme."""
    chosen = {}
    for axis in dataclasses.fields(UpdateRule):
        if axis.name != "precision":
            chosen[axis.name] = draw(st.sampled_from(list(type(axis.default))))
    rule = UpdateRule(**chosen)
    if rule.order is Order.TOGETHER:
        return rule.but(decay=Decay.EXPONENTIAL, gain=Gain.COMPLEMENT, synapse_gain=Gain.COMPLEMENT)
    return rule


@given(graph=graphs(), rule=rules(), seed=seeds)
@settings(max_examples=200, deadline=None)
def test_it_follows_any_rule_as_the_reference_does(graph: Graph, rule: UpdateRule, seed: int) -> None:
    # Time constants in steps of 1 s would make these graphs explode.
    assume(rule.time_step is not TimeStep.UNIT)
    x = stimulus(seed)
    axes = {axis.name: getattr(rule, axis.name) for axis in dataclasses.fields(rule) if axis.name != "precision"}
    actual = FakeBackend(axes=axes)(graph, x, DT)
    # With a feedback, counts of spikes can grow for ever.
    assume(all(np.abs(values).max() < 1e5 for values in (*actual.membranes.values(), *actual.spikes.values())))
    assert_same(actual, Simulator(graph, DT, rule).run(x)[0])


def test_a_step_of_one_second_is_what_the_reference_makes_of_it() -> None:
    rng = np.random.default_rng(3)
    slow = node("LIF", tau=rng.uniform(2, 20, 3), r=rng.uniform(2, 4, 3), v_leak=0.1, v_threshold=0.5, v_reset=-0.1)
    x = stimulus(3)
    rule = UpdateRule(time_step=TimeStep.UNIT)
    expected = Simulator(chain(slow, size=3), DT, rule).run(x)[0]
    assert expected.output.sum() > 5
    assert_same(FakeBackend(axes={"time_step": TimeStep.UNIT})(chain(slow, size=3), x, DT), expected)


def test_axes_go_over_the_faults() -> None:
    backend = FakeBackend(frozenset({Cause.START, Cause.GAIN}), axes={"start": Start.RESET, "reset": ResetKind.SUBTRACT_ALL})
    assert backend.rule == UpdateRule(start=Start.RESET, gain=Gain.ONE, reset=ResetKind.SUBTRACT_ALL)


@pytest.mark.parametrize("seed", range(5))
def test_a_default_step_is_a_run_at_that_step(seed: int) -> None:
    graph, x, dt = graph_for(only(Cause.DT_DEFAULT), seed)
    assert_same(FakeBackend(only(Cause.DT_DEFAULT))(graph, x, dt), simulate(graph, x, DEFAULT_DT))


@pytest.mark.parametrize("seed", range(5))
def test_carried_state_is_the_state_in_which_the_first_run_ended(seed: int) -> None:
    graph, x, dt = graph_for(only(Cause.STATE_CARRIED), seed)
    backend = FakeBackend(only(Cause.STATE_CARRIED))
    simulator = Simulator(graph, dt)
    first, memory = simulator.run(x)
    assert_same(backend(graph, x, dt), first)
    assert_same(backend(graph, x, dt), simulator.run(x, memory)[0])
    assert_same(observe(backend, graph, x, dt), simulator.run(x, simulator.run(x)[1])[0])


@pytest.mark.parametrize("seed", range(5))
def test_a_rewired_recurrence_is_a_graph_whose_input_enters_through_the_feedback(seed: int) -> None:
    graph, x, dt = graph_for(only(Cause.RECURRENCE_REWIRED), seed)
    feedback = {target: name for name in graph.nodes for target in graph.out_of(name) if graph.into(name) == (target,)}
    feedback = {cell: dense for cell, dense in feedback.items() if graph.out_of(dense) == (cell,)}
    edges = tuple(
        (source, target) if source == feedback.get(target) else (source, feedback.get(target, target))
        for source, target in graph.edges
    )
    rewired = Graph(graph.nodes, edges)
    assert feedback
    assert_same(FakeBackend(only(Cause.RECURRENCE_REWIRED))(graph, x, dt), simulate(rewired, x, dt))


def transposed(each: Node) -> Node:
    square = each.kind in ("Affine", "Linear") and len(set(each["weight"].shape)) == 1
    return Node(each.kind, {**each.params, "weight": each["weight"].T}) if square else each


def without_bias(each: Node) -> Node:
    return Node(each.kind, {**each.params, "bias": 0 * each["bias"]}) if "bias" in each.params else each


def without_padding(each: Node) -> Node:
    return Node(each.kind, {**each.params, "padding": 0 * each["padding"]}) if each.kind.endswith("Pool2d") else each


STATELESS_FAULTS = {
    Cause.WEIGHT_TRANSPOSED: transposed,
    Cause.BIAS_DROPPED: without_bias,
    Cause.POOL_PADDING: without_padding,
}


@pytest.mark.parametrize("fault", STATELESS_FAULTS, **BY_NAME)
def test_a_fault_in_a_stateless_node_is_a_graph_with_other_parameters(fault: Cause) -> None:
    for seed in range(5):
        graph, x, dt = graph_for(only(fault), seed)
        altered = Graph({name: STATELESS_FAULTS[fault](each) for name, each in graph.primitives()}, graph.edges)
        assert_same(FakeBackend(only(fault))(graph, x, dt), simulate(altered, x, dt))


def test_shapes_that_do_not_fit_are_an_error_of_the_run() -> None:
    flat = node("Flatten", start_dim=0, end_dim=-1)
    graph = Graph(
        {
            "input": node("Input", shape=[2, 3]),
            "flat": flat,
            "dense": node("Linear", weight=np.ones((2, 6))),
            "output": port("Output", 2),
        },
        (("input", "flat"), ("flat", "dense"), ("dense", "output")),
    )
    with pytest.raises(RunFailed) as failure:
        FakeBackend(only(Cause.FLATTEN_BATCH))(graph, np.ones((4, 3, 2, 3)), DT)
    assert failure.value.status == "run_error"


def test_heterogeneous_parameters_are_refused_where_asked_for() -> None:
    rng = np.random.default_rng(0)
    graph, x = chain(neuron("LIF", 3, rng), size=3), stimulus(0)
    backend = FakeBackend(refuses=("v_threshold",))
    with pytest.raises(RunFailed, match=r"LIF\.v_threshold must be the same") as failure:
        backend(graph, x, DT)
    assert failure.value.status == "refused"
    uniform = node("LIF", **{**graph.nodes["n0"].params, "v_threshold": np.full(3, 0.7)})
    assert_same(backend(chain(uniform, size=3), x, DT), simulate(chain(uniform, size=3), x, DT))


def test_faults_of_the_other_side_and_of_one_axis_are_no_faults_to_plant() -> None:
    with pytest.raises(ValueError, match="not the faults of an importer: time_unit"):
        FakeBackend(only(Cause.TIME_UNIT))
    with pytest.raises(ValueError, match="not the faults of an exporter: decay"):
        FakeExporter(only(Cause.DECAY))
    with pytest.raises(ValueError, match="one axis"):
        FakeBackend(frozenset({Cause.DECAY, Cause.DECAY_CLAMPED}))
