"""Gains and thresholds folded into weights: the same spikes wherever the conditions hold, a refusal just outside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.compare import assert_same_spikes
from nir_interop.fingerprint import Identified, NeuronCondition, Refusal
from nir_interop.graphs import Graph, Node, inline
from nir_interop.reconcile.gains import GAINS
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, FeedbackBias, Gain, LeakUse, Precision, TimeStep, UpdateRule, Use
from nir_interop.vocabulary import Cause
from tests.conditions import AT_ONE, MATCHED, OFF, ONE, at, off_zero, spread
from tests.reconcile.pass_checks import parameters, proven, refused, rules, side
from tests.strategies import DT, chain, cyclic_graphs, graphs, lif, neuron, node, port

FOLD_R, FOLD_W, ONE_THRESHOLD = GAINS
RNG = np.random.default_rng(0)
seeds = st.integers(0, 2**32 - 1)
no_leaky_synapse = st.sampled_from([LeakUse.USED, LeakUse.IGNORED, LeakUse.ADDED])
uses = st.sampled_from([Use.USED, Use.IGNORED])
gains = st.sampled_from(Gain)


def dense(outputs: int, inputs: int, **bias: np.ndarray) -> Node:
    return node("Affine" if bias else "Linear", weight=RNG.normal(0.5, 1, (outputs, inputs)), **bias)


def domain(*declined: NeuronCondition, kind: str = "LIF") -> dict[str, dict[str, Identified]]:
    return {"domain": {kind: Identified(NIR_MEANING, refusals=tuple(Refusal(each, "refused", "no") for each in declined))}}


@given(st.data(), graphs(), seeds)
@settings(max_examples=60, deadline=None)
def test_a_resistance_that_the_target_does_not_use_is_in_the_weights(data: st.DataObject, graph: Graph, seed: int) -> None:
    source = data.draw(rules(leak=data.draw(no_leaky_synapse)))
    target = source.but(resistance=data.draw(st.sampled_from(Use)), gain=data.draw(gains))
    proven(FOLD_R, graph, side(source), side(target), seed)


@given(st.data(), graphs(), seeds)
@settings(max_examples=60, deadline=None)
def test_an_input_weight_that_the_target_does_not_use_is_in_the_weights(data: st.DataObject, graph: Graph, seed: int) -> None:
    source = data.draw(rules())
    target = source.but(input_weight=data.draw(uses), synapse_gain=data.draw(gains))
    proven(FOLD_W, graph, side(source), side(target), seed)


@given(st.data(), graphs(), seeds)
@settings(max_examples=60, deadline=None)
def test_thresholds_become_one(data: st.DataObject, graph: Graph, seed: int) -> None:
    source = data.draw(rules())
    rewritten = proven(ONE_THRESHOLD, graph, side(source), side(source.but(threshold=Use.COLLAPSED)), seed)
    for _, each in (rewritten.graph if rewritten else inline(graph)).primitives():
        if rewritten and "v_threshold" in each.params:
            assert np.unique(each["v_threshold"]).size == 1


@given(st.sampled_from([FOLD_R, ONE_THRESHOLD]), cyclic_graphs(), seeds, st.sampled_from(FeedbackBias))
@settings(max_examples=120, deadline=None)
def test_what_is_not_refused_on_a_graph_with_cycles_is_exact(one: Pass, graph: Graph, seed: int, bias: FeedbackBias) -> None:
    source = NIR_MEANING.but(feedback_bias=bias)
    try:
        proven(one, graph, side(source), side(source.but(resistance=Use.IGNORED, threshold=Use.COLLAPSED)), seed)
    except Refused as refusal:
        assert refusal.cause is Cause.CYCLE_ORDER


IGNORED = NIR_MEANING.but(resistance=Use.IGNORED)
W_IGNORED = NIR_MEANING.but(input_weight=Use.IGNORED)
COLLAPSED = NIR_MEANING.but(threshold=Use.COLLAPSED)


def test_a_target_that_ignores_r_is_given_one() -> None:
    lif = neuron("LIF", 4, RNG)
    rewritten = proven(FOLD_R, chain(dense(4, 3), lif, size=3), side(NIR_MEANING), side(IGNORED))
    assert (parameters(rewritten, "n1")["r"] == 1).all()
    assert rewritten and rewritten.nodes == ("n0", "n1")


def test_a_target_that_takes_no_r_off_one_is_given_tau_over_dt() -> None:
    lif = neuron("LIF", 4, RNG)
    rewritten = proven(FOLD_R, chain(dense(4, 3), lif, size=3), side(NIR_MEANING), side(NIR_MEANING, **domain(at(OFF))))
    np.testing.assert_allclose(parameters(rewritten, "n1")["r"], lif["tau"] / DT)
    only_one = side(NIR_MEANING, **domain(at(OFF), at(MATCHED)))
    rewritten = proven(FOLD_R, chain(dense(4, 3), lif, size=3), side(NIR_MEANING), only_one)
    assert (parameters(rewritten, "n1")["r"] == 1).all()
    refused(
        FOLD_R,
        chain(dense(4, 3), lif, size=3),
        side(NIR_MEANING),
        side(NIR_MEANING, **domain(at(OFF), at(MATCHED), at(ONE))),
        Cause.UNSUPPORTED,
    )


def test_a_target_that_takes_r_as_it_is_is_left_alone() -> None:
    graph = chain(dense(4, 3), neuron("LIF", 4, RNG), size=3)
    assert (
        proven(FOLD_R, graph, side(NIR_MEANING), side(NIR_MEANING, **domain(at(ONE), off_zero("v_leak", gains=AT_ONE)))) is None
    )
    assert proven(FOLD_W, graph, side(NIR_MEANING), side(W_IGNORED)) is None


def test_a_target_with_a_step_of_its_own_is_given_r_that_matches_it() -> None:
    fixed = NIR_MEANING.but(time_step=TimeStep.FIXED)
    known = domain(at(OFF, OFF), at(OFF, MATCHED), at(ONE, ONE), at(MATCHED, MATCHED), kind="CubaLIF")
    cell = neuron("CubaLIF", 4, RNG)
    graph = chain(dense(4, 3), cell, size=3)
    rewritten = proven(FOLD_R, graph, side(fixed, 1e-3), side(fixed, 1e-3, **known))
    np.testing.assert_allclose(parameters(rewritten, "n1")["r"], cell["tau_mem"] / 1e-4)
    assert proven(FOLD_W, graph, side(fixed, 1e-3), side(fixed, 1e-3, **known)) is None


def shared() -> Graph:
    """One weight that feeds two neurons, and a loop without a weight."""
    nodes = {"in": port("Input", 3), "w": dense(3, 3, bias=RNG.normal(size=3)), "out": port("Output", 3)}
    nodes |= {"a": neuron("LIF", 3, RNG), "b": neuron("LIF", 3, RNG)}
    return Graph(nodes, (("in", "w"), ("w", "a"), ("w", "b"), ("a", "b"), ("a", "a"), ("b", "out")))


@pytest.mark.parametrize(("one", "target"), [(FOLD_R, IGNORED), (ONE_THRESHOLD, COLLAPSED)], ids=["r", "threshold"])
def test_a_shared_weight_is_copied_and_a_bare_edge_gets_a_weight(one: Pass, target: UpdateRule) -> None:
    rewritten = proven(one, shared(), side(NIR_MEANING), side(target))
    assert isinstance(rewritten, Rewritten)
    assert {"w>a", "a>a", "a>b"} <= set(rewritten.graph.nodes)
    assert set(rewritten.nodes) == {"a", "b", "w"}


def test_a_copy_that_would_move_the_waiting_edge_of_a_cycle_is_refused() -> None:
    nodes = {"in": port("Input", 3), "w": dense(3, 3), "out": port("Output", 3)}
    nodes |= {"a": neuron("LIF", 3, RNG), "b": neuron("LIF", 3, RNG)}
    graph = Graph(nodes, (("in", "w"), ("w", "a"), ("a", "w"), ("w", "b"), ("b", "out")))
    refused(FOLD_R, graph, side(NIR_MEANING), side(IGNORED), Cause.CYCLE_ORDER)


def conv(**bias: np.ndarray) -> Node:
    still = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}
    return node("Conv2d", weight=RNG.normal(0.5, 1, (2, 1, 1, 3)), bias=RNG.normal(size=2), **still, input_shape=[1, 5])


def picture(*between: Node, r: np.ndarray) -> Graph:
    """Three inputs made two channels of 1 x 3 by a convolution and, after other nodes, a LIF; then joined again."""
    same = np.ones_like(r)
    cell = lif(same.shape, tau=1e-3, r=r)
    nodes = {"input": node("Input", shape=[1, 1, 5]), "output": node("Output", shape=r.shape)}
    named = {f"n{number}": each for number, each in enumerate([*between, cell])}
    names = ["input", *named, "output"]
    return Graph(nodes | named, tuple(itertools.pairwise(names)))


def folded(graph: Graph) -> Rewritten | None:
    return FOLD_R.rewrite(graph, side(NIR_MEANING), side(IGNORED))


def test_channels_of_a_convolution_are_scaled_each_by_its_own() -> None:
    graph = picture(conv(), r=np.array([8.0, 20.0]).reshape(2, 1, 1) * np.ones((2, 1, 3)))
    rewritten, x = folded(graph), np.random.default_rng(1).normal(0.5, 1, (30, 2, 1, 1, 5))
    assert rewritten is not None
    wanted, made = simulate(graph, x, DT).output, simulate(rewritten.graph, x, DT, dict.fromkeys(["LIF"], IGNORED)).output
    assert wanted.any()
    assert_same_spikes(made, wanted)


def test_a_ratio_that_differs_within_a_channel_is_refused() -> None:
    with pytest.raises(Refused, match="within a channel"):
        folded(picture(conv(), r=RNG.uniform(1, 2, (2, 1, 3))))


def test_a_picture_without_a_weight_before_it_is_refused() -> None:
    pool = node("SumPool2d", kernel_size=[1, 3], stride=[1, 1], padding=[0, 0])
    lone = node("Threshold", threshold=np.array(0.5))
    with pytest.raises(Refused, match="without a weight") as caught:
        folded(picture(conv(), lone, pool, r=np.full((2, 1, 1), 2.0)))
    assert caught.value.cause is Cause.RESISTANCE_IGNORED
    assert caught.value.nodes == ("n2", "n3")


def test_a_synapse_that_leaks_is_refused() -> None:
    graph = chain(dense(4, 3), neuron("CubaLIF", 4, RNG), size=3)
    on_synapse = NIR_MEANING.but(leak=LeakUse.ON_SYNAPSE)
    refused(FOLD_R, graph, side(on_synapse), side(on_synapse.but(resistance=Use.IGNORED)), Cause.LEAK_ON_SYNAPSE)


def test_a_step_guessed_from_r_is_refused() -> None:
    guessed = NIR_MEANING.but(time_step=TimeStep.INFERRED)
    graph = chain(dense(4, 3), neuron("LIF", 4, RNG), size=3)
    refused(FOLD_R, graph, side(guessed), side(guessed.but(resistance=Use.IGNORED)), Cause.DT_GUESSED)


def test_a_target_that_lets_no_input_in_is_refused() -> None:
    lif = node("LIF", tau=np.full(3, DT), r=np.ones(3), v_leak=np.zeros(3), v_threshold=np.ones(3), v_reset=np.zeros(3))
    refused(FOLD_R, chain(dense(3, 3), lif, size=3), side(NIR_MEANING), side(NIR_MEANING.but(gain=Gain.JUMP)), Cause.GAIN)


@pytest.mark.parametrize(
    ("one", "target", "kind"),
    [(FOLD_R, IGNORED, "LIF"), (FOLD_W, W_IGNORED, "CubaLIF"), (ONE_THRESHOLD, COLLAPSED, "LIF")],
    ids=["r", "w_in", "threshold"],
)
def test_fixed_point_is_refused(one: Pass, target: UpdateRule, kind: str) -> None:
    graph = chain(dense(4, 3), neuron(kind, 4, RNG), size=3)
    fixed = {"precision": Precision.FIXED}
    refused(one, graph, side(NIR_MEANING.but(**fixed)), side(target.but(**fixed)), Cause.ROUNDING)


def test_thresholds_of_both_signs_are_refused() -> None:
    lif = neuron("LIF", 3, RNG)
    for wrong in ([1.0, -1.0, 2.0], [0.0, 1.0, 2.0]):
        graph = chain(
            dense(3, 3), Node("LIF", {**lif.params, "v_threshold": np.array(wrong), "v_reset": np.full(3, -2.0)}), size=3
        )
        refused(ONE_THRESHOLD, graph, side(NIR_MEANING), side(COLLAPSED), Cause.THRESHOLD_COLLAPSED)


def test_a_source_that_had_one_threshold_gives_it_to_all_without_scaling() -> None:
    graph = chain(dense(4, 3), neuron("LIF", 4, RNG), size=3)
    rewritten = proven(ONE_THRESHOLD, graph, side(COLLAPSED), side(NIR_MEANING))
    assert rewritten and rewritten.nodes == ("n1",)


def test_thresholds_that_the_target_refuses_become_one() -> None:
    graph = chain(dense(4, 3), neuron("LIF", 4, RNG), size=3)
    known = domain(spread("v_threshold", gains=AT_ONE))
    assert (
        np.unique(
            parameters(proven(ONE_THRESHOLD, graph, side(NIR_MEANING), side(NIR_MEANING, **known)), "n1")["v_threshold"]
        ).size
        == 1
    )
    assert proven(ONE_THRESHOLD, graph, side(NIR_MEANING), side(NIR_MEANING)) is None
