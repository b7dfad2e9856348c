"""Scale, Threshold and Delay in the words of targets that have none for them: the same numbers, or a refusal."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.fingerprint import Domain, Identified, NeuronCondition, Refusal, Subject, Wiring
from nir_interop.graphs import Graph, Node, digest, inline
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reconcile.substitutes import SUBSTITUTES
from nir_interop.reference import simulate
from nir_interop.rule import (
    NIR_MEANING,
    Comparison,
    Decay,
    FeedbackBias,
    Gain,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause
from tests.conditions import AT_ONE
from tests.reconcile.pass_checks import parameters, proven, refused, rules, side
from tests.strategies import DT, chain, cyclic_graphs, graphs, neuron, node, port

SCALE, THRESHOLD, DELAY = SUBSTITUTES
SEEDS = st.integers(0, 2**32 - 1)
RNG = np.random.default_rng(0)
WITHOUT: dict[Subject, Identified] = {kind: Identified(NIR_MEANING, 0) for kind in ("Scale", "Threshold", "Delay")}
READY = {"spikes": SpikesPerStep.ONE, "spike_from": SpikeFrom.UPDATED, "timing": Timing.SAME_STEP}
HARD = READY | {"reset": ResetKind.TO_VALUE}
EULER = READY | {"gain": Gain.STEP, "threshold": Use.USED, "comparison": Comparison.ABOVE}


def target(rule: UpdateRule = NIR_MEANING, domain: Mapping[Subject, Identified] = WITHOUT, **known: Identified) -> Side:
    return side(rule, domain={**domain, **known})


def why_unsupported(
    one: Pass,
    graph: Graph,
    rule: UpdateRule = NIR_MEANING,
    other: UpdateRule | None = None,
    domain: Mapping[Subject, Identified] = WITHOUT,
    **known: Identified,
) -> str:
    return refused(one, graph, side(rule), target(other or rule, domain, **known), Cause.UNSUPPORTED).why


def proven_maps(graph: Graph, seed: int = 0) -> Graph:
    """What becomes of Scales of feature maps, where the output is the same."""
    before = digest(graph)
    rewritten = SCALE.rewrite(graph, side(NIR_MEANING), target())
    assert isinstance(rewritten, Rewritten) and digest(graph) == before
    x = np.random.default_rng(seed).normal(0, 1, (5, 2, 2, 6, 6))
    wanted, made = (simulate(each, x, DT).output for each in (graph, rewritten.graph))
    assert wanted is not None and made is not None
    np.testing.assert_allclose(made, wanted, rtol=1e-9, atol=1e-12)
    assert not rewritten.graph.of_kind("Scale")
    return rewritten.graph


@given(st.data(), graphs(), SEEDS)
@settings(max_examples=40, deadline=None)
def test_a_scale_of_a_vector_is_a_linear(data: st.DataObject, graph: Graph, seed: int) -> None:
    rule = data.draw(rules())
    rewritten = proven(SCALE, graph, side(rule), target(rule), seed)
    assert (rewritten is None) == (not inline(graph).of_kind("Scale"))
    assert rewritten is None or not rewritten.graph.of_kind("Scale")


@given(st.sampled_from(SUBSTITUTES), cyclic_graphs(), SEEDS, st.sampled_from(FeedbackBias))
@settings(max_examples=250, deadline=None)
def test_what_is_not_refused_on_a_graph_with_cycles_is_exact(one: Pass, graph: Graph, seed: int, bias: FeedbackBias) -> None:
    rule = NIR_MEANING.but(feedback_bias=bias)
    try:
        proven(one, graph, side(rule), target(rule), seed)
    except Refused as refusal:
        assert refusal.cause is Cause.UNSUPPORTED


def image(*parts: Node, scale: int) -> Graph:
    """Maps of (2, 6, 6) through nodes; the factors of the one at ``scale`` are as given, and others' are theirs."""
    named = {f"n{number}": each for number, each in enumerate(parts)}
    ends = {"input": node("Input", shape=[2, 6, 6]), "output": node("Output", shape=[3])}
    path = ["input", *named, "output"]
    assert parts[scale].kind == "Scale"
    return Graph(ends | named, tuple(itertools.pairwise(path)))


def conv(out: int, into: int, groups: int = 1) -> Node:
    weight = RNG.normal(0, 1, (out, into // groups, 3, 3))
    whole = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": groups}
    return node("Conv2d", weight=weight, bias=RNG.normal(0, 1, out), **whole)


POOL = node("AvgPool2d", kernel_size=[2, 2], stride=[2, 2], padding=[0, 0])
FLATTEN = node("Flatten", start_dim=0, end_dim=-1)
PER_CHANNEL = np.broadcast_to(RNG.uniform(0.5, 2, (4, 1, 1)), (4, 6, 6)).copy()
FACTORS = RNG.uniform(0.5, 2, (4, 3, 3))


def dense(size: int) -> Node:
    return node("Affine", weight=RNG.normal(0, 1, (3, size)), bias=RNG.normal(0, 1, 3))


@pytest.mark.parametrize(
    "parts",
    [
        (conv(4, 2), node("Scale", scale=PER_CHANNEL), POOL, FLATTEN, dense(36)),
        (conv(4, 2), POOL, node("Scale", scale=PER_CHANNEL[:, :3, :3]), FLATTEN, dense(36)),
        (conv(4, 2), POOL, node("Scale", scale=FACTORS), FLATTEN, dense(36)),
        (node("Scale", scale=PER_CHANNEL[:2]), conv(4, 2, groups=2), POOL, FLATTEN, dense(36)),
        (node("Scale", scale=0.5), conv(4, 2), POOL, FLATTEN, dense(36)),
    ],
    ids=["behind weights", "behind a pool", "before dense weights", "before grouped weights", "one factor"],
)
def test_the_factors_of_a_feature_map_are_in_the_weights_beside_it(parts: tuple[Node, ...]) -> None:
    graph = image(*parts, scale=next(number for number, each in enumerate(parts) if each.kind == "Scale"))
    assert len(proven_maps(graph).nodes) == len(graph.nodes) - 1


def test_a_feature_map_without_weights_beside_it_is_refused() -> None:
    alone = image(POOL, node("Scale", scale=RNG.uniform(0.5, 2, (2, 3, 3))), POOL, FLATTEN, dense(2), scale=1)
    assert "feature map" in why_unsupported(SCALE, alone)
    spread = image(node("Scale", scale=RNG.uniform(0.5, 2, (2, 6, 6))), conv(4, 2), POOL, FLATTEN, dense(36), scale=0)
    assert "feature map" in why_unsupported(SCALE, spread)


def test_a_scale_around_which_another_edge_leads_keeps_its_own_weights() -> None:
    graph = image(conv(4, 2), node("Scale", scale=PER_CHANNEL), POOL, FLATTEN, dense(36), scale=1)
    made = proven_maps(Graph(graph.nodes, (*graph.edges, ("n0", "n2"))))
    assert {"n0", "n0>n1"} == set(made.into("n2"))


@given(st.data(), graphs(), SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_threshold_is_a_neuron_that_keeps_nothing(data: st.DataObject, graph: Graph, seed: int) -> None:
    decays, steps = (Decay.EULER, Decay.EULER_CLAMPED), (TimeStep.GIVEN, TimeStep.FIXED)
    drawn = {"decay": data.draw(st.sampled_from(decays)), "time_step": data.draw(st.sampled_from(steps))}
    rule = data.draw(rules(**EULER, **drawn, feedback_bias=FeedbackBias.ABSENT))
    rewritten = proven(THRESHOLD, thresholded(graph, seed), side(rule), target(rule), seed)
    assert rewritten is not None and not rewritten.graph.of_kind("Threshold")


def thresholded(graph: Graph, seed: int) -> Graph:
    """A graph whose output is compared with thresholds before it goes out."""
    flat = inline(graph)
    (out,) = flat.of_kind("Output")
    size = int(flat.nodes[out]["shape"][0])  # type: ignore[index]
    levels = node("Threshold", threshold=np.random.default_rng(seed).uniform(0.1, 1.0, size))
    edges = tuple((start, "levels" if end == out else end) for start, end in flat.edges)
    return Graph({**flat.nodes, "levels": levels}, (*edges, ("levels", out)))


LEVELS = chain(node("Linear", weight=np.eye(3)), node("Threshold", threshold=np.array([0.25, 0.1, 2.0])), size=3)


def test_at_a_threshold_only_what_is_above_it_fires() -> None:
    x = np.broadcast_to(np.array([0.25, 0.1, 2.0], dtype=np.float32), (3, 1, 3))
    above = np.nextafter(x, np.float32(np.inf))
    for comparison in Comparison:
        rule = NIR_MEANING.but(comparison=comparison)
        rewritten = THRESHOLD.rewrite(LEVELS, side(rule), target(rule))
        assert isinstance(rewritten, Rewritten)
        for stimulus in (x, above):
            wanted, made = (simulate(each, stimulus, DT, {"LIF": rule}).output for each in (LEVELS, rewritten.graph))
            assert_same_spikes(made, wanted)


def test_a_time_constant_is_a_step_or_just_above() -> None:
    below = NeuronCondition(below_step=frozenset({"tau"}), gains=AT_ONE)
    above = Identified(NIR_MEANING, 9, refusals=(Refusal(below, "refused", ""),))
    assert (parameters(proven(THRESHOLD, LEVELS, side(NIR_MEANING), target()), "n1")["tau"] == DT).all()
    tau = parameters(proven(THRESHOLD, LEVELS, side(NIR_MEANING), target(LIF=above)), "n1")["tau"]
    assert (tau / DT > 1).all() and (np.float32(1) - np.float32(DT / tau) == 0).all()


@pytest.mark.parametrize(
    "axis",
    [
        {"decay": Decay.EXPONENTIAL},
        {"gain": Gain.JUMP},
        {"timing": Timing.NEXT_STEP},
        {"spike_from": SpikeFrom.PREVIOUS},
        {"spikes": SpikesPerStep.MANY},
        {"threshold": Use.COLLAPSED},
        {"time_step": TimeStep.INFERRED},
        {"precision": Precision.FIXED},
        {"comparison": Comparison.AT_OR_ABOVE},
    ],
    ids=str,
)
def test_a_rule_without_a_memoryless_neuron_is_refused_on_either_side(axis: dict[str, object]) -> None:
    other = NIR_MEANING.but(**axis)  # type: ignore[arg-type]
    assert "no neuron does for one" in why_unsupported(THRESHOLD, LEVELS, other, NIR_MEANING)
    assert "no neuron does for one" in why_unsupported(THRESHOLD, LEVELS, NIR_MEANING, other)


def test_a_threshold_of_silence_and_one_that_a_cycle_begins_with_are_refused() -> None:
    assert "silence" in why_unsupported(THRESHOLD, chain(node("Threshold", threshold=np.array([0.5, 0.0, 1.0])), size=3))
    assert "takes no LIF" in why_unsupported(THRESHOLD, LEVELS, LIF=Identified(NIR_MEANING, 0))
    nodes = {"in": port("Input", 3), "a": neuron("LIF", 3, RNG), "b": LEVELS.nodes["n1"], "out": port("Output", 3)}
    edges = (("in", "a"), ("a", "b"), ("b", "a"), ("b", "out"))
    assert proven(THRESHOLD, Graph(nodes, edges), side(NIR_MEANING), target()) is not None
    loop = Graph(nodes | {"a": node("Affine", weight=np.eye(3), bias=np.ones(3))}, edges)
    assert "cycle" in why_unsupported(THRESHOLD, loop)
    absent = NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT)
    assert proven(THRESHOLD, loop, side(absent), target(absent)) is not None


def test_a_first_lif_that_would_silence_a_cycle_is_refused() -> None:
    nodes = {"in": port("Input", 3), "a": neuron("IF", 3, RNG), "w": node("Affine", weight=np.eye(3), bias=np.ones(3))}
    graph = Graph(
        nodes | {"t": LEVELS.nodes["n1"], "out": port("Output", 3)},
        (("in", "a"), ("a", "w"), ("w", "a"), ("a", "t"), ("t", "out")),
    )
    absent = {"IF": NIR_MEANING, "LIF": NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT)}
    with pytest.raises(Refused, match="leaves biases of cycles out"):
        THRESHOLD.rewrite(graph, Side("mixed", DT, absent), Side("mixed", DT, absent, Domain(WITHOUT)))


@given(st.data(), SEEDS, st.sampled_from(["LIF", "IF", "CubaLIF", "Threshold"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_spikes_are_late_by_each_element_s_steps(data: st.DataObject, seed: int, kind: str, fed_back: bool) -> None:
    rng = np.random.default_rng(seed)
    rule, size = data.draw(rules(**HARD)), int(rng.integers(1, 5))
    cell = node("Threshold", threshold=rng.uniform(0, 1, size)) if kind == "Threshold" else neuron(kind, size, rng)
    waits = node("Delay", delay=DT * rng.integers(0, 5, size))
    graph = chain(node("Linear", weight=rng.normal(0.5, 1, (size, 3))), cell, waits, dense(size), size=3)
    if fed_back and kind != "Threshold":
        graph = Graph(
            {**graph.nodes, "back": node("Linear", weight=np.eye(size))}, (*graph.edges, ("n1", "back"), ("back", "n1"))
        )
    rewritten = proven(DELAY, graph, side(rule), target(rule), seed)
    assert rewritten is not None and not rewritten.graph.of_kind("Delay")


def delayed(source: Node, *edges: tuple[str, str]) -> Graph:
    graph = chain(source, node("Delay", delay=np.array([0.0, 1.0, 3.0]) * DT), size=3)
    return Graph(graph.nodes, (*graph.edges, *edges))


def test_a_delay_takes_a_relay_for_each_step_and_one_to_hear_with() -> None:
    rewritten = proven(DELAY, delayed(neuron("LIF", 3, RNG)), side(NIR_MEANING), target())
    made = parameters(rewritten, "n1_relays")
    assert made["tau"].shape == (1 + 2 + 4,)
    assert parameters(rewritten, "n1_back")["weight"].sum() == 0 + 1 + 3


def test_a_delay_of_what_is_no_spike_or_several_and_on_a_cycle_is_refused() -> None:
    spikes = "one spike a step or none"
    cell = neuron("LIF", 3, RNG)
    for graph in (delayed(neuron("LI", 3, RNG)), delayed(cell, ("input", "n1"))):
        assert spikes in why_unsupported(DELAY, graph)
    assert spikes in why_unsupported(DELAY, delayed(cell), NIR_MEANING.but(spikes=SpikesPerStep.MANY))
    assert "order" in why_unsupported(DELAY, delayed(cell, ("n1", "n0")))
    assert "forgets" in why_unsupported(DELAY, delayed(cell), NIR_MEANING.but(reset=ResetKind.SUBTRACT))
    without = {**WITHOUT, Wiring.RECURRENCE: Identified(NIR_MEANING, 0)}
    assert "feeds itself" in why_unsupported(DELAY, delayed(cell), domain=without)
    long = chain(cell, node("Delay", delay=np.full(3, 0.5)), size=3)
    assert "15003" in why_unsupported(DELAY, long)


def test_what_the_target_takes_or_is_not_known_to_refuse_stays() -> None:
    taken = {kind: Identified(NIR_MEANING, 9) for kind in WITHOUT}
    graph = delayed(LEVELS.nodes["n1"])  # type: ignore[arg-type]
    for one in SUBSTITUTES:
        assert one.rewrite(graph, side(NIR_MEANING), side(NIR_MEANING, domain=taken)) is None
        assert one.rewrite(graph, side(NIR_MEANING), side(NIR_MEANING)) is None
