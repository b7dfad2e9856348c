"""What is to be run: sources (a network written, trained and exported by a library) and cells (a graph imported by one)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nir_interop.backends.environments import Backend, backends
from nir_interop.errors import UnknownName
from nir_interop.networks import names as network_names
from nir_interop.networks import twins
from nir_interop.networks.catalogue import DT
from nir_interop.vocabulary import Idiom, Mode

DTS = (1e-4, 1e-3)
"""Import steps [s] of the default matrix."""
ALL_DTS, ALL_IDIOMS = (DT,), (str(Idiom.PORTABLE),)
"""Steps of the matrix of all backends, that of the export; and how networks are written there: as the documentation says."""

_STEP = r"\d[\d.]*(?:e[+-]?\d+)?"
_CELL_ID = re.compile(
    rf"(?P<network>[^.]+)\.(?P<idiom>[^.]+)\.(?P<exporter>[^@>]+)@(?P<dt_export>{_STEP}?)"
    rf"(?:>(?P<importer>[^@>]+)@(?P<dt_import>{_STEP}?))?\.(?P<mode>[a-z]+)\.(?P<seed>\d+)"
)


@dataclass(frozen=True, order=True)
class SourceJob:
    """A network in a library's words, exported for a step of ``dt_export`` seconds."""

    network: str
    idiom: str
    exporter: str
    dt_export: float
    seed: int = 0

    @property
    def source_id(self) -> str:
        """Readable, and stable from run to run."""
        return f"{self.network}.{self.idiom}.{self.exporter}@{self.dt_export:g}"


@dataclass(frozen=True, order=True)
class CellJob:
    """A source's graph given to an importer; without one where the export failed."""

    source: SourceJob
    importer: str = ""
    dt_import: float | None = None
    mode: str = str(Mode.NATIVE)

    @property
    def cell_id(self) -> str:
        """Readable, stable from run to run, and usable as the name of a folder."""
        target = f">{self.importer}@{self.dt_import:g}" if self.dt_import is not None else ""
        return f"{self.source.source_id}{target}.{self.mode}.{self.source.seed}"


@dataclass(frozen=True)
class Plan:
    """The matrix that was asked for.

    backends : every backend that takes part, by name
    default : whether it is the whole default matrix, which known issues of its backends are counted on
    everything : whether it is the whole matrix of all backends, which known issues of those that live apart are counted on
    idioms : in which networks are written; empty for all that an exporter has
    """

    networks: tuple[str, ...]
    exporters: tuple[str, ...]
    importers: tuple[str, ...]
    dts: tuple[float, ...]
    seed: int
    backends: Mapping[str, Backend]
    default: bool
    everything: bool = False
    idioms: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing was left out of the matrix that was asked for."""
        return self.default or self.everything

    @property
    def missing(self) -> tuple[Backend, ...]:
        """Backends that take part and are not installed: their cells say so."""
        return tuple(backend for backend in self.backends.values() if not backend.installed)

    def sources(self, exporter: str, idioms: Iterable[str]) -> list[SourceJob]:
        """The sources of one exporter, which writes networks in these idioms."""
        taken = [idiom for idiom in idioms if not self.idioms or idiom in self.idioms]
        return [SourceJob(network, idiom, exporter, DT, self.seed) for network in self.networks for idiom in taken]

    def cells(self, source: SourceJob, exported: bool) -> list[CellJob]:
        """The cells of one source: every importer at every step, or one that says why there is no graph."""
        if not exported:
            return [CellJob(source)]
        return [CellJob(source, importer, dt) for importer in self.importers for dt in self.dts]

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of report.csv is a cell of this plan; one without an importer is where its source is."""
        mine = [row["network"] in self.networks, row["exporter"] in self.exporters, row["seed"] == self.seed]
        mine.append(not self.idioms or row["idiom"] in self.idioms)
        return all(mine) and (not row["importer"] or (row["importer"] in self.importers and row["dt_import"] in self.dts))


def make_plan(
    *,
    networks: Sequence[str] | None = None,
    exporters: Sequence[str] | None = None,
    importers: Sequence[str] | None = None,
    dts: Sequence[float] | None = None,
    seed: int = 0,
    known: Sequence[Backend] | None = None,
    everything: bool = False,
) -> Plan:
    """Plan a matrix; None means all, of backends those that do not live apart, of networks those that are no twins.

    known : the backends there are; those of the installed entry points by default
    everything : None means all backends, but for other versions beside an installed library, and twins; of steps, ALL_DTS; and
        networks are written in ALL_IDIOMS alone
    Raises UnknownName for a network or backend that does not exist, or a step that is not positive.
    """
    there = {backend.name: backend for backend in (backends() if known is None else known)}
    planned = (*network_names(), *twins()) if everything else network_names()
    chosen = planned if networks is None else _chosen("network", networks, (*network_names(), *twins()))
    usual = tuple(each.name for each in there.values() if (each.name == each.library if everything else not each.apart))
    steps = tuple(dict.fromkeys((ALL_DTS if everything else DTS) if dts is None else dts))
    writers = usual if exporters is None else _chosen("backend", exporters, tuple(there))
    readers = usual if importers is None else _chosen("backend", importers, tuple(there))
    for dt in steps:
        if not 0 < dt < float("inf"):
            raise UnknownName(f"--dt {dt}: a time step is a positive number of seconds, 1e-4 for instance")
    asked = (chosen, writers, readers, steps, seed)
    whole = known is None and asked == (planned, usual, usual, ALL_DTS if everything else DTS, 0)
    part = {name: backend for name, backend in there.items() if name in (*writers, *readers, "reference")}
    return Plan(*asked, part, whole and not everything, whole and everything, ALL_IDIOMS if everything else ())


def is_cell_id(text: str) -> bool:
    """Whether a text is a cell's name in form, and no path; whether there is such a cell, :func:`parse_cell_id` says."""
    return _CELL_ID.fullmatch(text) is not None and "/" not in text and "\\" not in text and text.isprintable()


def parse_cell_id(cell_id: str, known: Sequence[Backend] | None = None) -> tuple[Plan, CellJob]:
    """The smallest plan that holds a cell, and the cell.

    Raises UnknownName for what is no cell's name, or names a network or backend that does not exist.
    """
    parts = _CELL_ID.fullmatch(cell_id)
    if parts is None or parts["mode"] not in [str(mode) for mode in Mode] or parts["idiom"] not in [str(one) for one in Idiom]:
        raise UnknownName(f"no cell {cell_id!r}; copy one from the column cell_id of report.csv")
    importer, seed = parts["importer"] or "", int(parts["seed"])
    dt = float(parts["dt_import"]) if importer else None
    source = SourceJob(parts["network"], parts["idiom"], parts["exporter"], float(parts["dt_export"]), seed)
    plan = make_plan(
        networks=[source.network],
        exporters=[source.exporter],
        importers=[importer] if importer else [],
        dts=() if dt is None else (dt,),
        seed=seed,
        known=known,
    )
    return plan, CellJob(source, importer, dt, parts["mode"])


def _chosen(what: str, wanted: Sequence[str] | None, there: Sequence[str]) -> tuple[str, ...]:
    """The wanted names in the order of those there are."""
    if wanted is None:
        return tuple(there)
    for name in wanted:
        if name not in there:
            raise UnknownName(f"no {what} {name!r}; there are {', '.join(there) or 'none'}")
    return tuple(name for name in there if name in wanted)
