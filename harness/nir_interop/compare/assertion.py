"""What a test says when spikes differ: one line, with how many of how many, and where first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nir_interop.compare.divergence import Divergence, differs, first_divergence, flatten, match_nodes
from nir_interop.printable import shape_text
from nir_interop.recording import Recording

Array = NDArray[Any]


def assert_same_spikes(
    actual: Recording | ArrayLike,
    expected: Recording | ArrayLike,
    *,
    backend: str = "",
    network: str = "",
    dt: float | None = None,
    node: str = "",
    thresholds: Mapping[str, Array | float] | None = None,
) -> None:
    """Fail, in one line, where spikes differ.

    actual, expected : two recordings, of which the outputs and the spikes of every node that both recorded are compared,
        values in float32; or two arrays of spikes, with axes (T,), (T, B) or (T, B, \\*shape), which must be equal
    backend, network, dt, node : for the message, as far as they are given: who ran what at which step [s], and the node that
        an array is of
    thresholds : node → threshold [V] of its neurons, one for all or one each; shown beside the membrane where both are known

    Raises AssertionError.
    """
    __tracebackhide__ = True
    step = "" if dt is None else f"dt {np.format_float_scientific(dt, trim='-', exp_digits=1)}"
    call = " · ".join(filter(None, (backend, network, step)))
    found = (
        _between_recordings(actual, expected, thresholds or {})
        if isinstance(actual, Recording) and isinstance(expected, Recording)
        else _between_arrays(np.asarray(actual), np.asarray(expected), node)
    )
    if found:
        raise AssertionError(f"{call}: {found}" if call else found)


def _between_recordings(actual: Recording, expected: Recording, thresholds: Mapping[str, Array | float]) -> str:
    """How two recordings differ; nothing where they do not."""
    ours, theirs = expected.output, actual.output
    if ours.shape != theirs.shape:
        return f"the output has axes (T, B, n) = {shape_text(theirs.shape)}, not {shape_text(ours.shape)}"
    first = first_divergence(expected, actual)
    if first is None:
        return ""
    mismatched = int(np.count_nonzero(differs(ours, theirs)))
    place = f"first at step {first.step}, node {first.node}, sample {first.sample}, neuron {first.neuron}"
    return f"{mismatched} of {ours.size} outputs differ, {place}{_membrane(actual, expected, first, thresholds)}"


def _between_arrays(actual: Array, expected: Array, node: str) -> str:
    """How two arrays of spikes differ; nothing where they do not."""
    if actual.shape != expected.shape:
        return f"{node or 'the array'} has axes {shape_text(actual.shape)}, not {shape_text(expected.shape)}"
    unequal: NDArray[np.bool_] = actual != expected
    mismatched = int(np.count_nonzero(unequal))
    if not mismatched:
        return ""
    rows = unequal.reshape(*unequal.shape[:2], -1) if unequal.ndim > 3 else unequal
    where = [f"{axis} {number}" for axis, number in zip(("step", "sample", "neuron"), np.argwhere(rows)[0], strict=False)]
    if node:
        where.insert(1, f"node {node}")
    return f"{mismatched} of {unequal.size} spikes differ, first at {', '.join(where)}"


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
