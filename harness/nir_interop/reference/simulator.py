r"""The simulator: a NIR graph over a sequence, stage by stage.

A sequence is run block by block of as many steps as the processor's cache holds.  A stage without a cycle runs over a
block at once; a stage with one runs step by step.  Both call the same function of a node, with many steps or with one, so
that there is one definition of what a node does, and state is carried in one way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from nir_interop.errors import BadStimulus
from nir_interop.graphs import NEURONS, SPIKING, Array, Graph, Node, inline, input_shapes, places, sample_shape, validate
from nir_interop.recording import Recording
from nir_interop.reference.exact.element import ExactElement
from nir_interop.reference.neurons import Delay, Element, State, SteppedNeuron, Trace, delay_steps
from nir_interop.reference.operators import operator
from nir_interop.reference.order import Stage, stages
from nir_interop.reference.room import BLOCK, check_parameters_fit, check_room
from nir_interop.rule import NIR_MEANING, FeedbackBias, Precision, UpdateRule

Shape = tuple[int, ...]
NeuronFactory = Callable[[Node, Shape, float], Element]


@dataclass
class CarriedState:
    """What a simulation carries from one part of a sequence to the next: per node, and per source of a delayed edge."""

    nodes: dict[str, State]
    delayed: dict[str, Tensor]


@dataclass
class _Record:
    """What a run writes down: outputs, spikes and membranes by node, part by part along the sequence."""

    outputs: dict[str, list[Tensor]] = field(default_factory=dict)
    spikes: dict[str, list[Tensor]] = field(default_factory=dict)
    membranes: dict[str, list[Tensor]] = field(default_factory=dict)
    margin: float = float("inf")


class DelayedEdge(Node):
    """A delayed edge as a node, so that a graph can say which edges are: a Delay that carries at first, in the place of
    zeros, what its sources answer to silence."""


class Stateless:
    """A node without memory, over a sequence: steps and samples are one dimension to its operator."""

    def __init__(self, node: Node, dtype: torch.dtype) -> None:
        self.apply = operator(node, dtype)

    def start(self, batch: int) -> State:
        """Nothing is remembered."""
        return {}

    def sequence(self, x: Tensor, state: State) -> Trace:
        """Apply the operator to every step of every sample."""
        y = self.apply(x.flatten(0, 1))
        return Trace(y.reshape(*x.shape[:2], *y.shape[1:]))


class Simulator:
    r"""A graph, ready to run.

    graph : may be nested; it is validated and inlined
    dt : the step [s]
    rule : one update rule for all neurons, or one per primitive (``{"LIF": rule}``, the others having NIR's meaning).  Of
        those for primitives of the graph (of all, where it has no neuron), one is enough to make feedback biases absent
        everywhere; single precision is for all or none, and taken where all of them say so
    neuron : makes a neuron from (node, shape, dt); by default a :class:`SteppedNeuron` under the rule
    finite : refuse a graph with infinite parameters or NaN; else floating-point arithmetic says what comes of them

    Before the first step a delayed edge carries what its source answers to silence: neurons and Delays are silent, all
    delayed edges carry zeros, and stateless nodes answer to what then reaches them, one after another in the order of a
    step.  So a bias is there from t = 0, and a cycle of stateless nodes has been gone round once up to its delayed edge.

    Raises InvalidGraph.  Warns of delays that are no whole number of steps.
    """

    def __init__(
        self,
        graph: Graph,
        dt: float,
        rule: UpdateRule | Mapping[str, UpdateRule] = NIR_MEANING,
        *,
        neuron: NeuronFactory | None = None,
        finite: bool = True,
    ) -> None:
        self.shapes = validate(graph, finite=finite)
        self.graph = inline(graph)
        self.dt = dt
        check_parameters_fit(self.graph, self.shapes, dt)
        self.rules = dict.fromkeys(NEURONS, rule) if isinstance(rule, UpdateRule) else dict(rule)
        given = [rule] if isinstance(rule, UpdateRule) else [rule[kind] for kind in sorted(rule) if self.graph.of_kind(kind)]
        given = given or ([] if self.graph.of_kind(*NEURONS) else list(self.rules.values()))
        self.silent = any(each.feedback_bias is FeedbackBias.ABSENT for each in given)
        single = bool(given) and all(each.precision is Precision.FLOAT32 for each in given)
        self.precision, self.dtype = (Precision.FLOAT32, torch.float32) if single else (Precision.FLOAT64, torch.float64)
        self._neuron = neuron or self._ruled
        self.elements = {name: self._element(name, node) for name, node in self.graph.primitives()}
        self.early = {name: element for name, element in self.elements.items() if self._is_early(element, name)}
        self.stages = stages(self.graph, self.early.__contains__)
        self.sources = {name: self.graph.into(name) for name in self.graph.nodes}
        self.inputs = input_shapes(self.graph, self.shapes)
        self.sample = sample_shape(self.inputs)

    def run(
        self, stimulus: Array, memory: CarriedState | None = None, *, membranes: bool = True
    ) -> tuple[Recording, CarriedState]:
        r"""Run a stimulus, axes (T, B, \*shape), from zero state or from where an earlier run ended; ``memory`` stays as it is.

        Of several Inputs it has axes (T, B, n), all of them side by side (see :mod:`nir_interop.graphs.ends`).

        Raises BadStimulus where the stimulus does not fit the graph's input, or the run would hold too much memory.
        """
        if not np.isfinite(stimulus).all():
            raise BadStimulus("the stimulus holds NaN or infinite values; a NIR graph has no meaning for them")
        if stimulus.ndim < 2 or stimulus.shape[2:] != self.sample:
            raise BadStimulus(f"the stimulus has axes {stimulus.shape}; the graph takes (T, B, *{self.sample})")
        check_room(self.graph, self.shapes, self.dt, *stimulus.shape[:2], membranes=membranes)
        record = _Record()
        with torch.no_grad():
            x = torch.tensor(stimulus, dtype=self.dtype)
            memory = CarriedState(dict(memory.nodes), dict(memory.delayed)) if memory else self._silence(x.shape[1])
            widest = max(int(np.prod(shape)) for _, shape in self.shapes.values())
            for block in torch.split(x, max(1, BLOCK // (x.shape[1] * widest))):
                self._advance(block, memory, record, membranes)
        return self._recording(record), memory

    def _advance(self, x: Tensor, memory: CarriedState, record: _Record, membranes: bool) -> None:
        """Run all stages over some steps."""
        values = self._fed(x)
        for stage in self.stages:
            if stage.cyclic:
                self._step_by_step(stage, len(x), values, memory, record, membranes)
            elif stage.nodes[0] not in self.inputs:
                name = stage.nodes[0]
                parts = [values[source] for source in self.sources[name]]
                values[name] = self._evaluate(name, _add(parts), memory, record, membranes)

    def _fed(self, x: Tensor) -> dict[str, Tensor]:
        """What each Input gives, of all of them side by side."""
        if len(self.inputs) == 1:
            return dict.fromkeys(self.inputs, x)
        where = places(self.inputs)
        return {name: x[..., where[name]].reshape(*x.shape[:2], *shape) for name, shape in self.inputs.items()}

    def _step_by_step(
        self, stage: Stage, steps: int, values: dict[str, Tensor], memory: CarriedState, record: _Record, membranes: bool
    ) -> None:
        """Run a stage with a cycle; a delayed edge carries what its source gave in the step before."""
        sources = {source for source, _ in stage.delayed}
        collected: dict[str, list[Tensor]] = {name: [] for name in stage.nodes}
        for t in range(steps):
            now = {name: self.early[name].ahead(memory.nodes[name]) for name in stage.ahead}
            for name in stage.nodes:
                parts = [
                    memory.delayed[source] if (source, name) in stage.delayed
                    else now[source] if source in now
                    else values[source][t : t + 1]
                    for source in self.sources[name]
                ]  # fmt: skip
                now[name] = self._evaluate(name, _add(parts), memory, record, membranes)
                collected[name].append(now[name])
            memory.delayed.update({source: now[source] for source in sources})
        values.update({name: torch.cat(parts) for name, parts in collected.items()})

    def _evaluate(self, name: str, x: Tensor, memory: CarriedState, record: _Record, membranes: bool) -> Tensor:
        """Run one node over the steps of ``x`` and write down what it did."""
        trace = self.elements[name].sequence(x, memory.nodes[name])
        memory.nodes[name] = trace.state
        kind = self.graph.nodes[name].kind
        if kind == "Output":
            record.outputs.setdefault(name, []).append(trace.output)
        if kind in SPIKING:
            record.spikes.setdefault(name, []).append(_counted(trace.output))
        if membranes and trace.membrane is not None:
            record.membranes.setdefault(name, []).append(trace.membrane)
        record.margin = min(record.margin, trace.margin)
        return trace.output

    def _silence(self, batch: int) -> CarriedState:
        """The memory before the first step: zero states, and on each delayed edge its source's answer to silence."""
        memory = CarriedState({name: element.start(batch) for name, element in self.elements.items()}, {})
        delayed = sorted({source for stage in self.stages for source, _ in stage.delayed})
        nodes = [name for name, node in self.graph.primitives() if isinstance(node, DelayedEdge)]
        answers = self._answers_to_silence() if delayed or nodes else {}
        for source in delayed:
            memory.delayed[source] = answers[source].expand(-1, batch, *self.shapes[source][1])
        for name in nodes:
            past = memory.nodes[name]["past"]
            memory.nodes[name] = {"past": _add([past, *(answers[source] for source in self.sources[name])])}
        return memory

    def _answers_to_silence(self) -> dict[str, Tensor]:
        """What each node gives out before the first step, for one sample."""

        def zeros(shape: Shape) -> Tensor:
            return torch.zeros((1, 1, *shape), dtype=self.dtype)

        answers = {name: zeros(outgoing) for name, (_, outgoing) in self.shapes.items()}
        for stage in () if self.silent else self.stages:
            for name in stage.nodes:
                element = self.elements[name]
                if isinstance(element, Stateless) and name not in self.inputs:
                    heard = [answers[source] for source in self.sources[name] if (source, name) not in stage.delayed]
                    answers[name] = element.sequence(_add([zeros(self.shapes[name][0]), *heard]), {}).output
        return answers

    def _element(self, name: str, node: Node) -> Element:
        shape = self.shapes[name][0]
        if node.kind == "Delay":
            self._flag_delay(name, node)
            return Delay(node, shape, self.dt, self.dtype)
        if "r" in node.params:
            return self._neuron(node, shape, self.dt)
        return Stateless(node, self.dtype)

    def _ruled(self, node: Node, shape: Shape, dt: float) -> SteppedNeuron:
        rule = self.rules.get(node.kind, NIR_MEANING)
        fixed = rule.precision is Precision.FIXED
        return SteppedNeuron(node, shape, dt, rule if fixed else rule.but(precision=self.precision))

    def _is_early(self, element: Element, name: str) -> TypeGuard[Delay | SteppedNeuron]:
        """Whether a node's output is known before its input: of a Delay of a step or more, and of late spikes that are fed
        back at once."""
        node = self.graph.nodes[name]
        if isinstance(element, Delay) and isinstance(node, Node):
            return bool((delay_steps(node, self.shapes[name][0], self.dt) > 0).all())
        rule = element.rule if isinstance(element, SteppedNeuron) and element.spiking else NIR_MEANING
        return rule.feedback_bias is FeedbackBias.AT_ONCE and rule.spike_from.late

    def _flag_delay(self, name: str, node: Node) -> None:
        steps = np.asarray(node["delay"]) / self.dt
        if not np.allclose(steps, np.rint(steps), rtol=0, atol=1e-6):
            warnings.warn(f"the delay of node {name!r} is no whole number of steps of {self.dt} s and is rounded", stacklevel=4)

    def _recording(self, record: _Record) -> Recording:
        return Recording(
            outputs={name: _output(torch.cat(parts).numpy()) for name, parts in sorted(record.outputs.items())},
            spikes={name: _output(torch.cat(parts).numpy()) for name, parts in sorted(record.spikes.items())},
            membranes={name: torch.cat(parts).numpy() for name, parts in sorted(record.membranes.items())},
            margin=record.margin if np.isfinite(record.margin) else None,
        )


def simulate(graph: Graph, stimulus: Array, dt: float, rule: UpdateRule | Mapping[str, UpdateRule] = NIR_MEANING) -> Recording:
    r"""Run a graph over a stimulus, axes (T, B, \*shape), from zero state."""
    return Simulator(graph, dt, rule).run(stimulus)[0]


def exact_simulator(graph: Graph, dt: float) -> Simulator:
    """The same graph with its neurons solved in continuous time; cycle edges wait a step, as in NIR's meaning."""
    return Simulator(graph, dt, neuron=ExactElement)


def _add(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _counted(spikes: Tensor) -> Tensor:
    """Spike counts in one byte each where they fit: most steps have no more than one."""
    return spikes.to(torch.uint8) if spikes.numel() == 0 or spikes.max() < 256 else spikes


def _output(values: Array) -> Array:
    """Spike counts as uint8 where they fit, other values as they are."""
    if values.dtype == np.uint8 or not (values.min(initial=0) >= 0 and values.max(initial=0) < 256):
        return values
    counts = values.astype(np.uint8)
    return counts if np.array_equal(counts, values) else values
