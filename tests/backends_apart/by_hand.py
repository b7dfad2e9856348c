"""A small graph and its input, and neurons stepped in NumPy, for tests of libraries that only import."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.graphs import Graph, Node

Array = NDArray[Any]

DT, SIZE = 1e-3, 6
_RNG = np.random.default_rng(31)
WEIGHT, BIAS = _RNG.normal(size=(SIZE, 5)), _RNG.normal(scale=0.1, size=SIZE)
CURRENT_WEIGHT = _RNG.normal(scale=0.5, size=(SIZE, SIZE))
STIMULUS = _RNG.integers(-1, 3, size=(60, 3, 5)).astype(np.float32)
"""Whole numbers, which fixed point takes as they are."""
INTO = STIMULUS.astype(np.float64) @ WEIGHT.T + BIAS


def chain(**nodes: Node) -> Graph:
    """Input → the nodes → Output."""
    ends = {"input": Node("Input", {"shape": np.array([5])}), "output": Node("Output", {"shape": np.array([SIZE])})}
    order = ["input", *nodes, "output"]
    return Graph(ends | nodes, tuple(itertools.pairwise(order)))


def affine(bias: Array = BIAS) -> Node:
    return Node("Affine", {"weight": WEIGHT, "bias": bias})


def neuron(kind: str, **values: Any) -> Node:
    """A node with these parameters for each of its neurons."""
    return Node(kind, {name: np.broadcast_to(np.asarray(value, dtype=np.float64), (SIZE,)) for name, value in values.items()})


def lif(**values: Any) -> Node:
    plain = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.4, "v_reset": 0.0}
    return neuron("LIF", **{**plain, **values})


def cuba(**values: Any) -> Node:
    plain = {"tau_syn": 3e-3, "tau_mem": 5e-3, "r": 1.0, "v_leak": 0.0, "w_in": 1.0, "v_threshold": 0.4, "v_reset": 0.0}
    return neuron("CubaLIF", **{**plain, **values})


def spikes(
    current: Array, keep: Array | float, gain: Array | float, theta: Array | float, *, leak: Array | float = 0.0,
    reset: Array | float = 0.0, floor: float = -np.inf,
) -> tuple[Array, Array]:  # fmt: skip
    """v = keep v + gain x + leak, one spike above theta, then v = reset; v is kept above a floor.  Spikes and membranes."""
    v = np.zeros(current.shape[1:])
    fired, kept = [], []
    for x in current:
        v = keep * v + gain * x + leak
        s = v > theta
        v = np.where(s, reset, np.maximum(v, floor))
        fired.append(s.astype(np.float64))
        kept.append(v)
    return np.array(fired), np.array(kept)
