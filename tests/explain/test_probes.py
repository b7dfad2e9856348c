from __future__ import annotations

import numpy as np
import pytest

from harness.explain.identify import equality
from harness.explain.probes import BATTERY, Gains, Question, Variation, gains_of, neuron
from harness.explain.probes.battery import COMPARISON, DT, STAGES
from harness.explain.probes.candidates import axes, extended, first_candidates
from harness.graphs import NEURONS, validate
from harness.reference import simulate
from harness.rule import NIR_MEANING, Comparison, Decay, Gain, Precision, ResetKind, SpikesPerStep, UpdateRule

SAME_EQUATION = {
    ("gain", Gain.COMPLEMENT): "one minus the Euler decay is the Euler gain",
    ("synapse_gain", Gain.COMPLEMENT): "one minus the Euler decay is the Euler gain",
}


def flips() -> list[tuple[str, str, UpdateRule]]:
    """Each value of each axis of each primitive, on top of NIR's meaning."""
    found = []
    for kind in NEURONS:
        for stage in STAGES:
            for axis, values in axes(kind, stage).items():
                for value in values:
                    rule = NIR_MEANING.but(**{axis: value})
                    if rule != NIR_MEANING and (axis, value) not in SAME_EQUATION:
                        found.append((kind, f"{axis}={value.value}", rule))
    return found


@pytest.mark.parametrize(("kind", "flip", "rule"), flips(), ids=[f"{kind}-{flip}" for kind, flip, _ in flips()])
def test_some_probe_tells_each_value_of_each_axis_from_nirs_meaning(kind: str, flip: str, rule: UpdateRule) -> None:
    if flip == "comparison=at_or_above":
        question = equality(kind, gains_of(kind)[0], DT, 4.0, NIR_MEANING)
        assert question is not None
        assert question.mismatched(question.answer(rule), question.answer(NIR_MEANING)) > 0
        return
    if flip == "reset=subtract_all":
        rule = rule.but(spikes=SpikesPerStep.MANY)
        other = rule.but(reset=ResetKind.SUBTRACT)
    else:
        other = NIR_MEANING
    for probe in BATTERY:
        if not probe.fits(kind):
            continue
        question = Question.of(probe, kind, gains_of(kind)[0])
        if question.key(rule) == question.key(other):
            continue
        question.scale([rule, other])
        if question.mismatched(question.answer(rule), question.answer(other)):
            return
    pytest.fail(f"no probe tells {flip} of {kind} from NIR's meaning")


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
def test_the_equality_probe_meets_the_threshold_in_single_and_in_double_precision(kind: str) -> None:
    question = equality(kind, gains_of(kind)[0], DT, 4.0, NIR_MEANING)
    assert question is not None
    assert question.graph is not None
    assert question.stimulus is not None
    for precision in (Precision.FLOAT64, Precision.FLOAT32):
        rule = NIR_MEANING.but(precision=precision)
        recording = simulate(question.graph, question.stimulus, DT, rule)
        assert recording.margin == 0
        at = simulate(question.graph, question.stimulus, DT, rule.but(comparison=Comparison.AT_OR_ABOVE))
        assert recording.output.any(axis=(0, 2)).tolist() == [False, False, True]
        assert at.output.any(axis=(0, 2)).tolist() == [False, True, True]


def test_an_equality_that_is_not_exact_is_not_asked() -> None:
    rule = NIR_MEANING.but(decay=Decay.EXPONENTIAL, gain=Gain.COMPLEMENT)
    assert equality("LIF", Gains(), DT, 4.0, rule) is None
    assert equality("LIF", Gains(), DT, 2.0**-8, rule) is not None, "a decay that underflows to 0 is exact"


@pytest.mark.parametrize("kind", NEURONS)
def test_a_question_answers_as_the_simulator_does(kind: str) -> None:
    rng = np.random.default_rng(3)
    candidates = extended(first_candidates(kind), kind, "start")
    for probe in BATTERY[::7]:
        if not probe.fits(kind) or probe.stage == COMPARISON:
            continue
        rule = candidates[rng.integers(len(candidates))]
        question = Question.of(probe, kind, gains_of(kind)[0])
        question.scale([rule])
        assert question.graph is not None
        assert question.stimulus is not None
        validate(question.graph)
        meant = question.observe(simulate(question.graph, question.stimulus, probe.dt, rule))
        assert question.mismatched(question.answer(rule), meant) == 0, probe.name


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF", "IF"])
def test_the_first_place_of_r_and_w_in_is_off_neutral_values_and_fixed_points(kind: str) -> None:
    node = neuron(kind, DT, gains_of(kind)[0], Variation())
    matched = neuron(kind, DT, Gains("matched", "matched"), Variation())
    for name in {"r", "w_in"} & set(node.params):
        assert not np.isclose(node[name], 1).any()
        assert not np.isclose(node[name], matched[name]).any()


def test_probes_have_names_of_their_own() -> None:
    names = [probe.name for probe in BATTERY]
    assert len(set(names)) == len(names)
