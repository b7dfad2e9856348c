"""Which values each axis may have, stage by stage: a later stage extends only what the earlier ones left over."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from functools import cache

from nir_interop.explain.probes.battery import COLLAPSE, COMPARISON, FEEDBACK, RESET, RESPONSE, START
from nir_interop.graphs import SPIKING
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.rule import (
    NIR_MEANING,
    Axis,
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
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.rule import Start as StartValue

Values = Mapping[str, tuple[Axis, ...]]

LEAKY = (Decay.EULER, Decay.EULER_CLAMPED, Decay.EXPONENTIAL)
"""How what has a time constant may decay."""

NOT_RUN: Mapping[tuple[str, Axis], str] = {
    ("input_weight", Use.COLLAPSED): "may exist (one gain of the synapse for a whole layer); the simulator reads it as used",
    ("threshold", Use.IGNORED): "may exist (a threshold of 1, whatever the file says); the simulator reads it as used",
}
"""Values that a rule may have and that no candidate has, since the simulator does not run them as they are meant."""


def axes(kind: str, stage: str) -> Values:
    """Axis → its possible values, of the axes that a stage decides for a primitive."""
    names, spiking = PARAMETERS[kind], kind in SPIKING
    chosen: dict[str, tuple[Axis, ...]] = {}
    if stage == RESPONSE:
        leaky = "tau" in names or "tau_mem" in names
        chosen["time_step"] = tuple(TimeStep) if leaky else (TimeStep.GIVEN, TimeStep.FIXED, TimeStep.UNIT)
        chosen["gain"] = tuple(Gain) if leaky else (Gain.STEP, Gain.ONE)
        chosen["resistance"] = (Use.USED, Use.IGNORED)
        chosen["decay"] = LEAKY if leaky else (Decay.EULER, Decay.NINE_TENTHS)
        if "tau_syn" in names:
            chosen["decay"] = (*LEAKY, Decay.EULER_SYNAPSE)
            chosen |= {"synapse_gain": tuple(Gain), "input_weight": (Use.USED, Use.IGNORED), "order": tuple(Order)}
        if kind == "LI":
            chosen["decay"] = (*LEAKY, Decay.WHOLE_SECONDS)  # not known of any other neuron
        if spiking:
            chosen |= {"spike_from": (SpikeFrom.UPDATED, SpikeFrom.PREVIOUS), "floor": tuple(Floor)}
    elif stage == START:
        if "v_leak" in names:
            chosen["leak"] = tuple(LeakUse) if "tau_syn" in names else (LeakUse.USED, LeakUse.IGNORED, LeakUse.ADDED)
        starts = [StartValue.ZERO]
        starts += [StartValue.LEAK] if "v_leak" in names else []
        starts += [StartValue.RESET] if "v_reset" in names else []
        chosen["start"] = tuple(starts)
    elif stage == COLLAPSE:
        chosen["resistance"] = (Use.USED, Use.COLLAPSED)
        if spiking:
            chosen["threshold"] = (Use.USED, Use.COLLAPSED)
    elif spiking and stage == RESET:
        chosen |= {"reset": tuple(ResetKind), "timing": tuple(Timing), "spikes": tuple(SpikesPerStep)}
        chosen["spike_from"] = (SpikeFrom.PREVIOUS, SpikeFrom.PREVIOUS_RESET)
    elif spiking and stage == COMPARISON:
        chosen["comparison"] = tuple(Comparison)
    elif spiking and stage == FEEDBACK:
        chosen["feedback_bias"] = tuple(FeedbackBias)
    return chosen


def extended(rules: Iterable[UpdateRule], kind: str, stage: str) -> list[UpdateRule]:
    """The rules with every value of a stage's axes; what is not read cannot be collapsed either."""
    return list(dict.fromkeys(candidate for rule in rules for candidate in _extensions(rule, kind, stage)))


@cache
def _extensions(rule: UpdateRule, kind: str, stage: str) -> tuple[UpdateRule, ...]:
    kept = {name: options for name, options in axes(kind, stage).items() if getattr(rule, name) is not Use.IGNORED}
    if stage == RESET and not rule.spike_from.late:
        kept.pop("spike_from", None)
    if stage == FEEDBACK and not rule.spike_from.late:
        kept |= {name: tuple(each for each in options if each is not FeedbackBias.AT_ONCE) for name, options in kept.items()}
    found = []
    for chosen in itertools.product(*kept.values()):
        candidate = rule.but(**dict(zip(kept, chosen, strict=True)))
        if not _distinct(candidate, kind):
            continue
        once = candidate.spikes is SpikesPerStep.ONE
        if candidate.reset is ResetKind.SUBTRACT_ALL and once:
            continue  # one spike at most: the same as SUBTRACT
        if candidate.timing is Timing.CARRIED and not (candidate.reset is ResetKind.SUBTRACT and once):
            continue  # not known of any library, and told apart from nothing after a reset to a value
        found.append(candidate)
    return tuple(found)


def _distinct(rule: UpdateRule, kind: str) -> bool:
    """Whether a rule is another than those beside it: one that resets before the update than that which resets behind it."""
    if rule.order is Order.TOGETHER and not _exact(rule):
        return False  # of other schemes there is no step of both
    if rule.decay is Decay.EULER_SYNAPSE and rule.gain is not Gain.COMPLEMENT:
        return False  # not known of any library
    if rule.decay is Decay.WHOLE_SECONDS and rule.time_step is not TimeStep.INFERRED:
        return False  # not known of any library
    if rule.spike_from is not SpikeFrom.PREVIOUS_RESET:
        return True
    adds_up = not {"tau", "tau_mem"} & {*PARAMETERS[kind]} and rule.decay is not Decay.NINE_TENTHS
    return rule.timing is Timing.SAME_STEP and not (adds_up and rule.reset in (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL))


def _exact(rule: UpdateRule) -> bool:
    """Whether synapse and membrane are each stepped exactly for constant input."""
    return rule.decay is Decay.EXPONENTIAL and rule.gain is rule.synapse_gain is Gain.COMPLEMENT


@cache
def first_candidates(kind: str, precision: Precision = Precision.FLOAT64) -> tuple[UpdateRule, ...]:
    """What may be before anything is known."""
    return tuple(extended([NIR_MEANING.but(precision=precision)], kind, RESPONSE))
