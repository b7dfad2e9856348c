"""Why a target differs from its source: on the sample, and on recordings outside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nir_interop.agreement.side import Side
from nir_interop.arrays import Array
from nir_interop.backends.adapter import load_adapter
from nir_interop.errors import RunFailed
from nir_interop.explain.failed_cells import attributed
from nir_interop.explain.verdict import Verdict, explain_cell
from nir_interop.graphs import Graph, from_nir
from nir_interop.networks import Network
from nir_interop.recording import Recording
from nir_interop.rule import UpdateRule
from nir_interop.vocabulary import Idiom
from nir_interop.workers.capture import Capture, guarded
from nir_interop.workers.live import LiveBackend
from nir_interop.workers.progress import reseed
from nir_interop_studies.nmnist_transfer.sources import Source


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
        verdict = explain_cell(
            intended=None if intended is None else from_nir(intended.to_nir()),
            exported=graph,
            source=Side(source.library, dts[0], rules),
            target=replace(self.side, dt=dts[1]),
            native=native_of(source, inputs) if native is None else native,
            made=made,
            stimulus=inputs,
            failure=failed,
        )
        return verdict if failed is None else attributed(verdict, failed, graph, self.side.domain)


def native_of(source: Source, inputs: Array) -> Recording:
    """What a source computes in its own library."""
    with guarded(Capture()):
        adapter = load_adapter(source.library)
        adapter.prepare()
        reseed(0)
        return adapter.run(adapter.build(source.own, source.dt, Idiom.PORTABLE), inputs.copy())
