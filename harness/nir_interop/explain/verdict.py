"""Who and why: blame and causes of a cell that is not exact, by arithmetic on five recordings.

::

    native ──1── ref(intended, A) ──2── ref(exported, A) ──3── ref(exported, B) ──4── target

A is the source's rule, B the importer's.  1 is the builder's, 2 the exporter's, 3 lies in the fields in which the rules differ,
4 is the importer's outside any rule.  Where ref(exported, A) already is the native recording, 1 and 2 cancel out and are not
looked at.  See "The way of a graph" in the design.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nir_interop.agreement.guided import guided
from nir_interop.agreement.replay import Mask, Replays, Undoing, count, gap, rules_for
from nir_interop.agreement.side import Side
from nir_interop.agreement.status import agreement
from nir_interop.compare.comparison import status_of
from nir_interop.compare.divergence import differs, output_of
from nir_interop.errors import OwnFailure
from nir_interop.explain.causes import Found, RuleCause, as_found, differing_causes, needed
from nir_interop.explain.error_causes import reason, unreadable
from nir_interop.explain.exporting import exporter_changes
from nir_interop.explain.probe_findings import misrun_causes, without_rule
from nir_interop.explain.rewrites import Candidate
from nir_interop.explain.search import Outside, outside_the_rule
from nir_interop.explain.source import distance, source_side
from nir_interop.explain.structure import split_batch
from nir_interop.graphs import Array, Graph, inline
from nir_interop.recording import Recording
from nir_interop.rule import Comparison, TimeStep
from nir_interop.verdict import CauseShare, Verdict, by_share
from nir_interop.vocabulary import Blame, Cause, Status


class Failure(Protocol):
    """How a run failed, as :class:`nir_interop.errors.RunFailed` says it."""

    status: str
    error_type: str
    message: str


def explain_cell(
    *,
    intended: Graph | None,
    exported: Graph,
    source: Side,
    target: Side,
    native: Recording,
    made: Recording | None,
    stimulus: Array,
    dt_effective: float | None = None,
    failure: Failure | None = None,
) -> Verdict:
    r"""Say who made a target's outputs differ from its source's, and how.

    intended : the graph that was asked for, None where NIR cannot say it or nobody asked
    source, target : the source's own neurons, and the importer with what is known of it; each with the step it was asked for
    native, made : what the source computed, and what the target did, None where it gave nothing
    stimulus : (T, B, \*shape)
    dt_effective : the step [s] that the importer really took, None where unknown
    failure : why the target gave nothing

    Raises InvalidGraph where the exported graph cannot be inlined.
    """
    attribution = _Attribution(intended, inline(exported), source, target, Replays(stimulus), dt_effective)
    if failure is not None or made is None:
        return attribution.failed(failure)
    return attribution.ran(native, made)


@dataclass
class _Attribution:
    intended: Graph | None
    exported: Graph
    source: Side
    target: Side
    replays: Replays
    dt_effective: float | None

    def ran(self, native: Recording, made: Recording) -> Verdict:
        """The verdict on two recordings."""
        ours, theirs = output_of(native), output_of(made)
        shaped = ours is not None and theirs is not None and ours.shape == theirs.shape
        mismatch = differs(ours, theirs) if shaped and ours is not None and theirs is not None else None
        status = Status.WRONG_SHAPE if ours is None or mismatch is None else status_of(ours, count(mismatch))
        if mismatch is not None and not mismatch.any():
            return Verdict(status, Blame.NONE, explained=1.0)
        made, swallowing = split_batch(self.exported, made, self.replays.stimulus.shape[1])
        source, before, found = source_side(self.replays, self.exported, self.intended, self.source, native)
        target = self._target_at_its_step(made)
        rounded = not found and before is not None and count(gap(native, before)) == 0
        if rounded and mismatch is not None:
            agreed = agreement(
                self.exported, source.dt, source.rules, self.replays.stimulus, native, made, lambda: _comparison(target)
            )
            if agreed.status is Status.ROUNDING:
                share_of = CauseShare(Cause.ROUNDING, agreed.unequal, (), agreed.rounding(), agreed.unequal)
                return Verdict(Status.ROUNDING, Blame.NONE, (share_of,), 1.0)
        outside = self._outside_the_rule(target, made)
        predicted = outside.recording
        undoing = Undoing.of(native, predicted, mismatch)
        found = [self._recounted(each, target, outside, undoing) for each in found]
        found += [self._renamed(each) for each in self._importing(source, target, outside, undoing)]
        if swallowing:
            text, whole = "the batch is joined with the features", undoing.wrong.size
            repaired = whole - count(gap(native, made))
            found.append(Found(Cause.FLATTEN_BATCH, repaired, swallowing, Blame.IMPORTER, text, whole))
        found = [each for each in found if each.counts]
        share = _explained(mismatch, native, before, predicted, made)
        unruled = {kind: text for kind, text in without_rule(self.target.domain).items() if self.exported.of_kind(kind)}
        if share < 1 and unruled:
            # What repairs some outputs under a rule that is not the importer's says nothing of it.
            found = [each for each in found if each.undone is not None]
        if share < 1 and (not found or share == 0 or unruled):
            nodes = tuple(sorted(name for kind in unruled for name in self.exported.of_kind(kind)))
            why = "; ".join(unruled.values()) or "nothing that is known reproduces it"
            blame = Blame.IMPORTER if unruled else Blame.UNEXPLAINED
            found.append(Found(Cause.UNEXPLAINED, 0, nodes, blame, why))
        if not found and rounded:
            why = "close to what the rules give, and further away than rounding comes"
            found.append(Found(Cause.UNEXPLAINED, 0, (), Blame.UNEXPLAINED, why))
            share = 0.0
        return Verdict(status, self._blame(found), _shares(found), share)

    def _target_at_its_step(self, made: Recording) -> Side:
        """The importer, at the step it took where that is its own choice.

        Where its neurons take a step of their own, the one it took may count for delays or for nothing: what is closer tells.
        """
        asked = self.target.dt
        taken = asked if self.dt_effective is None else self.dt_effective
        given = all(rule.time_step is TimeStep.GIVEN for rule in rules_for(self.exported, self.target.rules).values())
        steps = dict.fromkeys([taken] if given else [asked, taken])
        sides = [replace(self.target, dt=step).for_graph(self.exported) for step in steps]
        gaps = [gap(self.replays.run(self.exported, each.dt, each.rules), made) for each in sides[1:] and sides]
        return sides[int(np.argmin([distance(mask) for mask in gaps]))] if gaps else sides[0]

    def _renamed(self, each: Found) -> Found:
        """A step that nobody asked for is the importer's."""
        if each.cause is not Cause.DT_REQUESTED or self.target.dt != self.source.dt:
            return each
        return replace(each, cause=Cause.DT_DEFAULT, blame=Blame.IMPORTER)

    def _recounted(self, each: Found, target: Side, outside: Outside, undoing: Undoing) -> Found:
        """An exporter's change, counted as undone alone, whatever else the importer does."""
        if each.undone is None:
            return each
        way = outside.applied(each.undone, target.dt)
        if way is None:
            return replace(each, repaired=0, changed=0)
        repaired, changed = undoing.counts(self.replays.run(way[0], target.dt, target.rules, again=way[1]))
        return replace(each, repaired=repaired, changed=changed)

    def _importing(self, source: Side, target: Side, outside: Outside, undoing: Undoing) -> list[Found]:
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
                found.append(Found(each.cause, counts[0], each.nodes, Blame.IMPORTER, each.text, counts[1], need))
        return found

    def _outside_the_rule(self, target: Side, made: Recording) -> Outside:
        """What reproduces the target."""
        replay = self.replays.run(self.exported, target.dt, target.rules)
        mask = gap(replay, made)
        if mask is not None and not mask.any():
            return Outside(replay)
        proof = guided(self.exported, target.dt, target.rules, self.replays.stimulus, made)
        if proof.proven:
            return Outside(proof.recording)
        return outside_the_rule(self.replays, self.exported, target, replay, made, misrun_causes(target.domain))

    def failed(self, failure: Failure | None) -> Verdict:
        """The verdict on a run that gave no recording: a cause only where one is known."""
        status = Status(failure.status) if failure is not None else Status.RUN_ERROR
        if failure is not None and failure.error_type == OwnFailure.__name__:
            return Verdict(status, Blame.HARNESS)
        if failure is not None and status is Status.READ_ERROR:
            return _known(status, unreadable(f"{failure.error_type}: {failure.message}", self.exported))
        message = "" if failure is None else f"{failure.error_type} {failure.message}"
        changes = () if self.intended is None else exporter_changes(inline(self.intended), self.exported, self.source.dt)
        steps = (self.source.dt, self.target.dt, self.dt_effective)
        found = reason(message, self.exported, self.replays.stimulus.shape[1], self.target.rules, steps, changes)
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
    return Verdict(status, found.blame, (CauseShare(found.cause, 0, found.nodes, found.text),), 1.0)


def _comparison(side: Side) -> Comparison | None:
    """How the neurons of a graph compare on a side; None where they do not do it alike."""
    found = {rule.comparison for rule in side.rules.values()}
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
    return by_share(CauseShare(each.cause, each.repaired, each.nodes, each.text, each.changed) for each in found)


def explain_continuous(
    *,
    intended: Graph | None,
    exported: Graph,
    source: Side,
    target: Side,
    native: Recording,
    made: Recording,
    stimulus: Array,
) -> Verdict:
    """As :func:`explain_cell`, for a target that solves the equations in continuous time and has no update rule.

    ::

        native ── … ── ref(exported, NIR's meaning) ──── exact

    Everything before the last gap is explained as for any importer; the last gap is nobody's fault: NIR gives equations.
    """
    stepped = Replays(stimulus).run(inline(exported), target.dt, {})
    ours, theirs = output_of(native), output_of(made)
    if stepped is None or ours is None or theirs is None or ours.shape != theirs.shape:
        return Verdict(Status.WRONG_SHAPE, Blame.UNEXPLAINED)
    before = explain_cell(
        intended=intended,
        exported=exported,
        source=source,
        target=Side(target.name, target.dt),
        native=native,
        made=stepped,
        stimulus=stimulus,
    )
    differing, apart = count(differs(ours, theirs)), count(gap(stepped, made))
    if not differing:
        return Verdict(before.status, Blame.NONE, explained=1.0)
    if not apart:
        return before
    repaired, changed = Undoing.of(native, made).counts(stepped)
    text = "NIR's equations in steps are not its equations in continuous time"
    share = CauseShare(Cause.DISCRETISATION, repaired, (), text, changed)
    known = [each for each in before.causes if each.cause is not Cause.ROUNDING]
    causes = by_share((*known, share))
    status = Status.MISMATCH if before.status.agrees else before.status
    blame = Blame.FORMAT if causes[0].cause is share.cause and not before.blame.of_setting else before.blame
    return replace(before, status=status, blame=blame, causes=causes)
