from __future__ import annotations

import numpy as np
import pytest

from nir_interop.explain.probes import (
    BATTERY,
    STRUCTURAL,
    Probe,
    Question,
    Structural,
    Variation,
    gains_of,
    neuron,
    stimuli,
)
from nir_interop.explain.probes.battery import ALL, COMPARISON, DT, LATE_FEEDBACK, STAGES
from nir_interop.explain.probes.candidates import NOT_RUN, axes, extended, first_candidates
from nir_interop.explain.probes.neurons import single
from nir_interop.explain.probes.tie_breaking import INPUTS, equality, separating
from nir_interop.fingerprint import Gains, GainState, Wiring
from nir_interop.graphs import NEURONS, STATELESS, validate
from nir_interop.reference import simulate
from nir_interop.rule import (
    NIR_MEANING,
    Axis,
    Comparison,
    Decay,
    Gain,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    UpdateRule,
)

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
    elif flip == "spike_from=previous_reset":
        other = NIR_MEANING.but(spike_from=SpikeFrom.PREVIOUS)
    elif flip == "feedback_bias=at_once":
        rule, other = (each.but(spike_from=SpikeFrom.PREVIOUS) for each in (rule, NIR_MEANING))
    elif flip == "timing=carried":
        rule = rule.but(reset=ResetKind.SUBTRACT)
        other = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
    else:
        other = NIR_MEANING
    for probe in (*BATTERY, *LATE_FEEDBACK):
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
        assert question.mismatched(question.answer(rule), meant) == 0, probe


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF", "IF"])
def test_the_first_place_of_r_and_w_in_is_off_neutral_values_and_fixed_points(kind: str) -> None:
    node = neuron(kind, DT, gains_of(kind)[0], Variation())
    matched = neuron(kind, DT, Gains(GainState.MATCHED, GainState.MATCHED), Variation())
    for name in {"r", "w_in"} & set(node.params):
        assert not np.isclose(node[name], 1).any()
        assert not np.isclose(node[name], matched[name]).any()


def test_no_probe_asks_what_another_does() -> None:
    assert len(set(BATTERY)) == len(BATTERY)


def test_every_primitive_without_a_rule_has_a_structural_probe_and_so_has_a_join() -> None:
    assert {probe.subject for probe in STRUCTURAL} >= {*STATELESS, "Delay", *Wiring} - {"Input", "Output"}
    asked = [(probe.subject, probe.condition) for probe in STRUCTURAL]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("probe", STRUCTURAL, ids=[f"{probe.subject}-{probe.condition}" for probe in STRUCTURAL])
def test_a_structural_probe_is_a_valid_graph_that_answers(probe: Structural) -> None:
    graph = probe.graph(lambda size: neuron("LIF", DT, Gains(GainState.MATCHED), Variation(), size))
    validate(graph)
    stimulus = np.random.default_rng(0).normal(0.4, 1.0, (24, 4, *probe.shape))
    output = simulate(graph, stimulus, DT).outputs["output"]
    assert output.shape == (24, 4, *probe.to)
    assert len(np.unique(output)) > 1


def test_flatten_is_probed_with_each_pair_of_dims_from_either_end() -> None:
    pairs = {
        (int(node["start_dim"]), int(node["end_dim"]))
        for probe in STRUCTURAL
        for node in probe.nodes.values()
        if probe.subject == "Flatten"
    }
    assert pairs == {(start + a, end + b) for start, end in ((0, 1), (0, 2), (1, 2)) for a in (0, -3) for b in (0, -3)}


def test_the_values_that_no_candidate_has_are_those_that_the_simulator_reads_as_another() -> None:
    run: set[tuple[str, Axis]] = set()
    for kind in NEURONS:
        for stage in STAGES:
            run |= {(axis, value) for axis, values in axes(kind, stage).items() for value in values}
    every = {(axis, value) for axis, own in vars(NIR_MEANING).items() if axis != "precision" for value in type(own)}
    assert every - run == set(NOT_RUN)
    node = neuron("CubaLIF", DT, Gains(), Variation(threshold=0.75, different=frozenset({"w_in", "v_threshold"})))
    graph = single(node, 3)
    stimulus = np.random.default_rng(0).normal(3.0, 6.0, (40, 4, 3))
    plain = simulate(graph, stimulus, DT).output
    assert plain.any()
    for axis, value in NOT_RUN:
        assert np.array_equal(simulate(graph, stimulus, DT, NIR_MEANING.but(**{axis: value})).output, plain), (
            "now it is run: a candidate"
        )


def test_rules_that_the_battery_leaves_over_are_told_apart_by_random_inputs_where_they_can_be() -> None:
    other = NIR_MEANING.but(start=Start.RESET)
    plain = Probe(ALL, stimuli.random, (0.3, 8.0), steps=24)
    off = Probe(ALL, stimuli.random, (0.3, 8.0), Variation(reset=-0.4375), steps=24)
    assert list(separating("LIF", [NIR_MEANING, other], [(Gains(), plain)])) == []
    (question,) = separating("LIF", [NIR_MEANING, other], [(Gains(), plain), (Gains(), off)])
    assert question.mismatched(question.answer(NIR_MEANING), question.answer(other)) > 0
    assert INPUTS >= 10_000
    same = NIR_MEANING.but(gain=Gain.COMPLEMENT)
    assert list(separating("LIF", [NIR_MEANING, same], [(Gains(), plain), (Gains(), off)])) == []
