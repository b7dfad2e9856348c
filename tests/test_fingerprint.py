"""Rules and fingerprints as plain data, there and back."""

from __future__ import annotations

import json

import pytest

from nir_interop.fingerprint import Fingerprint, Identified, Origin, Refusal, Tie, differing_axes
from nir_interop.rule import NIR_MEANING, Comparison, Decay, ResetKind, UpdateRule


def test_a_rule_survives_json() -> None:
    rule = NIR_MEANING.but(decay=Decay.EXPONENTIAL, comparison=Comparison.AT_OR_ABOVE)
    assert UpdateRule.from_dict(json.loads(json.dumps(rule.as_dict()))) == rule


@pytest.mark.parametrize(("axes", "said"), [({"decays": "euler"}, "no axis 'decays'"), ({"decay": "linear"}, "linear")])
def test_an_unknown_axis_or_value_is_named(axes: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        UpdateRule.from_dict(axes)


def test_a_fingerprint_survives_json() -> None:
    ties, refuses = (Tie("start", ("zero", "leak"), "v_leak"),), (Refusal("r", "refused", "no"),)
    identified = Identified(NIR_MEANING.but(reset=ResetKind.TO_ZERO), 100, 0, ties, refuses)
    fingerprint = Fingerprint("norse", Origin.NATIVE, "reset_method=reset_value", {"LIF": identified})
    assert Fingerprint.from_dict(json.loads(json.dumps(fingerprint.as_dict()))) == fingerprint
    assert fingerprint.by_primitive() == {"LIF": identified.rule}


def test_a_rule_that_does_not_reproduce_its_own_evidence_is_none() -> None:
    assert Fingerprint("norse", rules={"LIF": Identified(NIR_MEANING, 100, 1)}).by_primitive() == {}


def test_the_axes_in_which_rules_differ_come_in_the_rules_order() -> None:
    other = NIR_MEANING.but(reset=ResetKind.SUBTRACT, decay=Decay.EXPONENTIAL)
    assert differing_axes(other) == ("decay", "reset")
    assert differing_axes(other, other) == ()


def test_a_neuron_that_was_refused_in_front_of_another_layer_may_only_be_the_last() -> None:
    refused = (Refusal("a chain of two layers, r = 1", "run_error", "TypeError: must be Tensor, not tuple"),)
    assert Identified(NIR_MEANING, 10, refuses=refused).only_last
    assert not Identified(NIR_MEANING, 10, refuses=(Refusal("r", "refused", "no"),)).only_last
