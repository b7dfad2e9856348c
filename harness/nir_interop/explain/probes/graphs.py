"""The graphs of the probes: one node, a chain of two, a recurrence with a bias."""

from __future__ import annotations

import itertools

import numpy as np

from nir_interop.graphs import Graph, Node

FEEDBACK = 0.4
"""Weight and bias of a recurrence, in units of the input that brings the membrane to its threshold."""


def _port(kind: str, size: int) -> Node:
    return Node(kind, {"shape": np.array([size])})


def single(node: Node, size: int) -> Graph:
    """Input → neuron → Output."""
    return _path({"neuron": node}, size)


def chain(node: Node, size: int, weight: float) -> Graph:
    """Input → neuron → Linear → neuron → Output: a delay of each layer would add up."""
    # Symmetric: a layer that is transposed is not the neurons' matter.
    mixed = weight * (0.75 * np.eye(size) + 0.25)
    return _path({"first": node, "weights": Node("Linear", {"weight": mixed.astype(np.float32)}), "second": node}, size)


def cycle(node: Node, size: int, weight: float, bias: float, *, nested: bool) -> Graph:
    """A neuron that feeds itself through an Affine, at the top level or in a graph of its own.

    The inner graph of a nested one is what libraries know as a recurrent layer: its nodes are called ``lif`` and ``w_rec``.
    """
    turned = weight * np.roll(np.eye(size), 1, axis=1)
    back = Node("Affine", {"weight": turned.astype(np.float32), "bias": np.full(size, bias, dtype=np.float32)})
    inside = {"lif": node, "w_rec": back}
    around = (("lif", "w_rec"), ("w_rec", "lif"))
    ends = {"input": _port("Input", size), "output": _port("Output", size)}
    if not nested:
        return Graph(ends | inside, (("input", "lif"), *around, ("lif", "output")))
    inner = Graph(ends | inside, (("input", "lif"), *around, ("lif", "output")))
    return Graph({**ends, "layer": inner}, (("input", "layer"), ("layer", "output")))


def _path(nodes: dict[str, Node], size: int) -> Graph:
    ends = {"input": _port("Input", size), "output": _port("Output", size)}
    return Graph(ends | nodes, tuple(itertools.pairwise(["input", *nodes, "output"])))
