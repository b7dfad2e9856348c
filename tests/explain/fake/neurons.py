"""Nodes with memory in plain NumPy: neurons under the choices of nir_interop.rule, and delays.  One step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from nir_interop.graphs import Node
from nir_interop.rule import (
    Comparison,
    Decay,
    Floor,
    Gain,
    LeakUse,
    Order,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)

Values = np.ndarray[Any, Any]


class Cell:
    """A neuron that has been given a shape (B, *shape) and a step ``dt`` [s]; ``v`` and ``i`` are its state."""

    def __init__(self, node: Node, shape: tuple[int, ...], dt: float, rule: UpdateRule) -> None:
        self.node, self.shape, self.rule = node, shape, rule
        tau = self._value("tau_mem" if "tau_mem" in node.params else "tau", np.inf)
        r = self._value("r", 1.0)
        h = self._time_step(dt, tau, r)
        leak = self._value("v_leak", 0.0)
        self.a = self._decay(h, tau)
        self.g = self._gain(rule.gain, np.ones_like(r) if rule.resistance is Use.IGNORED else r, h, tau, self.a)
        if rule.resistance is Use.COLLAPSED:
            self.g = np.full_like(self.g, self.g.min())
        self.c = (1 - self.a) * leak
        if rule.leak is LeakUse.IGNORED:
            self.c = np.zeros_like(leak)
        elif rule.leak is LeakUse.ADDED:
            self.c = leak
        self.v = np.zeros(shape)
        if rule.start is Start.LEAK:
            self.v = self.v + leak
        elif rule.start is Start.RESET:
            self.v = self.v + self._value("v_reset", 0.0)
        self.spikes = np.zeros(shape)
        self.current_based = "tau_syn" in node.params
        if self.current_based:
            self._synapse(h, leak)
        self.spiking = "v_threshold" in node.params
        if self.spiking:
            theta = self._value("v_threshold", 1.0)
            self.theta = np.full_like(theta, theta.min()) if rule.threshold is Use.COLLAPSED else theta
            self.reset_value = self._value("v_reset", 0.0) if rule.reset is not ResetKind.TO_ZERO else np.zeros_like(theta)

    def step(self, x: Values) -> Values:
        """Advance by one step; returns the spikes, or the membrane of a neuron without threshold."""
        if self.current_based:
            old, self.i = self.i, self.a_syn * self.i + self.g_syn * x + self.c_syn
            if self.rule.order is Order.TOGETHER:
                x = self.k * old + (1 - self.k) * (self.w_in * x + self.rest)
            else:
                x = old if self.rule.order is Order.MEMBRANE_FIRST else self.i
        before = self.v
        if self.spiking and self.rule.spike_from is SpikeFrom.PREVIOUS_RESET:
            self.spikes = self.give()
            self.v = self.a * self._reset(before, self.spikes) + self.g * x + self.c
            return self.spikes
        v = self.a * before + self.g * x + self.c
        if not self.spiking:
            self.v = v
            return v
        late = self.rule.timing is Timing.NEXT_STEP
        if late:
            v = self._reset(v, self.spikes)
        decisive = before if self.rule.spike_from is SpikeFrom.PREVIOUS else v
        if self.rule.timing is Timing.CARRIED:
            decisive = decisive - self.theta * (before > self.theta)
        self.spikes = self._spikes(decisive)
        self.v = v if late else self._reset(v, self.spikes)
        return self.spikes

    def give(self) -> Values:
        """The spikes of this step, of a neuron that reads them from the membrane before."""
        return self._spikes(self.v)

    def _value(self, name: str, default: float) -> Values:
        value = np.float64(self.node.params.get(name, np.array(default)))
        return np.broadcast_to(value.reshape(()) if value.size == 1 else value, self.shape).copy()

    def _time_step(self, dt: float, tau: Values, r: Values) -> Values:
        choice = self.rule.time_step
        if choice is TimeStep.INFERRED and "r" in self.node.params and np.isfinite(tau).all():
            return np.full_like(tau, (tau / (1 + r)).min())
        return np.full_like(tau, {TimeStep.FIXED: 1e-4, TimeStep.UNIT: 1.0}.get(choice, dt))

    def _decay(self, h: Values, tau: Values) -> Values:
        if self.rule.decay is Decay.NINE_TENTHS:
            return 0.9
        if self.rule.decay in (Decay.EXPONENTIAL, Decay.EULER_SYNAPSE):
            return np.exp(-h / tau)
        if self.rule.decay is Decay.WHOLE_SECONDS:
            return np.where(tau < 1, 0.0, np.exp(-h / np.maximum(1.0, np.trunc(tau))))
        share = 1 - h / tau
        return np.minimum(1.0, np.maximum(0.0, share)) if self.rule.decay is Decay.EULER_CLAMPED else share

    def _gain(self, choice: Gain, factor: Values, h: Values, tau: Values, a: Values) -> Values:
        if choice is Gain.ONE:
            return np.ones_like(a)
        if choice is Gain.JUMP:
            return a
        euler = factor * np.where(np.isinf(tau), h, h / tau)
        return np.where(np.isinf(tau), euler, factor * (1 - a)) if choice is Gain.COMPLEMENT else euler

    def _synapse(self, h: Values, leak: Values) -> None:
        tau = self._value("tau_syn", np.inf)
        w_in = np.ones(self.shape) if self.rule.input_weight is Use.IGNORED else self._value("w_in", 1.0)
        self.a_syn = 1 - h / tau if self.rule.decay is Decay.EULER_SYNAPSE else self._decay(h, tau)
        self.k = self._fed(h, tau) if self.rule.order is Order.TOGETHER else np.zeros(self.shape)
        self.w_in = w_in
        self.g_syn = self._gain(self.rule.synapse_gain, w_in, h, tau, self.a_syn)
        self.rest = (
            leak if self.rule.leak is LeakUse.ON_SYNAPSE else np.zeros(self.shape)
        )  # what a synapse without input goes to
        self.c_syn = (1 - self.a_syn) * self.rest
        self.i = np.zeros(self.shape)
        if self.rule.leak is LeakUse.ON_SYNAPSE and self.rule.start is Start.LEAK:
            self.i = leak

    def _fed(self, h: Values, tau: Values) -> Values:
        """The share of a step's current that the synapse before it gives: what is left of it, over points of the step."""
        mem = self._value("tau_mem", np.inf)
        points, weights = np.polynomial.legendre.leggauss(10)
        parts = 64  # of each step, ten points in each
        total = np.zeros(self.shape)
        for part in range(parts):
            for point, weight in zip(points, weights, strict=True):
                s = (part + (point + 1) / 2) / parts
                total += weight / 2 / parts * np.exp(-(1 - s) * h / mem) * np.exp(-s * h / tau)
        return total * h / mem / (1 - np.exp(-h / mem))

    def _spikes(self, v: Values) -> Values:
        at = self.rule.comparison is Comparison.AT_OR_ABOVE
        if self.rule.spikes is SpikesPerStep.ONE:
            return (v >= self.theta if at else v > self.theta).astype(float)
        return np.maximum(0.0, np.floor(v / self.theta) if at else np.ceil(v / self.theta) - 1)

    def _reset(self, v: Values, spikes: Values) -> Values:
        if self.rule.reset is ResetKind.SUBTRACT:
            v = v - self.theta * (spikes > 0)
        elif self.rule.reset is ResetKind.SUBTRACT_ALL:
            v = v - self.theta * spikes
        else:
            v = np.where(spikes > 0, self.reset_value, v)
        if self.rule.floor is Floor.ZERO:
            return np.maximum(v, 0.0)
        return np.maximum(v, -self.theta) if self.rule.floor is Floor.MINUS_THRESHOLD else v


class Line:
    """A Delay: gives back, element by element, what it got round(delay/dt) steps ago."""

    def __init__(self, node: Node, shape: tuple[int, ...], dt: float) -> None:
        steps = delay_in_steps(node, dt)
        self.steps = np.broadcast_to(steps.reshape(()) if steps.size == 1 else steps, shape)
        self.longest = int(self.steps.max())
        self.past: list[Values] = []
        self.shape = shape

    def take(self, x: Values) -> None:
        """What comes in at this step."""
        self.past = [*self.past, np.broadcast_to(x, self.shape)][-self.longest - 1 :]

    def give(self, taken: bool) -> Values:
        """What goes out at this step; ``taken`` says whether this step's input is in already."""
        y = np.zeros(self.shape)
        for steps in np.unique(self.steps):
            position = steps + 1 if taken else steps
            if position <= len(self.past):
                y = np.where(self.steps == steps, self.past[-position], y)
        return y


def delay_in_steps(node: Node, dt: float) -> Values:
    """Whole steps that each element of a Delay waits."""
    return np.rint(np.float64(node["delay"]) / dt).astype(int)
