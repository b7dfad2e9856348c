"""Which passes make a target compute what a source computed: picked by what is known of the two sides, and checked by replay.

No pair of libraries is named here: a pass looks at the rules and the domains of the sides, and does something or not.  What the
rules say differs is rewritten, whatever an input shows.  Only a pass that makes up for no axis of a rule, but for what a target
declines or misruns, is left out where the target itself does without it: every output and every decision of a neuron is right.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nir_interop.agreement.guided import guided
from nir_interop.agreement.replay import rules_for
from nir_interop.agreement.side import RunGraph, Side
from nir_interop.agreement.status import Agreement, agreement
from nir_interop.compare.divergence import output_of
from nir_interop.errors import InvalidGraph, RunFailed
from nir_interop.graphs import NEURONS, SPIKING, Array, Graph, inline, nested, validate, with_metadata_of
from nir_interop.reconcile.model import Pass, Plan, Refused, Remaining
from nir_interop.reconcile.names_and_order import INLINED
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import AXES, Precision
from nir_interop.verdict import Applied
from nir_interop.vocabulary import Status


def reconcile(
    graph: Graph,
    source: Side,
    target: Side,
    stimulus: Array,
    passes: Sequence[Pass],
    *,
    wanted: Recording | None = None,
    run: RunGraph | None = None,
) -> Plan:
    r"""Rewrite a graph for a target.

    stimulus : (T, B, \*shape), on which the result is checked
    wanted : what the source computed; by default what its rules give
    run : the target itself, where it can be asked

    Raises InvalidGraph where the graph means nothing, and no pass makes it mean something.
    """
    flat = inline(graph)
    target = target.beside(source)
    wanted = wanted if wanted is not None else replayed(flat, source, fitted(stimulus, flat))
    attempt = _Attempt(graph, source, target, stimulus, wanted, run)
    plan = attempt.plan(passes)
    validate(inline(plan.graph))
    if _means_the_same(flat, source, target):
        return replace(attempt.plan(()), remaining=plan.remaining)
    whole = plan
    for pass_ in _applied(passes, plan):
        if plan.asked and (not plan.right or not pass_.axes):
            shorter = attempt.plan([each for each in _applied(passes, plan) if each is not pass_])
            if _no_worse(shorter, plan) and (not plan.right or attempt.is_run_as_written(shorter)):
                plan = replace(shorter, remaining=plan.remaining)
    return plan if plan.right or whole is plan else replace(plan, tried=whole)


PATIENCE = 2
"""How often a target that does not come back of a graph is asked again, with more passes or fewer."""
_OF_A_NEURON = tuple(axis.name for axis in AXES if axis.name != "feedback_bias")
"""Axes that mean nothing of a graph without neurons of a kind: those that a pass puts in run by the target's rule."""


def absent(graph: Graph) -> tuple[str, ...]:
    """The spiking neurons of which a graph has none."""
    there = {node.kind for _, node in inline(graph).primitives()}
    return tuple(kind for kind in NEURONS if kind in SPIKING and kind not in there)


def _means_the_same(graph: Graph, source: Side, target: Side) -> bool:
    """Whether two sides agree by their rules, and nothing is known that the target declines."""
    kinds = [kind for kind in NEURONS if graph.of_kind(kind)]
    same = all(source.rule(kind) == target.rule(kind) for kind in kinds)
    return same and source.dt == target.dt and not target.domain


def _applied(passes: Iterable[Pass], plan: Plan) -> list[Pass]:
    """Those of the passes that a plan applies."""
    names = {each.name for each in plan.passes}
    return [each for each in passes if each.name in names]


@dataclass
class _Attempt:
    graph: Graph
    source: Side
    target: Side
    stimulus: Array
    wanted: Recording
    run: RunGraph | None
    late: list[RunFailed] = field(default_factory=list)
    """How the target did not come back; it is not waited for more than PATIENCE times."""

    def plan(self, passes: Iterable[Pass]) -> Plan:
        """All passes that have something to do, one after another."""
        graph, side = self.graph, self.source
        applied: list[Applied] = []
        remaining: list[Remaining] = []
        for each in passes:
            try:
                side = side.take(_OF_A_NEURON, self.target, absent(graph))
                given = graph if each.nested else inline(graph)
                rewritten = each.rewrite(given, side, self.target)
            except Refused as refused:
                remaining.append(Remaining(refused.cause, refused.nodes, refused.why))
                continue
            except InvalidGraph:
                break  # of a graph that means nothing, nothing can be made any more
            side = side.take(each.axes, self.target, NEURONS)
            if "time_step" in each.axes:
                side = replace(side, dt=self.target.dt)
            if rewritten is not None:
                side = replace(side, rules={**side.rules, **rewritten.rules})
                if given is not graph and not any(other.name == INLINED.name for other in applied):
                    applied.append(
                        Applied(INLINED.name, nested(graph), "passes that follow look at single nodes", INLINED.preserves)
                    )
                made = with_metadata_of(given, rewritten.graph)
                graph = inline(made) if each.axes else made
                applied.append(Applied(each.name, rewritten.nodes, rewritten.why, each.preserves))
        output = output_of(self.wanted)
        size = 0 if output is None else output.size
        foreseen = self._held(graph, side, self._predicted(graph))
        plan = Plan(graph, tuple(applied), tuple(remaining), size, foreseen.wrong, side, foreseen)
        if self.run is None:
            return plan
        answer = self._answer(self.run, graph)
        found = self._held(graph, side, None if isinstance(answer, RunFailed) else answer)
        return replace(plan, agreement=found, measured=found.wrong, answer=answer)

    def is_run_as_written(self, plan: Plan) -> bool:
        """Whether the target's own neurons decide as those of the plan's graph do, rounding apart, seen in an output or not."""
        flat = inline(plan.graph)
        rules, stimulus = rules_for(flat, plan.side.rules), fitted(self.stimulus, flat)
        answer = plan.answer
        return isinstance(answer, Recording) and guided(flat, plan.side.dt, rules, stimulus, answer).proven

    def _held(self, graph: Graph, side: Side, made: Recording | None) -> Agreement:
        """What a target made of a rewritten graph, held against what the source computed."""
        if made is None:
            return Agreement(Status.WRONG_SHAPE)
        flat = inline(graph)
        rules = rules_for(flat, side.rules)
        compares = {self.target.rule(kind).comparison for kind in rules}
        known = next(iter(compares)) if len(compares) == 1 else None
        return agreement(flat, side.dt, rules, fitted(self.stimulus, flat), self.wanted, made, lambda: known)

    def _predicted(self, graph: Graph) -> Recording | None:
        try:
            flat = inline(graph)
            return replayed(flat, self.target, fitted(self.stimulus, flat))
        except InvalidGraph:
            return None

    def _answer(self, run: RunGraph, graph: Graph) -> Recording | RunFailed:
        if len(self.late) >= PATIENCE:
            return self.late[-1]
        try:
            return run(graph, fitted(self.stimulus, inline(graph)), self.target.dt)
        except RunFailed as failed:
            if failed.status == Status.TIMEOUT:
                self.late.append(failed)
            return failed
        except InvalidGraph as meaningless:
            return RunFailed(str(Status.IMPORT_ERROR), type(meaningless).__name__, str(meaningless))


def _no_worse(one: Plan, other: Plan) -> bool:
    """Whether a target that was asked does without a pass: it is right, or less wrong, or gives outputs where it gave none."""
    if one.right or other.right:
        return one.right
    return one.wrong is not None and (other.wrong is None or one.wrong < other.wrong)


def fitted(stimulus: Array, graph: Graph) -> Array:
    """A stimulus with the axes of a graph's Input, where those differ by axes of one element alone, and where several Inputs
    that were side by side are one with several axes."""
    entries = graph.of_kind("Input")
    shape = tuple(int(size) for size in np.atleast_1d(graph.nodes[entries[0]]["shape"])) if len(entries) == 1 else ()  # type: ignore[index]
    same = [size for size in shape if size != 1] == [size for size in stimulus.shape[2:] if size != 1]
    same |= stimulus.ndim == 3 and math.prod(shape) == stimulus.shape[2]
    return stimulus.reshape(*stimulus.shape[:2], *shape) if shape and same else stimulus


def replayed(graph: Graph, side: Side, stimulus: Array) -> Recording:
    """What a side's rules make of a graph, in double precision where they say single."""
    rules = rules_for(graph, side.rules)
    double = {
        kind: rule.but(precision=Precision.FLOAT64) if rule.precision is Precision.FLOAT32 else rule
        for kind, rule in rules.items()
    }
    with warnings.catch_warnings():
        # What is asked about a Delay here, a pass may be about to rewrite.
        warnings.filterwarnings("ignore", "the delay of node", UserWarning)
        return simulate(graph, stimulus, side.dt, double)
