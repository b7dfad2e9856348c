"""What a library's own exporter writes of each network, run under NIR's meaning beside what was meant."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from nir_interop.agreement.side import Side
from nir_interop.backends.environments import Backend
from nir_interop.conformance.primitives.case import Array
from nir_interop.conformance.primitives.judging import EXPORT, Judged, Row, compared, failed, row
from nir_interop.conformance.primitives.networks import ExportCase
from nir_interop.errors import BadInput, InvalidGraph, RunFailed
from nir_interop.explain.exporting import exporter_changes
from nir_interop.graphs import Graph, inline, read, write
from nir_interop.networks import Network
from nir_interop.networks.serialization import document_of
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.transfer.case import Case, explain
from nir_interop.vocabulary import Cause, Idiom, Outcome, Status
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
        job = {"kind": "meaning", "dt": dt, "nodes": nodes, "graph": str(folder / "graph.nir")}
        return self._recorded(job, stimulus, folder)

    def export(self, network: Network, idiom: Idiom, stimulus: Array) -> Graph:
        """The graph that the library's own exporter writes of a network, after a run of it.

        Raises RunFailed where the library gives none, BadInput where it is none.
        """
        with self._files() as folder:
            path = folder / "graph.nir"
            asked = {"network": document_of(network), "idiom": idiom.value, "label": "", "graph": str(path)}
            self._recorded({"kind": "native", **asked}, stimulus, folder)
            return read(path)


def exported_rows(export: Export, some: Iterable[ExportCase]) -> list[Row]:
    """One row a case, in order, without the backend's columns; none of a network that the library has no modules for."""
    return [found for each in some if (found := _row(export, each)) is not None]


def _row(export: Export, each: ExportCase) -> Row | None:
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
        if judged.outcome in (Outcome.WRONG, Outcome.DROPPED):
            causes = _causes(each, graph, judged)
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
    return Judged(Outcome.ERROR, message=f"{Status.READ_ERROR}: {type(error).__name__}: {error}")


def _changes(meant: Graph, graph: Graph, dt: float) -> tuple[str, ...]:
    try:
        return tuple(map(str, exporter_changes(inline(meant), inline(graph), dt)))
    except InvalidGraph:
        return ()


def _causes(each: ExportCase, graph: Graph, judged: Judged) -> tuple[str, ...]:
    """What the exporter changed, most outputs first."""
    meant = each.meant
    if judged.recording is None:
        return (str(Cause.UNEXPLAINED),)
    network, nir = Side("the network", meant.dt), Side("NIR", meant.dt)
    case = Case(graph, meant.stimulus, network, nir, recorded=meant.meant, intended=meant.graph)
    return explain(case, judged.recording).codes or (str(Cause.UNEXPLAINED),)
