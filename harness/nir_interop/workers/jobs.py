"""What workers are asked, and what they answer: one frozen dataclass for each kind of job and of outcome.

Jobs and outcomes travel to workers and lie in the store as JSON, which :func:`to_json` and :func:`from_json` write and read for
all of them by the types of their fields.  A job names the function that does it, so that what an outcome depends on follows
from what that function's module imports (:mod:`nir_interop.store.keys`).

An outcome depends on its job and on the installed versions alone; what is in its ``timing`` never reaches a table of results.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from nir_interop.compare.comparison import Comparison
from nir_interop.verdict import Applied, CauseShare
from nir_interop.vocabulary import Status

OK = "ok"
"""The status of a job that ended as it should, where it gives no recording to compare."""
GRAPH, RECORDING, PARAMETERS, STIMULUS = "graph.nir", "recording.npz", "parameters.npz", "stimulus.npz"
"""Files that a job leaves in its folder."""

File = str
"""The name of an object in the store, or the path of a file that is in none."""
Rules = Mapping[str, Mapping[str, str]]
"""Primitive → update rule, axis → value."""
Document = Mapping[str, Any]
"""Plain data of a class that writes and reads it itself."""


# What a job comes to.

O = TypeVar("O", bound="Outcome")  # noqa: E741
OutcomeT = TypeVar("OutcomeT", bound="Outcome", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a job took: seconds of wall clock, of the processor, and of the processor inside the library; bytes of memory."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    library_seconds: float = 0.0
    peak_bytes: int = 0
    resident_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended.

    status : OK, or a value of :class:`nir_interop.vocabulary.Status`
    stage : in which it ended
    error_type, error_message, error_at : of a failure, normalised
    complaints, text : what the library warned of, and all that it said
    objects : file that the job left → its name in the store
    limit : seconds that it ran into; memory : bytes that were too few for it
    short_of_memory, no_space : whether there was no memory, or no room on the disk
    """

    status: str = OK
    stage: str = ""
    error_type: str = ""
    error_message: str = ""
    error_at: str = ""
    complaints: tuple[str, ...] = ()
    text: str = ""
    objects: Mapping[str, str] = field(default_factory=dict)
    limit: float | None = None
    memory: int | None = None
    short_of_memory: bool = False
    no_space: bool = False
    timing: Timing = Timing()

    def failed(self: O, how: Outcome) -> O:
        """This one, as far as it came, and how it failed."""
        words: dict[str, Any] = how.words()
        return replace(self, short_of_memory=how.short_of_memory, no_space=how.no_space, **words)

    def words(self) -> dict[str, str]:
        """How it failed: status, stage, and the three columns of an error."""
        return {name: str(getattr(self, name)) for name in ("status", "stage", "error_type", "error_message", "error_at")}


def ended(kind: type[O], outcome: Outcome, **more: Any) -> O:
    """An outcome as one of another kind: how it ended is kept, and what only its own kind has is not."""
    return kind(**{each.name: getattr(outcome, each.name) for each in fields(Outcome)} | more)


@dataclass(frozen=True, kw_only=True)
class Described(Outcome):
    """What an adapter says of itself.

    name : the backend's
    idioms : in which it writes networks → what each is, in a sentence
    fixed_dt : the only step [s] that its importer takes
    python : the version of its interpreter
    needs, script, refusals : as :class:`nir_interop.backends.adapter.Adapter` has them
    ships_importer, ships_exporter : whether these are the library's; else they are the adapter's own
    run_limit : seconds that a run may take at least
    fields : primitive → the fields that its class in the environment's nir takes; empty where there is no nir
    """

    name: str = ""
    idioms: Mapping[str, str] = field(default_factory=dict)
    fixed_dt: float | None = None
    python: str = ""
    needs: tuple[str, ...] = ()
    script: str = ""
    refusals: tuple[str, ...] = ()
    ships_importer: bool = True
    ships_exporter: bool = True
    run_limit: float | None = None
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StimulusMade(Outcome):
    """A stimulus in STIMULUS."""

    dataset: str = ""
    encoding: str = ""
    steps: int = 0
    batch: int = 0
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Ran(Outcome):
    """A graph that was run once.

    missing : nodes of it that the model lacked
    """

    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trained(Outcome):
    """Learned arrays in PARAMETERS.

    trained : whether the backend trains at all
    shipped : whether they came with the project
    """

    trained: bool = False
    shipped: bool = False


@dataclass(frozen=True, kw_only=True)
class GraphFacts:
    """What a run asks of each graph that a library wrote.

    digest : of its content, or of its bytes where it cannot be read
    nodes : but for Input and Output; order : all of them, topologically
    problem : why it cannot be read
    """

    digest: str
    nodes: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Exported(Outcome):
    """A source: its own recording in RECORDING, and what its exporter wrote in GRAPH, as far as it came.

    recording_digest : None where it gave none
    rates : layer → share of its neurons that fire in a step; rate_min, rate_max : of these
    spikes : at the output, None for values
    accuracy : 0–1, None where there is none; samples : of the batch
    """

    recording_digest: str | None = None
    readout: str = ""
    rates: Mapping[str, float] = field(default_factory=dict)
    rate_min: float | None = None
    rate_max: float | None = None
    spikes: int | None = None
    accuracy: float | None = None
    samples: int | None = None
    graph: GraphFacts | None = None


@dataclass(frozen=True, kw_only=True)
class Compared(Outcome):
    """A recording beside another one.

    margin : how near a membrane of the recording came to its threshold [V], where that is known
    missing : nodes of the graph that the model lacked; runs : how often it was run
    graph_status : of an exported graph, run by the reference, against the intended one
    """

    comparison: Comparison | None = None
    margin: float | None = None
    missing: tuple[str, ...] = ()
    runs: int = 0
    graph_status: str | None = None

    @property
    def first_node(self) -> str | None:
        """The first node that differs."""
        return None if self.comparison is None else self.comparison.first_node


@dataclass(frozen=True, kw_only=True)
class Labelled(Outcome):
    """Idiom → of each network, how its neurons are written; None where it cannot be built."""

    labels: Mapping[str, tuple[tuple[str, ...] | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Fingerprinted(Outcome):
    """The fingerprints of a backend, as plain data.

    imported : of its importer
    native : reset and idiom → of its own neurons
    """

    imported: Document = field(default_factory=dict)
    native: Mapping[str, Document] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModuleRead(Outcome):
    """What a user's module is: a recording in RECORDING or a file in GRAPH, as it was asked for.

    step : at which it is meant [s]
    document : what it computes, as :func:`nir_interop.backends.own_modules.document_of` has it
    """

    step: float | None = None
    document: Document = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Explained(Outcome):
    """A :class:`nir_interop.verdict.Verdict`; without a blame where there is none.

    suspects : nodes and parameters at fault, None where they are not known
    """

    blame: str = ""
    causes: tuple[CauseShare, ...] = ()
    explained: float | None = None
    suspects: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, kw_only=True)
class Rewritten(Outcome):
    """A graph rewritten for an importer, in GRAPH where passes changed it.

    verdict : on what remains, None where nothing does
    forbidden : causes among it that no rewriting of a graph takes away
    kept : why the graph stays as it is, though passes would rewrite it; empty where it does not
    """

    passes: tuple[Applied, ...] = ()
    verdict: Explained | None = None
    forbidden: tuple[str, ...] = ()
    kept: str = ""
    graph: GraphFacts | None = None


@dataclass(frozen=True, kw_only=True)
class InputsMade(Outcome):
    """Inputs made for a graph, as :class:`nir_interop.agreement.inputs.InputSet` has them; a refusal in its own words."""

    kinds: tuple[str, ...] = ()
    scale: float | None = None
    quiet: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Judged(Outcome):
    """Whether a recording is what was meant.

    agreed : a value of :class:`nir_interop.vocabulary.Status`
    rounding : what the rounding comes to, in words
    open : whether the target's own comparison would have to be known, which nobody asked for
    """

    agreed: str = ""
    rounding: str = ""
    open: bool = False


# What is asked.


_PLACE = "place"
Place = Annotated[str, _PLACE]
"""Where something lies: no outcome depends on it."""
Derived = Annotated[tuple[str, ...], _PLACE]
"""What follows from other fields."""
Whole = Annotated[Document, _PLACE]
"""What stands in a key in a form of its own."""


@dataclass(frozen=True, kw_only=True)
class Job(Generic[OutcomeT]):
    """Something to be done once, by a worker unless ``work`` is empty.

    objects : the store's folder of objects, which :data:`File` names count from
    folder : where files are left

    kind : its name; kept : under which the store keeps what comes of it
    work : ``module:function`` that does it, given an adapter, the job, and how to tell of progress
    outcome : what comes of it; leaves : files
    """

    kind: ClassVar[str]
    kept: ClassVar[str] = ""
    work: ClassVar[str] = ""
    outcome: ClassVar[type[Outcome]] = Outcome
    leaves: ClassVar[tuple[str, ...]] = ()

    objects: Place = ""
    folder: Place = ""

    def path(self, file: File) -> Path:
        """Where a file of the job lies."""
        return Path(self.objects) / file

    def left(self, name: str) -> Path:
        """Where the job leaves a file."""
        return Path(self.folder) / name


@dataclass(frozen=True, kw_only=True)
class Describe(Job[Described]):
    """What an adapter says of itself, which a worker says as it starts."""

    kind = "description"
    kept = "backends"
    outcome = Described


@dataclass(frozen=True, kw_only=True)
class MakeStimulus(Job[StimulusMade]):
    """The stimulus of a network; the run makes it itself."""

    kind = "stimulus"
    kept = "stimuli"
    outcome = StimulusMade
    leaves = (STIMULUS,)

    network: str
    seed: int
    maker: str


@dataclass(frozen=True, kw_only=True)
class Train(Job[Trained]):
    """Train a network; ``samples`` are inputs and labels, which ``samples_key`` stands for."""

    kind = "train"
    kept = "trainings"
    work = "nir_interop.transfer.exporting:train"
    outcome = Trained
    leaves = (PARAMETERS,)

    network: str
    seed: int
    dt: float
    idiom: str
    epochs: int
    batch: int
    learning_rate: float
    samples_key: str = ""
    samples: Place = ""


@dataclass(frozen=True, kw_only=True)
class Source(Job[Exported]):
    """Build a network of the catalogue, run it natively, export and write it.

    parameters : that it has learned, None where there are none
    """

    kind = "source"
    kept = "sources"
    work = "nir_interop.transfer.exporting:source"
    outcome = Exported
    leaves = (RECORDING, GRAPH)

    network: str
    seed: int
    dt: float
    idiom: str
    parameters: File | None
    stimulus: File


@dataclass(frozen=True, kw_only=True)
class Intended(Job[Compared]):
    """Compare a source's recording, ``native``, with the reference's on the intended graph, and that with its own ``graph``."""

    kind = "intended"
    kept = "intended"
    work = "nir_interop.transfer.intended:intended"
    outcome = Compared

    network: str
    seed: int
    dt: float
    parameters: File | None
    stimulus: File
    native: File
    graph: File | None


@dataclass(frozen=True, kw_only=True)
class Cell(Job[Compared]):
    """Import a graph, run it, and compare with a recording.

    native : the recording's digest, empty where it is told by no other; source : the recording
    nodes, order : of the graph, as :class:`GraphFacts` has them
    save : where the recording is to be written; without membranes it is left as RECORDING where it differs
    """

    kind = "cell"
    kept = "cells"
    work = "nir_interop.transfer.importing:cell"
    outcome = Compared
    leaves = (RECORDING,)

    graph: File
    stimulus: File
    dt: float
    readout: str
    seed: int
    native: str = ""
    source: Place = ""
    nodes: Derived = ()
    order: Derived = ()
    save: Place = ""


@dataclass(frozen=True, kw_only=True)
class Meaning(Job[Ran]):
    """Run a graph once and write the recording to ``save``: what others are then compared with."""

    kind = "meaning"
    work = "nir_interop.transfer.importing:meaning"
    outcome = Ran

    graph: File
    stimulus: File
    dt: float
    seed: int = 0
    nodes: tuple[str, ...] = ()
    save: Place = ""


@dataclass(frozen=True, kw_only=True)
class MakeInputs(Job[InputsMade]):
    """Make the inputs of a graph, within what a run may take; they go to ``save``."""

    kind = "inputs"
    work = "nir_interop.transfer.check_jobs:make_inputs"
    outcome = InputsMade

    graph: File
    dt: float
    seed: int
    time_limit: float
    save: Place = ""


@dataclass(frozen=True, kw_only=True)
class Judge(Job[Judged]):
    """Hold a recording, ``made``, against what was meant, rounding apart; ``dt``: of what was meant."""

    kind = "judgement"
    work = "nir_interop.transfer.check_jobs:judge"
    outcome = Judged

    graph: File
    stimulus: File
    dt: float
    meant: File
    made: File


@dataclass(frozen=True, kw_only=True)
class Native(Job[Outcome]):
    """Build a network in a library's own words and run it; the recording goes to ``save``.

    network : :func:`nir_interop.networks.serialization.document_of` it
    label : how its neurons are to be written, empty where that is open
    graph : where the library's own exporter is to write it after the run, empty where it is not
    """

    kind = "native"
    work = "nir_interop.transfer.exporting:native"

    network: Document
    idiom: str
    stimulus: File
    label: str = ""
    seed: int = 0
    graph: Place = ""
    save: Place = ""


@dataclass(frozen=True, kw_only=True)
class NativeLabels(Job[Labelled]):
    """How a library writes the neurons of networks, in each of its idioms."""

    kind = "native_labels"
    work = "nir_interop.transfer.exporting:native_labels"
    outcome = Labelled

    networks: tuple[Document, ...]


@dataclass(frozen=True, kw_only=True)
class Identify(Job[Fingerprinted]):
    """Find the rules of a backend; its fingerprints are kept in ``store`` as well."""

    kind = "identify"
    kept = "rules"
    work = "nir_interop.transfer.fingerprints:identify_backend"
    outcome = Fingerprinted

    backend: Whole = field(default_factory=dict)
    store: Place = ""


@dataclass(frozen=True, kw_only=True)
class Module(Job[ModuleRead]):
    """Run a user's Python file and read, record or export a module of it.

    name : of the module, or of what makes it without arguments; run : of the function that runs it, empty where there is none
    weights : a state_dict, empty where the module has its own
    ask : ``step``, ``describe``, ``record`` or ``export``
    stimulus : of a recording; else one step of it is the sample
    """

    kind = "module"
    work = "nir_interop.transfer.module_job:work"
    outcome = ModuleRead
    leaves = (RECORDING, GRAPH)

    file: str
    name: str
    weights: str
    run: str
    ask: str
    stimulus: str
    dt: float
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a cell failed that is to be explained."""

    status: str
    stage: str
    error_type: str
    error_message: str


@dataclass(frozen=True, kw_only=True)
class Explain(Job[Explained]):
    """Give a cell its verdict.

    graph, native : None where the source gave none
    target : the importer's recording, None where it gave none: ``failure`` says how it ended
    source_rules : of the source's own neurons
    domain : what is known of the importer, as a fingerprint has it
    """

    kind = "explain"
    kept = "verdicts"
    work = "nir_interop.transfer.explain_job:explain"
    outcome = Explained

    network: str
    seed: int
    parameters: File | None
    stimulus: File
    exporter: str
    importer: str
    graph: File | None
    native: File | None
    target: File | None
    failure: Failure | None
    dt: float
    dt_import: float | None
    dt_effective: float | None
    source_rules: Rules
    domain: Document


@dataclass(frozen=True, kw_only=True)
class Rewrite(Job[Rewritten]):
    """Rewrite a cell's graph for its importer, which is asked within ``limit`` seconds; see :class:`Explain`."""

    kind = "rewrite"
    kept = "rewritings"
    work = "nir_interop.transfer.rewrite_job:rewrite"
    outcome = Rewritten
    leaves = (GRAPH,)

    network: str
    seed: int
    parameters: File | None
    stimulus: File
    exporter: str
    importer: str
    graph: File
    native: File
    dt: float
    dt_import: float
    source_rules: Rules
    domain: Document
    limit: float
    backend: Whole = field(default_factory=dict)


_ALL: tuple[type[Job[Any]], ...] = (
    *(Describe, MakeStimulus, Train, Source, Intended, Cell, Meaning, MakeInputs, Judge),
    *(Native, NativeLabels, Identify, Module, Explain, Rewrite),
)
KINDS: Mapping[str, type[Job[Any]]] = {kind.kind: kind for kind in _ALL}
"""All of them, by name."""


# How they are written.

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """A dataclass, and all that is in it, as plain data."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): to_json(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return value.item() if hasattr(value, "item") else value  # a NumPy scalar


def from_json(kind: type[T], document: Mapping[str, Any]) -> T:
    """The dataclass that :func:`to_json` wrote; fields that are not there have their defaults.

    Raises TypeError, ValueError or KeyError where it is something else.
    """
    hints = _hints(kind)
    return kind(**{name: _read(hints[name], document[name]) for name in hints if name in document})


def job_to_json(job: Job[Any]) -> dict[str, Any]:
    """A job with its kind, as plain data."""
    return {"kind": job.kind, **to_json(job)}


def job_from_json(document: Mapping[str, Any]) -> Job[Any]:
    """The job that :func:`job_to_json` wrote."""
    return from_json(KINDS[document["kind"]], document)


def identity(job: Job[Any]) -> dict[str, Any]:
    """All of a job that its outcome depends on, as plain data."""
    hints = get_type_hints(type(job), include_extras=True)
    return {"kind": job.kind} | {name: value for name, value in to_json(job).items() if _PLACE not in get_args(hints[name])}


def outcome_of(job: Job[O], document: Mapping[str, Any]) -> O:
    """What came of a job, from plain data.

    Raises as :func:`from_json` does.
    """
    return from_json(_kind(job), document)


def unfinished(job: Job[O], status: Status, **how: Any) -> O:
    """What comes of a job that did not come to its end."""
    return _kind(job)(status=str(status), **how)


def _kind(job: Job[O]) -> type[O]:
    return type(job).outcome  # type: ignore[return-value]  # a class variable cannot have the type that its class is of


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    """Field → its type."""
    if kind not in _HINTS:
        names = {each.name for each in fields(kind)}
        _HINTS[kind] = {name: hint for name, hint in get_type_hints(kind).items() if name in names}
    return _HINTS[kind]


def _read(hint: Any, value: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (hint,) = (each for each in inner if each is not type(None))
        return _read(hint, value)
    if origin is tuple:
        return tuple(_read(inner[0], each) for each in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {name: _read(inner[1], each) for name, each in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return from_json(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return value
