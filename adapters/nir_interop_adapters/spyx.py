"""spyx: layers of JAX and Flax in a chain, channels last; spikes are read from the membrane of the step before."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import spyx.axn
import spyx.fn
import spyx.nir
import spyx.nn as snn
from flax import nnx
from numpy.typing import NDArray

from nir_interop.backends.adapter import Adapter, read_graph
from nir_interop.backends.building import chain, folded_arrays, folded_factors, gain_ratio, scales
from nir_interop.backends.watching import counts, nodes_of
from nir_interop.errors import CannotBuild
from nir_interop.learning import Samples, TrainingSettings
from nir_interop.networks import IF, LI, LIF, Affine, Conv, CubaLIF, Flatten, Layer, Network, Neuron, Pool2d, PoolKind
from nir_interop.networks.layers import Parameter, per_neuron, uniform
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop.vocabulary import Idiom, Reset

Array = NDArray[Any]

_NEURONS = (snn.IF, snn.LIF, snn.CuBaLIF, snn.RIF, snn.RLIF, snn.RCuBaLIF, snn.PSU_LIF)
_STATEFUL = (*_NEURONS, snn.LI)
_WITH_CURRENT = (snn.CuBaLIF, snn.RCuBaLIF)
"""Their state is the membrane and the current, side by side on the last axis."""
_SLOPE = 2.0
"""Of the surrogate gradient, 1 - k |x| near the threshold: the library's default."""
_MOST_PROGRAMS = 32
"""That are kept at a time."""
_XLA_FLAGS = "--xla_cpu_max_isa=AVX2 --xla_cpu_multi_thread_eigen=false"
"""One thread, and instructions that every processor of the last ten years has: wider ones add up in another order."""


@dataclass(frozen=True, eq=False)
class Model:
    """A chain of layers and what they are called.

    names : of the chain's layers, in their order
    held : names of the nodes of the graph that it holds
    flat : of a built network, number of a layer → where each of NIR's elements stands in its flat output
    """

    chain: Any
    names: tuple[str, ...]
    held: frozenset[str] = frozenset()
    flat: Mapping[int, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Built(Model):
    """A network in spyx's words.

    factors : parameter prefix → what its weights were multiplied with, one value or one per row
    """

    network: Network = field(kw_only=True)
    factors: Mapping[str, Array] = field(kw_only=True)
    idiom: Idiom = field(kw_only=True)


class Spyx(Adapter):
    """spyx 1.0.0."""

    name: ClassVar[str] = "spyx"
    idioms: ClassVar[Mapping[Idiom, str]] = {
        Idiom.TUTORIAL: "decays and thresholds as numbers; to_nir(model, input_shape, output_shape, dt=1), as in all its "
        "examples, which is also its default",
        Idiom.PORTABLE: "decays and thresholds as arrays, one value a neuron; to_nir(…, dt) with the step that is meant",
    }
    run_limit: ClassVar[float | None] = 30.0  # it compiles what it runs
    refusals: ClassVar[tuple[str, ...]] = (
        r"nir\.LI without a following nir\.Threshold has no Spyx module",
        r"only 4-node RNN allowed in subgraph",
        r"invalid RNN subgraph",
    )
    needs: ClassVar[tuple[str, ...]] = ("spyx", "nir")
    script: ClassVar[str] = """
import jax.numpy as jnp
import nir
from spyx.nir import from_nir

x = np.moveaxis(stimulus, 2, -1) if stimulus.ndim == 5 else stimulus  # spyx takes channels last
model, output = from_nir(nir.read("graph.nir"), jnp.asarray(x), dt=DT)
output = np.asarray(output)
output = np.moveaxis(output, -1, 2) if output.ndim == 5 else output
"""

    def __init__(self) -> None:
        self._programs: set[tuple[str, tuple[int, ...]]] = set()

    def prepare(self) -> None:
        """The processor alone, one thread, and instructions that all have: sums are then taken in the same order everywhere."""
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAGS}".strip()
        jax.config.update("jax_platforms", "cpu")

    def build(self, network: Network, dt: float, idiom: Idiom) -> Built:
        layers, shapes = chain(network, "spyx.nn.Sequential"), network.shapes()
        factors = folded_factors(network, {layer.name: _ratio(network, layer, dt) for layer in network.neurons()})
        arrays = folded_arrays(network, factors)
        flat: dict[int, Array] = {}

        def built() -> Any:
            before, order, modules = network.input_shape, None, []
            for number, layer in enumerate(layers):
                if isinstance(layer, Neuron):
                    modules.append(_neuron(layer, network, dt, idiom, arrays, order))
                elif isinstance(layer, Affine):
                    modules.append(_linear(layer, arrays, order))
                    order = None
                else:
                    modules.append(_spatial(layer, arrays))
                if isinstance(layer, Flatten) and len(before) == 3:
                    order = _flat_order(before)
                if order is not None:
                    flat[number] = np.argsort(order)
                before = shapes[layer.name]
            return snn.Sequential(*modules)

        made = _traced(built)
        names = tuple(layer.name for layer in layers)
        return Built(made, names, flat=flat, network=network, factors=factors, idiom=idiom)

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        names = {IF: "IF", LIF: "LIF", CubaLIF: "CuBaLIF", LI: "LI"}
        return ("" if layer.feedback is None else "R") + names.get(type(layer), type(layer).__name__)

    def train(self, model: Built, samples: Samples, settings: TrainingSettings) -> dict[str, Array]:
        """Adam of optax on spyx's own loss, without its smoothing of labels, through its triangular surrogate gradient.

        The rate falls to 0 along a line; decays stay what they are, as NIR's parameters of neurons do in every library.
        """
        slope = _SLOPE if settings.surrogate_slope is None else settings.surrogate_slope
        for layer in model.chain.layers:
            if isinstance(layer, _NEURONS):
                layer.spike = spyx.axn.triangular(slope)
        definition, weights, rest = nnx.split(model.chain, _is_weight, ...)
        batches = [chosen for epoch in range(settings.epochs) for chosen in settings.batches(len(samples), epoch)]
        by = scales(model.network, model.factors)
        factors = {path: float(np.mean(by[key])) for key, path in _paths(model).items()}
        rates = jax.tree_util.tree_map_with_path(
            lambda path, _: settings.learning_rate * factors[tuple(each.key for each in path[:3])], weights
        )
        optimizer = optax.chain(
            optax.scale_by_adam(),
            optax.scale_by_schedule(optax.linear_schedule(-1.0, 0.0, len(batches))),
        )
        loss = spyx.fn.integral_crossentropy(smoothing=0.0, time_axis=0)

        def update(weights: Any, memory: Any, inputs: Any, labels: Any) -> Any:
            def of(weights: Any) -> Any:
                return loss(snn.run(nnx.merge(definition, weights, rest), inputs)[0], labels)

            changes, memory = optimizer.update(jax.grad(of)(weights), memory)
            return optax.apply_updates(weights, jax.tree.map(jnp.multiply, changes, rates)), memory

        updated = jax.jit(update)
        memory = optimizer.init(weights)
        for chosen in batches:
            x = np.asarray(samples.pick(chosen), dtype=np.float32)
            x = np.moveaxis(x, 2, -1) if x.ndim == 5 else x
            weights, memory = updated(weights, memory, jnp.asarray(x), jnp.asarray(samples.labels[chosen]))
        nnx.update(model.chain, weights)
        return {key: np.float64(value) / by[key] for key, value in _weights(model).items()}

    def export(self, model: Built, sample: Array, dt: float) -> Any:
        ends = model.network.input_shape, model.network.shapes()[model.network.layers[-1].name]
        given = {} if model.idiom is Idiom.TUTORIAL else {"dt": float(dt)}
        return spyx.nir.to_nir(model.chain, {"input": np.array(ends[0])}, {"output": np.array(ends[1])}, **given)

    def load(self, path: Path, dt: float) -> Model:
        """The importer runs what it builds; a step of silence is the least that it takes."""
        graph = read_graph(path)
        known = frozenset(nodes_of(graph))

        def imported() -> Any:
            silence = jnp.zeros((1, 1, *_channels_last(_input_shape(graph))))
            return spyx.nir.from_nir(graph, silence, dt=float(dt))[0]

        module = _traced(imported)
        names, held = _walked(graph, known)
        return Model(module, names, held)

    def run(self, model: Model, stimulus: Array) -> Recording:
        x = np.asarray(stimulus, dtype=np.float32)
        x = np.moveaxis(x, 2, -1) if x.ndim == 5 else x
        definition, parameters = nnx.split(model.chain)
        structure = _Structure(definition)
        self._make_room(structure, x.shape)
        outputs, spikes, membranes = _compiled(structure, parameters, jnp.asarray(x))

        def seen(at: int, array: Any) -> Array:
            values = np.asarray(array)
            values = values[..., model.flat[at]] if at in model.flat else values
            return np.ascontiguousarray(np.moveaxis(values, -1, 2) if values.ndim == 5 else values)

        return Recording(
            {"output": counts(seen(len(model.names) - 1, outputs))},
            {model.names[at]: counts(seen(at, each)) for at, each in spikes.items()},
            {model.names[at]: seen(at, each) for at, each in membranes.items()},
        )

    def nodes(self, model: Model) -> frozenset[str]:
        return model.held

    def _make_room(self, structure: _Structure, shape: tuple[int, ...]) -> None:
        """Forget what was compiled before there is too much of it: JAX keeps all, some 4 MB a program."""
        if (structure.text, shape) not in self._programs and len(self._programs) >= _MOST_PROGRAMS:
            jax.clear_caches()
            self._programs.clear()
        self._programs.add((structure.text, shape))


class _Structure:
    """What layers are, without their parameters; equal where all is that they say of themselves.

    Flax's own structures cannot be hashed where a layer has a list, as the importer's convolutions have.
    """

    def __init__(self, definition: Any) -> None:
        self.definition, self.text = definition, repr(definition)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Structure) and self.text == other.text


def _run(structure: _Structure, parameters: Any, x: Any) -> tuple[Any, dict[int, Any], dict[int, Any]]:
    """What ``spyx.nn.run`` does, keeping what each neuron gives at each step, and its membrane after it."""
    chain = nnx.merge(structure.definition, parameters)

    def step(states: list[Any], frame: Any) -> tuple[list[Any], tuple[Any, dict[int, Any], dict[int, Any]]]:
        value, after = frame, []
        spikes, membranes = {}, {}
        for at, (layer, state) in enumerate(zip(chain.layers, states, strict=True)):
            if state is None:
                value = layer(value)
            else:
                value, state = layer(value, state)
            after.append(state)
            if isinstance(layer, _NEURONS):
                spikes[at] = value
            if isinstance(layer, _STATEFUL):
                membranes[at] = (jnp.split(state, 2, -1)[0] if isinstance(layer, _WITH_CURRENT) else state)[:MEMBRANE_SAMPLES]
        return after, (value, spikes, membranes)

    _, kept = jax.lax.scan(step, chain.initial_state(x.shape[1]), x)
    found: tuple[Any, dict[int, Any], dict[int, Any]] = kept
    return found


_compiled = jax.jit(_run, static_argnums=0)
"""Compiled once for layers of the same kinds and shapes, and a stimulus of the same shape."""


def _traced(make: Callable[[], Any]) -> Any:
    """What a function makes, traced as a whole.

    spyx's and Flax's layers draw their parameters before they are given any; nothing depends on that, and so it takes no time.
    """
    structure: Any = None

    def parameters() -> Any:
        nonlocal structure
        structure, found = nnx.split(make())
        return found

    found = jax.jit(parameters)()
    return nnx.merge(structure, found)


def _input_shape(graph: Any) -> tuple[int, ...]:
    """Of one sample at one step, as the graph has it."""
    inputs = [node for node in graph.nodes.values() if type(node).__name__ == "Input"]
    first = graph.nodes.get("input", inputs[0] if inputs else None)
    shape = next(iter(getattr(first, "input_type", {}).values()), ())
    return tuple(int(size) for size in np.atleast_1d(np.asarray(shape, dtype=np.int64)))


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def _walked(graph: Any, known: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """A name for each layer that the importer made, and all nodes that these hold: its own walk, along the first edge of each.

    It has put recurrences into graphs of their own, in the graph itself.
    """
    after: dict[str, str] = {}
    for source, target in graph.edges:
        after.setdefault(source, target)
    names: list[str] = []
    held: set[str] = set()
    at = after.get("input")
    while at is not None and at != "output":
        node = graph.nodes[at]
        kind = type(node).__name__
        if kind == "NIRGraph":
            inner = {each: _own(at, each, known) for each in node.nodes}
            held |= set(filter(None, inner.values()))
            neuron = next((each for each, one in node.nodes.items() if type(one).__name__ in ("IF", "LIF", "CubaLIF")), "")
            names.append(inner.get(neuron) or at)
        elif kind == "LI":  # its Threshold is part of the layer
            held |= {at, after[at]}
            at = after[at]
            names.append(at)
        elif kind in ("Affine", "Linear", "Conv2d", "SumPool2d", "IF", "LIF", "CubaLIF", "Flatten"):
            held.add(at)
            names.append(at)
        at = after.get(at)
    return tuple(names), frozenset(held)


def _own(outer: str, inner: str, known: frozenset[str]) -> str | None:
    """The name that a node of a nested graph has in the file, where it was there."""
    return next((name for name in (f"{outer}.{inner}", inner) if name in known), None)


def _flat_order(shape: tuple[int, ...]) -> Array:
    """Which of NIR's elements, (C, H, W), stand where in what spyx's Flatten gives of (H, W, C)."""
    order: Array = np.arange(int(np.prod(shape))).reshape(shape).transpose(1, 2, 0).reshape(-1)
    return order


def _ratio(network: Network, layer: Neuron, dt: float) -> Array:
    """Its neurons add their input as it is."""
    step = np.float64(dt)
    if isinstance(layer, (LIF, LI)):
        return gain_ratio(network, layer, r=(layer.r, layer.tau / step))
    if isinstance(layer, IF):
        return gain_ratio(network, layer, r=(layer.r, 1 / step))
    if isinstance(layer, CubaLIF):
        return gain_ratio(network, layer, r=(layer.r, layer.tau_mem / step), w_in=(layer.w_in, layer.tau_syn / step))
    raise CannotBuild(f"layer {layer.name!r}: spyx has no {type(layer).__name__}")


def _is_weight(path: tuple[Any, ...], value: Any) -> bool:
    """Whether a parameter is one of the network's, which training changes."""
    return path[-1] in ("kernel", "bias", "recurrent_w")


def _paths(model: Built) -> dict[str, tuple[Any, ...]]:
    """Key of a parameter in the network → its path in the chain."""
    words = {"weight": "kernel", "bias": "bias", "feedback.weight": "recurrent_w"}
    found = {}
    for key in model.network.parameters():
        name, _, what = key.partition(".")
        found[key] = ("layers", model.names.index(name), words[what])
    return found


def _weights(model: Built) -> dict[str, Array]:
    """Key of a parameter in the network → what the chain has, in NIR's order of axes and columns."""
    found: dict[str, Array] = {}
    for key, (_, number, word) in _paths(model).items():
        value = np.asarray(getattr(model.chain.layers[number], word)[...])
        if word == "kernel" and value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        elif word != "bias":
            value = value.T
        columns = model.flat.get(number - 1) if word == "kernel" and value.ndim == 2 else None
        found[key] = value if columns is None else value[:, columns]
    return found


def _linear(layer: Affine, arrays: Mapping[str, Array], order: Array | None) -> Any:
    """order : of the columns, where what comes in is flat and channels last."""
    weight = arrays[f"{layer.name}.weight"]
    weight = weight if order is None else weight[:, order]
    made = nnx.Linear(weight.shape[1], weight.shape[0], use_bias=layer.bias is not None, rngs=nnx.Rngs(0))
    made.kernel[...] = jnp.asarray(weight.T)
    if layer.bias is not None:
        made.bias[...] = jnp.asarray(arrays[f"{layer.name}.bias"])
    return made


def _spatial(layer: Layer, arrays: Mapping[str, Array]) -> Any:
    if isinstance(layer, Flatten):
        return snn.Flatten()
    if isinstance(layer, Pool2d):
        if layer.kind is not PoolKind.SUM:
            raise CannotBuild(f"layer {layer.name!r}: spyx has no module for {layer.kind.value} pooling")
        return snn.SumPool((layer.size, layer.size), (layer.size, layer.size), "VALID")
    if not isinstance(layer, Conv) or layer.dimensions != 2:
        raise CannotBuild(f"layer {layer.name!r}: spyx takes images, channels last, and no one-dimensional convolution")
    weight = arrays[f"{layer.name}.weight"]
    made = nnx.Conv(
        weight.shape[1] * layer.groups,
        weight.shape[0],
        weight.shape[2:],
        strides=(layer.stride, layer.stride),
        padding=[(layer.padding, layer.padding)] * 2,
        kernel_dilation=(layer.dilation, layer.dilation),
        feature_group_count=layer.groups,
        use_bias=layer.bias is not None,
        rngs=nnx.Rngs(0),
    )
    made.kernel[...] = jnp.asarray(weight.transpose(2, 3, 1, 0))
    if layer.bias is not None:
        made.bias[...] = jnp.asarray(arrays[f"{layer.name}.bias"])
    return made


def _neuron(layer: Neuron, network: Network, dt: float, idiom: Idiom, arrays: Mapping[str, Array], order: Array | None) -> Any:
    values: Mapping[str, Parameter] = dict(layer.parameters())
    shape = network.shapes()[layer.name]
    if layer.spiking and network.reset is not Reset.SUBTRACT:
        raise CannotBuild(f"layer {layer.name!r}: spyx's neurons are reset by subtraction alone")
    if np.any(values.get("v_leak", 0.0)):
        raise CannotBuild(f"layer {layer.name!r}: spyx's neurons rest at 0; v_leak is not")
    if layer.feedback is not None and layer.feedback.bias is not None:
        raise CannotBuild(f"layer {layer.name!r}: spyx's recurrent neurons have no bias")

    def word(value: Parameter) -> Any:
        """A number where the tutorial writes one; else an array, channels last."""
        one = uniform(value)
        if idiom is Idiom.TUTORIAL and one is not None:
            return one
        every = per_neuron(value, shape)
        every = every.transpose(1, 2, 0) if every.ndim == 3 else every
        return np.float32(every if order is None else every[order])

    def decay(name: str) -> Parameter:
        kept: Array = 1 - dt / np.asarray(values[name], dtype=np.float64)
        if np.any(kept < 0):
            raise CannotBuild(f"layer {layer.name!r}: spyx's decay lies in [0, 1]; {name} must be at least dt = {dt:g}")
        return kept

    decays: dict[str, Parameter] = {}
    if isinstance(layer, CubaLIF):
        decays = {"alpha": decay("tau_syn"), "beta": decay("tau_mem")}
    elif not isinstance(layer, IF):
        decays = {"beta": decay("tau")}
    recurrent = layer.feedback is not None
    kinds = {IF: (snn.IF, snn.RIF), LIF: (snn.LIF, snn.RLIF), CubaLIF: (snn.CuBaLIF, snn.RCuBaLIF), LI: (snn.LI,)}
    kind = kinds[type(layer)]
    if recurrent and len(kind) == 1:
        raise CannotBuild(f"layer {layer.name!r}: spyx has no recurrent {type(layer).__name__}")
    options = {name: word(value) for name, value in decays.items()}
    numbers = {name: value for name, value in options.items() if isinstance(value, float)}
    if layer.spiking:
        numbers["threshold"] = word(values["v_threshold"])
    hidden = (*shape[1:], shape[0]) if len(shape) == 3 else shape
    made = kind[recurrent](hidden, rngs=nnx.Rngs(0), **numbers)
    for name, value in options.items():
        if name not in numbers:  # its constructors take a number, or draw an array of the layer's shape
            getattr(made, name)[...] = value
    if recurrent:
        made.recurrent_w[...] = jnp.asarray(arrays[f"{layer.name}.feedback.weight"].T)
    return made
