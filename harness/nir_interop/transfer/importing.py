"""One cell: the import and its repeats.

Every import runs at least three times from a fresh file: twice on the start of the stimulus, once on all of it.  Where
nodes of the graph went missing, or two short runs differ, it is repeated up to REPEATS times, because an importer that
depends on the order of a set gives one thing now and another later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from nir_interop.arrays import Array
from nir_interop.backends.adapter import Adapter, telling
from nir_interop.compare import compare
from nir_interop.errors import ReadFailed
from nir_interop.recording import Recording
from nir_interop.safe_files import Handed, handed
from nir_interop.transfer.job_files import recording_at, stimulus_at
from nir_interop.vocabulary import Readout, Stage, Status
from nir_interop.workers.error_messages import failure, import_failure
from nir_interop.workers.jobs import GRAPH, RECORDING, Cell, Compared, Meaning, Outcome, Ran, ended
from nir_interop.workers.progress import JobProgress, reseed

SHORT_STEPS, SHORT_SAMPLES = 10, 2
"""How much of the stimulus a short run sees."""
REPEATS = 24
"""Short runs where there is reason to doubt."""
WHOLE_REPEATS = 1
"""Further runs of the whole stimulus, where it failed and its start did not; a whole run may be long."""


@dataclass(frozen=True)
class Attempt:
    """One load and run: a recording or a failure, and the nodes of the graph that the model lacks."""

    recording: Recording | None
    failed: Outcome | None
    missing: tuple[str, ...] = field(default=())

    @property
    def kind(self) -> str:
        """What kind of end it was; for comparing runs of different length."""
        return "ran" if self.failed is None else f"{self.failed.status} {self.failed.error_type}"

    @property
    def coarse(self) -> str:
        """The end in words that do not depend on chance: the error's type, or the output's axes."""
        if self.recording is None:
            return self.kind
        shapes = ", ".join(
            "×".join(map(str, array.shape[2:])) or "scalar" for _, array in sorted(self.recording.outputs.items())
        )
        return f"ran, output {shapes}"

    @property
    def fine(self) -> str:
        """The end in full: outputs bit by bit, or the message."""
        if self.recording is None:
            return f"{self.kind} {self.failed.error_message if self.failed else None}"
        return Recording(self.recording.outputs).digest()


@contextmanager
def _given(adapter: Adapter, job: Cell | Meaning, progress: JobProgress) -> Iterator[Handed]:
    """The job's graph as the adapter may have it: this is the one place where a library gets a file."""
    path = job.path(job.graph)
    if adapter.takes_any_name:
        yield Handed(path)
        return
    with handed(path) as graph:
        progress.told = graph.told
        yield graph


def attempt(adapter: Adapter, job: Cell | Meaning, graph: Handed, stimulus: Array, progress: JobProgress) -> Attempt:
    """Load the graph afresh and run it from zero state; no attempt sees what another changed.

    What the library answers bears the names of the file, whatever names it was given.
    """
    with progress.guard():
        return _attempt(adapter, job, graph, stimulus, progress)


def _attempt(adapter: Adapter, job: Cell | Meaning, graph: Handed, stimulus: Array, progress: JobProgress) -> Attempt:
    path = graph.path
    known = {str(path): GRAPH, path.name: GRAPH}
    missing: tuple[str, ...] = ()
    reseed(job.seed)
    try:
        with progress.library(Stage.IMPORT), telling(progress.enter):
            model = adapter.load(path, job.dt)
            held = frozenset(graph.original(name) for name in adapter.nodes(model))
        missing = tuple(name for name in job.nodes if not _holds(held, name))
        with progress.library(Stage.RUN):
            recording = graph.recorded(adapter.run(model, stimulus.copy()))
        if not all(isinstance(array, np.ndarray) for array in recording.outputs.values()):
            raise TypeError("an output is not an array")
    except BaseException as error:
        failed = import_failure(adapter, error, progress.stage, known, path)
        return Attempt(None, replace(failed, error_message=graph.told(failed.error_message)), missing)
    return Attempt(recording, None, missing)


def cell(adapter: Adapter, job: Cell, progress: JobProgress) -> Compared:
    """Import, run and compare with the source's recording; see the module for how often.

    The recording goes to ``save`` where the job has it; without membranes it is left as RECORDING where it differs, to be
    explained.
    """
    try:
        with _given(adapter, job, progress) as graph:
            return _cell(adapter, job, graph, progress)
    except ReadFailed as error:  # before anybody was given the file
        return ended(Compared, failure(error, Status.READ_ERROR, Stage.READ))


def _cell(adapter: Adapter, job: Cell, graph: Handed, progress: JobProgress) -> Compared:
    given = stimulus_at(job.path(job.stimulus))
    stimulus = given["input"]
    start = stimulus[:SHORT_STEPS, :SHORT_SAMPLES]
    short = [attempt(adapter, job, graph, start, progress) for _ in range(2)]
    doubtful = any(one.missing for one in short) or short[0].fine != short[1].fine
    if doubtful:
        short += [attempt(adapter, job, graph, start, progress) for _ in range(REPEATS - len(short))]
    failed_early = all(one.failed is not None and one.failed.stage != str(Stage.RUN) for one in short)
    full = short[0] if failed_early else attempt(adapter, job, graph, stimulus, progress)
    whole = [full]
    if {one.kind for one in short} == {"ran"} and full.failed is not None:
        # The rest of the stimulus may be what it fails at, every time.
        whole += [attempt(adapter, job, graph, stimulus, progress) for _ in range(WHOLE_REPEATS)]
    same_kind = {one.kind for one in short} == {full.kind} or len(whole) > 1
    if any(len({one.fine for one in runs}) > 1 for runs in (short, whole)) or not same_kind:
        found = _unstable(short, whole)
    elif full.recording is None:
        found = ended(Compared, full.failed or Outcome())
    else:
        if job.save:
            full.recording.save(job.path(job.save))
        progress.enter(Stage.COMPARE)
        found = _compared(full.recording, job, given.get("labels"))
        if job.folder and found.status != Status.EXACT:
            kept = {name: each for name, each in full.recording.membranes.items() if name == found.first_node}
            Recording(full.recording.outputs, full.recording.spikes, kept).save(job.left(RECORDING))
    return replace(found, missing=tuple(sorted(full.missing)), runs=len(short) + (not failed_early))


def meaning(adapter: Adapter, job: Meaning, progress: JobProgress) -> Ran:
    """Run a graph once and write the recording to the job's ``save``: what other cells are then compared with."""
    try:
        with _given(adapter, job, progress) as graph:
            ran = attempt(adapter, job, graph, stimulus_at(job.path(job.stimulus))["input"], progress)
    except ReadFailed as error:
        return ended(Ran, failure(error, Status.READ_ERROR, Stage.READ))
    if ran.recording is None:
        return ended(Ran, ran.failed or Outcome(), missing=ran.missing)
    ran.recording.save(job.path(job.save))
    return Ran(missing=ran.missing)


def _compared(recording: Recording, job: Cell, labels: Array | None) -> Compared:
    source = recording_at(job.path(job.source))
    try:
        compared = compare(source, recording, readout=Readout(job.readout), labels=labels, order=job.order)
    except Exception as error:
        return ended(Compared, failure(error, Status.RUN_ERROR, Stage.COMPARE))
    return Compared(
        status=str(compared.status),
        stage=str(Stage.COMPARE),
        error_message=compared.error_message or "",
        comparison=compared,
        margin=recording.margin,
    )


def _unstable(short: Sequence[Attempt], whole: Sequence[Attempt]) -> Compared:
    """The sorted set of ends; never how often each, which is chance."""
    ends = sorted({one.coarse for one in (*short, *whole)})
    message = "; ".join(ends)
    if len(ends) == 1:
        message += "; values differ" if whole[0].failed is None else "; messages differ"
    return Compared(status=str(Status.UNSTABLE), stage=str(Stage.RUN), error_message=message)


def _holds(held: frozenset[str], name: str) -> bool:
    """Whether a model holds a node, or the nodes of the subgraph of that name."""
    return name in held or any(one.startswith((f"{name}.", f"{name}/")) for one in held)
