"""Who and why: blame and causes of a cell that is not exact, by arithmetic on five recordings.

::

    native ──1── ref(intended, A) ──2── ref(exported, A) ──3── ref(exported, B) ──4── target

A is the source's rule, B the importer's.  1 is the builder's, 2 the exporter's, 3 lies in the fields in which the rules differ,
4 is the importer's outside any rule.  Where ref(exported, A) already is the native recording, 1 and 2 cancel out and are not
looked at.  See "The way of a graph" in the design.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.agreement.guided import guided
from harness.agreement.replay import Mask, Replays, Rules, count, flat, gap, rules_for
from harness.agreement.status import agreement
from harness.compare.comparison import status_of
from harness.compare.nodes import differs, output_of
from harness.explain.causes import Found, between_rules
from harness.explain.exporting import exporter_changes
from harness.explain.failures import reason
from harness.explain.search import Outside, outside_the_rule
from harness.explain.settings import Setting, settle
from harness.explain.source import distance, source_side
from harness.explain.structure import split_batch
from harness.graphs import Array, Graph
from harness.recording import Recording
from harness.rule import Comparison, TimeStep
from harness.vocabulary import Blame, Cause, Status


class Failure(Protocol):
    """How a run failed, as :class:`harness.errors.RunFailed` says it."""

    status: str
    error_type: str
    message: str


@dataclass(frozen=True)
class CauseShare:
    """A cause, how many outputs it repairs, at which nodes of the graph, and one sentence."""

    cause: Cause
    outputs: int
    nodes: tuple[str, ...]
    says: str


@dataclass(frozen=True)
class Verdict:
    """Status, blame, causes (most outputs first), and the share of mismatching outputs that the causes reproduce."""

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
) -> Verdict:
    r"""Say who made a target's outputs differ from its source's, and how.

    intended : the graph that was asked for, None where NIR cannot say it or nobody asked
    source_rule, target_rule : primitive → rule, of the source's own neurons and of the importer
    stimulus : (T, B, \*shape)
    dt_effective : the step the library really used, None where unknown
    names : of the source and of the importer, for the sentences
    likely : what the importer is known to do outside any rule, see :func:`harness.explain.misruns.misruns`

    Raises InvalidGraph where the exported graph cannot be inlined.
    """
    case = _Case(
        intended, flat(exported), source_rule, target_rule, Replays(stimulus), dt_export, dt_import, dt_effective, names, likely
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
                share_of = CauseShare(Cause.ROUNDING, agreed.unequal, (), agreed.rounding())
                return Verdict(Status.ROUNDING, Blame.NONE, (share_of,), 1.0)
        outside = self._target_side(stepped, target)
        predicted, ran = outside.recording, outside.graph or self.exported
        found += [self._renamed(each) for each in between_rules(self.replays, ran, source, stepped)]
        found += outside.found
        if swallowing:
            says = "the batch is joined with the features"
            found.append(
                Found(
                    Cause.FLATTEN_BATCH, sum(array.size for array in target.outputs.values()), swallowing, Blame.IMPORTER, says
                )
            )
        share = _explained(mismatch, native, before, predicted, target)
        if share < 1 and (not found or share == 0):
            left = round((1 - share) * count(mismatch))
            found.append(Found(Cause.UNEXPLAINED, left, (), Blame.UNEXPLAINED, "nothing that is known reproduces it"))
        if not found and rounded:
            why = "close to what the rules give, and further away than rounding comes"
            found.append(Found(Cause.UNEXPLAINED, count(mismatch), (), Blame.UNEXPLAINED, why))
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
        return Found(Cause.DT_DEFAULT, each.outputs, each.nodes, Blame.IMPORTER, each.says)

    def _target_side(self, setting: Setting, target: Recording) -> Outside:
        """What reproduces the target, and the causes of gap 4."""
        replay = self.replays.run(self.exported, setting.dt, setting.rules)
        mask = gap(replay, target)
        if mask is not None and not mask.any():
            return Outside(None, replay)
        proof = guided(self.exported, setting.dt, setting.rules, self.replays.stimulus, target)
        if proof.proven:
            return Outside(None, proof.recording)
        return outside_the_rule(self.replays, self.exported, setting, replay, target, self.likely)

    def failed(self, failure: Failure | None) -> Verdict:
        """The verdict on a run that gave no recording: a cause only where one is known."""
        status = Status(failure.status) if failure is not None else Status.RUN_ERROR
        message = "" if failure is None else f"{failure.error_type} {failure.message}"
        changes = () if self.intended is None else exporter_changes(flat(self.intended), self.exported, self.dt_export)
        steps = (self.dt_export, self.dt_import, self.dt_effective)
        found = reason(message, self.exported, self.replays.stimulus.shape[1], self.target_rule, steps, changes)
        if found is None:
            return Verdict(status, Blame.UNEXPLAINED)
        return Verdict(status, found.blame, (CauseShare(found.cause, 0, found.nodes, found.says),), 1.0)

    def _blame(self, found: list[Found]) -> Blame:
        if any(each.blame is Blame.SETTING for each in found):
            return Blame.SETTING
        known = {each.blame for each in found if each.blame is not Blame.UNEXPLAINED}
        if known == {Blame.EXPORTER, Blame.IMPORTER}:
            return Blame.BOTH
        most = max(found, key=lambda each: (each.blame is not Blame.UNEXPLAINED, each.outputs), default=None)
        return Blame.UNEXPLAINED if most is None else most.blame


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
    """One entry a cause, most outputs first."""
    merged: dict[Cause, Found] = {}
    for each in found:
        old = merged.get(each.cause)
        nodes = tuple(sorted({*each.nodes, *(old.nodes if old else ())}))
        merged[each.cause] = Found(each.cause, max(each.outputs, old.outputs if old else 0), nodes, each.blame, each.says)
    ordered = sorted(merged.values(), key=lambda each: (each.cause is Cause.UNEXPLAINED, -each.outputs, str(each.cause)))
    return tuple(CauseShare(each.cause, each.outputs, each.nodes, each.says) for each in ordered)
