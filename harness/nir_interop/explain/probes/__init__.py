"""The probes: small graphs and stimuli that tell update rules apart, or show how a backend runs a structure."""

from __future__ import annotations

from nir_interop.explain.probes.battery import BATTERY, Probe
from nir_interop.explain.probes.neurons import Variation, gains_of, neuron
from nir_interop.explain.probes.prediction import Question
from nir_interop.explain.probes.structural import NODES, OF_NEURONS, WIRING, WRITINGS, Structural, written

__all__ = [
    "BATTERY",
    "OF_NEURONS",
    "STRUCTURAL",
    "Probe",
    "Question",
    "Structural",
    "Variation",
    "gains_of",
    "neuron",
    "written",
]

STRUCTURAL: tuple[Structural, ...] = (*NODES, *WRITINGS, *WIRING)
"""Graphs of nodes without an axis, and of wiring."""
