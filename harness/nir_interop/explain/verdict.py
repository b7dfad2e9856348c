"""Who and why: blame and causes of a cell that is not exact, by arithmetic on five recordings.

::

    native ──1── ref(intended, A) ──2── ref(exported, A) ──3── ref(exported, B) ──4── target

A is the source's rule, B the importer's.  1 is the builder's, 2 the exporter's, 3 lies in the fields in which the rules differ,
4 is the importer's outside any rule.  Where ref(exported, A) already is the native recording, 1 and 2 cancel out and are not
looked at.  See "The way of a graph" in the design.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from nir_interop.agreement.guided import guided
from nir_interop.agreement.replay import Mask, Replays, Rules, Undoing, count, flat, gap, rules_for
from nir_interop.agreement.status import agreement
from nir_interop.compare.comparison import status_of
from nir_interop.compare.nodes import differs, output_of
from nir_interop.errors import OwnFailure
from nir_interop.explain.causes import Found, RuleCause, as_found, differing_causes, needed
from nir_interop.explain.error_causes import reason, unreadable
from nir_interop.explain.exporting import exporter_changes
from nir_interop.explain.rewrites import Candidate
from nir_interop.explain.search import Outside, outside_the_rule
from nir_interop.explain.settings import Setting, settle
from nir_interop.explain.source import distance, source_side
from nir_interop.explain.structure import split_batch
from nir_interop.graphs import Array, Graph
from nir_interop.recording import Recording
from nir_interop.rule import Comparison, TimeStep
from nir_interop.vocabulary import Blame, Cause, Status


class Failure(Protocol):
    """How a run failed, as :class:`nir_interop.errors.RunFailed` says it."""

    status: str
    error_type: str
    message: str


@dataclass(frozen=True)
class CauseShare:
    """A cause, at which nodes of the graph it is at work, and one sentence.

    repaired : wrong outputs that undoing this cause alone makes right
    changed : outputs that undoing it alone changes at all, rightly or not
    """

    cause: Cause
    repaired: int
    nodes: tuple[str, ...]
    says: str
    changed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "cause": str(self.cause),
            "repaired": self.repaired,
            "changed": self.changed,
            "nodes": list(self.nodes),
            "says": self.says,
        }


@dataclass(frozen=True)
class Verdict:
    """Status, blame, causes (what repairs most outputs first), and the share of mismatching outputs that they reproduce."""

    status: Status
    blame: Blame
    causes: tuple[CauseShare, ...] = ()
    explained: float = 0.0

    @property
    def codes(self) -> tuple[str, ...]:
        """The causes' codes, those first that repair most."""
        return tuple(str(share.cause) for share in self.causes)


def explain_cell(
    *,
    intended: Graph | None,
    exported: Graph,
    source_rule: Rules,
    target_rule: Rules,
    native: Recording,
    target: Recording | None,
    stimulus: Array,
    dt_export: float,
    dt_import: float,
    dt_effective: float | None = None,
    failure: Failure | None = None,
    names: tuple[str, str] = ("the source", "the importer"),
    likely: Collection[Cause] = (),
    without_rule: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    r"""Say who made a target's outputs differ from its source's, and how.

    intended : the graph that was asked for, None where NIR cannot say it or nobody asked
    source_rule, target_rule : primitive → rule, of the source's own neurons and of the importer
    stimulus : (T, B, \*shape)
    dt_effective : the step the library really used, None where unknown
    names : of the source and of the importer, for the sentences
    likely : what the importer is known to do outside any rule, see :func:`nir_interop.explain.probe_findings.misruns`
    without_rule : neurons of which no rule of the importer was found, see there, ``without_rule``

    Raises InvalidGraph where the exported graph cannot be inlined.
    """
    replays, steps = Replays(stimulus), (dt_export, dt_import, dt_effective)
    case = _Case(
        intended,
        flat(exported),
        source_rule,
        target_rule,
        replays,
        *steps,
        names=names,
        likely=likely,
        without_rule=without_rule,
    )
    if failure is not None or target is None:
        return case.failed(failure)
    return case.ran(native, target)


@dataclass
class _Case:
    intended: Graph | None
    exported: Graph
    source_rule: Rules
    target_rule: Rules
    replays: Replays
    dt_export: float
    dt_import: float
    dt_effective: float | None
    names: tuple[str, str]
    likely: Collection[Cause]
    without_rule: Mapping[str, str]

    def ran(self, native: Recording, target: Recording) -> Verdict:
        """The verdict on two recordings."""
        ours, theirs = output_of(native), output_of(target)
        shaped = ours is not None and theirs is not None and ours.shape == theirs.shape
        mismatch = differs(ours, theirs) if shaped and ours is not None and theirs is not None else None
        status = Status.WRONG_SHAPE if ours is None or mismatch is None else status_of(ours, count(mismatch))
        if mismatch is not None and not mismatch.any():
            return Verdict(status, Blame.NONE, explained=1.0)
        target, swallowing = split_batch(self.exported, target, self.replays.stimulus.shape[1])
        source, before, found = source_side(
            self.replays, self.exported, self.intended, self.source_rule, self.dt_export, native, self.names[0]
        )
        stepped = self._target_setting(target)
        rounded = not found and before is not None and count(gap(native, before)) == 0
        if rounded and mismatch is not None:
            agreed = agreement(
                self.exported, source.dt, source.rules, self.replays.stimulus, native, target, lambda: _comparison(stepped)
            )
            if agreed.status is Status.ROUNDING:
                share_of = CauseShare(Cause.ROUNDING, agreed.unequal, (), agreed.rounding(), agreed.unequal)
                return Verdict(Status.ROUNDING, Blame.NONE, (share_of,), 1.0)
        outside = self._target_side(stepped, target)
        predicted = outside.recording
        undoing = Undoing.of(native, predicted, mismatch)
        found = [self._recounted(each, stepped, outside, undoing) for each in found]
        found += [self._renamed(each) for each in self._importing(source, stepped, outside, undoing)]
        if swallowing:
            says, whole = "the batch is joined with the features", undoing.wrong.size
            repaired = whole - count(gap(native, target))
            found.append(Found(Cause.FLATTEN_BATCH, repaired, swallowing, Blame.IMPORTER, says, whole))
        found = [each for each in found if each.counts]
        share = _explained(mismatch, native, before, predicted, target)
        if share < 1 and (not found or share == 0):
            open_ = {kind: says for kind, says in self.without_rule.items() if self.exported.of_kind(kind)}
            nodes = tuple(sorted(name for kind in open_ for name in self.exported.of_kind(kind)))
            why = "; ".join(open_.values()) or "nothing that is known reproduces it"
            blame = Blame.IMPORTER if open_ else Blame.UNEXPLAINED
            found.append(Found(Cause.UNEXPLAINED, 0, nodes, blame, why))
        if not found and rounded:
            why = "close to what the rules give, and further away than rounding comes"
            found.append(Found(Cause.UNEXPLAINED, 0, (), Blame.UNEXPLAINED, why))
            share = 0.0
        return Verdict(status, self._blame(found), _shares(found), share)

    def _target_setting(self, target: Recording) -> Setting:
        """The importer's setting, at the step it took where that is its own choice.

        Where its neurons take a step of their own, the one it took may count for delays or for nothing: what is closer tells.
        """
        rules = rules_for(self.exported, self.target_rule)
        taken = self.dt_import if self.dt_effective is None else self.dt_effective
        given = all(rule.time_step is TimeStep.GIVEN for rule in rules.values())
        settings = [
            settle(self.exported, step, rules, self.names[1])
            for step in dict.fromkeys([taken] if given else [self.dt_import, taken])
        ]
        gaps = [gap(self.replays.run(self.exported, each.dt, each.rules), target) for each in settings[1:] and settings]
        return settings[int(np.argmin([distance(mask) for mask in gaps]))] if gaps else settings[0]

    def _renamed(self, each: Found) -> Found:
        """A step that nobody asked for is the importer's."""
        if each.cause is not Cause.DT_REQUESTED or self.dt_import != self.dt_export:
            return each
        return replace(each, cause=Cause.DT_DEFAULT, blame=Blame.IMPORTER)

    def _recounted(self, each: Found, setting: Setting, outside: Outside, undoing: Undoing) -> Found:
        """An exporter's change, counted as undone alone, whatever else the importer does."""
        if each.undone is None:
            return each
        way = outside.applied(each.undone, setting.dt)
        if way is None:
            return replace(each, repaired=0, changed=0)
        repaired, changed = undoing.counts(self.replays.run(way[0], setting.dt, setting.rules, again=way[1]))
        return replace(each, repaired=repaired, changed=changed)

    def _importing(self, source: Setting, target: Setting, outside: Outside, undoing: Undoing) -> list[Found]:
        """The causes of gaps 3 and 4, each undone alone: in the rules, and outside any rule."""
        keys: tuple[RuleCause | Candidate, ...] = (*differing_causes(source, target), *outside.rewrites)
        ways: dict[tuple[Candidate, ...], tuple[Graph, bool] | None] = {}
        if outside.rewrites:
            ways[()] = outside.rewrites[-1].graph, any(each.again for each in outside.rewrites)

        def without(chosen: Collection[RuleCause | Candidate]) -> Recording | None:
            places = tuple(place for each in chosen if isinstance(each, RuleCause) for place in each.places)
            undone = tuple(each for each in chosen if isinstance(each, Candidate))
            if undone not in ways:
                ways[undone] = outside.applied(self.exported, target.dt, undone)
            way, mended = ways[undone], target.take_at(places, source)
            return None if way is None else self.replays.run(way[0], mended.dt, mended.rules, again=way[1])

        before = self.replays.run(self.exported, source.dt, source.rules)
        after = without(())
        apart = gap(before, after)
        if before is None or (apart is not None and not apart.any()):
            return []

        def left(chosen: tuple[RuleCause | Candidate, ...]) -> int | None:
            still = gap(before, without(chosen))
            return None if still is None else count(still)

        smallest = needed(keys, undoing.wrong.size if apart is None else count(apart), left)
        graph, found = self.exported if not outside.rewrites else outside.rewrites[-1].graph, []
        for each in keys:
            counts, need = undoing.counts(without((each,))), each in smallest
            if isinstance(each, RuleCause):
                found.append(as_found(self.replays, graph, source, target, each, counts, need))
            else:
                found.append(Found(each.cause, counts[0], each.nodes, Blame.IMPORTER, each.says, counts[1], need))
        return found

    def _target_side(self, setting: Setting, target: Recording) -> Outside:
        """What reproduces the target."""
        replay = self.replays.run(self.exported, setting.dt, setting.rules)
        mask = gap(replay, target)
        if mask is not None and not mask.any():
            return Outside(replay)
        proof = guided(self.exported, setting.dt, setting.rules, self.replays.stimulus, target)
        if proof.proven:
            return Outside(proof.recording)
        return outside_the_rule(self.replays, self.exported, setting, replay, target, self.likely)

    def failed(self, failure: Failure | None) -> Verdict:
        """The verdict on a run that gave no recording: a cause only where one is known."""
        status = Status(failure.status) if failure is not None else Status.RUN_ERROR
        if failure is not None and failure.error_type == OwnFailure.__name__:
            return Verdict(status, Blame.HARNESS)
        if failure is not None and status is Status.READ_ERROR:
            return _known(status, unreadable(f"{failure.error_type}: {failure.message}", self.exported))
        message = "" if failure is None else f"{failure.error_type} {failure.message}"
        changes = () if self.intended is None else exporter_changes(flat(self.intended), self.exported, self.dt_export)
        steps = (self.dt_export, self.dt_import, self.dt_effective)
        found = reason(message, self.exported, self.replays.stimulus.shape[1], self.target_rule, steps, changes)
        if found is None:
            return Verdict(status, Blame.UNEXPLAINED)
        return _known(status, found)

    def _blame(self, found: list[Found]) -> Blame:
        others = [each for each in found if each.blame is not Blame.SETTING]
        known = {each.blame for each in others if each.blame is not Blame.UNEXPLAINED}
        most = max(others, key=lambda each: (each.blame is not Blame.UNEXPLAINED, each.repaired, each.changed), default=None)
        whose = Blame.BOTH if known == {Blame.EXPORTER, Blame.IMPORTER} else Blame.UNEXPLAINED if most is None else most.blame
        return whose if len(others) == len(found) else whose.beside_a_setting


def _known(status: Status, found: Found) -> Verdict:
    return Verdict(status, found.blame, (CauseShare(found.cause, 0, found.nodes, found.says),), 1.0)


def _comparison(setting: Setting) -> Comparison | None:
    """How the neurons of a graph compare under a setting; None where they do not do it alike."""
    found = {rule.comparison for rule in setting.rules.values()}
    return found.pop() if len(found) == 1 else None


def _explained(
    mismatch: Mask | None, native: Recording, before: Recording | None, predicted: Recording | None, target: Recording
) -> float:
    """The share of mismatching outputs at which both ends of the way are reproduced."""
    here, there = gap(native, before), gap(predicted, target)
    if mismatch is None:
        return float(there is not None and not there.any())
    if here is None or there is None:
        return 0.0
    return count(mismatch & ~here & ~there) / count(mismatch)


def _shares(found: list[Found]) -> tuple[CauseShare, ...]:
    return by_share(CauseShare(each.cause, each.repaired, each.nodes, each.says, each.changed) for each in found)


def by_share(causes: Iterable[CauseShare]) -> tuple[CauseShare, ...]:
    """One entry a cause, those first that undone alone repair most outputs, then those that change most."""
    merged: dict[Cause, CauseShare] = {}
    for each in causes:
        old = merged.get(each.cause, CauseShare(each.cause, 0, (), ""))
        nodes = tuple(sorted({*each.nodes, *old.nodes}))
        says = "; ".join(dict.fromkeys(text for text in (old.says, each.says) if text))
        repaired, changed = max(each.repaired, old.repaired), max(each.changed, old.changed)
        merged[each.cause] = CauseShare(each.cause, repaired, nodes, says, changed)

    def rank(each: CauseShare) -> tuple[bool, int, int, str]:
        return each.cause is Cause.UNEXPLAINED, -each.repaired, -each.changed, str(each.cause)

    return tuple(sorted(merged.values(), key=rank))
