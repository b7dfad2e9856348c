"""Another decay, another step: time constants and gains with which every number of a step stays what it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.graphs import Graph, Node
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.time_constants import STEPS
from nir_interop.rule import NIR_MEANING, Decay, Gain, TimeStep, Use
from nir_interop.vocabulary import Cause
from tests.reconcile.pass_checks import parameters, proven, refused, rules, side
from tests.strategies import DT, chain, graphs, neuron, node

(SAME_DECAY,) = STEPS
RNG = np.random.default_rng(0)
EXPONENTIAL = NIR_MEANING.but(decay=Decay.EXPONENTIAL)
used = {"resistance": Use.USED, "input_weight": Use.USED}
steps = st.sampled_from([DT, 1e-3, 2.5e-5])


def one_layer(kind: str = "LIF", **changed: np.ndarray) -> Graph:
    cell = neuron(kind, 4, RNG)
    weights = node("Linear", weight=RNG.normal(0.5, 1, (4, 3)))
    return chain(weights, Node(kind, {**cell.params, **changed}), size=3)


@given(st.data(), graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=80, deadline=None)
def test_another_decay_and_another_step_give_the_same_spikes(data: st.DataObject, graph: Graph, seed: int) -> None:
    source = data.draw(rules(**used))
    scheme, step = (
        data.draw(st.sampled_from((Decay.EULER, Decay.EULER_CLAMPED, Decay.EXPONENTIAL))),
        data.draw(st.sampled_from([TimeStep.GIVEN, TimeStep.FIXED, TimeStep.UNIT])),
    )
    proven(SAME_DECAY, graph, side(source), side(source.but(decay=scheme, time_step=step), data.draw(steps)), seed)


@given(graphs(), st.integers(0, 2**32 - 1), steps)
@settings(max_examples=30, deadline=None)
def test_a_gain_that_follows_no_time_constant_stays(graph: Graph, seed: int, dt: float) -> None:
    source = EXPONENTIAL.but(gain=Gain.ONE, synapse_gain=Gain.JUMP, resistance=Use.IGNORED, input_weight=Use.IGNORED)
    proven(SAME_DECAY, graph, side(source), side(source.but(decay=Decay.EULER), dt), seed)


def test_the_time_constant_is_the_one_of_the_equation() -> None:
    graph = one_layer()
    tau = graph.nodes["n1"]["tau"]  # type: ignore[index]
    made = parameters(proven(SAME_DECAY, graph, side(NIR_MEANING), side(EXPONENTIAL)), "n1")["tau"]
    np.testing.assert_allclose(np.exp(-DT / made), 1 - DT / tau)
    back = parameters(proven(SAME_DECAY, graph, side(EXPONENTIAL), side(NIR_MEANING, 1e-3)), "n1")["tau"]
    np.testing.assert_allclose(1 - 1e-3 / back, np.exp(-DT / tau))


def test_time_constants_become_numbers_of_steps() -> None:
    graph = one_layer()
    made = parameters(proven(SAME_DECAY, graph, side(NIR_MEANING), side(NIR_MEANING.but(time_step=TimeStep.UNIT))), "n1")
    np.testing.assert_allclose(made["tau"], graph.nodes["n1"]["tau"] / DT)  # type: ignore[index]
    np.testing.assert_allclose(made["r"], graph.nodes["n1"]["r"])  # type: ignore[index]


def test_delays_stay_whole_numbers_of_steps() -> None:
    graph = chain(node("Delay", delay=DT * np.array([0, 1, 3])), size=3)
    made = parameters(proven(SAME_DECAY, graph, side(NIR_MEANING), side(NIR_MEANING, 1e-3)), "n0")["delay"]
    np.testing.assert_allclose(made, [0, 1e-3, 3e-3])


def test_sides_that_decay_alike_leave_nothing_to_do() -> None:
    assert proven(SAME_DECAY, one_layer(), side(NIR_MEANING), side(NIR_MEANING)) is None
    assert proven(SAME_DECAY, one_layer(), side(NIR_MEANING), side(NIR_MEANING.but(decay=Decay.EULER_CLAMPED))) is None
    assert proven(SAME_DECAY, one_layer("IF"), side(NIR_MEANING), side(EXPONENTIAL)) is None


def test_a_collapsed_gain_stays_the_smallest() -> None:
    source = NIR_MEANING.but(resistance=Use.COLLAPSED)
    proven(SAME_DECAY, one_layer(), side(source), side(source.but(decay=Decay.EXPONENTIAL), 1e-3))


def test_scalar_parameters_stay_scalar() -> None:
    scalar = node("LIF", tau=1e-3, r=3.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0)
    graph = chain(node("Linear", weight=RNG.normal(0.5, 1, (4, 3))), scalar, size=3)
    made = parameters(proven(SAME_DECAY, graph, side(NIR_MEANING), side(EXPONENTIAL)), "n1")
    assert {value.shape for value in made.values()} == {()}


@pytest.mark.parametrize("tau", [DT, 0.5 * DT])
def test_no_exponential_loses_all_or_turns_the_sign(tau: float) -> None:
    graph = one_layer(tau=np.array([1e-3, 1e-3, 1e-3, tau]))
    refused(SAME_DECAY, graph, side(NIR_MEANING), side(EXPONENTIAL), Cause.DECAY)
    proven(SAME_DECAY, one_layer(tau=np.array([1e-3, 1e-3, 1e-3, 1.01 * DT])), side(NIR_MEANING), side(EXPONENTIAL))


def test_no_clamped_decay_turns_the_sign() -> None:
    clamped = NIR_MEANING.but(decay=Decay.EULER_CLAMPED)
    refused(SAME_DECAY, one_layer(tau=np.full(4, 0.5 * DT)), side(NIR_MEANING), side(clamped), Cause.DECAY_CLAMPED)
    assert proven(SAME_DECAY, one_layer(tau=np.full(4, DT)), side(NIR_MEANING), side(clamped, 1e-3)) is not None


def test_what_does_not_decay_has_no_time_constant() -> None:
    graph, unit = one_layer(tau=np.full(4, 2e10)), NIR_MEANING.but(time_step=TimeStep.UNIT)
    with pytest.raises(Refused, match="does not decay") as caught:
        SAME_DECAY.rewrite(graph, side(NIR_MEANING, 1e-6), side(unit, 1e-6))
    assert caught.value.cause is Cause.DECAY
    assert SAME_DECAY.rewrite(graph, side(NIR_MEANING, 1e-4), side(unit, 1e-4)) is not None


def test_a_gain_that_no_resistance_makes_up_for_is_refused() -> None:
    ignored = NIR_MEANING.but(resistance=Use.IGNORED)
    refused(SAME_DECAY, one_layer("IF"), side(ignored), side(ignored, 1e-3), Cause.GAIN)
    jump = NIR_MEANING.but(decay=Decay.EXPONENTIAL, resistance=Use.IGNORED)
    refused(SAME_DECAY, one_layer(), side(jump), side(jump.but(decay=Decay.EULER)), Cause.GAIN)


def test_a_step_guessed_by_the_target_is_refused() -> None:
    refused(SAME_DECAY, one_layer(), side(NIR_MEANING), side(NIR_MEANING.but(time_step=TimeStep.INFERRED)), Cause.DT_GUESSED)
