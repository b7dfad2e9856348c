"""Which cause a differing rule field is, whose deed it is, and which fields a difference between two rules comes down to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from harness.agreement.replay import Mask, Replays, count, gap
from harness.explain.sentences import difference
from harness.explain.settings import DT, Setting
from harness.fingerprint import differing_axes
from harness.graphs import SPIKING, Graph
from harness.rule import (
    NIR_MEANING,
    Axis,
    Decay,
    LeakUse,
    Precision,
    ResetKind,
    TimeStep,
    UpdateRule,
    Use,
)
from harness.vocabulary import Blame, Cause

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
    if axis == DT:
        says = f"imported at {target.dt:g} s, exported at {source.dt:g} s"
        return Found(Cause.DT_REQUESTED, outputs, (), Blame.SETTING, says)
    kinds = [kind for kind, rule in source.rules.items() if axis in dict(causes_between(rule, target.rules[kind], kind))]
    kind = kinds[0]
    cause = cause_of(axis, source.rules[kind], target.rules[kind])
    blame = _owner(replays, graph, source, target, axis, kinds)
    if blame is Blame.EXPORTER and axis == "reset":
        cause = Cause.RESET_LOST
    nodes = tuple(sorted(name for name in graph.nodes if graph.nodes[name].kind in kinds))
    return Found(cause, outputs, nodes, blame, "; ".join(difference(graph, source, target, axis, each) for each in kinds))


def _owner(replays: Replays, graph: Graph, source: Setting, target: Setting, axis: str, kinds: list[str]) -> Blame:
    """Who left NIR's meaning on an axis: in its rule, or else in what the rule does on this graph."""
    for same in (_says_nir, partial(_does_nir, replays, graph)):
        if same(source, axis, kinds):
            return Blame.IMPORTER
        if same(target, axis, kinds):
            return Blame.EXPORTER
    return Blame.BOTH


def _says_nir(setting: Setting, axis: str, kinds: list[str]) -> bool:
    return all(setting.value(axis, kind) == getattr(NIR_MEANING, axis) for kind in kinds)


def _does_nir(replays: Replays, graph: Graph, setting: Setting, axis: str, kinds: list[str]) -> bool:
    """Whether NIR's value of an axis would do on this graph what the setting's does."""
    plain = {
        kind: rule.but(**{axis: getattr(NIR_MEANING, axis)}) if kind in kinds else rule for kind, rule in setting.rules.items()
    }
    mask = gap(*(replays.run(graph, setting.dt, rules) for rules in (setting.rules, plain)))
    return mask is not None and not mask.any()
