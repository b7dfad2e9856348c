"""A trained network on its way: exported by its own library, imported by all, rewritten where that is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nir_interop.agreement.side import Side
from nir_interop.backends.adapter import load_adapter
from nir_interop.backends.environments import backend
from nir_interop.errors import RunFailed
from nir_interop.explain.failed_cells import attributed
from nir_interop.explain.verdict import Verdict, explain_cell
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import Graph, from_nir, read, write
from nir_interop.networks import Network
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import Plan, reconcile
from nir_interop.recording import Recording
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import import_fingerprint, native_rules
from nir_interop.transfer.rewriting import remains, settled
from nir_interop.vocabulary import REFERENCE, Idiom, Stage, Status
from nir_interop.workers.capture import Capture, guarded
from nir_interop.workers.error_messages import failure
from nir_interop.workers.live import LiveBackend
from nir_interop.workers.progress import reseed
from nir_interop_studies.identifying import neurons_in

Array = NDArray[Any]

LIMIT = 60.0
"""Seconds that one run of the sample may take."""


@dataclass(frozen=True, eq=False)
class Exported:
    """What a library's exporter made of a network.

    graph : the file, None where there is none; failed : status, stage and the library's words then
    exporter : who wrote it
    native : what the network itself does with the sample, in its library
    """

    network: Network
    library: str
    idiom: Idiom
    graph: Path | None
    failed: Mapping[str, str] = field(default_factory=dict)
    native: Recording | None = None
    exporter: str = ""


def knowing(library: str) -> Idiom:
    """The idiom of those who know how to export from a library: what is worked around, where something is."""
    return max(load_adapter(library).idioms, key=list(Idiom).index)


def export(network: Network, library: str, idiom: Idiom, sample: Array, path: Path) -> Exported:
    r"""Build a network in a library, run the sample, and write what the library's exporter gives.

    sample : axes (T, B, \*shape)
    """
    import nir

    adapter = load_adapter(library)
    stage, native = Stage.BUILD, None
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with guarded(Capture()):
        try:
            adapter.prepare()
            reseed(0)
            model = adapter.build(network, network.dt, idiom)
            stage = Stage.NATIVE
            native = adapter.run(model, sample.copy())
            stage = Stage.EXPORT
            graph = adapter.export(model, sample[0, :1], network.dt)
            stage = Stage.WRITE
            # The order of edges means nothing, and some exporters take it from a set.
            graph.edges.sort()
            nir.write(path, graph)
            stage = Stage.READ
            read(path)
        except Exception as error:
            path.unlink(missing_ok=True)
            declined = stage is Stage.EXPORT and adapter.refuses(str(error))
            words = failure(error, _STATUS.get(stage, Status.EXPORT_ERROR) if not declined else Status.REFUSED, stage)
            return Exported(network, library, idiom, None, words.words(), native)
    return Exported(network, library, idiom, path, {}, native, library)


def with_intended(exported: Exported, path: Path) -> Exported:
    """Where a library writes no graph: the one that a faultless exporter would have written, by the reference.

    Raises NotExpressible where NIR has no words for the network.
    """
    import nir

    path.parent.mkdir(parents=True, exist_ok=True)
    nir.write(path, exported.network.to_nir())
    return replace(exported, graph=path.resolve(), exporter=REFERENCE)


_STATUS = {Stage.WRITE: Status.WRITE_ERROR, Stage.READ: Status.READ_ERROR}


@dataclass(frozen=True, eq=False)
class Crossing:
    """A graph in an importer, on the sample.

    verdict : on the graph as it is; plan : of its rewriting, None where it needs none
    left : the verdict on the rewritten graph where it is not exact
    graph : the rewritten file, None where there is none
    """

    verdict: Verdict
    plan: Plan | None
    left: Verdict | None
    graph: Path | None

    @property
    def exact(self) -> bool:
        """Whether the importer computes what the source computed, after rewriting where that is needed."""
        return self.plan is None or self.plan.exact


def cross(
    sources: Mapping[str, Exported],
    importers: Sequence[str],
    sample: Array,
    store: Path,
    folder: Path,
    advance: Callable[[], None] = lambda: None,
) -> dict[tuple[str, str], Crossing]:
    r"""Take every exported graph through every importer, explain what differs, and rewrite.

    sources : name → graph; those without a file or a native recording are left out
    sample : axes (T, B, \*shape)
    folder : where rewritten graphs go, ``<source>_for_<importer>.nir``
    advance : called after each crossing
    """
    cells, kinds = Store(store), neurons_in(source.network for source in sources.values())
    found: dict[tuple[str, str], Crossing] = {}
    for importer in importers:
        known = import_fingerprint(backend(importer), cells, kinds=kinds)
        with LiveBackend(backend(importer), limit=LIMIT) as live:
            for name, source in sources.items():
                if source.graph is None or source.native is None:
                    continue
                rules = native_rules(backend(source.library), source.network, source.idiom, cells)
                own = Side(source.library, source.network.dt, rules)
                path = folder / f"{name}_for_{importer}.nir"
                found[name, importer] = _crossing(source, own, importer, known, live, sample, path)
                advance()
    return found


def _crossing(
    source: Exported, own: Side, importer: str, known: Fingerprint, live: LiveBackend, sample: Array, path: Path
) -> Crossing:
    if source.graph is None or source.native is None:
        raise ValueError("a crossing needs a graph and a native recording")
    graph, native = read(source.graph), source.native
    intended = from_nir(source.network.to_nir())
    target = Side.of(known, own.dt)
    verdict = _verdict(graph, intended, own, target, native, live, sample)
    if verdict.status.agrees and verdict.status is not Status.ROUNDING:
        return Crossing(verdict, None, None, None)
    side, lost = settled(graph, intended, own, sample, native)
    plan = reconcile(graph, side, target, sample, PASSES, wanted=native, run=live)
    left = None if plan.exact else remains(plan, target, sample, lost)
    if not plan.passes:
        return Crossing(verdict, plan, left, None)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, plan.graph)
    return Crossing(verdict, plan, left, path)


def _verdict(
    graph: Graph, intended: Graph | None, own: Side, target: Side, native: Recording, live: LiveBackend, sample: Array
) -> Verdict:
    made, failed = None, None
    try:
        made = live(graph, sample, target.dt)
    except RunFailed as error:
        failed = error
    verdict = explain_cell(
        intended=intended,
        exported=graph,
        source=own,
        target=target,
        native=native,
        made=made,
        stimulus=sample,
        failure=failed,
    )
    return verdict if failed is None else attributed(verdict, failed, graph, target.domain)


def why(source: Exported, crossing: Crossing, importer: str, inputs: Array, store: Path) -> Verdict:
    r"""What makes an importer differ from the source on some inputs, with the graph that it was given in the end.

    inputs : axes (T, B, \*shape)
    """
    if source.graph is None:
        raise ValueError("there is no graph")
    cells = Store(store)
    rules = native_rules(backend(source.library), source.network, source.idiom, cells)
    own = Side(source.library, source.network.dt, rules) if crossing.plan is None else crossing.plan.side
    known = import_fingerprint(backend(importer), cells, kinds=neurons_in((source.network,)))
    target = Side.of(known, source.network.dt)
    with guarded(Capture()):
        adapter = load_adapter(source.library)
        adapter.prepare()
        reseed(0)
        native = adapter.run(adapter.build(source.network, source.network.dt, source.idiom), inputs.copy())
    with LiveBackend(backend(importer), limit=LIMIT) as live:
        return _verdict(read(crossing.graph or source.graph), None, own, target, native, live, inputs)
