"""What a backend answered to a probe, kept as soon as it is known: whoever asks again, after an interruption, asks only on."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.agreement.side import RunGraph
from nir_interop.backends.environments import Backend
from nir_interop.errors import RunFailed
from nir_interop.graphs import Array, Graph
from nir_interop.recording import Recording
from nir_interop.store.keys import key, live_key
from nir_interop.store.store import Store
from nir_interop.vocabulary import Status
from nir_interop.workers.jobs import OK, RECORDING

KIND = "probes"
"""Under which answers lie in the store."""

_CHANCE = (str(Status.TIMEOUT), str(Status.CRASH))
"""Ends that may be the machine's doing: what ends so is asked once more."""
_OURS = ("MemoryError", "OSError")
"""Types of errors that say something of the machine."""


class KeptRuns:
    """A backend as a callable, (graph, stimulus, dt) → recording, that is asked only what the store does not know.

    run : the backend
    part : which of its neurons are asked for, and with which option, where there are several callables
    loops : whether it is known of a graph that importers never come back from it

    A recording has outputs alone.  The same, asked twice in a run, are two questions.  What takes too long or crashes is asked
    once more: a crash that is seen twice is kept, and a timeout never is.  ``unsettled`` counts those that ran into the limit
    twice, other than on a graph that ``loops``: what follows from them should not be kept either.

    Calling it raises RunFailed where the backend gives no recording.
    """

    def __init__(
        self, run: RunGraph, backend: Backend, store: Store, part: str = "", loops: Callable[[Graph], bool] | None = None
    ) -> None:
        self._run, self._store, self._part, self._loops = run, store, part, loops or (lambda graph: False)
        self._backend = live_key(backend)
        self._asked: Counter[str] = Counter()
        self.unsettled = 0

    def __call__(self, graph: Graph, stimulus: Array, dt: float) -> Recording:
        """See the class."""
        what = _digest(graph, stimulus, dt)
        self._asked[what] += 1
        place = key(backend=self._backend, part=self._part, what=what, number=self._asked[what])
        known = self._store.get(KIND, place)
        if known is not None:
            return self._known(known)
        try:
            recording = self._twice(graph, stimulus, dt)
        except RunFailed as error:
            if error.status != str(Status.TIMEOUT) and error.error_type not in _OURS:
                self._store.put(KIND, place, vars(error))
            raise
        recording = Recording(recording.outputs, left_out=recording.left_out)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / RECORDING
            recording.save(path)
            objects = {RECORDING: self._store.adopt(path)}
        self._store.put(KIND, place, {"status": OK, "left_out": recording.left_out, "objects": objects})
        return recording

    def _known(self, known: Mapping[str, Any]) -> Recording:
        if known["status"] != OK:
            raise RunFailed(known["status"], known["error_type"], known["message"], tuple(known["left_out"]))
        recording = Recording.load(self._store.object(known["objects"][RECORDING]))
        return replace(recording, left_out=tuple(known["left_out"]))

    def _twice(self, graph: Graph, stimulus: Array, dt: float) -> Recording:
        """Ask, and once more where chance may have had a part in how it ended; of two ends a timeout stands."""
        try:
            return self._run(graph, stimulus, dt)
        except RunFailed as first:
            if first.status not in _CHANCE:
                raise
            try:
                return self._run(graph, stimulus, dt)
            except RunFailed as again:
                late = next((each for each in (first, again) if each.status == str(Status.TIMEOUT)), None)
                if late is not None and not self._loops(graph):
                    self.unsettled += 1
                raise (late or again) from None


def _digest(graph: Graph, stimulus: Array, dt: float) -> str:
    """SHA-256 of a graph as it is written, with the order of its nodes and edges, and of what it is given."""
    sha = hashlib.sha256(repr((dt, stimulus.dtype.str, stimulus.shape)).encode())
    sha.update(np.ascontiguousarray(stimulus).tobytes())
    _add(sha.update, graph)
    return sha.hexdigest()


def _add(update: Callable[[bytes], None], graph: Graph) -> None:
    update(repr((tuple(graph.nodes), tuple(graph.edges))).encode())
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            update(f"\0graph\0{name}".encode())
            _add(update, node)
            continue
        update(f"\0{node.kind}\0{name}".encode())
        for parameter, value in node.params.items():
            array = np.asarray(value)
            update(f"\0{parameter}\0{array.dtype.str}\0{array.shape}\0".encode() + array.tobytes())
