"""One graph of a user's in every backend, against NIR's own meaning in steps."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.arrays import Array, save_arrays
from nir_interop.backends.environments import Backend
from nir_interop.errors import BackendMissing, InvalidGraph, NirInteropError, OwnFailure, TooSlow, UnreadableGraph
from nir_interop.explain.warnings import Suspects, before, warned
from nir_interop.recording import Recording
from nir_interop.store.graph_facts import graph_facts
from nir_interop.store.store import Store
from nir_interop.vocabulary import REFERENCE, Readout, Status
from nir_interop.workers.error_messages import OWN
from nir_interop.workers.jobs import OK, RECORDING, Cell, Compared, Job, Meaning, O, Outcome
from nir_interop.workers.scheduler import TIME_LIMIT, Answer, Scheduler, Task, start

if TYPE_CHECKING:
    from nir_interop.graphs import Graph

OWN_BACKENDS = (REFERENCE, "exact")
"""Those that are given a graph as it was meant; a library is given the file."""
AGAIN = "install nir-interop again, and if that does not help report this line with the graph"


_SHOWN = ("outputs", "mismatched", "mismatch_rate", "first_step", "first_node")


@dataclass(frozen=True)
class Checked:
    """What one backend made of a graph.

    outcome : status, error and ``comparison``, as a cell's
    rounding : what rounding comes to, in words, where the status is that
    suspects : what may be at fault, None where nobody knows
    """

    importer: str
    outcome: Compared = field(default_factory=Compared)
    rounding: str = ""
    suspects: Suspects | None = None

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
            **{
                name: getattr(comparison, name, None)
                for name in ("outputs", "mismatched", "mismatch_rate", "first_step", "first_node")
            },
            "error_type": self.outcome.error_type,
            "error_message": self.outcome.error_message,
            "rounding": self.rounding,
        }

    @property
    def status(self) -> Status:
        """How it ended."""
        return Status(self.outcome.status)

    @property
    def agrees(self) -> bool:
        """Whether no output is wrong; a graph that is too quiet to prove anything has none."""
        return self.status.agrees or self.status is Status.VACUOUS


def run_graph(
    graph: Path,
    stimulus: Array,
    dt: float,
    backends: Sequence[Backend],
    reference: Backend,
    store: Store | None = None,
    *,
    jobs: int = 1,
    time_limit: float = 20.0,
    seed: int = 0,
    save: Path | None = None,
) -> list[Checked]:
    """Run a graph in each backend's worker and compare it with the reference's recording.

    The libraries are given the file as it is; what they are compared with is what was meant by it.

    stimulus : axes (T, B, \\*shape)
    store : keeps the backends' fingerprints, which are asked where ties leave a status open; without one it stays a mismatch
    save : a folder for the recordings, ``<backend>.npz`` each, with ``input`` and ``output`` as other verbs read them

    Raises BackendMissing where the reference is not installed, InvalidGraph where the graph means nothing, TooSlow where the
    reference is not done within the limit, and OwnFailure where it fails in any other way.
    """
    from nir_interop.graphs import inline, read_meant, write

    graph = graph.resolve()
    meant_graph, notes = read_meant(graph)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        save = save.resolve()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        clear = here / "meant.nir" if notes else graph
        if notes:
            write(clear, meant_graph)
        facts = graph_facts(clear)
        save_arrays(here / "stimulus.npz", {"input": stimulus})
        scheduler = Scheduler({one.name: one for one in (*backends, reference)}, jobs, lambda: _made(here / "run"))
        kept = save if save is not None else _made(here / "kept")
        meant = kept / f"{REFERENCE}.npz" if save is not None else here / RECORDING
        given, found = str(here / "stimulus.npz"), dict[str, Compared]()

        def ask(backend: Backend, job: Job[O]) -> Answer[O]:
            answer: Answer[O] = Answer()
            task = Task(backend.name, 0, (backend.name,), 4.0, time_limit, lambda _: job, done=answer.give, option=TIME_LIMIT)
            scheduler.add(task)
            return answer

        async def compare(backend: Backend) -> None:
            if not backend.installed:
                found[backend.name] = Compared(status=str(Status.ENV_MISSING), error_message=backend.hint)
                return
            found[backend.name] = await ask(
                backend,
                Cell(
                    graph=str(clear if backend.name in OWN_BACKENDS else graph),
                    stimulus=given,
                    dt=dt,
                    readout=str(Readout.RATE),
                    seed=seed,
                    source=str(meant),
                    nodes=facts.nodes,
                    order=facts.order,
                    save=str(kept / f"{backend.name}.npz") if backend != reference else "",
                ),
            )

        async def mean() -> Outcome:
            job = Meaning(graph=str(clear), stimulus=given, dt=dt, seed=seed, nodes=facts.nodes, save=str(meant))
            meaning = await ask(reference, job)
            for backend in backends if meaning.status == OK else ():
                start(compare(backend))
            return meaning

        if not reference.installed:
            raise BackendMissing(reference.hint)
        meaning = start(mean())
        scheduler.run()
        if meaning.known.status != OK:
            raise _unmeant(graph.name, meaning.known)
        flat = inline(meant_graph)
        checked = [_judged(flat, stimulus, dt, backend, found[backend.name], kept, meant, store) for backend in backends]
        for path in sorted(save.glob("*.npz")) if save is not None else ():
            Recording.load(path).save(path, input=stimulus)
        return checked


_OF_THE_GRAPH = (InvalidGraph.__name__, UnreadableGraph.__name__)


def _unmeant(name: str, meaning: Outcome) -> NirInteropError:
    """Why there is nothing to compare with: the graph, the time limit, or a failure of ours."""
    kind, said = meaning.error_type, meaning.error_message or meaning.status
    if kind in _OF_THE_GRAPH:
        return InvalidGraph(f"{name}: {said}")
    if meaning.status == Status.TIMEOUT:
        return TooSlow(f"{name}: too slow for the reference: {said}, or give it a shorter input")
    where = f" at {meaning.error_at}" if meaning.error_at else ""
    told = said if kind in ("", OWN) else f"{kind}: {said}"
    what = "nir-interop itself failed, not your graph" if meaning.status != Status.CRASH else "the reference's process died"
    return OwnFailure(f"{name}: {what}: {told}{where}; {AGAIN}")


def _judged(
    flat: Graph, stimulus: Array, dt: float, backend: Backend, outcome: Compared, kept: Path, meant: Path, store: Store | None
) -> Checked:
    """What a backend made of a graph, inlined, with a mismatch held against what rounding may do."""
    made, first = kept / f"{backend.name}.npz", outcome.first_node
    suspects = None if first is None else before(flat, first)
    if outcome.status != Status.MISMATCH or not made.exists():
        return Checked(backend.name, outcome, suspects=suspects)
    from nir_interop.agreement.side import Side
    from nir_interop.transfer.case import Case, judge
    from nir_interop.transfer.fingerprints import comparison_of

    case = Case(flat, stimulus, Side(REFERENCE, dt), Side(backend.name, dt), recorded=Recording.load(meant))
    agreed = judge(case, Recording.load(made), partial(comparison_of, backend, store, flat))
    return Checked(backend.name, replace(outcome, status=str(agreed.status)), agreed.rounding(), suspects)


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
