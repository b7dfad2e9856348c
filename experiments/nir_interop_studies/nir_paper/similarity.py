r"""How alike first layers are: rate-wise, as the paper compared them, and step by step.

For spikes :math:`s_{tn}` of one recording, the cosine of :math:`\sum_t s_{tn}` over neurons, and that of :math:`s_{tn}` over
neurons and steps; the mean over recordings.  The first hides when the spikes come.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nir_interop.graphs import Array

COLUMNS = (
    "task", "dataset", "mode", "one", "other", "spikes_one", "spikes_other", "outputs", "mismatched", "rate_cosine",
    "time_cosine", "recordings",
)  # fmt: skip


def pair_rows(task: str, dataset: str, mode: str, layers: Mapping[str, Array]) -> Iterator[dict[str, Any]]:
    r"""One row a pair; layers have axes (T, N, \*shape)."""
    for (one, ours), (other, theirs) in itertools.combinations(layers.items(), 2):
        yield {
            "task": task,
            "dataset": dataset,
            "mode": mode,
            "one": one,
            "other": other,
            "spikes_one": int(ours.sum()),
            "spikes_other": int(theirs.sum()),
            "outputs": ours.size,
            "mismatched": int(np.count_nonzero(ours != theirs)),
            **cosines(ours, theirs),
            "recordings": ours.shape[1],
        }


def cosines(ours: Array, theirs: Array) -> dict[str, float | None]:
    r"""Of two layers, axes (T, N, \*shape): ``rate_cosine`` and ``time_cosine``."""
    step_by_step = (np.moveaxis(each, 1, 0) for each in (ours, theirs))
    return {"rate_cosine": cosine(counts(ours), counts(theirs)), "time_cosine": cosine(*step_by_step)}


def counts(layer: Array) -> Array:
    r"""Spikes a neuron, axes (N, \*shape), of a layer with axes (T, N, \*shape)."""
    found: Array = layer.sum(axis=0, dtype=np.int64)
    return found


def cosine(ours: Array, theirs: Array) -> float | None:
    """The mean over recordings, axis 0; None where none has spikes on both sides, a cosine being without meaning there."""
    found = []
    for a, b in zip(ours, theirs, strict=True):
        a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
        size = float(np.sqrt((a @ a) * (b @ b)))
        if size:
            found.append(float(a @ b) / size)
    return float(np.mean(found)) if found else None
