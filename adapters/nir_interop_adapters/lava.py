"""Lava: processes that exchange messages, simulated on the processor, in floating point or in the fixed point of Loihi.

Lava has no importer of NIR.  This one is written after the one that was published with NIR (Pedersen et al. 2024): LIF and what
joins them.  A neuron's gain goes into the weights before it, so that a membrane is in volts; a connection gives what it got one
step before, as all of Lava's do, since that is what keeps a recurrent network from waiting for itself.  A bias is a connection
from what is always on, so that it comes when the weights' part comes; the published importer takes none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nir_interop.backends.adapter import Adapter, Model, read_graph
from nir_interop.backends.watching import counts
from nir_interop.errors import CannotBuild
from nir_interop.networks import Network
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom
from nir_interop_adapters.walking import Shape, inlined, input_places, kind_of

Array = NDArray[Any]

_MOST_SCALE = 256
"""Fixed-point units per volt, as published; fewer where a layer's weights would not fit eight bits."""
_LARGEST_WEIGHT = 254
_DECAY_UNITS, _STATE_UNITS = 2**12, 2**6
"""What one is of a decay; what one of a weight or a threshold is of a membrane."""


class Lava(Adapter):
    """lava-nc 0.10.0, with an importer that is this adapter's own.

    It computes in floating point; in an environment with the label ``fixed`` (``backends install lava-nc --label fixed``) in
    the integers of Loihi, where an input that is no whole number is cut to one.
    """

    name: ClassVar[str] = "lava-nc"
    ships_importer: ClassVar[bool] = False
    ships_exporter: ClassVar[bool] = False
    run_limit: ClassVar[float | None] = 120.0
    idioms: ClassVar[Mapping[Idiom, str]] = {}
    refusals: ClassVar[tuple[str, ...]] = (r"Lava has no ", r"Lava's \w+ (has|resets|takes|have)")
    needs: ClassVar[tuple[str, ...]] = ("lava-nc", "nir", "nir-interop")
    script: ClassVar[str] = """
from pathlib import Path

from nir_interop_adapters.lava import Lava

adapter = Lava()
output = adapter.run(adapter.load(Path("graph.nir"), DT), stimulus).output
"""

    def prepare(self) -> None:
        """It has no chance to pin; its processes end with each run."""
        import lava.magma.core.run_configs  # noqa: F401

    def build(self, network: Network, dt: float, idiom: Idiom) -> Model:
        """Nothing: it does not export."""
        raise CannotBuild("Lava only imports")

    def load(self, path: Path, dt: float) -> Model:
        """Read a file and find what each of its nodes is in Lava; the processes are made when the batch is known."""
        return _imported(read_graph(path), dt)

    def run(self, model: _Imported, stimulus: Array) -> Recording:
        """All samples at once, each a part of every process."""
        steps, batch = stimulus.shape[:2]
        frames = np.asarray(stimulus, dtype=np.float64).reshape(steps, batch, -1)
        return _Run(model, frames, self.label == "fixed").recording()

    def nodes(self, model: _Imported) -> frozenset[str]:
        """All of them: a node that it has no word for is refused."""
        return frozenset((*model.neurons, *model.weights))


@dataclass(frozen=True)
class _Neuron:
    """Parameters of a ``LIF`` process: decays of its current and its membrane, its gain, its threshold."""

    shape: Shape
    current_decay: float
    decay: float
    gain: Array
    bias: Array
    threshold: float


@dataclass(frozen=True, eq=False)
class _Imported:
    """What the nodes of a graph are in Lava.

    weights : connections, each with its weights and its bias or None
    """

    nodes: Mapping[str, Any]
    edges: tuple[tuple[str, str], ...]
    neurons: Mapping[str, _Neuron]
    weights: Mapping[str, tuple[Array, Array | None]]


def _imported(graph: Any, dt: float) -> _Imported:
    neurons: dict[str, _Neuron] = {}
    weights: dict[str, tuple[Array, Array | None]] = {}
    nodes, edges = inlined(graph)
    for name, node in nodes.items():
        kind = kind_of(node)
        if kind in ("IF", "LIF", "CubaLIF"):
            neurons[name] = _neuron(name, node, kind, dt)
        elif kind in ("Affine", "Linear"):
            bias = getattr(node, "bias", None)
            weights[name] = (
                np.asarray(node.weight, dtype=np.float64),
                None if bias is None else np.asarray(bias, dtype=np.float64),
            )
        elif kind not in ("Input", "Output"):
            raise CannotBuild(f"node {name!r}: Lava has no {kind} here; there are Affine, CubaLIF, IF, LIF, Linear")
    for source, target in edges:
        if source in weights and target not in neurons:
            raise CannotBuild(f"node {source!r}: Lava has no connection that leads to anything but neurons")
    return _Imported(nodes, edges, neurons, weights)


def _neuron(name: str, node: Any, kind: str, dt: float) -> _Neuron:
    if node.v_reset is not None and np.any(np.asarray(node.v_reset) != 0):
        raise CannotBuild(f"node {name!r}: Lava's LIF resets to 0; v_reset is {np.ravel(node.v_reset)[0]:g}")
    shape = np.shape(node.v_threshold)
    r = np.broadcast_to(np.asarray(node.r, dtype=np.float64), shape)
    threshold = _one(name, node, "v_threshold")
    if kind == "IF":
        return _Neuron(shape, 1.0, 0.0, r * dt, np.zeros(shape), threshold)
    tau = "tau" if kind == "LIF" else "tau_mem"
    decay = dt / _one(name, node, tau)
    bias = np.broadcast_to(np.asarray(node.v_leak, dtype=np.float64) * decay, shape)
    if kind == "LIF":
        return _Neuron(shape, 1.0, decay, r * decay, bias, threshold)
    current = dt / _one(name, node, "tau_syn")
    weight = np.broadcast_to(np.asarray(node.w_in, dtype=np.float64), shape)
    return _Neuron(shape, current, decay, weight * current * r * decay, bias, threshold)


def _one(name: str, node: Any, parameter: str) -> float:
    values = np.unique(np.asarray(getattr(node, parameter), dtype=np.float64))
    if values.size != 1:
        raise CannotBuild(f"node {name!r}: Lava's LIF has one {parameter} a process; here it differs per neuron")
    return float(values[0])


class _Run:
    """One run: the processes, joined, and the sinks that keep what neurons send."""

    def __init__(self, model: _Imported, frames: Array, fixed: bool) -> None:
        self.model, self.frames, self.fixed = model, frames, fixed
        self.steps, self.batch = frames.shape[:2]
        self.places = input_places(model.nodes)
        self.scales = {name: self._scale(name) for name in model.neurons}
        self.groups = {name: self._group(name, each) for name, each in model.neurons.items()}
        self.sinks: dict[str, Any] = {}

    def recording(self) -> Recording:
        """Run all processes to the end and read what the sinks have."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi1SimCfg

        outputs = self._join()
        first = next(iter(self.sinks.values()))
        tag = "fixed_pt" if self.fixed else "floating_pt"
        try:
            first.run(condition=RunSteps(num_steps=self.steps), run_cfg=Loihi1SimCfg(select_tag=tag))
            seen = {name: self._rows(name, sink.data.get()) for name, sink in self.sinks.items()}
        finally:
            first.stop()
        return Recording(
            outputs={name: counts(np.sum([seen[each] for each in sources], axis=0)) for name, sources in outputs.items()},
            spikes={name: counts(each) for name, each in seen.items()},
        )

    def _rows(self, name: str, data: Array) -> Array:
        """From (B * n, T) to (T, B, *shape)."""
        return np.asarray(data, dtype=np.float64).T.reshape(self.steps, self.batch, *self.model.neurons[name].shape)

    def _scale(self, name: str) -> float:
        """Units per volt: 1 in floating point, else a power of two with which all weights into a layer fit."""
        if not self.fixed:
            return 1.0
        gain = self.model.neurons[name].gain.reshape(-1, 1)
        into = [
            self.model.weights[source][0]
            for source, target in self.model.edges
            if target == name and source in self.model.weights
        ]
        largest = max((float(np.abs(gain * each).max(initial=0)) for each in into), default=0.0)
        if not largest:
            return float(_MOST_SCALE)
        return float(min(_MOST_SCALE, 2.0 ** math.floor(math.log2(_LARGEST_WEIGHT / largest))))

    def _group(self, name: str, neuron: _Neuron) -> Any:
        from lava.proc.lif.process import LIF

        scale, bias = self.scales[name], np.zeros(self.batch * neuron.gain.size)
        options: dict[str, Any] = {"du": neuron.current_decay, "dv": neuron.decay, "vth": neuron.threshold}
        if neuron.current_decay != 1:  # an input would pass through the current
            bias = np.tile(neuron.bias.reshape(-1), self.batch)
        if self.fixed:
            options = {
                "du": int(neuron.current_decay * _DECAY_UNITS) - 1,  # the hardware adds one
                "dv": int(neuron.decay * _DECAY_UNITS),
                "vth": int(neuron.threshold * scale),
            }
            bias = (bias * scale * _STATE_UNITS).astype(int)
        return LIF(shape=(len(bias),), bias_mant=bias, **options)

    def _always(self, name: str) -> Array:
        """What reaches neurons in every step: the biases of the weights before them, and their leak."""
        neuron = self.model.neurons[name]
        gain = neuron.gain.reshape(-1)
        total = neuron.bias.reshape(-1).copy() if neuron.current_decay == 1 else np.zeros(gain.size)
        for source, target in self.model.edges:
            added = self.model.weights[source][1] if target == name and source in self.model.weights else None
            if added is not None:
                total += gain * added
        return total * self.scales[name]

    def _join(self) -> dict[str, list[str]]:
        """Connect everything; says which neurons each Output gets."""
        from lava.proc.io.sink import RingBuffer
        from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

        outputs: dict[str, list[str]] = {name: [] for name, node in self.model.nodes.items() if kind_of(node) == "Output"}
        for source, target in self.model.edges:
            if target in outputs:
                if source not in self.groups:
                    raise CannotBuild(f"node {target!r}: Lava has no output but of neurons")
                outputs[target].append(source)
            elif target in self.model.weights:
                for _, neuron in (edge for edge in self.model.edges if edge[0] == target):
                    self._connect(source, self.model.weights[target][0], neuron)
            elif source not in self.model.weights:
                self._connect(source, np.eye(math.prod(self.model.neurons[target].shape)), target)
        for name, group in self.groups.items():
            always = self._always(name)
            if always.any():
                self._send(np.ones((1, self.steps)), csr_matrix(np.tile(always, self.batch)[:, None]), group)
            self.sinks[name] = RingBuffer(shape=group.s_out.shape, buffer=self.steps)
            group.s_out.connect(self.sinks[name].a_in)
        return outputs

    def _connect(self, source: str, weight: Array, target: str) -> None:
        """A connection from an Input or from neurons, all samples side by side."""
        from scipy.sparse import csr_matrix, identity, kron

        scaled = self.model.neurons[target].gain.reshape(-1, 1) * weight * self.scales[target]
        if source in self.places:
            given = np.ascontiguousarray(self.frames[:, :, self.places[source]].reshape(self.steps, -1).T)
        else:
            given = self.groups[source]
        self._send(given, kron(identity(self.batch), csr_matrix(scaled)).tocsr(), self.groups[target])

    def _send(self, source: Any, weights: Any, target: Any) -> None:
        """A connection to neurons from others, or from what is given at each step, axes (n, T)."""
        from lava.proc.io.source import RingBuffer
        from lava.proc.sparse.process import Sparse

        connection = Sparse(weights=weights.trunc() if self.fixed else weights, num_message_bits=16)
        (RingBuffer(data=source) if isinstance(source, np.ndarray) else source).s_out.connect(connection.s_in)
        connection.a_out.connect(target.a_in)
