"""Trained networks as they cross: with each pooling, for each step, exported by their own library where it can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nir_interop.arrays import Array
from nir_interop.errors import NotExpressible
from nir_interop.networks import Network, PoolKind
from nir_interop.vocabulary import Stage
from nir_interop_studies.deployment import Exported, export, knowing, with_intended
from nir_interop_studies.nmnist_transfer.network import FRAME, SHORT, summed, written_for

STEP_NAMES = {SHORT: "1e-4", FRAME: "1e-3"}


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


def sources_of(networks: Mapping[str, Network], sample: Array, graphs: Path) -> Iterator[Source]:
    """Every trained network, with sum pooling also where it was trained with average pooling, for both steps.

    networks : ``<library>_<pooling>`` → network, as it was trained
    sample : axes (T, B, \\*shape); graphs : where files go
    """
    for key, trained in networks.items():
        library, _, pooling = key.partition("_")
        for dt in (SHORT, FRAME):
            plain = written_for(trained, dt)
            found = _source(library, PoolKind(pooling), plain, sample, graphs)
            yield found
            if found.pooling is PoolKind.AVERAGE:
                sums = _source(library, PoolKind.SUM, summed(plain), sample, graphs)
                built = sums.refused.get("stage") != str(Stage.BUILD)
                # A library without sum pooling runs the same network with average pooling.
                native = sums.exported.native if built else found.exported.native
                yield replace(sums, own=sums.network if built else plain, exported=replace(sums.exported, native=native))


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
