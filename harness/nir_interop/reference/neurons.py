r"""How a neuron advances by one step under an update rule.

Every neuron is one or two leaky integrators.  The membrane :math:`v` [V] of a step is

.. math:: v \leftarrow a\,v + g\,x + c

with :math:`a`, :math:`g` and :math:`c` (what the leak adds) chosen by the axes of :class:`nir_interop.rule.UpdateRule`; a
current-based neuron feeds the membrane with a second one :math:`i` [A] instead of :math:`x`.  Then the membrane is
compared with the threshold, and reset.  All tensors have axes (T, B, \*shape).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nir_interop.graphs import Node
from nir_interop.recording import MEMBRANE_SAMPLES
from nir_interop.rule import (
    FIXED_DT,
    Comparison,
    Decay,
    Floor,
    Gain,
    LeakUse,
    Order,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)

Values = NDArray[np.float64]

FIXED_POINT = 4096
"""Units per volt, and per whole decay, of fixed-point arithmetic (12 bits, as on Loihi)."""

State = dict[str, Tensor]
"""What a node remembers from one step to the next, axes (B, \\*shape)."""


@dataclass
class Trace:
    r"""What a node did over a sequence.

    output : (T, B, \*shape)
    state : after the last step
    membrane : after the reset of each step, of the first MEMBRANE_SAMPLES samples, or None for a node without one
    margin : the smallest :math:`|v - \theta| / |\theta|` at any decision
    """

    output: Tensor
    state: State = field(default_factory=dict)
    membrane: Tensor | None = None
    margin: float = float("inf")


class Element(Protocol):
    """A node of a graph, ready to run over a sequence, whole or in parts."""

    def start(self, batch: int) -> State:
        """The state before the first step."""
        ...

    def sequence(self, x: Tensor, state: State) -> Trace:
        """Advance by as many steps as ``x`` has."""
        ...


@dataclass(frozen=True)
class LeakyIntegrator:
    r"""A leaky integrator, :math:`u \leftarrow a\,u + g\,x + c`.

    drive : turns inputs (T, B, \*shape) into :math:`g\,x + c`
    advance : overwrites one step's drive with the new value, and returns it
    start : the value before the first step
    """

    drive: Callable[[Tensor], Tensor]
    advance: Callable[[Tensor, Tensor], Tensor]
    start: Values

    def responses(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
        """What a step makes of a state of 1 without drive, and the drives of an input of 1 and of silence, each of a shape."""
        one, zero = torch.ones(shape, dtype=dtype), torch.zeros(shape, dtype=dtype)
        return self.advance(one.clone(), zero.clone()), self.drive(one), self.drive(zero)


def parameter(node: Node, name: str, shape: tuple[int, ...]) -> Values:
    """A parameter of a node for every element of its shape; a scalar stands for all."""
    value = np.asarray(node[name], dtype=np.float64)
    return np.broadcast_to(value.reshape(()) if value.size == 1 else value.reshape(shape), shape)


def membrane_integrator(node: Node, shape: tuple[int, ...], dt: float, rule: UpdateRule) -> LeakyIntegrator:
    r"""The membrane: :math:`a` from τ (1 for I and IF), :math:`g` from R, :math:`c` from v_leak."""
    resistance = np.ones(shape) if rule.resistance is Use.IGNORED else parameter(node, "r", shape)
    name = "tau_mem" if "tau_mem" in node.params else "tau"
    tau = _time_constant(node, name, shape)
    step = _step(rule, dt, tau, node, shape)
    decay = _decay(rule, step, tau)
    gain = _gain(rule.gain, resistance, step, tau if name in node.params else None, decay)
    if rule.resistance is Use.COLLAPSED:
        gain = np.full(shape, gain.min())
    leak = parameter(node, "v_leak", shape) if "v_leak" in node.params else np.zeros(shape)
    added = {LeakUse.IGNORED: np.zeros(shape), LeakUse.ADDED: leak}.get(rule.leak, (1 - decay) * leak)
    return _integrator(rule, decay, gain, added, np.zeros(shape))


def synapse_integrator(node: Node, shape: tuple[int, ...], dt: float, rule: UpdateRule) -> LeakyIntegrator:
    """The synapse of a current-based neuron: w_in in the place of R, and no leak but where a rule gives it the membrane's."""
    weight = np.ones(shape) if rule.input_weight is Use.IGNORED else parameter(node, "w_in", shape)
    tau = _time_constant(node, "tau_syn", shape)
    membrane_tau = _time_constant(node, "tau_mem", shape)
    step = _step(rule, dt, membrane_tau, node, shape)
    decay = _decay(_of_synapse(rule), step, tau)
    gain = _gain(rule.synapse_gain, weight, step, tau, decay)
    leak = parameter(node, "v_leak", shape) if rule.leak is LeakUse.ON_SYNAPSE else np.zeros(shape)
    start = leak if rule.start is Start.LEAK else np.zeros(shape)
    return _integrator(rule, decay, gain, (1 - decay) * leak, start)


def start_value(node: Node, shape: tuple[int, ...], rule: UpdateRule) -> Values:
    """The membrane before the first step."""
    name = {Start.ZERO: "", Start.LEAK: "v_leak", Start.RESET: "v_reset"}[rule.start]
    return parameter(node, name, shape) if name in node.params else np.zeros(shape)


def _time_constant(node: Node, name: str, shape: tuple[int, ...]) -> Values:
    return parameter(node, name, shape) if name in node.params else np.full(shape, np.inf)


def _step(rule: UpdateRule, dt: float, tau: Values, node: Node, shape: tuple[int, ...]) -> Values:
    if rule.time_step is TimeStep.INFERRED and np.isfinite(tau).all():
        return np.full(shape, (tau / (1 + parameter(node, "r", shape))).min(initial=np.inf))
    steps = {TimeStep.FIXED: FIXED_DT, TimeStep.UNIT: 1.0}
    return np.full(shape, steps.get(rule.time_step, dt))


def _decay(rule: UpdateRule, step: Values, tau: Values) -> Values:
    if rule.decay is Decay.NINE_TENTHS:
        return np.full_like(tau, 0.9)
    if rule.decay in (Decay.EXPONENTIAL, Decay.EULER_SYNAPSE):
        return np.exp(-step / tau)
    if rule.decay is Decay.WHOLE_SECONDS:
        with np.errstate(divide="ignore"):  # below a second nothing is kept
            return np.exp(-step / np.floor(tau))
    euler = 1 - step / tau
    return euler if rule.decay is Decay.EULER else np.clip(euler, 0, 1)


def _of_synapse(rule: UpdateRule) -> UpdateRule:
    """The rule by which a synapse decays."""
    return rule.but(decay=Decay.EULER) if rule.decay is Decay.EULER_SYNAPSE else rule


def _exponential(rule: UpdateRule, step: Values, tau: Values) -> Values:
    """The time constants of exponentials that decay in a step as a rule does; those given where none does."""
    if rule.decay is Decay.EXPONENTIAL:
        return tau
    decay = _decay(rule, step, tau)
    some = (decay > 0) & (decay < 1)
    return np.where(some, -step / np.log(np.where(some, decay, 0.5)), tau)


def _gain(kind: Gain, factor: Values, step: Values, tau: Values | None, decay: Values) -> Values:
    """The gain of an input; tau is None for what does not leak."""
    if kind is Gain.ONE:
        return np.ones_like(decay)
    if kind is Gain.JUMP:
        return decay
    if tau is None:
        return factor * step
    with np.errstate(invalid="ignore"):  # an infinite factor of an infinite time constant is no number
        return factor * (1 - decay) if kind is Gain.COMPLEMENT else factor * (step / tau)


def _integrator(rule: UpdateRule, decay: Values, gain: Values, added: Values, start: Values) -> LeakyIntegrator:
    if rule.precision is Precision.FIXED:
        return _fixed_point(decay, gain, added, start)
    dtype = torch.float32 if rule.precision is Precision.FLOAT32 else torch.float64
    a, g, c = (_shortest(values, dtype) for values in (decay, gain, added))

    def drive(x: Tensor) -> Tensor:
        scaled: Tensor = x * g
        return scaled.add_(c) if added.any() else scaled

    def advance(u: Tensor, step: Tensor) -> Tensor:
        return step.addcmul_(u, a)

    return LeakyIntegrator(drive, advance, start)


def _fixed_point(decay: Values, gain: Values, added: Values, start: Values) -> LeakyIntegrator:
    a = torch.tensor(np.rint(decay * FIXED_POINT))
    g, c = torch.tensor(gain), torch.tensor(added)

    def drive(x: Tensor) -> Tensor:
        return torch.round((x * g + c) * FIXED_POINT) / FIXED_POINT

    def advance(u: Tensor, step: Tensor) -> Tensor:
        return step.add_(torch.trunc(u * a) / FIXED_POINT)

    return LeakyIntegrator(drive, advance, start)


def _shortest(values: Values, dtype: torch.dtype) -> Tensor:
    """One number where all elements agree: multiplying by a scalar is faster than by a tensor."""
    first = values.flat[0]
    return torch.tensor(first if (values == first).all() else values, dtype=dtype)


class SteppedNeuron:
    """A node with a membrane: I, IF, LI, LIF, CubaLI or CubaLIF, of a shape, at a step ``dt`` [s], under a rule.

    ``step`` is the one step of a neuron that fires; whole sequences, guided replays and predictions of probes take it.
    """

    def __init__(self, node: Node, shape: tuple[int, ...], dt: float, rule: UpdateRule) -> None:
        self.dtype = torch.float32 if rule.precision is Precision.FLOAT32 else torch.float64
        self.shape, self.rule = shape, rule
        self.membrane = membrane_integrator(node, shape, dt, rule)
        self.synapse = synapse_integrator(node, shape, dt, rule) if "tau_syn" in node.params else None
        together = self.synapse is not None and rule.order is Order.TOGETHER
        self.shares = self._shares(node, dt) if together else None
        self.initial = start_value(node, shape, rule)
        self.late, self.carried = rule.timing is Timing.NEXT_STEP, rule.timing is Timing.CARRIED
        self.from_previous, self.reset_first = rule.spike_from.late, rule.spike_from is SpikeFrom.PREVIOUS_RESET
        self.spiking = "v_threshold" in node.params
        if self.spiking:
            self._decide(node)

    def _decide(self, node: Node) -> None:
        """Fix threshold and reset value, and how a spike is decided and what it does."""
        threshold = parameter(node, "v_threshold", self.shape)
        if self.rule.threshold is Use.COLLAPSED:
            threshold = np.full_like(threshold, threshold.min())
        to_zero = self.rule.reset is ResetKind.TO_ZERO
        reset_value = np.zeros(self.shape) if to_zero else parameter(node, "v_reset", self.shape)
        self.threshold = self._tensor(threshold)
        self.fire = firing(self.rule, self.threshold)
        self.reset = resetting(self.rule, self.threshold, self._tensor(reset_value))

    def start(self, batch: int) -> State:
        """The state before the first step."""
        shape = (batch, *self.shape)
        state = {"v": self._tensor(self.initial).expand(shape).clone()}
        if self.synapse is not None:
            state["i"] = self._tensor(self.synapse.start).expand(shape).clone()
        if self.spiking:
            state["s"] = torch.zeros(shape, dtype=self.dtype)
        return state

    def sequence(self, x: Tensor, state: State) -> Trace:
        """Advance by as many steps as ``x`` has."""
        current, kept = self.current(x.to(self.dtype), state)
        if not self.spiking:
            membrane = integrate(self.membrane, current, state["v"])
            return Trace(membrane, kept | {"v": membrane[-1]}, membrane[:, :MEMBRANE_SAMPLES])
        drive = self.membrane.drive(current)
        v, last, spikes = state["v"], state["s"], torch.empty_like(drive)
        compared = torch.empty_like(drive) if self.from_previous or self.late or self.carried else drive
        membranes: list[Tensor] = []
        for t in range(len(drive)):
            v, last, decisive = self.step(v, last, drive[t], spikes[t])
            if compared is not drive:
                compared[t] = decisive
            membranes.append(v[:MEMBRANE_SAMPLES].clone())
        return Trace(spikes, kept | {"v": v, "s": last.clone()}, torch.stack(membranes), self.margin(compared))

    def step(self, v: Tensor, last: Tensor, drive: Tensor, spikes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Advance, compare, reset.

        v, last : the membrane after the step before, and its spikes
        drive : of this step; the advanced membrane is written over it
        spikes : of this step are written here

        Returns the membrane after the step, the spikes, and the membrane that was compared.
        """
        if self.reset_first:
            spikes = self.fire(v, spikes)
            return self.membrane.advance(self.reset(v, spikes), drive), spikes, v
        advanced = self.membrane.advance(v, drive)
        if self.late:
            advanced = self.reset(advanced, last)
        decisive = v if self.from_previous else advanced
        if self.carried:
            decisive = carry(v, decisive, self.threshold)
        spikes = self.fire(decisive, spikes)
        return (advanced if self.late else self.reset(advanced, spikes)), spikes, decisive

    def ahead(self, state: State) -> Tensor:
        """The spikes of the next step before its input is known, of a neuron that reads them from the membrane before."""
        return self.fire(state["v"], torch.empty_like(state["v"]))[None]

    def current(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """What reaches the membrane at each step [A], through the synapse where there is one, and what that remembers."""
        if self.synapse is None:
            return x, {}
        before = state["i"]
        current = integrate(self.synapse, x, before)
        kept = {"i": current[-1]}
        if self.rule.order is Order.SYNAPSE_FIRST:
            return current, kept
        old = torch.cat([before[None], current[:-1]])
        if self.shares is None:
            return old, kept
        return old * self.shares[0] + current * self.shares[1], kept

    def _shares(self, node: Node, dt: float) -> tuple[Tensor, Tensor]:
        r"""What the synapse before and after a step count for in the current that the membrane gets of both together.

        In a step the synapse goes from :math:`i_0` to :math:`i_1 = a_s i_0 + (1 - a_s) w x`.  Of constant :math:`i_0` and
        :math:`w x` the membrane gets :math:`k i_0 + (1 - a - k) w x` (see :class:`nir_interop.rule.Order`), and
        :math:`w x = (i_1 - a_s i_0)/(1 - a_s)`.  Under a rule that does not decay exponentially, the time constants are those
        of exponentials that decay in a step as much, so that the shares follow from :math:`a_s` and *a* alone.
        """
        syn, mem = (parameter(node, name, self.shape) for name in ("tau_syn", "tau_mem"))
        step = _step(self.rule, dt, mem, node, self.shape)
        syn, mem = _exponential(_of_synapse(self.rule), step, syn), _exponential(self.rule, step, mem)
        kept, a = np.exp(-step / syn), np.exp(-step / mem)
        same = np.isclose(syn, mem, rtol=1e-9, atol=0)
        k = np.where(same, a * step / mem, syn * (kept - a) / np.where(same, 1.0, syn - mem)) / (1 - a)
        after = (1 - k) / (1 - kept)
        return self._tensor(k - after * kept), self._tensor(after)

    def unfired(self, x: Tensor, state: State) -> Tensor:
        """The membrane that is compared at each step if it never fires, however high it rises."""
        current, _ = self.current(x.to(self.dtype), state)
        if not self.spiking or self.rule.floor is Floor.NONE:
            return integrate(self.membrane, current, state["v"])
        drive, v = self.membrane.drive(current), state["v"]
        for step in drive:
            v = floored(self.rule, self.membrane.advance(v, step), self.threshold)
        return drive

    def margin(self, compared: Tensor) -> float:
        """How close to the threshold a membrane came that was compared, in units of it; ``compared`` is overwritten."""
        if self.rule.precision is Precision.FIXED or compared.numel() == 0:
            return float("inf")
        scale = torch.where(self.threshold == 0, 1.0, self.threshold.abs())
        return float((compared.sub_(self.threshold).div_(scale)).abs_().min())

    def _tensor(self, array: Values) -> Tensor:
        return torch.tensor(array, dtype=self.dtype)


def integrate(integrator: LeakyIntegrator, x: Tensor, before: Tensor) -> Tensor:
    r"""An integrator without threshold, :math:`u \leftarrow a\,u + g\,x + c`, over all steps of ``x``."""
    drive = integrator.drive(x)
    for step in drive:
        before = integrator.advance(before, step)
    return drive


def firing(rule: UpdateRule, threshold: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    r"""How many spikes a membrane gives, written into the second argument, which is returned.

    One: :math:`s = [v > \theta]` or :math:`[v \ge \theta]`.
    Many: :math:`s = \max(0, \lfloor v/\theta \rfloor)` for ``>=``, :math:`\max(0, \lceil v/\theta \rceil - 1)` for ``>``.
    """
    at_or_above = rule.comparison is Comparison.AT_OR_ABOVE
    if rule.spikes is SpikesPerStep.ONE:
        compare = torch.ge if at_or_above else torch.gt
        return lambda v, out: compare(v, threshold, out=out)

    def many(v: Tensor, out: Tensor) -> Tensor:
        torch.div(v, threshold, out=out)
        count = out.floor_() if at_or_above else out.ceil_().sub_(1)
        return count.clamp_(min=0)

    return many


def carry(before: Tensor, decisive: Tensor, threshold: Tensor) -> Tensor:
    r"""What is compared: :math:`v - \theta` where a membrane is above its threshold as a step begins, else :math:`v`."""
    return torch.where(before > threshold, decisive - threshold, decisive)


def resetting(rule: UpdateRule, threshold: Tensor, reset_value: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    r"""What ``s`` spikes do to a membrane.

    To a value: :math:`v \leftarrow v_\mathrm{reset}` where :math:`s > 0`.  By subtraction: :math:`v \leftarrow v - \theta`
    once, or :math:`v - s\,\theta`.  A floor, where there is one: :math:`v \leftarrow \max(v, -\theta)`, or 0 for
    :math:`-\theta`.
    """

    def to_value(v: Tensor, s: Tensor) -> Tensor:
        return torch.where(s.bool(), reset_value, v)

    def subtract(v: Tensor, s: Tensor) -> Tensor:
        return torch.addcmul(v, s.clamp(max=1), threshold, value=-1)

    def subtract_all(v: Tensor, s: Tensor) -> Tensor:
        return torch.addcmul(v, s, threshold, value=-1)

    once = subtract if rule.spikes is SpikesPerStep.MANY else subtract_all
    reset = {ResetKind.SUBTRACT: once, ResetKind.SUBTRACT_ALL: subtract_all}.get(rule.reset, to_value)
    if rule.floor is Floor.NONE:
        return reset
    return lambda v, s: floored(rule, reset(v, s), threshold)


def floored(rule: UpdateRule, v: Tensor, threshold: Tensor) -> Tensor:
    r"""A membrane that does not fall below its floor: :math:`\max(v, -\theta)`, or :math:`\max(v, 0)`."""
    return v.clamp(min=0) if rule.floor is Floor.ZERO else torch.maximum(v, -threshold)


class Delay:
    """A node that gives back what it got some steps ago, zeros before.

    The delay of each element is round-half-even(delay/dt) steps.
    """

    def __init__(self, node: Node, shape: tuple[int, ...], dt: float, dtype: torch.dtype) -> None:
        self.shape, self.dtype = shape, dtype
        waits = delay_steps(node, shape, dt)
        self.longest = int(waits.max(initial=0))
        self.elements = {int(steps): torch.tensor(waits == steps) for steps in np.unique(waits)}

    def start(self, batch: int) -> State:
        """Silence before the first step."""
        return {"past": torch.zeros((self.longest, batch, *self.shape), dtype=self.dtype)}

    def ahead(self, state: State) -> Tensor:
        """The output of the next step before its input is known; every element must wait for at least one step."""
        return self._shifted(state["past"], 1)

    def sequence(self, x: Tensor, state: State) -> Trace:
        """Shift each element by its own number of steps."""
        line = torch.cat([state["past"], x])
        return Trace(self._shifted(line, len(x)), {"past": line[len(x) :].clone()})

    def _shifted(self, line: Tensor, count: int) -> Tensor:
        """Outputs of ``count`` steps from the inputs since ``longest`` steps before the first of them."""
        output = torch.empty((count, *line.shape[1:]), dtype=line.dtype)
        for steps, chosen in self.elements.items():
            begin = self.longest - steps
            output[:, :, chosen] = line[begin : begin + count][:, :, chosen]
        return output


def delay_steps(node: Node, shape: tuple[int, ...], dt: float) -> NDArray[np.int64]:
    """Steps that a Delay node waits, per element: round-half-even(delay/dt)."""
    return np.rint(parameter(node, "delay", shape) / dt).astype(np.int64)
