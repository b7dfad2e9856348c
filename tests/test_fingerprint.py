"""Rules, conditions and fingerprints as plain data, there and back; and where a condition is looked up."""

from __future__ import annotations

import json
from enum import Enum
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nir_interop.fingerprint import (
    Circuit,
    Condition,
    Domain,
    Fingerprint,
    FlattenDims,
    Form,
    Gains,
    GainState,
    GivenField,
    Identified,
    Join,
    NeuronCondition,
    Origin,
    Refusal,
    Subject,
    Tie,
    Wiring,
    differing_axes,
)
from nir_interop.graphs import NEURONS
from nir_interop.rule import NIR_MEANING, Comparison, Decay, ResetKind, UpdateRule
from tests.conditions import AT_ONE, MATCHED, OFF, at, off_zero, spread

GAINS = st.builds(Gains, st.sampled_from(GainState), st.sampled_from(GainState))
VOLTAGES, TIMES = st.sampled_from(["v_leak", "v_reset"]), st.sampled_from(["tau", "tau_syn"])
CHOICES = [each for choices in get_args(Condition) if issubclass(choices, Enum) for each in choices]
CONDITIONS: st.SearchStrategy[Condition] = st.one_of(
    st.sampled_from(CHOICES),
    st.builds(FlattenDims, st.integers(-5, 4), st.integers(-5, 4)),
    st.builds(GivenField, st.text()),
    st.builds(
        NeuronCondition,
        off_zero=st.frozensets(VOLTAGES),
        one_voltage=st.booleans(),
        below_step=st.frozensets(TIMES),
        spread=st.frozensets(st.sampled_from(["r", "tau", "v_threshold"])),
        tau=st.none() | st.floats(0.5, 10),
        off_threshold=st.booleans(),
        circuit=st.sampled_from(Circuit),
        gains=st.none() | GAINS,
        dt=st.none() | st.floats(1e-4, 1.0),
    ),
)
REFUSALS = st.builds(Refusal, CONDITIONS, st.text(), st.text(), st.lists(st.integers(0, 3)).map(tuple))
SUBJECTS: st.SearchStrategy[Subject] = st.one_of(st.sampled_from(Wiring), st.sampled_from(["Conv2d", *NEURONS]))
KNOWN = st.builds(
    Identified,
    st.just(NIR_MEANING.but(reset=ResetKind.TO_ZERO)),
    st.integers(0, 9),
    st.integers(0, 9),
    st.just((Tie("start", ("zero", "leak"), "v_leak"),)),
    st.lists(REFUSALS, max_size=3).map(tuple),
)


def test_a_rule_survives_json() -> None:
    rule = NIR_MEANING.but(decay=Decay.EXPONENTIAL, comparison=Comparison.AT_OR_ABOVE)
    assert UpdateRule.from_dict(json.loads(json.dumps(rule.as_dict()))) == rule


@pytest.mark.parametrize(("axes", "said"), [({"decays": "euler"}, "no axis 'decays'"), ({"decay": "linear"}, "linear")])
def test_an_unknown_axis_or_value_is_named(axes: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        UpdateRule.from_dict(axes)


@given(st.dictionaries(SUBJECTS, KNOWN))
def test_a_fingerprint_survives_json(known: dict[Subject, Identified]) -> None:
    fingerprint = Fingerprint("norse", Origin.NATIVE, "reset_method=reset_value", Domain(known))
    assert Fingerprint.from_json(json.loads(json.dumps(fingerprint.to_json()))) == fingerprint
    assert {*fingerprint.by_primitive()} <= {subject for subject in known if isinstance(subject, str)}


def test_a_domain_lists_primitives_by_name_and_then_wirings() -> None:
    one = Identified(NIR_MEANING)
    domain = Domain({Wiring.RECURRENCE: one, "Scale": one, Wiring.JOIN: one, "Affine": one})
    assert [*domain] == ["Affine", "Scale", Wiring.JOIN, Wiring.RECURRENCE]


def declining(*conditions: Condition, outputs: int = 10) -> Domain:
    return Domain(
        {"LIF": Identified(NIR_MEANING, outputs, refusals=tuple(Refusal(each, "refused", "") for each in conditions))}
    )


def test_what_is_asked_of_a_neuron_without_gains_is_refused_at_whatever_gains_it_was_tried() -> None:
    domain = declining(spread("tau", gains=Gains(MATCHED)), off_zero("v_leak"))
    assert domain.refuses("LIF", spread("tau")) and domain.refuses("LIF", off_zero("v_leak"))
    assert domain.refuses("LIF", spread("tau", gains=Gains(MATCHED)))
    for other in (
        spread("r"),
        spread("tau", off=True),
        spread("tau", gains=AT_ONE),
        at(MATCHED),
        off_zero("v_leak", "v_reset"),
    ):
        assert not domain.refuses("LIF", other)
    assert not domain.refuses("IF", spread("tau"))


def test_a_place_of_r_and_w_in_is_asked_for_as_it_is() -> None:
    domain = declining(at(OFF), spread("tau", gains=AT_ONE))
    assert domain.refuses("LIF", at(OFF)) and not domain.refuses("LIF", at(GainState.ONE))


def test_of_what_nothing_is_known_nothing_is_refused() -> None:
    for domain in (Domain(), declining(Form.ANY, outputs=0)):
        assert domain.takes("Scale") and not domain.lacks("Scale") and not domain.refuses("Scale", *CHOICES)
        assert domain.takes(Wiring.JOIN) and not domain.misruns_unnamed(Wiring.JOIN) and domain.declined(Wiring.JOIN) == ()
    assert domain.lacks("LIF") and not domain.takes("LIF")


def test_a_misrun_has_a_condition_or_none() -> None:
    named = Identified(NIR_MEANING, 9, 3, refusals=(Refusal(Join.SKIP, "mismatch", ""),))
    assert Domain({Wiring.JOIN: Identified(NIR_MEANING, 9, 3)}).misruns_unnamed(Wiring.JOIN)
    assert not Domain({Wiring.JOIN: named}).misruns_unnamed(Wiring.JOIN)


def test_a_rule_that_does_not_reproduce_its_own_evidence_is_none() -> None:
    assert Fingerprint("norse", rules=Domain({"LIF": Identified(NIR_MEANING, 100, 1)})).by_primitive() == {}


def test_the_axes_in_which_rules_differ_come_in_the_rules_order() -> None:
    other = NIR_MEANING.but(reset=ResetKind.SUBTRACT, decay=Decay.EXPONENTIAL)
    assert differing_axes(other) == ("decay", "reset")
    assert differing_axes(other, other) == ()


def test_a_neuron_that_was_refused_in_front_of_another_layer_may_only_be_the_last() -> None:
    behind = NeuronCondition(circuit=Circuit.CHAIN, gains=AT_ONE)
    assert declining(behind)["LIF"].only_last and not declining(behind).takes("LIF")
    assert not declining(at(OFF))["LIF"].only_last
