"""The intended graph of a network: what a faultless exporter would write."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nir_interop.errors import NotExpressible
from nir_interop.networks.layers import IF, LI, LIF, Affine, Conv, CubaLIF, Flatten, Layer, Neuron, Pool2d, PoolKind, per_neuron
from nir_interop.networks.network import Network
from nir_interop.vocabulary import Reset

Nodes = dict[str, nir.NIRNode]
Edges = list[tuple[str, str]]


def intended_graph(network: Network) -> nir.NIRGraph:
    """Write a network as NIR; nodes are named after the layers.

    A recurrent layer ``n`` has its feedback in the node ``n_rec``.  A soft reset, for which NIR has no field, is the
    composition leaky integrator ``n_membrane`` → Threshold ``n`` → Scale ``n_reset`` → ``n_membrane`` (see ``_soft_reset``).
    Raises NotExpressible for max pooling and for a soft reset of a current-based neuron.
    """
    shapes = network.shapes()
    nodes: Nodes = {"input": nir.Input({"input": np.array(network.input_shape)})}
    edges: Edges = []
    sources = network.sources()
    entries = {layer.name: _entry(layer, network.reset) for layer in network.layers}
    for layer in network.layers:
        names = sources[layer.name]
        shape = shapes[names[0]] if names else network.input_shape
        edges += [(name, entries[layer.name]) for name in names or ("input",)]
        if isinstance(layer, Neuron):
            _add_neuron(nodes, edges, layer, shape, network)
        else:
            nodes[layer.name] = _stateless(layer, shape)
    last = network.layers[-1].name
    nodes["output"] = nir.Output({"output": np.array(shapes[last])})
    edges.append((last, "output"))
    return nir.NIRGraph(nodes, edges, type_check=False)


def _entry(layer: Layer, reset: Reset) -> str:
    soft = reset is Reset.SUBTRACT and isinstance(layer, Neuron) and layer.spiking
    return f"{layer.name}_membrane" if soft else layer.name


def _stateless(layer: Layer, shape: tuple[int, ...]) -> nir.NIRNode:
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
    weight = np.array(layer.weight, dtype=np.float32)
    bias = np.zeros(len(weight)) if layer.bias is None else layer.bias
    shared: dict[str, Any] = {"weight": weight, "groups": layer.groups, "bias": np.array(bias, dtype=np.float32)}
    if layer.dimensions == 1:
        return nir.Conv1d(input_shape=shape[1], stride=layer.stride, padding=layer.padding, dilation=layer.dilation, **shared)
    pair = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    return nir.Conv2d(input_shape=(shape[1], shape[2]), **{key: (value, value) for key, value in pair.items()}, **shared)


def _add_neuron(nodes: Nodes, edges: Edges, layer: Neuron, shape: tuple[int, ...], network: Network) -> None:
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

    with :math:`a = 1 - dt/\tau,\ g = R\,dt/\tau` (LIF) or :math:`a = 1,\ g = R\,dt` (IF).
    """
    values = {name: per_neuron(value, shape) for name, value in layer.parameters()}
    if isinstance(layer, LIF):
        decay, gain = 1 - dt / values["tau"], values["r"] * dt / values["tau"]
        membrane = nir.LI(tau=values["tau"], r=values["r"], v_leak=values["v_leak"])
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
