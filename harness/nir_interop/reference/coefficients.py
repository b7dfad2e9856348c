r"""The numbers of a step: decay *a*, gain *g* and leak *c* of a memory :math:`u \leftarrow a\,u + g\,x + c`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nir_interop.graphs import Node
from nir_interop.rule import FIXED_DT, Decay, Gain, LeakUse, Precision, Start, TimeStep, UpdateRule, Use

Values = NDArray[np.float64]

FIXED_POINT = 4096
"""Units per volt, and per whole decay, of fixed-point arithmetic (12 bits, as on Loihi)."""


@dataclass(frozen=True)
class Memory:
    r"""A leaky memory: ``drive`` turns inputs (T, B, \*shape) into :math:`g\,x + c`; ``advance`` overwrites one step's drive
    with the new value and returns it; ``start`` is the value before the first step."""

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


def membrane_memory(node: Node, shape: tuple[int, ...], dt: float, rule: UpdateRule) -> Memory:
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
    return _memory(rule, decay, gain, added, np.zeros(shape))


def synapse_memory(node: Node, shape: tuple[int, ...], dt: float, rule: UpdateRule) -> Memory:
    """The synapse of a current-based neuron: w_in in the place of R, and no leak but where a rule gives it the membrane's."""
    weight = np.ones(shape) if rule.input_weight is Use.IGNORED else parameter(node, "w_in", shape)
    tau = _time_constant(node, "tau_syn", shape)
    membrane_tau = _time_constant(node, "tau_mem", shape)
    step = _step(rule, dt, membrane_tau, node, shape)
    decay = _decay(rule, step, tau)
    gain = _gain(rule.synapse_gain, weight, step, tau, decay)
    leak = parameter(node, "v_leak", shape) if rule.leak is LeakUse.ON_SYNAPSE else np.zeros(shape)
    start = leak if rule.start is Start.LEAK else np.zeros(shape)
    return _memory(rule, decay, gain, (1 - decay) * leak, start)


def start_value(node: Node, shape: tuple[int, ...], rule: UpdateRule) -> Values:
    """The membrane before the first step."""
    name = {Start.ZERO: "", Start.LEAK: "v_leak", Start.RESET: "v_reset"}[rule.start]
    return parameter(node, name, shape) if name in node.params else np.zeros(shape)


def _time_constant(node: Node, name: str, shape: tuple[int, ...]) -> Values:
    return parameter(node, name, shape) if name in node.params else np.full(shape, np.inf)


def _step(rule: UpdateRule, dt: float, tau: Values, node: Node, shape: tuple[int, ...]) -> Values:
    if rule.time_step is TimeStep.INFERRED and np.isfinite(tau).all():
        return tau / (1 + parameter(node, "r", shape))
    steps = {TimeStep.FIXED: FIXED_DT, TimeStep.UNIT: 1.0}
    return np.full(shape, steps.get(rule.time_step, dt))


def _decay(rule: UpdateRule, step: Values, tau: Values) -> Values:
    if rule.decay is Decay.NINE_TENTHS:
        return np.full_like(tau, 0.9)
    if rule.decay is Decay.EXPONENTIAL:
        return np.exp(-step / tau)
    euler = 1 - step / tau
    return euler if rule.decay is Decay.EULER else np.clip(euler, 0, 1)


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


def _memory(rule: UpdateRule, decay: Values, gain: Values, added: Values, start: Values) -> Memory:
    if rule.precision is Precision.FIXED:
        return _fixed_point(decay, gain, added, start)
    dtype = torch.float32 if rule.precision is Precision.FLOAT32 else torch.float64
    a, g, c = (_shortest(values, dtype) for values in (decay, gain, added))

    def drive(x: Tensor) -> Tensor:
        scaled: Tensor = x * g
        return scaled.add_(c) if added.any() else scaled

    def advance(u: Tensor, step: Tensor) -> Tensor:
        return step.addcmul_(u, a)

    return Memory(drive, advance, start)


def _fixed_point(decay: Values, gain: Values, added: Values, start: Values) -> Memory:
    a = torch.tensor(np.rint(decay * FIXED_POINT))
    g, c = torch.tensor(gain), torch.tensor(added)

    def drive(x: Tensor) -> Tensor:
        return torch.round((x * g + c) * FIXED_POINT) / FIXED_POINT

    def advance(u: Tensor, step: Tensor) -> Tensor:
        return step.add_(torch.trunc(u * a) / FIXED_POINT)

    return Memory(drive, advance, start)


def _shortest(values: Values, dtype: torch.dtype) -> Tensor:
    """One number where all elements agree: multiplying by a scalar is faster than by a tensor."""
    first = values.flat[0]
    return torch.tensor(first if (values == first).all() else values, dtype=dtype)
