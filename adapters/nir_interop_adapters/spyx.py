"""spyx: layers of JAX and Flax in a chain, channels last; spikes are read from the membrane of the step before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import spyx.nir
import spyx.nn as snn
from flax import nnx
from numpy.typing import NDArray

from nir_interop.backends.adapter import Adapter, read_graph
from nir_interop.errors import CannotBuild
from nir_interop.networks import Network
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop.vocabulary import Idiom

Array = NDArray[Any]

_NEURONS = (snn.IF, snn.LIF, snn.CuBaLIF, snn.RIF, snn.RLIF, snn.RCuBaLIF, snn.PSU_LIF)
_WITH_CURRENT = (snn.CuBaLIF, snn.RCuBaLIF)
"""Their state is the membrane and the current, side by side on the last axis."""
_XLA_FLAGS = "--xla_cpu_max_isa=AVX2"
"""Instructions that every processor of the last ten years has: wider ones add up in another order."""


@dataclass(frozen=True, eq=False)
class Model:
    """A chain of layers and what they are called.

    names : of the chain's layers, in their order
    held : names of the nodes of the graph that it holds
    """

    chain: Any
    names: tuple[str, ...]
    held: frozenset[str]


class Spyx(Adapter):
    """spyx 1.0.0."""

    name: ClassVar[str] = "spyx"
    idioms: ClassVar[Mapping[Idiom, str]] = {}
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

    def prepare(self) -> None:
        """The processor alone, and instructions that all processors have: sums are then taken in the same order everywhere."""
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAGS}".strip()
        jax.config.update("jax_platforms", "cpu")

    def build(self, network: Network, dt: float, idiom: Idiom) -> Model:
        raise CannotBuild("spyx: networks are not written in its words yet")

    def load(self, path: Path, dt: float) -> Model:
        """The importer runs what it builds, on a step of silence, the least that it takes.

        It also draws every parameter before it takes the graph's.  Nothing depends on either, and traced as a whole neither takes
        any time.
        """
        graph = read_graph(path)
        known = frozenset(_names(graph, ""))
        structure = None

        def imported() -> Any:
            nonlocal structure
            silence = jnp.zeros((1, 1, *_channels_last(_input_shape(graph))))
            chain, _ = spyx.nir.from_nir(graph, silence, dt=float(dt))
            structure, parameters = nnx.split(chain)
            return parameters

        parameters = jax.jit(imported)()
        names, held = _walked(graph, known)
        return Model(nnx.merge(structure, parameters), names, held)

    def run(self, model: Model, stimulus: Array) -> Recording:
        x = np.asarray(stimulus, dtype=np.float32)
        x = np.moveaxis(x, 2, -1) if x.ndim == 5 else x
        outputs, spikes, membranes = _compiled(*nnx.split(model.chain), jnp.asarray(x))
        return Recording(
            {"output": _counts(outputs)},
            {model.names[at]: _counts(each) for at, each in spikes.items()},
            {model.names[at]: _channels_first(each) for at, each in membranes.items()},
        )

    def nodes(self, model: Model) -> frozenset[str]:
        return model.held


def _run(structure: Any, parameters: Any, x: Any) -> tuple[Any, dict[int, Any], dict[int, Any]]:
    """What ``spyx.nn.run`` does, keeping what each neuron gives at each step, and its membrane after it."""
    chain = nnx.merge(structure, parameters)

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
                membranes[at] = (jnp.split(state, 2, -1)[0] if isinstance(layer, _WITH_CURRENT) else state)[:MEMBRANE_SAMPLES]
        return after, (value, spikes, membranes)

    _, kept = jax.lax.scan(step, chain.initial_state(x.shape[1]), x)
    found: tuple[Any, dict[int, Any], dict[int, Any]] = kept
    return found


_compiled = jax.jit(_run, static_argnums=0)
"""Compiled once for layers of the same kinds and shapes, and a stimulus of the same shape."""


def _input_shape(graph: Any) -> tuple[int, ...]:
    """Of one sample at one step, as the graph has it."""
    inputs = [node for node in graph.nodes.values() if type(node).__name__ == "Input"]
    first = graph.nodes.get("input", inputs[0] if inputs else None)
    shape = next(iter(getattr(first, "input_type", {}).values()), ())
    return tuple(int(size) for size in np.atleast_1d(np.asarray(shape, dtype=np.int64)))


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def _channels_first(array: Any) -> Array:
    """Of all steps and samples, as an array of its own."""
    values = np.asarray(array)
    return np.ascontiguousarray(np.moveaxis(values, -1, 2) if values.ndim == 5 else values)


def _counts(array: Any) -> Array:
    """Counts as small integers, all else as it is."""
    values = _channels_first(array)
    with np.errstate(invalid="ignore"):
        small = values.astype(np.uint8)
    return small if np.array_equal(small.astype(values.dtype), values) else values


def _names(graph: Any, prefix: str) -> Iterator[str]:
    for name, node in graph.nodes.items():
        kind = type(node).__name__
        if kind == "NIRGraph":
            yield from _names(node, f"{prefix}{name}.")
        elif kind not in ("Input", "Output"):
            yield f"{prefix}{name}"


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
