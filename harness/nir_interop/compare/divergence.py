"""Which node of one recording is which of another, and where the two first differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.recording import MEMBRANE_SAMPLES, Recording

Array = NDArray[Any]


@dataclass(frozen=True)
class Divergence:
    """The earliest difference: the node, and where in its (T, B, n) array."""

    node: str
    step: int
    sample: int
    neuron: int


def flatten(array: Array) -> Array:
    """Lay out an array with axes (T, B, \\*shape) as (T, B, n)."""
    return array.reshape(*array.shape[:2], -1) if array.size else array.reshape(*array.shape[:2], int(np.prod(array.shape[2:])))


def output_of(recording: Recording) -> Array | None:
    """The output, (T, B, n); None where its parts do not fit together."""
    try:
        output = recording.output
    except (ValueError, TypeError):
        return None
    return output if output.ndim == 3 else None


def match_nodes(source: Iterable[str], target: Iterable[str]) -> dict[str, str]:
    """Source node → target node, each used once, sorted by the source's name.

    A node is found by its own name; else by its name as torch writes it (dots turned into underscores,
    underscores put around it); else as the first node, by name, of a subgraph of its name, ``<name>.<anything>``.
    """
    free = set(target)
    names = sorted(source)
    found: dict[str, str] = {}
    for same in (_same_name, _same_but_sanitised, _is_inside):
        for name in names:
            if name not in found:
                candidates = sorted(other for other in free if same(name, other))
                if candidates:
                    found[name] = candidates[0]
                    free.remove(candidates[0])
    return dict(sorted(found.items()))


def _same_name(source: str, target: str) -> bool:
    return source == target


def _same_but_sanitised(source: str, target: str) -> bool:
    return source.replace(".", "_").strip("_") == target.replace(".", "_").strip("_")


def _is_inside(source: str, target: str) -> bool:
    return target.startswith(source + ".")


def differs(source: Array, target: Array) -> NDArray[np.bool_]:
    """Element by element; values are compared in float32, and NaN differs from everything."""
    if source.dtype.kind in "fc" or target.dtype.kind in "fc":
        with np.errstate(over="ignore", invalid="ignore"):
            source, target = source.astype(np.float32, copy=False), target.astype(np.float32, copy=False)
    unequal: NDArray[np.bool_] = source != target
    return unequal


def first_divergence(source: Recording, target: Recording, order: Sequence[str] = ()) -> Divergence | None:
    """The earliest step in which a node recorded on both sides, or the output, differs; None where nothing does.

    order : nodes in topological order.  Among the nodes that differ in the earliest step the first in this order
        counts; those it does not name follow by name, and the output comes last.
    """
    rank = {name: number for number, name in enumerate(order)}
    pairs = match_nodes(source.spikes, target.spikes)
    arrays = [(name, flatten(source.spikes[name]), flatten(target.spikes[other])) for name, other in pairs.items()]
    arrays.sort(key=lambda entry: (rank.get(entry[0], len(rank)), entry[0]))
    ours_at_output, theirs_at_output = output_of(source), output_of(target)
    if ours_at_output is not None and theirs_at_output is not None:
        arrays.append(("", ours_at_output, theirs_at_output))

    first: Divergence | None = None
    for name, ours, theirs in arrays:
        if ours.shape != theirs.shape:
            continue
        # Step by step, and never past the earliest difference so far: a convolutional layer's array is large.
        for step in range(len(ours) if first is None else first.step):
            unequal = differs(ours[step], theirs[step])
            if unequal.any():
                sample, neuron = (int(index) for index in np.argwhere(unequal)[0])
                first = Divergence(name, step, sample, neuron) if name else _at_output(source, step, sample, neuron)
                break
    return first


def _at_output(source: Recording, step: int, sample: int, column: int) -> Divergence:
    """Name the Output node to which a column of ``source.output`` belongs."""
    for name in sorted(source.outputs):
        width = flatten(source.outputs[name]).shape[2]
        if column < width:
            return Divergence(name, step, sample, column)
        column -= width
    raise IndexError(f"the output has no column {column}")


def apart_by_output(source: Recording, target: Recording) -> dict[str, tuple[int, int]]:
    """Of several Outputs each: how many of its numbers differ, and how many there are; empty for one, and where shapes differ.

    source : its Outputs are named; a target may have all of them side by side under another name
    """
    ours, theirs = output_of(source), output_of(target)
    if len(source.outputs) < 2 or ours is None or theirs is None or ours.shape != theirs.shape:
        return {}
    unequal, found, first = differs(ours, theirs), dict[str, tuple[int, int]](), 0
    for name in sorted(source.outputs):
        width = flatten(source.outputs[name]).shape[2]
        part, first = unequal[..., first : first + width], first + width
        found[name] = int(np.count_nonzero(part)), part.size
    return found


def by_output_in_words(apart: Mapping[str, tuple[int, int]]) -> str:
    """How many numbers of which Output differ; of those where some do, first."""
    order = sorted(apart, key=lambda name: (not apart[name][0], name))
    return ", ".join(f"{apart[name][0]} of {apart[name][1]} at {name}" for name in order)


def membrane_gap(source: Recording, target: Recording) -> float | None:
    """The largest \\|membrane difference\\| [V] over nodes recorded on both sides; None where there are none.

    Only the first MEMBRANE_SAMPLES samples have membranes.  The number is raw: a backend that folds its gain
    into the threshold has another scale.
    """
    largest: float | None = None
    for name, other in match_nodes(source.membranes, target.membranes).items():
        ours = flatten(source.membranes[name])[:, :MEMBRANE_SAMPLES]
        theirs = flatten(target.membranes[other])[:, :MEMBRANE_SAMPLES]
        if ours.shape != theirs.shape or not ours.size:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = np.abs(np.subtract(ours, theirs, dtype=np.float64))
        gaps = gaps[~np.isnan(gaps)]
        if gaps.size:
            largest = max(largest or 0.0, float(gaps.max()))
    return largest
