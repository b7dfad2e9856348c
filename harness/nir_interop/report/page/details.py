"""What the page says of a cell beyond its row of report.csv, as plain data; it is kept in the store beside the cell."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.arrays import load_arrays
from nir_interop.errors import NirInteropError
from nir_interop.fingerprint import Domain, Fingerprint, Identified, differing_axes
from nir_interop.graphs import NEURONS, Graph, difference, inline, read
from nir_interop.networks import catalogue
from nir_interop.recording import Recording
from nir_interop.report.page.pictures import Recorded, Replay, pictures
from nir_interop.rule import NIR_MEANING, UpdateRule
from nir_interop.schema import REPORT
from nir_interop.store.keys import rules_key, sources_key
from nir_interop.verdict import Applied, CauseShare
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Mode, Status
from nir_interop.workers.jobs import (
    GRAPH,
    OK,
    RECORDING,
    STIMULUS,
    Fingerprinted,
    Identify,
    from_json,
    to_json,
)

if TYPE_CHECKING:
    from nir_interop.matrix.results import CellResult, Results, SourceResult
    from nir_interop.store.store import Store

Details = Mapping[str, Mapping[str, Any]]
"""cell_id → what there is to show."""

KIND = "pages"
"""Under which the store keeps them."""
CHANGES = 12
"""Lines on what a rewriting changed, at most."""
SAID = 600
"""Characters of a library's text that are shown."""

_LOGGED = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d")
"""The beginning of a line of a log, with its time and process: of no matter to a reader, and never twice the same."""


def keep(found: Results, store: Store, folder: Path) -> Details:
    """The details of a run whose tables lie in ``folder``, from the store where they are the same, else stored there."""
    key, state = _key(folder), _state(found)
    known = store.get(KIND, key)
    if known is not None and known["state"] == state:
        stored: Details = known["details"]
        return stored
    details = details_of(found, store)
    store.put(KIND, key, {"state": state, "details": dict(details)})
    return details


def kept(store: Store, folder: Path) -> Details | None:
    """What :func:`keep` stored for the report that lies in a folder; None where it is not there."""
    known = store.get(KIND, _key(folder))
    return None if known is None else known["details"]


def _key(folder: Path) -> str:
    return hashlib.sha256((folder / REPORT.name).read_bytes()).hexdigest()


def _state(found: Results) -> str:
    """All that details are made of: what was recorded and said, and this program."""
    sha = hashlib.sha256()
    for cell in sorted(found.cells, key=lambda cell: cell.job.cell_id):
        objects = [dict(each.objects) for each in (cell.source.outcome, cell.outcome)]
        said = [cell.job.cell_id, objects, [each.as_dict() for each in _causes(cell)], to_json(_passes(cell))]
        sha.update(json.dumps(said, sort_keys=True).encode())
    sha.update(sources_key(__name__).encode())
    return sha.hexdigest()


def details_of(found: Results, store: Store) -> Details:
    """Every cell that is not exact, and every reconciled one."""
    known = _Known(found, store)
    return {
        cell.job.cell_id: _detail(cell, known)
        for cell in sorted(found.cells, key=lambda cell: cell.job.cell_id)
        if cell.status != Status.EXACT or cell.job.mode == Mode.RECONCILED
    }


def _detail(cell: CellResult, known: _Known) -> dict[str, Any]:
    outcome = cell.outcome if cell.source.exported else cell.source.outcome
    detail: dict[str, Any] = {"causes": [each.as_dict() for each in _causes(cell)]}
    if text := _said(outcome.text):
        detail["text"] = text
    if not cell.source.exported:
        return detail
    original = known.original(cell)
    if cell.job.mode == Mode.RECONCILED:
        detail["passes"] = [{"name": each.name, "nodes": list(each.nodes), "why": each.why} for each in _passes(cell)]
        detail["changes"] = _changes(known.graph(original), known.graph(cell.source))
    else:
        detail["rules"] = known.differing(cell)
    if cell.status != Status.EXACT and RECORDING in cell.outcome.objects:
        detail |= known.pictures(cell)
    return detail


def _said(text: str) -> str:
    """What a library printed or warned of, each line once."""
    lines = dict.fromkeys(line.rstrip() for line in text.splitlines() if line.strip() and not _LOGGED.match(line))
    kept = "\n".join(lines)
    return kept if len(kept) <= SAID else kept[:SAID] + " …"


def _causes(cell: CellResult) -> Sequence[CauseShare]:
    return () if cell.verdict is None else cell.verdict.causes


def _passes(cell: CellResult) -> Sequence[Applied]:
    """What its graph was rewritten with, in order."""
    return () if cell.rewriting is None else cell.rewriting.passes


def _changes(before: Graph | None, after: Graph | None) -> list[str]:
    """What a rewriting did to the graph, line by line."""
    if before is None or after is None:
        return []
    try:
        lines = [each.text for each in difference(before, after)]
    except NirInteropError as error:
        return [str(error)]
    return lines if len(lines) <= CHANGES else [*lines[:CHANGES], f"and {len(lines) - CHANGES} more"]


class _Known:
    """What several cells share: graphs, recordings, and the rules that the run identified."""

    def __init__(self, found: Results, store: Store) -> None:
        self.found, self.store = found, store
        self._graphs: dict[str, Graph | None] = {}
        self._recordings: dict[str, Recording] = {}
        self._stimuli: dict[str, Any] = {}

    @cached_property
    def _sources(self) -> dict[Any, SourceResult]:
        return {source.job: source for source in self.found.sources}

    @cached_property
    def _rules(self) -> dict[str, Fingerprinted]:
        """Backend → what :func:`nir_interop.transfer.fingerprints.identify_backend` found, where this run has it."""
        backends = self.found.plan.backends
        found: dict[str, Fingerprinted] = {}
        for name, backend in backends.items():
            if name not in (REFERENCE, CONTINUOUS) and REFERENCE in backends:
                outcome = self.store.get(Identify.kept, rules_key(backends[REFERENCE], backend))
                if outcome is not None and outcome["status"] == OK:
                    found[name] = from_json(Fingerprinted, outcome)
        return found

    def original(self, cell: CellResult) -> SourceResult:
        """The source as it was exported, not as it was rewritten."""
        return self._sources.get(cell.job.source, cell.source)

    def graph(self, source: SourceResult) -> Graph | None:
        """A source's graph, inlined; None where the harness cannot read it."""
        name = source.outcome.objects[GRAPH]
        if name not in self._graphs:
            try:
                self._graphs[name] = inline(read(self.store.object(name)))
            except NirInteropError:
                self._graphs[name] = None
        return self._graphs[name]

    def native(self, cell: CellResult) -> Domain | None:
        """Primitive → what is known of the neurons that the source was built of; None where nothing is."""
        source = cell.job.source
        if source.exporter == REFERENCE:
            return Domain()
        if source.exporter not in self._rules:
            return None
        way = f"{catalogue(source.network).build(source.seed).reset} {source.idiom}"
        found = self._rules[source.exporter].native.get(way)
        return Domain() if found is None else Fingerprint.from_json(found).rules

    def imported(self, importer: str) -> Domain | None:
        """Primitive → what is known of an importer; None where nothing is, or where it has no rule."""
        if importer == REFERENCE:
            return Domain()
        return Fingerprint.from_json(self._rules[importer].imported).rules if importer in self._rules else None

    def differing(self, cell: CellResult) -> list[dict[str, str]]:
        """The fields in which the rules of both sides differ, of the neurons in the graph and as far as the probes can tell."""
        own, other, graph = self.native(cell), self.imported(cell.job.importer), self.graph(cell.source)
        if own is None or other is None or graph is None:
            return []
        found = []
        for kind in sorted({node.kind for _, node in graph.primitives() if node.kind in NEURONS}):
            one, two = own.get(kind, Identified(NIR_MEANING)), other.get(kind, Identified(NIR_MEANING))
            if one.unruled or two.unruled:
                continue
            for axis in differing_axes(one.rule, two.rule):
                values = {
                    side: str(getattr(rule, axis).value)
                    for side, rule in (("source", one.rule), ("target", two.rule), ("nir", NIR_MEANING))
                }
                if axis != "precision" and not _tied(one, two, axis):
                    found.append({"primitive": kind, "field": axis, **values})
        return found

    def pictures(self, cell: CellResult) -> dict[str, Any]:
        """Spikes and membranes of both sides."""
        source, importer = self.original(cell), cell.job.importer
        graph, exported = self.graph(cell.source), self.graph(source)
        own, other = _by_primitive(self.native(cell), exported), _by_primitive(self.imported(importer), graph)
        stimulus = source.stimulus.objects[STIMULUS]
        dt, dt_import = cell.job.source.dt_export, cell.job.dt_import or cell.job.source.dt_export
        return pictures(
            exported,
            Recorded(self._recording(source.outcome.objects[RECORDING]), self._replay(exported, stimulus, dt, own)),
            Recorded(
                self._recording(cell.outcome.objects[RECORDING]),
                self._replay(graph, stimulus, dt_import, other, continuous=importer == CONTINUOUS and dt_import == dt),
            ),
            () if source.outcome.graph is None else source.outcome.graph.order,
        )

    def _recording(self, name: str) -> Recording:
        if name not in self._recordings:
            self._recordings[name] = Recording.load(self.store.object(name))
        return self._recordings[name]

    def _replay(
        self, graph: Graph | None, stimulus: str, dt: float, rules: Mapping[str, UpdateRule] | None, *, continuous: bool = False
    ) -> Replay:
        """The first steps of one sample under a side's rules; torch is imported when the first is asked for."""

        def run(sample: int, steps: int) -> Recording | None:
            if graph is None or (rules is None and not continuous):
                return None
            from nir_interop.agreement.side import Side
            from nir_interop.transfer.case import replay

            if stimulus not in self._stimuli:
                self._stimuli[stimulus] = load_arrays(self.store.object(stimulus))["input"]
            part = self._stimuli[stimulus][:steps, sample : sample + 1]
            return replay(graph, part, Side(CONTINUOUS if continuous else "", dt, dict(rules or {})))

        return run


def _tied(one: Identified, other: Identified, axis: str) -> bool:
    """Whether the probes of either side leave open that it has the other's value."""
    for this, that in ((one, other), (other, one)):
        value = str(getattr(that.rule, axis).value)
        if any(tie.axis == axis and value in tie.values for tie in this.ties):
            return True
    return False


def _by_primitive(known: Domain | None, graph: Graph | None) -> dict[str, UpdateRule] | None:
    """The rules of a graph's neurons; None where one has none that is known."""
    kinds = set() if graph is None else {node.kind for _, node in inline(graph).primitives()}
    if known is None or any(one.unruled for kind, one in known.items() if kind in kinds):
        return None
    return {kind: one.rule for kind, one in known.items() if isinstance(kind, str)}
