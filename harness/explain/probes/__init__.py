"""The probes: small graphs and stimuli that tell update rules apart."""

from __future__ import annotations

from harness.explain.probes.battery import BATTERY, Probe
from harness.explain.probes.parameters import Gains, Variation, gains_of, neuron
from harness.explain.probes.prediction import Question

__all__ = ["BATTERY", "Gains", "Probe", "Question", "Variation", "gains_of", "neuron"]
