"""One graph of a user's in every backend, against NIR's own meaning in steps."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from nir_interop import errors
from nir_interop.agreement.inputs import SECONDS, InputSet
from nir_interop.arrays import Array, load_arrays, save_arrays
from nir_interop.backends.environments import Backend
from nir_interop.compare.divergence import apart_by_output
from nir_interop.errors import BackendMissing, InvalidGraph, NirInteropError, OwnFailure, TooSlow, UnreadableGraph
from nir_interop.explain.warnings import Suspects, before, warned
from nir_interop.recording import Recording
from nir_interop.store.graph_facts import graph_facts
from nir_interop.store.store import Store
from nir_interop.vocabulary import REFERENCE, Readout, Status
from nir_interop.workers.error_messages import OWN
from nir_interop.workers.jobs import OK, Cell, Compared, Describe, InputsMade, Job, Judge, MakeInputs, Meaning, O, Outcome
from nir_interop.workers.scheduler import TIME_LIMIT, Future, Scheduler, Task, start

if TYPE_CHECKING:
    from nir_interop.compare.comparison import Comparison
    from nir_interop.graphs import Graph
    from nir_interop.workers.fork_server import ForkServer

OWN_BACKENDS = (REFERENCE, "exact")
"""Those that are given a graph as it was meant; a library is given the file."""
AGAIN = "install nir-interop again, and if that does not help report this line with the graph"


_COST = 1.0
"""A guess of a task's seconds: for a small file no backend is worth a second worker."""
_PATIENCE = 5.0
"""Seconds after which what the reference is asked does not wait for a library that the same thread is at."""
_MAKING, _JUDGING = 2.0, 10.0
"""Runs of the reference that making inputs, and judging a recording, may take as long as."""

_MAY_BE_OLD = (Status.READ_ERROR, Status.IMPORT_ERROR, Status.RUN_ERROR, Status.WRONG_SHAPE, Status.MISMATCH)
"""How it ends where the form of the file may be the reason."""

_SHOWN = ("outputs", "mismatched", "mismatch_rate", "first_step", "first_node")
"""What of a comparison a user is told."""


class Recordings:
    """Recordings in temporary files, which last as long as somebody holds this; or until a block fails that uses them."""

    def __init__(self) -> None:
        self.inputs: InputSet | None = None
        """What they are of, where it was made."""
        self.folder = Path(tempfile.mkdtemp(prefix="nir-interop-"))
        self.close = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self) -> Recordings:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.close()

    def path(self, backend: str) -> Path:
        """Where a backend's is."""
        return self.folder / f"{backend}.npz"

    def of(self, backend: str) -> Recording | None:
        """A backend's, read anew at each call; None where it gave none."""
        path = self.path(backend)
        return Recording.load(path) if path.is_file() else None


@dataclass(frozen=True)
class Checked:
    """What one backend made of a graph.

    importer : the backend's name
    outcome : status, error and ``comparison``, as a cell's
    rounding : what rounding comes to, in words, where the status is that
    suspects : what may be at fault, None where nobody knows
    kept : where its recording is, None where nobody asked for that
    reason : Inputs, Outputs or nodes of a cycle without which it gave an answer, where it gave none
    today : what it made of the graph as today's NIR has it, where it gave no right output for the file as it is and
        ``nir-interop upgrade`` changes more than the version; else None
    """

    importer: str
    outcome: Compared = field(default_factory=Compared)
    rounding: str = ""
    suspects: Suspects | None = None
    kept: Recordings | None = field(default=None, repr=False)
    reason: tuple[str, ...] = ()
    today: Compared | None = None

    @property
    def warned(self) -> bool:
        """Whether the library said what is wrong: a warning counts where it names what may be at fault."""
        return warned(self.status, self.outcome, self.suspects)

    def as_dict(self) -> dict[str, Any]:
        """The entry of ``nir-interop check --json``."""
        comparison = self.outcome.comparison
        return {
            "importer": self.importer,
            "status": self.outcome.status,
            "warned": self.warned,
            **{name: getattr(comparison, name, None) for name in _SHOWN},
            "error_type": self.outcome.error_type,
            "error_message": self.outcome.error_message,
            "rounding": self.rounding,
            "upgraded": None if self.today is None else self.today.status,
            "by_output": {name: {"mismatched": wrong, "outputs": count} for name, (wrong, count) in self.apart.items()},
        }

    @property
    def status(self) -> Status:
        """How it ended."""
        return Status(self.outcome.status)

    @property
    def agrees(self) -> bool:
        """Whether no output is wrong; a graph that is too quiet to prove anything has none."""
        return self.status.agrees or self.status is Status.VACUOUS

    @property
    def runs_today(self) -> bool:
        """Whether upgrading the file is enough for it to give an output that can be compared."""
        return not self.agrees and self.comparison is None and self.today is not None and self.today.comparison is not None

    @property
    def right_today(self) -> bool:
        """Whether upgrading the file is enough for it to give every output, to the last bit of single precision."""
        return not self.agrees and self.today is not None and self.today.status == Status.EXACT

    @property
    def comparison(self) -> Comparison | None:
        """Of what it gave for the file as it is; None where there is none."""
        return self.outcome.comparison

    @property
    def outputs(self) -> int | None:
        """Outputs that were compared: over all steps, samples and elements; None where there are none."""
        return None if self.outcome.comparison is None else self.outcome.comparison.outputs

    @property
    def mismatched(self) -> int | None:
        """Outputs that are not the reference's number, in single precision; None where none could be compared."""
        return None if self.outcome.comparison is None else self.outcome.comparison.mismatched

    @property
    def apart(self) -> dict[str, tuple[int, int]]:
        """Of several Outputs each: how many of its numbers are not the reference's, and how many there are."""
        meant = None if self.kept is None or not self.mismatched else self.kept.of(REFERENCE)
        made = None if meant is None or len(meant.outputs) < 2 else self.recording
        return {} if meant is None or made is None else apart_by_output(meant, made)

    @property
    def error(self) -> str:
        """Why there is no output to compare, in the library's words; empty where there is one."""
        return ": ".join(text for text in (self.outcome.error_type, self.outcome.error_message) if text)

    @property
    def recording(self) -> Recording | None:
        r"""Outputs, spikes and membranes, axes (T, B, \*shape), read anew at each call; None where the library gave none."""
        return None if self.kept is None else self.kept.of(self.importer)


Answered: TypeAlias = "Callable[[Checked], object]"
"""Told what one backend made of a graph."""


def run_graph(
    graph: Path,
    stimulus: Array | None,
    dt: float,
    backends: Sequence[Backend],
    reference: Backend,
    store: Store | None = None,
    *,
    jobs: int = 1,
    time_limit: float = 20.0,
    seed: int = 0,
    save: Path | None = None,
    kept: Recordings | None = None,
    server: ForkServer | None = None,
    answered: Answered = lambda checked: None,
) -> list[Checked]:
    """Run a graph in each backend's worker and compare it with the reference's recording.

    The libraries are given the file as it is; what they are compared with is what was meant by it.  They are imported while the
    reference makes the inputs and its recording.

    stimulus : axes (T, B, \\*shape); None where the reference's worker is to make it, which has imported what that takes
    kept : holds the recordings, and the inputs that were made
    store : keeps the backends' fingerprints, which are asked where ties leave a status open; without one it stays a mismatch
    save : a folder for them, ``<backend>.npz`` each, with ``input`` and ``output`` as other verbs read them
    server : forks the workers that can be forked
    answered : told of each backend as soon as it is known, of the reference first; in the thread that calls this

    Raises BackendMissing where the reference is not installed, InvalidGraph where the graph means nothing, TooSlow where the
    reference is not done within the limit, BadStimulus where inputs cannot be made, and OwnFailure where it fails in any other
    way.
    """
    from nir_interop.graphs import in_form, inline, read_corrected, unfed_cycles, write

    if not reference.installed:
        raise BackendMissing(reference.hint)
    graph = graph.resolve()
    meant_graph, notes = read_corrected(graph)
    kept = kept or Recordings()
    with kept, tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        clear = here / "meant.nir" if notes else graph
        if notes:
            write(clear, meant_graph)

        @cache
        def upgraded() -> Path | None:
            """The file as today's NIR, where that is another."""
            formed, changes = in_form(meant_graph)
            if not notes and not changes:
                return None
            write(here / "upgraded.nir", formed)
            return here / "upgraded.nir"

        facts, flat = graph_facts(clear), inline(meant_graph)
        given, meant = here / "stimulus.npz", kept.path(REFERENCE)
        if stimulus is not None:
            save_arrays(given, {"input": stimulus})
        known = {one.name: one for one in (*backends, reference)}
        scheduler = Scheduler(known, jobs, lambda: _made(here / "run"), server, _PATIENCE)
        found = _Found(
            reference.name if reference in backends else "", lambda checked: scheduler.call(partial(answered, checked))
        )
        undecided = dict[str, tuple[Compared, Compared | None]]()
        reasons = dict[str, tuple[str, ...]]()

        def ask(backend: Backend, job: Job[O], urgency: int = 0, limit: float = time_limit) -> Future[O]:
            answer: Future[O] = Future()
            order = (backend != reference, backend.name in OWN_BACKENDS, backend.name)  # libraries take longest to import
            task = Task(backend.name, urgency, order, _COST, limit, lambda _: job, done=answer.give, option=TIME_LIMIT)
            scheduler.add(task)
            return answer

        def cell_of(file: Path, save: str) -> Cell:
            return Cell(
                graph=str(file),
                stimulus=str(given),
                dt=dt,
                readout=str(Readout.RATE),
                seed=seed,
                source=str(meant),
                nodes=facts.nodes,
                order=facts.order,
                save=save,
            )

        ends = len(flat.of_kind("Input")), len(flat.of_kind("Output"))
        unusual = ends != (1, 1) or bool(unfed_cycles(flat.nodes, flat.edges))

        async def compare(backend: Backend) -> None:
            if not backend.installed:
                found.add(
                    Checked(backend.name, Compared(status=str(Status.ENV_MISSING), error_message=backend.hint), kept=kept)
                )
                return
            made, own = kept.path(backend.name), backend.name in OWN_BACKENDS
            cell = cell_of(clear if own else graph, str(made) if backend != reference else "")
            outcome = await (ask_both_ways(backend, cell) if unusual and not own else ask(backend, cell))
            today: Compared | None = None
            if not own and not unusual and outcome.status in _MAY_BE_OLD and (file := upgraded()) is not None:
                today = await ask(backend, cell_of(file, ""))
            rounding = ""
            if outcome.status == Status.MISMATCH and meant.is_file() and made.is_file():
                job = Judge(graph=str(clear), stimulus=str(given), dt=dt, meant=str(meant), made=str(made))
                judged = await ask(reference, job, limit=_JUDGING * time_limit)
                if judged.open or judged.status != OK:
                    undecided[backend.name] = outcome, today
                    return
                outcome, rounding = replace(outcome, status=judged.agreed), judged.rounding
            suspects = None if outcome.first_node is None else before(flat, outcome.first_node)
            found.add(Checked(backend.name, outcome, rounding, suspects, kept, reasons.get(backend.name, ()), today))

        async def ask_both_ways(backend: Backend, cell: Cell) -> Compared:
            """How a library ends with several Inputs or Outputs, or a cycle that nothing feeds; why, where it fails."""
            from nir_interop.reconcile.planner import fitted
            from nir_interop.transfer.as_usual import HANGING, as_usual, is_late, told

            several = as_usual(flat, dt)
            if several is None:
                return await ask(backend, cell)
            hanging = min(time_limit, HANGING)
            outcome = await ask(backend, cell, limit=hanging)
            if outcome.comparison is not None or outcome.status == Status.UNSTABLE:
                return outcome
            path, fed, fed_one = here / "joined.nir", load_arrays(given)["input"], here / f"joined-{backend.name}.npz"
            write(path, several.graph)
            save_arrays(fed_one, {"input": fitted(fed, several.graph)})
            left = str(here / f"{backend.name}-joined.npz")
            one = Meaning(graph=str(path), stimulus=str(fed_one), dt=dt, seed=seed, save=left)
            joined = await ask(backend, one, limit=hanging)
            if outcome.status == Status.TIMEOUT and hanging < time_limit and not is_late(outcome, joined):
                return await ask(backend, cell)
            if joined.status != OK:
                return outcome
            reasons[backend.name] = several.nodes
            return replace(outcome, error_message=told(outcome, several.said))

        async def mean() -> Outcome:
            if stimulus is None:
                making = MakeInputs(graph=str(clear), dt=dt, seed=seed, time_limit=time_limit, save=str(given))
                inputs = await ask(reference, making, limit=_MAKING * (time_limit + SECONDS))
                if inputs.status != OK:
                    scheduler.stop()
                    return inputs
                array = load_arrays(given)["input"]
                kept.inputs = InputSet(array, inputs.kinds, seed, inputs.scale, inputs.quiet, inputs.names)
            job = Meaning(graph=str(clear), stimulus=str(given), dt=dt, seed=seed, nodes=facts.nodes, save=str(meant))
            meaning = await ask(reference, job)
            if meaning.status != OK:
                scheduler.stop()
                return meaning
            for backend in backends:
                start(compare(backend))
            return meaning

        async def begin(backend: Backend) -> None:
            await ask(backend, Describe(), urgency=1)

        meaning = start(mean())
        for backend in backends:
            if backend.installed and backend != reference:
                start(begin(backend))
        scheduler.run()
        if meaning.known.status != OK:
            raise _unmeant(graph.name, meaning.known)
        fed = stimulus if stimulus is not None else load_arrays(given)["input"]
        found.tell = answered
        for name, (outcome, today) in undecided.items():
            (backend,) = (each for each in backends if each.name == name)
            found.add(replace(_judged(flat, fed, dt, backend, outcome, kept, store), today=today))
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys((reference.name, *(backend.name for backend in backends))):
            recording = kept.of(name)
            if recording is not None:
                recording.save(save / f"{name}.npz", input=fed)
    return [found.known[backend.name] for backend in backends]


class _Found:
    """What is known so far; each backend is told of as soon as it is known and ``first`` has been told of, if there is one."""

    def __init__(self, first: str, tell: Answered) -> None:
        self.known: dict[str, Checked] = {}
        self.tell = tell
        self._first, self._waiting = first, list[Checked]()

    def add(self, checked: Checked) -> None:
        self.known[checked.importer] = checked
        self._waiting.append(checked)
        if not self._first or self._first in self.known:
            self._waiting.sort(key=lambda each: each.importer != self._first)
            told, self._waiting = self._waiting, []
            for each in told:
                self.tell(each)


_OF_THE_GRAPH = (InvalidGraph.__name__, UnreadableGraph.__name__)


def _unmeant(name: str, meaning: Outcome) -> NirInteropError:
    """Why there is nothing to compare with: the graph, the time limit, or a failure of ours."""
    kind, said = meaning.error_type, meaning.error_message or meaning.status
    if isinstance(meaning, InputsMade) and meaning.status == Status.REFUSED:
        raised: type[NirInteropError] = getattr(errors, kind)
        return raised(said)
    if kind in _OF_THE_GRAPH:
        return InvalidGraph(f"{name}: {said}")
    if meaning.status == Status.TIMEOUT:
        return TooSlow(f"{name}: too slow for the reference: {said}, or give it a shorter input")
    where = f" at {meaning.error_at}" if meaning.error_at else ""
    told = said if kind in ("", OWN) else f"{kind}: {said}"
    what = "nir-interop itself failed, not your graph" if meaning.status != Status.CRASH else "the reference's process died"
    return OwnFailure(f"{name}: {what}: {told}{where}; {AGAIN}")


def _judged(
    flat: Graph, stimulus: Array, dt: float, backend: Backend, outcome: Compared, kept: Recordings, store: Store | None
) -> Checked:
    """What a backend made of a graph, inlined, with a mismatch held against what rounding may do."""
    suspects = None if outcome.first_node is None else before(flat, outcome.first_node)
    meant, made = (kept.of(REFERENCE), kept.of(backend.name)) if outcome.status == Status.MISMATCH else (None, None)
    if meant is None or made is None:
        return Checked(backend.name, outcome, suspects=suspects, kept=kept)
    from nir_interop.agreement.side import Side
    from nir_interop.transfer.case import Case, judge
    from nir_interop.transfer.fingerprints import comparison_of

    case = Case(flat, stimulus, Side(REFERENCE, dt), Side(backend.name, dt), recorded=meant)
    agreed = judge(case, made, partial(comparison_of, backend, store, flat))
    return Checked(backend.name, replace(outcome, status=str(agreed.status)), agreed.rounding(), suspects, kept)


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
