"""A backend as a callable (graph, stimulus, dt) → recording, in a warm worker of its own: what explaining is given."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import execnet

from harness.environments import Backend
from harness.errors import RunFailed
from harness.graphs import Graph, inline, write
from harness.matrix.arrays import Array, save_arrays
from harness.matrix.job import OK
from harness.matrix.pool import Died, TimedOut, Worker
from harness.recording import Recording
from harness.vocabulary import Status


class LiveBackend:
    r"""Runs any graph in a library's own process.

    limit : seconds a run may take; the process is replaced after a timeout or a crash

    Calling it raises RunFailed where the library gives no recording.  Use it in a ``with`` block.
    """

    def __init__(self, backend: Backend, *, limit: float = 20.0, seed: int = 0) -> None:
        self.backend, self.limit, self.seed = backend, limit, seed
        self._folder = tempfile.TemporaryDirectory()
        self._group = execnet.Group()
        self._worker: Worker | None = None
        self._runs = 0

    def __enter__(self) -> LiveBackend:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._drop()
        self._folder.cleanup()

    def __call__(self, graph: Graph, stimulus: Array, dt: float) -> Recording:
        r"""The recording of a graph; stimulus with axes (T, B, \*shape)."""
        self._runs += 1
        folder = Path(self._folder.name) / str(self._runs)  # a worker remembers the stimuli it has read, by their paths
        folder.mkdir()
        paths = {"graph": folder / "graph.nir", "stimulus": folder / "stimulus.npz", "save": folder / "recording.npz"}
        write(paths["graph"], graph)
        save_arrays(paths["stimulus"], {"input": stimulus})
        nodes = [name for name, node in inline(graph).primitives() if node.kind not in ("Input", "Output")]
        job = {
            "kind": "meaning",
            "dt": dt,
            "seed": self.seed,
            "nodes": nodes,
            **{name: str(path) for name, path in paths.items()},
        }
        try:
            outcome = self._work(job)
            if outcome["status"] != OK:
                raise RunFailed(outcome["status"], outcome.get("error_type") or "", outcome.get("error_message") or "")
            return Recording.load(paths["save"])
        finally:
            shutil.rmtree(folder)

    def _work(self, job: dict[str, Any]) -> dict[str, Any]:
        if self._worker is None:
            self._worker = Worker(self.backend, self._group, Path(self._folder.name))
            self._worker.greet()
        try:
            return self._worker.work(job, self.limit)
        except TimedOut:
            self._drop()
            raise RunFailed(str(Status.TIMEOUT), message=f"killed after {self.limit:g} s") from None
        except Died as error:
            self._drop()
            raise RunFailed(str(Status.CRASH), message=error.how) from error

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None
