r"""Distances between spike trains, averaged over the trains of two rasters.

A train is the spikes of one output neuron in answer to one sample.  A raster has axes (T, B, n) and counts spikes; k spikes
in a step are k simultaneous spikes.  Trains that are silent on both sides are left out of the average, equal trains
count with distance 0 and coincidence 1; None where every train is silent.  Time is counted in steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

VAN_ROSSUM_TAU = 10.0
"""Time constant of the van Rossum kernel [steps]."""

VICTOR_PURPURA_COST = 0.2
"""Cost of moving a spike by one step: beyond 10 steps it is cheaper to delete it and to insert another."""

COINCIDENCE_WINDOW = 2
"""Spikes at most this many steps apart coincide."""


def van_rossum(source: Array, target: Array, tau: float = VAN_ROSSUM_TAU) -> float | None:
    r"""Mean van Rossum distance.

    .. math:: D^2 = \frac{2}{\tau}\int_0^\infty \big(f(t) - g(t)\big)^2 dt,\quad f(t) = \sum_{t_k \le t} e^{-(t - t_k)/\tau}

    With this normalisation, elephant's, a train of one spike lies at distance 1 from an empty train; van Rossum's own
    distance is this one divided by :math:`\sqrt 2`.
    Source: van Rossum 2001, 10.1162/089976601300014321.
    """
    return _mean(source, target, lambda a, b: _van_rossum(a - b, tau), equal=0.0)


def _van_rossum(difference: Counts, tau: float) -> Floats:
    r"""Distance of trains (T, N) from their difference.

    The filtered difference :math:`f_t = a f_{t-1} + d_t,\; a = e^{-1/\tau}` falls off within and after the recording,
    so the integral is a geometric sum: :math:`D^2 = (1 - a^2)\sum_t f_t^2 + a^2 f_{T-1}^2`.
    """
    decay = np.exp(-1.0 / tau)
    trace = np.zeros(difference.shape[1])
    power = np.zeros(difference.shape[1])
    for change in difference:
        trace = decay * trace + change
        power += trace * trace
    distance: Floats = np.sqrt((1.0 - decay * decay) * power + (decay * trace) ** 2)
    return distance


def victor_purpura(source: Array, target: Array, cost: float = VICTOR_PURPURA_COST) -> float | None:
    r"""Mean Victor–Purpura distance: the price of turning one train into the other.

    Inserting or deleting a spike costs 1, moving it by :math:`\Delta t` steps costs :math:`q\,|\Delta t|`.
    Source: Victor & Purpura 1996, 10.1152/jn.1996.76.2.1310.
    """
    return _mean(source, target, lambda a, b: _victor_purpura(a - b, cost), equal=0.0)


def _victor_purpura(difference: Counts, cost: float) -> Floats:
    """Distance of trains (T, N) from their difference.

    Spikes at the same step on both sides cancel: moving a and b onto each other is free, and whatever they were moved
    onto before can be joined at no more than the two moves cost.  A spike with no partner within 2/q is never moved.
    """
    extra, missing = np.maximum(difference, 0), np.maximum(-difference, 0)
    if cost > 0:
        reach = int(min(2.0 / cost, len(difference)))
        useful_extra = np.minimum(extra, _within(missing, reach))
        useful_missing = np.minimum(missing, _within(extra, reach))
    else:
        useful_extra, useful_missing = extra, missing
    distance: Floats = (extra - useful_extra + missing - useful_missing).sum(axis=0).astype(np.float64)
    # The outer loop of the dynamic programme runs over the side with fewer spikes.
    swap = useful_extra.sum(axis=0) > useful_missing.sum(axis=0)
    rows = np.where(swap, useful_missing, useful_extra)
    columns = np.where(swap, useful_extra, useful_missing)
    columns_only = rows.sum(axis=0) == 0
    distance[columns_only] += columns.sum(axis=0)[columns_only]
    both = np.flatnonzero(~columns_only)
    distance[both] += _edit_distance(_spike_times(rows[:, both]), _spike_times(columns[:, both]), cost)
    return distance


def _edit_distance(rows: tuple[Floats, Counts], columns: tuple[Floats, Counts], cost: float) -> Floats:
    """Price of turning trains into others, by dynamic programming over one side's spikes, all trains and columns at once.

    rows, columns : spike times (N, most spikes), padded at the end, and the number of spikes (N,)
    """
    row_times, row_counts = rows
    column_times, column_counts = columns
    distance = np.zeros(len(row_counts))
    # Trains with most rows first, so that those that are done fall off the end.
    order = np.argsort(-row_counts, kind="stable")
    row_times, row_counts, column_times = row_times[order], row_counts[order], column_times[order]
    last = column_counts[order]
    insertions = np.arange(column_times.shape[1] + 1, dtype=np.float64)
    best = np.tile(insertions, (len(order), 1))
    for row in range(row_times.shape[1]):
        active = int(np.count_nonzero(row_counts > row))
        above = best[:active]
        price = np.empty_like(above)
        price[:, 0] = row + 1
        moved = above[:, :-1] + cost * np.abs(row_times[:active, row, None] - column_times[:active])
        np.minimum(above[:, 1:] + 1, moved, out=price[:, 1:])
        # An insertion adds 1 to the price one column to the left: take the running minimum of (price − column).
        best = np.minimum.accumulate(price - insertions, axis=1) + insertions
        done = np.flatnonzero(row_counts[:active] == row + 1)
        distance[order[done]] = best[done, last[done]]
    return distance


def _spike_times(counts: Counts) -> tuple[Floats, Counts]:
    """Spike steps of trains (T, N), padded to the same number, (N, most spikes), and the number of spikes, (N,)."""
    trains = counts.T
    number = trains.sum(axis=1)
    which, step = np.nonzero(trains)
    repeats = trains[which, step]
    which, step = np.repeat(which, repeats), np.repeat(step, repeats)
    times = np.zeros((len(number), int(number.max(initial=0))))
    place = np.arange(len(which)) - np.repeat(np.cumsum(number) - number, number)
    times[which, place] = step
    return times, number


def _within(counts: Counts, reach: int) -> Counts:
    """Spikes of trains (T, N) at most ``reach`` steps from each step."""
    steps = len(counts)
    total = np.zeros((steps + 1, counts.shape[1]), dtype=np.int64)
    np.cumsum(counts, axis=0, out=total[1:])
    here = np.arange(steps)
    found: Counts = total[np.minimum(here + reach + 1, steps)] - total[np.maximum(here - reach, 0)]
    return found


def coincidence(source: Array, target: Array, window: int = COINCIDENCE_WINDOW) -> float | None:
    r"""Mean coincidence factor: 1 for equal trains, 0 for trains that meet by chance, −1 at the least.

    .. math:: \Gamma = \frac{N_c - \langle N_c\rangle}{\max(N_s, N_t) - \langle N_c\rangle},\quad
        \langle N_c\rangle = \tfrac12 (p_t N_s + p_s N_t),\quad p = 1 - (1 - \nu)^{2\Delta + 1}

    where N_s, N_t are the spikes of source and target, N_c is the mean of how many spikes of each have one of the other at most
    Δ steps away, ν is the share of steps in which a train spikes and p the chance that a window of it holds a spike.
    For trains of equal, low rate this is Kistler's :math:`2 (N_c - 2\nu\Delta N_s) / (N_s + N_t) / (1 - 2\nu\Delta)`,
    which counts from one train only, loses its meaning where a neuron fires at every fourth step, and passes 1 where the
    rates differ.
    Source: Kistler, Gerstner & van Hemmen 1997, 10.1162/neco.1997.9.5.1015.
    """
    return _mean(source, target, lambda a, b: _coincidence(a, b, window), equal=1.0)


def _coincidence(source: Counts, target: Counts, window: int) -> Floats:
    met = np.zeros(source.shape[1])
    by_chance = np.zeros(source.shape[1])
    for train, other in ((source, target), (target, source)):
        met += 0.5 * (train * (_within(other, window) > 0)).sum(axis=0)
        rate = np.count_nonzero(other, axis=0) / len(other)
        by_chance += 0.5 * (1.0 - (1.0 - rate) ** (2 * window + 1)) * train.sum(axis=0)
    scale = np.maximum(source.sum(axis=0), target.sum(axis=0)) - by_chance
    # Two trains that spike at every step leave nothing to chance: 0 / 0, and not equal, or they would not be here.
    gamma: Floats = np.divide(met - by_chance, scale, out=np.zeros_like(scale), where=scale > 1e-9)
    return np.maximum(gamma, -1.0, out=gamma)


def _mean(source: Array, target: Array, measure: Callable[[Counts, Counts], Floats], equal: float) -> float | None:
    """Average a measure of trains (T, N) over those that spike on at least one side; only unequal ones are measured."""
    a, b = (raster.reshape(len(raster), -1) for raster in (source, target))
    spiking = int(np.count_nonzero(a.any(axis=0) | b.any(axis=0)))
    if not spiking:
        return None
    unequal = np.flatnonzero((a != b).any(axis=0))
    if not unequal.size:
        return equal
    measured = measure(a[:, unequal].astype(np.int64), b[:, unequal].astype(np.int64))
    return float((measured.sum() + equal * (spiking - unequal.size)) / spiking)
