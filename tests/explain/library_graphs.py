"""Random graphs out of what a library takes, as its fingerprint says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from nir_interop.explain.probes.neurons import gains_of
from nir_interop.fingerprint import Circuit, Fingerprint, Gains, GainState, NeuronCondition, Subject, Wiring
from nir_interop.graphs import NEURONS, SPIKING, Graph, Node
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.graphs.shapes import output_shape
from nir_interop.reference.neurons import membrane_integrator, synapse_integrator
from nir_interop.rule import FIXED_DT, TimeStep, UpdateRule
from tests.conditions import ONE_VOLTAGE, off_zero
from tests.conditions import spread as uneven
from tests.strategies import node

Shape = tuple[int, ...]
Values = np.ndarray[Any, Any]


@dataclass
class Domain:
    """What a fingerprint says a library takes."""

    fingerprint: Fingerprint
    kinds: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = tuple(kind for kind in SPIKING if kind in NEURONS and self.fingerprint.rules[kind].outputs)

    def rule(self, kind: str) -> UpdateRule:
        return self.fingerprint.rules[kind].rule

    def places(self, kind: str) -> list[Gains]:
        declined = self._declined(kind)
        return [gains for gains in gains_of(kind) if NeuronCondition(gains=gains) not in declined]

    def refuses(self, kind: str, condition: NeuronCondition, gains: Gains | None = None) -> bool:
        """Whether a probe that was unusual in just that was refused, at a place of r and w_in or at any."""
        unit = self.rule(kind).time_step is TimeStep.UNIT  # all else was asked at a step of 1 s
        return any(
            (replace(each, gains=None, dt=None) if unit else each.whatever_gains()) == condition
            and (gains is None or each.gains in (None, gains))
            for each in self._declined(kind)
        )

    def _declined(self, kind: str) -> list[NeuronCondition]:
        """What of a neuron is not taken; what it takes and misruns is another matter."""
        refusals = self.fingerprint.rules[kind].refusals
        conditions = [each.condition for each in refusals if each.status != "mismatch"]
        return [each for each in conditions if isinstance(each, NeuronCondition)]

    def takes(self, kind: Subject) -> bool:
        """Whether a primitive without axes, or a join, gives any answer."""
        return self.fingerprint.rules[kind].outputs > 0

    def runs(self, kind: Subject) -> bool:
        """Whether a primitive without axes, or a wiring, is run as NIR says in some form."""
        known = self.fingerprint.rules[kind]
        return known.outputs > known.mismatched

    def feeds_back(self, kind: str, *circuits: Circuit) -> bool:
        """Whether a neuron may feed itself in one of some ways."""
        conditions = [each.condition for each in self.fingerprint.rules[kind].refusals]
        refused = {each.circuit for each in conditions if isinstance(each, NeuronCondition)}
        return any(circuit not in refused for circuit in circuits)


class Draw:
    """One random graph with its stimulus and step.

    narrow : leave out what a library takes in no form, else it is drawn as well and not run
    """

    def __init__(self, domain: Domain, seed: int, *, narrow: bool = False) -> None:
        self.domain, self.rng, self.narrow = domain, np.random.default_rng(seed), narrow
        self.nodes: dict[str, Node | Graph] = {}
        self.edges: list[tuple[str, str]] = []
        self.last = "input"
        fixed = {domain.rule(kind).time_step for kind in domain.kinds} == {TimeStep.FIXED}
        self.dt = float(self.rng.choice([1e-4, 1e-4, 2.5e-4, 1e-3]))
        self.ordered = self._maybe(0.6)
        if narrow and TimeStep.UNIT in {domain.rule(kind).time_step for kind in domain.kinds}:
            self.dt = 1.0
        self.h = FIXED_DT if fixed else self.dt
        self.shape: Shape = (int(self.rng.integers(2, 7)),)

    def case(self) -> tuple[Graph, Values, float]:
        """Graph, stimulus and dt."""
        first = self.shape
        if self._maybe(0.3) and not (self.narrow and not all(map(self.domain.runs, ("Conv2d", "Flatten")))):
            self.shape = first = (2, int(self.rng.integers(5, 8)), int(self.rng.integers(4, 7)))
            self._image()
        elif self._maybe(0.1) and self.domain.takes("Conv1d"):
            self.shape = first = (2, 8)
            self._sequence()
        for _ in range(int(self.rng.integers(1, 4))):
            self._block()
        if self._maybe(0.2):
            self._dense(int(self.rng.integers(2, 5)))
        self.nodes |= {"input": node("Input", shape=first), "output": node("Output", shape=self.shape)}
        graph = Graph(self.nodes, (*self.edges, (self.last, "output")))
        return graph, self.rng.normal(0.3, 1.0, (40, 3, *first)).astype(np.float32), self.dt

    def _maybe(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def _add(self, stem: str, new: Node | Graph, *sources: str) -> str:
        place = f"n{len(self.nodes):02d}" if self.ordered else str(self.rng.choice(list("acegikmoqsuwy")))
        name = f"{place}_{stem}{len(self.nodes)}"
        self.nodes[name] = new
        self.edges += [(source, name) for source in sources]
        return name

    def _then(self, stem: str, new: Node) -> str:
        self.last = self._add(stem, new, self.last)
        self.shape = output_shape(new, self.shape)
        return self.last

    def _image(self) -> None:
        channels, kernel = int(self.rng.integers(1, 4)), [int(self.rng.integers(2, 4))] * 2
        if self._maybe(0.2):
            kernel[1] = 5 - kernel[0]
        cell, gain = self._neuron((channels,))
        weight = gain * self.rng.normal(0.2, 0.7, (channels, self.shape[0], *kernel))
        convolution = node(
            "Conv2d",
            weight=weight.astype(np.float32),
            bias=(gain * self.rng.normal(0, 0.3, channels)).astype(np.float32),
            stride=self.rng.integers(1, 3, 2),
            padding=self.rng.integers(0, 2, 2),
            dilation=[1, 1],
            groups=1,
            input_shape=self.shape[1:],
        )
        self._then("conv", convolution)
        self._spike(cell)
        if self._maybe(0.6) and min(self.shape[1:]) > 1:
            kinds = [kind for kind in ("AvgPool2d", "SumPool2d") if self.domain.takes(kind)]
            padding = [1, 1] if self._maybe(0.1) and not self.narrow else [0, 0]
            if kinds:
                self._then("pool", node(str(self.rng.choice(kinds)), kernel_size=[2, 2], stride=[2, 1], padding=padding))
        start, end = (0, -1) if self._maybe(0.05) and not self.narrow else (-3, -1)
        self._then("flat", node("Flatten", start_dim=start, end_dim=end))

    def _sequence(self) -> None:
        cell, gain = self._neuron((2,))
        weight = (gain * self.rng.normal(0.2, 0.7, (2, 2, 3))).astype(np.float32)
        bias = np.zeros(2, dtype=np.float32)
        self._then("conv", node("Conv1d", weight=weight, bias=bias, stride=2, padding=1, dilation=1, groups=1, input_shape=8))
        self._spike(cell)
        self._then("flat", node("Flatten", start_dim=-2, end_dim=-1))

    def _spike(self, cell: Node) -> None:
        """A neuron for each channel, the same all over it."""
        wide = {
            name: np.broadcast_to(value.reshape(-1, *[1] * (len(self.shape) - 1)), self.shape).copy()
            for name, value in cell.params.items()
        }
        self._then("cell", Node(cell.kind, wide))

    def _weights(self, out: int, into: int, gain: Values, bias: float = 0.3, *, plain: bool = False) -> Node:
        """Weights; plain: without a bias, where the library runs such."""
        kind = "Affine" if self._maybe(0.6) else "Linear"
        if (self.narrow and not self.domain.runs(kind)) or (plain and self.domain.runs("Linear")):
            kind = {"Affine": "Linear", "Linear": "Affine"}[kind] if not plain else "Linear"
        weight = (gain[:, None] * self.rng.normal(0.3, 1.0, (out, into))).astype(np.float32)
        offset = {"bias": (gain * self.rng.normal(0, bias, out)).astype(np.float32)} if kind == "Affine" else {}
        return node(kind, weight=weight, **offset)

    def _dense(self, out: int, gain: Values | None = None) -> str:
        return self._then("dense", self._weights(out, self.shape[0], np.ones(out) if gain is None else gain))

    def _block(self) -> None:
        size = int(self.rng.integers(2, 6))
        cell, gain = self._neuron((size,))
        before, width = self.last, self.shape[0]
        gains = np.full(size, gain)
        nested = self._maybe(0.15)
        closed, plain = self._feedback(cell.kind)
        nested &= closed
        self._dense(size, gains)
        sources = [self.last]
        if self._maybe(0.08) and not (self.narrow and not self.domain.runs(Wiring.JOIN)):
            sources.append(self._add("skip", self._weights(size, width, gains), before))
        if nested:
            back = self._weights(size, size, gains / 2, plain=plain)
            ends = {"input": node("Input", shape=[size]), "output": node("Output", shape=[size])}
            around = (("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output"))
            self.last = self._add("layer", Graph({**ends, "lif": cell, "w_rec": back}, around), *sources)
            return
        self.last = self._add("cell", cell, *sources)
        if self._maybe(0.2) and closed:
            back = self._add("back", self._weights(size, size, gains / 2, plain=plain), self.last)
            self.edges.append((back, self.last))

    def _feedback(self, kind: str) -> tuple[bool, bool]:
        """Whether neurons of a kind may feed themselves, and whether only without a bias."""
        if not self.narrow:
            return True, False
        biased = self.domain.feeds_back(kind, Circuit.CYCLE)
        alone = self.domain.feeds_back(kind, Circuit.PLAIN_CYCLE) and self.domain.rule(kind).spike_from.late
        return self.domain.runs(Wiring.RECURRENCE) and (biased or alone), not biased

    def _neuron(self, shape: Shape) -> tuple[Node, float]:
        """A neuron, and the input that brings it to its threshold in a few steps."""
        rng, domain = self.rng, self.domain
        kind = str(rng.choice(domain.kinds))
        places = domain.places(kind)
        gains = places[int(rng.integers(len(places)))]
        size = shape[0]

        def spread(low: float, high: float, name: str, *, off: bool = False) -> Values:
            unusual = uneven(name, off=off)
            alone = domain.refuses(kind, unusual, gains if name in ("r", "tau") else None)
            return np.full(size, rng.uniform(low, high)) if alone or rng.random() < 0.3 else rng.uniform(low, high, size)

        below = not domain.refuses(kind, NeuronCondition(below_step=frozenset({"tau"}))) and rng.random() < 0.1
        tau = self.h * (spread(0.6, 0.9, "tau") if below else spread(2.0, 20.0, "tau"))
        tau_syn = self.h * spread(1.5, 10.0, "tau_syn")
        values = {"tau": tau, "tau_mem": tau, "tau_syn": tau_syn, "v_threshold": spread(0.6, 1.5, "v_threshold")}
        values["v_leak"], values["v_reset"] = self._rest(kind, spread, size)
        leaky = kind != "IF"
        unit = tau if leaky else np.ones(size)
        matched = {GainState.MATCHED: unit / self.dt, GainState.MATCHED_FIXED: unit / FIXED_DT}
        off = spread(1.5, 4.0, "r") * (1.0 if leaky else 0.1 / self.dt)
        values["r"] = off if gains.r == GainState.OFF else matched.get(gains.r, np.ones(size))
        syn = {GainState.MATCHED: tau_syn / self.dt, GainState.MATCHED_FIXED: tau_syn / FIXED_DT}
        values["w_in"] = spread(1.2, 3.0, "w_in") if gains.w_in == GainState.OFF else syn.get(gains.w_in, np.ones(size))
        made = Node(kind, {name: values[name].astype(np.float32) for name in PARAMETERS[kind]})
        return made, self._strength(made, size)

    def _rest(self, kind: str, spread: Any, size: int) -> tuple[Values, Values]:
        """v_leak and v_reset, off 0 where that is taken."""
        nothing = np.zeros(size)
        ways = [off_zero(), off_zero("v_leak"), off_zero("v_reset"), off_zero("v_leak", "v_reset"), ONE_VOLTAGE]
        if kind == "IF":
            ways = [off_zero(), off_zero("v_reset")]
        taken = [each for each in ways if each == NeuronCondition() or not self.domain.refuses(kind, each)]
        way = taken[int(self.rng.integers(len(taken)))]
        if way.one_voltage:
            both = np.full(size, self.rng.uniform(-0.4, 0.2))
            return both, both
        leak = spread(-0.4, 0.4, "v_leak", off=True) if "v_leak" in way.off_zero else nothing
        reset = spread(-0.4, 0.3, "v_reset", off=True) if "v_reset" in way.off_zero else nothing
        return leak, reset

    def _strength(self, made: Node, size: int) -> float:
        rule, one = self.domain.rule(made.kind), torch.ones((1, 1, size), dtype=torch.float64)
        zero = torch.zeros_like(one)
        gain = 1.0
        for make in (membrane_integrator, synapse_integrator) if "tau_syn" in made.params else (membrane_integrator,):
            memory = make(made, (size,), self.dt, rule)
            gain *= float((memory.drive(one.clone()) - memory.drive(zero.clone())).mean())
        return float(made["v_threshold"].mean() / gain) * float(self.rng.uniform(0.4, 1.2))
