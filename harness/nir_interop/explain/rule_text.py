"""An update rule as a sentence."""

from __future__ import annotations

from nir_interop.fingerprint import Identified, Subject, Wiring
from nir_interop.graphs import NEURONS, SPIKING
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.rule import (
    Comparison,
    Decay,
    FeedbackBias,
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

_DECAY = {
    Decay.EULER: "forward Euler",
    Decay.EULER_CLAMPED: "forward Euler with a decay clamped to [0, 1]",
    Decay.EXPONENTIAL: "exponential decay",
    Decay.NINE_TENTHS: "keeps 0.9 of the membrane in a step",
}
_STEP = {
    TimeStep.GIVEN: "at the dt it is given",
    TimeStep.FIXED: "at a dt of 1e-4 s, whatever it is given",
    TimeStep.UNIT: "with time constants read as numbers of steps",
    TimeStep.INFERRED: "at a dt guessed from tau and r",
}
_GAIN = {
    Gain.STEP: "",
    Gain.COMPLEMENT: "scales the input by one minus the decay",
    Gain.ONE: "adds the input as it is",
    Gain.JUMP: "adds the input as it is, then decays",
}
_SYNAPSE_GAIN = {
    Gain.STEP: "",
    Gain.COMPLEMENT: "scales the synapse's input by one minus its decay",
    Gain.ONE: "adds the synapse's input as it is",
    Gain.JUMP: "adds the synapse's input as it is, then decays",
}
_LEAK = {
    LeakUse.USED: "",
    LeakUse.IGNORED: "ignores v_leak",
    LeakUse.ON_SYNAPSE: "gives v_leak to the synapse as well",
    LeakUse.ADDED: "adds v_leak at every step",
}
_RESET = {
    ResetKind.TO_VALUE: "resets to v_reset",
    ResetKind.TO_ZERO: "resets to 0",
    ResetKind.SUBTRACT: "resets by subtracting the threshold",
    ResetKind.SUBTRACT_ALL: "resets by subtracting the threshold once a spike",
}
_TIMING = {
    Timing.SAME_STEP: "in the same step",
    Timing.NEXT_STEP: "one step late",
    Timing.CARRIED: "in the same step, and compares what is above the threshold then one threshold lower",
}
_COMPARISON = {Comparison.ABOVE: "fires above the threshold", Comparison.AT_OR_ABOVE: "fires at or above the threshold"}
_START = {Start.ZERO: "starts at 0", Start.LEAK: "starts at v_leak", Start.RESET: "starts at v_reset"}
_PRECISION = {Precision.FLOAT64: "", Precision.FLOAT32: "in single precision", Precision.FIXED: "in fixed-point integers"}
_READ = (Gain.STEP, Gain.COMPLEMENT)
"""Gains that r and w_in are part of."""


def says(rule: UpdateRule, kind: str = "CubaLIF", *, feedback: bool = True) -> str:
    """The rule of a primitive in words: its essentials, and where else it is not NIR's meaning.

    kind : names what there is to say; CubaLIF, the default, has all there is
    feedback : whether there is one, with a bias, of which something could be said
    """
    names, spiking = PARAMETERS[kind], kind in SPIKING
    leaky = "tau" in names or "tau_mem" in names
    first = f"{_DECAY[rule.decay] if leaky else 'adds up'} {_STEP[rule.time_step]}".strip()
    parts = [_DECAY[rule.decay] if rule.decay is Decay.NINE_TENTHS else first, _GAIN[rule.gain]]
    parts.append(_use("r", rule.resistance) if rule.gain in _READ else "")
    if "tau_syn" in names:
        parts.append(_SYNAPSE_GAIN[rule.synapse_gain])
        parts.append(_use("w_in", rule.input_weight) if rule.synapse_gain in _READ else "")
        parts.append("feeds the membrane before the synapse advances" if rule.order is Order.MEMBRANE_FIRST else "")
    if "v_leak" in names:
        parts.append(_LEAK[rule.leak])
    if spiking:
        parts += _spikes(rule)
    parts += [_START[rule.start], _PRECISION[rule.precision]]
    if rule.feedback_bias is FeedbackBias.ABSENT and spiking and feedback:
        parts.append("a feedback's bias is missing at the first step")
    return "; ".join(part for part in parts if part)


def found(kind: Subject, one: Identified, *, feedback: bool = True) -> str:
    """What was found of a primitive, as a sentence: a rule only where there is one, and that only where it is known.

    feedback : as of :func:`says`
    """
    if not one.outputs:
        return "not taken"
    if isinstance(kind, Wiring) or kind not in NEURONS:
        return "as NIR says" if not one.mismatched else "not as NIR says"
    if not one.known:
        return f"no rule found: the closest differs in {one.mismatched} of {one.outputs} outputs"
    return says(one.rule, kind, feedback=feedback)


def _spikes(rule: UpdateRule) -> list[str]:
    return [
        f"{_RESET[rule.reset]} {_TIMING[rule.timing]}",
        _COMPARISON[rule.comparison],
        "one threshold, the smallest, for all neurons" if rule.threshold is Use.COLLAPSED else "",
        "several spikes a step" if rule.spikes is SpikesPerStep.MANY else "",
        "no lower than minus the threshold" if rule.floor is Floor.MINUS_THRESHOLD else "",
        "spikes are read from the membrane before the update" if rule.spike_from is SpikeFrom.PREVIOUS else "",
    ]


def _use(name: str, use: Use) -> str:
    return {Use.USED: "", Use.IGNORED: f"ignores {name}", Use.COLLAPSED: f"one gain, the smallest, for all neurons ({name})"}[
        use
    ]
