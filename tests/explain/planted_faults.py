"""The planted-fault benchmark of the verdict: known faults, random graphs on which they show, and what the verdict names.

A case is a set of faults and a seed.  Its graph is drawn so that each fault changes outputs given the others; the fake backend,
which shares no code with the reference, computes both recordings.  The verdict is given what the matrix would give it: the
importer's rule as a fingerprint has it, the graph as the exporter wrote it, and nothing about what lies outside any rule.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.explain.verdict import explain_cell
from nir_interop.graphs import NEURONS, Graph
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Precision, UpdateRule
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import Cause
from tests.explain.fake_backend import DEFAULT_DT, EXPORTER_FAULTS, PLANTABLE, FakeBackend, FakeExporter, observe
from tests.explain.fault_graphs import Case, Faults, Values, differing, graph_for, pairs, planted

NOTHING = "nothing"
"""Stands in the confusion table for no cause."""
COMPARED = 5
"""Graphs of each of two faults on which their outputs are compared."""


@dataclass(frozen=True)
class Planted:
    """Faults, and the seed of the graph they are planted on."""

    faults: Faults
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What the verdict made of a case, and how long it took [s]."""

    case: Planted
    verdict: Verdict
    seconds: float

    @property
    def named(self) -> Faults:
        """The causes, without order."""
        return frozenset(share.cause for share in self.verdict.causes)


def singles(graphs: int) -> list[Planted]:
    """Each fault on so many graphs."""
    return [Planted(frozenset({fault}), seed) for fault in PLANTABLE for seed in range(graphs)]


def random_pairs(count: int, seed: int = 0) -> list[Planted]:
    """Different pairs of faults, each on a graph of its own; all of them where ``count`` is larger."""
    chosen = pairs()
    picked = np.random.default_rng(seed).choice(len(chosen), min(count, len(chosen)), replace=False)
    return [Planted(chosen[index], int(index)) for index in sorted(picked)]


def outcome(case: Planted) -> Outcome:
    """Plant the faults of a case and ask for the verdict."""
    graph, stimulus, dt = graph_for(case.faults, case.seed)
    exported = FakeExporter(case.faults & frozenset(EXPORTER_FAULTS))(graph)
    backend = FakeBackend(case.faults - frozenset(EXPORTER_FAULTS))
    target = observe(backend, exported, stimulus, dt)
    effective = DEFAULT_DT if Cause.DT_DEFAULT in case.faults else None
    return _asked(case, (graph, stimulus, dt), exported, backend.rule, target, effective)


def without_faults(case: Planted, precision: Precision) -> Outcome:
    """The graph of a case, no fault planted, run in double precision by the fake backend or in single by the reference.

    Double precision is the recording of the source once more; single precision differs by rounding where it differs.
    """
    graph, stimulus, dt = graph_for(case.faults, case.seed)
    rule = NIR_MEANING.but(precision=precision)
    target = simulate(graph, stimulus, dt, rule) if precision is Precision.FLOAT32 else FakeBackend()(graph, stimulus, dt)
    return _asked(Planted(frozenset(), case.seed), (graph, stimulus, dt), graph, rule, target)


def _asked(
    case: Planted, drawn: Case, exported: Graph, rule: UpdateRule, target: Recording, effective: float | None = None
) -> Outcome:
    graph, stimulus, dt = drawn
    native = FakeBackend()(graph, stimulus, dt)
    begun = time.perf_counter()
    verdict = explain_cell(
        intended=graph,
        exported=exported,
        source=Side("the source", dt),
        target=Side("the importer", dt, dict.fromkeys(NEURONS, rule)),
        native=native,
        made=target,
        stimulus=stimulus,
        dt_effective=effective,
    )
    return Outcome(case, verdict, time.perf_counter() - begun)


def right(found: Outcome) -> bool:
    """Whether the planted faults are named and nothing else, faults that no output tells apart being one."""
    missed, extra = found.case.faults - found.named, found.named - found.case.faults
    if len(missed) != len(extra):
        return False
    return all(any(alike(one, other) for other in extra) for one in missed)


@cache
def alike(one: Cause, other: Cause) -> bool:
    """Whether two faults give the same outputs on all graphs drawn for either of them: measured, not declared."""
    if not {one, other} <= set(PLANTABLE):
        return False
    for fault in (one, other):
        for seed in range(COMPARED):
            graph, stimulus, dt = graph_for(frozenset({fault}), seed)
            if differing(*(_output(each, graph, stimulus, dt) for each in (one, other))):
                return False
    return True


def _output(fault: Cause, graph: Graph, stimulus: Values, dt: float) -> Values:
    try:
        return planted(frozenset({fault}), graph, stimulus, dt).output
    except RunFailed:
        return np.zeros(0)


def share_right(outcomes: Sequence[Outcome]) -> float:
    """The share of cases in which the verdict names the planted faults and nothing else."""
    return sum(map(right, outcomes)) / len(outcomes)


def confusion(outcomes: Iterable[Outcome]) -> Counter[tuple[str, str]]:
    """How often a planted fault was named as what: itself, each cause too many in its place, or nothing.

    A cause that is named beside all those planted stands in the row of nothing planted.
    """
    table: Counter[tuple[str, str]] = Counter()
    for each in outcomes:
        missed, extra = each.case.faults - each.named, each.named - each.case.faults
        table.update((str(fault), str(fault)) for fault in each.case.faults & each.named)
        rows = [str(fault) for fault in missed] or [NOTHING]
        columns = [str(cause) for cause in extra] or [NOTHING]
        if missed or extra or not each.case.faults:
            table.update((row, column) for row in rows for column in columns)
    return table


def table_of(counts: Counter[tuple[str, str]]) -> str:
    """A confusion table as text, planted × named: the diagonal, then what is off it in words, each line a planted fault."""
    order = [*map(str, PLANTABLE), NOTHING]
    rows = sorted({row for row, _ in counts}, key=order.index)
    wide = max(map(len, rows), default=0)
    lines = [f"{'planted':{wide}}  times  named as itself, and as"]
    for row in rows:
        found = {column: number for (planted_as, column), number in counts.items() if planted_as == row}
        others = ", ".join(f"{column} {number}" for column, number in sorted(found.items()) if column != row)
        lines.append(f"{row:{wide}}  {sum(found.values()):5}  {found.get(row, 0):5}  {others}".rstrip())
    return "\n".join(lines)
