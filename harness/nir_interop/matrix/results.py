"""What a run found of its sources and cells, and the rows of the tables: column → value, None where there is none."""

from __future__ import annotations

import os
import platform
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nir_interop.backends.environments import suite_version
from nir_interop.explain.warnings import ANYTHING, Suspects, warned
from nir_interop.learning import wilson_interval
from nir_interop.matrix.known_issues import Issue, mark
from nir_interop.matrix.plan import CellJob, Plan, SourceJob
from nir_interop.networks import catalogue
from nir_interop.schema import REPORT, SOURCES
from nir_interop.schema.columns import SEPARATOR
from nir_interop.transfer.descriptions import exporter_by, importer_by
from nir_interop.vocabulary import REFERENCE, Against, Blame, Idiom, Mode, Status
from nir_interop.workers.jobs import (
    GRAPH,
    OK,
    PARAMETERS,
    Compared,
    Described,
    Explained,
    Exported,
    Outcome,
    Rewritten,
    StimulusMade,
    Trained,
)

Row = dict[str, Any]

_ERROR = ("error_type", "error_message", "error_at")


@dataclass(frozen=True)
class SourceResult:
    """A source's outcome, its training's where it was trained, and the reference's on the intended graph.

    how : what its idiom is in its library, in a sentence
    repeats : the source of another idiom that came to the same, and whose cells are its own; empty where there is none
    """

    job: SourceJob
    outcome: Exported
    stimulus: StimulusMade
    training: Trained | None = None
    cached: bool = False
    training_cached: bool = False
    intended: Compared | None = None
    how: str = ""
    repeats: str = ""

    @property
    def exported(self) -> bool:
        """Whether there is a graph."""
        return self.outcome.status == OK

    @property
    def parameters(self) -> str | None:
        """The learned arrays in the store."""
        return None if self.training is None else self.training.objects.get(PARAMETERS)


def repeated(sources: Iterable[SourceResult]) -> dict[SourceJob, str]:
    """Source → the source that it repeats, of one network's sources from one library, each in an idiom of its own.

    Two came to the same where the outputs are the same and so are the bytes of the file, or the failure.  The portable one
    stands for others, and a tutorial's for what is worked around.
    """
    first: dict[tuple[Any, ...], str] = {}
    found: dict[SourceJob, str] = {}
    for source in sorted(sources, key=lambda source: _STANDS.index(Idiom(source.job.idiom))):
        outcome = source.outcome
        ended = (outcome.status, outcome.error_type, outcome.error_message, outcome.error_at, outcome.recording_digest)
        stands = first.setdefault((*ended, outcome.objects.get(GRAPH)), source.job.source_id)
        if stands != source.job.source_id:
            found[source.job] = stands
    return found


_STANDS = (Idiom.PORTABLE, Idiom.TUTORIAL, Idiom.WORKED_AROUND)


@dataclass(frozen=True)
class CellResult:
    """A cell's outcome; ``cached`` where it was known, or another cell of this run did the same work.

    source : as it was rewritten, in a reconciled cell
    dt_effective : the step [s] that its importer took, None where there was none
    verdict : where the cell was explained
    rewriting : of a reconciled cell
    """

    job: CellJob
    source: SourceResult
    outcome: Compared
    cached: bool = False
    dt_effective: float | None = None
    verdict: Explained | None = None
    rewriting: Rewritten | None = None

    @property
    def status(self) -> str:
        """How the cell ended: a mismatch that is proven to be rounding is one no longer."""
        proven = self.verdict is not None and self.verdict.status == Status.ROUNDING
        return str(Status.ROUNDING) if proven else self.outcome.status


@dataclass(frozen=True)
class Results:
    """What a run found.

    seconds, worker_start_seconds : wall-clock time of the run, CPU time of the workers' imports
    described : what each adapter says of itself
    """

    plan: Plan
    sources: tuple[SourceResult, ...]
    cells: tuple[CellResult, ...]
    seconds: float = 0.0
    worker_start_seconds: float = 0.0
    issues: tuple[Issue, ...] = field(default=())
    described: Mapping[str, Described] = field(default_factory=dict)

    def counts(self) -> Counter[str]:
        """Cells by status, as they are without reconciling."""
        return Counter(cell.status for cell in self.cells if cell.job.mode == Mode.NATIVE)

    @property
    def library_cpu_seconds(self) -> float:
        """CPU time of this run inside the libraries, their imports included."""
        fresh = [row for row in self.timing_rows() if not row["cached"]]
        return self.worker_start_seconds + sum(float(row["library_seconds"]) for row in fresh)

    def report_rows(self) -> list[Row]:
        """One row a cell, with the columns of report.csv."""
        margins = self._margins()
        rows = [self._cell(cell, margins) for cell in sorted(self.cells, key=lambda cell: cell.job.cell_id)]
        _assign_blame(rows)
        _name_remedies(rows)
        mark(rows, self.issues)
        return rows

    def source_rows(self) -> list[Row]:
        """One row a source, with the columns of sources.csv."""
        return [self._source(source) for source in sorted(self.sources, key=lambda source: source.job)]

    def timing_rows(self) -> list[Row]:
        """One row a source or cell; a training counts with its network's portable source."""
        rows = []
        for source in self.sources:
            first = source.job.idiom == Idiom.PORTABLE and (source.cached or not source.training_cached)
            training = source.training if first else None
            rows.append(_timing("source", source.job.source_id, (source.outcome, training), source.cached))
        rows += [_timing("cell", cell.job.cell_id, (cell.outcome,), cell.cached) for cell in self.cells if cell.job.importer]
        return sorted(rows, key=lambda row: (row["kind"], row["id"]))

    def trainings(self) -> tuple[SourceResult, ...]:
        """A source of each network that was trained, in each library: the one that it was trained as."""
        found: dict[tuple[str, str], SourceResult] = {}
        for source in sorted(self.sources, key=lambda source: (source.job.idiom != Idiom.PORTABLE, source.job)):
            if source.training is not None and source.training.trained:
                found.setdefault((source.job.network, source.job.exporter), source)
        return tuple(found.values())

    def weights(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Network → exporter → which weights it learned (``sha256``), and whether they came with the project."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for source in self.trainings():
            facts = {
                "sha256": (source.parameters or "").partition(".")[0],
                "shipped": source.training is not None and source.training.shipped,
            }
            found.setdefault(source.job.network, {})[source.job.exporter] = facts
        return found

    def environment(self) -> dict[str, Any]:
        """The machine, the versions and the weights: what goes beside every result."""
        return {
            "weights": self.weights(),
            "suite": suite_version(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "backends": {name: dict(sorted(backend.versions.items())) for name, backend in sorted(self.plan.backends.items())},
        }

    def _margins(self) -> Mapping[tuple[str, float | None], Any]:
        """(graph, dt) → the reference's margin on it."""
        return {
            (cell.source.outcome.objects[GRAPH], cell.job.dt_import): cell.outcome.margin
            for cell in self.cells
            if cell.job.importer == REFERENCE and cell.source.exported
        }

    def _version(self, name: str) -> str | None:
        return (self.plan.backends[name].version or None) if name else None

    def _described(self, name: str) -> Described:
        return self.described.get(name, Described())

    def _cell(self, cell: CellResult, margins: Mapping[tuple[str, float | None], Any]) -> Row:
        job, outcome, source = cell.job, cell.outcome, cell.source
        row: Row = dict.fromkeys(REPORT.names)
        row |= _facts(source)
        if outcome.comparison is not None:
            row |= {name: value for name, value in outcome.comparison.as_dict().items() if name in row}
        if not source.exported or row["spikes_source"] is None:
            row["spikes_source"] = source.outcome.spikes
        if row["accuracy_source"] is None:
            row["accuracy_source"] = source.outcome.accuracy
        facts = source.outcome.graph if source.exported else None
        row |= {
            "cell_id": job.cell_id,
            "graph_sha": None if facts is None else facts.digest,
            "importer": job.importer or None,
            "importer_version": self._version(job.importer),
            "importer_by": importer_by(self._described(job.importer)),
            "exporter_version": self._version(job.source.exporter),
            "exporter_by": exporter_by(self._described(job.source.exporter)),
            "mode": job.mode,
            "against": str(Against.SOURCE),
            "dt_export": job.source.dt_export,
            "dt_import": job.dt_import,
            "dt_effective": cell.dt_effective,
            "stage": outcome.stage or None,
            "status": cell.status,
            **_verdict(cell.verdict),
            **_rewritten(cell.rewriting),
            "samples": row["samples"] if row["samples"] is not None else source.outcome.samples,
            "repro": f"nir-interop repro {shlex.quote(job.cell_id)}",
        }
        row |= {name: getattr(outcome, name) or None for name in _ERROR}
        if cell.rewriting is not None and cell.rewriting.kept:
            row["error_message"] = row["error_message"] or cell.rewriting.kept
        row["warned"] = _warned(cell)
        if source.exported:
            row["margin_min"] = margins.get((source.outcome.objects[GRAPH], job.dt_import))
        return row

    def _source(self, source: SourceResult) -> Row:
        job, outcome, against, training = source.job, source.outcome, source.intended, source.training
        row: Row = dict.fromkeys(SOURCES.names)
        row |= _facts(source)
        compared = {} if against is None or against.comparison is None else against.comparison.as_dict()
        row |= {name: compared.get(name) for name in compared if name in row and name not in _ERROR}
        shown: Outcome = against if against is not None and source.exported else outcome
        trained = training is not None and training.trained
        row |= {
            "source_id": job.source_id,
            "how": source.how or None,
            "repeats": source.repeats or None,
            "exporter_version": self._version(job.exporter),
            "exporter_by": exporter_by(self._described(job.exporter)),
            "dt": job.dt_export,
            "stage": shown.stage or None,
            "status": against.status
            if against is not None
            else (str(Status.ENV_MISSING) if source.exported else outcome.status),
            "graph_sha": None if outcome.graph is None else outcome.graph.digest,
            "graph_status": (None if against is None else against.graph_status) if source.exported else outcome.status,
            "spikes_source": outcome.spikes,
            "spikes_reference": compared.get("spikes_source"),
            "rate_min": outcome.rate_min,
            "rate_max": outcome.rate_max,
            "trained": trained,
            "epochs": catalogue(job.network).epochs if trained else 0,
            "accuracy": outcome.accuracy,
            "samples": outcome.samples,
        }
        row |= {name: getattr(shown, name) or None for name in _ERROR}
        said = replace(outcome, error_type=shown.error_type, error_message=shown.error_message, error_at=shown.error_at)
        row["warned"] = warned(Status(row["status"]), said, _layers(job))
        if row["accuracy"] is not None and row["samples"]:
            right = round(row["accuracy"] * row["samples"])
            row["accuracy_low"], row["accuracy_high"] = wilson_interval(right, row["samples"])
        return row


def _facts(source: SourceResult) -> Row:
    job, stimulus = source.job, source.stimulus
    return {
        "network": job.network,
        "idiom": job.idiom,
        "exporter": job.exporter,
        "dataset": stimulus.dataset,
        "steps": stimulus.steps,
        "batch": stimulus.batch,
        "seed": job.seed,
    }


def _verdict(verdict: Explained | None) -> Row:
    """The columns that a verdict fills."""
    if verdict is None or not verdict.blame:
        return {}
    causes = SEPARATOR.join(str(each.cause) for each in verdict.causes)
    return {"blame": verdict.blame, "causes": causes or None, "explained": verdict.explained}


def _warned(cell: CellResult) -> bool:
    """Whether the library to blame warned of what is at fault; see :mod:`nir_interop.explain.warnings`."""
    known = None if cell.verdict is None else cell.verdict.suspects
    theirs = cell.verdict is not None and cell.verdict.blame in (Blame.BUILDER, Blame.EXPORTER, Blame.BOTH)
    further = cell.source.outcome.complaints if theirs else ()
    suspects = None if known is None else Suspects.from_dict(known)
    return warned(Status(cell.status), cell.outcome, suspects, further)


def _layers(job: SourceJob) -> Suspects:
    """What may be at fault where a library's own network is not what was asked for: any layer, any parameter."""
    names = tuple(layer.name for layer in catalogue(job.network).build(job.seed).layers)
    return Suspects(names, ANYTHING.words)


def _rewritten(made: Rewritten | None) -> Row:
    """The columns that a rewriting fills."""
    if made is None:
        return {}
    return {
        "remedy": SEPARATOR.join(each.name for each in made.passes) or None,
        "forbidden": SEPARATOR.join(made.forbidden) or None,
    }


def _name_remedies(rows: Iterable[Row]) -> None:
    """A native cell's remedy is what reconciled it, where that came out right."""
    right = {
        (*_sibling(row), row["dt_import"]): row["remedy"]
        for row in rows
        if row["mode"] == Mode.RECONCILED and Status(row["status"]).agrees
    }
    for row in rows:
        if row["mode"] == Mode.NATIVE:
            row["remedy"] = right.get((*_sibling(row), row["dt_import"]))


def _assign_blame(rows: Iterable[Row]) -> None:
    """Nobody's where all agrees; the caller's where another step than the export's made the difference.

    An error that comes at the step of the export too is not the caller's doing; and what differs there too is named beside it,
    with who is to blame.
    """
    at_export = {(row["mode"], *_sibling(row)): row for row in rows if row["dt_import"] == row["dt_export"]}
    for row in rows:
        if Status(row["status"]).agrees:
            row["blame"] = str(Blame.NONE)
        elif row["importer"] and row["dt_import"] != row["dt_export"]:
            other = at_export.get((row["mode"], *_sibling(row)))
            if other is not None and row["error_type"] and _ended(other) == _ended(row):
                row |= {name: other[name] for name in ("blame", "causes", "explained")}
                continue
            if row["causes"] is None:
                row["blame"] = str(Blame.SETTING)
            if other is not None and row["blame"] and Blame(row["blame"]).of_setting:
                row |= _with_own_faults(row, other)


def _with_own_faults(row: Row, at_export: Row) -> Row:
    """Blame and causes of a cell at another step, with those that it has at the step of the export as well."""
    own = Blame(at_export["blame"] or Blame.NONE).beside_a_setting
    if Status(at_export["status"]).agrees or own is Blame.SETTING:
        return {}
    named = (row["causes"] or "").split(SEPARATOR) + (at_export["causes"] or "").split(SEPARATOR)
    asked = Blame(row["blame"])
    blame = (
        asked if own is asked or asked is Blame.SETTING_AND_BOTH else own if asked is Blame.SETTING else Blame.SETTING_AND_BOTH
    )
    return {"blame": str(blame), "causes": SEPARATOR.join(dict.fromkeys(filter(None, named))) or None}


def _sibling(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("network", "idiom", "exporter", "importer", "dt_export", "seed"))


def _ended(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("status", *_ERROR))


def _timing(kind: str, name: str, outcomes: Iterable[Outcome | None], cached: bool) -> Row:
    parts = [outcome.timing for outcome in outcomes if outcome is not None]
    row: Row = {"kind": kind, "id": name, "cached": cached}
    for column in ("seconds", "cpu_seconds", "library_seconds"):
        row[column] = sum(getattr(part, column) for part in parts)
    peak = max((part.peak_bytes for part in parts), default=0)
    return row | {"peak_mib": peak / 2**20 if peak else None}
