"""Graphs: the nodes that tests put together, and generated chains of layers with joins, recurrence, delays and nesting."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st

from nir_interop.graphs import Graph, Node

DT = 1e-4


def node(kind: str, **params: Any) -> Node:
    """A node with its parameters as arrays, or as words."""
    return Node(kind, {name: value if isinstance(value, str) else np.asarray(value) for name, value in params.items()})


def alike(kind: str, size: int | tuple[int, ...], **params: Any) -> Node:
    """Neurons with the same numbers each; what is given as an array stays as it is."""
    return node(kind, **{name: np.full(size, value) if np.isscalar(value) else value for name, value in params.items()})


def lif(size: int | tuple[int, ...] = 3, **params: Any) -> Node:
    """Leaky integrate-and-fire neurons, all alike: τ = 2 ms, r = 1, v_leak = 0, v_threshold = 1, v_reset = 0, or as given."""
    return alike("LIF", size, **{"tau": 2e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **params})


def cuba_lif(size: int | tuple[int, ...] = 3, **params: Any) -> Node:
    """The same with a synapse: τ_syn = 1 ms, τ_mem = 2 ms, w_in = 1, or as given."""
    taus = {"tau_syn": 1e-3, "tau_mem": 2e-3}
    values = {"r": 1.0, "w_in": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return alike("CubaLIF", size, **{**taus, **values, **params})


def port(kind: str, size: int) -> Node:
    """An Input or Output for ``size`` elements."""
    return node(kind, shape=[size])


def chain(*nodes: Node, size: int) -> Graph:
    """Input → n0 → n1 → … → Output."""
    named = {f"n{number}": each for number, each in enumerate(nodes)}
    path = ["input", *named, "output"]
    last = next((len(each["weight"]) for each in reversed(nodes) if "weight" in each.params), size)
    ends = {"input": port("Input", size), "output": port("Output", last)}
    return Graph(ends | named, tuple(itertools.pairwise(path)))


def neuron(kind: str, size: int, rng: np.random.Generator, strength: float = 1.0) -> Node:
    """A neuron with parameters off their neutral values, different in each element."""

    def between(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, size)

    tau = {"tau": between(5e-4, 4e-3)}
    taus = {"tau_syn": between(5e-4, 2e-3), "tau_mem": between(5e-4, 4e-3), "w_in": strength * between(2, 4)}
    rest = {"v_leak": between(-0.1, 0.1)}
    fire = {"v_threshold": between(0.5, 1.0), "v_reset": between(-0.3, 0.1)}
    resistance = {"r": strength * between(2, 4)}
    fast = {"r": strength * between(2e3, 4e3)}
    families: dict[str, dict[str, np.ndarray]] = {
        "I": fast,
        "IF": fast | fire,
        "LI": tau | rest | resistance,
        "LIF": tau | rest | fire | resistance,
        "CubaLI": taus | rest | resistance,
        "CubaLIF": taus | rest | fire | resistance,
    }
    return node(kind, **families[kind])


NEURON_KINDS = ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF")


@st.composite
def graphs(draw: st.DrawFn, recurrent: bool | None = None) -> Graph:
    """A graph with an input of 3 elements: dense layers and neurons, maybe a skip, a feedback and a subgraph."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes: dict[str, Node | Graph] = {"input": port("Input", 3)}
    edges: list[tuple[str, str]] = []
    before, width = "input", 3
    for depth in range(draw(st.integers(1, 3))):
        size = draw(st.integers(1, 5))
        dense, cell = f"dense{depth}", f"cell{depth}"
        nodes[dense] = node("Affine", weight=rng.normal(0, 1, (size, width)), bias=rng.normal(0, 0.2, size))
        nodes[cell] = neuron(draw(st.sampled_from(NEURON_KINDS)), size, rng)
        edges += [(before, dense), (dense, cell)]
        if draw(st.booleans()):
            nodes[f"skip{depth}"] = node("Linear", weight=rng.normal(0, 1, (size, width)))
            edges += [(before, f"skip{depth}"), (f"skip{depth}", cell)]
        if draw(st.booleans()) if recurrent is None else recurrent:
            nodes[f"rec{depth}"] = node("Affine", weight=rng.normal(0, 0.3, (size, size)), bias=rng.normal(0, 0.3, size))
            edges += [(cell, f"rec{depth}"), (f"rec{depth}", cell)]
        if draw(st.booleans()):
            inner = {
                "in": port("Input", size),
                "s": node("Scale", scale=rng.uniform(0.5, 1.5, size)),
                "out": port("Output", size),
            }
            nodes[f"sub{depth}"] = Graph(inner, (("in", "s"), ("s", "out")))
            edges.append((cell, f"sub{depth}"))
            cell = f"sub{depth}"
        if draw(st.booleans()):
            nodes[f"delay{depth}"] = node("Delay", delay=DT * rng.integers(0, 4, size))
            edges.append((cell, f"delay{depth}"))
            cell = f"delay{depth}"
        before, width = cell, size
    nodes["output"] = port("Output", width)
    return Graph(nodes, (*edges, (before, "output")))


@st.composite
def cyclic_graphs(draw: st.DrawFn, delays: bool = True) -> Graph:
    """A chain of 2 elements with edges back and across: cycles within cycles, with several entries, with and without memory;
    maybe with Delays, some of which have an element that does not wait."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, count = 2, int(rng.integers(2, 8))
    makers = [
        lambda: neuron(str(rng.choice(["LIF", "IF", "CubaLIF", "LI"])), size, rng),
        lambda: node("Affine", weight=rng.normal(0, 0.5, (size, size)), bias=rng.normal(0, 0.3, size)),
        lambda: node("Scale", scale=rng.normal(0, 0.5, size)),
        lambda: node("Threshold", threshold=rng.normal(0, 0.5, size)),
    ]
    if delays:
        makers += 2 * [lambda: node("Delay", delay=DT * rng.integers(rng.integers(2), 4, size))]
    nodes = {"input": port("Input", size), "output": port("Output", size)}
    for number in range(count):
        nodes[f"{rng.choice(list('adkqz'))}{number}"] = makers[rng.integers(len(makers))]()
    inner = [name for name in nodes if name not in ("input", "output")]
    edges = {*itertools.pairwise(["input", *inner, "output"])}
    for _ in range(int(rng.integers(1, 5))):
        edges.add((inner[rng.integers(count)], inner[rng.integers(count)]))
    if rng.random() < 0.5:
        edges.add(("input", inner[rng.integers(count)]))
    return Graph(nodes, tuple(sorted(edges)))


def stimulus(graph_seed: int, steps: int = 30, batch: int = 3, size: int = 3) -> np.ndarray:
    """Graded input, axes (T, B, size)."""
    return np.random.default_rng(graph_seed).normal(0.3, 1.0, (steps, batch, size))
