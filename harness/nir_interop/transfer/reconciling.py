"""One graph rewritten for a library: the two sides from what is known of them, the passes, and the library's own answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nir_interop.agreement.side import Side
from nir_interop.arrays import Array
from nir_interop.backends.environments import Backend
from nir_interop.compare.divergence import apart_by_output
from nir_interop.errors import BadInput
from nir_interop.explain.causes import Found
from nir_interop.graphs import NEURONS, Graph, inline, read_corrected, validate
from nir_interop.reconcile.model import Plan
from nir_interop.recording import Recording
from nir_interop.rule import AXES, UpdateRule
from nir_interop.store.store import Store
from nir_interop.transfer.case import Case
from nir_interop.transfer.fingerprints import import_fingerprint
from nir_interop.transfer.readings import SHORT
from nir_interop.transfer.rewriting import reconcile
from nir_interop.transfer.source_reading import Natives, SourceReading, matched
from nir_interop.verdict import CauseShare
from nir_interop.vocabulary import REFERENCE
from nir_interop.workers.live import LiveBackend
from nir_interop.workers.scheduler import TIME_LIMIT

NIR = "nir"
"""The side that means what NIR says."""


@dataclass(frozen=True)
class Reconciled:
    """A plan, what it leaves, and the sides it is between.

    before : outputs that differ without it, None where the target gives none
    read : how the file is to be read so that it gives the source's recording, None where there is none
    apart : of several Outputs each, how many of its numbers are still wrong, and how many there are
    kept : why the graph stays as it is, though passes would rewrite it; empty where it does not
    """

    plan: Plan
    remaining: tuple[CauseShare, ...]
    source: Side
    target: Side
    before: int | None
    read: SourceReading | None = None
    apart: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    kept: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What ``nir-interop reconcile --json`` prints."""
        plan = self.plan
        return {
            "from": self.source.name,
            "to": self.target.name,
            "dt_from": self.source.dt,
            "dt_to": self.target.dt,
            "source_reading": None if self.read is None else self.read.as_dict(),
            "passes": [each.as_dict() for each in plan.passes],
            "status": str(plan.agreement.status),
            "exact": plan.exact,
            "right": plan.right,
            "rounding": plan.agreement.rounding(),
            "basis": "measured" if plan.asked else "proof",
            "outputs": plan.outputs,
            "mismatched_before": self.before,
            "mismatched": plan.measured,
            "kept": self.kept,
            "predicted_mismatched": plan.predicted,
            "remaining": [{"cause": str(each.cause), "nodes": list(each.nodes), "why": each.text} for each in self.remaining],
        }


def side_of(name: str, dt: float, store: Store, backends: Mapping[str, Backend]) -> Side:
    """What a backend's importer does at a step; NIR's own meaning for ``nir`` and the reference."""
    if name in (NIR, REFERENCE):
        return Side(name, dt)
    return Side.of(import_fingerprint(backends[name], store), dt, name)


def side_from_rule(text: str, dt: float) -> Side:
    """A side of ``axis=value`` pairs, separated by commas, of one primitive where it is named, as in ``LIF.reset=subtract``;
    other axes have NIR's meaning.

    Raises BadInput for an axis or a value that there is not.
    """
    axes: dict[str, dict[str, str]] = {kind: {} for kind in NEURONS}
    values = {axis.name: [each.value for each in axis.type] for axis in AXES}
    for pair in filter(None, text.split(",")):
        name, _, value = (part.strip() for part in pair.partition("="))
        kind, _, bare = name.rpartition(".")
        name = bare if kind in NEURONS else name
        value = SHORT.get((name, value), value)
        if name not in values:
            raise BadInput(f"--from-rule {pair}: no axis {name!r}; there are {', '.join(values)}")
        if value not in values[name]:
            raise BadInput(f"--from-rule {pair}: {name} is one of {', '.join(values[name])}")
        for each in [kind] if kind in NEURONS else NEURONS:
            axes[each][name] = value
    return Side(f"a rule with {text}", dt, {kind: UpdateRule.from_dict(found) for kind, found in axes.items()})


def reconcile_graph(
    path: Path,
    stimulus: Array,
    source: Side,
    target: Side,
    backend: Backend,
    *,
    wanted: Recording | None = None,
    natives: Natives | None = None,
    limit: float,
) -> Reconciled:
    r"""Rewrite a graph for a backend, ask the backend for its answer, and say what remains.

    stimulus : axes (T, B, \*shape)
    wanted : what the source computed; by default what its rules give
    natives : the libraries' own neurons, which are asked for where the source's rules do not give what it computed
    limit : seconds that one run of the backend may take

    Raises BadInput where the source gave another number of outputs than the graph has.
    """
    graph, _ = read_corrected(path)
    read_as: SourceReading | None = None
    if wanted is not None:
        _check_outputs(graph, wanted)
        read_as = matched(graph, source, stimulus, wanted, natives or (lambda graph: []))
        source = read_as.side(source)
        graph = read_as.reading.graph if read_as.fits and read_as.reading.changes else graph
    lost = () if read_as is None else read_as.unexplained
    with nullcontext() if backend.name == REFERENCE else LiveBackend(backend, limit=limit, option=TIME_LIMIT) as run:
        found = reconcile_with(run, graph, stimulus, source, target, wanted=wanted, lost=lost)
    return replace(found, read=read_as)


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
    case = Case(graph, stimulus, source, target, recorded=wanted)
    found = reconcile(case, run, lost)
    answer = found.plan.answer
    apart = apart_by_output(case.meant, answer) if isinstance(answer, Recording) and not found.plan.right else {}
    return Reconciled(found.plan, found.remaining, source, target, found.before, apart=apart, kept=found.kept)


def _check_outputs(graph: Graph, wanted: Recording) -> None:
    flat = inline(graph)
    shapes = validate(flat, finite=False)
    there = sum(math.prod(shapes[name][1]) for name in flat.of_kind("Output"))
    asked = wanted.output.shape[2]
    if there != asked:
        raise BadInput(f"the recording has {asked} outputs a sample, the graph {there}: no rewriting changes their number")
