"""NIR's own meaning in steps: one forward Euler step of each neuron, as plain functions.

A function takes the state before a step and the input of the step, and gives the state after it, behind the spikes where
there are any.  States and inputs are arrays of one shape, whichever that is: membranes ``v`` in volts, synaptic currents
``i`` and inputs ``x`` in amperes.  Parameters broadcast with them: time constants and ``dt`` in seconds, ``r`` in ohms,
``v_threshold``, ``v_reset`` and ``v_leak`` in volts.  All states are zero before the first step.
"""

from __future__ import annotations

import numpy as np

from nir_interop.arrays import Array


def i_step(v: Array, x: Array, *, r: Array, dt: float) -> Array:
    """Integrator: dv/dt = r x."""
    v = v + dt * r * x
    return v


def li_step(v: Array, x: Array, *, tau: Array, r: Array, v_leak: Array, dt: float) -> Array:
    """Leaky integrator: tau dv/dt = v_leak - v + r x."""
    v = v + dt / tau * (v_leak - v + r * x)
    return v


def fired(v: Array, *, v_threshold: Array, v_reset: Array) -> tuple[Array, Array]:
    """A spike where the membrane is above its threshold; it is set to its reset value in the same step."""
    spikes = v > v_threshold
    return spikes, np.where(spikes, v_reset, v)


def if_step(v: Array, x: Array, *, r: Array, v_threshold: Array, v_reset: Array, dt: float) -> tuple[Array, Array]:
    """Integrate and fire: spikes, membrane."""
    v = i_step(v, x, r=r, dt=dt)
    return fired(v, v_threshold=v_threshold, v_reset=v_reset)


def lif_step(
    v: Array, x: Array, *, tau: Array, r: Array, v_leak: Array, v_threshold: Array, v_reset: Array, dt: float
) -> tuple[Array, Array]:
    """Leaky integrate and fire: spikes, membrane."""
    v = li_step(v, x, tau=tau, r=r, v_leak=v_leak, dt=dt)
    return fired(v, v_threshold=v_threshold, v_reset=v_reset)


def synapse_step(i: Array, x: Array, *, tau_syn: Array, w_in: Array, dt: float) -> Array:
    """The synapse of a current-based neuron: tau_syn di/dt = w_in x - i."""
    i = i + dt / tau_syn * (w_in * x - i)
    return i


def cubali_step(
    v: Array, i: Array, x: Array, *, tau_syn: Array, tau_mem: Array, r: Array, v_leak: Array, w_in: Array, dt: float
) -> tuple[Array, Array]:
    """Current-based leaky integrator: membrane, current.  The synapse advances first; the membrane gets the new current."""
    i = synapse_step(i, x, tau_syn=tau_syn, w_in=w_in, dt=dt)
    return li_step(v, i, tau=tau_mem, r=r, v_leak=v_leak, dt=dt), i


def cubalif_step(
    v: Array, i: Array, x: Array, *, tau_syn: Array, tau_mem: Array, r: Array, v_leak: Array, w_in: Array,
    v_threshold: Array, v_reset: Array, dt: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Current-based leaky integrate and fire: spikes, membrane, current."""
    v, i = cubali_step(v, i, x, tau_syn=tau_syn, tau_mem=tau_mem, r=r, v_leak=v_leak, w_in=w_in, dt=dt)
    spikes, v = fired(v, v_threshold=v_threshold, v_reset=v_reset)
    return spikes, v, i


def delay_step(past: Array, x: Array, *, delay: Array, dt: float) -> tuple[Array, Array]:
    """Delay: what came in delay/dt steps ago, rounded to the nearest, half-way cases to the even number; and the new past.

    past : the inputs of the steps before, the latest last, as many as the longest delay has steps
    """
    inputs = np.concatenate([past, x[None]])
    steps = np.broadcast_to(np.rint(delay / dt).astype(int), x.shape)
    return np.take_along_axis(inputs, (len(past) - steps)[None], axis=0)[0], inputs[1:]
