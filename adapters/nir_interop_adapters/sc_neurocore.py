"""sc-neurocore: a network of NumPy nodes that is stepped, one sample at a time; its neurons give flat vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nir_interop.backends.adapter import Adapter, Model, read_graph
from nir_interop.errors import CannotBuild
from nir_interop.networks import IF, LI, LIF, Affine, Conv, CubaLIF, Flatten, Layer, Network, Neuron, Pool2d, PoolKind
from nir_interop.networks.layers import per_neuron
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop.vocabulary import Idiom, Reset

if TYPE_CHECKING:
    import nir

Array = NDArray[Any]
_Rows = dict[str, list[list[Array]]]
"""Node → of each sample, what was seen at each step."""

_NEURONS: Mapping[type[Neuron], str] = {IF: "SCIFNode", LI: "SCLINode", LIF: "SCLIFNode", CubaLIF: "SCCubaLIFNode"}


class ScNeurocore(Adapter):
    """sc-neurocore 3.16.0.

    A file does not say how a spike resets: ``from_nir`` is called without ``reset_mode``, which is then ``"reset"``; in an
    environment with the label ``subtract`` (``backends install sc-neurocore --label subtract``) it is called with
    ``"subtract"``.  In a network of its own the mode is the one that the network asks for.
    """

    name: ClassVar[str] = "sc-neurocore"
    run_limit: ClassVar[float | None] = 60.0
    idioms: ClassVar[Mapping[Idiom, str]] = {
        Idiom.PORTABLE: "an SCNetwork of its own nodes at the dt that is meant, to_nir(network)"
    }
    refusals: ClassVar[tuple[str, ...]] = (
        r"NIR node type \w+ not yet supported",
        r"Conv 'same' padding (requires stride 1|needs an even effective kernel span)",
        r"Unsupported conv padding mode",
        r"Nested NIRGraph nodes must expose exactly one input and one output",
    )
    needs: ClassVar[tuple[str, ...]] = ("sc-neurocore", "nir")
    script: ClassVar[str] = """
import nir
from sc_neurocore.nir_bridge import from_nir

network = from_nir(nir.read("graph.nir"), dt=DT)
outputs = []
for sample in range(stimulus.shape[1]):
    network.reset()
    frames = np.float64(stimulus[:, sample])
    outputs.append([network.step({network.input_nodes[0]: x})[network.output_nodes[0]] for x in frames])
output = np.swapaxes(np.array(outputs), 0, 1)
"""

    def prepare(self) -> None:
        """It has neither threads nor chance to pin."""
        import sc_neurocore.nir_bridge  # noqa: F401

    def build(self, network: Network, dt: float, idiom: Idiom) -> Model:
        """Its own nodes hold every parameter that the network asks for, float64."""
        from sc_neurocore.nir_bridge.parser import SCNetwork

        shapes, sources = network.shapes(), network.sources()
        last = network.layers[-1].name
        nodes: dict[str, Any] = {"input": _word("SCInputNode")(name="input", shape=network.input_shape)}
        edges = [(before, layer.name) for layer in network.layers for before in sources[layer.name] or ("input",)]
        flat: set[str] = set()
        for layer in network.layers:
            before = sources[layer.name]
            if flat.intersection(before) and not isinstance(layer, (Neuron, Affine, Flatten)):
                raise CannotBuild(f"layer {layer.name!r}: sc-neurocore's neurons before it give flat vectors")
            if isinstance(layer, (Neuron, Affine, Flatten)):
                flat.add(layer.name)
            shape = shapes[before[0]] if before else network.input_shape
            nodes[layer.name] = _node(layer, shape, network, dt)
            if isinstance(layer, Neuron) and layer.feedback is not None:
                feedback = f"{layer.name}_rec"
                nodes[feedback] = _affine(feedback, layer.feedback.weight, layer.feedback.bias)
                edges += [(layer.name, feedback), (feedback, layer.name)]
        nodes["output"] = _word("SCOutputNode")(name="output", shape=shapes[last])
        edges.append((last, "output"))
        return SCNetwork(nodes=nodes, edges=edges, input_nodes=["input"], output_nodes=["output"])

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        """Its class, and how a spike resets it."""
        options = f"reset_mode={_mode(network)}" if layer.spiking else ""
        return f"{_NEURONS[type(layer)]}({options})"

    def export(self, model: Model, sample: Array, dt: float) -> nir.NIRGraph:
        """``to_nir(network)``: it takes neither a sample nor a step."""
        from sc_neurocore.nir_bridge import to_nir

        return to_nir(model)

    def load(self, path: Path, dt: float) -> Model:
        """``from_nir(graph, dt=dt)``, with ``reset_mode`` where the label says so."""
        from sc_neurocore.nir_bridge import from_nir

        options = {"reset_mode": self.label} if self.label == "subtract" else {}
        return from_nir(read_graph(path), dt=dt, **options)

    def run(self, model: Model, stimulus: Array) -> Recording:
        """Sample by sample, each from ``network.reset()``; several Inputs get what lies side by side in the stimulus."""
        neurons = {name: node for name, node in _leaves(model, "") if getattr(node, "v", None) is not None}
        spiking = sorted(name for name, node in neurons.items() if hasattr(node, "v_threshold"))
        outputs: _Rows = {name: [] for name in model.output_nodes}
        fired: _Rows = {name: [] for name in neurons}
        volts: _Rows = {name: [] for name in neurons}
        for sample in np.swapaxes(np.asarray(stimulus, dtype=np.float64), 0, 1):
            model.reset()
            for rows in (*outputs.values(), *fired.values(), *volts.values()):
                rows.append([])
            with _watched(neurons, fired, volts):
                for frame in sample:
                    for name, value in model.step(_inputs(model, frame)).items():
                        outputs[name][-1].append(np.array(value, dtype=np.float64))
        return Recording(
            outputs={name: _counts(rows) for name, rows in outputs.items()},
            spikes={name: _counts(fired[name]) for name in spiking},
            membranes={name: _stacked(volts[name][:MEMBRANE_SAMPLES]) for name in sorted(neurons)},
        )

    def nodes(self, model: Model) -> frozenset[str]:
        """All that are in its network or in one within it."""
        return frozenset(name for name, _ in _leaves(model, ""))


def _word(name: str) -> Any:
    """A class of the library's nodes."""
    from sc_neurocore.nir_bridge import node_map

    return getattr(node_map, name)


def _mode(network: Network) -> str:
    return "subtract" if network.reset is Reset.SUBTRACT else "reset"


def _node(layer: Layer, shape: tuple[int, ...], network: Network, dt: float) -> Any:
    if isinstance(layer, Neuron):
        size = math.prod(shape)
        parameters = {name: per_neuron(value, shape).reshape(-1) for name, value in layer.parameters()}
        mode = {"reset_mode": _mode(network)} if layer.spiking else {}
        count = {"n_neurons": size}
        return _word(_NEURONS[type(layer)])(name=layer.name, **count, **parameters, dt=dt, **mode)
    if isinstance(layer, Affine):
        return _affine(layer.name, layer.weight, layer.bias)
    if isinstance(layer, Conv):
        return _convolution(layer, shape)
    if isinstance(layer, Flatten):
        return _word("SCFlattenNode")(name=layer.name, start_dim=0, end_dim=-1, input_shape=shape)
    if isinstance(layer, Pool2d) and layer.kind is not PoolKind.MAX:
        kind = _word("SCAvgPool2dNode" if layer.kind is PoolKind.AVERAGE else "SCSumPool2dNode")
        window = (layer.size, layer.size)
        return kind(name=layer.name, kernel_size=window, stride=window, padding=(0, 0))
    what = f"{layer.kind.value} pooling" if isinstance(layer, Pool2d) else type(layer).__name__
    raise CannotBuild(f"layer {layer.name!r}: sc-neurocore has no {what}")


def _affine(name: str, weight: Array, bias: Array | None) -> Any:
    if bias is None:
        return _word("SCLinearNode")(name=name, weight=np.float64(weight))
    return _word("SCAffineNode")(name=name, weight=np.float64(weight), bias=np.float64(bias))


def _convolution(layer: Conv, shape: tuple[int, ...]) -> Any:
    weight = np.asarray(layer.weight, dtype=np.float64)
    bias = np.zeros(len(weight)) if layer.bias is None else np.asarray(layer.bias, dtype=np.float64)
    shared = {"name": layer.name, "weight": weight, "bias": bias, "groups": layer.groups}
    extent: dict[str, Any] = {name: getattr(layer, name) for name in ("stride", "padding", "dilation")}
    if layer.dimensions == 1:
        return _word("SCConv1dNode")(**shared, **extent, input_shape=shape[1])
    pairs = {name: (value, value) for name, value in extent.items()}
    return _word("SCConv2dNode")(**shared, **pairs, input_shape=shape[1:])


def _inputs(model: Any, frame: Array) -> dict[str, Array]:
    """What each Input is given: of several, its part of one vector, in the order of their names."""
    names = sorted(model.input_nodes)
    if len(names) == 1:
        return {names[0]: frame}
    ends = np.cumsum([math.prod(model.nodes[name].shape) for name in names])
    return dict(zip(names, np.split(frame, ends[:-1]), strict=True))


def _leaves(network: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Nodes by name, ``outer.inner`` in a nested network; not the ends, nor the delays that it puts into cycles."""
    for name, node in network.nodes.items():
        inner = getattr(node, "network", None)
        if inner is not None:
            yield from _leaves(inner, f"{prefix}{name}.")
        elif type(node).__name__ not in ("SCInputNode", "SCOutputNode", "_UnitDelayNode"):
            yield f"{prefix}{name}", node


@contextmanager
def _watched(neurons: Mapping[str, Any], fired: _Rows, volts: _Rows) -> Iterator[None]:
    """Add what each neuron gives in a step, and its membrane after that, to what is kept of the sample."""

    def watching(name: str, node: Any) -> Callable[[Array], Array]:
        forward: Callable[[Array], Array] = node.forward

        def watched(x: Array) -> Array:
            y = forward(x)
            fired[name][-1].append(np.array(y))
            volts[name][-1].append(np.array(node.v))
            return y

        return watched

    for name, node in neurons.items():
        node.forward = watching(name, node)
    try:
        yield
    finally:
        for node in neurons.values():
            del node.forward


def _stacked(samples: list[list[Array]]) -> Array:
    """Samples of steps as (T, B, *shape)."""
    return np.swapaxes(np.array(samples), 0, 1)


def _counts(samples: list[list[Array]]) -> Array:
    """The same, uint8 where all are counts."""
    values = _stacked(samples)
    with np.errstate(invalid="ignore"):
        small = values.astype(np.uint8)
    return small if np.array_equal(small, values) else values.astype(np.float32)
