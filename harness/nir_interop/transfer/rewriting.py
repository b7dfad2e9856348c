"""The graph of a case rewritten so that its target computes what the source did, and what is left where it does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from nir_interop.agreement.replay import Replays, Rules, gap, rules_for
from nir_interop.agreement.side import RunGraph, Side
from nir_interop.arrays import Array
from nir_interop.compare.divergence import output_of
from nir_interop.errors import InvalidGraph, RunFailed
from nir_interop.explain.causes import Found
from nir_interop.explain.exporting import times_factor, with_times
from nir_interop.explain.probe_findings import without_rule
from nir_interop.explain.source import distance, source_side
from nir_interop.fingerprint import Wiring
from nir_interop.graphs import Graph, inline
from nir_interop.printable import listed
from nir_interop.reconcile.forbidden import forbidding
from nir_interop.reconcile.model import Plan
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import fitted, replayed
from nir_interop.reconcile.planner import reconcile as planned
from nir_interop.recording import Recording
from nir_interop.rule import Gain, UpdateRule
from nir_interop.transfer.case import Case, explain
from nir_interop.verdict import CauseShare, Verdict
from nir_interop.vocabulary import Blame, Cause, Status


@dataclass(frozen=True)
class Reconciliation:
    """A case whose graph is rewritten for its target.

    plan : the rewritten graph, the passes that made it, and what the target gave
    source : as its graph is read, so that it gives what the source computed; lost : what the graph has lost of that
    verdict : on what remains, rounding included; None where every output is the source's
    before : outputs that differed without it, None where the target gave none or was not asked for them
    kept : why the graph stays as it is, though passes would rewrite it; empty where it does not
    """

    plan: Plan
    source: Side
    lost: tuple[Found, ...]
    verdict: Verdict | None
    before: int | None = None
    kept: str = ""

    @property
    def remaining(self) -> tuple[CauseShare, ...]:
        """The causes of what is still wrong."""
        return () if self.plan.right or self.verdict is None else self.verdict.causes


def rewrite(case: Case, live: RunGraph | None) -> Reconciliation:
    """Rewrite the graph of a source that was recorded, which is first read as the source computed it.

    A graph stays as it is where what it would become is further from the source, and nothing forbids more.

    live : the target itself, None where its rules are all there is to ask

    Raises InvalidGraph where the graph means nothing, and no pass makes it mean something.
    """
    source, lost = settled(case.graph, case.intended, case.source, case.stimulus, case.meant)
    plan, kept = planned(case.graph, source, case.target, case.stimulus, PASSES, wanted=case.meant, run=live), ""
    if not plan.right and not forbidding((each.cause for each in lost), source, case.target):
        plain = plan
        if plan.passes:
            plain = planned(case.graph, source, case.target, case.stimulus, (), wanted=case.meant, run=live)
        plan, kept = _nearer(plan, plain)
    verdict = None if plan.exact else remains(plan, case.target, case.stimulus, lost)
    return Reconciliation(plan, source, lost, verdict, kept=kept)


def reconcile(case: Case, live: RunGraph | None, lost: Sequence[Found] = ()) -> Reconciliation:
    """Rewrite a graph that means what its source's rules say, and count what differed before.

    A live target is not given several Outputs where the probes have seen it loop over them for ever.  Where it is nearer to the
    source with the graph as it is than with the rewritten one, the graph stays.

    live : the target itself, None where its rules are all there is to ask
    lost : what the graph is known to have lost of what the source computed

    Raises InvalidGraph as :func:`rewrite` does.
    """
    asked = None if live is None else unless_it_hangs(live, case.target)
    plain = planned(case.graph, case.source, case.target, case.stimulus, (), wanted=case.recorded, run=asked)
    plan = planned(case.graph, case.source, case.target, case.stimulus, PASSES, wanted=case.recorded, run=asked)
    plan, kept = _nearer(plan, plain)
    verdict = None if plan.exact else remains(plan, case.target, case.stimulus, lost)
    return Reconciliation(plan, case.source, tuple(lost), verdict, plain.wrong, kept)


def _nearer(plan: Plan, plain: Plan) -> tuple[Plan, str]:
    """The rewritten graph, or the graph as it is where more outputs are wrong once it is rewritten; and then why."""
    if plan.passes:
        if plan.right or plain.wrong is None or (plan.wrong is not None and plan.wrong <= plain.wrong):
            return plan, ""
        return replace(plain, remaining=plan.remaining), _worse(plan, plain)
    return plan, "" if plan.tried is None else _worse(plan.tried, plan)


def _worse(rewritten: Plan, plain: Plan) -> str:
    """That a rewriting leads away from the source, in a line."""
    wrong = rewritten.wrong
    after = "it gives no output to compare" if wrong is None else f"{wrong} of {rewritten.outputs} outputs differ"
    passes = listed(each.name for each in rewritten.passes)
    return f"rewritten by {passes}, {after}, and {plain.wrong} as it is: the graph stays as it is"


def unless_it_hangs(live: RunGraph, target: Side) -> RunGraph:
    """A live target that is not given several Outputs where the probes have seen it loop over them for ever."""
    known = target.domain.get(Wiring.SEVERAL_OUTPUTS)
    ends = [refusal for refusal in known.refusals if refusal.status == Status.TIMEOUT] if known is not None else []

    def asked(graph: Graph, stimulus: Array, dt: float) -> Recording:
        if ends and len(inline(graph).of_kind("Output")) > 1:
            raise RunFailed(ends[0].status, "", ends[0].message)
        return live(graph, stimulus, dt)

    return asked


def settled(
    graph: Graph, intended: Graph | None, source: Side, stimulus: Array, native: Recording
) -> tuple[Side, tuple[Found, ...]]:
    r"""The source as its exported graph is to be read, and what the graph has lost of what it computed.

    A library that adds inputs as they are may write gains that it does not have; nothing is lost where the graph read with such
    gains, or without, gives every output of the source.  Nor are time constants that it wrote times *k*: the graph means what
    was meant at *k* times the step.

    intended : the graph that was asked for, None where nobody asked, or NIR cannot say it
    stimulus : axes (T, B, \*shape)
    """
    replays, written = Replays(stimulus), inline(graph)
    factor = 1.0 if intended is None else times_factor(inline(intended), written)
    plain = with_times(written, 1 / factor)
    own, found = _settled(replays, plain, intended, source, native)
    if factor != 1:
        at_step = replace(own, dt=own.dt * factor)
        same = gap(replays.run(plain, own.dt, own.rules), replays.run(written, at_step.dt, own.rules))
        if distance(same) == 0:
            return at_step, found
        own, found = _settled(replays, written, intended, source, native)
    return own, found


def _settled(
    replays: Replays, plain: Graph, intended: Graph | None, source: Side, native: Recording
) -> tuple[Side, tuple[Found, ...]]:
    reading, _, found = source_side(replays, plain, intended, source, native)
    if found:
        for rules in _dialects(rules_for(plain, source.rules)):
            if distance(gap(native, replays.run(plain, source.dt, rules))) == 0:
                return replace(source, rules={**source.rules, **rules}), ()
    return replace(reading, rules={**source.rules, **reading.rules}), tuple(found)


def _dialects(rules: Rules) -> Iterator[dict[str, UpdateRule]]:
    """A source's rules with every way of reading its gains."""
    for gain, synapse_gain in itertools.product(Gain, Gain):
        if Gain.JUMP not in (gain, synapse_gain):
            yield {kind: rule.but(gain=gain, synapse_gain=synapse_gain) for kind, rule in rules.items()}


def remains(plan: Plan, target: Side, stimulus: Array, lost: Sequence[Found] = ()) -> Verdict:
    """The verdict on a rewritten graph: what the source's own graph lacks, and what the target makes of it.

    The rewritten graph computes what the source's graph did under ``plan.side``; what the target did with it, against that, is
    the target's part.  Where the target gave no output that could be replayed, and where no rule explains one, the passes that
    were refused say why; where there are none, how it ended.
    """
    if plan.right:
        unequal = plan.agreement.unequal
        rounded = CauseShare(Cause.ROUNDING, unequal, (), plan.agreement.rounding(), unequal)
        return Verdict(Status.ROUNDING, Blame.NONE, (rounded,), 1.0)
    ours = [CauseShare(each.cause, each.repaired, each.nodes, each.text, each.changed) for each in lost]
    theirs = _of_target(plan, target, stimulus)
    if plan.wrong and theirs.explained < 1 and _unruled(plan, target):
        return replace(theirs, causes=_merged([*ours, _not_known(plan, target)]))
    theirs = replace(theirs, causes=tuple(each for each in theirs.causes if each.cause is not Cause.UNEXPLAINED))
    if theirs.blame is Blame.NONE:
        if not ours:
            return theirs if theirs.causes else replace(theirs, causes=(_not_known(plan, target),))
        return Verdict(Status.MISMATCH, lost[0].blame, _merged(ours), theirs.explained)
    silent = theirs.status is not Status.MISMATCH or not theirs.causes
    refused = [CauseShare(each.cause, 0, each.nodes, each.why) for each in plan.remaining] if silent else []
    blame = Blame.BOTH if ours and lost[0].blame is Blame.EXPORTER else theirs.blame
    if refused and not theirs.causes:
        blame = Blame.IMPORTER
    causes = _merged([*ours, *refused, *theirs.causes]) or (_not_known(plan, target),)
    return Verdict(theirs.status, blame, causes, theirs.explained)


def _not_known(plan: Plan, target: Side) -> CauseShare:
    """How a target ended for which nothing that is known says why."""
    answer = plan.answer
    if isinstance(answer, RunFailed):
        how = f"{target.name} ended with {answer}"
    elif plan.wrong is None:
        made = output_of(answer) if answer is not None else None
        axes = "no output" if made is None else f"an output of axes {'×'.join(map(str, made.shape))}"
        how = f"{target.name} gave {axes}, where {plan.outputs} numbers were meant"
    else:
        how = f"{plan.wrong} of {plan.outputs} outputs differ"
    why = "; ".join(_unruled(plan, target)) or "no rule that is known of it and no pass says why"
    return CauseShare(Cause.UNEXPLAINED, plan.wrong or 0, (), f"{how}; {why}")


def _unruled(plan: Plan, target: Side) -> list[str]:
    """What is said of the neurons of a rewritten graph that the target runs under no rule that is known."""
    kinds = {node.kind for _, node in inline(plan.graph).primitives()}
    return [text for kind, text in without_rule(target.domain).items() if kind in kinds]


def _of_target(plan: Plan, target: Side, stimulus: Array) -> Verdict:
    graph = inline(plan.graph)
    stimulus = fitted(stimulus, graph)
    try:
        made = replayed(graph, target, stimulus) if plan.answer is None else plan.answer
        meant = replayed(graph, plan.side, stimulus)
    except InvalidGraph:
        return Verdict(Status.WRONG_SHAPE, Blame.UNEXPLAINED)
    return explain(Case(graph, stimulus, plan.side, target, recorded=meant), made)


def _merged(causes: Iterable[CauseShare]) -> tuple[CauseShare, ...]:
    """One entry a cause, the first that names it."""
    merged: dict[Cause, CauseShare] = {}
    for each in causes:
        merged.setdefault(each.cause, each)
    return tuple(merged.values())
