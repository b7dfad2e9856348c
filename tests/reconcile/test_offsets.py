"""Rest, start and reset value: shifts and biases that leave the spikes as they were, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.fingerprint import Identified, NeuronCondition, Refusal
from nir_interop.graphs import Graph, Node, inline
from nir_interop.reconcile.model import Refused, Rewritten
from nir_interop.reconcile.voltages import OFFSETS
from nir_interop.rule import (
    NIR_MEANING,
    FeedbackBias,
    Floor,
    LeakUse,
    Precision,
    ResetKind,
    SpikesPerStep,
    Start,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause
from tests.conditions import AT_ONE, ONE_VOLTAGE, off_zero
from tests.reconcile.pass_checks import parameters, proven, refused, rules, side
from tests.strategies import DT, chain, cyclic_graphs, graphs, neuron, node, port

(SHIFT,) = OFFSETS
RNG = np.random.default_rng(0)
seeds = st.integers(0, 2**32 - 1)
TO_ZERO = NIR_MEANING.but(reset=ResetKind.TO_ZERO)
NO_LEAK = NIR_MEANING.but(leak=LeakUse.IGNORED)


def one_layer(kind: str = "LIF", **changed: object) -> Graph:
    cell = neuron(kind, 4, RNG)
    others = {name: np.full(4, value) for name, value in changed.items()}
    return chain(node("Linear", weight=RNG.normal(0.5, 1, (4, 3))), Node(kind, {**cell.params, **others}), size=3)


def domain(*declined: NeuronCondition) -> dict[str, dict[str, Identified]]:
    return {"domain": {"LIF": Identified(NIR_MEANING, refusals=tuple(Refusal(each, "refused", "no") for each in declined))}}


OFF_ZERO = (off_zero("v_leak"), off_zero("v_reset"), off_zero("v_leak", "v_reset"))


def with_values(graph: Graph, **values: float | None) -> Graph:
    """All neurons with some parameters given, or with one taken from another (v_reset of v_leak)."""
    nodes = {}
    for name, each in inline(graph).primitives():
        changed = {key: np.full_like(each[key], value) for key, value in values.items() if key in each.params}
        nodes[name] = Node(each.kind, {**each.params, **changed})
    return Graph(nodes, inline(graph).edges)


def without(graph: Graph, *kinds: str) -> Graph:
    """Leaky integrate-and-fire neurons in the place of neurons of some kinds."""
    flat = inline(graph)
    cells = {name: neuron("LIF", flat.nodes[name]["r"].size, np.random.default_rng(1)) for name in flat.of_kind(*kinds)}  # type: ignore[index]
    return Graph({**flat.nodes, **cells}, flat.edges)


shiftable = {"reset": ResetKind.TO_VALUE, "floor": Floor.NONE, "spikes": SpikesPerStep.ONE}
whole = st.sampled_from([Timing.SAME_STEP, Timing.NEXT_STEP])
"""When a reset comes, where nothing is carried that is counted in thresholds."""


@given(st.data(), graphs(), seeds)
@settings(max_examples=60, deadline=None)
def test_a_membrane_that_starts_where_it_is_reset_to_is_shifted_to_zero(data: st.DataObject, graph: Graph, seed: int) -> None:
    fixed = {**shiftable, "timing": data.draw(whole), "leak": LeakUse.USED}
    source = data.draw(rules(**fixed, start=Start.RESET, threshold=Use.USED))
    graph = without(graph, "LI", "CubaLI", "I")
    rewritten = proven(SHIFT, graph, side(source), side(source.but(reset=ResetKind.TO_ZERO, start=Start.ZERO)), seed)
    for name in graph.of_kind("LIF", "IF", "CubaLIF"):
        assert not parameters(rewritten, name)["v_reset"].any()


@given(st.data(), graphs(), seeds)
@settings(max_examples=60, deadline=None)
def test_a_membrane_that_rests_where_it_is_reset_to_is_shifted_for_a_target_that_starts_at_rest(
    data: st.DataObject, graph: Graph, seed: int
) -> None:
    source = data.draw(rules(**shiftable, timing=data.draw(whole), start=Start.ZERO, leak=LeakUse.USED))
    flat = with_values(without(graph, "IF"), v_leak=0.0, v_reset=-0.25)
    proven(SHIFT, flat, side(source), side(source.but(reset=ResetKind.TO_ZERO, start=Start.LEAK)), seed)


@given(st.data(), graphs(), seeds)
@settings(max_examples=60, deadline=None)
def test_a_leak_that_the_target_ignores_is_a_bias(data: st.DataObject, graph: Graph, seed: int) -> None:
    source = data.draw(rules(start=Start.ZERO, leak=data.draw(st.sampled_from([LeakUse.USED, LeakUse.ADDED]))))
    graph = without(graph, "CubaLIF", "CubaLI")
    proven(SHIFT, graph, side(source), side(source.but(leak=LeakUse.IGNORED)), seed)


@given(st.data(), graphs(), seeds)
@settings(max_examples=80, deadline=None)
def test_whatever_is_not_refused_is_exact(data: st.DataObject, graph: Graph, seed: int) -> None:
    source, target = data.draw(rules()), data.draw(rules())
    values = data.draw(st.dictionaries(st.sampled_from(["v_leak", "v_reset"]), st.sampled_from([0.0, -0.125]), max_size=2))
    refusals = data.draw(st.sets(st.sampled_from(OFF_ZERO)))
    try:
        proven(SHIFT, with_values(graph, **values), side(source), side(target, **domain(*refusals)), seed)
    except Refused as refusal:
        assert refusal.cause is not Cause.UNEXPLAINED


@given(cyclic_graphs(), seeds, st.sampled_from(FeedbackBias))
@settings(max_examples=100, deadline=None)
def test_a_bias_that_is_not_refused_on_a_graph_with_cycles_is_exact(graph: Graph, seed: int, bias: FeedbackBias) -> None:
    graph = without(graph, "CubaLIF")
    source = NIR_MEANING.but(feedback_bias=bias)
    try:
        proven(SHIFT, graph, side(source), side(source.but(leak=LeakUse.IGNORED)), seed)
    except Refused as refusal:
        assert refusal.cause is Cause.CYCLE_ORDER


def test_a_target_that_starts_at_rest_makes_the_shift_exact() -> None:
    graph = one_layer(v_leak=0.0, v_reset=-0.2)
    made = parameters(proven(SHIFT, graph, side(NIR_MEANING), side(TO_ZERO.but(start=Start.LEAK))), "n1")
    np.testing.assert_allclose(made["v_leak"], 0.2)
    np.testing.assert_allclose(made["v_threshold"], graph.nodes["n1"]["v_threshold"] + 0.2)  # type: ignore[index]
    assert not made["v_reset"].any()


@pytest.mark.parametrize(
    ("graph", "target"),
    [(one_layer(v_leak=0.0, v_reset=-0.2), TO_ZERO), (one_layer("LI"), NIR_MEANING), (one_layer("IF", v_reset=-0.2), TO_ZERO)],
    ids=["LIF", "LI", "IF"],
)
def test_where_no_shift_makes_a_start_right_a_pulse_in_the_first_step_does(graph: Graph, target: UpdateRule) -> None:
    source = NIR_MEANING.but(start=Start.LEAK if graph.of_kind("LI") else Start.ZERO)
    rewritten = proven(SHIFT, graph, side(source), side(target))
    assert rewritten is not None and rewritten.nodes == ("n1",) and "pulse" in rewritten.why
    assert set(rewritten.graph.nodes) - set(graph.nodes) == {"pulse_constant", "pulse", "pulse_back", "n1_start"}


def test_a_plain_shift_is_preferred_to_a_pulse() -> None:
    source = NIR_MEANING.but(start=Start.RESET)
    rewritten = proven(SHIFT, one_layer(v_reset=-0.2), side(source), side(TO_ZERO))
    assert rewritten is not None and set(rewritten.graph.nodes) == {"input", "n0", "n1", "output"}


def test_what_keeps_nothing_of_its_start_needs_no_pulse() -> None:
    forgetful = one_layer(tau=DT, v_leak=0.0)
    assert proven(SHIFT, forgetful, side(NIR_MEANING.but(start=Start.RESET)), side(NIR_MEANING)) is None


def test_a_leaky_start_goes_with_the_leak() -> None:
    at_rest = NIR_MEANING.but(start=Start.LEAK)
    made = parameters(proven(SHIFT, one_layer("CubaLIF"), side(at_rest), side(NIR_MEANING)), "n1")
    assert not made["v_leak"].any()
    refused(SHIFT, one_layer("CubaLI"), side(at_rest), side(NIR_MEANING), Cause.START)


def test_a_bias_moves_the_rest_to_the_reset_where_the_target_takes_no_other() -> None:
    known = domain(*(off_zero(*each.off_zero, gains=AT_ONE) for each in OFF_ZERO))
    from_reset = NIR_MEANING.but(start=Start.RESET)
    graph = one_layer(v_leak=0.05, v_reset=-0.2)
    rewritten = proven(SHIFT, graph, side(from_reset), side(from_reset, **known))
    made = parameters(rewritten, "n1")
    np.testing.assert_array_equal(made["v_leak"], made["v_reset"])
    assert isinstance(rewritten, Rewritten) and rewritten.graph.nodes["n0"].kind == "Affine"


def test_a_value_that_the_source_did_not_read_is_taken_away() -> None:
    rewritten = proven(SHIFT, one_layer(v_leak=0.0), side(TO_ZERO), side(NIR_MEANING))
    assert not parameters(rewritten, "n1")["v_reset"].any()
    assert proven(SHIFT, one_layer(), side(NIR_MEANING), side(NIR_MEANING)) is None


def test_a_leak_before_a_synapse_is_refused() -> None:
    refused(SHIFT, one_layer("CubaLI"), side(NIR_MEANING), side(NO_LEAK), Cause.LEAK_IGNORED)
    refused(SHIFT, one_layer("CubaLIF"), side(NIR_MEANING), side(NO_LEAK), Cause.START)
    assert proven(SHIFT, one_layer("CubaLIF", v_leak=0.0), side(NIR_MEANING), side(NO_LEAK)) is None
    refused(
        SHIFT, one_layer("CubaLI"), side(NIR_MEANING), side(NIR_MEANING.but(leak=LeakUse.ON_SYNAPSE)), Cause.LEAK_ON_SYNAPSE
    )


def test_a_subtractive_reset_is_no_reset_to_a_value() -> None:
    refused(SHIFT, one_layer(), side(NIR_MEANING), side(NIR_MEANING.but(reset=ResetKind.SUBTRACT)), Cause.RESET_KIND)
    refused(SHIFT, one_layer(), side(NIR_MEANING.but(reset=ResetKind.SUBTRACT)), side(TO_ZERO), Cause.RESET_KIND)
    once = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
    assert proven(SHIFT, one_layer(), side(once), side(once.but(reset=ResetKind.SUBTRACT_ALL))) is None
    many = once.but(spikes=SpikesPerStep.MANY)
    refused(SHIFT, one_layer(), side(many), side(many.but(reset=ResetKind.SUBTRACT_ALL)), Cause.RESET_KIND)


@pytest.mark.parametrize(
    "counted", [{"floor": Floor.MINUS_THRESHOLD}, {"spikes": SpikesPerStep.MANY}, {"timing": Timing.CARRIED}], ids=str
)
def test_what_counts_from_zero_is_not_shifted(counted: dict[str, object]) -> None:
    source = NIR_MEANING.but(start=Start.RESET)
    target = TO_ZERO
    assert proven(SHIFT, one_layer(), side(source), side(target)) is not None
    refused(SHIFT, one_layer(), side(source.but(**counted)), side(target.but(**counted)), Cause.RESET_VALUE_IGNORED)  # type: ignore[arg-type]


def test_one_threshold_for_all_lets_neurons_be_shifted_only_together() -> None:
    source = NIR_MEANING.but(start=Start.RESET, threshold=Use.COLLAPSED)
    target = source.but(reset=ResetKind.TO_ZERO, start=Start.ZERO)
    assert proven(SHIFT, one_layer(v_reset=-0.25), side(source), side(target)) is not None
    refused(SHIFT, one_layer(), side(source), side(target), Cause.RESET_VALUE_IGNORED)


def test_a_reset_value_under_a_lost_leak_is_refused_where_the_shift_needs_one() -> None:
    silent = NO_LEAK.but(start=Start.RESET)
    graph = one_layer("CubaLIF")
    refused(SHIFT, graph, side(silent), side(silent.but(reset=ResetKind.TO_ZERO, start=Start.ZERO)), Cause.RESET_VALUE_IGNORED)
    proven(SHIFT, one_layer("IF"), side(silent), side(silent.but(reset=ResetKind.TO_ZERO, start=Start.ZERO)))


def test_a_bias_is_not_put_where_it_comes_late() -> None:
    nodes = {"in": port("Input", 3), "w": node("Linear", weight=RNG.normal(0, 1, (3, 3))), "out": port("Output", 3)}
    graph = Graph(nodes | {"a": neuron("LIF", 3, RNG)}, (("in", "a"), ("a", "w"), ("w", "a"), ("a", "out")))
    absent = {"feedback_bias": FeedbackBias.ABSENT}
    rewritten = proven(SHIFT, graph, side(NIR_MEANING.but(**absent)), side(NO_LEAK.but(**absent)))
    assert isinstance(rewritten, Rewritten)
    assert rewritten.graph.nodes["in>a"].kind == "Affine" and rewritten.graph.nodes["w"].kind == "Linear"


def test_fixed_point_is_refused() -> None:
    fixed = {"precision": Precision.FIXED}
    refused(SHIFT, one_layer(v_leak=0.5), side(NIR_MEANING.but(**fixed)), side(NO_LEAK.but(**fixed)), Cause.ROUNDING)


def test_what_no_domain_takes_is_refused() -> None:
    known = domain(*OFF_ZERO, ONE_VOLTAGE)
    assert refused(SHIFT, one_layer(v_leak=0.0), side(NIR_MEANING), side(NIR_MEANING, **known)).cause in (
        Cause.UNSUPPORTED,
        Cause.START,
    )
    proven(SHIFT, one_layer(v_reset=0.0), side(NIR_MEANING), side(NIR_MEANING, **known))
