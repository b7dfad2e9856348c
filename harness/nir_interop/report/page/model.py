"""All that the page shows, from a folder of results and the details that the store kept."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.errors import BadInput, UnknownName
from nir_interop.fingerprint import Origin
from nir_interop.graphs import NEURONS
from nir_interop.matrix.known_issues import Issue, every
from nir_interop.matrix.plan import is_cell_id
from nir_interop.networks import Conv, Network, Neuron, Pool2d, catalogue
from nir_interop.report.cells import (
    LETTERS,
    SHOWN,
    Row,
    blame_text,
    headline,
    kind,
    letter,
    machine_text,
    natively,
    outcome_text,
    place,
    reconciliation,
    remedy_text,
    rows_of,
    worst,
)
from nir_interop.report.diff import environment_beside
from nir_interop.report.page.charts import Chart, charts
from nir_interop.report.page.details import Details
from nir_interop.report.page.studies import StudyPage, studies
from nir_interop.report.primitives import Support, by_primitive, contradicts, summary
from nir_interop.rule import AXES, NIR_MEANING
from nir_interop.schema import DT_SWEEP, PRIMITIVES, REPORT, RULES, SOURCES, Table
from nir_interop.vocabulary import (
    ADAPTERS_OWN,
    CONTINUOUS,
    REFERENCE,
    Blame,
    Cause,
    Idiom,
    Mode,
    PrimitiveStatus,
    Reset,
    Status,
)

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!=-]*|-")
"""What a network or a backend may be called in a command."""
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WORST = 10
"""Silent wrong answers that are listed first."""


@dataclass(frozen=True)
class Claim:
    """A primitive in one backend and direction: what was measured, what the documentation says, and whether they contradict."""

    summary: str
    documented: str
    contradicts: bool
    left: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Page:
    """What the templates are given.

    idioms : library → idiom → what it does there
    pictures : whether the store had details of this report
    problems : table → why its page is empty, of those that are there and cannot be read
    written : the day on which report.csv was
    """

    environment: Mapping[str, Any]
    versions: Mapping[str, str]
    rows: Sequence[Row]
    after: Mapping[str, Row]
    worst: Sequence[Row]
    rules: Sequence[Row]
    primitives: Mapping[str, Mapping[tuple[str, str], Claim]]
    columns: Sequence[tuple[str, str]]
    support: Support
    charts: Sequence[Chart]
    sweep: Sequence[Row]
    studies: Sequence[StudyPage]
    issues: Sequence[tuple[Issue, int]]
    idioms: Mapping[str, Mapping[str, str]]
    details: Details
    pictures: bool
    problems: Mapping[str, str]
    written: str

    @property
    def machine(self) -> str:
        """What the results were made on, in words; empty where environment.json does not say."""
        return machine_text(self.environment)

    @property
    def own_importers(self) -> tuple[str, ...]:
        """Backends whose importer is their adapter's own, since the library ships none."""
        rows = [(row["importer"], row["importer_by"]) for row in self.rows]
        rows += [(row["backend"], row["importer_by"]) for row in self.rules]
        return tuple(sorted({str(name) for name, by in rows if by}))

    def importer_text(self, name: str) -> str:
        """A backend's name, and whether its importer is its adapter's own."""
        return f"{name} ({ADAPTERS_OWN} importer)" if name in self.own_importers else name

    @property
    def native(self) -> list[Row]:
        """The cells as the libraries leave them."""
        return natively(self.rows)

    @property
    def headline(self) -> list[Row]:
        """Those that count: imported at the step of their export, and failed exports."""
        return headline(self.native)

    @property
    def silent(self) -> int:
        """Wrong answers at the step of the export about which the library said nothing."""
        return len(worst(self.rows))

    @property
    def counts(self) -> list[tuple[Status, str, int, int]]:
        """Status, kind, cells natively and after reconciling where that came out right, in the order of the vocabulary."""
        now = Counter(row["status"] for row in self.native)
        right = {name: row for name, row in self.after.items() if Status(row["status"]).agrees}
        then = Counter(right.get(place(row), row)["status"] for row in self.native)
        kinds = {row["status"]: kind({**row, "warned": True, "blame": None, "importer": ""}) for row in self.native}
        return [
            (one, kinds.get(str(one), "good"), now[str(one)], then[str(one)])
            for one in Status
            if now[str(one)] or then[str(one)]
        ]

    @property
    def reconciliation(self) -> dict[str, int]:
        """How far reconciling comes."""
        return reconciliation(self.rows)

    @property
    def rule_primitives(self) -> list[str]:
        """The neurons that rules.csv is about."""
        return sorted({row["primitive"] for row in self.rules if row["primitive"] in NEURONS})

    def rules_for(self, primitive: str) -> list[Row]:
        """NIR's own meaning first, then importers, then the libraries' own neurons."""
        own = [row for row in self.rules if row["primitive"] == primitive]
        native = Origin.NATIVE.value
        return sorted(
            own, key=lambda row: (row["backend"] != "NIR", row["side"] == native, row["backend"], row["options"] or "")
        )

    def fields_of(self, rows: Sequence[Row]) -> list[str]:
        """The fields in which any of these rules is not NIR's meaning."""
        meaning = NIR_MEANING.as_dict()
        return [axis.name for axis in AXES if any(_taken(row) and row[axis.name] != meaning[axis.name] for row in rows)]

    def cells(self) -> dict[str, Any]:
        """What the script draws the matrix and a cell from."""
        native = sorted(self.native, key=lambda row: str(row["cell_id"]))
        words: dict[str, Any] = {
            "columns": SHOWN,
            "cells": [self._cell(row, self.after.get(place(row))) for row in native],
            "statuses": {str(one): {"letter": LETTERS[one], "means": one.meaning} for one in Status},
            "blames": {str(one): one.meaning for one in Blame},
            "causes": {str(one): one.meaning for one in Cause},
            "pictures": self.pictures,
            "networks": {name: vars(described(name)) for name in sorted({str(row["network"]) for row in native})},
            "families": FAMILIES,
            "own_importers": self.own_importers,
            "adapters_own": ADAPTERS_OWN,
            "libraries": [name for name in self.versions if name not in (REFERENCE, CONTINUOUS)],
            "issues": {issue.id: issue.why for issue, count in self.issues if count},
            "idioms": self.idioms,
        }
        return words

    def _cell(self, row: Row, after: Row | None) -> dict[str, Any]:
        known: dict[str, Any] = dict(self.details.get(row["cell_id"], {}))
        cell = self._side(row) | {"details": known, "remedied": remedy_text(row, after), "commands": _commands(row)}
        if after is not None:
            cell["after"] = self._side(after) | {"details": dict(self.details.get(after["cell_id"], {}))}
        return cell

    def _side(self, row: Row) -> dict[str, Any]:
        return {
            "row": [row[name] for name in SHOWN],
            "kind": kind(row),
            "letter": letter(row),
            "says": outcome_text(row),
            "blamed": blame_text(row),
        }


def page_of(folder: Path, details: Details | None) -> Page:
    """Read a folder of results.

    details : what the store kept of its report, None where it has nothing
    Raises BadInput for a report.csv that is not what its schema says; of another table the page says so.
    """
    rows = rows_of(folder, REPORT)
    problems: dict[str, str] = {}
    rules, sweep, cases, sources = (_readable(folder, each, problems) for each in (RULES, DT_SWEEP, PRIMITIVES, SOURCES))
    support = Support.load()
    found = by_primitive(cases)
    counts = Counter(row["known_issue"] for row in rows if row["known_issue"])
    return Page(
        environment=environment_beside(folder / REPORT.name),
        versions=_versions(rows),
        rows=rows,
        after={place(row): row for row in rows if row["mode"] == Mode.RECONCILED},
        worst=worst(rows)[:WORST],
        rules=rules,
        primitives={
            primitive: {
                (backend, direction): _claim(support, backend, primitive, direction, cases_of)
                for backend, directions in backends.items()
                for direction, cases_of in directions.items()
            }
            for primitive, backends in found.items()
        },
        columns=sorted({(row["backend"], row["version"] or "") for row in cases}),
        support=support,
        charts=charts(sweep),
        sweep=sweep,
        studies=studies(folder),
        issues=[(issue, counts[issue.id]) for issue in every()],
        idioms=_idioms(sources),
        details=details or {},
        pictures=details is not None,
        problems=problems,
        written=_day((folder / REPORT.name).stat().st_mtime),
    )


def _day(seconds: float) -> str:
    """A time since the epoch as a date in UTC, whatever the locale: 21 November 2026."""
    day = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _readable(folder: Path, table: Table, problems: dict[str, str]) -> list[dict[str, Any]]:
    """A sister's rows: one that an older version wrote must not keep the matrix from being shown."""
    try:
        return rows_of(folder, table)
    except BadInput as error:
        problems[table.name] = str(error).replace(str(folder / table.name), table.name)
        return []


def _idioms(sources: Iterable[Row]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in sources:
        if row["how"]:
            found.setdefault(row["exporter"], {})[row["idiom"]] = row["how"]
    order = [str(idiom) for idiom in Idiom]
    return {name: dict(sorted(found[name].items(), key=lambda each: order.index(each[0]))) for name in sorted(found)}


def _versions(rows: Iterable[Row]) -> dict[str, str]:
    found = {}
    for row in rows:
        for role in ("exporter", "importer"):
            if row[role]:
                found[str(row[role])] = str(row[f"{role}_version"] or "")
    return dict(sorted(found.items()))


def _taken(row: Row) -> bool:
    """Whether there is a rule at all: NIR's own meaning was not probed."""
    return bool(row["outputs"]) or row["backend"] == "NIR"


def _claim(support: Support, backend: str, primitive: str, direction: str, rows: Sequence[Row]) -> Claim:
    claimed = support.claims(backend, primitive, direction)
    left = tuple(
        (row["aspect"], row["status"], "; ".join(str(text) for text in (row["causes"], row["message"]) if text))
        for row in rows
        if not PrimitiveStatus(row["status"]).agrees
    )
    documented = "" if claimed is None else "yes" if claimed else "no"
    return Claim(summary(rows), documented, contradicts(support, backend, primitive, rows, direction), left)


def _commands(row: Row) -> list[str]:
    """What to type to see a cell again, and to have its graph rewritten: nothing that stands in a table as it is.

    A table that somebody sent may name a cell that is none; there is nothing to type for that.
    """
    name = str(row["cell_id"])
    if not is_cell_id(name) or any(not _WORD.fullmatch(row[each] or "-") for each in ("network", "exporter", "importer")):
        return []
    only = f"nir-interop matrix --network {shlex.quote(row['network'])} --exporter {shlex.quote(row['exporter'])}"
    if not row["importer"]:
        return [f"{only} --results try"]
    found = [f"nir-interop repro {shlex.quote(name)}", f"cd {shlex.quote(f'repro/{name}')} && python repro.py"]
    found.append(f"{only} --importer {shlex.quote(row['importer'])} --dt {row['dt_import']:g} --results try")
    if not Status(row["status"]).agrees and row["importer"] != CONTINUOUS:
        graph = shlex.quote(f"repro/{name}/graph.nir")
        sides = f"--from {shlex.quote(row['exporter'])} --to {shlex.quote(row['importer'])}"
        found.append(f"nir-interop reconcile {graph} {sides} -o reconciled.nir")
    return found


CONVOLUTIONAL, DENSE, RECURRENT, BRANCHED = "convolutional", "fully connected", "recurrent", "with a skip connection"
FAMILIES = (CONVOLUTIONAL, DENSE, RECURRENT, BRANCHED)
"""Sorts of networks; every network of the catalogue is of one."""


@dataclass(frozen=True)
class Described:
    """A network of the matrix.

    family : one of FAMILIES, empty for a network that the catalogue does not have
    about : what it is made of, in words
    """

    family: str = ""
    about: str = ""


def described(name: str) -> Described:
    """A network by name."""
    try:
        network = catalogue(name).build(0)
    except UnknownName:
        return Described()
    return Described(_family(network), ", ".join(_parts(network)))


def _family(network: Network) -> str:
    if any(isinstance(layer, Conv) for layer in network.layers):
        return CONVOLUTIONAL
    if any(neuron.feedback is not None for neuron in network.neurons()):
        return RECURRENT
    return BRANCHED if any(len(layer.inputs) > 1 for layer in network.layers) else DENSE


def _parts(network: Network) -> list[str]:
    found: dict[str, None] = {}
    for layer in network.layers:
        if isinstance(layer, Conv):
            grouped = " in groups" if layer.groups > 1 else ""
            found[f"{'one' if layer.weight.ndim == 3 else 'two'}-dimensional convolution{grouped}"] = None
        elif isinstance(layer, Pool2d):
            found[f"{layer.kind.value} pooling"] = None
        elif isinstance(layer, Neuron):
            found |= dict.fromkeys(_of_neuron(layer))
    if not network.free_gain:
        found["a resistance that weights may not take over"] = None
    if network.reset is Reset.SUBTRACT:
        found["reset by subtraction"] = None
    return list(found)


def _of_neuron(layer: Neuron) -> list[str]:
    parameters = dict(layer.parameters())
    found = [type(layer).__name__]
    if any(np.ndim(value) for value in parameters.values()):
        found.append("parameters of each neuron its own")
    for name, said in (("v_leak", "a leak potential"), ("v_reset", "a reset potential")):
        if np.any(np.asarray(parameters.get(name, 0.0))):
            found.append(said)
    return found
