"""A rule is told where there is one and it is known, and with a clause about a feedback where there is one."""

from __future__ import annotations

import numpy as np

from nir_interop.explain.rules_in_words import found_in_words, rule_in_words
from nir_interop.explain.structure import has_biased_feedback
from nir_interop.fingerprint import Identified
from nir_interop.graphs import Graph, Node
from nir_interop.rule import NIR_MEANING, Decay, FeedbackBias, Gain
from nir_interop.vocabulary import Blame

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
