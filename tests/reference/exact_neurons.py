"""Neurons to solve: made, driven and drawn at random."""

from __future__ import annotations

import numpy as np

from nir_interop.graphs import Node
from nir_interop.reference.exact import exact_neuron
from tests.strategies import node

DT = 1e-3
KINDS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")
SPIKING = ("IF", "LIF", "CubaLIF")


def run(neurons: Node, x: np.ndarray, dt: float = DT) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and membranes for an input (T, B, \\*shape)."""
    neuron = exact_neuron(neurons, x.shape[2:], dt)
    outputs, membranes, _ = neuron.sequence(x, neuron.start(x.shape[1]))
    return outputs, membranes


def run_one(neurons: Node, x: list[float] | np.ndarray, dt: float = DT) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and membranes (T,) of a single neuron."""
    outputs, membranes = run(neurons, np.reshape(x, (-1, 1, 1)), dt)
    return outputs.ravel(), membranes.ravel()


def random_node(kind: str, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> Node:
    """A neuron that an input of order 1 drives through its threshold every few steps of 1 ms."""
    values: dict[str, object] = {"r": rng.uniform(0.5, 2, shape)}
    if kind in ("I", "IF"):
        values["r"] = rng.uniform(50, 200, shape)
    else:
        values["v_leak"] = rng.uniform(-0.1, 0.1, shape)
    if kind in ("LI", "LIF"):
        values["tau"] = rng.uniform(1e-3, 2e-2, shape)
    if kind in ("CubaLI", "CubaLIF"):
        values |= {"tau_mem": rng.uniform(1e-3, 2e-2, shape), "tau_syn": rng.uniform(1e-3, 2e-2, shape)}
        values["w_in"] = rng.uniform(0.5, 2, shape)
    if kind in SPIKING:
        values |= {"v_threshold": rng.uniform(0.2, 0.5, shape), "v_reset": rng.uniform(-0.2, 0.1, shape)}
    return node(kind, **values)
