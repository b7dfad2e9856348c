"""Nodes with random parameters, for graphs that passes are tried on."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from nir_interop.graphs import Graph, Node
from tests.strategies import DT, node


def random_lif(shape: int | tuple[int, ...], rng: np.random.Generator) -> Node:
    """Leaky integrate-and-fire neurons, each with parameters of its own."""
    values = {"tau": rng.uniform(4, 12, shape) * DT, "r": rng.uniform(1, 2, shape), "v_leak": rng.normal(0, 0.05, shape)}
    return node("LIF", **values, v_threshold=rng.uniform(0.2, 0.4, shape), v_reset=rng.uniform(-0.2, 0, shape))


def conv(out: int, into: int, rng: np.random.Generator, kernel: tuple[int, ...] = (3, 2), **given: Any) -> Node:
    """A convolution in as many dimensions as its kernel has, stride 1 and no padding unless said otherwise."""
    many = len(kernel) == 2
    whole = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | given
    extents = {
        name: value if isinstance(value, str) else np.array([value] * 2 if many and name != "groups" else value)
        for name, value in whole.items()
    }
    weight = rng.normal(0.2, 0.5, (out, into // whole["groups"], *kernel)).astype(np.float32)
    return Node("Conv2d" if many else "Conv1d", {"weight": weight, "bias": rng.normal(0.3, 0.2, out), **extents})


def pool(kind: str, kernel: Any = (2, 2), stride: Any = (2, 2), padding: Any = (0, 0)) -> Node:
    return node(kind, kernel_size=np.array(kernel), stride=np.array(stride), padding=np.array(padding))


def flatten(start: int = 0, end: int = -1) -> Node:
    return node("Flatten", start_dim=start, end_dim=end)


def dense(out: int, into: int, rng: np.random.Generator) -> Node:
    return node("Affine", weight=rng.normal(0.2, 0.5, (out, into)).astype(np.float32), bias=rng.normal(0.2, 0.2, out))


def path(*nodes: Node, to: tuple[int, ...], shape: tuple[int, ...] = (2, 6, 5)) -> Graph:
    """Input → n0 → n1 → … → Output."""
    named = {f"n{number}": each for number, each in enumerate(nodes)}
    ends = {"input": node("Input", shape=shape), "output": node("Output", shape=to)}
    return Graph(ends | named, tuple(itertools.pairwise(["input", *named, "output"])))
