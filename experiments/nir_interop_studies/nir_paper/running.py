"""A graph in a backend over any number of recordings, a batch at a time; what was run is kept, and not run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.arrays import load_arrays, save_arrays
from nir_interop.backends.environments import Backend, suite_version
from nir_interop.errors import RunFailed
from nir_interop.graphs import Array, Graph, Node, inline
from nir_interop.learning import Share, classify
from nir_interop.recording import Recording
from nir_interop.reference import Simulator
from nir_interop.rule import UpdateRule
from nir_interop.vocabulary import Readout, Status
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.nir_paper.inputs import Inputs

BATCH = 10
"""Recordings a run: 300 steps of all layers of the paper's network are then some 30 MB."""
CHUNK = 1000
"""Recordings whose outcome is kept together: so much at most is run again after an interruption."""
LIMIT = 120.0
"""Seconds that a batch may take."""

Batch = Callable[[Array], Recording]


@dataclass(frozen=True, eq=False)
class Ran:
    """What came of all recordings.

    output : axes (T, N, classes), None where it failed; layer : spikes of one node, axes (T, N, \\*shape), where asked for
    """

    output: Array | None
    layer: Array | None = None
    failed: Mapping[str, str] = field(default_factory=dict)

    def classes(self) -> NDArray[np.int64] | None:
        """The class of each recording."""
        return None if self.output is None else classify(self.output, Readout.RATE)

    def accuracy(self, labels: Array) -> Share | None:
        """How many are right."""
        found = self.classes()
        return None if found is None else Share.of(found == labels)

    def read_otherwise(self, other: Ran) -> int:
        """How many recordings are of another class than another run says."""
        ours, theirs = self.classes(), other.classes()
        if ours is None or theirs is None:
            raise ValueError("a run without output has no classes")
        return int((ours != theirs).sum())

    def error(self) -> RunFailed:
        """How it failed."""
        return RunFailed(self.failed["status"], self.failed["error_type"], self.failed["error_message"])


@dataclass(frozen=True)
class Runner:
    """Runs, and keeps under ``work`` what was run."""

    work: Path

    def backend(self, live: LiveBackend, graph: Graph, inputs: Inputs, dt: float, node: str = "") -> Ran:
        """A graph in a library's own process, at a step [s]; ``node`` : whose spikes are wanted."""
        key = ["backend", live.backend.name, json.dumps(dict(live.backend.versions)), _sha(graph), inputs.key, f"{dt:g}", node]
        return self._kept(key, lambda batch: live(graph, batch, dt), inputs, node)

    def rule(self, graph: Graph, inputs: Inputs, dt: float, rule: UpdateRule, node: str = "") -> Ran:
        """The reference under a rule, in this process."""
        simulator = Simulator(graph, dt, rule)
        key = ["rule", suite_version(), json.dumps(rule.as_dict()), _sha(graph), inputs.key, f"{dt:g}", node]
        return self._kept(key, lambda batch: simulator.run(batch, membranes=False)[0], inputs, node)

    def _kept(self, key: list[str], run: Batch, inputs: Inputs, node: str) -> Ran:
        parts: list[Ran] = []
        for start in range(0, len(inputs), CHUNK):
            stop = min(start + CHUNK, len(inputs))
            parts.append(self._part([*key, str(start), str(stop)], run, inputs, (start, stop), node))
            if parts[-1].output is None:
                return parts[-1]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _part(self, key: list[str], run: Batch, inputs: Inputs, chunk: tuple[int, int], node: str) -> Ran:
        path = self.work / f"run-{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.npz"
        if path.exists():
            return _loaded(load_arrays(path))
        ran = _run(run, inputs, chunk, node)
        arrays = {"failed": np.frombuffer(json.dumps(dict(ran.failed)).encode(), dtype=np.uint8)}
        arrays |= {name: each for name, each in (("output", ran.output), ("layer", ran.layer)) if each is not None}
        self.work.mkdir(parents=True, exist_ok=True)
        passing = path.with_name(f".{path.name}")
        save_arrays(passing, arrays)
        passing.replace(path)
        return ran


def live_backend(backend: Backend) -> LiveBackend:
    """A process of a library; use it in a ``with`` block."""
    return LiveBackend(backend, limit=LIMIT)


def first_neurons(graph: Graph) -> str:
    """The first neurons of a chain."""
    flat = inline(graph)
    (name,) = flat.of_kind("Input")
    while not flat.nodes[name].kind.endswith("IF"):
        name = flat.out_of(name)[0]
    return name


def first_layer(graph: Graph, shape: tuple[int, ...]) -> Graph:
    """The graph up to its first neurons, of a shape."""
    last, flat = first_neurons(graph), inline(graph)
    (name,) = flat.of_kind("Input")
    chain = [name]
    while chain[-1] != last:
        chain.append(flat.out_of(chain[-1])[0])
    nodes = {each: flat.nodes[each] for each in chain} | {"output": Node("Output", {"shape": np.array(shape)})}
    return Graph(nodes, tuple(zip(chain, (*chain[1:], "output"), strict=True)))


def _run(run: Batch, inputs: Inputs, chunk: tuple[int, int], node: str) -> Ran:
    outputs: list[Array] = []
    layers: list[Array] = []
    for start in range(*chunk, BATCH):
        stop = min(start + BATCH, chunk[1])
        try:
            recording = run(inputs.batch(start, stop))
        except RunFailed as error:
            words = {"status": error.status, "error_type": error.error_type, "error_message": error.message}
            return Ran(None, None, words)
        if recording.output.shape[1] != stop - start:
            message = f"an output with axes {recording.output.shape} for {stop - start} samples"
            return Ran(None, None, {"status": str(Status.WRONG_SHAPE), "error_type": "", "error_message": message})
        outputs.append(recording.output)
        if node:
            layers.append(_spikes(recording, node))
    return Ran(np.concatenate(outputs, axis=1), np.concatenate(layers, axis=1) if node else None)


def _joined(parts: Sequence[Ran]) -> Ran:
    outputs = [part.output for part in parts if part.output is not None]
    layers = [part.layer for part in parts if part.layer is not None]
    return Ran(np.concatenate(outputs, axis=1), np.concatenate(layers, axis=1) if layers else None)


def _spikes(recording: Recording, node: str) -> Array:
    """A node's spikes; one that a rewriting has put into a graph of its own has a longer name."""
    name = next(each for each in sorted(recording.spikes) if each == node or each.startswith(f"{node}."))
    return recording.spikes[name]


def _loaded(arrays: Mapping[str, Any]) -> Ran:
    return Ran(arrays.get("output"), arrays.get("layer"), json.loads(arrays["failed"].tobytes()))


def _sha(graph: Graph) -> str:
    sha = hashlib.sha256(repr(sorted(graph.edges)).encode())
    for name, node in sorted(graph.nodes.items()):
        if isinstance(node, Graph):
            sha.update(f"{name} {_sha(node)}".encode())
            continue
        for parameter, value in sorted(node.params.items()):
            array = np.ascontiguousarray(value)
            words = array.tobytes() if array.dtype.kind != "O" else repr(value).encode()
            sha.update(f"{name} {node.kind} {parameter} {array.dtype} {array.shape} ".encode() + words)
    return sha.hexdigest()
