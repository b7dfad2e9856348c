from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest

from nir_interop.agreement.side import RunGraph
from nir_interop.errors import NirInteropError, RunFailed
from nir_interop.explain.identify import KINDS, identify
from nir_interop.explain.probes.battery import STAGES
from nir_interop.explain.probes.candidates import axes
from nir_interop.explain.rules_in_words import found_in_words, rule_in_words
from nir_interop.explain.structure import without
from nir_interop.fingerprint import (
    Circuit,
    Condition,
    Fingerprint,
    FlattenDims,
    Form,
    Identified,
    NeuronCondition,
    Subject,
    Wiring,
    differing_axes,
)
from nir_interop.graphs import NEURONS, Array, Graph, inline
from nir_interop.recording import Recording
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
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause
from tests.conditions import spread
from tests.explain.fake_backend import FakeBackend
from tests.known import CORE, fingerprint_of, installed


def unlike(identified: Identified, rule: UpdateRule) -> list[str]:
    """The axes in which a rule was identified wrongly, and no tie says so."""
    ties = {tie.axis: tie.values for tie in identified.ties}
    return [axis for axis in differing_axes(identified.rule, rule) if getattr(rule, axis).value not in ties.get(axis, ())]


def random_rule(kind: str, rng: np.random.Generator) -> UpdateRule:
    chosen = {}
    for stage in STAGES:
        for axis, values in axes(kind, stage).items():
            if rng.random() < 0.4:
                chosen[axis] = values[rng.integers(len(values))]
    rule = NIR_MEANING.but(**chosen)
    if rule.order is Order.TOGETHER:  # of no other scheme there is a candidate
        rule = rule.but(decay=Decay.EXPONENTIAL, gain=Gain.COMPLEMENT, synapse_gain=Gain.COMPLEMENT)
    if rule.decay is Decay.EULER_SYNAPSE:
        rule = rule.but(gain=Gain.COMPLEMENT)
    if rule.decay is Decay.WHOLE_SECONDS:
        rule = rule.but(time_step=TimeStep.INFERRED)
    if rule.spikes is SpikesPerStep.ONE and rule.reset is ResetKind.SUBTRACT_ALL:
        rule = rule.but(reset=ResetKind.SUBTRACT)  # one spike at most: the same
    if rule.spike_from is SpikeFrom.PREVIOUS_RESET:
        subtracts = rule.reset in (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL)
        if rule.timing is not Timing.SAME_STEP or (kind == "IF" and subtracts and rule.decay is Decay.EULER):
            rule = rule.but(spike_from=SpikeFrom.PREVIOUS)  # no candidate, or the same
    if not rule.spike_from.late and rule.feedback_bias is FeedbackBias.AT_ONCE:
        rule = rule.but(feedback_bias=FeedbackBias.PRESENT)  # nothing is late: the same
    once = rule.reset is ResetKind.SUBTRACT and rule.spikes is SpikesPerStep.ONE
    return rule if once or rule.timing is not Timing.CARRIED else rule.but(timing=Timing.SAME_STEP)  # no candidate


@pytest.mark.parametrize("seed", [*range(9), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(9, 30))])
def test_a_random_rule_is_identified_up_to_declared_ties(seed: int) -> None:
    kind = ("LIF", "IF", "CubaLI", "LIF", "LI", "IF", "CubaLIF", "LIF", "I")[seed % 9]
    rule = random_rule(kind, np.random.default_rng(seed))

    def run(graph: Graph, stimulus: Array, dt: float) -> Recording:
        with np.errstate(all="ignore"):  # a rule that reads seconds as steps explodes
            return simulate(graph, stimulus, dt, rule.but(precision=Precision.FLOAT32))

    identified = identify(run, name="planted", kinds=[kind]).rules[kind]
    assert unlike(identified, rule) == []
    assert identified.mismatched == 0
    assert identified.outputs > 5_000


@pytest.mark.parametrize("kind", ["LIF", "CubaLI"])
def test_fixed_point_arithmetic_is_identified(kind: str) -> None:
    rule = NIR_MEANING.but(precision=Precision.FIXED)
    identified = identify(lambda graph, x, dt: simulate(graph, x, dt, rule), name="planted", kinds=[kind]).rules[kind]
    assert identified.rule.precision is Precision.FIXED
    assert identified.mismatched == 0


LATE: dict[str, Axis] = {
    "spike_from": SpikeFrom.PREVIOUS_RESET,
    "reset": ResetKind.SUBTRACT,
    "feedback_bias": FeedbackBias.AT_ONCE,
}
FAKES = {
    "faultless": ("LIF", FakeBackend(), NIR_MEANING),
    "exponential, r ignored": (
        "LIF",
        FakeBackend(frozenset({Cause.DECAY, Cause.RESISTANCE_IGNORED})),
        NIR_MEANING.but(decay=Decay.EXPONENTIAL, resistance=Use.IGNORED),
    ),
    "several spikes, late reset": (
        "IF",
        FakeBackend(axes={"spikes": SpikesPerStep.MANY, "reset": ResetKind.SUBTRACT_ALL, "timing": Timing.NEXT_STEP}),
        NIR_MEANING.but(spikes=SpikesPerStep.MANY, reset=ResetKind.SUBTRACT_ALL, timing=Timing.NEXT_STEP),
    ),
    "what subtraction leaves is carried": (
        "LIF",
        FakeBackend(axes={"reset": ResetKind.SUBTRACT, "timing": Timing.CARRIED}),
        NIR_MEANING.but(reset=ResetKind.SUBTRACT, timing=Timing.CARRIED),
    ),
    "late spikes, reset before the update, fed back at once": (
        "LIF",
        FakeBackend(axes=LATE),
        NIR_MEANING.but(**LATE),
    ),
    "late spikes, reset behind the update, fed back at once": (
        "CubaLIF",
        FakeBackend(axes=LATE | {"spike_from": SpikeFrom.PREVIOUS}),
        NIR_MEANING.but(**LATE | {"spike_from": SpikeFrom.PREVIOUS}),
    ),
    "layer delay, floor, at or above": (
        "LIF",
        FakeBackend(
            axes={"spike_from": SpikeFrom.PREVIOUS, "floor": Floor.MINUS_THRESHOLD, "comparison": Comparison.AT_OR_ABOVE}
        ),
        NIR_MEANING.but(spike_from=SpikeFrom.PREVIOUS, floor=Floor.MINUS_THRESHOLD, comparison=Comparison.AT_OR_ABOVE),
    ),
    "jump, membrane first, leak on synapse": (
        "CubaLIF",
        FakeBackend(axes={"synapse_gain": Gain.JUMP, "order": Order.MEMBRANE_FIRST, "leak": LeakUse.ON_SYNAPSE}),
        NIR_MEANING.but(synapse_gain=Gain.JUMP, order=Order.MEMBRANE_FIRST, leak=LeakUse.ON_SYNAPSE),
    ),
    "guessed step, feedback late, starts at v_reset": (
        "LIF",
        FakeBackend(axes={"time_step": TimeStep.INFERRED, "feedback_bias": FeedbackBias.ABSENT, "start": Start.RESET}),
        NIR_MEANING.but(time_step=TimeStep.INFERRED, feedback_bias=FeedbackBias.ABSENT, start=Start.RESET),
    ),
}


@pytest.mark.parametrize("fake", FAKES)
def test_a_fake_backend_of_other_code_is_identified(fake: str) -> None:
    kind, run, rule = FAKES[fake]
    identified = identify(run, name="fake", kinds=[kind]).rules[kind]
    assert unlike(identified, rule) == []
    assert identified.mismatched == 0


def test_state_that_is_carried_over_shows_as_mismatches() -> None:
    identified = identify(FakeBackend(frozenset({Cause.STATE_CARRIED})), name="fake", kinds=["LIF"]).rules["LIF"]
    assert identified.mismatched > 0


def leaving_out(*kinds: str) -> RunGraph:
    """The reference, which leaves out nodes of some kinds and says so."""

    def run(graph: Graph, stimulus: Array, dt: float) -> Recording:
        flat = inline(graph)
        names = tuple(name for name, node in flat.primitives() if node.kind in kinds)
        for name in names:
            flat = without(flat, name)
        try:
            return replace(simulate(flat, stimulus, dt), left_out=names)
        except NirInteropError as error:
            raise RunFailed("run_error", type(error).__name__, "shapes do not fit", names) from error

    return run


def test_no_rule_is_fitted_to_a_neuron_that_is_left_out() -> None:
    identified = identify(leaving_out("LI"), name="made", kinds=["LI", "LIF"])
    one = identified.rules["LI"]
    assert (one.outputs, one.mismatched, one.known) == (0, 0, False)
    assert [(refusal.condition, refusal.status, refusal.message) for refusal in one.refusals] == [
        (Form.ANY, "dropped", "left out: LI")
    ]
    assert found_in_words("LI", one) == "left out"
    assert identified.rules["LIF"].known, "it is another matter"


def test_weights_that_are_left_out_are_not_the_neurons_fault() -> None:
    kinds = ["LIF", "Scale", "Linear", "Affine"]
    whole = identify(lambda graph, x, dt: simulate(graph, x, dt), name="made", kinds=kinds)
    found = identify(leaving_out("Linear"), name="made", kinds=kinds)
    assert found.rules["LIF"] == whole.rules["LIF"], "with an Affine for the Linear"
    assert found.rules["Scale"] == whole.rules["Scale"]
    linear = found.rules["Linear"]
    assert linear.outputs == 0
    assert {refusal.status for refusal in linear.refusals} == {"dropped"}


def test_a_recurrence_that_is_wired_otherwise_is_told_apart_from_the_neurons_rule() -> None:
    identified = identify(FakeBackend(frozenset({Cause.RECURRENCE_REWIRED})), name="fake", kinds=["LIF"]).rules["LIF"]
    assert identified.rule == NIR_MEANING
    assert identified.mismatched == 0
    misrun = {refusal.condition for refusal in identified.refusals if refusal.status == "mismatch"}
    assert NeuronCondition(circuit=Circuit.CYCLE) in misrun


def test_values_that_nothing_splits_are_a_tie_with_its_proof() -> None:
    identified = identify(FakeBackend(axes={"gain": Gain.ONE}), name="fake", kinds=["I"]).rules["I"]
    ties = {tie.axis: tie for tie in identified.ties}
    assert identified.rule.gain is Gain.ONE
    assert ties["resistance"].values == ("used", "collapsed", "ignored"), "r is not part of the equation"
    assert ties["resistance"].splits == "none: the same equation in the accepted domain"


def test_what_is_refused_is_a_tie_that_names_the_refusal() -> None:
    fake = FakeBackend(frozenset({Cause.RESISTANCE_COLLAPSED}), refuses=("r", "tau", "v_threshold"))
    identified = identify(fake, name="fake", kinds=["LIF"]).rules["LIF"]
    assert identified.rule == NIR_MEANING, "what nothing tells apart is NIR's meaning"
    (tie,) = (tie for tie in identified.ties if tie.axis == "resistance")
    assert tie.values == ("used", "collapsed")
    assert tie.splits.startswith("heterogeneous r: refused")
    refused = {refusal.condition for refusal in identified.refusals}
    assert {spread("r"), spread("tau"), spread("v_threshold")} <= refused


def test_a_primitive_that_is_refused_keeps_its_refusal_and_has_no_outputs() -> None:
    def run(graph: Graph, stimulus: Array, dt: float) -> Recording:
        raise RunFailed("refused", "ValueError", "never heard of it")

    fingerprint = identify(run, name="mute")
    assert {*fingerprint.rules} == {*KINDS}
    for kind, identified in fingerprint.rules.items():
        assert identified.outputs == 0
        refused = [(refusal.condition, refusal.message) for refusal in identified.refusals]
        # A recurrence needs a neuron, and there is none.
        assert refused == ([] if kind in (Wiring.RECURRENCE, Wiring.NESTING) else [(Form.ANY, "ValueError: never heard of it")])


def test_an_output_of_another_shape_is_no_answer() -> None:
    def run(graph: Graph, stimulus: Array, dt: float) -> Recording:
        return Recording({"output": np.zeros((*stimulus.shape[:2], 7))})

    (refusal,) = identify(run, name="wide", kinds=["LIF"]).rules["LIF"].refusals
    assert refusal.status == "wrong_shape"


STRUCTURES: dict[Cause, tuple[Subject, ...]] = {
    Cause.POOL_PADDING: ("SumPool2d", "AvgPool2d"),
    Cause.FLATTEN_BATCH: ("Flatten",),
    Cause.WEIGHT_TRANSPOSED: ("Affine", "Linear"),
    Cause.BIAS_DROPPED: ("Affine",),
    Cause.JOIN_MISRUN: (Wiring.JOIN,),
    Cause.NODE_DROPPED: ("Delay",),
}


@pytest.mark.parametrize("cause", STRUCTURES)
def test_a_structure_that_a_fake_backend_misruns_shows_in_its_evidence(cause: Cause) -> None:
    kinds = STRUCTURES[cause]
    sound = identify(FakeBackend(), name="fake", kinds=["LIF", *kinds])
    faulty = identify(FakeBackend(frozenset({cause})), name="fake", kinds=["LIF", *kinds])
    assert faulty.rules["LIF"].mismatched == 0
    for kind in kinds:
        assert sound.rules[kind].outputs > 0
        assert sound.rules[kind].mismatched == 0
        assert faulty.rules[kind].mismatched > 0 or "wrong_shape" in {each.status for each in faulty.rules[kind].refusals}, kind


def test_a_structure_that_comes_out_otherwise_each_time_is_unstable() -> None:
    calls = itertools.count()

    def run(graph: Graph, stimulus: Array, dt: float) -> Recording:
        output = simulate(graph, stimulus, dt).outputs["output"]
        return Recording({"output": output[..., :-1] if next(calls) % 2 else -output})

    scale = identify(run, name="moody", kinds=["Scale"]).rules["Scale"]
    assert {refusal.status for refusal in scale.refusals} == {"unstable"}
    assert scale.outputs == 0


def test_a_neuron_that_is_refused_alone_and_dropped_among_layers_says_both() -> None:
    def run(graph: Graph, stimulus: Array, dt: float) -> Recording:
        (name,) = graph.of_kind("LI")
        if len(graph.nodes) == 3:
            raise RunFailed("import_error", "ValueError", "an empty graph")
        return simulate(without(graph, name), stimulus, dt)

    identified = identify(run, name="careless", kinds=["LI"]).rules["LI"]
    assert [(refusal.condition, refusal.status) for refusal in identified.refusals] == [
        (Form.ANY, "import_error"),
        (Form.BETWEEN_LAYERS, "mismatch"),
    ]
    assert identified.mismatched == 0, "the rule was not compared"


@pytest.fixture(scope="module", params=CORE)
def library(request: pytest.FixtureRequest) -> Fingerprint:
    installed(request.param)
    return fingerprint_of(request.param)


def test_the_structures_that_each_library_misruns_are_those_that_were_measured_by_hand(library: Fingerprint) -> None:
    def ends(kind: str) -> dict[Condition, str]:
        return {refusal.condition: refusal.status for refusal in library.rules[kind].refusals}

    assert ends("SumPool2d")[Form.PADDING] == "wrong_shape"
    assert ends("SumPool2d")[Form.HIDDEN_PADDING] == "mismatch"
    assert library.rules["Linear"].mismatched == library.rules["Affine"].mismatched == 0
    assert (library.rules[Wiring.JOIN].mismatched > 0) == (library.backend == "norse")
    assert (FlattenDims(0, -1) in ends("Flatten")) == (library.backend != "spikingjelly")
    assert FlattenDims(-3, -1) not in ends("Flatten")
    if library.backend == "norse":
        # The graph falls apart at LI, and which part is run hangs on where objects lie in memory; no part has an LI.
        assert ends("LI")[Form.BETWEEN_LAYERS] == "dropped"


def test_every_library_is_identified_without_a_mismatch(library: Fingerprint) -> None:
    assert [kind for kind in NEURONS if library.rules[kind].mismatched] == []
    assert library.rules["LIF"].outputs > 100_000
    assert library.rules["CubaLIF"].outputs > 100_000


def test_each_librarys_rules_are_those_that_were_measured_by_hand(library: Fingerprint) -> None:
    known: dict[str, dict[str, UpdateRule]] = {
        "norse": {
            "LIF": NIR_MEANING.but(
                reset=ResetKind.TO_ZERO, start=Start.LEAK, resistance=Use.IGNORED, feedback_bias=FeedbackBias.ABSENT
            ),
            "CubaLIF": NIR_MEANING.but(
                reset=ResetKind.TO_ZERO, start=Start.LEAK, leak=LeakUse.ON_SYNAPSE, feedback_bias=FeedbackBias.ABSENT
            ),
            "IF": NIR_MEANING.but(reset=ResetKind.TO_ZERO, gain=Gain.ONE, feedback_bias=FeedbackBias.ABSENT),
        },
        "snntorch": {
            "LIF": NIR_MEANING.but(
                time_step=TimeStep.FIXED,
                decay=Decay.EULER_CLAMPED,
                reset=ResetKind.TO_ZERO,
                resistance=Use.COLLAPSED,
                feedback_bias=FeedbackBias.ABSENT,
            ),
            "CubaLIF": NIR_MEANING.but(
                time_step=TimeStep.FIXED,
                decay=Decay.EULER_CLAMPED,
                reset=ResetKind.TO_ZERO,
                feedback_bias=FeedbackBias.ABSENT,
            ),
        },
        "spikingjelly": {
            kind: NIR_MEANING.but(comparison=Comparison.AT_OR_ABOVE, start=Start.RESET, feedback_bias=FeedbackBias.ABSENT)
            for kind in ("IF", "LIF", "CubaLIF")
        },
    }
    for kind, rule in known[library.backend].items():
        assert library.rules[kind].rule == rule, kind


def test_a_rule_is_a_sentence() -> None:
    rule = NIR_MEANING.but(resistance=Use.IGNORED, reset=ResetKind.TO_ZERO, start=Start.LEAK)
    sentence = "forward Euler at the dt it is given; ignores r; resets to 0 in the same step; fires above the threshold"
    assert rule_in_words(rule, "LIF") == f"{sentence}; starts at v_leak"


def test_every_value_of_every_axis_but_nirs_own_changes_the_sentence() -> None:
    mute = {"threshold=ignored"}  # no library can fire without a threshold
    for axis in fields(UpdateRule):
        for value in type(axis.default):
            rule = NIR_MEANING.but(**{axis.name: value})
            if rule != NIR_MEANING and f"{axis.name}={value.value}" not in mute:
                assert rule_in_words(rule) != rule_in_words(NIR_MEANING), f"{axis.name}={value.value}"
