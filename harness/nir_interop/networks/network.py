"""A network, independent of any library, and the graph that a faultless exporter would write of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import NotExpressible
from nir_interop.networks.layers import IF, LI, LIF, Affine, Conv, CubaLIF, Flatten, Layer, Neuron, Pool2d, PoolKind, per_neuron
from nir_interop.vocabulary import Readout, Reset

if TYPE_CHECKING:  # whoever only looks at networks does without it
    import nir

Array = NDArray[Any]
Nodes = dict[str, "nir.NIRNode"]
Edges = list[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Network:
    """What every library is asked to build.

    layers : in an order in which each comes after its inputs
    input_shape : of a sample at one step, without batch
    dt : the step [s] the network is meant for (a soft reset can be said in NIR only for a known step)
    reset : what a spike does to the membrane
    free_gain : whether a library may write its own r and w_in and scale the weights before them instead,
        so that weight × r (× w_in) stays what it is; False: the values themselves must be held
    readout : how a class is read from the output
    seed : of the weights
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    dt: float = 1e-4
    reset: Reset = Reset.VALUE
    free_gain: bool = True
    readout: Readout = Readout.RATE
    seed: int = 0

    def sources(self) -> dict[str, tuple[str, ...]]:
        """Layer → names of the layers that feed it; empty for those fed by the network's input."""
        found: dict[str, tuple[str, ...]] = {}
        before: tuple[str, ...] = ()
        for layer in self.layers:
            found[layer.name] = layer.inputs or before
            before = (layer.name,)
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Layer → shape of its output at one step, without batch."""
        sources = self.sources()
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in self.layers:
            inputs = [shapes[name] for name in sources[layer.name]] or [self.input_shape]
            shapes[layer.name] = _output_shape(layer, inputs[0])
        return shapes

    def neurons(self) -> tuple[Neuron, ...]:
        """The layers with a membrane."""
        return tuple(layer for layer in self.layers if isinstance(layer, Neuron))

    def to_nir(self) -> nir.NIRGraph:
        """The intended graph: what a faultless exporter would write; nodes are named after the layers.

        A recurrent layer ``n`` has its feedback in the node ``n_rec``.  A soft reset, for which NIR has no field, is the
        composition leaky integrator ``n_membrane`` → Threshold ``n`` → Scale ``n_reset`` → ``n_membrane``, fed by another leaky
        integrator ``n_synapse`` where the neuron is current-based: see ``_soft_reset``.
        Raises NotExpressible for max pooling.
        """
        import nir

        shapes = self.shapes()
        nodes: Nodes = {"input": nir.Input({"input": np.array(self.input_shape)})}
        edges: Edges = []
        sources = self.sources()
        entries = {layer.name: _entry(layer, self.reset) for layer in self.layers}
        for layer in self.layers:
            names = sources[layer.name]
            shape = shapes[names[0]] if names else self.input_shape
            edges += [(name, entries[layer.name]) for name in names or ("input",)]
            if isinstance(layer, Neuron):
                _add_neuron(nodes, edges, layer, shape, self)
            else:
                nodes[layer.name] = _stateless(layer, shape)
        last = self.layers[-1].name
        nodes["output"] = nir.Output({"output": np.array(shapes[last])})
        edges.append((last, "output"))
        return nir.NIRGraph(nodes, edges, type_check=False)

    def parameters(self) -> dict[str, Array]:
        """What training changes, in NIR units, keyed ``layer.weight``, ``layer.bias``, ``layer.feedback.weight``, …"""
        found: dict[str, Array] = {}
        for layer in self.layers:
            if isinstance(layer, (Affine, Conv)):
                holder, prefix = layer, layer.name
            elif isinstance(layer, Neuron) and layer.feedback is not None:
                holder, prefix = layer.feedback, f"{layer.name}.feedback"  # type: ignore[assignment]
            else:
                continue
            found[f"{prefix}.weight"] = holder.weight
            if holder.bias is not None:
                found[f"{prefix}.bias"] = holder.bias
        return found

    def with_parameters(self, learned: Mapping[str, Array]) -> Network:
        """The same network with other weights and biases; keys as :meth:`parameters` gives them."""
        layers: list[Layer] = []
        for layer in self.layers:
            if isinstance(layer, (Affine, Conv)):
                layers.append(replace(layer, **_changes(layer.name, layer.bias, learned)))
            elif isinstance(layer, Neuron) and layer.feedback is not None:
                changes = _changes(f"{layer.name}.feedback", layer.feedback.bias, learned)
                layers.append(replace(layer, feedback=replace(layer.feedback, **changes)))
            else:
                layers.append(layer)
        return replace(self, layers=tuple(layers))


def _changes(prefix: str, bias: Array | None, learned: Mapping[str, Array]) -> dict[str, Any]:
    changes = {"weight": learned[f"{prefix}.weight"]}
    if bias is not None:
        changes["bias"] = learned[f"{prefix}.bias"]
    return changes


def _output_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(layer, Affine):
        return (layer.weight.shape[0],)
    if isinstance(layer, Flatten):
        return (int(np.prod(shape)),)
    if isinstance(layer, Pool2d):
        return (shape[0], shape[1] // layer.size, shape[2] // layer.size)
    if isinstance(layer, Conv):
        kernel = layer.weight.shape[2:]
        extents = [
            size + 2 * layer.padding - layer.dilation * (width - 1) for size, width in zip(shape[1:], kernel, strict=True)
        ]
        return (layer.weight.shape[0], *((extent - 1) // layer.stride + 1 for extent in extents))
    return shape


def _entry(layer: Layer, reset: Reset) -> str:
    soft = reset is Reset.SUBTRACT and isinstance(layer, Neuron) and layer.spiking
    if not soft:
        return layer.name
    return f"{layer.name}_synapse" if isinstance(layer, CubaLIF) else f"{layer.name}_membrane"


def _stateless(layer: Layer, shape: tuple[int, ...]) -> nir.NIRNode:
    import nir

    if isinstance(layer, Affine):
        weight = np.array(layer.weight, dtype=np.float32)
        if layer.bias is None:
            return nir.Linear(weight)
        return nir.Affine(weight, np.array(layer.bias, dtype=np.float32))
    if isinstance(layer, Conv):
        return _convolution(layer, shape)
    if isinstance(layer, Flatten):
        return nir.Flatten({"input": np.array(shape)}, start_dim=layer.start_dim, end_dim=-1)
    if isinstance(layer, Pool2d):
        if layer.kind is PoolKind.MAX:
            raise NotExpressible(f"layer {layer.name!r}: NIR has no max pooling; use average or sum pooling")
        kind = nir.AvgPool2d if layer.kind is PoolKind.AVERAGE else nir.SumPool2d
        window = np.array([layer.size, layer.size])
        return kind(kernel_size=window, stride=window.copy(), padding=np.array([0, 0]))
    raise NotExpressible(f"layer {layer.name!r}: NIR has no {type(layer).__name__}")


def _convolution(layer: Conv, shape: tuple[int, ...]) -> nir.NIRNode:
    import nir

    weight = np.array(layer.weight, dtype=np.float32)
    bias = np.zeros(len(weight)) if layer.bias is None else layer.bias
    shared: dict[str, Any] = {"weight": weight, "groups": layer.groups, "bias": np.array(bias, dtype=np.float32)}
    if layer.dimensions == 1:
        return nir.Conv1d(input_shape=shape[1], stride=layer.stride, padding=layer.padding, dilation=layer.dilation, **shared)
    pair = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    return nir.Conv2d(input_shape=(shape[1], shape[2]), **{key: (value, value) for key, value in pair.items()}, **shared)


def _add_neuron(nodes: Nodes, edges: Edges, layer: Neuron, shape: tuple[int, ...], network: Network) -> None:
    import nir

    if network.reset is Reset.SUBTRACT and layer.spiking:
        _soft_reset(nodes, edges, layer, shape, network.dt)
    else:
        parameters = {name: np.float32(per_neuron(value, shape)) for name, value in layer.parameters()}
        kinds = {IF: nir.IF, LI: nir.LI, LIF: nir.LIF, CubaLIF: nir.CubaLIF}
        nodes[layer.name] = kinds[type(layer)](**parameters)
    if layer.feedback is not None:
        feedback = f"{layer.name}_rec"
        nodes[feedback] = _stateless(Affine(name=feedback, weight=layer.feedback.weight, bias=layer.feedback.bias), shape)
        edges += [(layer.name, feedback), (feedback, _entry(layer, network.reset))]


def _soft_reset(nodes: Nodes, edges: Edges, layer: Neuron, shape: tuple[int, ...], dt: float) -> None:
    r"""Reset by subtraction, said with a threshold and a feedback.

    A spike at step :math:`t` lowers the membrane by :math:`\theta` before step :math:`t+1`.  A feedback of weight :math:`w`
    arrives one step late, through the gain of the membrane's own input, so

    .. math:: v_{t+1} = a\,(v_t - \theta s_t) + g\,x_{t+1} = a\,v_t + g\,(x_{t+1} + w\,s_t), \quad w = -a\,\theta/g

    with :math:`a = 1 - dt/\tau,\ g = R\,dt/\tau` (LIF, and CubaLIF with its membrane's) or :math:`a = 1,\ g = R\,dt` (IF).
    """
    import nir

    values = {name: per_neuron(value, shape) for name, value in layer.parameters()}
    if isinstance(layer, LIF):
        decay, gain = 1 - dt / values["tau"], values["r"] * dt / values["tau"]
        membrane = nir.LI(tau=values["tau"], r=values["r"], v_leak=values["v_leak"])
    elif isinstance(layer, CubaLIF):
        decay, gain = 1 - dt / values["tau_mem"], values["r"] * dt / values["tau_mem"]
        membrane = nir.LI(tau=values["tau_mem"], r=values["r"], v_leak=values["v_leak"])
        nodes[f"{layer.name}_synapse"] = nir.LI(tau=values["tau_syn"], r=values["w_in"], v_leak=np.zeros(shape))
        edges.append((f"{layer.name}_synapse", f"{layer.name}_membrane"))
    elif isinstance(layer, IF):
        decay, gain = np.ones(shape), values["r"] * dt
        membrane = nir.I(r=values["r"])
    else:
        raise NotExpressible(f"layer {layer.name!r}: NIR has no soft reset of a {type(layer).__name__}")
    theta = values["v_threshold"]
    nodes[f"{layer.name}_membrane"] = membrane
    nodes[layer.name] = nir.Threshold(theta)
    nodes[f"{layer.name}_reset"] = nir.Scale(-decay * theta / gain)
    edges += [
        (f"{layer.name}_membrane", layer.name),
        (layer.name, f"{layer.name}_reset"),
        (f"{layer.name}_reset", f"{layer.name}_membrane"),
    ]
