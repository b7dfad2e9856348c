"""From trained networks to the rows of the tables: exported, imported by all, rewritten, run on the test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.datasets import Images
from nir_interop.learning import classify
from nir_interop.networks import Network
from nir_interop.store.store import Store
from nir_interop.transfer.evaluation import Evaluated, Evaluation, evaluate, parts
from nir_interop.vocabulary import Idiom, Mode, Readout
from nir_interop_studies.common import LIBRARIES, Options, Share
from nir_interop_studies.csnn_mnist.held_images import held_images
from nir_interop_studies.csnn_mnist.network import DT
from nir_interop_studies.csnn_mnist.regimes import Regime, tested_steps
from nir_interop_studies.deployment import Crossing, Exported, cross, export, knowing, why, with_intended
from nir_interop_studies.progress import Progress

Array = NDArray[Any]

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

    exports : source → what its own library's exporter made of it; crossers : source → the graph that was taken further
    natives : source → outcome in its own library, in the idiom that was trained and the one that was exported
    whys : (source, importer) → what makes the graph that was given in the end differ, where it does
    """

    sources: Mapping[str, Source]
    exports: Mapping[str, Exported]
    crossers: Mapping[str, Exported]
    natives: Mapping[str, Evaluated]
    deployed: Sequence[Deployed]
    whys: Mapping[tuple[str, str], str]
    test: Images


def sources_of(regimes: Sequence[Regime], networks: Mapping[str, Network]) -> Iterator[Source]:
    """Every network as a tutorial writes it, and as those do who know how."""
    for regime in regimes:
        for idiom in (Idiom.TUTORIAL, knowing(regime.settings.library)):
            yield Source(regime, idiom, networks[regime.key])


def run_all(
    options: Options, regimes: Sequence[Regime], networks: Mapping[str, Network], test: Images, progress: Progress
) -> Crossed:
    """Export, import, explain, rewrite, and run all of it on the test images."""
    sources = {source.name: source for source in sources_of(regimes, networks)}
    steps = tested_steps(options)
    held = _held(test.images[: QUICK_SAMPLE if options.quick else SAMPLE], steps)
    graphs = options.out / "graphs"
    exports: dict[str, Exported] = {}
    with progress.task("export", len(sources)) as advance:
        for name, source in sources.items():
            exports[name] = export(source.network, source.library, source.idiom, held, graphs / f"{name}.nir")
            advance()
    crossers = dict(_crossers(sources, exports, graphs))
    with progress.task("import, explain, rewrite", len(crossers) * len(LIBRARIES)) as advance:
        crossings = cross(crossers, LIBRARIES, held, options.store, graphs, advance)

    runs: dict[tuple[str, str, str], Evaluation] = {
        (name, "", ""): Evaluation(source.library, DT, network=source.network, idiom=source.idiom)
        for name, source in sources.items()
        if source.trained or source.idiom is not Idiom.TUTORIAL
    }
    for (name, importer), crossing in crossings.items():
        runs[name, importer, Mode.NATIVE.value] = Evaluation(importer, DT, graph=crossers[name].graph)
        if crossing.graph is not None:
            runs[name, importer, Mode.RECONCILED.value] = Evaluation(importer, DT, graph=crossing.graph.resolve())
    with progress.task("test images", parts(len(runs), len(test))) as advance:
        images = held_images(test.images[:, None], steps, options.work / "runs")
        outcomes = evaluate(runs, images, Store(options.store), advance=advance)

    deployed = []
    for (name, importer), crossing in crossings.items():
        for mode in (Mode.NATIVE, Mode.RECONCILED):
            # A graph that is not rewritten is given to the importer as it is.
            key = (name, importer, mode.value)
            outcome = outcomes[key if key in outcomes else (name, importer, Mode.NATIVE.value)]
            deployed.append(Deployed(sources[name], importer, mode, crossing, outcome))
    natives = {name: outcome for (name, importer, _), outcome in outcomes.items() if not importer}
    whys = dict(_whys(options, deployed, natives, crossers, test, steps))
    return Crossed(sources, exports, crossers, natives, deployed, whys, test)


def _crossers(sources: Mapping[str, Source], exports: Mapping[str, Exported], graphs: Path) -> Iterator[tuple[str, Exported]]:
    """One graph a trained network: the one of those who know how, by the reference where the library writes none."""
    for name, found in exports.items():
        if sources[name].idiom is not Idiom.TUTORIAL:
            yield name, found if found.graph is not None else with_intended(found, graphs / f"{name}.nir")
        elif found.graph is not None:
            found.graph.unlink()


def _held(images: Array, steps: int) -> Array:
    held: Array = np.repeat(images[None, :, None], steps, axis=0)
    return held


def _whys(
    options: Options,
    deployed: Sequence[Deployed],
    natives: Mapping[str, Evaluated],
    exports: Mapping[str, Exported],
    test: Images,
    steps: int,
) -> Iterator[tuple[tuple[str, str], str]]:
    """What makes rewritten graphs differ on images outside the sample."""
    for each in deployed:
        if each.mode is not Mode.RECONCILED or not each.crossing.exact:
            continue
        ours, theirs = natives[each.source.name].output, each.outcome.output
        if ours is None or theirs is None:
            continue
        differing = np.flatnonzero((ours != theirs).any(axis=(0, 2)))[:EXPLAINED]
        if len(differing):
            held = _held(test.images[differing], steps)
            verdict = why(exports[each.source.name], each.crossing, each.importer, held, options.store)
            yield (each.source.name, each.importer), f"{verdict.status}: {', '.join(verdict.codes) or 'no cause'}"


def classes(outcome: Evaluated) -> Array | None:
    """The class of each image, None where there is no output."""
    return None if outcome.output is None else classify(outcome.output, Readout.RATE)


def accuracy(outcome: Evaluated, test: Images) -> Share | None:
    """On the test images."""
    found = classes(outcome)
    return None if found is None else Share.of(found == test.labels)
