"""Which cause a differing rule field is, whose deed it is, and which fields a difference between two rules comes down to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from harness.explain.replay import Mask, Replays, Rules, count, gap, rules_for
from harness.fingerprint import differing_axes
from harness.graphs import SPIKING, Graph
from harness.recording import Recording
from harness.reference.coefficients import FIXED_DT
from harness.rule import (
    NIR_MEANING,
    Axis,
    Decay,
    LeakUse,
    Precision,
    ResetKind,
    SpikesPerStep,
    Start,
    TimeStep,
    UpdateRule,
    Use,
)
from harness.vocabulary import Blame, Cause

DT = "dt"
"""Stands among the axes for the time step that the caller asks for."""

_SINGLE: dict[str, Cause] = {
    "gain": Cause.GAIN,
    "synapse_gain": Cause.GAIN,
    "order": Cause.SYNAPSE_ORDER,
    "comparison": Cause.COMPARISON,
    "timing": Cause.RESET_LATE,
    "spikes": Cause.SPIKES_PER_STEP,
    "floor": Cause.FLOOR,
    "start": Cause.START,
    "spike_from": Cause.LAYER_DELAY,
    "feedback_bias": Cause.FEEDBACK_BIAS_AT_START,
    "input_weight": Cause.INPUT_WEIGHT_IGNORED,
    "threshold": Cause.THRESHOLD_COLLAPSED,
    "precision": Cause.ROUNDING,
    DT: Cause.DT_REQUESTED,
}
_BY_VALUE: dict[Axis, Cause] = {
    TimeStep.FIXED: Cause.DT_FIXED,
    TimeStep.UNIT: Cause.TIME_UNIT,
    TimeStep.INFERRED: Cause.DT_GUESSED,
    LeakUse.IGNORED: Cause.LEAK_IGNORED,
    LeakUse.ON_SYNAPSE: Cause.LEAK_ON_SYNAPSE,
    LeakUse.ADDED: Cause.LEAK_ADDED,
}
_RESISTANCE = {Use.IGNORED: Cause.RESISTANCE_IGNORED, Use.COLLAPSED: Cause.RESISTANCE_COLLAPSED}
_SYNAPTIC = ("synapse_gain", "order", "input_weight")
_FIRING = ("comparison", "reset", "timing", "spikes", "floor", "spike_from", "threshold")


def causes_between(a: UpdateRule, b: UpdateRule, primitive: str) -> tuple[tuple[str, Cause], ...]:
    """Axis and cause for each axis that counts for a primitive and in which ``b``, the target's rule, is not ``a``.

    Float32 against float64 is no difference of rules; what it does is proven as rounding.
    """
    return tuple((axis, cause_of(axis, a, b)) for axis in differing_axes(a, b) if _counts(axis, a, b, primitive))


def _counts(axis: str, a: UpdateRule, b: UpdateRule, primitive: str) -> bool:
    if axis in _SYNAPTIC:
        return primitive.startswith("Cuba")
    if axis in _FIRING:
        return primitive in SPIKING
    if axis in ("decay", "leak"):
        return primitive not in ("I", "IF")
    if axis == "precision":
        return Precision.FIXED in (a.precision, b.precision)
    return True


def cause_of(axis: str, a: UpdateRule, b: UpdateRule) -> Cause:
    """The cause that a differing axis is."""
    if axis in _SINGLE:
        return _SINGLE[axis]
    here, there = getattr(a, axis), getattr(b, axis)
    default = getattr(NIR_MEANING, axis)
    odd = there if there != default else here
    if axis == "decay":
        return Cause.DECAY_CLAMPED if {here, there} == {Decay.EULER, Decay.EULER_CLAMPED} else Cause.DECAY
    if axis == "reset":
        value = {here, there} == {ResetKind.TO_VALUE, ResetKind.TO_ZERO}
        return Cause.RESET_VALUE_IGNORED if value else Cause.RESET_KIND
    return _RESISTANCE[odd] if axis == "resistance" else _BY_VALUE[odd]


@dataclass(frozen=True)
class Setting:
    """A way to run a graph: the step and one rule per primitive."""

    dt: float
    rules: Mapping[str, UpdateRule]

    def value(self, axis: str, kind: str) -> Any:
        """What an axis says for a primitive; the step for DT."""
        return self.dt if axis == DT else getattr(self.rules[kind], axis)

    def take(self, axes: tuple[str, ...], other: Setting) -> Setting:
        """This setting with some axes as another has them."""
        named = [axis for axis in axes if axis != DT]
        rules = {
            kind: rule.but(**{axis: getattr(other.rules[kind], axis) for axis in named}) for kind, rule in self.rules.items()
        }
        return Setting(other.dt if DT in axes else self.dt, rules)


def settle(graph: Graph, dt: float, rules: Rules) -> Setting:
    """The same setting with NIR's value on each axis whose value makes no difference to the graph's parameters."""
    return Setting(dt, {kind: _settled(rule, graph, kind, dt) for kind, rule in rules_for(graph, rules).items()})


def _settled(rule: UpdateRule, graph: Graph, kind: str, dt: float) -> UpdateRule:
    """A parameter that is neutral, or the same for all neurons, reads the same in every way of reading it."""
    nodes = [node for _, node in graph.primitives() if node.kind == kind]

    def everywhere(name: str, holds: Callable[[Any], Any]) -> bool:
        return all(bool(np.all(holds(np.asarray(node[name])))) for node in nodes if name in node.params)

    def uniform(name: str) -> bool:
        return everywhere(name, lambda value: value == value.reshape(-1)[:1])

    taus = ("tau", "tau_mem", "tau_syn")
    plain: dict[str, bool] = {
        "reset": rule.reset is ResetKind.TO_ZERO and everywhere("v_reset", lambda value: value == 0),
        "start": everywhere({Start.LEAK: "v_leak"}.get(rule.start, "v_reset"), lambda value: value == 0),
        "leak": everywhere("v_leak", lambda value: value == 0),
        "threshold": uniform("v_threshold"),
        "input_weight": everywhere("w_in", lambda value: value == 1),
        "resistance": everywhere("r", lambda value: value == 1)
        if rule.resistance is Use.IGNORED
        else uniform("r") and all(uniform(tau) for tau in taus),
        "time_step": rule.time_step is TimeStep.FIXED and dt == FIXED_DT,
    }
    if rule.time_step is TimeStep.GIVEN:
        plain["decay"] = rule.decay is Decay.EULER_CLAMPED and all(everywhere(tau, lambda value: value >= dt) for tau in taus)
    if rule.spikes is SpikesPerStep.ONE and rule.reset is ResetKind.SUBTRACT_ALL:
        rule = rule.but(reset=ResetKind.SUBTRACT)
    return rule.but(**{axis: getattr(NIR_MEANING, axis) for axis, holds in plain.items() if holds})


@dataclass(frozen=True)
class Found:
    """A cause, with how many outputs it repairs, where it is at work, whose deed it is, and in words."""

    cause: Cause
    outputs: int
    nodes: tuple[str, ...]
    blame: Blame
    says: str


def between_rules(replays: Replays, graph: Graph, source: Setting, target: Setting) -> list[Found]:
    """The axes that make the difference between a graph under two settings: those that change outputs alone, and those
    without which not every output can be repaired.

    Each axis of the target's setting is put back to the source's alone, which counts what it repairs.  Then the axes are
    taken out of the full set one by one, those that repair least first, as long as all outputs stay repaired.
    """
    before = replays.run(graph, source.dt, source.rules)
    after = replays.run(graph, target.dt, target.rules)
    mask = gap(before, after)
    if mask is None or not mask.any() or before is None:
        return []
    axes = _differing(source, target)

    def still(chosen: tuple[str, ...]) -> Mask | None:
        mended = target.take(chosen, source)
        return gap(before, replays.run(graph, mended.dt, mended.rules))

    def changed(axis: str) -> Mask | None:
        mended = target.take((axis,), source)
        return gap(after, replays.run(graph, mended.dt, mended.rules))

    outputs = at_work(axes, mask, still, changed)
    return [_found(replays, graph, source, target, axis, outputs[axis]) for axis in outputs]


def _differing(source: Setting, target: Setting) -> tuple[str, ...]:
    axes: dict[str, None] = {}
    for kind in source.rules:
        axes.update(dict.fromkeys(axis for axis, _ in causes_between(source.rules[kind], target.rules[kind], kind)))
    return (*axes, DT) if source.dt != target.dt else tuple(axes)


Key = TypeVar("Key")


def at_work(
    keys: tuple[Key, ...],
    mask: Mask,
    still: Callable[[tuple[Key, ...]], Mask | None],
    changed: Callable[[Key], Mask | None],
) -> dict[Key, int]:
    """What makes a difference, and how many outputs each repairs, or else changes: alone, or else together with the others.

    mask : the outputs that differ while nothing is repaired
    still : those that differ while some are repaired, None where that cannot be told
    changed : those that one changes that is repaired alone, rightly or not
    """

    def repaired(chosen: tuple[Key, ...]) -> int:
        left = still(chosen)
        return 0 if left is None else max(0, count(mask) - count(left))

    alone = {key: repaired((key,)) for key in keys}
    needed = _smallest(keys, alone, repaired, count(mask))
    outputs = {}
    for key in keys:
        rest = tuple(other for other in needed if other != key)
        touched = count(changed(key))
        if key in needed or touched:
            outputs[key] = alone[key] or touched or count(mask) - repaired(rest)
    return outputs


def _smallest(
    keys: tuple[Key, ...], alone: Mapping[Key, int], repaired: Callable[[tuple[Key, ...]], int], whole: int
) -> tuple[Key, ...]:
    """The smallest set that repairs as much as all of them: one alone, or what is left when the others are taken out."""
    best = max(keys, key=lambda key: alone[key], default=None)
    if best is not None and alone[best] == whole:
        return (best,)
    needed, full = list(keys), repaired(keys)
    done = False
    while not done:
        done = True
        for key in sorted(needed, key=lambda key: alone[key]):
            rest = tuple(other for other in needed if other != key)
            if rest and repaired(rest) == full:
                needed.remove(key)
                done = False
    return tuple(needed)


def _found(replays: Replays, graph: Graph, source: Setting, target: Setting, axis: str, outputs: int) -> Found:
    kinds = [kind for kind in source.rules if source.value(axis, kind) != target.value(axis, kind)]
    if axis == DT:
        says = f"imported at {target.dt:g} s, exported at {source.dt:g} s"
        return Found(Cause.DT_REQUESTED, outputs, (), Blame.SETTING, says)
    kind = kinds[0]
    cause = cause_of(axis, source.rules[kind], target.rules[kind])
    there, here = (_means_nir(replays, graph, setting, axis, kinds) for setting in (target, source))
    blame = Blame.EXPORTER if there else Blame.IMPORTER if here else Blame.BOTH
    if blame is Blame.EXPORTER and axis == "reset":
        cause = Cause.RESET_LOST
    old, new = (setting.value(axis, kind).value for setting in (source, target))
    nodes = tuple(sorted(name for name in graph.nodes if graph.nodes[name].kind in kinds))
    says = f"{', '.join(kinds)}: {axis} is {new} in the importer, {old} in the source ({cause.meaning})"
    return Found(cause, outputs, nodes, blame, says)


def _means_nir(replays: Replays, graph: Graph, setting: Setting, axis: str, kinds: list[str]) -> bool:
    """Whether an axis has NIR's value, or one that does on this graph what NIR's value does."""
    default = getattr(NIR_MEANING, axis)
    if all(setting.value(axis, kind) == default for kind in kinds):
        return True
    plain = {kind: rule.but(**{axis: default}) if kind in kinds else rule for kind, rule in setting.rules.items()}
    recordings: list[Recording | None] = [replays.run(graph, setting.dt, rules) for rules in (setting.rules, plain)]
    mask = gap(*recordings)
    return mask is not None and not mask.any()
