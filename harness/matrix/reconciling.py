"""One graph rewritten for a library: the two sides from what is known of them, the passes, and the library's own answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.environments import Backend
from harness.errors import BadInput
from harness.explain.causes import Found
from harness.explain.verdict import CauseShare
from harness.graphs import NEURONS, Graph, inline, read, validate
from harness.matrix.arrays import Array
from harness.matrix.fingerprints import import_fingerprint
from harness.matrix.live import LiveBackend
from harness.matrix.outcomes import REFERENCE
from harness.matrix.remains import remains, settled
from harness.matrix.store import Store
from harness.reconcile.model import Side
from harness.reconcile.passes import PASSES
from harness.reconcile.planner import Plan, reconcile
from harness.recording import Recording
from harness.rule import AXES, UpdateRule

NIR = "nir"
"""The side that means what NIR says."""


_SHORT = {("timing", "late"): "next_step"}
"""What is said for short."""


@dataclass(frozen=True)
class Reconciled:
    """A plan, what it leaves, and the sides it is between.

    before : outputs that differ without it, None where the target gives none
    """

    plan: Plan
    remaining: tuple[CauseShare, ...]
    source: Side
    target: Side
    before: int | None

    def as_dict(self) -> dict[str, Any]:
        """What ``nir-interop reconcile --json`` prints."""
        plan = self.plan
        return {
            "from": self.source.name,
            "to": self.target.name,
            "dt_from": self.source.dt,
            "dt_to": self.target.dt,
            "passes": [each.as_dict() for each in plan.passes],
            "status": str(plan.agreement.status),
            "exact": plan.exact,
            "right": plan.right,
            "rounding": plan.agreement.rounding(),
            "basis": "measured" if plan.asked else "proof",
            "outputs": plan.outputs,
            "mismatched_before": self.before,
            "mismatched": plan.measured,
            "predicted_mismatched": plan.predicted,
            "remaining": [{"cause": str(each.cause), "nodes": list(each.nodes), "why": each.says} for each in self.remaining],
        }


def side_of(name: str, dt: float, store: Store, backends: Mapping[str, Backend]) -> Side:
    """What a backend's importer does at a step; NIR's own meaning for ``nir`` and the reference."""
    if name in (NIR, REFERENCE):
        return Side(name, dt)
    found = import_fingerprint(backends[name], store)
    return Side(name, dt, found.by_primitive(), found.rules)


def side_from_rule(text: str, dt: float) -> Side:
    """A side of ``axis=value`` pairs, separated by commas; other axes have NIR's meaning.

    Raises BadInput for an axis or a value that there is not.
    """
    axes: dict[str, str] = {}
    values = {axis.name: [each.value for each in axis.type] for axis in AXES}
    for pair in filter(None, text.split(",")):
        name, _, value = (part.strip() for part in pair.partition("="))
        value = _SHORT.get((name, value), value)
        if name not in values:
            raise BadInput(f"--from-rule {pair}: no axis {name!r}; there are {', '.join(values)}")
        if value not in values[name]:
            raise BadInput(f"--from-rule {pair}: {name} is one of {', '.join(values[name])}")
        axes[name] = value
    return Side(f"a rule with {text}", dt, dict.fromkeys(NEURONS, UpdateRule.from_dict(axes)))


def reconcile_graph(
    path: Path, stimulus: Array, source: Side, target: Side, backend: Backend, *, wanted: Recording | None = None, limit: float
) -> Reconciled:
    r"""Rewrite a graph for a backend, ask the backend for its answer, and say what remains.

    stimulus : axes (T, B, \*shape)
    wanted : what the source computed; by default what its rules give
    limit : seconds that one run of the backend may take

    Raises BadInput where the source gave another number of outputs than the graph has.
    """
    graph = read(path)
    lost: tuple[Found, ...] = ()
    if wanted is not None:
        _check_outputs(graph, wanted)
        source, lost = settled(graph, None, source, stimulus, wanted)
    if backend.name == REFERENCE:
        return reconcile_with(None, graph, stimulus, source, target, wanted=wanted, lost=lost)
    with LiveBackend(backend, limit=limit) as run:
        return reconcile_with(run, graph, stimulus, source, target, wanted=wanted, lost=lost)


def reconcile_with(
    run: LiveBackend | None,
    graph: Graph,
    stimulus: Array,
    source: Side,
    target: Side,
    *,
    wanted: Recording | None = None,
    lost: Sequence[Found] = (),
) -> Reconciled:
    r"""The same with a backend that runs already.

    run : None where the target's rules are all there is to ask
    stimulus : axes (T, B, \*shape)
    wanted : what the source computed; by default what its rules give
    lost : what the graph has lost of it
    """
    plain = reconcile(graph, source, target, stimulus, (), wanted=wanted, run=run)
    plan = reconcile(graph, source, target, stimulus, PASSES, wanted=wanted, run=run)
    if plain.right and not plan.right:
        plan = replace(plain, remaining=plan.remaining)
    left = () if plan.right else remains(plan, target, stimulus, lost).causes
    return Reconciled(plan, left, source, target, plain.wrong)


def _check_outputs(graph: Graph, wanted: Recording) -> None:
    flat = inline(graph)
    shapes = validate(flat, finite=False)
    there = sum(math.prod(shapes[name][1]) for name in flat.of_kind("Output"))
    asked = wanted.output.shape[2]
    if there != asked:
        raise BadInput(f"the recording has {asked} outputs a sample, the graph {there}: no rewriting changes their number")
