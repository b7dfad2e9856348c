"""From trained networks to the rows of the tables: exported, imported by all, rewritten, run on the test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nir_interop.arrays import Array
from nir_interop.datasets import Images
from nir_interop.graphs import from_nir, read, write
from nir_interop.networks import Network
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
from nir_interop.transfer.evaluation import Evaluated, Evaluation, evaluate, held_images, parts
from nir_interop.transfer.rewriting import Reconciliation
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import Idiom, Mode, Status
from nir_interop_studies.common import LIBRARIES, Options, Progress
from nir_interop_studies.csnn_mnist.network import DT, Regime, tested_steps

SAMPLE, QUICK_SAMPLE = 64, 8
"""Test images on which a difference is explained and a rewriting is checked, before all of them are run."""
EXPLAINED = 16
"""Of the images in which a rewritten graph still differs, so many are explained."""


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network, written in one idiom of its library."""

    regime: Regime
    idiom: Idiom
    network: Network

    @property
    def name(self) -> str:
        """``<library>_<regime>``, with the idiom where other modules than these were trained."""
        return self.regime.key if self.trained else f"{self.regime.key}_{self.idiom}"

    @property
    def trained(self) -> bool:
        """Whether the modules are those that were trained: a tutorial's, or else those of all other idioms."""
        return (self.idiom is Idiom.TUTORIAL) == (self.regime.settings.idiom is Idiom.TUTORIAL)

    @property
    def library(self) -> str:
        """Whose network it is."""
        return self.regime.settings.library


@dataclass(frozen=True, eq=False)
class Crossing:
    """A graph in an importer, on the sample.

    verdict : on the graph as it is; rewritten : the case with another graph, None where it needs none
    graph : the rewritten file, None where no pass was needed
    """

    verdict: Verdict
    rewritten: Reconciliation | None = None
    graph: Path | None = None

    @property
    def exact(self) -> bool:
        """Whether the importer computes what the source computed, after rewriting where that is needed."""
        return self.rewritten is None or self.rewritten.plan.exact

    @property
    def left(self) -> Verdict | None:
        """The verdict on the rewritten graph where it is not exact."""
        return None if self.rewritten is None else self.rewritten.verdict


@dataclass(frozen=True, eq=False)
class Deployed:
    """A source's graph in an importer, natively or rewritten, on all test images."""

    source: Source
    importer: str
    mode: Mode
    crossing: Crossing
    outcome: Evaluated


@dataclass(frozen=True, eq=False)
class Crossed:
    """Everything that was run.

    exports : source → what its own library's exporter made of it; deployable : source → the graph that was taken further
    natives : source → outcome in its own library, in the idiom that was trained and the one that was exported
    outside : (source, importer) → what makes the graph that was given in the end differ on images outside the sample
    """

    sources: Mapping[str, Source]
    exports: Mapping[str, Exported]
    deployable: Mapping[str, Exported]
    natives: Mapping[str, Evaluated]
    deployed: Sequence[Deployed]
    outside: Mapping[tuple[str, str], str]
    test: Images


def run_all(
    options: Options, regimes: Sequence[Regime], networks: Mapping[str, Network], test: Images, progress: Progress
) -> Crossed:
    """Export, import, explain, rewrite, and run all of it on the test images."""
    found = [
        Source(regime, idiom, networks[regime.key])
        for regime in regimes
        for idiom in (Idiom.TUTORIAL, knowing(regime.settings.library))
    ]
    sources = {source.name: source for source in found}
    steps, store, graphs = tested_steps(options), Store(options.store), options.out / "graphs"
    sample = _held(test.images[: QUICK_SAMPLE if options.quick else SAMPLE], steps)
    exports: dict[str, Exported] = {}
    with progress.task("export", len(sources)) as advance:
        for name, source in sources.items():
            exports[name] = export(source.network, source.library, source.idiom, sample, graphs / f"{name}.nir")
            advance()
    deployable = dict(_deployable(sources, exports, graphs))
    crossings: dict[tuple[str, str], Crossing] = {}
    with progress.task("import, explain, rewrite", len(deployable) * len(LIBRARIES)) as advance:
        for importer in LIBRARIES:
            with importing(importer, [each.network for each in deployable.values()], store) as target:
                for name, each in deployable.items():
                    if each.graph is not None and each.native is not None:
                        path = graphs / f"{name}_for_{importer}.nir"
                        crossings[name, importer] = _crossing(each, each.graph, target, sample, store, path)
                    advance()

    runs: dict[tuple[str, str, str], Evaluation] = {
        (name, "", ""): Evaluation(source.library, DT, network=source.network, idiom=source.idiom)
        for name, source in sources.items()
        if source.trained or source.idiom is not Idiom.TUTORIAL
    }
    for (name, importer), crossing in crossings.items():
        runs[name, importer, Mode.NATIVE.value] = Evaluation(importer, DT, graph=deployable[name].graph)
        if crossing.graph is not None:
            runs[name, importer, Mode.RECONCILED.value] = Evaluation(importer, DT, graph=crossing.graph.resolve())
    with progress.task("test images", parts(len(runs), len(test))) as advance:
        outcomes = evaluate(runs, held_images(test.images[:, None], steps, options.work), store, advance=advance)

    deployed = []
    for (name, importer), crossing in crossings.items():
        for mode in (Mode.NATIVE, Mode.RECONCILED):
            # A graph that is not rewritten is given to the importer as it is.
            key = (name, importer, mode.value)
            outcome = outcomes[key if key in outcomes else (name, importer, Mode.NATIVE.value)]
            deployed.append(Deployed(sources[name], importer, mode, crossing, outcome))
    natives = {name: outcome for (name, importer, _), outcome in outcomes.items() if not importer}
    outside = dict(_outside(deployed, natives, deployable, test, steps, store))
    return Crossed(sources, exports, deployable, natives, deployed, outside, test)


def _deployable(sources: Mapping[str, Source], exports: Mapping[str, Exported], graphs: Path) -> Iterator[tuple[str, Exported]]:
    """One graph a trained network: the one of those who know how, by the reference where the library writes none."""
    for name, found in exports.items():
        if sources[name].idiom is not Idiom.TUTORIAL:
            yield name, found if found.graph is not None else with_intended(found, graphs / f"{name}.nir")
        elif found.graph is not None:
            found.graph.unlink()


def _crossing(source: Exported, graph: Path, target: Importer, sample: Array, store: Store, path: Path) -> Crossing:
    network = source.network
    own = native_side(network, source.library, source.idiom, store)
    case = Case(read(graph), sample, own, target.side(own.dt), source.native, from_nir(network.to_nir()))
    verdict = target.explain(case)
    if verdict.status.agrees and verdict.status is not Status.ROUNDING:
        return Crossing(verdict)
    found = target.rewrite(case)
    if not found.plan.passes:
        return Crossing(verdict, found)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, found.plan.graph)
    return Crossing(verdict, found, path)


def _outside(
    deployed: Sequence[Deployed],
    natives: Mapping[str, Evaluated],
    deployable: Mapping[str, Exported],
    test: Images,
    steps: int,
    store: Store,
) -> Iterator[tuple[tuple[str, str], str]]:
    """What makes rewritten graphs differ on images outside the sample."""
    for each in deployed:
        name, crossing, ours, theirs = each.source.name, each.crossing, natives[each.source.name].output, each.outcome.output
        if each.mode is not Mode.RECONCILED or not crossing.exact or ours is None or theirs is None:
            continue
        differing = np.flatnonzero((ours != theirs).any(axis=(0, 2)))[:EXPLAINED]
        source = deployable[name]
        graph = crossing.graph or source.graph
        if len(differing) and graph is not None:
            held = _held(test.images[differing], steps)
            own = native_side(source.network, source.library, source.idiom, store)
            if crossing.rewritten is not None:
                own = crossing.rewritten.plan.side
            recorded = native(source.network, source.library, source.idiom, held)
            with importing(each.importer, [source.network], store) as target:
                verdict = target.explain(Case(read(graph), held, own, target.side(source.network.dt), recorded))
            yield (name, each.importer), f"{verdict.status}: {', '.join(verdict.codes) or 'no cause'}"


def _held(images: Array, steps: int) -> Array:
    held: Array = np.repeat(images[None, :, None], steps, axis=0)
    return held
