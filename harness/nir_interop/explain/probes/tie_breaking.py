"""What tells rules apart that the battery does not: random inputs, and a membrane that equals its threshold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from nir_interop.explain.probes import stimuli
from nir_interop.explain.probes.battery import ALL, COMPARISON, Probe
from nir_interop.explain.probes.neurons import SIZE, Variation, neuron, single
from nir_interop.explain.probes.prediction import Question
from nir_interop.fingerprint import Circuit, Gains
from nir_interop.reference.neurons import SteppedNeuron
from nir_interop.rule import Precision, UpdateRule

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


NEIGHBOUR = 2.0**-18
"""How far beside equality its neighbours are: more than single precision rounds, less than anything else does."""


def equality(kind: str, gains: Gains, dt: float, tau: float, rule: UpdateRule) -> Question | None:
    """A question whose membrane equals its threshold, or None where the rule's arithmetic is not exact there.

    Beside the input that makes it equal stand its nearest neighbours: the one must not spike, the other must.
    """
    variation = Variation(tau=tau, tau_syn=2.0)
    probe = Probe(COMPARISON, stimuli.impulse, None, variation, dt, steps=8, batch=3)
    question = Question(probe, kind, gains, neuron(kind, dt, gains, variation, dtype=np.float64))
    threshold = _peak(question, rule)
    if not 0 < threshold < 1e30 or any(_peak(question, each) != threshold for each in _precisions(rule)):
        return None
    question.node = neuron(kind, dt, gains, replace(variation, threshold=threshold), dtype=np.float64)
    question.graph = single(question.node, SIZE)
    question.amplitude = np.array([1 - NEIGHBOUR, 1.0, 1 + NEIGHBOUR])
    question.stimulus = (question.waveform() * question.amplitude[None, :, None]).astype(np.float32)
    return question


def _precisions(rule: UpdateRule) -> tuple[UpdateRule, ...]:
    if rule.precision is Precision.FIXED:
        return (rule,)
    return rule.but(precision=Precision.FLOAT64), rule.but(precision=Precision.FLOAT32)


def _peak(question: Question, rule: UpdateRule) -> float:
    """The highest membrane under a unit impulse, of a neuron that does not reach its threshold."""
    params = dict(question.node.params) | {"v_threshold": np.full(SIZE, 1e30)}
    element = SteppedNeuron(replace(question.node, params=params), (SIZE,), question.probe.dt, rule)
    x = torch.tensor(question.waveform()[:, :1])
    with torch.no_grad():
        trace = element.sequence(x.to(element.dtype), element.start(1))
    return float(trace.membrane.max()) if trace.membrane is not None else 0.0
