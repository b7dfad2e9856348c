"""Random graphs with the ingredients that given faults need to show."""

from __future__ import annotations

from typing import Any

import numpy as np

from nir_interop.graphs import Graph, Node
from nir_interop.vocabulary import Cause
from tests.strategies import node, port

Values = np.ndarray[Any, Any]
Faults = frozenset[Cause]

STEPS, BATCH = 40, 3

ANY = ("LIF", "LIF", "IF", "CubaLIF", "LI", "CubaLI")
_LEAKY = ("LIF", "CubaLIF", "LI", "CubaLI")
_SPIKING = ("LIF", "IF", "CubaLIF")
_CURRENT_BASED = ("CubaLIF", "CubaLI")
KINDS: dict[Cause, tuple[str, ...]] = {
    Cause.DT_GUESSED: _LEAKY,
    Cause.DECAY: _LEAKY,
    Cause.DECAY_CLAMPED: _LEAKY,
    Cause.LEAK_IGNORED: _LEAKY,
    Cause.LEAK_ADDED: _LEAKY,
    Cause.START: _LEAKY,
    Cause.TAU_REWRITTEN: _LEAKY,
    Cause.TIME_UNIT: _LEAKY,
    Cause.LEAK_ON_SYNAPSE: _CURRENT_BASED,
    Cause.SYNAPSE_ORDER: _CURRENT_BASED,
    Cause.INPUT_WEIGHT_IGNORED: _CURRENT_BASED,
    Cause.RESET_LOST: ("soft LIF", "soft IF"),
    Cause.COMPARISON: ("exact IF",),
} | dict.fromkeys(
    (
        Cause.THRESHOLD_COLLAPSED,
        Cause.RESET_KIND,
        Cause.RESET_VALUE_IGNORED,
        Cause.RESET_LATE,
        Cause.SPIKES_PER_STEP,
        Cause.FLOOR,
        Cause.LAYER_DELAY,
        Cause.CYCLE_ORDER,
        Cause.RECURRENCE_REWIRED,
        Cause.FEEDBACK_BIAS_AT_START,
    ),
    _SPIKING,
)
"""The neurons on which a fault can show; those that are not here show on any."""

_STRONG = frozenset({Cause.SPIKES_PER_STEP, Cause.FLOOR})
_SLOWED = frozenset({Cause.TIME_UNIT})
_IMAGES = frozenset({Cause.FLATTEN_ORDER, Cause.FLATTEN_BATCH, Cause.POOL_PADDING})


def random_case(faults: Faults, rng: np.random.Generator) -> tuple[Graph, Values, float]:
    """A graph, a stimulus and a step that have what the faults need; whether they show is for the caller to find out."""
    draw = _Draw(faults, rng)
    graph = draw.graph()
    shape = (STEPS, BATCH, *(int(n) for n in graph.nodes["input"]["shape"]))
    whole = Cause.COMPARISON in faults
    return graph, rng.integers(0, 3, shape).astype(float) if whole else rng.normal(0.4, 1.0, shape), draw.dt


class _Draw:
    def __init__(self, faults: Faults, rng: np.random.Generator) -> None:
        self.faults, self.rng = faults, rng
        self.nodes: dict[str, Node | Graph] = {}
        self.edges: list[tuple[str, str]] = []
        self.last, self.shape = "input", (4,)
        self.dt = self._step()
        self.h = 1e-4 if Cause.DT_FIXED in faults else 1e-3 if Cause.DT_DEFAULT in faults else self.dt

    def graph(self) -> Graph:
        images = bool(self.faults & _IMAGES) or self._maybe(0.15)
        if images:
            self.shape = (2, 5, 5)
        self.nodes["input"] = port("Input", 0)
        shape = self.shape
        if images:
            self._image()
        wanted = [self._kind(fault) for fault in sorted(self.faults - {Cause.COMPARISON})]
        wanted += [str(self.rng.choice(ANY)) for _ in range(max(int(self.rng.integers(1, 3)) - len(wanted), 0))]
        wanted += ["exact IF"] * (Cause.COMPARISON in self.faults)
        if self.faults & _SLOWED and Cause.COMPARISON not in self.faults:
            wanted.append("LI")
        for depth, kind in enumerate(wanted):
            self._block(kind, first=depth == 0)
        if Cause.FLATTEN_BATCH in self.faults:
            self._flatten()
        self.nodes |= {"input": node("Input", shape=shape), "output": node("Output", shape=self.shape)}
        return Graph(self.nodes, (*self.edges, (self.last, "output")))

    def _step(self) -> float:
        if Cause.COMPARISON in self.faults:
            return 2.0 ** -int(self.rng.integers(9, 12))
        return float(self.rng.choice([5e-5, 2e-4, 5e-4] if Cause.DT_FIXED in self.faults else [1e-4, 2e-4, 5e-4]))

    def _kind(self, fault: Cause) -> str:
        kinds = KINDS.get(fault, ANY)
        if Cause.DECAY_CLAMPED in self.faults and Cause.DT_GUESSED in self.faults:
            kinds = tuple(kind for kind in kinds if kind in _CURRENT_BASED) or kinds
        if {Cause.DECAY_CLAMPED, Cause.TIME_UNIT} <= self.faults:
            kinds = tuple(kind for kind in kinds if kind == "LIF") or kinds
        return str(self.rng.choice(kinds))

    def _maybe(self, chance: float, *wanted: Cause) -> bool:
        return bool(self.faults & set(wanted)) or bool(self.rng.random() < chance)

    def _name(self, stem: str) -> str:
        """A name whose place in the alphabet is chance."""
        return f"{self.rng.choice(list('acegikmoqsuwy'))}_{stem}{len(self.nodes)}"

    def _add(self, stem: str, new: Node, *sources: str) -> str:
        name = self._name(stem)
        self.nodes[name] = new
        self.edges += [(source, name) for source in sources]
        return name

    def _image(self) -> None:
        channels = 2 if Cause.FLATTEN_BATCH in self.faults else int(self.rng.integers(2, 4))
        weight = self.rng.normal(0.3, 1.0, (channels, 2, 3, 3))
        bias = self.rng.normal(0, 0.3, channels)
        last = self._add("conv", node("Conv2d", weight=weight, bias=bias, stride=1, padding=1, dilation=1, groups=1), self.last)
        self.shape = (channels, 5, 5)
        last = self._add("cell", self._neuron("LIF", self.shape), last)
        pool = "SumPool2d" if self._maybe(0.5) else "AvgPool2d"
        # With these numbers the shape is the same without the padding; only the windows move.
        self.last = self._add("pool", node(pool, kernel_size=[2, 2], stride=[3, 3], padding=[1, 1]), last)
        self.shape = (channels, 2, 2)
        if Cause.FLATTEN_BATCH not in self.faults:
            self._flatten()

    def _flatten(self) -> None:
        self.last = self._add("flat", node("Flatten", start_dim=0, end_dim=-1), self.last)
        self.shape = (int(np.prod(self.shape)),)

    def _block(self, kind: str, first: bool) -> None:
        width = self.shape[-1]
        size = width if Cause.WEIGHT_TRANSPOSED in self.faults else int(self.rng.integers(3, 6))
        sources = [self._dense(width, size, self.last, exact=kind.startswith("exact"))]
        if first and self._maybe(0.2, Cause.JOIN_MISRUN):
            sources.append(self._dense(width, size, self.last, exact=kind.startswith("exact")))
        self.shape = (*self.shape[:-1], size)
        if kind.startswith("soft"):
            self.last = self._soft_reset(kind.split()[1], sources)
        else:
            self.last = self._add("cell", self._neuron(kind, self.shape), *sources)
            self._feedback(kind, sources, size)
        if self._maybe(0.1, Cause.NODE_LOST):
            self.last = self._add("scale", node("Scale", scale=self.rng.uniform(0.3, 2.0, self.shape)), self.last)
        if self._maybe(0.1, Cause.NODE_DROPPED) and first and Cause.DT_DEFAULT not in self.faults:
            self.last = self._add("delay", node("Delay", delay=self.dt * self.rng.integers(1, 4, self.shape)), self.last)
        elif Cause.NODE_DROPPED in self.faults and first:
            self.last = self._add("readout", self._neuron("LI", self.shape), self.last)

    def _feedback(self, kind: str, sources: list[str], size: int) -> None:
        cell = self.last
        if kind in _SPIKING and self._maybe(0.15, Cause.FEEDBACK_BIAS_AT_START, Cause.RECURRENCE_REWIRED):
            self.edges.append((self._dense(size, size, cell, bias=1.0), cell))
        # A feedback that is rewired has no bias at the start: another cycle shows that one.
        if kind in _SPIKING and (
            Cause.CYCLE_ORDER in self.faults or {Cause.FEEDBACK_BIAS_AT_START, Cause.RECURRENCE_REWIRED} <= self.faults
        ):
            self.last = self._add("cell", self._neuron(kind, self.shape), *sources)
            self.edges.append((self._dense(size, size, cell, bias=0.5), self.last))
            self.edges.append((self._dense(size, size, self.last, bias=0.5), cell))

    def _dense(self, inputs: int, outputs: int, source: str, bias: float = 0.4, exact: bool = False) -> str:
        rng = self.rng
        if exact:
            weight, offset = rng.integers(-1, 3, (outputs, inputs)).astype(float), rng.integers(0, 2, outputs).astype(float)
        else:
            weight, offset = rng.normal(0.3, 1.0, (outputs, inputs)), rng.normal(0.1, bias, outputs)
        return self._add("dense", node("Affine", weight=weight, bias=offset), source)

    def _between(self, low: float, high: float, shape: tuple[int, ...]) -> Values:
        return self.rng.uniform(low, high, shape)

    def _signed(self, low: float, high: float, shape: tuple[int, ...]) -> Values:
        return self._between(low, high, shape) * self.rng.choice([-1.0, 1.0], shape)

    def _neuron(self, kind: str, shape: tuple[int, ...]) -> Node:
        if kind == "exact IF":
            return self._exact(shape)
        dt = self.dt
        strength = 4.0 if self.faults & _STRONG else 1.0
        r = strength * self._between(2.0, 6.0, shape)
        if self.faults & _SLOWED:
            r = r * self.rng.choice([1.0, 1000.0], shape)
        tau = {"tau": self._time_constant(kind, shape)}
        fire = {"v_threshold": self._between(0.5, 1.0, shape), "v_reset": self._between(-0.4, -0.1, shape)}
        rest = {"r": r, "v_leak": self._signed(0.05, 0.3, shape)}
        taus = {"tau_mem": self._time_constant(kind, shape), "w_in": self._between(2.0, 4.0, shape)}
        taus["tau_syn"] = self._time_constant(kind, shape)
        if {Cause.DECAY_CLAMPED, Cause.DT_GUESSED} <= self.faults:
            taus["tau_syn"] = taus["tau_mem"] / (1 + r) * self._between(0.5, 0.95, shape)
        params = {
            "I": {"r": r / (10 * dt)},
            "IF": {"r": r / (10 * dt)} | fire,
            "LI": tau | rest,
            "LIF": tau | rest | fire,
            "CubaLI": taus | rest,
            "CubaLIF": taus | rest | fire,
        }[kind]
        return node(kind, **params)

    def _time_constant(self, kind: str, shape: tuple[int, ...]) -> Values:
        longest = self._between(4.0, 25.0, shape) * self.dt
        # A thousandth of a step makes all but a neuron with a reset explode.
        if Cause.DECAY_CLAMPED not in self.faults or (Cause.TIME_UNIT in self.faults and kind != "LIF"):
            return longest
        # Shorter than the step that the importer takes, after what the exporter does to it.
        seen = self.h / (1000.0 if Cause.TIME_UNIT in self.faults else 2.0 if Cause.TAU_REWRITTEN in self.faults else 1.0)
        return np.where(self.rng.random(shape) < 0.5, self._between(0.55, 0.95, shape) * seen, longest)

    def _exact(self, shape: tuple[int, ...]) -> Node:
        """An IF that adds whole numbers to its membrane, which so meets its threshold exactly."""
        scale = 1e4 if Cause.DT_FIXED in self.faults else 1e3 if Cause.DT_DEFAULT in self.faults else 1 / self.dt
        r = scale * self.rng.choice([1.0, 2.0], shape)
        threshold = self.rng.choice([2.0, 4.0], shape)
        if self.faults & {Cause.RESISTANCE_IGNORED, Cause.PARAMETER_LOST}:
            # Without r, a membrane of whole numbers of steps dt meets these.
            threshold = np.where(self.rng.random(shape) < 0.6, threshold * self.dt, threshold)
        v_reset = -self.rng.choice([1.0, 2.0], shape)
        if Cause.PARAMETER_LOST in self.faults:
            v_reset = v_reset * self.rng.choice([0.0, 1.0])
        return node("IF", r=r, v_threshold=threshold, v_reset=v_reset)

    def _soft_reset(self, kind: str, sources: list[str]) -> str:
        """Reset by subtraction in the same step: an integrator, a Threshold, and a Scale of −(1 − dt/τ)·θ/gain back."""
        params = self._neuron(kind, self.shape).params
        tau = params.get("tau", np.array(np.inf))
        gain = params["r"] * (self.dt if kind == "IF" else self.dt / tau)
        threshold = params["v_threshold"]
        integrator = node("I", r=params["r"]) if kind == "IF" else node("LI", **{k: params[k] for k in ("tau", "r", "v_leak")})
        membrane = self._add("membrane", integrator, *sources)
        spikes = self._add("cell", node("Threshold", threshold=threshold), membrane)
        scale = self._add("reset", node("Scale", scale=-(1 - self.dt / tau) * threshold / gain), spikes)
        self.edges.append((scale, membrane))
        return spikes
