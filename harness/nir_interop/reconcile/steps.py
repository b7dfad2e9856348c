r"""The numbers of a neuron's step under a rule, and time constants that give them under another scheme and another step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from nir_interop.agreement.side import Side
from nir_interop.graphs import NEURONS, Array, Graph, Node, as_array, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reference.neurons import Memory, Values, delay_steps, membrane_memory, start_value, synapse_memory
from nir_interop.rule import FIXED_DT, Decay, Gain, LeakUse, Precision, ResetKind, TimeStep, UpdateRule, Use
from nir_interop.vocabulary import Cause

Shape = tuple[int, ...]

TO_VALUE = (ResetKind.TO_VALUE, ResetKind.TO_ZERO)

PER_NEURON = ("tau", "tau_syn", "tau_mem", "r", "w_in", "v_leak", "v_threshold", "v_reset")
"""Parameters of neurons: one number, or one per neuron."""


@dataclass(frozen=True)
class Coefficients:
    r"""Of :math:`u \leftarrow a\,u + g\,x + c` from :math:`u_0`, one number per neuron each."""

    decay: Values
    gain: Values
    leak: Values
    start: Values


def membrane(node: Node, shape: Shape, dt: float, rule: UpdateRule) -> Coefficients:
    """What a rule makes of a neuron's membrane at a step [s]."""
    rule = rule.but(precision=Precision.FLOAT64)
    plain = membrane_memory(node, shape, dt, rule.but(leak=LeakUse.IGNORED))
    return _coefficients(plain, membrane_memory(node, shape, dt, rule), start_value(node, shape, rule), shape)


def synapse(node: Node, shape: Shape, dt: float, rule: UpdateRule) -> Coefficients:
    """What a rule makes of a current-based neuron's synapse at a step [s]."""
    rule = rule.but(precision=Precision.FLOAT64)
    leaking = synapse_memory(node, shape, dt, rule)
    return _coefficients(synapse_memory(node, shape, dt, rule.but(leak=LeakUse.IGNORED)), leaking, leaking.start, shape)


def _coefficients(plain: Memory, leaking: Memory, start: Values, shape: Shape) -> Coefficients:
    """The numbers of a memory, from what it does to 0 and to 1, which says them without rounding."""

    def numbers(memory: Memory, x: float) -> Values:
        return np.array(memory.drive(torch.full(shape, x, dtype=torch.float64)).numpy())

    ones, zeros = (torch.full(shape, value, dtype=torch.float64) for value in (1.0, 0.0))
    return Coefficients(np.array(plain.advance(ones, zeros).numpy()), numbers(plain, 1.0), numbers(leaking, 0.0), start)


def step_of(rule: UpdateRule, dt: float) -> float:
    """The step [s] that a rule takes where it does not guess it from the neuron."""
    return {TimeStep.FIXED: FIXED_DT, TimeStep.UNIT: 1.0}.get(rule.time_step, dt)


def agree(one: Values, other: Values) -> bool:
    """Whether numbers are the same but for what their computation rounds."""
    return bool(np.allclose(one, other, rtol=1e-12, atol=1e-300))


def with_values(node: Node, shape: Shape, values: Mapping[str, Values]) -> Node:
    """A neuron with other parameters: single numbers where all of its parameters are, else one per neuron throughout."""
    names = [name for name in PER_NEURON if name in node.params]
    single = all(node[name].ndim == 0 for name in names) and all((value == value.flat[0]).all() for value in values.values())
    changed = {}
    for name in names:
        value = values.get(name, np.asarray(node[name]))
        value = value.flat[0] if single else np.broadcast_to(_shaped(value, shape), shape)
        changed[name] = as_precise(np.asarray(value), node[name])
    return Node(node.kind, {**node.params, **changed})


def as_precise(values: Values, before: Array) -> Array:
    """Numbers in the precision of those whose place they take, where that loses nothing; else in double precision."""
    with np.errstate(over="ignore"):
        narrow = values.astype(before.dtype if before.dtype.kind == "f" else np.float64)
    return as_array(narrow if np.array_equal(narrow, values) else values)


def _shaped(value: Values, shape: Shape) -> Values:
    return value.reshape(()) if value.size == 1 else value.reshape(shape)


def same_decay(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Time constants that decay in a step of the target as the old ones did in a step of the source.

    .. math:: 1 - h_B/\tau' = a \iff \tau' = \frac{h_B}{1 - a}; \qquad e^{-h_B/\tau'} = a \iff \tau' = \frac{-h_B}{\ln a}

    for membrane and synapse, where *a* is the source's decay and :math:`h_B` the step that the target takes.  The gain of a
    step is linear in :math:`R` (in :math:`w_\mathrm{in}` at the synapse), so :math:`R' = g_A / g_B(R = 1)` gives the same
    gain, also for I and IF, which have no :math:`\tau`.  The leak, :math:`(1-a)\,v_\mathrm{leak}`, is then the same too.  A
    Delay of *n* steps becomes :math:`n\,\Delta t_B`.  Every number of every step is the source's: so are spikes and membranes.

    The result is meant for the target's dt.  Refuses decays that no positive, finite time constant gives (:math:`a \ge 1`,
    :math:`a \le 0` for an exponential, :math:`a < 0` for a clamped one), gains that no R can make up for, and a target that
    guesses its step from the neuron.
    """
    shapes, nodes = validate(graph), dict(graph.nodes)
    side = source.take(SAME_DECAY_AXES, target, NEURONS)
    changed = []
    for name, node in graph.primitives():
        shape = shapes[name][0]
        if node.kind == "Delay":
            waits = delay_steps(node, shape, source.dt)
            if not np.array_equal(waits, delay_steps(node, shape, target.dt)):
                nodes[name] = Node("Delay", {"delay": as_array(waits * target.dt)})
                changed.append(name)
        elif node.kind in NEURONS:
            other = _retimed(name, node, shape, source, side, target.dt)
            if other is not None:
                nodes[name] = other
                changed.append(name)
    if not changed:
        return None
    why = f"their time constants and gains are such that {target.name} decays in a step as {source.name} did"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), tuple(changed), why)


def _retimed(name: str, node: Node, shape: Shape, source: Side, side: Side, dt: float) -> Node | None:
    """The neuron for a side at ``dt``; None where it is right as it is."""
    old, new = source.rule(node.kind), side.rule(node.kind)
    parts = [(membrane, "tau" if "tau" in node.params else "tau_mem", "r", new.gain, new.resistance)]
    if "tau_syn" in node.params:
        parts.append((synapse, "tau_syn", "w_in", new.synapse_gain, new.input_weight))
    values: dict[str, Values] = {}
    before = [part[0](node, shape, source.dt, old) for part in parts]
    after = [part[0](node, shape, dt, new) for part in parts]
    if all(agree(a.decay, b.decay) and agree(a.gain, b.gain) for a, b in zip(before, after, strict=True)):
        return None
    if new.time_step is TimeStep.INFERRED:
        raise Refused(Cause.DT_GUESSED, (name,), f"the step of {name} would be guessed from its parameters")
    for wanted, given, (numbers, tau, factor, gain, use) in zip(before, after, parts, strict=True):
        if not agree(wanted.decay, given.decay):
            if tau not in node.params:
                raise Refused(Cause.DECAY, (name,), f"{name} has no time constant, and leaks on one side alone")
            values[tau] = _time_constant(name, wanted.decay, step_of(new, dt), new.decay)
        plain = with_values(node, shape, {**values, factor: np.ones(shape)})
        # A collapsed gain is the smallest of all, so that one neuron alone would not say its own.
        unit = numbers(plain, shape, dt, new.but(resistance=Use.USED) if use is Use.COLLAPSED else new).gain
        if gain in (Gain.STEP, Gain.COMPLEMENT) and use is not Use.IGNORED:
            with np.errstate(divide="ignore", invalid="ignore"):
                values[factor] = wanted.gain / unit
            if not np.isfinite(values[factor]).all():
                raise Refused(Cause.GAIN, (name,), f"no {factor} gives {name} the gain that it had")
        elif not agree(unit, wanted.gain):
            raise Refused(Cause.GAIN, (name,), f"{factor} of {name} is not used: its gain follows its new {tau}")
    return with_values(node, shape, values)


def _time_constant(name: str, decay: Values, step: float, scheme: Decay) -> Values:
    """The time constant [s, or what the step is in] whose decay in a step is as wanted."""
    if (decay >= 1).any():
        raise Refused(Cause.DECAY, (name,), f"{name} does not decay, and no finite time constant does not")
    if scheme is Decay.EXPONENTIAL:
        if (decay <= 0).any():
            raise Refused(Cause.DECAY, (name,), f"{name} loses all in a step (or turns its sign): no exponential does")
        return -step / np.log(decay)
    if scheme is Decay.EULER_CLAMPED and (decay < 0).any():
        raise Refused(Cause.DECAY_CLAMPED, (name,), f"{name} turns its sign in a step, and a clamped decay does not")
    return step / (1 - decay)


SAME_DECAY_AXES = ("decay", "time_step")

STEPS = (
    Pass(
        "same_decay",
        SAME_DECAY_AXES,
        frozenset(
            {
                Cause.DECAY,
                Cause.DECAY_CLAMPED,
                Cause.DT_FIXED,
                Cause.DT_DEFAULT,
                Cause.DT_GUESSED,
                Cause.DT_REQUESTED,
                Cause.TIME_UNIT,
                Cause.TAU_REWRITTEN,
            }
        ),
        "spikes and membranes",
        same_decay,
    ),
)
"""Passes about time constants and steps."""
