"""The columns of every table, in order, and what each means."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from nir_interop.rule import AXES
from nir_interop.schema.columns import Column, Kind, Table
from nir_interop.vocabulary import ADAPTERS_OWN, Against, Blame, Cause, Idiom, Mode, PrimitiveStatus, Stage, Status


def _text(name: str, meaning: str, *, required: bool = False, unique: bool = False) -> Column:
    return Column(name, meaning, required=required, unique=unique)


def _word(name: str, meaning: str, words: type[Enum], *, required: bool = False, several: bool = False) -> Column:
    return Column(name, meaning, required=required, words=tuple(word.value for word in words), several=several)


def _count(name: str, meaning: str) -> Column:
    return Column(name, meaning, Kind.INTEGER, low=0)


def _real(name: str, meaning: str, low: float | None = 0, high: float | None = None) -> Column:
    return Column(name, meaning, Kind.REAL, low=low, high=high)


def _share(name: str, meaning: str) -> Column:
    return _real(name, meaning, 0, 1)


def _flag(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, meaning, Kind.FLAG, required=required)


def _own(name: str, whose: str) -> Column:
    meaning = f"where the library ships no {whose}: that it is the adapter's; a table without such has no such column"
    return Column(name, meaning, words=(ADAPTERS_OWN,), optional=True)


_RUN = (
    _count("steps", "time steps of the stimulus"),
    _count("batch", "samples of the stimulus"),
    _count("seed", "of weights and stimulus"),
    _word("stage", "how far it came", Stage),
    _word("status", "how it ended", Status, required=True),
    _flag(
        "warned",
        "whether the library said what is wrong: an error's message, or a warning that names the node or parameter at fault",
    ),
    _text("error_type", "class of the error"),
    _text("error_message", "its message, normalised, or what differs"),
    _text("error_at", "file and line of the library that raised it"),
)

_DIFFERENCE = (
    _count("outputs", "output elements compared"),
    _count("mismatched", "those that differ"),
    _share("mismatch_rate", "their share"),
    _count("first_step", "the earliest step in which a recorded node differs"),
    _text("first_node", "the first node, in the order of the graph, that differs in that step"),
    Column("best_lag", "shift [steps] at which the target is most like the source; positive: late", Kind.INTEGER),
)

REPORT = Table(
    "report.csv",
    (
        _text("cell_id", "name of the cell, for repro", required=True, unique=True),
        _text("graph_sha", "SHA-256 of the graph's canonical form"),
        _text("network", "what was built", required=True),
        _word("idiom", "how it was written", Idiom),
        _text("dataset", "where the stimulus comes from"),
        _text("exporter", "backend that wrote the graph", required=True),
        _text("exporter_version", "its version"),
        _own("exporter_by", "exporter"),
        _text("importer", "backend that read it; empty where there was no graph to read"),
        _text("importer_version", "its version"),
        _own("importer_by", "importer"),
        _word("mode", "which graph the importer was given", Mode, required=True),
        _word("against", "what its outputs are compared with", Against, required=True),
        _real("dt_export", "time step at the export [s]"),
        _real("dt_import", "time step asked for at the import [s]"),
        _real("dt_effective", "time step the importer used [s]"),
        *_RUN,
        _word("blame", "who is to blame for the difference", Blame),
        _word("causes", "why outputs differ, most outputs first", Cause, several=True),
        _share("explained", "share of the mismatched outputs that the causes reproduce"),
        _text("known_issue", "entry of known_issues.toml"),
        _count("spikes_source", "spikes at the source's output"),
        _count("spikes_target", "spikes at the target's output"),
        *_DIFFERENCE,
        _real("raster_cosine", "cosine of the two outputs at the best lag", -1, 1),
        _real("rate_cosine", "cosine of the two outputs averaged over time", -1, 1),
        _real("van_rossum", "mean van Rossum distance of the output trains; a lone spike is at 1"),
        _real("victor_purpura", "mean Victor–Purpura distance of the output trains; a lone spike is at 1"),
        _real("coincidence", "mean coincidence factor of the output trains; 1 equal, 0 chance", -1, 1),
        _real("v_max_abs", "largest membrane difference, unscaled [V]"),
        _real("margin_min", "smallest distance of a membrane from its threshold, in thresholds"),
        _share("accuracy_source", "share of samples the source reads right"),
        _share("accuracy_target", "share of samples the target reads right"),
        _real("accuracy_delta", "target − source", -1, 1),
        _share("agreement", "share of samples read the same on both sides"),
        _count("samples", "samples these shares are of"),
        _text("remedy", "passes of nir-interop reconcile: that were applied, or would make a native cell right"),
        _word("forbidden", "causes that no rewriting of the graph takes away", Cause, several=True),
        _text("repro", "command that shows the difference"),
    ),
    key=("network", "idiom", "exporter", "dt_export", "importer", "dt_import", "mode", "against", "seed", "cell_id"),
)
"""One row a cell."""

SOURCES = Table(
    "sources.csv",
    (
        _text("source_id", "name of the source", required=True, unique=True),
        _text("network", "what was built", required=True),
        _word("idiom", "how it was written", Idiom),
        _text("how", "what that is in this backend; of worked_around, the trick"),
        _text("repeats", "source of another idiom that came to the same: its cells stand for this one's"),
        _text("dataset", "where the stimulus comes from"),
        _text("exporter", "backend it was built in", required=True),
        _text("exporter_version", "its version"),
        _own("exporter_by", "exporter"),
        _real("dt", "time step [s]"),
        *_RUN,
        _text("graph_sha", "SHA-256 of the exported graph's canonical form"),
        _word("graph_status", "the reference on the exported graph against the intended one, or why there is none", Status),
        _count("spikes_source", "spikes at the output of the library's own network"),
        _count("spikes_reference", "spikes at the output of the reference on the intended graph"),
        *_DIFFERENCE,
        _share("rate_min", "lowest firing rate of a spiking layer, spikes per neuron and step"),
        _real("rate_max", "highest firing rate of a spiking layer; above 1 where several spikes fit in a step"),
        _flag("trained", "whether it was trained"),
        _count("epochs", "passes over the training samples"),
        _share("accuracy_train", "share of training samples it reads right"),
        _share("accuracy", "share of test samples it reads right"),
        _share("accuracy_low", "lower end of its 95 % interval (Wilson)"),
        _share("accuracy_high", "upper end"),
        _count("samples", "test samples"),
        _text("known_issue", "entry of known_issues.toml"),
    ),
    key=("network", "idiom", "exporter", "dt", "seed", "source_id"),
)
"""One row a source: its native recording against the reference on the intended graph, and how its training went."""

TIMINGS = Table(
    "timings.csv",
    (
        Column("kind", "of what was timed", required=True, words=("source", "cell")),
        _text("id", "source_id or cell_id", required=True),
        _real("seconds", "wall-clock time"),
        _real("cpu_seconds", "CPU time of the process that ran it"),
        _real("library_seconds", "CPU time in the library's own calls"),
        _real("peak_mib", "peak memory of the process [MiB]"),
        _flag("cached", "whether the result was taken from the store", required=True),
    ),
    key=("kind", "id"),
)
"""One row a source or cell; the one table that is not the same from run to run."""

DT_SWEEP = Table(
    "dt_sweep.csv",
    (
        _text("backend", "library, or reference or exact", required=True),
        _text("version", "its version"),
        _own("importer_by", "importer"),
        _text("subject", "neuron of NIR, or trained network", required=True),
        _real("dt", "time step asked for [s]"),
        _count("steps", "time steps, for the same physical time"),
        Column("status", "ok, or how it ended", required=True),
        _text("error_message", "the library's own, normalised"),
        _count("spikes", "spikes of the backend"),
        _count("spikes_exact", "spikes in continuous time"),
        _count("missing", "spikes that have no partner in the backend's train"),
        _count("extra", "spikes of the backend that have no partner"),
        _real("spike_time_error", "mean distance of paired spikes, in order, from continuous time [s]"),
        _real("floor", "half a step: no grid can do better in the worst case [s]"),
        _real("membrane_error", "root mean square of the membrane's error before the first spike [V]"),
        _real("spike_time_error_order", "slope of log error over log dt, where no spike is missing or extra", None),
        _real("membrane_error_order", "the same of the membrane", None),
        _share("accuracy", "of a network: share of samples it reads right"),
        _share("agreement", "of a network: share of samples it reads as its source does at its own step"),
        _count("samples", "samples these shares are of"),
    ),
    key=("subject", "backend", "dt"),
)
"""One row a backend, neuron primitive or network, and time step."""

RULES = Table(
    "rules.csv",
    (
        _text("backend", "library, or NIR's own meaning", required=True),
        _text("version", "its version"),
        _own("importer_by", "importer"),
        Column("side", "import: what its importer makes of a NIR node; native: its own neuron", required=True),
        _text("options", "of a native neuron, as the library writes it"),
        _text("primitive", "neuron of NIR", required=True),
        *(_text(axis.name, axis.type.__doc__ or axis.name) for axis in AXES),
        _text("says", "the rule as a sentence"),
        _count("outputs", "outputs of the probes that were compared"),
        _count("mismatched", "those that the rule does not reproduce"),
        _text("ties", "values that the probes could not tell apart"),
        _text("refuses", "parts of the primitive's domain that are not taken"),
    ),
    key=("backend", "side", "options", "primitive"),
)
"""One row a backend, side and neuron primitive; NIR's own meaning stands beside them."""

PRIMITIVES = Table(
    "primitives.csv",
    (
        _text("suite", "version of the cases", required=True),
        _text("primitive", "of NIR, or what of the wiring", required=True),
        _text("aspect", "what of it is asked", required=True),
        _text("backend", "library", required=True),
        _text("version", "its version"),
        _own("by", "importer or exporter, whichever the direction names"),
        Column(
            "direction",
            "import: its importer is given the graph; export: its exporter writes it, which NIR's meaning then runs",
            required=True,
            words=("import", "export"),
        ),
        _real("dt", "time step asked for [s]"),
        Column(
            "status",
            "against NIR's meaning; dropped: the outputs are those of the graph without the primitive",
            required=True,
            words=tuple(map(str, PrimitiveStatus)),
        ),
        _count("outputs", "output elements compared; 0 where there are none of the right shape"),
        _count("mismatched", "those that differ"),
        _word("causes", "why outputs differ, most outputs first", Cause, several=True),
        _text("message", "the library's own, normalised, or what differs"),
    ),
    key=("primitive", "aspect", "backend", "direction"),
)
"""One row a case of the primitive table and backend."""

TABLES: Mapping[str, Table] = {table.name: table for table in (REPORT, SOURCES, TIMINGS, DT_SWEEP, RULES, PRIMITIVES)}
"""Name of the file → table."""
