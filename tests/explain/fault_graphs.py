"""Random graphs on which planted faults show: each of them changes the outputs, given the others."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph
from nir_interop.recording import Recording
from nir_interop.vocabulary import Cause
from tests.explain.fake.random_graphs import random_case
from tests.explain.fake_backend import EXPORTER_FAULTS, MERGED, PLANTABLE, RULE_AXIS, FakeBackend, FakeExporter, observe

Values = np.ndarray[Any, Any]
Faults = frozenset[Cause]
Case = tuple[Graph, Values, float]

ATTEMPTS = 200
FEWEST = 5
"""Outputs that a fault must change to count."""
SPIKES = 20
"""Spikes at the output below which a comparison proves nothing."""
ROUNDING = 1e-4
"""Share of the largest output below which a difference may be rounding in a library that computes in single precision."""
LARGEST = 1e9
"""Beyond this a graph is exploding, and rounding is what can be seen."""

HIDDEN: tuple[Faults, ...] = tuple(
    frozenset(pair)
    for pair in (
        (Cause.GAIN, Cause.RESISTANCE_IGNORED),
        (Cause.GAIN, Cause.RESISTANCE_COLLAPSED),
        (Cause.DT_GUESSED, Cause.TAU_REWRITTEN),
        (Cause.BIAS_LOST, Cause.BIAS_DROPPED),
        (Cause.BIAS_LOST, Cause.FEEDBACK_BIAS_AT_START),
        (Cause.BIAS_DROPPED, Cause.FEEDBACK_BIAS_AT_START),
        (Cause.PARAMETER_LOST, Cause.RESET_VALUE_IGNORED),
        (Cause.RESET_LOST, Cause.RESET_KIND),
        (Cause.DECAY, Cause.TIME_UNIT),
    )
)
"""Pairs of which one leaves the other without effect: a gain of 1 reads no r, a step guessed from τ scales with it, a bias that
is gone is missing everywhere, a v_reset that was not written cannot be ignored, a hard reset read as a subtraction is again
what the composition said, and with time constants a thousand times as long both decays are the same in single precision."""


def graph_for(faults: Faults, seed: int) -> Case:
    r"""A graph, a stimulus (T, B, \*shape) and a step [s] on which each of the faults changes outputs, given the others.

    Raises ValueError where none is found.
    """
    for attempt in range(ATTEMPTS):
        graph, stimulus, dt = random_case(faults, np.random.default_rng([seed, attempt]))
        if shows(faults, graph, stimulus, dt):
            return graph, stimulus, dt
    raise ValueError(f"no graph on which all of {', '.join(sorted(faults))} show")


def shows(faults: Faults, graph: Graph, stimulus: Values, dt: float) -> bool:
    """Whether there is enough output, and each fault changes some of it, given the others."""
    try:
        right, wrong = (planted(chosen, graph, stimulus, dt) for chosen in (frozenset(), faults))
        others = [planted(faults - {fault}, graph, stimulus, dt) for fault in sorted(faults)]
    except RunFailed:
        return False
    output = right.output
    if (output.dtype == np.uint8 and output.sum() < SPIKES) or np.ptp(output) == 0:
        return False
    if any(largest(recording) >= LARGEST for recording in (right, wrong, *others)):
        return False
    return all(differing(wrong.output, other.output) >= FEWEST for other in (right, *others))


def largest(recording: Recording) -> float:
    """The largest magnitude of an output, or number of spikes in a step."""
    parts = (*recording.outputs.values(), *recording.spikes.values())
    return max(float(np.abs(values).max(initial=0.0)) for values in parts)


def planted(faults: Faults, graph: Graph, stimulus: Values, dt: float) -> Recording:
    """What comes out of a graph that a faulty exporter wrote and a faulty importer read."""
    exported = FakeExporter(faults & frozenset(EXPORTER_FAULTS))(graph)
    return observe(FakeBackend(faults - frozenset(EXPORTER_FAULTS)), exported, stimulus, dt)


def differing(one: Values, other: Values) -> int:
    """How many outputs differ by more than single precision may change; all of them where the shapes do."""
    if one.shape != other.shape:
        return max(one.size, other.size)
    return int((~np.isclose(one, other, rtol=0, atol=ROUNDING * np.abs(other).max(initial=0.0), equal_nan=True)).sum())


def compatible(faults: Faults) -> bool:
    """Whether faults can be planted together and each still show."""
    chosen = [axis for fault in faults for axis in RULE_AXIS.get(fault, ())]
    if len(set(chosen)) < len(chosen):
        return False
    return not any(len(faults & group) > 1 for group in (*MERGED, *HIDDEN))


def pairs() -> list[Faults]:
    """All pairs of faults that can be planted together, in the order of PLANTABLE."""
    return [pair for pair in map(frozenset, itertools.combinations(PLANTABLE, 2)) if compatible(pair)]
