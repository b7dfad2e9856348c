"""What the adapter tests share: a forward Euler loop that knows no library, and the way of a graph through a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nir_interop.backends.adapter import Adapter
from nir_interop.compare import assert_same_spikes
from nir_interop.networks import LIF, Affine, Network
from nir_interop.networks.layers import per_neuron
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom, Reset

Array = NDArray[Any]


def knowing(adapter: Adapter) -> Idiom:
    """The idiom of those who know how to export: what is worked around, where something is."""
    return max(adapter.idioms, key=list(Idiom).index)


def bernoulli(network: Network, batch: int = 3, steps: int = 40, rate: float = 0.3, seed: int = 1) -> Array:
    """Random spikes, axes (T, B, *shape)."""
    generator = np.random.default_rng(seed)
    return (generator.random((steps, batch, *network.input_shape)) < rate).astype(np.uint8)


def euler(network: Network, stimulus: Array, dt: float, start: str = "zero") -> tuple[dict[str, Array], dict[str, Array]]:
    """Spikes and membranes after reset of a chain of Affine and LIF layers, float64; start: zero, v_leak or v_reset."""
    signal = stimulus.astype(np.float64)
    spikes, membranes = {}, {}
    for layer in network.layers:
        if isinstance(layer, Affine):
            signal = signal @ layer.weight.T + layer.bias
            continue
        assert isinstance(layer, LIF)
        p = {name: per_neuron(value, signal.shape[2:]) for name, value in layer.parameters()}
        v = np.zeros(signal.shape[1:]) + (0.0 if start == "zero" else p[start])
        fired, kept = [], []
        for x in signal:
            v = v + dt / p["tau"] * (p["v_leak"] - v + p["r"] * x)
            s = v > p["v_threshold"]
            v = np.where(s, v - p["v_threshold"] if network.reset is Reset.SUBTRACT else p["v_reset"], v)
            fired.append(s)
            kept.append(v)
        signal = np.array(fired, dtype=np.float64)
        spikes[layer.name], membranes[layer.name] = np.array(fired, dtype=np.uint8), np.array(kept)
    return spikes, membranes


def assert_computes_euler(recording: Recording, network: Network, stimulus: Array, dt: float, start: str = "zero") -> None:
    """Every layer's spikes are those of the Euler loop, and its membranes to float32 precision."""
    __tracebackhide__ = True
    spikes, membranes = euler(network, stimulus, dt, start)
    assert recording.spikes.keys() == spikes.keys()
    for name, expected in spikes.items():
        different = int((recording.spikes[name] != expected).sum())
        assert different == 0, f"{network.name} {name}: {different} of {expected.size} spikes differ"
        assert expected.sum() >= 20, f"{network.name} {name}: too quiet to prove anything"
        np.testing.assert_allclose(recording.membranes[name], membranes[name][:, :4], atol=2e-5)
    assert_same_spikes(recording.output, spikes[network.layers[-1].name])


def sent_through_a_file(adapter: Adapter, model: Any, network: Network, folder: Path, dt: float) -> tuple[nir.NIRGraph, Any]:
    """Export, write, load: the exported graph and the imported model."""
    graph = adapter.export(model, np.zeros((1, *network.input_shape), dtype=np.float32), dt)
    path = folder / f"{network.name}.nir"
    nir.write(path, graph)
    return graph, adapter.load(path, dt)
