"""The neurons of the probes, and the graphs that they are in: off neutral values and fixed points, as far as they are taken."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Gains, GainState, NeuronCondition
from nir_interop.graphs import Graph, Node, inline
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.recording import Recording
from nir_interop.rule import FIXED_DT

Values = NDArray[np.float64]

SIZE = 3
"""Neurons of a probe."""

SPREAD = np.array([1.0, 1.75, 0.625])
"""What a heterogeneous parameter is multiplied with, neuron by neuron."""


def gains_of(kind: str) -> tuple[Gains, ...]:
    """Where r and w_in may stand, the most informative first."""
    off, one, matched, fixed = GainState.OFF, GainState.ONE, GainState.MATCHED, GainState.MATCHED_FIXED
    if "w_in" not in PARAMETERS[kind]:
        return tuple(Gains(r) for r in (off, one, matched, fixed))
    pairs = ((off, off), (matched, off), (fixed, off), (off, matched), (one, one), (matched, matched), (fixed, fixed))
    return tuple(Gains(*pair) for pair in pairs)


@dataclass(frozen=True)
class Variation:
    """How a probe's neuron differs from the plain one.

    tau, tau_syn : in steps
    leak, reset, threshold : in volts
    different : parameters that differ from neuron to neuron
    """

    tau: float = 10.0
    tau_syn: float = 6.0
    leak: float = 0.0
    reset: float = 0.0
    threshold: float = 1.0
    different: frozenset[str] = field(default_factory=frozenset)

    def fits(self, kind: str) -> bool:
        """Whether a primitive has what is varied."""
        names, plain = PARAMETERS[kind], Variation()
        wanted = set(self.different)
        wanted |= {"v_leak"} if self.leak else set()
        wanted |= {"v_reset"} if self.reset else set()
        wanted |= {"v_threshold"} if self.threshold != plain.threshold else set()
        wanted |= {"tau"} if self.tau != plain.tau else set()
        wanted |= {"tau_syn"} if self.tau_syn != plain.tau_syn else set()
        return all(name in names or (name == "tau" and "tau_mem" in names) for name in wanted)

    def condition(self) -> NeuronCondition:
        """What is unusual, wherever r and w_in stand; which values it has is of no matter."""
        plain = Variation()
        voltages = frozenset(name for name, value in (("v_leak", self.leak), ("v_reset", self.reset)) if value)
        below = frozenset(name for name, steps in (("tau", self.tau), ("tau_syn", self.tau_syn)) if steps < 1)
        found = NeuronCondition(voltages, self.leak != 0 and self.leak == self.reset, below, self.different)
        if found != NeuronCondition():
            return found
        only_threshold = self == replace(plain, threshold=self.threshold)
        return NeuronCondition(tau=None if only_threshold else self.tau, off_threshold=only_threshold and self != plain)


def neuron(kind: str, dt: float, gains: Gains, variation: Variation, size: int = SIZE, dtype: type = np.float32) -> Node:
    """A probe's node: all parameters per neuron, of the file's type."""
    values = {
        "tau": _values(variation, "tau", variation.tau * dt, size),
        "tau_syn": _values(variation, "tau_syn", variation.tau_syn * dt, size),
        "v_leak": _values(variation, "v_leak", variation.leak, size),
        "v_reset": _values(variation, "v_reset", variation.reset, size),
        "v_threshold": _values(variation, "v_threshold", variation.threshold, size),
        "threshold": _values(variation, "threshold", variation.threshold, size),
        "delay": _values(variation, "delay", 3 * dt, size),
    }
    values["tau_mem"] = values["tau"]
    leaky = "tau" in PARAMETERS[kind] or "tau_mem" in PARAMETERS[kind]
    unit = values["tau"] if leaky else np.ones(size)
    off = np.full(size, 2.5) if leaky else np.full(size, 0.375 / dt)
    values["r"] = _gain(gains.r, unit, dt, off) * _values(variation, "r", 1.0, size)
    values["w_in"] = _gain(gains.w_in, values["tau_syn"], dt, np.full(size, 1.75)) * _values(variation, "w_in", 1.0, size)
    return Node(kind, {name: values[name].astype(dtype) for name in PARAMETERS[kind]})


def _gain(state: GainState, tau: Values, dt: float, off: Values) -> Values:
    return {
        GainState.OFF: off,
        GainState.ONE: np.ones_like(tau),
        GainState.MATCHED: tau / dt,
        GainState.MATCHED_FIXED: tau / FIXED_DT,
    }[state]


def _values(variation: Variation, name: str, value: float, size: int) -> Values:
    spread = np.resize(SPREAD, size) if name in variation.different else np.ones(size)
    return value * spread


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


def cycle(node: Node, size: int, weight: float, bias: float | None, *, nested: bool) -> Graph:
    """A neuron that feeds itself through an Affine, or through a Linear, at the top level or in a graph of its own.

    The inner graph of a nested one is what libraries know as a recurrent layer: its nodes are called ``lif`` and ``w_rec``.
    """
    turned = weight * np.roll(np.eye(size), 1, axis=1)
    weights = {"weight": turned.astype(np.float32)}
    biased = {} if bias is None else {"bias": np.full(size, bias, dtype=np.float32)}
    back = Node("Linear" if bias is None else "Affine", weights | biased)
    inside = {"lif": node, "w_rec": back}
    around = (("lif", "w_rec"), ("w_rec", "lif"))
    ends = {"input": _port("Input", size), "output": _port("Output", size)}
    if not nested:
        return Graph(ends | inside, (("input", "lif"), *around, ("lif", "output")))
    inner = Graph(ends | inside, (("input", "lif"), *around, ("lif", "output")))
    return Graph({**ends, "layer": inner}, (("input", "layer"), ("layer", "output")))


def with_biases(graph: Graph) -> Graph | None:
    """The same graph with an Affine, of a bias of 0, for each Linear; None where there is no Linear."""
    nodes: dict[str, Node | Graph] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Graph):
            nodes[name] = with_biases(node) or node
        elif node.kind == "Linear":
            bias = np.zeros(len(node["weight"]), dtype=node["weight"].dtype)
            nodes[name] = Node("Affine", {**node.params, "bias": bias}, node.metadata)
        else:
            nodes[name] = node
    changed = any(nodes[name] is not node for name, node in graph.nodes.items())
    return Graph(nodes, graph.edges) if changed else None


def left_out(graph: Graph, end: Recording | RunFailed) -> dict[str, str]:
    """The nodes of a graph that a backend left out, whether it ran the rest or not → what they are."""
    return {name: node.kind for name, node in inline(graph).primitives() if name in end.left_out} if end.left_out else {}


def left_out_in_words(nodes: Mapping[str, str]) -> str:
    """Which kinds of nodes a backend left out."""
    return f"left out: {', '.join(sorted({*nodes.values()}))}"


def _path(nodes: dict[str, Node], size: int) -> Graph:
    ends = {"input": _port("Input", size), "output": _port("Output", size)}
    return Graph(ends | nodes, tuple(itertools.pairwise(["input", *nodes, "output"])))
