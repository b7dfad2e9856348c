"""Rules in words: a rule where there is one and it is known, and what a difference between two rules comes to, in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.explain.rules_in_words import difference_in_words, found_in_words, rule_in_words
from nir_interop.explain.structure import has_biased_feedback
from nir_interop.fingerprint import Identified
from nir_interop.graphs import Graph, Node
from nir_interop.rule import AXES, NIR_MEANING, Axis, Decay, FeedbackBias, Gain, ResetKind, TimeStep, UpdateRule, Use
from nir_interop.vocabulary import Blame
from tests.strategies import chain, cuba_lif, lif

DT = 1e-3


LEAKY = chain(lif(tau=10e-3, r=10.0, v_reset=-0.5), size=3)
CUBA = chain(cuba_lif(tau_mem=10e-3, tau_syn=4e-3, w_in=np.array([2.0, 4.0, 8.0])), size=3)


def said(graph: Graph, axis: str, value: Axis, *, dt: float = DT) -> str:
    kind = next(each.kind for _, each in graph.primitives() if each.kind in ("LIF", "CubaLIF"))
    source = Side("NIR", dt, {kind: NIR_MEANING})
    target = Side("norse", dt, {kind: NIR_MEANING.but(**{axis: value})})
    return difference_in_words(graph, source, target, axis, kind)


def test_a_parameter_that_is_ignored_is_told_with_its_value_and_what_is_lost() -> None:
    assert said(LEAKY, "resistance", Use.IGNORED) == "norse ignores r (here 10), where NIR uses r: LIF gets 0.1 times its input"


def test_values_that_differ_per_neuron_are_told_as_a_range() -> None:
    sentence = said(CUBA, "input_weight", Use.IGNORED)
    assert sentence == "norse ignores w_in (here 2 to 8), where NIR uses w_in: CubaLIF gets 0.125 to 0.5 times its input"


def test_a_decay_is_told_as_what_survives_a_step() -> None:
    sentence = said(LEAKY, "decay", Decay.EXPONENTIAL)
    expected = "norse decays exponentially, where NIR decays by forward Euler: 0.9048 of a membrane survives a step, not 0.9"
    assert sentence == expected


def test_a_synapse_s_gain_is_told_of_the_synapse() -> None:
    sentence = said(CUBA, "synapse_gain", Gain.ONE)
    assert sentence.startswith(
        "norse adds the synapse's input as it is, where NIR scales the synapse's input by w_in (here 2 to 8)"
    )
    assert sentence.endswith("CubaLIF gets 0.5 to 2 times its input")


def test_a_step_of_its_own_is_told_as_what_it_does_to_gain_and_decay() -> None:
    sentence = said(LEAKY, "time_step", TimeStep.FIXED)
    assert sentence.startswith(
        "norse takes a dt of 0.0001 s, whatever it is given, where NIR takes the dt of 0.001 s it is given"
    )
    assert sentence.endswith("LIF gets 0.1 times its input; 0.99 of a membrane survives a step, not 0.9")


def test_a_reset_is_told_with_the_value_that_is_not_used() -> None:
    assert said(LEAKY, "reset", ResetKind.TO_ZERO) == "norse resets to 0, where NIR resets to v_reset (here -0.5)"


def test_a_bias_that_is_missing_has_no_numbers() -> None:
    sentence = said(LEAKY, "feedback_bias", FeedbackBias.ABSENT)
    assert sentence == "norse leaves out a feedback's bias at the first step, where NIR has a feedback's bias at the first step"


@pytest.mark.parametrize(
    ("axis", "value"),
    [(axis.name, value) for axis in AXES for value in axis.type if value != getattr(UpdateRule(), axis.name)],
    ids=str,
)
def test_every_value_of_every_axis_can_be_told_of(axis: str, value: Axis) -> None:
    sentence = said(CUBA, axis, value)
    made, meant = sentence.removeprefix("norse ").split(", where NIR ", 1)
    assert made != meant.split(":")[0]
    assert "{" not in sentence


ABSENT = NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT)
CLAUSE = "a feedback's bias is missing at the first step"


def test_a_feedback_is_spoken_of_where_there_is_one() -> None:
    assert rule_in_words(ABSENT, "LIF").endswith(CLAUSE)
    assert CLAUSE not in rule_in_words(ABSENT, "LIF", feedback=False)
    assert CLAUSE not in rule_in_words(ABSENT, "LI")


def test_a_feedback_with_a_bias_is_found_by_the_neuron_it_feeds() -> None:
    full = np.ones(2)
    cell = {"tau": full, "r": full, "v_leak": full, "v_threshold": full, "v_reset": 0 * full}
    nodes = {
        "input": Node("Input", {"shape": np.array([2])}),
        "one": Node("LIF", cell),
        "back": Node("Affine", {"weight": np.eye(2), "bias": full}),
        "last": Node("IF", {name: cell[name] for name in ("r", "v_threshold", "v_reset")}),
        "output": Node("Output", {"shape": np.array([2])}),
    }
    edges = (("input", "one"), ("one", "back"), ("back", "one"), ("one", "last"), ("last", "output"))
    graph = Graph(nodes, edges)
    assert (has_biased_feedback(graph, "LIF"), has_biased_feedback(graph, "IF")) == (True, False)
    silent = Graph({**nodes, "back": Node("Affine", {"weight": np.eye(2), "bias": 0 * full})}, edges)
    assert not has_biased_feedback(silent, "LIF")


def test_no_rule_is_told_of_what_is_not_taken_or_does_not_reproduce_its_evidence() -> None:
    assert found_in_words("LIF", Identified(NIR_MEANING)) == "not taken"
    closest = Identified(NIR_MEANING.but(gain=Gain.ONE), outputs=385_704, mismatched=50_441)
    assert found_in_words("IF", closest) == "no rule found: the closest differs in 50441 of 385704 outputs"
    assert found_in_words("LIF", Identified(NIR_MEANING, outputs=929_880, mismatched=3)) == rule_in_words(NIR_MEANING, "LIF")


def test_an_integrator_that_leaks_does_not_add_up() -> None:
    leaky = NIR_MEANING.but(decay=Decay.NINE_TENTHS, gain=Gain.ONE)
    assert rule_in_words(leaky, "IF").startswith("keeps 0.9 of the membrane in a step; adds the input as it is; resets")


def test_a_setting_beside_a_fault_names_both() -> None:
    assert Blame.IMPORTER.beside_a_setting is Blame.SETTING_AND_IMPORTER
    assert Blame.BOTH.beside_a_setting.beside_a_setting is Blame.SETTING_AND_BOTH
    assert {Blame.NONE.beside_a_setting, Blame.UNEXPLAINED.beside_a_setting, Blame.FORMAT.beside_a_setting} == {Blame.SETTING}
    assert [each for each in Blame if each.of_setting] == [each for each in Blame if "setting" in str(each)]
