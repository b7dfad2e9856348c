"""What a test says when two recordings differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.compare.nodes import Divergence, differs, first_divergence, flatten, match_nodes
from nir_interop.recording import Recording

Array = NDArray[Any]


def assert_same_spikes(
    actual: Recording,
    expected: Recording,
    *,
    backend: str,
    network: str,
    dt: float,
    thresholds: Mapping[str, Array | float] | None = None,
) -> None:
    """Fail, in one line, where two recordings' outputs or the spikes of a node that both recorded differ.

    dt : the step [s], for the message
    thresholds : node → threshold [V] of its neurons, one for all or one each; shown beside the membrane where both are known

    Raises AssertionError.
    """
    __tracebackhide__ = True
    call = f"{backend} · {network} · dt {np.format_float_scientific(dt, trim='-', exp_digits=1)}"
    ours, theirs = expected.output, actual.output
    if ours.shape != theirs.shape:
        raise AssertionError(f"{call}: the output has axes (T, B, n) = {theirs.shape}, not {ours.shape}")
    first = first_divergence(expected, actual)
    if first is not None:
        mismatched = int(np.count_nonzero(differs(ours, theirs)))
        place = f"first at step {first.step}, node {first.node}, sample {first.sample}, neuron {first.neuron}"
        membrane = _membrane(actual, expected, first, thresholds or {})
        raise AssertionError(f"{call}: {mismatched} of {ours.size} outputs differ, {place}{membrane}")


def _membrane(actual: Recording, expected: Recording, first: Divergence, thresholds: Mapping[str, Array | float]) -> str:
    """`` (v 0.31, threshold 0.3)``, as far as it is known; the membrane is the one after the reset."""
    facts = []
    node = match_nodes(expected.spikes, actual.membranes).get(first.node)
    if node is not None:
        trace = flatten(actual.membranes[node])
        if first.sample < trace.shape[1] and first.neuron < trace.shape[2]:
            facts.append(f"v {trace[first.step, first.sample, first.neuron]:.6g}")
    if first.node in thresholds:
        threshold = np.asarray(thresholds[first.node], dtype=np.float64).reshape(-1)
        facts.append(f"threshold {threshold[first.neuron if threshold.size > 1 else 0]:.6g}")
    return f" ({', '.join(facts)})" if facts else ""
