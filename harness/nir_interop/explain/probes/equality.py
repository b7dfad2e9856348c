"""The question whether a membrane that equals its threshold fires."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nir_interop.explain.probes import stimuli
from nir_interop.explain.probes.battery import COMPARISON, Probe
from nir_interop.explain.probes.neurons import SIZE, Variation, neuron, single
from nir_interop.explain.probes.prediction import Question
from nir_interop.fingerprint import Gains
from nir_interop.reference.neurons import SteppedNeuron
from nir_interop.rule import Precision, UpdateRule

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
