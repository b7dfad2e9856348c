"""From trained networks to outcomes: every graph in every importer, at each step, natively, by hand and rewritten."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.arrays import Array
from nir_interop.backends.adapter import load_adapter
from nir_interop.backends.environments import backend
from nir_interop.explain.verdict import Verdict
from nir_interop.graphs import Graph, Node, as_array, from_nir, read, write
from nir_interop.learning import classify
from nir_interop.networks import Network, PoolKind
from nir_interop.networks.layers import Pool2d
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import Plan, reconcile
from nir_interop.recording import Recording
from nir_interop.rule import UpdateRule
from nir_interop.store.store import Store
from nir_interop.transfer.evaluation import Evaluated, Evaluation, evaluate, parts
from nir_interop.transfer.fingerprints import import_fingerprint, native_rules
from nir_interop.transfer.rewriting import remains, settled
from nir_interop.vocabulary import Idiom, Readout
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.common import Options, Share
from nir_interop_studies.identifying import neurons_in
from nir_interop_studies.nmnist_transfer.frames import Frames
from nir_interop_studies.nmnist_transfer.network import FRAME, SHORT, written_for
from nir_interop_studies.nmnist_transfer.regimes import IMPORTERS, POOLINGS
from nir_interop_studies.nmnist_transfer.sources import Source, sources_of
from nir_interop_studies.nmnist_transfer.verdicts import Target
from nir_interop_studies.progress import Progress

NATIVE, HAND, RECONCILED = "native", "by hand", "reconciled"
TREATMENTS = (NATIVE, HAND, RECONCILED)

DEFAULTS = {"norse": FRAME, "snntorch": SHORT, "spikingjelly": SHORT}
"""The step [s] of an importer that is given none; snnTorch's takes none."""

SAMPLE, SAMPLE_STEPS = 6, 80
QUICK_SAMPLE, QUICK_SAMPLE_STEPS = 3, 40
"""Test recordings, and frames of them, on which a difference is explained and a rewriting is checked."""
LIMIT = 60.0
"""Seconds that one run of the sample may take."""
BATCH = 25
"""Recordings a run: 300 frames of 25 are 70 MB."""


@dataclass(frozen=True)
class Case:
    """What a step is said to be.

    written : the step [s] that the network is written for; deployed : the one that importers are to take
    """

    name: str
    written: float
    deployed: float


CASES = (Case("1e-4", SHORT, SHORT), Case("1e-3", FRAME, FRAME), Case("frames", SHORT, FRAME))
QUICK_CASES = CASES[1:]


def cases(options: Options) -> tuple[Case, ...]:
    """The cases of a run."""
    return QUICK_CASES if options.quick else CASES


@dataclass(frozen=True, eq=False)
class Crossing:
    """A graph in an importer, on the sample.

    graph : the file that the importer is given, None where there is none
    asked : the step [s] that it is asked for; taken : the one that it takes, where it knows one alone
    asked_by : ``caller``, ``default`` where nobody named a step, ``nobody`` where the importer takes none
    verdict : on it; of a rewritten one on what is left, None where it is exact
    plan : of the rewriting
    """

    source: Source
    importer: str
    case: Case
    treatment: str
    graph: Path | None
    asked: float
    taken: float
    asked_by: str = "caller"
    verdict: Verdict | None = None
    plan: Plan | None = None


@dataclass(frozen=True, eq=False)
class Crossed:
    """Everything that was run.

    natives : source → outcome in its own library; outcomes : of crossings, in their order, None where there is no graph
    swapped : pooling → outcome of the network that was trained with max pooling, with this one instead, in its own library
    """

    sources: Mapping[str, Source]
    natives: Mapping[str, Evaluated]
    crossings: Sequence[Crossing]
    outcomes: Sequence[Evaluated | None]
    swapped: Mapping[PoolKind, Evaluated]
    test: Frames


def run_all(options: Options, networks: Mapping[str, Network], test: Frames, progress: Progress) -> Crossed:
    """Export, import, explain, rewrite, and run all of it on the test recordings."""
    count, frames = (QUICK_SAMPLE, QUICK_SAMPLE_STEPS) if options.quick else (SAMPLE, SAMPLE_STEPS)
    sample = test.cut(frames).pick(np.unique(np.linspace(0, len(test) - 1, count).astype(int)))
    sources = {found.name: found for found in sources_of(networks, sample, options.out / "graphs")}
    crossings: list[Crossing] = []
    total = sum(case.written == source.dt for source in sources.values() for case in cases(options)) * len(IMPORTERS)
    with progress.task("import, explain, rewrite", total) as advance:
        for importer in IMPORTERS:
            crossings += _through(sources, importer, sample, options, advance)

    swapped = dict(_swapped(networks.get("norse_max")))
    runs: dict[Hashable, Evaluation] = {name: Evaluation(one.library, one.dt, network=one.own) for name, one in sources.items()}
    runs |= {kind: Evaluation("norse", FRAME, network=other) for kind, other in swapped.items()}
    same = [_same(each) for each in crossings]
    for each, key in zip(crossings, same, strict=True):
        if each.graph is not None:
            runs[key] = Evaluation(each.importer, each.taken, graph=each.graph.resolve())
    with progress.task("test recordings", parts(len(runs), len(test))) as advance:
        outcomes = evaluate(runs, test, Store(options.store), batch=BATCH, advance=advance)
    return Crossed(
        sources,
        {name: outcomes[name] for name in sources},
        crossings,
        [outcomes.get(key) for key in same],
        {kind: outcomes[kind] for kind in swapped},
        test,
    )


def _same(each: Crossing) -> Hashable:
    """What crossings with one outcome have in common."""
    return None if each.graph is None else (each.importer, each.taken, each.graph.read_bytes())


def _swapped(trained: Network | None) -> Iterator[tuple[PoolKind, Network]]:
    """A network that was trained with max pooling, with other pooling and not trained again."""
    if trained is None:
        return
    for kind in (PoolKind.AVERAGE, PoolKind.SUM):
        layers = tuple(replace(layer, kind=kind) if isinstance(layer, Pool2d) else layer for layer in trained.layers)
        yield kind, replace(trained, layers=layers)


@contextmanager
def targets(sources: Mapping[str, Source], importer: str, options: Options) -> Iterator[Callable[[float], Target]]:
    """An importer in a process of its own: step [s] that it is asked for → what is run."""
    kinds = neurons_in(source.network for source in sources.values())
    known = import_fingerprint(backend(importer), Store(options.store), kinds=kinds)
    fixed = load_adapter(importer).fixed_dt
    with LiveBackend(backend(importer), limit=LIMIT) as live:
        yield lambda dt: Target(Side.of(known, dt), live, fixed)


def _through(
    sources: Mapping[str, Source], importer: str, sample: Array, options: Options, advance: Callable[[], None]
) -> Iterator[Crossing]:
    """All graphs through one importer."""
    libraries = {source.library: backend(source.library) for source in sources.values()}
    with targets(sources, importer, options) as target:
        for source in sources.values():
            rules = native_rules(libraries[source.library], source.own, Idiom.PORTABLE, Store(options.store))
            for case in cases(options):
                if case.written != source.dt:
                    continue
                way = _Way(source, case, rules, target(case.deployed), sample)
                if source.exported.graph is None:
                    yield from (way.crossing(treatment, None, case.deployed) for treatment in TREATMENTS)
                else:
                    yield way.native()
                    yield way.by_hand(options.work / "by_hand")
                    yield way.reconciled(options.out / "graphs", options.work / "rewritten")
                advance()


@dataclass(frozen=True, eq=False)
class _Way:
    source: Source
    case: Case
    rules: Mapping[str, UpdateRule]
    target: Target
    sample: Array

    def crossing(self, treatment: str, graph: Path | None, asked: float, **more: Any) -> Crossing:
        """A crossing of this way."""
        taken = asked
        if self.target.fixed is not None:
            taken, more["asked_by"] = self.target.fixed, "nobody"
        return Crossing(self.source, self.target.side.name, self.case, treatment, graph, asked, taken, **more)

    def native(self) -> Crossing:
        """The graph as it is, and no step named, or the frames' own where that is the case."""
        named = self.case.deployed != self.case.written
        asked = self.case.deployed if named or self.target.fixed is not None else DEFAULTS[self.target.side.name]
        verdict = self._verdict(read(self._path()), self.source.network, asked)
        return self.crossing(NATIVE, self._path(), asked, asked_by="caller" if named else "default", verdict=verdict)

    def by_hand(self, folder: Path) -> Crossing:
        """The importer asked for the step of the case, and the file's time constants made to be of that step."""
        asked = self.case.deployed if self.target.fixed is None else self.target.fixed
        path, graph = self._path(), read(self._path())
        if asked != self.source.file_dt:
            graph = stretched(graph, asked / self.source.file_dt)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder.resolve() / f"{self.source.name}_{asked:g}.nir"
            write(path, graph)
        verdict = self._verdict(graph, written_for(self.source.network, asked), asked)
        return self.crossing(HAND, path, asked, verdict=verdict)

    def reconciled(self, kept: Path, others: Path) -> Crossing:
        """What ``nir-interop reconcile`` makes of the graph, from the step at which the graph is the network.

        kept : where rewritten graphs of one library for another that trains go, at their own step; others : where all others go
        """
        source, path, native = self.source, self._path(), self._native()
        own = Side(source.library, source.file_dt, self.rules)
        graph, intended = read(path), from_nir(written_for(source.network, source.file_dt).to_nir())
        side, lost = settled(graph, intended, own, self.sample, native)
        plan = reconcile(graph, side, self.target.side, self.sample, PASSES, wanted=native, run=self.target.live)
        left = None if plan.exact else remains(plan, self.target.side, self.sample, lost)
        if plan.passes:
            name = self.target.side.name
            shown = name in POOLINGS and name != source.library and self.case.written == self.case.deployed
            folder = kept if shown else others
            folder.mkdir(parents=True, exist_ok=True)
            path = folder.resolve() / f"{source.name}_for_{name}{'' if shown else f'_{self.case.name}'}.nir"
            write(path, plan.graph)
        return self.crossing(RECONCILED, path, self.case.deployed, verdict=left, plan=plan)

    def _native(self) -> Recording:
        if self.source.exported.native is None:
            raise ValueError(f"{self.source.name} has no native recording")
        return self.source.exported.native

    def _path(self) -> Path:
        if self.source.exported.graph is None:
            raise ValueError(f"{self.source.name} has no graph")
        return self.source.exported.graph

    def _verdict(self, graph: Graph, intended: Network, asked: float) -> Verdict:
        dts, native = (intended.dt, asked), self._native()
        return self.target.verdict(self.source, graph, self.rules, dts, self.sample, native=native, intended=intended)


def stretched(graph: Graph, factor: float) -> Graph:
    """A graph with all time constants of its neurons so many times as long."""
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if isinstance(node, Node) and "tau" in node.params:
            tau = (np.asarray(node["tau"], dtype=np.float64) * factor).astype(np.float32)
            nodes[name] = Node(node.kind, {**node.params, "tau": as_array(tau)})
    return replace(graph, nodes=nodes)


def classes(outcome: Evaluated | None) -> Array | None:
    """The class of each recording, None where there is no output."""
    return None if outcome is None or outcome.output is None else classify(outcome.output, Readout.RATE)


def accuracy(outcome: Evaluated | None, test: Frames) -> Share | None:
    """On the test recordings."""
    found = classes(outcome)
    return None if found is None else Share.of(found == test.labels)
