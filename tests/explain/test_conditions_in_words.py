"""Conditions in words: what is printed of them, in which order, and that nothing but print hangs on it."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nir_interop
from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.explain import conditions_in_words
from nir_interop.explain.conditions_in_words import condition_in_words, subject_in_words
from nir_interop.explain.failed_cells import attributed
from nir_interop.explain.identify import identify
from nir_interop.explain.probes import BATTERY, OF_NEURONS, STRUCTURAL, gains_of
from nir_interop.fingerprint import (
    Circuit,
    Condition,
    Fingerprint,
    FlattenDims,
    Form,
    Gains,
    GainState,
    NeuronCondition,
    Recurrence,
    Subject,
    Wiring,
)
from nir_interop.graphs import NEURONS, Graph, digest
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import Blame, Cause, Status
from tests.conditions import AT_ONE, MATCHED, OFF, ONE_VOLTAGE, at, off_zero, spread
from tests.explain.fake_backend import FakeBackend
from tests.strategies import DT, chain, neuron, node, stimulus


def of_neurons(kind: str) -> list[NeuronCondition]:
    """All that the battery may find a primitive to decline."""
    found: dict[NeuronCondition, None] = {}
    gains = (None, *gains_of(kind))
    for probe, place, dt in itertools.product(BATTERY, gains, (None, 1e-4, 1e-3, 1.0)):
        if probe.fits(kind):
            found[replace(probe.variation.condition(), circuit=probe.circuit, gains=place, dt=dt)] = None
    return [each for each in found if each != NeuronCondition()]


def probed() -> Iterator[tuple[Subject, list[Condition]]]:
    for subject in dict.fromkeys([*NEURONS, *(probe.subject for probe in STRUCTURAL)]):
        conditions: dict[Condition, None] = {probe.condition: None for probe in STRUCTURAL if probe.subject == subject}
        if isinstance(subject, str) and subject in NEURONS:
            conditions |= dict.fromkeys([*of_neurons(subject), *OF_NEURONS])
        yield subject, [Form.ANY, *conditions]


@pytest.mark.parametrize(
    ("condition", "subject", "words"),
    [
        (at(OFF), "LIF", "r off 1 and tau/dt"),
        (at(GainState.MATCHED_FIXED), "IF", "r = 1/0.0001 s"),
        (at(MATCHED, OFF), "CubaLIF", "r = tau_mem/dt, w_in off 1 and tau_syn/dt"),
        (spread("v_leak", off=True, gains=AT_ONE), "LIF", "v_leak off 0, heterogeneous v_leak, r = 1"),
        (off_zero("v_leak", "v_reset"), "LIF", "v_leak off 0, v_reset off 0"),
        (ONE_VOLTAGE, "LIF", "v_leak = v_reset off 0"),
        (NeuronCondition(below_step=frozenset({"tau_syn"})), "CubaLI", "tau_syn below dt"),
        (NeuronCondition(tau=2.5, dt=1.0), "LI", "tau = 2.5 dt, dt = 1"),
        (NeuronCondition(off_threshold=True), "IF", "v_threshold off 1"),
        (NeuronCondition(circuit=Circuit.CHAIN, gains=AT_ONE), "IF", "a chain of two layers, r = 1"),
        (NeuronCondition(circuit=Circuit.NESTED_CYCLE), "LIF", "a recurrence with a bias, nested"),
        (FlattenDims(-3, 2), "Flatten", "dims -3 to 2"),
        (Form.ANY, "Scale", "Scale"),
        (Form.ANY, Wiring.SEVERAL_OUTPUTS, "several Outputs"),
        (Recurrence.ONE_LAYER, Wiring.RECURRENCE, "one layer that feeds itself"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,  # a set has no order
)
def test_a_condition_reads_as_the_tables_have_it(condition: Condition, subject: Subject, words: str) -> None:
    assert condition_in_words(condition, subject) == words


def test_conditions_of_one_subject_are_told_apart_in_words() -> None:
    for subject, conditions in probed():
        words = [condition_in_words(each, subject) for each in conditions]
        assert all(words) and len(set(words)) == len(words), subject_in_words(subject)


@pytest.mark.parametrize("kind", NEURONS)
def test_the_order_of_conditions_is_that_of_their_words(kind: str) -> None:
    """Tables list them by it; it is the conditions' own, so that other words change no order."""
    conditions = of_neurons(kind)
    in_order = sorted(conditions, key=lambda condition: condition.order)
    assert in_order == sorted(conditions, key=lambda condition: condition_in_words(condition, kind))


def strings(path: Path) -> Iterator[str]:
    """All strings of a module, also within others, but for docstrings."""
    tree = ast.parse(path.read_text())
    said = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for each in ast.walk(tree):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in said:
            yield each.value


def test_no_other_module_has_the_words() -> None:
    phrases = {condition_in_words(each, subject) for subject, conditions in probed() for each in conditions}
    whole, parts = {phrase for phrase in phrases if " " in phrase}, ("heterogeneous ", " off 0", " off 1", " below dt")
    sources = Path(nir_interop.__file__).parent
    for folder in ("explain", "reconcile", "transfer", "agreement"):
        for path in (sources / folder).rglob("*.py"):
            if path != Path(conditions_in_words.__file__):
                found = {text for text in strings(path) if text in whole or any(part in text for part in parts)}
                assert found == set(), path


SPREAD = ("v_threshold",)
FAULTS = frozenset({Cause.FLATTEN_BATCH, Cause.JOIN_MISRUN})
ASKED: tuple[Subject, ...] = ("LIF", "Linear", "Flatten", Wiring.JOIN)


def graph() -> Graph:
    """A Flatten, and neurons whose thresholds differ."""
    rng = np.random.default_rng(0)
    lif = neuron("LIF", 4, rng)
    return chain(node("Linear", weight=rng.normal(1, 1, (4, 3))), lif, node("Linear", weight=rng.normal(1, 1, (2, 4))), size=3)


def done(fingerprint: Fingerprint, backend: FakeBackend) -> dict[str, Any]:
    """What is made of evidence, but for sentences."""
    target = Side.of(fingerprint, DT)
    plan = reconcile(graph(), Side("nir", DT), target, stimulus(0), PASSES, run=backend)
    with pytest.raises(RunFailed) as failed:
        backend(graph(), stimulus(0), DT)
    verdict = attributed(Verdict(Status.REFUSED, Blame.UNEXPLAINED), failed.value, graph(), target.domain)
    return {
        "found": {subject: replace(one, ties=()) for subject, one in fingerprint.rules.items()},
        "passes": [(each.name, each.nodes) for each in plan.passes],
        "graph": digest(plan.graph),
        "causes": [(each.cause, each.nodes) for each in verdict.causes],
    }


def test_other_words_change_nothing_but_words(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeBackend(FAULTS, refuses=SPREAD)
    before = done(identify(backend, name="fake", kinds=ASKED), backend)
    assert [name for name, _ in before["passes"]] == ["one_threshold"] and before["causes"] == [(Cause.UNSUPPORTED, ("n1",))]
    for name in ("_WIRINGS", "_CIRCUITS", "_PHRASES"):
        others = {each: f"{name} {number}" for number, each in enumerate(getattr(conditions_in_words, name))}
        monkeypatch.setattr(conditions_in_words, name, others)
    monkeypatch.setattr(conditions_in_words, "_of_neuron", lambda condition, kind: f"neuron {hash(condition)} of {kind}")
    assert condition_in_words(spread("v_threshold", gains=Gains(OFF)), "LIF").startswith("neuron")
    assert done(identify(backend, name="fake", kinds=ASKED), backend) == before
