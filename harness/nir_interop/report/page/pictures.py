"""What is drawn of a cell: the spikes of both sides around the first divergence, and the membrane of the neuron it is in.

Everything is plain data for JSON, small enough for some hundred cells in one page.  Spikes are bit planes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nir_interop.compare.divergence import Divergence, differs, first_divergence, flatten, match_nodes, output_of
from nir_interop.graphs import Array, Graph, Node
from nir_interop.recording import Recording

BEFORE, AFTER = 24, 96
"""Steps of a raster before and after the first divergence; shorter recordings are shown whole."""
NEURONS = 20
"""Neurons of a raster at most: those that differ first, then those that fire most."""
AROUND = 12
"""Steps of a membrane on either side of the first divergence."""

Picture = dict[str, Any]
Replay = Callable[[int, int], "Recording | None"]
"""(sample, steps) → what one side's update rule gives for the graph, or None where that is not known."""


@dataclass(frozen=True)
class Recorded:
    """One side of a cell.

    recording : spikes, and membranes where the library lets us see them and they were kept
    replay : stands in for membranes that were not
    """

    recording: Recording
    replay: Replay


def pictures(graph: Graph | None, source: Recorded, target: Recorded, order: tuple[str, ...] = ()) -> Picture:
    """``first``, and what there is of ``raster``, ``output`` and ``membrane``; empty where nothing can be laid side by side."""
    first = first_divergence(source.recording, target.recording, order)
    if first is None:
        return {}
    found: Picture = {"first": {"node": first.node, "step": first.step, "sample": first.sample, "neuron": first.neuron}}
    ours, theirs = _pair(source.recording, target.recording, first)
    found["raster"] = _drawn(ours, theirs, first)
    if first.node in match_nodes(source.recording.spikes, target.recording.spikes):
        output = _output(source.recording, target.recording)
        if output is not None:
            found["output"] = output
    membrane = None if graph is None else _membrane(graph, source, target, first)
    if membrane is not None:
        found["membrane"] = membrane
    return found


def _pair(source: Recording, target: Recording, first: Divergence) -> tuple[Array, Array]:
    names = match_nodes(source.spikes, target.spikes)
    if first.node in names:
        return flatten(source.spikes[first.node]), flatten(target.spikes[names[first.node]])
    if first.node in target.outputs and source.outputs[first.node].size == target.outputs[first.node].size:
        return flatten(source.outputs[first.node]), flatten(target.outputs[first.node])
    return source.output, target.output


def _output(source: Recording, target: Recording) -> Picture | None:
    """The output where it differs first; it need not be where the first node differs."""
    ours, theirs = output_of(source), output_of(target)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return None
    places = np.argwhere(differs(ours, theirs))
    if not len(places):
        return None
    step, sample, neuron = (int(index) for index in places[0])
    return _drawn(ours, theirs, Divergence("output", step, sample, neuron))


def _drawn(ours: Array, theirs: Array, first: Divergence) -> Picture:
    """A raster of spikes, or two curves where what differs are values."""
    begin = max(0, first.step - BEFORE) if len(ours) > BEFORE + AFTER else 0
    end = min(len(ours), begin + BEFORE + AFTER)
    a, b = ours[begin:end, first.sample], theirs[begin:end, first.sample]
    where = {"node": first.node, "sample": first.sample, "begin": begin, "steps": end - begin}
    if not (_counts(a) and _counts(b)):
        one = first.neuron
        return where | {"neuron": one, "values": [_numbers(a[:, one]), _numbers(b[:, one])]}
    unequal = differs(a, b)
    neurons = _chosen(unequal, a, b)
    planes = [_bits(plane[:, neurons].T) for plane in (a > 0, b > 0, unequal)]
    return where | {"neurons": neurons, "of": int(a.shape[1]), "planes": planes}


def _chosen(unequal: Array, a: Array, b: Array) -> list[int]:
    """Neurons by when they differ first, then by how much they fire; in the order of their numbers."""
    steps = len(unequal)
    begins = np.where(unequal.any(0), unequal.argmax(0), steps)
    activity = a.astype(np.int64).sum(0) + b.astype(np.int64).sum(0)
    ranked = np.lexsort((np.arange(len(begins)), -activity, begins))
    return sorted(int(number) for number in ranked[:NEURONS])


def _counts(values: Array) -> bool:
    return bool(np.all((values >= 0) & (values == np.floor(values))))


def _bits(plane: Array) -> str:
    """Row after row, eight to a byte, in base64."""
    return base64.b64encode(np.packbits(np.ascontiguousarray(plane)).tobytes()).decode("ascii")


def _numbers(values: Array) -> list[float | None]:
    """Five digits are more than a screen shows; what is no number is not drawn."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in map(float, values)]


def _membrane(graph: Graph, source: Recorded, target: Recorded, first: Divergence) -> Picture | None:
    begin, end = max(0, first.step - AROUND), min(len(source.recording.output), first.step + AROUND + 1)
    other = match_nodes(source.recording.spikes, target.recording.spikes).get(first.node, first.node)
    sides = ((source, first.node), (target, other))
    curves = [_curve(side, name, first, begin, end) for side, name in sides]
    if all(curve is None for curve in curves):
        return None
    return {
        "node": first.node,
        "neuron": first.neuron,
        "sample": first.sample,
        "begin": begin,
        "at": first.step,
        "threshold": _threshold(graph, source.recording, first.node, first.neuron),
        "curves": [None if curve is None else curve[0] for curve in curves],
        "replayed": [curve is not None and curve[1] for curve in curves],
        "spikes": [_spikes(side.recording, name, first, begin, end) for side, name in sides],
    }


def _curve(side: Recorded, node: str, first: Divergence, begin: int, end: int) -> tuple[list[float | None], bool] | None:
    """A membrane after its reset, and whether it is replayed: by the side's rule, where that gives the same spikes."""
    kept = side.recording.membranes.get(node)
    if kept is not None and first.sample < kept.shape[1]:
        return _numbers(flatten(kept)[begin:end, first.sample, first.neuron]), False
    replayed = side.replay(first.sample, end)
    if replayed is None or node not in replayed.membranes or node not in side.recording.spikes:
        return None
    seen = flatten(side.recording.spikes[node])[:end, first.sample, first.neuron]
    if node not in replayed.spikes or flatten(replayed.spikes[node]).shape[2] <= first.neuron:
        return None
    given = flatten(replayed.spikes[node])[:, 0, first.neuron]
    if not np.array_equal(given, seen):
        return None
    return _numbers(flatten(replayed.membranes[node])[begin:end, 0, first.neuron]), True


def _spikes(recording: Recording, node: str, first: Divergence, begin: int, end: int) -> list[int]:
    """The steps of the window in which the neuron fires."""
    if node not in recording.spikes:
        return []
    fired = flatten(recording.spikes[node])[begin:end, first.sample, first.neuron] > 0
    return [int(step) for step in np.flatnonzero(fired)]


def _threshold(graph: Graph, side: Recording, node: str, neuron: int) -> float | None:
    """As the exported graph has it; another scale inside a library is another threshold."""
    found = graph.nodes.get(node)
    if not isinstance(found, Node):
        return None
    values = found.get("threshold") if found.kind == "Threshold" else found.get("v_threshold")
    if values is None or node not in side.spikes:
        return None
    try:
        every = np.broadcast_to(np.asarray(values, dtype=np.float64), side.spikes[node].shape[2:]).ravel()
    except ValueError:
        return None
    return _numbers(every[neuron : neuron + 1])[0]
