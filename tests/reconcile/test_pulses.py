"""A pulse at the first step in the place of another start: spike for spike, on graphs, and in the libraries themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Identified, Join, Refusal, Subject, Wiring
from nir_interop.graphs import Graph, Node, inline
from nir_interop.reconcile.model import Refused, Rewritten
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.substitutes import NoSpareNeurons, spare_neurons
from nir_interop.reconcile.voltages import OFFSETS, with_pulses
from nir_interop.reference import simulate
from nir_interop.rule import (
    NIR_MEANING,
    FeedbackBias,
    Floor,
    Gain,
    LeakUse,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    TimeStep,
    Timing,
    UpdateRule,
)
from nir_interop.vocabulary import Cause
from tests.known import fingerprint_of, running
from tests.reconcile.pass_checks import proven, rules, side
from tests.reconcile.test_offsets import one_layer, with_values, without
from tests.strategies import DT, chain, cyclic_graphs, graphs, neuron, node, port

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

(SHIFT,) = OFFSETS
SEEDS = st.integers(0, 2**32 - 1)
RNG = np.random.default_rng(0)
FROM_ZERO = NIR_MEANING.but(start=Start.ZERO)
FROM_RESET = NIR_MEANING.but(start=Start.RESET)
READY = {"spikes": SpikesPerStep.ONE, "spike_from": SpikeFrom.UPDATED, "timing": Timing.SAME_STEP}


@given(st.data(), graphs(), SEEDS)
@settings(max_examples=60, deadline=None)
def test_membranes_that_count_from_zero_start_elsewhere_by_a_pulse(data: st.DataObject, graph: Graph, seed: int) -> None:
    """Resets by subtraction, which no shift leaves as they are, and resets from which the target starts."""
    resets, floors = (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL, ResetKind.TO_VALUE), tuple(Floor)
    fixed = READY | {"reset": data.draw(st.sampled_from(resets)), "floor": data.draw(st.sampled_from(floors))}
    source = data.draw(rules(**fixed, start=Start.LEAK, leak=LeakUse.USED))
    graph = with_values(without(graph, "CubaLIF", "CubaLI"), v_leak=-0.05)
    rewritten = proven(SHIFT, graph, side(source), side(source.but(start=Start.RESET)), seed)
    if source.reset is not ResetKind.TO_VALUE and graph.of_kind("LIF"):
        assert rewritten is not None


@given(cyclic_graphs(), SEEDS, st.sampled_from(FeedbackBias))
@settings(max_examples=100, deadline=None)
def test_a_pulse_that_is_not_refused_on_a_graph_with_cycles_is_exact(graph: Graph, seed: int, bias: FeedbackBias) -> None:
    source = FROM_ZERO.but(feedback_bias=bias)
    try:
        proven(SHIFT, without(graph, "CubaLIF"), side(source), side(source.but(start=Start.RESET)), seed)
    except Refused as refusal:
        assert refusal.cause in (Cause.START, Cause.CYCLE_ORDER)


@given(st.data(), SEEDS)
@settings(max_examples=60, deadline=None)
def test_the_pulse_is_there_in_the_first_step_alone(data: st.DataObject, seed: int) -> None:
    """An integrator that neither decays nor fires keeps what it has heard."""
    rule = data.draw(rules(**READY, gain=data.draw(st.sampled_from([Gain.STEP, Gain.COMPLEMENT, Gain.ONE, Gain.JUMP]))))
    pulse, rng = np.array([0.5, -2.0, 3.0]), np.random.default_rng(seed)
    graph = chain(node("Linear", weight=np.zeros((3, 3))), node("I", r=np.full(3, 1 / DT)), size=3)
    made = with_pulses(graph, {"n1": pulse}, side(rule), side(rule))
    output = simulate(made, rng.normal(0, 1, (20, 2, 3)), DT, {"LIF": rule}).output
    assert output is not None
    np.testing.assert_allclose(output, np.broadcast_to(pulse, (20, 2, 3)), rtol=1e-12)


def test_one_pair_of_neurons_serves_all() -> None:
    graph = chain(
        node("Linear", weight=RNG.normal(0.5, 1, (4, 3))),
        Node("LIF", {**neuron("LIF", 4, RNG).params, "v_reset": np.full(4, -0.3)}),
        node("Linear", weight=RNG.normal(0.5, 1, (2, 4))),
        Node("LIF", {**neuron("LIF", 2, RNG).params, "v_reset": np.full(2, -0.3)}),
        size=3,
    )
    rewritten = proven(SHIFT, graph, side(FROM_ZERO), side(FROM_RESET))
    assert isinstance(rewritten, Rewritten) and rewritten.nodes == ("n1", "n3")
    assert set(rewritten.graph.out_of("pulse")) == {"pulse_back", "n1_start", "n3_start"}
    assert not rewritten.graph.nodes["pulse_constant"]["weight"].any()  # type: ignore[index]


def cause_of(graph: Graph, target: Side, source: UpdateRule = FROM_ZERO) -> Cause:
    with pytest.raises(Refused) as caught:
        proven(SHIFT, graph, side(source), target)
    assert set(caught.value.nodes) <= set(graph.nodes)
    return caught.value.cause


LAYER = one_layer(v_reset=-0.2)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("LIF", Identified(NIR_MEANING, 0)),
        (Wiring.RECURRENCE, Identified(NIR_MEANING, 0)),
        (Wiring.JOIN, Identified(NIR_MEANING, 9, refusals=(Refusal(Join.BRANCHES_INTO_NEURON, "mismatch", ""),))),
    ],
)
def test_a_target_without_neurons_loops_or_joins_is_refused(kind: Subject, known: Identified) -> None:
    assert cause_of(LAYER, side(FROM_RESET, domain={kind: known})) is Cause.START


@pytest.mark.parametrize(
    "axis",
    [
        {"timing": Timing.NEXT_STEP},
        {"spike_from": SpikeFrom.PREVIOUS},
        {"spikes": SpikesPerStep.MANY},
        {"time_step": TimeStep.INFERRED},
        {"precision": Precision.FIXED},
    ],
    ids=str,
)
def test_a_rule_without_spare_neurons_is_refused_on_either_side(axis: dict[str, object]) -> None:
    other = NIR_MEANING.but(**axis)  # type: ignore[arg-type]
    for one, two in ((other, NIR_MEANING), (NIR_MEANING, other)):
        with pytest.raises(NoSpareNeurons):
            spare_neurons(2, side(one), side(two))
    assert cause_of(LAYER, side(other.but(start=Start.RESET)), other) in (Cause.START, Cause.ROUNDING)


def test_a_spare_neuron_s_time_constant_is_two_steps_of_the_rule() -> None:
    for step, tau in ((TimeStep.GIVEN, 2 * DT), (TimeStep.FIXED, 2e-4), (TimeStep.UNIT, 2.0)):
        rule = NIR_MEANING.but(time_step=step)
        assert (spare_neurons(2, side(rule), side(rule))["tau"] == tau).all()


def test_neurons_that_must_forget_are_reset_to_a_value() -> None:
    soft = side(NIR_MEANING.but(reset=ResetKind.SUBTRACT))
    assert spare_neurons(3, soft, soft)["v_threshold"].shape == (3,)
    with pytest.raises(NoSpareNeurons, match="forgets"):
        spare_neurons(3, soft, soft, forget=True)


def test_a_neuron_that_only_its_own_cycle_feeds_is_refused() -> None:
    cell = LAYER.nodes["n1"]
    nodes = {"in": port("Input", 4), "w": node("Linear", weight=np.eye(4)), "a": cell, "b": cell, "out": port("Output", 4)}
    graph = Graph(nodes, (("in", "a"), ("a", "b"), ("b", "w"), ("w", "a"), ("b", "out")))
    with pytest.raises(Refused, match="b is no entry of its cycle"):
        proven(SHIFT, graph, side(FROM_ZERO), side(FROM_RESET))


def test_neurons_of_a_feature_map_are_refused() -> None:
    cell = {name: np.full((1, 2, 2), value[0]) for name, value in LAYER.nodes["n1"].params.items()}  # type: ignore[union-attr]
    nodes = {"in": node("Input", shape=[1, 2, 2]), "a": Node("LIF", cell), "out": node("Output", shape=[1, 2, 2])}
    graph = Graph(nodes, (("in", "a"), ("a", "out")))
    with pytest.raises(Refused, match="no vector"):
        SHIFT.rewrite(graph, side(FROM_ZERO), side(FROM_RESET))


@pytest.mark.parametrize("dt", [1e-4, 1e-3])
@pytest.mark.parametrize("name", ["snntorch", "spikingjelly"])
def test_libraries_that_start_at_the_reset_start_at_zero_with_a_pulse(name: str, dt: float) -> None:
    rng, found = np.random.default_rng(3), fingerprint_of(name)
    cell = {"tau": 2e-3, "r": 1.0, "v_leak": 0.1, "v_threshold": 1.0, "v_reset": -0.3}
    weights = [rng.normal(2.0, 6.0, shape).astype(np.float32) for shape in ((6, 4), (3, 6))]
    parts = [
        (node("Linear", weight=weight), node("LIF", **{k: np.full(len(weight), v) for k, v in cell.items()}))
        for weight in weights
    ]
    graph = chain(*(each for pair in parts for each in pair), size=4)
    stimulus = rng.binomial(1, 0.4, (60, 3, 4)).astype(np.float32)
    live = running(name)
    target = Side(name, dt, found.by_primitive(), found.rules)
    plan = reconcile(inline(graph), Side("nir", DT), target, stimulus, PASSES, run=live)
    assert plan.exact and plan.asked and not plan.remaining
    assert "pulse" in "".join(plan.graph.nodes) and plan.outputs
