"""What each backend makes of all cases: of graphs that it imports, and of networks that its own exporter writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

from nir_interop.agreement.side import RunGraph, Side
from nir_interop.backends.environments import Backend
from nir_interop.backends.environments import backend as find
from nir_interop.conformance.primitives.cases import SUITE, Array, PrimitiveCase, cases
from nir_interop.conformance.primitives.judging import EXPORT, IMPORT, Judged, Row, by_axes, compared, failed, judge, row
from nir_interop.conformance.primitives.networks import ExportCase, networks
from nir_interop.errors import BadInput, InvalidGraph, RunFailed
from nir_interop.explain.exporting import exporter_changes
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import Graph, inline, read, write
from nir_interop.networks import Network
from nir_interop.networks.serialization import document_of
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.store.keys import backend_key, made_key
from nir_interop.store.store import Store
from nir_interop.transfer import case as transfer
from nir_interop.transfer.fingerprints import LIMIT as PROBE_LIMIT
from nir_interop.transfer.fingerprints import import_fingerprint
from nir_interop.vocabulary import REFERENCE, Cause, Idiom, PrimitiveStatus, Status
from nir_interop.workers.confinement import die_with
from nir_interop.workers.environment import SAME_SUMS
from nir_interop.workers.jobs import Meaning, Native
from nir_interop.workers.live import LiveBackend

Export = Callable[[Network, Idiom, Array], Graph]
"""Builds a network in a library's words, runs it, and gives the graph that its exporter wrote; raises RunFailed."""

_NO_MODULE = ("CannotBuild", "NotExpressible")


class Exporting(LiveBackend):
    """A library's process that writes networks as well; a graph that is run again is not written again."""

    def __init__(self, backend: Backend, *, limit: float = 20.0, seed: int = 0) -> None:
        super().__init__(backend, limit=limit, seed=seed)
        self._last: tuple[Graph, Array, Path] | None = None

    def __call__(self, graph: Graph, stimulus: Array, dt: float) -> Recording:
        """See :meth:`LiveBackend.__call__`."""
        if self._last is None or self._last[0] is not graph or self._last[1] is not stimulus:
            if self._last is not None:
                shutil.rmtree(self._last[2])
            self._runs += 1
            folder = Path(self._folder.name) / str(self._runs)
            folder.mkdir()
            write(folder / "graph.nir", graph)
            self._last = graph, stimulus, folder
        folder = self._last[2]
        nodes = [name for name, node in inline(graph).primitives() if node.kind not in ("Input", "Output")]
        job = Meaning(graph=str(folder / "graph.nir"), stimulus="", dt=dt, nodes=tuple(nodes))
        return self._recorded(job, stimulus, folder)

    def export(self, network: Network, idiom: Idiom, stimulus: Array) -> Graph:
        """The graph that the library's own exporter writes of a network, after a run of it.

        Raises RunFailed where the library gives none, BadInput where it is none.
        """
        with self._files() as folder:
            path = folder / "graph.nir"
            job = Native(network=document_of(network), idiom=idiom.value, stimulus="", graph=str(path))
            self._recorded(job, stimulus, folder)
            return read(path)


def exported_rows(export: Export, some: Iterable[ExportCase]) -> list[Row]:
    """One row a case, in order, without the backend's columns; none of a network that the library has no modules for."""
    return [found for each in some if (found := _export_row(export, each)) is not None]


def _export_row(export: Export, each: ExportCase) -> Row | None:
    meant = each.meant
    causes: tuple[str, ...] = ()
    try:
        graph = _written(export, each)
        if graph is None:
            return None
        try:
            judged = compared(meant, simulate(graph, meant.stimulus, meant.dt))
        except InvalidGraph as error:
            judged = _meaningless(error)
            causes = _changes(meant.graph, graph, meant.dt)
        if judged.outcome in (PrimitiveStatus.WRONG, PrimitiveStatus.DROPPED):
            causes = _export_causes(each, graph, judged)
    except RunFailed as error:
        judged = failed(error)
    except BadInput as error:
        judged = _meaningless(error)
    return row(meant, EXPORT, judged, causes)


def _written(export: Export, each: ExportCase) -> Graph | None:
    """The graph, in the first idiom in which the library can build it; None where there is no such idiom."""
    for idiom in each.idioms:
        try:
            return export(each.network, idiom, each.meant.stimulus)
        except RunFailed as error:
            if error.error_type not in _NO_MODULE:
                raise
    return None


def _meaningless(error: BadInput) -> Judged:
    """A file that was written and says nothing."""
    return Judged(PrimitiveStatus.ERROR, message=f"{Status.READ_ERROR}: {type(error).__name__}: {error}")


def _changes(meant: Graph, graph: Graph, dt: float) -> tuple[str, ...]:
    try:
        return tuple(map(str, exporter_changes(inline(meant), inline(graph), dt)))
    except InvalidGraph:
        return ()


def _export_causes(each: ExportCase, graph: Graph, judged: Judged) -> tuple[str, ...]:
    """What an exporter changed, most outputs first."""
    meant = each.meant
    if judged.recording is None:
        return (str(Cause.UNEXPLAINED),)
    network, nir = Side("the network", meant.dt), Side("NIR", meant.dt)
    case = transfer.Case(graph, meant.stimulus, network, nir, recorded=meant.meant, intended=meant.graph)
    return transfer.explain(case, judged.recording).codes or (str(Cause.UNEXPLAINED),)


LIMIT, PATIENCE = 5.0, 2.5
"""Seconds a case may take, and one of which it is known that libraries may never come back from it."""


def measure_all(backends: Sequence[Backend], store: Store, *, jobs: int | None = None) -> list[Row]:
    """The rows of several backends, one after another; those not in the store are measured side by side.

    jobs : processes at a time; one a core by default
    """
    pending = [each for each in backends if store.get("primitives", _key(each, LIMIT)) is None]
    # Our own takes least time: at the end it keeps no other waiting.
    pending.sort(key=lambda each: each.name == "reference")
    if pending:
        # Fresh processes: a copy of this one could hold locks of its libraries, and the reference is to add up as workers do.
        some = min(len(pending), jobs or os.cpu_count() or 1)
        with _environment(SAME_SUMS), ProcessPoolExecutor(some, get_context("spawn"), _one_thread, (os.getpid(),)) as pool:
            list(pool.map(measure, pending, [store] * len(pending)))
    return [row for each in backends for row in measure(each, store)]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _one_thread(parent: int) -> None:
    """Keep the reference to one core: what it runs here is small, and threads of two processes would wait for each other.

    parent : whose end is the end of this process
    """
    import torch

    die_with(parent)
    torch.set_num_threads(1)


def _key(backend: Backend, limit: float) -> str:
    reference = backend_key(find(REFERENCE))
    return made_key(__name__, asks=backend, reference=reference, what="primitives", suite=SUITE, limit=limit)


def measure(backend: Backend, store: Store, *, limit: float = LIMIT) -> list[Row]:
    """The rows of one backend, with the columns of primitives.csv, from the store or by running all cases now."""
    key = _key(backend, limit)
    known = store.get("primitives", key)
    if known is not None:
        return list(known["rows"])
    with (live := Exporting(backend, limit=limit)):
        fingerprint = cache(partial(_fingerprint, backend, store, live))
        rows = rows_of(live, [case for case in cases() if not case.late], fingerprint)
        rows += exported_rows(live.export, networks())
        live.limit = min(limit, PATIENCE)
        rows += rows_of(live, [case for case in cases() if case.late], fingerprint)
    named = {"backend": backend.name, "version": backend.version or None}
    rows = [{**row, **named} for row in rows]
    store.put("primitives", key, {"rows": rows})
    return rows


def _fingerprint(backend: Backend, store: Store, live: LiveBackend) -> Fingerprint:
    """What the importer makes of neurons, by the process that is running, under the time limit that probes have."""
    before, live.limit = live.limit, PROBE_LIMIT
    try:
        return import_fingerprint(backend, store, live=live)
    finally:
        live.limit = before


def rows_of(run: RunGraph, some: Iterable[PrimitiveCase], fingerprint: Callable[[], Fingerprint]) -> list[Row]:
    """One row a case, in order, without the backend's columns.

    fingerprint : asked for where outputs differ, to name the causes
    """
    return [_row(case, judge(run, case), fingerprint) for case in some]


def _row(case: PrimitiveCase, judged: Judged, fingerprint: Callable[[], Fingerprint]) -> Row:
    causes: Sequence[str] = ()
    if judged.outcome in (PrimitiveStatus.WRONG, PrimitiveStatus.DROPPED) and judged.recording is not None:
        causes = by_axes(case, judged.recording)
    if judged.outcome is PrimitiveStatus.WRONG and not causes:
        causes = _causes(case, judged, fingerprint()) or (str(Cause.UNEXPLAINED),)
    if judged.outcome is PrimitiveStatus.UNREADABLE:
        causes = (str(Cause.UNREADABLE),)
    if judged.outcome is PrimitiveStatus.DROPPED and not causes:
        causes = (str(Cause.NODE_DROPPED),)
    return row(case, IMPORT, judged, causes)


def _causes(case: PrimitiveCase, judged: Judged, fingerprint: Fingerprint) -> Sequence[str]:
    """Why outputs differ, most outputs first."""
    known = Side.of(fingerprint, case.dt)
    meant = transfer.Case(case.graph, case.stimulus, Side("NIR", case.dt), known, recorded=case.meant)
    return () if judged.recording is None else transfer.explain(meant, judged.recording).codes
