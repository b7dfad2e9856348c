"""Resets by subtraction put together from membrane, threshold and feedback: the same spikes, and refusals just outside."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.fingerprint import Identified
from nir_interop.graphs import NEURONS, Graph, Node, inline, read
from nir_interop.networks import catalogue
from nir_interop.reconcile.composition import COMPOSITIONS
from nir_interop.reconcile.gains import GAINS
from nir_interop.reconcile.model import Refused, Rewritten
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.time_constants import STEPS
from nir_interop.reference import simulate
from nir_interop.rule import (
    NIR_MEANING,
    Axis,
    Comparison,
    Decay,
    FeedbackBias,
    Floor,
    Gain,
    LeakUse,
    Order,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause, Idiom, Reset
from tests.known import running
from tests.reconcile.pass_checks import parameters, proven, refused, rules, side
from tests.strategies import DT, chain, cyclic_graphs, graphs, neuron, node, port, stimulus

(SOFT,) = COMPOSITIONS
RNG = np.random.default_rng(0)
SOFT_RESET = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
LATE = SOFT_RESET.but(timing=Timing.NEXT_STEP)
PLAIN = side(NIR_MEANING)
TAKEN, NOT_TAKEN = Identified(NIR_MEANING, 100), Identified(NIR_MEANING)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def soft_rules(draw: st.DrawFn, **fixed: Axis) -> UpdateRule:
    """Any rule that subtracts one threshold a spike, and starts where a neuron without threshold can."""
    kind = draw(st.sampled_from([ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL]))
    start = draw(st.sampled_from([Start.ZERO, Start.LEAK]))
    alone = {"spikes": SpikesPerStep.ONE, "floor": Floor.NONE, "spike_from": SpikeFrom.UPDATED}
    return draw(rules(reset=kind, start=start, **alone, **fixed))


def layer(kind: str = "LIF", size: int = 4, **values: object) -> Graph:
    cell = neuron(kind, size, RNG)
    cell = Node(kind, {**cell.params, **{name: np.broadcast_to(value, size) for name, value in values.items()}})
    return chain(node("Affine", weight=RNG.normal(1, 1, (size, 3)), bias=RNG.normal(0, 0.2, size)), cell, size=3)


def spiking(rewritten: Rewritten | None) -> list[str]:
    assert rewritten is not None
    return [name for name, each in rewritten.graph.primitives() if "v_threshold" in each.params]


@given(st.data(), graphs(), seeds)
@settings(max_examples=100, deadline=None)
def test_a_feedback_resets_as_the_neuron_did(data: st.DataObject, graph: Graph, seed: int) -> None:
    source = data.draw(soft_rules())
    neurons = inline(graph).of_kind("IF", "LIF", "CubaLIF")
    try:
        rewritten = proven(SOFT, graph, side(source), PLAIN, seed)
    except Refused as refusal:
        event(str(refusal.cause))
        assert inline(graph).of_kind("CubaLIF")
        assert refusal.cause in (Cause.SYNAPSE_ORDER, Cause.LEAK_IGNORED, Cause.START)
        return
    assert (rewritten.nodes if rewritten else ()) == neurons
    if rewritten is not None:
        assert spiking(rewritten) == []


@given(cyclic_graphs(), seeds, st.sampled_from(Timing), st.sampled_from(FeedbackBias))
@settings(max_examples=150, deadline=None)
def test_a_feedback_on_a_cycle_leaves_it_as_it_was(graph: Graph, seed: int, timing: Timing, bias: FeedbackBias) -> None:
    source = side(SOFT_RESET.but(timing=timing, feedback_bias=bias))
    try:
        proven(SOFT, graph, source, PLAIN, seed)
        event("rewritten")
    except Refused as refusal:
        event(str(refusal.cause))
        assert refusal.cause is Cause.CYCLE_ORDER


def test_what_is_left_above_the_threshold_is_carried_into_the_next_comparison() -> None:
    source, x = side(SOFT_RESET.but(timing=Timing.CARRIED)), np.abs(stimulus(7, steps=60))
    neurons = layer(r=1.0, tau=4 * DT, v_threshold=1.0)
    rewritten = proven(SOFT, neurons, source, PLAIN)
    assert rewritten is not None
    assert set(rewritten.nodes) == {"n1"}
    graph = rewritten.graph
    kinds = {name: graph.nodes[name].kind for name in graph.nodes if name.startswith("n1_")}
    assert kinds == {
        "n1_membrane": "LI", "n1_reset": "Scale", "n1_less": "Scale", "n1_spent": "Scale", "n1_rest": "Threshold",
        "n1_carry": "Scale", "n1_again": "Scale",
    }  # fmt: skip
    plain = SOFT.rewrite(neurons, side(SOFT_RESET), PLAIN)
    assert plain is not None
    wanted = simulate(neurons, x, DT, source.rules).output
    assert_same_spikes(simulate(graph, x, DT).output, wanted)
    assert not np.array_equal(simulate(plain.graph, x, DT).output, wanted)


def test_a_carried_rest_needs_a_start_below_the_threshold() -> None:
    above = side(SOFT_RESET.but(timing=Timing.CARRIED, start=Start.LEAK))
    refused(SOFT, layer(v_leak=2.0, v_threshold=1.0), above, PLAIN, Cause.START)


def test_a_current_based_neuron_is_its_synapse_before_its_membrane() -> None:
    rewritten = proven(SOFT, layer("CubaLIF"), side(SOFT_RESET), PLAIN)
    assert rewritten is not None
    assert [rewritten.graph.nodes[f"n1_{part}"].kind for part in ("synapse", "membrane")] == ["LI", "LI"]
    refused(SOFT, layer("CubaLIF"), side(SOFT_RESET.but(order=Order.MEMBRANE_FIRST)), PLAIN, Cause.SYNAPSE_ORDER)


@given(graphs(recurrent=True), seeds, soft_rules())
@settings(max_examples=60, deadline=None)
def test_neurons_that_feed_themselves_keep_their_recurrent_weights(graph: Graph, seed: int, source: UpdateRule) -> None:
    try:
        proven(SOFT, graph, side(source), PLAIN, seed)
    except Refused:
        assert inline(graph).of_kind("CubaLIF")


def test_the_composition_is_the_one_of_intended_graphs(tmp_path: Path) -> None:
    network = catalogue("mlp_subtract").build(0)
    nir.write(tmp_path / "intended.nir", network.to_nir())
    intended = read(tmp_path / "intended.nir")
    cells = {each.name: dict(each.parameters()) for each in network.neurons()}
    nodes = {name: each for name, each in intended.primitives() if not name.startswith("lif")}
    shapes = {name: intended.nodes[name]["threshold"].shape for name in cells}  # type: ignore[index]
    values = {name: {key: np.broadcast_to(value, shapes[name]) for key, value in each.items()} for name, each in cells.items()}
    nodes |= {name: node("LIF", **each) for name, each in values.items()}
    edges = (("input", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "lif2"), ("lif2", "output"))
    rewritten = SOFT.rewrite(Graph(nodes, edges), side(SOFT_RESET), PLAIN)
    assert rewritten is not None
    assert sorted(rewritten.graph.edges) == sorted(intended.edges)
    for name, each in intended.primitives():
        assert rewritten.graph.nodes[name].kind == each.kind
        for key, value in each.params.items():
            np.testing.assert_allclose(parameters(rewritten, name)[key], value, rtol=1e-6)


def test_what_a_feedback_carries_depends_on_when_the_reset_comes() -> None:
    for kind, decay in (("LIF", 0.95), ("IF", 1.0)):
        values = {"tau": 2e-3} if kind == "LIF" else {}
        graph = layer(kind, r=4.0, v_threshold=0.8, **values)
        gain = 4.0 * DT / values.get("tau", 1.0)
        for source, share in ((SOFT_RESET, decay), (LATE, 1.0)):
            rewritten = proven(SOFT, graph, side(source), PLAIN)
            np.testing.assert_allclose(parameters(rewritten, "n1_reset")["scale"], -share * 0.8 / gain)
            assert rewritten is not None
            assert rewritten.graph.nodes["n1_membrane"].kind == {"LIF": "LI", "IF": "I"}[kind]


def test_nothing_is_done_where_both_sides_reset_alike_or_the_source_sets_a_value() -> None:
    for source, target in ((SOFT_RESET, SOFT_RESET), (LATE, LATE), (NIR_MEANING, NIR_MEANING), (NIR_MEANING, SOFT_RESET)):
        assert SOFT.rewrite(layer(), side(source), side(target)) is None


def test_a_target_that_subtracts_at_another_time_gets_the_composition() -> None:
    for source, target in ((SOFT_RESET, LATE), (LATE, SOFT_RESET)):
        assert proven(SOFT, layer(), side(source), side(target)) is not None


def test_names_that_are_taken_are_left_to_those_that_have_them() -> None:
    graph = layer()
    nodes = {**graph.nodes, "n1_membrane": node("Linear", weight=np.eye(4))}
    edges = tuple((start, "n1_membrane" if end == "output" else end) for start, end in graph.edges)
    rewritten = proven(SOFT, Graph(nodes, (*edges, ("n1_membrane", "output"))), side(SOFT_RESET), PLAIN)
    assert rewritten is not None
    assert rewritten.graph.nodes["n1_membrane"].kind == "Linear"


def test_a_layer_that_fires_at_its_threshold_has_the_next_float_and_subtracts_the_threshold() -> None:
    at = SOFT_RESET.but(comparison=Comparison.AT_OR_ABOVE)
    cell = node("LIF", tau=[2 * DT], r=[2.0], v_leak=[0.0], v_threshold=[1.0], v_reset=[0.0])
    graph = chain(node("Linear", weight=[[0.25, 0.5, 0.25]]), cell, size=3)
    x = np.random.default_rng(0).integers(0, 2, (16, 4, 3)).astype(np.float64)
    rewritten = SOFT.rewrite(graph, side(at), PLAIN)
    wanted = simulate(graph, x, DT, at)
    assert rewritten is not None
    assert_same_spikes(simulate(rewritten.graph, x, DT).spikes["n1"], wanted.spikes["n1"])
    assert (simulate(graph, x, DT, SOFT_RESET).spikes["n1"] != wanted.spikes["n1"]).any()
    np.testing.assert_array_equal(parameters(rewritten, "n1_reset")["scale"], [-0.5])


def test_a_target_without_scale_gets_a_diagonal_layer() -> None:
    known = {"LI": TAKEN, "Threshold": TAKEN, "Scale": NOT_TAKEN, "Linear": TAKEN}
    rewritten = proven(SOFT, layer(), side(SOFT_RESET), side(NIR_MEANING, domain=known))
    weight = parameters(rewritten, "n1_reset")["weight"]
    assert (weight == np.diag(np.diag(weight))).all()


@pytest.mark.parametrize("lacking", [("LI", "Linear", "Affine"), ("Threshold", "LIF"), ("Scale", "Linear", "Affine")])
def test_a_target_that_lacks_a_part_and_what_stands_for_it_is_refused(lacking: tuple[str, ...]) -> None:
    known = dict.fromkeys(("LI", "Threshold", "Scale", "Linear", "Affine", "LIF"), TAKEN)
    refused(
        SOFT, layer(), side(SOFT_RESET), side(NIR_MEANING, domain=known | dict.fromkeys(lacking, NOT_TAKEN)), Cause.RESET_KIND
    )
    for each in lacking:
        assert SOFT.rewrite(layer(), side(SOFT_RESET), side(NIR_MEANING, domain=known | {each: NOT_TAKEN})) is not None


@pytest.mark.parametrize(
    ("axis", "value", "cause"),
    [
        ("spikes", SpikesPerStep.MANY, Cause.SPIKES_PER_STEP),
        ("floor", Floor.MINUS_THRESHOLD, Cause.FLOOR),
        ("spike_from", SpikeFrom.PREVIOUS, Cause.LAYER_DELAY),
        ("precision", Precision.FIXED, Cause.ROUNDING),
        ("start", Start.RESET, Cause.START),
    ],
    ids=str,
)
def test_a_neuron_that_does_more_is_refused(axis: str, value: Axis, cause: Cause) -> None:
    refused(SOFT, layer(), side(SOFT_RESET.but(**{axis: value})), PLAIN, cause)


@pytest.mark.parametrize(
    ("axes", "cause"),
    [
        ({"decay": Decay.EXPONENTIAL}, Cause.DECAY),
        ({"gain": Gain.ONE}, Cause.GAIN),
        ({"leak": LeakUse.IGNORED}, Cause.LEAK_IGNORED),
        ({"start": Start.LEAK}, Cause.START),
    ],
    ids=str,
)
def test_a_source_whose_li_is_not_its_lif_is_refused(axes: dict[str, Axis], cause: Cause) -> None:
    source = Side("source", DT, {"LIF": SOFT_RESET, "LI": NIR_MEANING.but(**axes)})
    refused(SOFT, layer(), source, PLAIN, cause)


def test_a_gain_that_the_lif_has_and_the_li_has_not_is_in_its_r() -> None:
    source = Side("source", DT, {"LIF": SOFT_RESET.but(resistance=Use.IGNORED)})
    np.testing.assert_allclose(parameters(proven(SOFT, layer(), source, PLAIN), "n1_membrane")["r"], 1)


def test_thresholds_below_zero_and_gains_of_zero_are_refused() -> None:
    refused(SOFT, layer(v_threshold=-0.5, v_reset=-1.0), side(SOFT_RESET), PLAIN, Cause.START)
    refused(SOFT, layer(r=0.0), side(SOFT_RESET), PLAIN, Cause.GAIN)
    assert proven(SOFT, layer(v_threshold=0.0, v_reset=-1.0), side(SOFT_RESET), PLAIN) is not None
    at = SOFT_RESET.but(comparison=Comparison.AT_OR_ABOVE)
    refused(SOFT, layer(v_threshold=0.0, v_reset=-1.0), side(at), PLAIN, Cause.START)


@pytest.mark.parametrize("name", ["norse", "snntorch"])
def test_a_library_that_subtracts_is_reproduced_by_a_target_that_does_not(name: str) -> None:
    cell = {key: np.full(4, value) for key, value in {"tau": 2e-3, "r": 1.0, "v_leak": 0.0, "v_reset": 0.0}.items()}
    rng = np.random.default_rng(1)
    weights = [
        node("Affine", weight=np.float32(rng.normal(3, 1.5, (4, size))), bias=np.zeros(4, np.float32)) for size in (3, 4)
    ]
    lif = node("LIF", **cell, v_threshold=np.ones(4))
    graph, x = chain(weights[0], lif, weights[1], lif, size=3), np.abs(stimulus(2, steps=80)).astype(np.float32)
    live = running(name)
    wanted = live.native(Reset.SUBTRACT, Idiom.PORTABLE)(graph, x, DT)
    before = reconcile(graph, Side(name, DT, {"LIF": SOFT_RESET}), Side("nir", DT), x, (), wanted=wanted)
    after = reconcile(graph, Side(name, DT, {"LIF": SOFT_RESET}), Side("nir", DT), x, COMPOSITIONS, wanted=wanted)
    assert before.predicted
    assert after.exact
    assert [each.name for each in after.passes] == ["soft_reset_as_composition"]


@pytest.mark.parametrize("target", [{"decay": Decay.EXPONENTIAL}, {"resistance": Use.IGNORED}, {"gain": Gain.ONE}], ids=str)
@pytest.mark.parametrize("timing", Timing)
def test_passes_about_steps_and_gains_keep_the_feedback_what_it_is(target: dict[str, Axis], timing: Timing) -> None:
    source, x = side(SOFT_RESET.but(timing=timing)), np.abs(stimulus(5, steps=60))
    passes = (*COMPOSITIONS, *STEPS, *GAINS)
    plan = reconcile(layer(), source, side(NIR_MEANING.but(**target), 1e-3), x, passes)
    assert plan.exact
    assert not plan.remaining


def test_a_neuron_of_another_layer_keeps_its_reset() -> None:
    nodes = {"input": port("Input", 3), "w": node("Linear", weight=RNG.normal(1, 1, (3, 3))), "a": neuron("LIF", 3, RNG)}
    nodes |= {"b": neuron("IF", 3, RNG), "output": port("Output", 3)}
    edges = (("input", "w"), ("w", "a"), ("w", "b"), ("a", "output"), ("b", "output"))
    source = Side("source", DT, {**dict.fromkeys(NEURONS, NIR_MEANING), "LIF": SOFT_RESET})
    rewritten = proven(SOFT, Graph(nodes, edges), source, PLAIN)
    assert rewritten is not None
    assert rewritten.nodes == ("a",)
    assert spiking(rewritten) == ["b"]
