"""Why a target differs from its source: on the sample, and on recordings outside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.nmnist_transfer.sources import Source
from harness.adapter import load_adapter
from harness.errors import RunFailed
from harness.explain.endings import attributed
from harness.explain.misruns import misruns
from harness.explain.verdict import Verdict, explain_cell
from harness.graphs import Graph, from_nir
from harness.matrix.arrays import Array
from harness.matrix.capture import Capture, guarded
from harness.matrix.job import reseed
from harness.matrix.live import LiveBackend
from harness.networks import Network
from harness.reconcile.model import Side
from harness.recording import Recording
from harness.rule import UpdateRule
from harness.vocabulary import Idiom


@dataclass(frozen=True, eq=False)
class Target:
    """An importer, running.

    side : what is known of it; fixed : its only step [s], where it takes none
    """

    side: Side
    live: LiveBackend
    fixed: float | None

    def verdict(
        self,
        source: Source,
        graph: Graph,
        rules: Mapping[str, UpdateRule],
        dts: tuple[float, float],
        inputs: Array,
        *,
        native: Recording | None = None,
        intended: Network | None = None,
    ) -> Verdict:
        """On a graph.

        rules, dts : of the source, and the steps [s] that the graph is of and that the importer is asked for
        inputs : axes (T, B, \\*shape); native : what the source computes on them, by default it is run
        intended : the network that was asked for, None where the graph is not the exporter's
        """
        made, failed = None, None
        try:
            made = self.live(graph, inputs, dts[1])
        except RunFailed as error:
            failed = error
        cell: dict[str, Any] = {"names": (source.library, self.side.name), "likely": sorted(misruns(self.side.domain))}
        verdict = explain_cell(
            intended=None if intended is None else from_nir(intended.to_nir()),
            exported=graph,
            source_rule=rules,
            target_rule=self.side.rules,
            native=native_of(source, inputs) if native is None else native,
            target=made,
            stimulus=inputs,
            dt_export=dts[0],
            dt_import=dts[1],
            failure=failed,
            **cell,
        )
        return verdict if failed is None else attributed(verdict, failed, graph, self.side.domain)


def native_of(source: Source, inputs: Array) -> Recording:
    """What a source computes in its own library."""
    with guarded(Capture()):
        adapter = load_adapter(source.library)
        adapter.prepare()
        reseed(0)
        return adapter.run(adapter.build(source.own, source.dt, Idiom.PORTABLE), inputs.copy())
