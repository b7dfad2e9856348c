"""Nengo: ensembles of its own neurons, joined by connections and stepped by its simulator.

Nengo has no importer of NIR.  This one is written after the one that was published with NIR (Pedersen et al. 2024), for the
nodes which that takes: what a node becomes there it becomes here, but for what stands at the functions below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nir_interop.backends.adapter import Adapter, Model, read_graph
from nir_interop.backends.watching import counts
from nir_interop.errors import CannotBuild
from nir_interop.networks import Network
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop.vocabulary import Idiom
from nir_interop_adapters.walking import closing, end_shape, in_order, inlined, input_places, kind_of, pair

Array = NDArray[Any]


class Nengo(Adapter):
    """Nengo 4.1.0, with an importer that is this adapter's own."""

    name: ClassVar[str] = "nengo"
    ships_importer: ClassVar[bool] = False
    ships_exporter: ClassVar[bool] = False
    run_limit: ClassVar[float | None] = 60.0
    idioms: ClassVar[Mapping[Idiom, str]] = {}
    refusals: ClassVar[tuple[str, ...]] = (r"Nengo has no ", r"Nengo's \w+ (has|resets|takes)")
    needs: ClassVar[tuple[str, ...]] = ("nengo", "nir", "nir-interop")
    script: ClassVar[str] = """
from pathlib import Path

from nir_interop_adapters.nengo import Nengo

adapter = Nengo()
output = adapter.run(adapter.load(Path("graph.nir"), DT), stimulus).output
"""

    def prepare(self) -> None:
        """It has neither threads nor chance to pin: no ensemble here draws anything."""
        import nengo  # noqa: F401

    def build(self, network: Network, dt: float, idiom: Idiom) -> Model:
        """Nothing: it does not export."""
        raise CannotBuild("Nengo only imports")

    def load(self, path: Path, dt: float) -> Model:
        """Read a file and make a Nengo network of it."""
        return _Importer(read_graph(path), dt).imported()

    def run(self, model: _Imported, stimulus: Array) -> Recording:
        """Sample by sample, each from a simulator that was reset."""
        import nengo

        steps, batch = stimulus.shape[:2]
        frames = np.asarray(stimulus, dtype=np.float64).reshape(steps, batch, -1)
        kept: dict[Any, list[Array]] = {probe: [] for probe in model.probes()}
        with nengo.Simulator(model.network, dt=model.dt, progress_bar=False, optimize=False) as simulator:
            for sample in range(batch):
                if sample:
                    simulator.reset()
                model.stimulus[:] = [frames[:, sample]]
                simulator.run_steps(steps, progress_bar=False)
                for probe, seen in kept.items():
                    seen.append(np.array(simulator.data[probe]))

        def rows(probe: Any, shape: tuple[int, ...], samples: int = batch) -> Array:
            return np.stack(kept[probe][:samples], axis=1).reshape(steps, min(samples, batch), *shape)

        return Recording(
            outputs={name: counts(rows(probe, model.shapes[name])) for name, probe in model.outputs.items()},
            spikes={name: counts(rows(probe, model.shapes[name])) for name, probe in model.spikes.items()},
            membranes={
                name: rows(probe, model.shapes[name], MEMBRANE_SAMPLES) * scale
                for name, (probe, scale) in model.membranes.items()
            },
        )

    def nodes(self, model: _Imported) -> frozenset[str]:
        """All of them: a node that it has no word for is refused."""
        return model.nodes


@dataclass(frozen=True, eq=False)
class _Imported:
    """A Nengo network made of a graph.

    stimulus : of one element, what the Inputs give at each step, axes (T, n)
    shapes : node → shape of what it gives in a step
    membranes : node → probe of its voltage, and what makes volts of that
    """

    network: Any
    dt: float
    nodes: frozenset[str]
    stimulus: list[Array]
    shapes: Mapping[str, tuple[int, ...]]
    outputs: dict[str, Any] = field(default_factory=dict)
    spikes: dict[str, Any] = field(default_factory=dict)
    membranes: dict[str, tuple[Any, Array]] = field(default_factory=dict)

    def probes(self) -> list[Any]:
        """All of them."""
        return [*self.outputs.values(), *self.spikes.values(), *(probe for probe, _ in self.membranes.values())]


@dataclass(frozen=True)
class _Word:
    """What a node became: where connections end and begin, and the filter that a connection into it has."""

    into: Any
    out: Any
    synapse: Any = None


class _Importer:
    """Walks a graph from its Inputs, since the shape of what a node gives follows from the node before it."""

    def __init__(self, graph: Any, dt: float) -> None:
        self.dt = dt
        self.nodes, self.edges = inlined(graph)
        self.kinds = {name: kind_of(node) for name, node in self.nodes.items()}
        self.before: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            self.before[target].append(source)
        self.late = closing(self.nodes, self.edges)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.words: dict[str, _Word] = {}

    def imported(self) -> _Imported:
        """The network, with a probe of each Output and of all neurons."""
        import nengo

        stimulus: list[Array] = [np.zeros((0, 0))]
        with nengo.Network(seed=0) as network:
            self._inputs(stimulus)
            for name in in_order(self.nodes, self.edges, self.late):
                if name not in self.words:
                    self._add(name)
            for source, target in self.edges:
                self._connect(source, target)
            inner = frozenset(name for name, kind in self.kinds.items() if kind not in ("Input", "Output"))
            model = _Imported(network, self.dt, inner, stimulus, self.shapes)
            for name, word in self.words.items():
                kind = self.kinds[name]
                if kind == "Output":
                    model.outputs[name] = nengo.Probe(word.out)
                elif kind in ("LIF", "CubaLIF", "IF"):
                    model.spikes[name] = nengo.Probe(word.out)
                    scale = np.asarray(self.nodes[name].v_threshold, dtype=np.float64)
                    model.membranes[name] = (nengo.Probe(word.out, "voltage"), scale)
        return model

    def _inputs(self, stimulus: list[Array]) -> None:
        """Each gives its part of a step of the stimulus."""
        import nengo

        for name, place in input_places(self.nodes).items():

            def give(t: float, place: slice = place) -> Array:
                part: Array = stimulus[0][round(t / self.dt) - 1, place]
                return part

            shape = end_shape(self.nodes[name].input_type)
            node = nengo.Node(give, size_out=math.prod(shape), label=name)
            self.shapes[name] = shape
            self.words[name] = _Word(None, node)

    def _add(self, name: str) -> None:
        node, kind = self.nodes[name], self.kinds[name]
        make: Callable[[str, Any, tuple[int, ...]], _Word] | None = getattr(self, f"_{kind.lower()}", None)
        if make is None:
            raise CannotBuild(f"node {name!r}: Nengo has no {kind} here; its published importer knows {', '.join(_KNOWN)}")
        before = [self.shapes[source] for source in self.before[name] if source in self.shapes]
        self.words[name] = make(name, node, before[0] if before else ())

    def _connect(self, source: str, target: str) -> None:
        """A filter of the node it leads to; an edge that closes a cycle and has none is one of Nengo's that wait a step."""
        import nengo

        word = self.words[target]
        synapse = word.synapse
        if synapse is None and (source, target) in self.late:
            synapse = 0
        nengo.Connection(self.words[source].out, word.into, synapse=synapse)

    def _output(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        return self._node(name, before, math.prod(before))

    def _flatten(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        """Of what the node before gives; Nengo's vectors are flat anyway."""
        start, end = (place % len(before) for place in (node.start_dim, node.end_dim))
        shape = (*before[:start], math.prod(before[start : end + 1]), *before[end + 1 :])
        return self._node(name, shape, math.prod(before))

    def _linear(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        weight = np.asarray(node.weight, dtype=np.float64)
        return self._node(name, (len(weight),), weight.shape[1], lambda t, x: weight @ x)

    def _affine(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        weight, bias = np.asarray(node.weight, dtype=np.float64), np.asarray(node.bias, dtype=np.float64)
        return self._node(name, (len(weight),), weight.shape[1], lambda t, x: weight @ x + bias)

    def _conv2d(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        """A sparse connection, Nengo's Convolution, from a vector that holds the padding."""
        import nengo

        weight = np.asarray(node.weight, dtype=np.float64)
        if np.any(np.asarray(node.dilation) != 1) or node.groups != 1:
            raise CannotBuild(f"node {name!r}: Nengo's Convolution has neither dilation nor groups")
        if isinstance(node.padding, str):
            raise CannotBuild(f"node {name!r}: Nengo has no padding {node.padding!r} here; write it in numbers")
        padded = [(0, 0), *((each, each) for each in pair(node.padding))]
        within = np.pad(np.ones(before, dtype=bool), padded)
        transform = nengo.Convolution(
            n_filters=len(weight),
            input_shape=within.shape,
            channels_last=False,
            init=weight.transpose(2, 3, 1, 0),
            strides=pair(node.stride),
            padding="valid",
            kernel_size=weight.shape[2:],
        )
        start = nengo.Node(size_in=math.prod(before), label=name)
        around = nengo.Node(size_in=within.size)
        nengo.Connection(start, around[np.flatnonzero(within)], synapse=None)
        word = self._node(name, transform.output_shape.shape, transform.size_out)
        nengo.Connection(around, word.into, synapse=None, transform=transform)
        bias = np.broadcast_to(_flat(node.bias), len(weight))
        if bias.any():
            always = nengo.Node(np.repeat(bias, transform.size_out // len(bias)))
            nengo.Connection(always, word.into, synapse=None)
        return _Word(start, word.out)

    def _sumpool2d(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        """A Convolution with ones, each channel by itself."""
        import nengo

        if np.any(np.asarray(node.padding) != 0):
            raise CannotBuild(f"node {name!r}: Nengo has no padded pooling here")
        window = pair(node.kernel_size)
        transform = nengo.Convolution(
            n_filters=before[0],
            input_shape=before,
            channels_last=False,
            init=np.broadcast_to(np.eye(before[0]), (*window, before[0], before[0])),
            strides=pair(node.stride),
            padding="valid",
            kernel_size=window,
        )
        start = nengo.Node(size_in=math.prod(before), label=name)
        word = self._node(name, transform.output_shape.shape, transform.size_out)
        nengo.Connection(start, word.into, synapse=None, transform=transform)
        return _Word(start, word.out)

    def _lif(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        """``nengo.LIF``, no refractory period; r and the threshold are in its gain, v_leak its bias (published: 1 and 0)."""
        import nengo

        _rests_at_zero(name, node, "LIF")
        threshold = _flat(node.v_threshold)
        kind = nengo.LIF(tau_rc=_one(name, node, "tau", "LIF"), tau_ref=0, amplitude=self.dt, initial_state=_silent())
        return self._neurons(name, node.tau, kind, _flat(node.r) / threshold, _flat(node.v_leak) / threshold)

    def _if(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        """A neuron type of the published importer's; its gain holds r, which is 1 there, and a step that is 1."""
        _rests_at_zero(name, node, "IF")
        gain = _flat(node.r) / _flat(node.v_threshold)
        return self._neurons(name, node.r, _integrate_and_fire(self.dt), gain, np.zeros(gain.size))

    def _cubalif(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        """``nengo.LIF`` behind a Lowpass whose time constant makes it decay as forward Euler does, as published."""
        import nengo

        _rests_at_zero(name, node, "LIF")
        tau = _one(name, node, "tau_syn", "Lowpass")
        if tau <= self.dt:
            raise CannotBuild(f"node {name!r}: Nengo's Lowpass takes a tau_syn longer than dt = {self.dt:g}")
        synapse = nengo.Lowpass(-self.dt / math.log(1 - self.dt / tau))
        threshold = _flat(node.v_threshold)
        gain = _flat(node.w_in) * _flat(node.r) / threshold
        kind = nengo.LIF(tau_rc=_one(name, node, "tau_mem", "LIF"), tau_ref=0, amplitude=self.dt, initial_state=_silent())
        return self._neurons(name, node.tau_mem, kind, gain, _flat(node.v_leak) / threshold, synapse)

    def _li(self, name: str, node: Any, before: tuple[int, ...]) -> _Word:
        """A Lowpass, as published, where r is 1 and v_leak 0."""
        import nengo

        if np.any(_flat(node.v_leak) != 0) or np.any(_flat(node.r) != 1):
            raise CannotBuild(f"node {name!r}: Nengo's Lowpass has neither v_leak nor r")
        shape = np.shape(node.tau)
        return self._node(name, shape, math.prod(shape), synapse=nengo.Lowpass(_one(name, node, "tau", "Lowpass")))

    def _node(
        self,
        name: str,
        shape: tuple[int, ...],
        size: int,
        compute: Callable[[float, Array], Array] | None = None,
        synapse: Any = None,
    ) -> _Word:
        """A Nengo node of a function, or one that passes on the sum of what it gets."""
        import nengo

        self.shapes[name] = tuple(int(each) for each in shape)
        options = {} if compute is None else {"size_out": math.prod(shape)}
        node = nengo.Node(compute, size_in=size, label=name, **options)
        return _Word(node, node, synapse)

    def _neurons(self, name: str, like: Any, kind: Any, gain: Array, bias: Array, synapse: Any = None) -> _Word:
        import nengo

        self.shapes[name] = np.shape(like)
        count = np.size(like)
        made = nengo.Ensemble(
            count, 1, neuron_type=kind, gain=np.broadcast_to(gain, count), bias=np.broadcast_to(bias, count), label=name
        )
        return _Word(made.neurons, made.neurons, synapse)


_KNOWN = ("Affine", "Conv2d", "CubaLIF", "Flatten", "IF", "LI", "LIF", "Linear", "SumPool2d")


def _integrate_and_fire(dt: float) -> Any:
    """One spike a step where the membrane is above 1, which it then leaves for 0."""
    import nengo

    class IntegrateAndFire(nengo.SpikingRectifiedLinear):  # type: ignore[misc]
        def step(self, dt: float, J: Array, output: Array, voltage: Array) -> None:
            voltage += J * dt
            output[:] = (self.amplitude / dt) * (voltage > 1)
            voltage[output > 0] = 0

    return IntegrateAndFire(amplitude=dt, initial_state=_silent())


def _silent() -> dict[str, Any]:
    import nengo

    return {"voltage": nengo.dists.Choice([0])}


def _rests_at_zero(name: str, node: Any, kind: str) -> None:
    if node.v_reset is not None and np.any(_flat(node.v_reset) != 0):
        raise CannotBuild(f"node {name!r}: Nengo's {kind} resets to 0; v_reset is {_flat(node.v_reset)[0]:g}")


def _one(name: str, node: Any, parameter: str, kind: str) -> float:
    values = np.unique(_flat(getattr(node, parameter)))
    if values.size != 1:
        raise CannotBuild(f"node {name!r}: Nengo's {kind} has one {parameter}; here it differs per neuron")
    return float(values[0])


def _flat(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64).reshape(-1)
