"""Where a rising function crosses zero, for many functions at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rising_root(function: Callable[[Array], tuple[Array, Array]], low: Array, high: Array) -> Array:
    """Newton's method, kept inside a bracket by bisection.

    function : t (n,) → its values and slopes (n,); values do not fall between low and high
    low, high : (n,), value(low) ≤ 0 < value(high)

    Returns the roots (n,) to one part in 2^50 of ``high``, or to where the function's own rounding hides them.  A Newton
    step is taken where it stays in the bracket and is at most half the step before it; else the bracket is halved, so that
    a root near a turning point, where the slope vanishes, is found as surely as any.  It comes to an end: Newton steps
    in a row shrink, and each bisection halves what is left.
    """
    tolerance = 4 * np.finfo(np.float64).eps * high
    t, moved, done = low, high - low, np.zeros(low.shape, dtype=bool)
    while not done.all():
        value, slope = function(t)
        low, high = np.where(value > 0, low, t), np.where(value > 0, t, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = t - value / slope
            trusted = (newton >= low) & (newton <= high) & (2 * np.abs(newton - t) <= np.abs(moved))
        # What has been found stays as it is, so that a root does not depend on its company.
        target = np.where(done, t, np.where(trusted, newton, (low + high) / 2))
        moved, t = target - t, target
        done |= np.abs(moved) <= tolerance
    return t
