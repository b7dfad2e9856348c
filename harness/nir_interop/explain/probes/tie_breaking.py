"""Random inputs for the rules that the battery leaves over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from nir_interop.explain.probes import stimuli
from nir_interop.explain.probes.battery import ALL, Probe
from nir_interop.explain.probes.prediction import Question
from nir_interop.fingerprint import Circuit, Gains
from nir_interop.rule import UpdateRule

INPUTS = 10_000
"""Random inputs, each a sequence of STEPS steps into a neuron layer, on which rules that are not told apart agree."""

STEPS, SEED = 24, 13

ASKED = 64
"""Of the inputs on which they do not agree, as many are put to the backend."""

Place = tuple[Gains, Probe]


def accepted(answered: Iterable[Question]) -> list[Place]:
    """Where of its parameters, and at which steps, a backend has answered: each place once, as a probe of random input."""
    found: dict[Place, None] = {}
    for question in answered:
        if question.probe.circuit is Circuit.SINGLE and np.isfinite(question.probe.variation.threshold):
            probe = Probe(ALL, stimuli.random, (0.3, 8.0), question.probe.variation, question.probe.dt)
            found[question.gains, replace(probe, steps=STEPS, seed=SEED)] = None
    return list(found)


def separating(kind: str, rules: Sequence[UpdateRule], domain: Sequence[Place]) -> Iterator[Question]:
    """Questions on which rules differ, out of INPUTS random inputs, spread over the places where their numbers do.

    A sample that grazes the threshold separates nothing.  ``rules`` may be shortened between two questions.
    """
    places = [(gains, probe) for gains, probe in domain if _differ(Question.of(probe, kind, gains), rules)]
    batch = -(-INPUTS // max(1, len(places)))
    for number, (gains, probe) in enumerate(places):
        question = Question.of(replace(probe, batch=batch, seed=SEED + 1 + len(str(number))), kind, gains)
        question.scale(rules[:1])
        distinct = {question.key(rule): rule for rule in rules}
        first, *others = distinct.values()
        differing = np.zeros(batch, dtype=bool)
        for other in others:
            differing |= question.unlike(question.answer(first), question.answer(other)).any(axis=(0, 2))
        if differing.any() and question.spiking:
            question.keep(differing)
            settled = np.logical_and.reduce([question.settled(rule) for rule in distinct.values()])
            question.keep(settled)
        elif differing.any():
            question.keep(differing)
        if differing.any() and question.inputs:
            question.keep(np.arange(question.inputs) < ASKED)
            yield question


def _differ(question: Question, rules: Sequence[UpdateRule]) -> bool:
    """Whether the rules make different numbers of a neuron."""
    first = question.key(rules[0]) if rules else ()
    return any(question.key(rule) != first for rule in rules)
