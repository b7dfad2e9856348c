"""What a rewriting leaves: the causes for which a target still does not compute what the source computed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from harness.agreement.replay import Replays, Rules, flat, gap, rules_for
from harness.errors import InvalidGraph, RunFailed
from harness.explain.causes import Found
from harness.explain.endings import attributed
from harness.explain.misruns import misruns
from harness.explain.source import distance, source_side
from harness.explain.verdict import CauseShare, Verdict, explain_cell
from harness.graphs import Graph, inline
from harness.matrix.arrays import Array
from harness.reconcile.model import Side
from harness.reconcile.planner import Plan, fitted, replayed
from harness.recording import Recording
from harness.rule import Gain, UpdateRule
from harness.vocabulary import Blame, Cause, Status


def settled(
    graph: Graph, intended: Graph | None, source: Side, stimulus: Array, native: Recording
) -> tuple[Side, tuple[Found, ...]]:
    r"""The source as its exported graph is to be read, and what the graph has lost of what it computed.

    A library that adds inputs as they are may write gains that it does not have; nothing is lost where the graph read with such
    gains, or without, gives every output of the source.

    intended : the graph that was asked for, None where nobody asked, or NIR cannot say it
    stimulus : axes (T, B, \*shape)
    """
    replays, plain = Replays(stimulus), flat(graph)
    setting, _, found = source_side(replays, plain, intended, source.rules, source.dt, native, source.name)
    if found:
        for rules in _dialects(rules_for(plain, source.rules)):
            if distance(gap(native, replays.run(plain, source.dt, rules))) == 0:
                return replace(source, rules={**source.rules, **rules}), ()
    return replace(source, dt=setting.dt, rules={**source.rules, **setting.rules}), tuple(found)


def _dialects(rules: Rules) -> Iterator[dict[str, UpdateRule]]:
    """A source's rules with every way of reading its gains."""
    for gain, synapse_gain in itertools.product(Gain, Gain):
        if Gain.JUMP not in (gain, synapse_gain):
            yield {kind: rule.but(gain=gain, synapse_gain=synapse_gain) for kind, rule in rules.items()}


def remains(plan: Plan, target: Side, stimulus: Array, lost: Sequence[Found] = ()) -> Verdict:
    """The verdict on a rewritten graph: what the source's own graph lacks, and what the target makes of it.

    The rewritten graph computes what the source's graph did under ``plan.side``; what the target did with it, against that, is
    the target's part.  Where the target gave no output that could be replayed, the passes that were refused say why.
    """
    if plan.right:
        rounded = CauseShare(Cause.ROUNDING, plan.agreement.unequal, (), plan.agreement.rounding())
        return Verdict(Status.ROUNDING, Blame.NONE, (rounded,), 1.0)
    ours = [CauseShare(each.cause, each.outputs, each.nodes, each.says) for each in lost]
    theirs = _of_target(plan, target, stimulus)
    if theirs.blame is Blame.NONE:
        if not ours:
            return theirs
        return Verdict(Status.MISMATCH, lost[0].blame, _merged([*ours, *theirs.causes]), theirs.explained)
    silent = theirs.status is not Status.MISMATCH
    refused = [CauseShare(each.cause, 0, each.nodes, each.why) for each in plan.remaining] if silent else []
    blame = Blame.BOTH if ours and lost[0].blame is Blame.EXPORTER else theirs.blame
    if refused and not theirs.causes:
        blame = Blame.IMPORTER
    return Verdict(theirs.status, blame, _merged([*ours, *theirs.causes, *refused]), theirs.explained)


def _of_target(plan: Plan, target: Side, stimulus: Array) -> Verdict:
    answer = plan.answer
    failure = answer if isinstance(answer, RunFailed) else None
    graph = inline(plan.graph)
    stimulus = fitted(stimulus, graph)
    try:
        made = replayed(graph, target, stimulus) if answer is None else None if failure else answer
        meant = replayed(graph, plan.side, stimulus)
    except InvalidGraph:
        return Verdict(Status.WRONG_SHAPE, Blame.UNEXPLAINED)
    verdict = explain_cell(
        intended=None,
        exported=graph,
        source_rule=plan.side.rules,
        target_rule=target.rules,
        native=meant,
        target=made if isinstance(made, Recording) else None,
        stimulus=stimulus,
        dt_export=plan.side.dt,
        dt_import=target.dt,
        failure=failure,
        names=(plan.side.name, target.name),
        likely=sorted(misruns(target.domain)),
    )
    return verdict if failure is None else attributed(verdict, failure, graph, target.domain)


def _merged(causes: Iterable[CauseShare]) -> tuple[CauseShare, ...]:
    """One entry a cause, the first that names it."""
    merged: dict[Cause, CauseShare] = {}
    for each in causes:
        merged.setdefault(each.cause, each)
    return tuple(merged.values())
