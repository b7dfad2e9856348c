"""A backend as a callable (graph, stimulus, dt) → recording, in a warm worker of its own: what explaining is given."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import execnet

from nir_interop.arrays import Array, save_arrays
from nir_interop.backends.environments import Backend
from nir_interop.errors import CannotBuild, RunFailed
from nir_interop.graphs import Graph, inline, write
from nir_interop.networks import Network
from nir_interop.networks.serialization import document_of
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom, Readout, Reset, Status
from nir_interop.workers.jobs import GRAPH, OK, RECORDING, STIMULUS, Cell, Compared, Job, Meaning, Native, NativeLabels, O
from nir_interop.workers.network_of_graph import layered
from nir_interop.workers.pool import Died, TimedOut, Worker


class LiveBackend:
    r"""Runs any graph in a library's own process.

    limit : seconds a run may take; the process is replaced after a timeout or a crash
    option : of the command line by which the limit can be raised; empty where there is none

    Calling it raises RunFailed where the library gives no recording.  Use it in a ``with`` block, or close it.
    """

    def __init__(self, backend: Backend, *, limit: float = 20.0, seed: int = 0, option: str = "") -> None:
        self.backend, self.limit, self.seed, self.option = backend, limit, seed, option
        self._folder = tempfile.TemporaryDirectory()
        self._group = execnet.Group()
        self._worker: Worker | None = None
        self._runs = 0

    def __enter__(self) -> LiveBackend:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._drop()
        self._folder.cleanup()

    def __call__(self, graph: Graph, stimulus: Array, dt: float) -> Recording:
        r"""The recording of an imported graph; stimulus with axes (T, B, \*shape)."""
        with self._files() as folder:
            write(folder / "graph.nir", graph)
            job = Meaning(graph=str(folder / "graph.nir"), stimulus="", dt=dt, nodes=_nodes(graph))
            return self._recorded(job, stimulus, folder)

    def native(
        self, reset: Reset, idiom: Idiom, label: str = "", *, recurrent: bool = False
    ) -> Callable[[Graph, Array, float], Recording]:
        """The library's own neurons as a callable: a graph's layers, built in its words.

        label : how its neurons are to be written, as the adapter's ``native_label`` says; empty: however they are
        recurrent : whether neurons that do not feed themselves do so through weights of 0

        Calling it raises RunFailed, refused, where the library cannot build a graph.
        """

        def run(graph: Graph, stimulus: Array, dt: float) -> Recording:
            try:
                network = layered(graph, dt, reset, recurrent=recurrent)
            except CannotBuild as error:
                raise RunFailed(str(Status.REFUSED), type(error).__name__, str(error)) from error
            with self._files() as folder:
                job = Native(network=document_of(network), idiom=idiom.value, stimulus="", label=label)
                return self._recorded(job, stimulus, folder)

        return run

    def native_labels(self, networks: Sequence[Network]) -> dict[Idiom, tuple[tuple[str, ...] | None, ...]]:
        """Of each network, how its neurons are written in each of the library's idioms; None where it cannot be built."""
        outcome = self._work(NativeLabels(networks=tuple(document_of(network) for network in networks)))
        return {Idiom(idiom): labels for idiom, labels in outcome.labels.items()}

    def beside(self, source: Recording, graph: Graph, stimulus: Array, dt: float) -> tuple[Compared, Recording | None]:
        r"""How an import ends beside a recording, as a cell of the matrix does, and its own recording where it differs.

        The graph is imported and run as often as it takes to tell chance from an answer.

        stimulus : axes (T, B, \*shape)

        Raises RunFailed where the process does not come back.
        """
        with self._files() as folder:
            write(folder / GRAPH, graph)
            save_arrays(folder / STIMULUS, {"input": stimulus})
            source.save(folder / "source.npz")
            outcome = self._work(
                Cell(
                    graph=GRAPH,
                    stimulus=STIMULUS,
                    source="source.npz",
                    dt=dt,
                    readout=str(Readout.RATE),
                    seed=self.seed,
                    nodes=_nodes(graph),
                    objects=str(folder),
                    folder=str(folder),
                )
            )
            return outcome, Recording.load(folder / RECORDING) if outcome.status == Status.MISMATCH else None

    @contextmanager
    def _files(self) -> Iterator[Path]:
        self._runs += 1
        folder = Path(self._folder.name) / str(self._runs)  # a worker remembers the stimuli it has read, by their paths
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def _recorded(self, job: Meaning | Native, stimulus: Array, folder: Path) -> Recording:
        given, save = folder / "stimulus.npz", folder / "recording.npz"
        save_arrays(given, {"input": stimulus})
        outcome = self._work(replace(job, stimulus=str(given), save=str(save), seed=self.seed))
        if outcome.status != OK:
            raise RunFailed(outcome.status, outcome.error_type, outcome.error_message)
        return Recording.load(save)

    @contextmanager
    def within(self, limit: float) -> Iterator[None]:
        """Other seconds that a run may take."""
        kept, self.limit = self.limit, limit
        try:
            yield
        finally:
            self.limit = kept

    def start(self) -> Worker:
        """Start the process, if it is not yet there.

        Raises BackendMissing where the library does not start.
        """
        if self._worker is None:
            self._worker = Worker(self.backend, self._group, Path(self._folder.name))
            self._worker.greet()
        return self._worker

    def _work(self, job: Job[O]) -> O:
        worker = self.start()
        try:
            outcome = worker.work(job, self.limit)
            if worker.spent:
                self._drop()
            return outcome
        except TimedOut as late:
            self._drop()
            raise RunFailed(str(Status.TIMEOUT), message=late.told(self.limit, self.option)) from None
        except Died as error:
            self._drop()
            raise RunFailed(str(Status.CRASH), message=error.how) from error

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


def _nodes(graph: Graph) -> tuple[str, ...]:
    return tuple(name for name, node in inline(graph).primitives() if node.kind not in ("Input", "Output"))
