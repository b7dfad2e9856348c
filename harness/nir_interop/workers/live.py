"""A backend as a callable (graph, stimulus, dt) → recording, in a warm worker of its own: what explaining is given."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import execnet

from nir_interop.arrays import Array, save_arrays
from nir_interop.backends.environments import Backend
from nir_interop.errors import CannotBuild, RunFailed
from nir_interop.graphs import Graph, inline, write
from nir_interop.networks import Network
from nir_interop.networks.serialization import document_of
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom, Readout, Reset, Status
from nir_interop.workers.job import OK, RECORDING
from nir_interop.workers.network_of_graph import layered
from nir_interop.workers.pool import Died, TimedOut, Worker

_BESIDE = {"graph": "graph.nir", "stimulus": "stimulus.npz", "source": "source.npz"}


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
        nodes = [name for name, node in inline(graph).primitives() if node.kind not in ("Input", "Output")]
        with self._files() as folder:
            write(folder / "graph.nir", graph)
            job = {"kind": "meaning", "dt": dt, "nodes": nodes, "graph": str(folder / "graph.nir")}
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
                job = {"kind": "native", "network": document_of(network), "idiom": idiom.value, "label": label}
                return self._recorded(job, stimulus, folder)

        return run

    def native_labels(self, networks: Sequence[Network]) -> dict[Idiom, list[list[str] | None]]:
        """Of each network, how its neurons are written in each of the library's idioms; None where it cannot be built."""
        outcome = self._work({"kind": "native_labels", "networks": [document_of(network) for network in networks]})
        return {Idiom(idiom): labels for idiom, labels in outcome["labels"].items()}

    def beside(self, source: Recording, graph: Graph, stimulus: Array, dt: float) -> tuple[dict[str, Any], Recording | None]:
        r"""How an import ends beside a recording, as a cell of the matrix does, and its own recording where it differs.

        The graph is imported and run as often as it takes to tell chance from an answer.

        stimulus : axes (T, B, \*shape)

        Raises RunFailed where the process does not come back.
        """
        nodes = [name for name, node in inline(graph).primitives() if node.kind not in ("Input", "Output")]
        with self._files() as folder:
            paths = {name: str(folder / file) for name, file in _BESIDE.items()}
            write(folder / _BESIDE["graph"], graph)
            save_arrays(folder / _BESIDE["stimulus"], {"input": stimulus})
            source.save(folder / _BESIDE["source"])
            job = {"kind": "cell", "dt": dt, "nodes": nodes, "readout": str(Readout.RATE), "order": [], "seed": self.seed}
            outcome = self._work({**job, "folder": str(folder), **paths})
            return outcome, Recording.load(folder / RECORDING) if outcome["status"] == Status.MISMATCH else None

    @contextmanager
    def _files(self) -> Iterator[Path]:
        self._runs += 1
        folder = Path(self._folder.name) / str(self._runs)  # a worker remembers the stimuli it has read, by their paths
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def _recorded(self, job: dict[str, Any], stimulus: Array, folder: Path) -> Recording:
        paths = {"stimulus": folder / "stimulus.npz", "save": folder / "recording.npz"}
        save_arrays(paths["stimulus"], {"input": stimulus})
        outcome = self._work({**job, "seed": self.seed, **{name: str(path) for name, path in paths.items()}})
        if outcome["status"] != OK:
            raise RunFailed(outcome["status"], outcome.get("error_type") or "", outcome.get("error_message") or "")
        return Recording.load(paths["save"])

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

    def _work(self, job: dict[str, Any]) -> dict[str, Any]:
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
