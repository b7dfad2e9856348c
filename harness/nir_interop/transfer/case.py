r"""One case: a graph that a source wrote, what it is fed, and the target that imports it.

::

    run     the target's recording of the graph, or how it failed
    replay  what the rules of one end give for it
    judge   whether that recording is what was meant, rounding apart
    explain who made it differ, and how: blame, causes, and the share of outputs that these reproduce

:mod:`nir_interop.transfer.rewriting` is the fourth: it rewrites the graph so that the target computes what the source did.
It is a module of its own because verdicts that are kept do not depend on the passes.  Nothing above this package runs, judges,
explains or rewrites a graph in any other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nir_interop.agreement.side import RunGraph, Side
from nir_interop.agreement.status import Agreement, Compares, agreement
from nir_interop.arrays import Array
from nir_interop.errors import NirInteropError, RunFailed
from nir_interop.explain.failed_cells import attributed, without_graph, without_meaning
from nir_interop.explain.verdict import explain_cell, explain_continuous
from nir_interop.graphs import Graph, inline
from nir_interop.reconcile.planner import fitted, replayed
from nir_interop.recording import Recording
from nir_interop.reference import Simulator, exact_simulator
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import CONTINUOUS, Stage


@dataclass(frozen=True, eq=False)
class Case:
    r"""What is to be computed, and by whom.

    graph : as exported
    stimulus : axes (T, B, \*shape)
    source : name, step [s] of the export and the rules of its own neurons
    target : name, step [s] that the importer is asked for, its rules, and what is known that it takes and refuses
    recorded : what the source computed; None: what its rules give
    intended : the graph that was asked for; None where NIR cannot say it, or nobody asked
    dt_effective : the step [s] that the target really takes, None where it is the one asked for or is not known
    """

    graph: Graph
    stimulus: Array
    source: Side
    target: Side
    recorded: Recording | None = None
    intended: Graph | None = None
    dt_effective: float | None = None

    @cached_property
    def meant(self) -> Recording:
        """What the source computed, or what its rules give.

        Raises InvalidGraph where that is nothing.
        """
        if self.recorded is not None:
            return self.recorded
        flat = inline(self.graph)
        return replayed(flat, self.source, fitted(self.stimulus, flat))


def run(case: Case, live: RunGraph) -> Recording | RunFailed:
    """What the target makes of the graph at the step it is asked for."""
    try:
        return live(case.graph, case.stimulus, case.target.dt)
    except RunFailed as failed:
        return failed


def replay(graph: Graph, stimulus: Array, side: Side) -> Recording | None:
    r"""What the rules of one end give for a graph at its step, for continuous time the equations; None where there is nothing.

    stimulus : axes (T, B, \*shape)
    """
    try:
        made = exact_simulator(graph, side.dt) if side.name == CONTINUOUS else Simulator(graph, side.dt, side.rules)
        return made.run(stimulus)[0]
    except NirInteropError:
        return None


def judge(case: Case, made: Recording, compares: Compares = lambda: None) -> Agreement:
    """Whether a recording is what was meant: exact, rounding, mismatch, vacuous or wrong_shape.

    compares : which comparison the target's neurons have, asked only where ties leave the answer open
    """
    return agreement(inline(case.graph), case.source.dt, case.source.rules, case.stimulus, case.meant, made, compares)


def explain(case: Case, made: Recording | RunFailed) -> Verdict:
    """Who made what the target gave differ from what was meant, and how; where it gave nothing, why.

    Raises InvalidGraph where the graph cannot be inlined, and the target gave a recording of it.
    """
    if isinstance(made, RunFailed):
        meaningless = explain_meaningless(case, made)
        if meaningless is not None:
            return meaningless
    ends: dict[str, Any] = {
        "intended": case.intended,
        "exported": case.graph,
        "source": case.source,
        "target": case.target,
        "native": case.meant,
        "stimulus": case.stimulus,
    }
    if isinstance(made, RunFailed):
        verdict = explain_cell(made=None, failure=made, dt_effective=case.dt_effective, **ends)
        return attributed(verdict, made, case.graph, case.target.domain)
    if case.target.name == CONTINUOUS:
        return explain_continuous(made=made, **ends)
    return explain_cell(made=made, dt_effective=case.dt_effective, **ends)


def explain_meaningless(case: Case, failure: RunFailed) -> Verdict | None:
    """The verdict on a graph that means nothing, whoever refused it; None where it means something."""
    return without_meaning(failure, case.intended, case.graph, case.source.dt)


def explain_export(failure: RunFailed, stage: Stage) -> Verdict:
    """Why a source gave no graph.

    stage : in which it failed
    """
    return without_graph(failure, stage)
