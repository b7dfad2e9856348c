"""From trained networks to outcomes: every graph in every importer, at each step, natively, by hand and rewritten."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.arrays import Array
from nir_interop.errors import NotExpressible
from nir_interop.graphs import Graph, Node, as_array, from_nir, read, write
from nir_interop.networks import Network, PoolKind
from nir_interop.networks.layers import Pool2d
from nir_interop.stimuli.sparse_frames import Frames
from nir_interop.store.store import Store
from nir_interop.transfer.case import Case
from nir_interop.transfer.deployment import (
    Exported,
    Importer,
    export,
    importing,
    knowing,
    native,
    native_side,
    with_intended,
)
from nir_interop.transfer.evaluation import Evaluated, Evaluation, evaluate, parts
from nir_interop.transfer.rewriting import Reconciliation
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import Idiom, Stage, Status
from nir_interop_studies.common import Options, Progress
from nir_interop_studies.nmnist_transfer.network import FRAME, IMPORTERS, POOLINGS, SHORT, summed, written_for

NATIVE, HAND, RECONCILED = "native", "by hand", "reconciled"
TREATMENTS = (NATIVE, HAND, RECONCILED)

STEP_NAMES = {SHORT: "1e-4", FRAME: "1e-3"}
DEFAULTS = {"norse": FRAME, "snntorch": SHORT, "spikingjelly": SHORT}
"""The step [s] of an importer that is given none; snnTorch's takes none."""

SAMPLE, SAMPLE_STEPS = 6, 80
QUICK_SAMPLE, QUICK_SAMPLE_STEPS = 3, 40
"""Test recordings, and frames of them, on which a difference is explained and a rewriting is checked."""
EXPLAINED = 4
"""Of the recordings outside the sample that differ, so many are explained."""
BATCH = 25
"""Recordings a run: 300 frames of 25 are 70 MB."""


@dataclass(frozen=True)
class Stepping:
    """What a step is said to be.

    written : the step [s] that the network is written for; deployed : the one that importers are to take
    """

    name: str
    written: float
    deployed: float


CASES = (Stepping("1e-4", SHORT, SHORT), Stepping("1e-3", FRAME, FRAME), Stepping("frames", SHORT, FRAME))
QUICK_CASES = CASES[1:]


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network, written for a step.

    network : what a graph is to say; own : what runs in its library, which is the same to the last bit
    exported : the graph, by the library's exporter or, where it writes none, the one that was meant; without a file where NIR
        has no words for the network
    refused : what the library's own exporter answered, empty where it wrote the graph
    """

    library: str
    pooling: PoolKind
    network: Network
    own: Network
    exported: Exported
    refused: Mapping[str, str]

    @property
    def dt(self) -> float:
        """The step [s] that it is written for."""
        return self.network.dt

    @property
    def key(self) -> str:
        """Library and pooling."""
        return f"{self.library}_{self.pooling.value}"

    @property
    def name(self) -> str:
        """Names its files."""
        return f"{self.key}_{STEP_NAMES[self.dt]}"

    @property
    def file_dt(self) -> float:
        """The step [s] at which its graph is the network: snnTorch's exporter knows one alone."""
        return SHORT if self.exported.exporter == "snntorch" else self.dt


@dataclass(frozen=True, eq=False)
class Crossing:
    """A graph in an importer, on the sample.

    graph : the file that the importer is given, None where there is none
    asked : the step [s] that it is asked for; taken : the one that it takes, where it knows one alone
    asked_by : ``caller``, ``default`` where nobody named a step, ``nobody`` where the importer takes none
    verdict : on it; of a rewritten one on what is left, None where it is exact
    rewritten : how it was rewritten
    """

    source: Source
    importer: str
    case: Stepping
    treatment: str
    graph: Path | None
    asked: float
    taken: float
    asked_by: str = "caller"
    verdict: Verdict | None = None
    rewritten: Reconciliation | None = None

    @property
    def exact(self) -> bool:
        """Whether every output of the sample is the source's."""
        if self.rewritten is not None:
            return self.rewritten.plan.exact
        return self.verdict is not None and self.verdict.status is Status.EXACT


@dataclass(frozen=True, eq=False)
class Crossed:
    """Everything that was run.

    natives : source → outcome in its own library; outcomes : of crossings, in their order, None where there is no graph
    swapped : pooling → outcome of the network that was trained with max pooling, with this one instead, in its own library
    outside : number of a crossing → causes on recordings outside the sample, where none was found on it
    """

    sources: Mapping[str, Source]
    natives: Mapping[str, Evaluated]
    crossings: Sequence[Crossing]
    outcomes: Sequence[Evaluated | None]
    swapped: Mapping[PoolKind, Evaluated]
    outside: Mapping[int, str]
    test: Frames


def run_all(options: Options, networks: Mapping[str, Network], test: Frames, progress: Progress) -> Crossed:
    """Export, import, explain, rewrite, and run all of it on the test recordings."""
    store, cases = Store(options.store), QUICK_CASES if options.quick else CASES
    count, frames = (QUICK_SAMPLE, QUICK_SAMPLE_STEPS) if options.quick else (SAMPLE, SAMPLE_STEPS)
    sample = test.cut(frames).pick(np.unique(np.linspace(0, len(test) - 1, count).astype(int)))
    sources = {found.name: found for found in _sources(networks, sample, options.out / "graphs")}
    ways = [(source, case) for source in sources.values() for case in cases if case.written == source.dt]
    crossings: list[Crossing] = []
    with progress.task("import, explain, rewrite", len(ways) * len(IMPORTERS)) as advance:
        for importer in IMPORTERS:
            with importing(importer, [source.network for source in sources.values()], store) as target:
                for source, case in ways:
                    crossings += _crossings(source, case, target, sample, options)
                    advance()

    swapped = dict(_swapped(networks.get("norse_max")))
    runs: dict[Hashable, Evaluation] = {name: Evaluation(one.library, one.dt, network=one.own) for name, one in sources.items()}
    runs |= {kind: Evaluation("norse", FRAME, network=other) for kind, other in swapped.items()}
    same = [None if each.graph is None else (each.importer, each.taken, each.graph.read_bytes()) for each in crossings]
    for each, key in zip(crossings, same, strict=True):
        if each.graph is not None:
            runs[key] = Evaluation(each.importer, each.taken, graph=each.graph.resolve())
    with progress.task("test recordings", parts(len(runs), len(test))) as advance:
        found = evaluate(runs, test, store, batch=BATCH, advance=advance)
    natives, outcomes = {name: found[name] for name in sources}, [found.get(key) for key in same]
    outside = dict(_outside(sources, crossings, natives, outcomes, test, store))
    return Crossed(sources, natives, crossings, outcomes, {kind: found[kind] for kind in swapped}, outside, test)


def _sources(networks: Mapping[str, Network], sample: Array, graphs: Path) -> Iterator[Source]:
    """Every trained network, with sum pooling also where it was trained with average pooling, for both steps.

    networks : ``<library>_<pooling>`` → network, as it was trained
    sample : axes (T, B, \\*shape); graphs : where files go
    """
    for key, trained in networks.items():
        library, _, pooling = key.partition("_")
        for dt in STEP_NAMES:
            plain = written_for(trained, dt)
            found = _source(library, PoolKind(pooling), plain, sample, graphs)
            yield found
            if found.pooling is PoolKind.AVERAGE:
                sums = _source(library, PoolKind.SUM, summed(plain), sample, graphs)
                built = sums.refused.get("stage") != str(Stage.BUILD)
                # A library without sum pooling runs the same network with average pooling.
                recorded = sums.exported.native if built else found.exported.native
                yield replace(sums, own=sums.network if built else plain, exported=replace(sums.exported, native=recorded))


def _source(library: str, pooling: PoolKind, wanted: Network, sample: Array, graphs: Path) -> Source:
    path = graphs / f"{library}_{pooling.value}_{STEP_NAMES[wanted.dt]}.nir"
    exported = export(wanted, library, knowing(library), sample, path)
    refused = exported.failed
    if exported.graph is None:
        try:
            exported = with_intended(exported, path)
        except NotExpressible as error:
            exported = replace(exported, failed={**refused, "not_expressible": str(error)})
    return Source(library, pooling, wanted, wanted, exported, refused)


def _swapped(trained: Network | None) -> Iterator[tuple[PoolKind, Network]]:
    """A network that was trained with max pooling, with other pooling and not trained again."""
    if trained is None:
        return
    for kind in (PoolKind.AVERAGE, PoolKind.SUM):
        layers = tuple(replace(layer, kind=kind) if isinstance(layer, Pool2d) else layer for layer in trained.layers)
        yield kind, replace(trained, layers=layers)


def _crossings(source: Source, case: Stepping, target: Importer, sample: Array, options: Options) -> Iterator[Crossing]:
    """A graph with each treatment through an importer."""
    own = native_side(source.own, source.library, Idiom.PORTABLE, Store(options.store))
    path, recorded, fixed = source.exported.graph, source.exported.native, target.fixed_dt

    def crossing(treatment: str, graph: Path | None, asked: float, by: str = "caller", **more: Any) -> Crossing:
        taken, asked_by = (asked, by) if fixed is None else (fixed, "nobody")
        return Crossing(source, target.name, case, treatment, graph, asked, taken, asked_by, **more)

    def wanted(graph: Graph, intended: Network, asked: float) -> Case:
        side = replace(own, dt=intended.dt)
        return Case(graph, sample, side, target.side(asked), recorded, from_nir(intended.to_nir()))

    if path is None:
        yield from (crossing(treatment, None, case.deployed) for treatment in TREATMENTS)
        return
    if recorded is None:
        raise ValueError(f"{source.name} has no native recording")
    graph = read(path)

    # Natively: the graph as it is, and no step named, or the frames' own where that is the case.
    named = case.deployed != case.written
    asked = case.deployed if named or fixed is not None else DEFAULTS[target.name]
    verdict = target.explain(wanted(graph, source.network, asked))
    yield crossing(NATIVE, path, asked, "caller" if named else "default", verdict=verdict)

    # By hand: the importer asked for the step of the case, and the file's time constants made to be of that step.
    asked = case.deployed if fixed is None else fixed
    file, other = path, graph
    if asked != source.file_dt:
        other = stretched(graph, asked / source.file_dt)
        file = _written(other, options.work / "by_hand" / f"{source.name}_{asked:g}.nir")
    yield crossing(HAND, file, asked, verdict=target.explain(wanted(other, written_for(source.network, asked), asked)))

    # What ``nir-interop reconcile`` makes of the graph, from the step at which the graph is the network.
    found = target.rewrite(wanted(graph, written_for(source.network, source.file_dt), case.deployed))
    if found.plan.passes:
        # Of one library for another that trains, at their own step: these are results.
        shown = target.name in POOLINGS and target.name != source.library and case.written == case.deployed
        folder = options.out / "graphs" if shown else options.work / "rewritten"
        path = _written(found.plan.graph, folder / f"{source.name}_for_{target.name}{'' if shown else f'_{case.name}'}.nir")
    yield crossing(RECONCILED, path, case.deployed, verdict=found.verdict, rewritten=found)


def _written(graph: Graph, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, graph)
    return path.resolve()


def stretched(graph: Graph, factor: float) -> Graph:
    """A graph with all time constants of its neurons so many times as long."""
    nodes = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if isinstance(node, Node) and "tau" in node.params:
            tau = (np.asarray(node["tau"], dtype=np.float64) * factor).astype(np.float32)
            nodes[name] = Node(node.kind, {**node.params, "tau": as_array(tau)})
    return replace(graph, nodes=nodes)


def _outside(
    sources: Mapping[str, Source],
    crossings: Sequence[Crossing],
    natives: Mapping[str, Evaluated],
    outcomes: Sequence[Evaluated | None],
    test: Frames,
    store: Store,
) -> Iterator[tuple[int, str]]:
    """What makes a target differ on test recordings where the sample showed no difference, the first few of them."""
    differing: dict[int, Array] = {}
    for number, (each, outcome) in enumerate(zip(crossings, outcomes, strict=True)):
        ours, theirs = natives[each.source.name].output, None if outcome is None else outcome.output
        if ours is not None and theirs is not None and (each.verdict is None or not each.verdict.codes):
            found = np.flatnonzero((ours != theirs).any(axis=(0, 2)))[:EXPLAINED]
            if len(found):
                differing[number] = found
    for importer in IMPORTERS:
        mine = {number: chosen for number, chosen in differing.items() if crossings[number].importer == importer}
        if not mine:
            continue
        with importing(importer, [source.network for source in sources.values()], store) as target:
            for number, chosen in mine.items():
                each, source = crossings[number], crossings[number].source
                side = native_side(source.own, source.library, Idiom.PORTABLE, store, each.asked)
                if each.rewritten is not None:
                    side = each.rewritten.plan.side
                if each.graph is not None:
                    inputs = test.pick(chosen)
                    recorded = native(source.own, source.library, Idiom.PORTABLE, inputs)
                    verdict = target.explain(Case(read(each.graph), inputs, side, target.side(each.asked), recorded))
                    yield number, "; ".join(verdict.codes) or "unexplained"
