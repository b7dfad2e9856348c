"""An IF written as a LIF, thresholds moved by a float: the same spikes where the conditions hold, a refusal just outside."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.fingerprint import Identified, Refusal
from nir_interop.graphs import NEURONS, Graph, Node, inline, validate
from nir_interop.reconcile.gains import GAINS, NEURON_PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.time_constants import INTEGRATORS
from nir_interop.reference import simulate
from nir_interop.rule import (
    NIR_MEANING,
    Axis,
    Comparison,
    Decay,
    FeedbackBias,
    Floor,
    Gain,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause
from tests.conditions import ONE, at
from tests.known import fingerprint_of, running
from tests.reconcile.pass_checks import parameters, proven, refused, rules, side
from tests.strategies import DT, chain, cyclic_graphs, graphs, neuron, node, stimulus

(NEXT_FLOAT,) = NEURON_PASSES
AS_LEAKY, _ = INTEGRATORS
RNG = np.random.default_rng(0)
TAKEN, NOT_TAKEN = Identified(NIR_MEANING, 100), Identified(NIR_MEANING, refusals=(Refusal(at(ONE), "refused", "no IF"),))
NO_IF = {"domain": {"IF": NOT_TAKEN, "LIF": TAKEN}}
ABOVE, AT_OR_ABOVE = NIR_MEANING, NIR_MEANING.but(comparison=Comparison.AT_OR_ABOVE)
seeds = st.integers(0, 2**32 - 1)


def integrators(size: int = 4, **values: object) -> Graph:
    """A layer of IF."""
    cell = neuron("IF", size, RNG)
    cell = Node("IF", {**cell.params, **{name: np.broadcast_to(value, size) for name, value in values.items()}})
    return chain(node("Linear", weight=RNG.normal(0.5, 1, (size, 3))), cell, size=3)


@given(st.data(), graphs(), seeds)
@settings(max_examples=80, deadline=None)
def test_an_if_is_a_lif_that_does_not_leak(data: st.DataObject, graph: Graph, seed: int) -> None:
    free = {"gain": Gain.STEP, "resistance": Use.USED, "start": data.draw(st.sampled_from([Start.ZERO, Start.RESET]))}
    source = data.draw(rules(**free))
    rewritten = proven(AS_LEAKY, graph, side(source), side(source, **NO_IF), seed)
    ifs = inline(graph).of_kind("IF")
    assert (rewritten.nodes if rewritten else ()) == ifs
    assert not (rewritten.graph if rewritten else inline(graph)).of_kind("IF")


@given(cyclic_graphs(), st.sampled_from(FeedbackBias), seeds)
@settings(max_examples=60, deadline=None)
def test_an_if_on_a_cycle_is_a_lif_on_it(graph: Graph, bias: FeedbackBias, seed: int) -> None:
    source = NIR_MEANING.but(feedback_bias=bias)
    proven(AS_LEAKY, graph, side(source), side(source, **NO_IF), seed)


@pytest.mark.parametrize(
    ("decay", "dt"), [*product((Decay.EULER, Decay.EULER_CLAMPED, Decay.EXPONENTIAL), (1e-6, 1e-4, 1e-3, 1.0))]
)
def test_membranes_of_such_a_lif_are_the_ifs_to_the_last_bit_in_both_precisions(decay: Decay, dt: float) -> None:
    graph, x = integrators(r=0.7 / dt), stimulus(3, steps=200).astype(np.float32)
    rewritten = AS_LEAKY.rewrite(graph, side(NIR_MEANING.but(decay=decay), dt), side(NIR_MEANING, dt, **NO_IF))
    assert rewritten is not None
    for precision in (Precision.FLOAT32, Precision.FLOAT64):
        rule = dict.fromkeys(NEURONS, NIR_MEANING.but(decay=decay, precision=precision))
        wanted, made = simulate(graph, x, dt, rule), simulate(rewritten.graph, x, dt, rule)
        np.testing.assert_array_equal(made.membranes["n1"], wanted.membranes["n1"])
        np.testing.assert_array_equal(made.output, wanted.output)
        assert wanted.output.sum() > 100


def test_a_target_that_takes_an_if_or_of_which_nothing_is_known_gets_it() -> None:
    for known in ({}, {"domain": {"IF": TAKEN, "LIF": TAKEN}}):
        assert proven(AS_LEAKY, integrators(), side(NIR_MEANING), side(NIR_MEANING, **known)) is None


def test_to_a_target_that_takes_neither_primitive_nothing_is_done() -> None:
    neither = side(NIR_MEANING, domain={"IF": NOT_TAKEN, "LIF": NOT_TAKEN})
    assert proven(AS_LEAKY, integrators(), side(NIR_MEANING), neither) is None


def other_lif(**axes: Axis) -> Side:
    """A source whose LIF is not its IF."""
    return Side("source", DT, {"IF": NIR_MEANING, "LIF": NIR_MEANING.but(**axes)})


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("comparison", Comparison.AT_OR_ABOVE),
        ("timing", Timing.NEXT_STEP),
        ("spikes", SpikesPerStep.MANY),
        ("floor", Floor.MINUS_THRESHOLD),
        ("spike_from", SpikeFrom.PREVIOUS),
        ("feedback_bias", FeedbackBias.ABSENT),
        ("precision", Precision.FIXED),
        ("reset", ResetKind.SUBTRACT),
        ("reset", ResetKind.TO_ZERO),
        ("start", Start.RESET),
        ("threshold", Use.COLLAPSED),
        ("gain", Gain.COMPLEMENT),
        ("resistance", Use.IGNORED),
        ("resistance", Use.COLLAPSED),
        ("time_step", TimeStep.INFERRED),
    ],
    ids=str,
)
def test_beside_a_lif_of_the_graphs_own_by_another_rule_an_if_is_none(axis: str, value: Axis) -> None:
    graph = chain(integrators().nodes["n0"], integrators().nodes["n1"], neuron("LIF", 4, RNG), size=3)
    source, target = other_lif(**{axis: value}), side(NIR_MEANING, **NO_IF)
    refused(AS_LEAKY, graph, source, target, Cause.UNSUPPORTED)
    assert proven(AS_LEAKY, integrators(), source, target) is not None


def test_snntorch_runs_an_if_as_a_lif_with_a_matched_gain() -> None:
    found = fingerprint_of("snntorch")
    target = Side("snntorch", DT, found.by_primitive(), found.rules)
    graph = integrators(8, r=2.5e3, v_reset=0.0, v_threshold=1.0)
    x = np.random.default_rng(1).integers(0, 2, (60, 2, 3)).astype(np.float32)
    live = running("snntorch")
    before = reconcile(graph, Side("nir", DT), target, x, GAINS, run=live)
    after = reconcile(graph, Side("nir", DT), target, x, (*INTEGRATORS, *NEURON_PASSES, *GAINS), run=live)
    assert before.measured != 0
    assert after.exact
    assert "integrator_as_leaky" in {each.name for each in after.passes}


def on_a_grid(seed: int, kind: str, size: int = 4) -> Graph:
    """Neurons with a decay of a half and gains of 1, whose membranes are often just at their thresholds."""
    rng = np.random.default_rng(seed)
    values = {"v_threshold": rng.integers(2, 6, size) / 4, "v_reset": -rng.integers(0, 2, size) / 4}
    matched = np.full(size, 2 * DT)
    families = {
        "IF": {"r": np.full(size, 1 / DT)},
        "LIF": {"tau": matched, "r": np.full(size, 2.0), "v_leak": np.zeros(size)},
        "CubaLIF": dict.fromkeys(("tau_syn", "tau_mem"), matched) | dict.fromkeys(("r", "w_in"), np.full(size, 2.0)),
    }
    families["CubaLIF"]["v_leak"] = np.zeros(size)
    weights = [node("Linear", weight=rng.integers(-2, 5, (size, inputs)) / 4) for inputs in (3, size)]
    cells = [node(kind, **families[kind], **values) for _ in range(2)]
    return chain(weights[0], cells[0], weights[1], cells[1], size=3)


SHORT = 12
"""Steps in which no membrane of such a neuron comes nearer to its threshold than a float of single precision."""


def grid_input(seed: int, steps: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, (steps, 3, 3)).astype(np.float32)


@given(st.sampled_from(["IF", "LIF", "CubaLIF"]), seeds, st.sampled_from([ABOVE, AT_OR_ABOVE]))
@settings(max_examples=80, deadline=None)
def test_membranes_that_meet_their_threshold_fire_as_they_did(kind: str, seed: int, old: UpdateRule) -> None:
    graph, whole = on_a_grid(seed, kind), grid_input(seed)
    (new,) = {ABOVE, AT_OR_ABOVE} - {old}
    rewritten = NEXT_FLOAT.rewrite(graph, side(old), side(new))
    assert rewritten is not None
    assert rewritten.nodes == ("n1", "n3")
    for precision, x in ((Precision.FLOAT32, whole), (Precision.FLOAT64, whole[:SHORT])):
        wanted = simulate(graph, x, DT, side(old.but(precision=precision)).rules)
        made = simulate(rewritten.graph, x, DT, side(new.but(precision=precision)).rules)
        for name in ("n1", "n3"):
            assert_same_spikes(made.spikes[name], wanted.spikes[name])


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
def test_without_the_next_float_such_membranes_do_not(kind: str) -> None:
    graph, x = on_a_grid(1, kind), grid_input(1)
    assert (simulate(graph, x, DT, ABOVE).spikes["n1"] != simulate(graph, x, DT, AT_OR_ABOVE).spikes["n1"]).any()


def test_in_double_precision_a_membrane_may_lie_between_the_thresholds() -> None:
    cell = node("LIF", tau=[2 * DT], r=[2.0], v_leak=[0.0], v_threshold=[1.0], v_reset=[0.0])
    graph, x = chain(node("Linear", weight=[[0.5, 0.0, 0.0]]), cell, size=3), np.ones((40, 1, 3))
    rewritten = NEXT_FLOAT.rewrite(graph, side(AT_OR_ABOVE), side(ABOVE))
    assert rewritten is not None
    wanted, made = simulate(graph, x, DT, AT_OR_ABOVE), simulate(rewritten.graph, x, DT, ABOVE)
    assert wanted.output.sum() == 0
    assert made.output.sum() > 0
    single = simulate(graph, x, DT, AT_OR_ABOVE.but(precision=Precision.FLOAT32))
    np.testing.assert_array_equal(
        simulate(rewritten.graph, x, DT, ABOVE.but(precision=Precision.FLOAT32)).output, single.output
    )


@given(st.data(), graphs(), seeds)
@settings(max_examples=60, deadline=None)
def test_the_next_float_changes_no_other_spike(data: st.DataObject, graph: Graph, seed: int) -> None:
    kept = {"spikes": SpikesPerStep.ONE, "floor": Floor.NONE, "threshold": Use.USED}
    reset = data.draw(st.sampled_from([ResetKind.TO_VALUE, ResetKind.TO_ZERO]))
    timing = data.draw(st.sampled_from([Timing.SAME_STEP, Timing.NEXT_STEP]))
    source = data.draw(rules(reset=reset, timing=timing, **kept))
    (other,) = set(Comparison) - {source.comparison}
    rewritten = proven(NEXT_FLOAT, graph, side(source), side(source.but(comparison=other)), seed)
    spiking = [name for name, each in inline(graph).primitives() if "v_threshold" in each.params]
    assert (rewritten.nodes if rewritten else ()) == tuple(spiking)


def test_a_moved_threshold_is_the_next_number_of_single_precision() -> None:
    graph = integrators(2, v_threshold=[1.0, 0.25])
    for source, target, towards in ((ABOVE, AT_OR_ABOVE, np.inf), (AT_OR_ABOVE, ABOVE, -np.inf)):
        rewritten = NEXT_FLOAT.rewrite(graph, side(source), side(target))
        expected = np.nextafter(np.float32([1.0, 0.25]), np.float32(towards))
        np.testing.assert_array_equal(parameters(rewritten, "n1")["v_threshold"], expected)
        assert rewritten is not None
        validate(rewritten.graph)


def test_nothing_moves_between_sides_that_compare_alike() -> None:
    for rule in (ABOVE, AT_OR_ABOVE):
        assert proven(NEXT_FLOAT, integrators(), side(rule), side(rule)) is None
    assert proven(NEXT_FLOAT, chain(neuron("LI", 3, RNG), size=3), side(ABOVE), side(AT_OR_ABOVE)) is None


@pytest.mark.parametrize("whose", ["source", "target"])
@pytest.mark.parametrize(
    ("axis", "value", "cause"),
    [
        ("reset", ResetKind.SUBTRACT, Cause.COMPARISON),
        ("reset", ResetKind.SUBTRACT_ALL, Cause.COMPARISON),
        ("timing", Timing.CARRIED, Cause.COMPARISON),
        ("spikes", SpikesPerStep.MANY, Cause.COMPARISON),
        ("floor", Floor.MINUS_THRESHOLD, Cause.COMPARISON),
        ("threshold", Use.COLLAPSED, Cause.COMPARISON),
        ("precision", Precision.FIXED, Cause.ROUNDING),
    ],
    ids=str,
)
def test_a_threshold_that_says_more_than_when_to_fire_stays(axis: str, value: Axis, cause: Cause, whose: str) -> None:
    odd = {axis: value}
    source = AT_OR_ABOVE.but(**odd) if whose == "source" else AT_OR_ABOVE
    target = ABOVE.but(**odd) if whose == "target" else ABOVE
    refused(NEXT_FLOAT, integrators(), side(source), side(target), cause)


def test_one_threshold_for_all_is_moved_where_it_is_everyones() -> None:
    one = side(AT_OR_ABOVE.but(threshold=Use.COLLAPSED))
    assert proven(NEXT_FLOAT, integrators(v_threshold=0.75), one, side(ABOVE)) is not None


def test_a_reset_that_is_the_next_float_leaves_no_room() -> None:
    below = np.float64(np.nextafter(np.float32(1), np.float32(0)))
    graph = integrators(v_threshold=1.0, v_reset=below)
    refused(NEXT_FLOAT, graph, side(AT_OR_ABOVE), side(ABOVE), Cause.COMPARISON)
    assert proven(NEXT_FLOAT, graph, side(ABOVE), side(AT_OR_ABOVE)) is not None


@pytest.mark.parametrize(("name", "source"), [("spikingjelly", ABOVE), ("norse", AT_OR_ABOVE)])
def test_a_library_that_compares_otherwise_fires_where_the_source_did(name: str, source: UpdateRule) -> None:
    found = fingerprint_of(name)
    graph, x = on_a_grid(4, "LIF"), grid_input(4)
    plain = {"v_reset": np.zeros(4), "v_threshold": np.ones(4)}
    nodes = {key: Node(each.kind, {**each.params, **plain}) if each.kind == "LIF" else each for key, each in graph.primitives()}
    graph = Graph(nodes, graph.edges)
    at, target = Side("source", DT, {"LIF": source}), Side(name, DT, found.by_primitive(), found.rules)
    live = running(name)
    before = reconcile(graph, at, target, x, GAINS, run=live)
    after = reconcile(graph, at, target, x, (NEXT_FLOAT, *GAINS), run=live)
    assert before.measured != 0
    assert after.exact
