"""Which cause a differing rule field is, who is to blame for it, and which fields a difference of two rules comes down to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from nir_interop.agreement.replay import Replays, gap
from nir_interop.agreement.side import DT, Place, Side
from nir_interop.explain.rules_in_words import difference_in_words
from nir_interop.fingerprint import differing_axes
from nir_interop.graphs import Graph
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.rule import AXIS, NIR_MEANING, Decay, Precision, UpdateRule
from nir_interop.vocabulary import Blame, Cause


def causes_between(a: UpdateRule, b: UpdateRule, primitive: str) -> tuple[tuple[str, Cause], ...]:
    """Axis and cause for each axis that counts for a primitive and in which ``b``, the target's rule, is not ``a``.

    Float32 against float64 is no difference of rules; what it does is proven as rounding.
    """
    return tuple((axis, cause_of(axis, a, b)) for axis in differing_axes(a, b) if _counts(axis, a, b, primitive))


def cause_of(axis: str, a: UpdateRule, b: UpdateRule) -> Cause:
    """The cause that a differing axis is."""
    return AXIS[axis].cause_of(getattr(a, axis), getattr(b, axis))


def _counts(axis: str, a: UpdateRule, b: UpdateRule, primitive: str) -> bool:
    if axis == "precision":
        return Precision.FIXED in (a.precision, b.precision)
    if axis == "decay" and Decay.NINE_TENTHS in (a.decay, b.decay):
        return True
    return AXIS[axis].applies_to(PARAMETERS[primitive])


@dataclass(frozen=True)
class Found:
    """A cause, what undoing it alone repairs, where it is at work, who is to blame, and in words.

    repaired : wrong outputs that undoing this cause alone makes right, never more than there are
    changed : outputs that undoing it alone changes at all, rightly or not
    needed : whether without undoing it not everything can be repaired
    undone : an exporter's: the graph that it would have written without it
    """

    cause: Cause
    repaired: int
    nodes: tuple[str, ...]
    blame: Blame
    text: str
    changed: int = 0
    needed: bool = True
    undone: Graph | None = None

    @property
    def counts(self) -> bool:
        """Whether it is a reason: undoing it alone mends something, or it is needed."""
        return self.needed or self.repaired > 0


@dataclass(frozen=True)
class RuleCause:
    """A cause in the rules: the axes that are it, of the primitives whose rules differ in them."""

    cause: Cause
    places: tuple[Place, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The primitives, each once."""
        return tuple(dict.fromkeys(kind for _, kind in self.places))


def differing_causes(source: Side, target: Side) -> tuple[RuleCause, ...]:
    """The causes that a difference between two sides may be, in the order of the axes."""
    found: dict[Cause, list[Place]] = {}
    for kind in source.rules:
        for axis, cause in causes_between(source.rules[kind], target.rules[kind], kind):
            found.setdefault(cause, []).append((axis, kind))
    if source.dt != target.dt:
        found[Cause.DT_REQUESTED] = [(DT, "")]
    return tuple(RuleCause(cause, tuple(places)) for cause, places in found.items())


Key = TypeVar("Key")


def needed(keys: Sequence[Key], whole: int, left: Callable[[tuple[Key, ...]], int | None]) -> tuple[Key, ...]:
    """The smallest set of causes that repairs as much as all of them: one alone, or what is left when the others are taken out.

    whole : how many outputs are wrong while nothing is undone
    left : how many while some causes are undone, None where that cannot be told
    """

    def repaired(chosen: tuple[Key, ...]) -> int:
        still = left(chosen)
        return 0 if still is None else max(0, whole - still)

    alone = {key: repaired((key,)) for key in keys}
    best = max(keys, key=lambda key: alone[key], default=None)
    if best is not None and alone[best] == whole:
        return (best,)
    kept, full = list(keys), repaired(tuple(keys))
    done = False
    while not done:
        done = True
        for key in sorted(kept, key=lambda key: alone[key]):
            rest = tuple(other for other in kept if other != key)
            if rest and repaired(rest) == full:
                kept.remove(key)
                done = False
    return tuple(kept)


def as_found(
    replays: Replays, graph: Graph, source: Side, target: Side, each: RuleCause, counts: tuple[int, int], needed: bool
) -> Found:
    """A cause in the rules, with its owner, its nodes and its sentence.

    counts : of outputs that undoing it alone repairs, and changes
    """
    repaired, changed = counts
    if each.cause is Cause.DT_REQUESTED:
        text = f"imported at {target.dt:g} s, exported at {source.dt:g} s"
        return Found(each.cause, repaired, (), Blame.SETTING, text, changed, needed)
    blame = _owner(replays, graph, source, target, each)
    lost = blame is Blame.EXPORTER and any(axis == "reset" for axis, _ in each.places)
    nodes = tuple(sorted(name for name in graph.nodes if graph.nodes[name].kind in each.kinds))
    text = "; ".join(dict.fromkeys(difference_in_words(graph, source, target, axis, kind) for axis, kind in each.places))
    return Found(Cause.RESET_LOST if lost else each.cause, repaired, nodes, blame, text, changed, needed)


def _owner(replays: Replays, graph: Graph, source: Side, target: Side, each: RuleCause) -> Blame:
    """Who left NIR's meaning: in its rule, or else in what the rule does on this graph."""
    for same in (_says_nir, partial(_does_nir, replays, graph)):
        if same(source, each.places):
            return Blame.IMPORTER
        if same(target, each.places):
            return Blame.EXPORTER
    return Blame.BOTH


def _says_nir(side: Side, places: tuple[Place, ...]) -> bool:
    return all(side.value(axis, kind) == getattr(NIR_MEANING, axis) for axis, kind in places)


def _does_nir(replays: Replays, graph: Graph, side: Side, places: tuple[Place, ...]) -> bool:
    """Whether NIR's value of the axes would do on this graph what the side's does."""
    plain = {
        kind: rule.but(**{axis: getattr(NIR_MEANING, axis) for axis, where in places if where == kind})
        for kind, rule in side.rules.items()
    }
    mask = gap(*(replays.run(graph, side.dt, rules) for rules in (side.rules, plain)))
    return mask is not None and not mask.any()
