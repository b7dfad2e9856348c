"""The spikes of one step: when they come, and what is left of the membrane at the step's end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import BadStimulus
from nir_interop.reference.exact.equations import Array, Equation, Parameters, State

MOST_SPIKES = 1_000
"""Spikes of one neuron in one step that are followed one by one; more is an error, not an endless run."""

Listener = Callable[[NDArray[np.intp], Array], None]
"""Told of spikes: which neurons, and when, in seconds since the step began."""


@dataclass(frozen=True)
class Spike(Parameters):
    """What a neuron does when it spikes.

    v_threshold, v_reset : (n,) [V], v_reset < v_threshold
    """

    v_threshold: Array
    v_reset: Array


def next_spike(equation: Equation, spike: Spike, state: State, x: Array, within: Array) -> Array:
    """When each neuron spikes next [s], all arrays (n,): at once where it is above the threshold already."""
    v, theta = state["v"], spike.v_threshold
    below = {**state, "v": np.minimum(v, theta)}
    return np.where(v > theta, 0.0, equation.rise(below, x, theta, within))


def fire_one_by_one(
    equation: Equation, spike: Spike, state: State, x: Array, dt: float, listener: Listener | None = None
) -> tuple[Array, State]:
    """Follow every spike of a step of dt seconds: the definition, for any neuron.

    state, x : (n,), the beginning of the step and the constant input [A].
    Returns the spike counts and the state at the end of the step, (n,).
    Raises BadStimulus where a neuron spikes more than MOST_SPIKES times.
    """
    state = {name: values.copy() for name, values in state.items()}
    counts, clock = np.zeros_like(x), np.zeros_like(x)
    who = np.arange(x.size)
    for _ in range(MOST_SPIKES + 1):
        some, rule = equation.of(who), spike.of(who)
        now = {name: values[who] for name, values in state.items()}
        left = dt - clock[who]
        time = next_spike(some, rule, now, x[who], left)
        fires = time < left
        step = np.where(fires, time, left)
        now = some.after(now, x[who], step)
        now["v"] = np.where(fires, rule.v_reset, np.minimum(now["v"], rule.v_threshold))
        for name, values in now.items():
            state[name][who] = values
        clock[who] += step
        counts[who] += fires
        who = who[fires]
        if not who.size:
            return counts, state
        if listener is not None:
            listener(who, clock[who])
    raise _too_many(dt)


def fire_by_charge(equation: Equation, spike: Spike, state: State, x: Array, dt: float) -> tuple[Array, State]:
    r"""The same without a loop, for a perfect integrator (IF).

    It forgets nothing, so each spike takes :math:`\theta - v_\mathrm{reset}` off what the membrane :math:`\hat v` would be
    without any, whenever it comes:

    .. math:: s = \Bigl\lceil \frac{\hat v(h) - \theta}{\theta - v_\mathrm{reset}} \Bigr\rceil, \quad
        v(h) = \hat v(h) - s\,(\theta - v_\mathrm{reset}) \qquad (\hat v(h) > \theta)

    In volts, not in seconds, so that whole-numbered weights and thresholds are counted without rounding.
    Arguments and results as for :func:`fire_one_by_one`; any finite number of spikes is counted.
    Raises BadStimulus where it is not finite.
    """
    theta, each = spike.v_threshold, spike.v_threshold - spike.v_reset
    above = state["v"] > theta
    free = equation.after({"v": np.where(above, spike.v_reset, state["v"])}, x, dt)["v"]
    with np.errstate(over="ignore"):
        counts = np.maximum(np.ceil((free - theta) / each), 0.0)
    if not np.isfinite(counts).all():
        raise _too_many(dt)
    return counts + above, {"v": np.minimum(free - counts * each, theta)}


def fire_periodically(equation: Equation, spike: Spike, state: State, x: Array, dt: float) -> tuple[Array, State]:
    r"""The same without a loop, for a neuron whose only memory is its membrane (LIF).

    Every reset puts it into the same state under the same input, so after the first spike at :math:`t_1` it goes on with a
    fixed interval :math:`T`, the time from :math:`v_\mathrm{reset}` to :math:`\theta`.  The spikes in :math:`[0, h)` are

    .. math:: s = \lceil (h - t_1) / T \rceil \quad (t_1 < h)

    Arguments and results as for :func:`fire_one_by_one`; any finite number of spikes is counted.
    Raises BadStimulus where it is not finite.
    """
    within = np.full_like(x, dt)
    first = next_spike(equation, spike, state, x, within)
    # An interval of a step or longer leaves room for one spike, whatever its length: infinite ones need no case of their own.
    interval = np.minimum(equation.rise({"v": spike.v_reset}, x, spike.v_threshold, within), dt)
    fires = first < dt
    with np.errstate(divide="ignore", over="ignore"):
        counts = np.where(fires, np.ceil((dt - first) / interval), 0.0)
    if not np.isfinite(counts).all():
        raise _too_many(dt)
    start = np.where(fires, spike.v_reset, state["v"])
    left = np.where(fires, dt - first - (counts - 1) * interval, dt)
    v = equation.after({"v": start}, x, np.maximum(left, 0.0))["v"]
    return counts, {"v": np.minimum(v, spike.v_threshold)}


def _too_many(dt: float) -> BadStimulus:
    return BadStimulus(
        f"a neuron spikes more than {MOST_SPIKES} times in one step of {dt:g} s; weaken the input or shorten the step"
    )
