r"""How a backend advances a neuron by one step: every axis is an equation.

Symbols: :math:`v` membrane [V], :math:`i` synaptic current [A], :math:`x` input [A], :math:`\theta` threshold [V],
:math:`a` the share of the membrane that survives a step, :math:`g` the gain of the input, :math:`h` the step [s],
:math:`s` the number of spikes of the step.  The membrane of every rule is

.. math:: v \leftarrow a\,v + (1-a)\,v_\mathrm{leak} + g\,x

(for I and IF :math:`a = 1`), and :math:`a` and :math:`g` are what the axes below choose.  A synapse is a membrane
without leak and threshold, with :math:`w_\mathrm{in}` in the place of :math:`R`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache
from typing import Any


class Axis(Enum):
    """A choice a library makes; the values of one axis exclude each other."""

    __hash__ = object.__hash__  # members are single; Enum's own hashes their names, which rules are too many for


class Decay(Axis):
    """How much of the membrane survives a step."""

    EULER = "euler"
    r""":math:`a = 1 - h/\tau`"""
    EULER_CLAMPED = "euler_clamped"
    r""":math:`a = \min(1, \max(0,\, 1 - h/\tau))`"""
    EXPONENTIAL = "exponential"
    r""":math:`a = e^{-h/\tau}` (Rotter & Diesmann 1999)"""
    NINE_TENTHS = "nine_tenths"
    """:math:`a = 0.9`, whatever the step is: of I and IF, which have no time constant, a library's own number"""


class Gain(Axis):
    """What an input is multiplied with on its way into the membrane (or the synapse)."""

    STEP = "step"
    r""":math:`g = R\,h/\tau` (I, IF: :math:`R\,h`), the forward Euler step of NIR's equation"""
    COMPLEMENT = "complement"
    r""":math:`g = R\,(1 - a)` (I, IF: :math:`R\,h`), the exact step for constant input"""
    ONE = "one"
    r""":math:`g = 1`: the input is added as it is"""
    JUMP = "jump"
    r""":math:`g = a`: the input is added as it is, then decays with the membrane, :math:`v \leftarrow a (v + x)`"""


class Order(Axis):
    """Which of a current-based neuron's two states advances first."""

    SYNAPSE_FIRST = "synapse_first"
    r""":math:`i_{t+1} = a_s i_t + g_s x_t;\; v_{t+1} = a v_t + g\,i_{t+1}`"""
    MEMBRANE_FIRST = "membrane_first"
    r""":math:`v_{t+1} = a v_t + g\,i_t;\; i_{t+1} = a_s i_t + g_s x_t`"""


class Comparison(Axis):
    """When the membrane is high enough."""

    ABOVE = "above"
    r""":math:`v > \theta`"""
    AT_OR_ABOVE = "at_or_above"
    r""":math:`v \ge \theta`"""


class ResetKind(Axis):
    """What a spike does to the membrane."""

    TO_VALUE = "to_value"
    r""":math:`v \leftarrow v_\mathrm{reset}`"""
    TO_ZERO = "to_zero"
    r""":math:`v \leftarrow 0`, whatever v_reset says"""
    SUBTRACT = "subtract"
    r""":math:`v \leftarrow v - \theta`"""
    SUBTRACT_ALL = "subtract_all"
    r""":math:`v \leftarrow v - s\,\theta`"""


class Timing(Axis):
    """When the reset takes place."""

    SAME_STEP = "same_step"
    r"""Right after the spike: :math:`v_{t+1} = a\,\mathrm{reset}(v_t, s_t) + g\,x_{t+1}`"""
    NEXT_STEP = "next_step"
    r"""One update late: :math:`v_{t+1} = \mathrm{reset}(a\,v_t + g\,x_{t+1}, s_t)`; a reset to a value loses the input."""
    CARRIED = "carried"
    r"""Right after the spike; a membrane that is still above its threshold then is compared one threshold lower:
    :math:`s_{t+1} = [a\,v_t + g\,x_{t+1} - \theta\,[v_t > \theta] > \theta]`"""


class SpikesPerStep(Axis):
    """How many spikes fit in a step."""

    ONE = "one"
    r""":math:`s = [v > \theta]`"""
    MANY = "many"
    r""":math:`s = \max(0, \lfloor v/\theta \rfloor)`, with ``>``: :math:`s = \max(0, \lceil v/\theta \rceil - 1)`"""


class Floor(Axis):
    """How low the membrane may fall."""

    NONE = "none"
    """No floor."""
    MINUS_THRESHOLD = "minus_threshold"
    r""":math:`v \leftarrow \max(v, -\theta)` after the reset"""


class Start(Axis):
    """The membrane before the first step."""

    ZERO = "zero"
    r""":math:`v_0 = 0`"""
    LEAK = "leak"
    r""":math:`v_0 = v_\mathrm{leak}`"""
    RESET = "reset"
    r""":math:`v_0 = v_\mathrm{reset}`"""


class SpikeFrom(Axis):
    """Which membrane a spike is read from; the later one delays every layer by a step."""

    UPDATED = "updated"
    r""":math:`s_t = [v_t > \theta]` with the membrane after the update: no layer delay"""
    PREVIOUS = "previous"
    r""":math:`s_t = [v_{t-1} > \theta]` with the membrane before the update: one step late per layer"""


class FeedbackBias(Axis):
    """What a bias on a cycle's waiting edge gives at the first step."""

    PRESENT = "present"
    """A stateless node on the waiting edge has answered to silence: its bias is there at t = 0."""
    ABSENT = "absent"
    """Nothing is on the waiting edge at t = 0."""


class TimeStep(Axis):
    r"""Which step :math:`h` is used."""

    GIVEN = "given"
    r""":math:`h` as asked for"""
    FIXED = "fixed"
    r""":math:`h = 10^{-4}\,\mathrm{s}`, whatever is asked for"""
    UNIT = "unit"
    r""":math:`h = 1`: time constants are read as numbers of steps"""
    INFERRED = "inferred"
    r""":math:`h = \tau/(1 + R)`, guessed from the neuron"""


class Use(Axis):
    """What becomes of a parameter."""

    USED = "used"
    """It means what NIR says."""
    IGNORED = "ignored"
    """It is not read: R = 1, w_in = 1, v_leak = 0."""
    COLLAPSED = "collapsed"
    """One value, the smallest, stands for all neurons of the layer.  R: the smallest gain *g* is every neuron's."""


class LeakUse(Axis):
    """What becomes of v_leak."""

    USED = "used"
    r""":math:`v` relaxes to :math:`v_\mathrm{leak}`"""
    IGNORED = "ignored"
    r""":math:`v` relaxes to 0"""
    ON_SYNAPSE = "on_synapse"
    r""":math:`v` relaxes to :math:`v_\mathrm{leak}`, and so does the synapse"""
    ADDED = "added"
    r""":math:`v_\mathrm{leak}` is added to the membrane at every step"""


class Precision(Axis):
    """The numbers that are computed with."""

    FLOAT64 = "float64"
    """IEEE double precision."""
    FLOAT32 = "float32"
    """IEEE single precision."""
    FIXED = "fixed"
    r"""Integers, as on Loihi: :math:`a` in units of :math:`2^{-12}`, the decayed state truncated towards zero and the
    drive rounded, both to :math:`2^{-12}` of a volt (or ampere)."""


@dataclass(frozen=True)
class UpdateRule:
    """One value per axis; the defaults are NIR's own meaning in steps."""

    decay: Decay = Decay.EULER
    gain: Gain = Gain.STEP
    synapse_gain: Gain = Gain.STEP
    order: Order = Order.SYNAPSE_FIRST
    comparison: Comparison = Comparison.ABOVE
    reset: ResetKind = ResetKind.TO_VALUE
    timing: Timing = Timing.SAME_STEP
    spikes: SpikesPerStep = SpikesPerStep.ONE
    floor: Floor = Floor.NONE
    start: Start = Start.ZERO
    spike_from: SpikeFrom = SpikeFrom.UPDATED
    feedback_bias: FeedbackBias = FeedbackBias.PRESENT
    time_step: TimeStep = TimeStep.GIVEN
    resistance: Use = Use.USED
    input_weight: Use = Use.USED
    threshold: Use = Use.USED
    leak: LeakUse = LeakUse.USED
    precision: Precision = Precision.FLOAT64

    def but(self, **axes: Axis) -> UpdateRule:
        """The same rule with some axes changed.

        Raises TypeError for a value that does not belong to its axis.
        """
        return UpdateRule(**{**vars(self), **axes})

    def __post_init__(self) -> None:
        for name, kind in _kinds():
            value = getattr(self, name)
            if type(value) is not kind:
                raise TypeError(f"{name} takes a {kind.__name__}, not {value!r}")

    @classmethod
    def from_dict(cls, axes: Mapping[str, str]) -> UpdateRule:
        """The rule that :meth:`as_dict` wrote; axes that are not there have NIR's meaning.

        Raises ValueError for an unknown axis or value.
        """
        kinds = {name: type(value) for name, value in _defaults().items()}
        unknown = sorted(set(axes) - set(kinds))
        if unknown:
            raise ValueError(f"no axis {unknown[0]!r}; there are {', '.join(kinds)}")
        return cls().but(**{name: kinds[name](value) for name, value in axes.items()})

    def as_dict(self) -> dict[str, Any]:
        """Axis → value, as text, in the order of the axes."""
        return {axis.name: getattr(self, axis.name).value for axis in fields(self)}


@cache
def _kinds() -> tuple[tuple[str, type[Any]], ...]:
    """Each axis and the class of its values."""
    return tuple((axis.name, type(axis.default)) for axis in fields(UpdateRule))


def _defaults() -> dict[str, Axis]:
    """Axis → NIR's meaning."""
    rule = UpdateRule()
    return {axis.name: getattr(rule, axis.name) for axis in fields(rule)}


@dataclass(frozen=True)
class AxisName:
    """An axis by name, with the class of its values."""

    name: str
    type: type[Axis]


AXES = tuple(AxisName(name, type(value)) for name, value in _defaults().items())
"""The axes of a rule, in their order."""

NIR_MEANING = UpdateRule()
"""Forward Euler at the given step, synapse first, ``>``, to v_reset in the same step, all states start at 0."""
