r"""How a backend advances a neuron by one step: every axis is an equation.

Symbols: :math:`v` membrane [V], :math:`i` synaptic current [A], :math:`x` input [A], :math:`\theta` threshold [V],
:math:`a` the share of the membrane that survives a step, :math:`g` the gain of the input, :math:`h` the step [s],
:math:`s` the number of spikes of the step.  The membrane of every rule is

.. math:: v \leftarrow a\,v + (1-a)\,v_\mathrm{leak} + g\,x

(for I and IF :math:`a = 1`), and :math:`a` and :math:`g` are what the axes below choose.  A synapse is a membrane
without leak and threshold, with :math:`w_\mathrm{in}` in the place of :math:`R`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from nir_interop.vocabulary import Cause

FIXED_DT = 1e-4
"""The step [s] of a rule whose time step is fixed."""


class Axis(Enum):
    """A choice a library makes; the values of one axis exclude each other.

    A value is its name in tables and options, its equation, and two phrases: what is said of it in the sentence that tells a
    whole rule (empty where nothing is), and what a backend does that has it where another has not.  Braces stand for what
    depends on the axis, the primitive and the step: see :data:`AXES` and :mod:`nir_interop.explain.rules_in_words`.
    """

    _value_: str
    equation: str
    in_rule: str
    in_difference: str

    def __new__(cls, value: str, equation: str = "", in_rule: str = "", in_difference: str = "") -> Axis:
        member = object.__new__(cls)
        member._value_ = value
        member.equation, member.in_rule, member.in_difference = equation, in_rule, in_difference
        return member

    __hash__ = object.__hash__  # members are single; Enum's own hashes their names, which rules are too many for


class Decay(Axis):
    """How much of the membrane survives a step."""

    EULER = (
        "euler",
        r":math:`a = 1 - h/\tau`",
        "forward Euler",
        "decays by forward Euler",
    )
    EULER_CLAMPED = (
        "euler_clamped",
        r":math:`a = \min(1, \max(0,\, 1 - h/\tau))`",
        "forward Euler with a decay clamped to [0, 1]",
        "decays by forward Euler, never below 0 or above 1",
    )
    EXPONENTIAL = (
        "exponential",
        r":math:`a = e^{-h/\tau}` (Rotter & Diesmann 1999)",
        "exponential decay",
        "decays exponentially",
    )
    EULER_SYNAPSE = (
        "euler_synapse",
        r":math:`a = e^{-h/\tau}` of the membrane, :math:`a_s = 1 - h/\tau_s` of the synapse",
        "exponential decay of the membrane, forward Euler of the synapse",
        "decays the membrane exponentially and the synapse by forward Euler",
    )
    WHOLE_SECONDS = (
        "whole_seconds",
        r":math:`a = e^{-h/\lfloor\tau\rfloor}`, what is behind the point of :math:`\tau` is cut; below 1 s :math:`a = 0`",
        "exponential decay with time constants cut to whole seconds",
        "cuts time constants to whole seconds",
    )
    NINE_TENTHS = (
        "nine_tenths",
        ":math:`a = 0.9`, whatever the step is: of I and IF, which have no time constant, a library's own number",
        "keeps 0.9 of the membrane in a step",
        "keeps 0.9 of a membrane in a step, whatever that is",
    )


class Gain(Axis):
    """What an input is multiplied with on its way into the membrane (or the synapse)."""

    STEP = (
        "step",
        r":math:`g = R\,h/\tau` (I, IF: :math:`R\,h`), the forward Euler step of NIR's equation",
        "",
        "scales {input} by {factor} dt/{tau}",
    )
    COMPLEMENT = (
        "complement",
        r":math:`g = R\,(1 - a)` (I, IF: :math:`R\,h`), the exact step for constant input",
        "scales {input} by one minus {its} decay",
        "scales {input} by {factor} times one minus the decay",
    )
    ONE = (
        "one",
        ":math:`g = 1`: the input is added as it is",
        "adds {input} as it is",
        "adds {input} as it is",
    )
    JUMP = (
        "jump",
        r":math:`g = a`: the input is added as it is, then decays with the membrane, :math:`v \leftarrow a (v + x)`",
        "adds {input} as it is, then decays",
        "adds {input}, then decays",
    )

    @property
    def scales(self) -> bool:
        """Whether r, or w_in, is part of it."""
        return self in (Gain.STEP, Gain.COMPLEMENT)


class Order(Axis):
    """Which of a current-based neuron's two states advances first."""

    SYNAPSE_FIRST = (
        "synapse_first",
        r":math:`i_{t+1} = a_s i_t + g_s x_t;\; v_{t+1} = a v_t + g\,i_{t+1}`",
        "",
        "advances the synapse before the membrane",
    )
    MEMBRANE_FIRST = (
        "membrane_first",
        r":math:`v_{t+1} = a v_t + g\,i_t;\; i_{t+1} = a_s i_t + g_s x_t`",
        "feeds the membrane before the synapse advances",
        "feeds the membrane before it advances the synapse",
    )
    TOGETHER = (
        "together",
        r":math:`v_{t+1} = a v_t + R\,(k\,i_t + (1 - a - k)\,w\,x_t),\; k = \tau_s (a_s - a)/(\tau_s - \tau)`: the exact step"
        "\n"
        r"of both, the synapse decaying while it feeds the membrane; :math:`k = a\,h/\tau` for equal time constants.",
        "solves synapse and membrane together",
        "solves the synapse and the membrane together",
    )


class Comparison(Axis):
    """When the membrane is high enough."""

    ABOVE = (
        "above",
        r":math:`v > \theta`",
        "fires above the threshold",
        "fires above the threshold only",
    )
    AT_OR_ABOVE = (
        "at_or_above",
        r":math:`v \ge \theta`",
        "fires at or above the threshold",
        "fires at the threshold already",
    )


class ResetKind(Axis):
    """What a spike does to the membrane."""

    TO_VALUE = (
        "to_value",
        r":math:`v \leftarrow v_\mathrm{reset}`",
        "resets to v_reset",
        "resets to v_reset",
    )
    TO_ZERO = (
        "to_zero",
        r":math:`v \leftarrow 0`, whatever v_reset says",
        "resets to 0",
        "resets to 0",
    )
    SUBTRACT = (
        "subtract",
        r":math:`v \leftarrow v - \theta`",
        "resets by subtracting the threshold",
        "resets by subtracting the threshold",
    )
    SUBTRACT_ALL = (
        "subtract_all",
        r":math:`v \leftarrow v - s\,\theta`",
        "resets by subtracting the threshold once a spike",
        "resets by subtracting the threshold for each spike",
    )


class Timing(Axis):
    """When the reset takes place."""

    SAME_STEP = (
        "same_step",
        r"Right after the spike: :math:`v_{t+1} = a\,\mathrm{reset}(v_t, s_t) + g\,x_{t+1}`",
        "in the same step",
        "resets in the step of the spike",
    )
    NEXT_STEP = (
        "next_step",
        r"One update late: :math:`v_{t+1} = \mathrm{reset}(a\,v_t + g\,x_{t+1}, s_t)`; a reset to a value loses the input.",
        "one step late",
        "resets one step after the spike",
    )
    CARRIED = (
        "carried",
        "Right after the spike; a membrane that is still above its threshold then is compared one threshold lower:\n"
        r":math:`s_{t+1} = [a\,v_t + g\,x_{t+1} - \theta\,[v_t > \theta] > \theta]`",
        "in the same step, and compares what is above the threshold then one threshold lower",
        "compares a membrane that its reset left above the threshold one threshold lower",
    )


class SpikesPerStep(Axis):
    """How many spikes fit in a step."""

    ONE = (
        "one",
        r":math:`s = [v > \theta]`",
        "",
        "fires once a step at most",
    )
    MANY = (
        "many",
        r":math:`s = \max(0, \lfloor v/\theta \rfloor)`, with ``>``: :math:`s = \max(0, \lceil v/\theta \rceil - 1)`",
        "several spikes a step",
        "fires several times in a step",
    )


class Floor(Axis):
    """How low the membrane may fall."""

    NONE = (
        "none",
        "No floor.",
        "",
        "has no floor",
    )
    MINUS_THRESHOLD = (
        "minus_threshold",
        r":math:`v \leftarrow \max(v, -\theta)` after the reset",
        "no lower than minus the threshold",
        "keeps the membrane above minus the threshold",
    )
    ZERO = (
        "zero",
        r":math:`v \leftarrow \max(v, 0)` after the reset",
        "no lower than 0",
        "keeps the membrane above 0",
    )


class Start(Axis):
    """The membrane before the first step."""

    ZERO = (
        "zero",
        ":math:`v_0 = 0`",
        "starts at 0",
        "starts at 0",
    )
    LEAK = (
        "leak",
        r":math:`v_0 = v_\mathrm{leak}`",
        "starts at v_leak",
        "starts at v_leak",
    )
    RESET = (
        "reset",
        r":math:`v_0 = v_\mathrm{reset}`",
        "starts at v_reset",
        "starts at v_reset",
    )


class SpikeFrom(Axis):
    """Which membrane a spike is read from; the later one delays every layer by a step."""

    UPDATED = (
        "updated",
        r":math:`s_t = [v_t > \theta]` with the membrane after the update: no layer delay",
        "",
        "reads spikes from the updated membrane",
    )
    PREVIOUS = (
        "previous",
        r":math:`s_t = [v_{t-1} > \theta]` with the membrane before the update: one step late per layer",
        "spikes are read from the membrane before the update",
        "reads spikes from the membrane before the update",
    )
    PREVIOUS_RESET = (
        "previous_reset",
        r":math:`s_t = [v_{t-1} > \theta]`, and the reset comes before the update,"
        "\n"
        r":math:`v_t = a\,\mathrm{reset}(v_{t-1}, s_t) + g\,x_t`: one step late per layer, and nothing else",
        "spikes are read from the membrane before the update, which is reset before it is updated",
        "reads spikes from the membrane before the update, and resets it before it updates it",
    )

    @property
    def late(self) -> bool:
        """Whether a step's spikes are known before its input."""
        return self is not SpikeFrom.UPDATED


class FeedbackBias(Axis):
    """What a cycle feeds back: what a bias on its delayed edge gives at the first step, and whether an edge is delayed."""

    PRESENT = (
        "present",
        "A stateless node on the delayed edge has answered to silence: its bias is there at t = 0.",
        "",
        "has a feedback's bias at the first step",
    )
    ABSENT = (
        "absent",
        "Nothing is on the delayed edge at t = 0.",
        "a feedback's bias is missing at the first step",
        "leaves out a feedback's bias at the first step",
    )
    AT_ONCE = (
        "at_once",
        "No edge is delayed at a neuron whose spikes are late anyway (see ``spike_from``): they go back in the step in which\n"
        "they leave it.  A bias is there at t = 0.",
        "feeds late spikes back in the step in which they leave the layer",
        "feeds late spikes back in the step in which they leave the layer",
    )


class TimeStep(Axis):
    r"""Which step :math:`h` is used."""

    GIVEN = (
        "given",
        ":math:`h` as asked for",
        "at the dt it is given",
        "takes the dt of {dt:g} s it is given",
    )
    FIXED = (
        "fixed",
        r":math:`h = 10^{-4}\,\mathrm{s}`, whatever is asked for",
        "at a dt of 1e-4 s, whatever it is given",
        f"takes a dt of {FIXED_DT:g} s, whatever it is given",
    )
    UNIT = (
        "unit",
        ":math:`h = 1`: time constants are read as numbers of steps",
        "with time constants read as numbers of steps",
        "reads time constants as numbers of steps",
    )
    INFERRED = (
        "inferred",
        r":math:`h = \min \tau/(1 + R)`, guessed from the neurons of a layer: the smallest is that of all",
        "at a dt guessed from tau and r",
        "guesses dt from tau and r",
    )


class Use(Axis):
    """What becomes of a parameter."""

    USED = (
        "used",
        "It means what NIR says.",
        "",
        "uses {name}",
    )
    IGNORED = (
        "ignored",
        "It is not read: R = 1, w_in = 1, v_leak = 0.",
        "ignores {name}",
        "ignores {name}",
    )
    COLLAPSED = (
        "collapsed",
        "One value, the smallest, stands for all neurons of the layer.  R: the smallest gain *g* is every neuron's.",
        "one {quantity}, the smallest, for all neurons{of}",
        "uses one {name} for all neurons",
    )


class LeakUse(Axis):
    """What becomes of v_leak."""

    USED = (
        "used",
        r":math:`v` relaxes to :math:`v_\mathrm{leak}`",
        "",
        "relaxes to v_leak",
    )
    IGNORED = (
        "ignored",
        ":math:`v` relaxes to 0",
        "ignores v_leak",
        "ignores v_leak",
    )
    ON_SYNAPSE = (
        "on_synapse",
        r":math:`v` relaxes to :math:`v_\mathrm{leak}`, and so does the synapse",
        "gives v_leak to the synapse as well",
        "gives v_leak to the synapse as well",
    )
    ADDED = (
        "added",
        r":math:`v_\mathrm{leak}` is added to the membrane at every step",
        "adds v_leak at every step",
        "adds v_leak at every step",
    )


class Precision(Axis):
    """The numbers that are computed with."""

    FLOAT64 = (
        "float64",
        "IEEE double precision.",
        "",
        "computes in double precision",
    )
    FLOAT32 = (
        "float32",
        "IEEE single precision.",
        "in single precision",
        "computes in single precision",
    )
    FIXED = (
        "fixed",
        r"Integers, as on Loihi: :math:`a` in units of :math:`2^{-12}`, the decayed state truncated towards zero and the"
        "\n"
        r"drive rounded, both to :math:`2^{-12}` of a volt (or ampere).",
        "in fixed-point integers",
        "computes in fixed-point integers",
    )


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
        for name, kind in _KINDS:
            value = getattr(self, name)
            if type(value) is not kind:
                raise TypeError(f"{name} takes a {kind.__name__}, not {value!r}")

    @classmethod
    def from_dict(cls, axes: Mapping[str, str]) -> UpdateRule:
        """The rule that :meth:`as_dict` wrote; axes that are not there have NIR's meaning.

        Raises ValueError for an unknown axis or value.
        """
        kinds = {axis.name: axis.type for axis in AXES}
        unknown = sorted(set(axes) - set(kinds))
        if unknown:
            raise ValueError(f"no axis {unknown[0]!r}; there are {', '.join(kinds)}")
        return cls().but(**{name: kinds[name](value) for name, value in axes.items()})

    def as_dict(self) -> dict[str, Any]:
        """Axis → value, as text, in the order of the axes."""
        return {axis.name: getattr(self, axis.name).value for axis in AXES}


@dataclass(frozen=True)
class AxisOfRule:
    """An axis by name.

    cause : of a difference on it, where no value has one of its own
    causes : of a value against NIR's
    needs : parameters of which a neuron has one for the axis to say anything of it; none: of every neuron
    words : for the braces in the phrases of its values
    """

    name: str
    cause: Cause | None = None
    causes: Mapping[Axis, Cause] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def nir(self) -> Axis:
        """The value that is NIR's own meaning."""
        value: Axis = getattr(UpdateRule, self.name)
        return value

    @property
    def type(self) -> type[Axis]:
        """The class of its values."""
        return type(self.nir)

    def applies_to(self, parameters: Iterable[str]) -> bool:
        """Whether the axis says anything of a neuron that has these parameters."""
        return not self.needs or not set(self.needs).isdisjoint(parameters)

    def cause_of(self, here: Axis, there: Axis) -> Cause:
        """The cause that a difference on it is, from a source's value to a target's.

        Raises KeyError where there is none.
        """
        odd, other = (there, here) if there is not self.nir else (here, there)
        if self.cause is not None and (other is not self.nir or odd not in self.causes):
            return self.cause
        return self.causes[odd]


_TAU, _SYNAPSE, _THRESHOLD = ("tau", "tau_mem"), ("tau_syn",), ("v_threshold",)

AXES = (
    AxisOfRule("decay", Cause.DECAY, {Decay.EULER_CLAMPED: Cause.DECAY_CLAMPED}, _TAU),
    AxisOfRule("gain", Cause.GAIN, words={"input": "the input", "factor": "r", "its": "the"}),
    AxisOfRule(
        "synapse_gain", Cause.GAIN, {}, _SYNAPSE, {"input": "the synapse's input", "factor": "w_in", "its": "its"}
    ),
    AxisOfRule("order", Cause.SYNAPSE_ORDER, {}, _SYNAPSE),
    AxisOfRule("comparison", Cause.COMPARISON, {}, _THRESHOLD),
    AxisOfRule("reset", Cause.RESET_KIND, {ResetKind.TO_ZERO: Cause.RESET_VALUE_IGNORED}, _THRESHOLD),
    AxisOfRule("timing", Cause.RESET_LATE, {}, _THRESHOLD),
    AxisOfRule("spikes", Cause.SPIKES_PER_STEP, {}, _THRESHOLD),
    AxisOfRule("floor", Cause.FLOOR, {}, _THRESHOLD),
    AxisOfRule("start", Cause.START),
    AxisOfRule("spike_from", Cause.LAYER_DELAY, {}, _THRESHOLD),
    AxisOfRule("feedback_bias", Cause.FEEDBACK_BIAS_AT_START, {FeedbackBias.AT_ONCE: Cause.CYCLE_ORDER}),
    AxisOfRule(
        "time_step",
        causes={TimeStep.FIXED: Cause.DT_FIXED, TimeStep.UNIT: Cause.TIME_UNIT, TimeStep.INFERRED: Cause.DT_GUESSED},
    ),
    AxisOfRule(
        "resistance",
        causes={Use.IGNORED: Cause.RESISTANCE_IGNORED, Use.COLLAPSED: Cause.RESISTANCE_COLLAPSED},
        words={"name": "r", "quantity": "gain", "of": " (r)"},
    ),
    AxisOfRule(
        "input_weight", Cause.INPUT_WEIGHT_IGNORED, {}, _SYNAPSE, {"name": "w_in", "quantity": "gain", "of": " (w_in)"}
    ),
    AxisOfRule(
        "threshold", Cause.THRESHOLD_COLLAPSED, {}, _THRESHOLD, {"name": "v_threshold", "quantity": "threshold", "of": ""}
    ),
    AxisOfRule(
        "leak",
        causes={
            LeakUse.IGNORED: Cause.LEAK_IGNORED, LeakUse.ON_SYNAPSE: Cause.LEAK_ON_SYNAPSE, LeakUse.ADDED: Cause.LEAK_ADDED,
        },
        needs=("v_leak",),
    ),
    AxisOfRule("precision", Cause.ROUNDING),
)  # fmt: skip
"""The axes of a rule, in their order."""

AXIS = {axis.name: axis for axis in AXES}
"""The same by name."""

_KINDS = tuple((axis.name, axis.type) for axis in AXES)

NIR_MEANING = UpdateRule()
"""Forward Euler at the given step, synapse first, ``>``, to v_reset in the same step, all states start at 0."""
