"""Two outputs as rasters: what they are made of, how alike they look, and by how many steps one is late."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAXIMUM_LAG = 5
"""Shifts of up to this many steps are tried."""

_TIE = 12
"""Cosines equal to this many digits are the same cosine."""


def is_counts(output: Array) -> bool:
    """Whether an output is spike counts: whole numbers, none negative; anything else is values."""
    if output.dtype.kind in "bu":
        return True
    with np.errstate(invalid="ignore"):
        return bool(np.all((output >= 0) & (output == np.floor(output)) & (output < 2**31)))


def is_constant(output: Array) -> bool:
    """Whether an output with axes (T, B, n) says the same at every step and for every sample."""
    if output.shape[0] * output.shape[1] > 1:
        return bool(np.all(output == output[:1, :1]))
    return not output.size or bool(np.all(output == output.flat[0]))


def cosine(source: Array, target: Array) -> float | None:
    """Cosine of two arrays as vectors: 0 where one of them is zero, None where both are, or where one is not finite."""
    a, b = source.astype(np.float64).reshape(-1), target.astype(np.float64).reshape(-1)
    # Sums, not inner products: BLAS adds up in another order on another processor.
    return _cosine(float((a * b).sum()), float((a * a).sum()), float((b * b).sum()))


def _cosine(product: float, source: float, target: float) -> float | None:
    """Cosine from the inner product and the two squared norms."""
    if not np.isfinite([product, source, target]).all() or source == target == 0:
        return None
    if source == 0 or target == 0:
        return 0.0
    return float(min(1.0, max(-1.0, product / (np.sqrt(source) * np.sqrt(target)))))


def best_lag(source: Array, target: Array) -> tuple[int | None, float | None]:
    """The shift of the target, −5…5 steps, at which it is most like the source, and the cosine there.

    source, target : (T, B, n)

    A lag of 2 says that the target does at step t + 2 what the source does at step t: it is late.  Only the steps
    that both have count.  Among equal cosines the smaller shift wins, then the late one.  No lag where either side
    is zero throughout.
    """
    if np.array_equal(source, target):
        same = cosine(source, target)
        return (None, None) if same is None else (0, 1.0)
    steps = len(source)
    ours, theirs = source.reshape(steps, -1).astype(np.float64), target.reshape(steps, -1).astype(np.float64)
    our_power, their_power = (ours * ours).sum(axis=1), (theirs * theirs).sum(axis=1)
    found: tuple[float, int] | None = None
    for lag in sorted(range(-MAXIMUM_LAG, MAXIMUM_LAG + 1), key=lambda lag: (abs(lag), -lag)):
        if abs(lag) >= steps:
            break
        here, there = slice(max(0, -lag), steps - max(0, lag)), slice(max(0, lag), steps - max(0, -lag))
        product = float((ours[here] * theirs[there]).sum())
        likeness = _cosine(product, float(our_power[here].sum()), float(their_power[there].sum()))
        if likeness is not None and (found is None or round(likeness, _TIE) > round(found[0], _TIE)):
            found = (likeness, lag)
    if found is None:
        return None, None
    silent = not our_power.any() or not their_power.any()
    return None if silent else found[1], found[0]


def rate_cosine(source: Array, target: Array) -> float | None:
    """Cosine of the outputs averaged over time, (B, n): alike where the same neurons are active, whenever they are."""
    if np.array_equal(source, target) and source.any():
        return 1.0
    return cosine(source.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64))
