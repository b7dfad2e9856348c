"""A backend of the tests' own: NIR in plain NumPy, sharing no code with the reference, with faults switched in by name.

A fault is a :class:`nir_interop.vocabulary.Cause`.  Those of an importer are given to :class:`FakeBackend`, those of an
exporter to :class:`FakeExporter`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nir_interop.errors import RunFailed
from nir_interop.graphs import NEURONS, SPIKING, STATELESS, Graph, Node
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop.rule import (
    NIR_MEANING,
    Axis,
    Comparison,
    Decay,
    FeedbackBias,
    Floor,
    Gain,
    LeakUse,
    Order,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause, Status
from tests.explain.fake.exporter import EXPORTER_FAULTS, FakeExporter
from tests.explain.fake.neurons import Cell, Line, delay_in_steps
from tests.explain.fake.operators import apply
from tests.explain.fake.wiring import Wiring, wire

__all__ = ["DEFAULT_DT", "EXPORTER_FAULTS", "MERGED", "PLANTABLE", "RULE_AXIS", "FakeBackend", "FakeExporter", "observe"]

Values = np.ndarray[Any, Any]

DEFAULT_DT = 1e-3
"""The step [s] of an importer with ``dt_default``, delays included."""

RULE_AXIS: dict[Cause, dict[str, Axis]] = {
    Cause.DT_FIXED: {"time_step": TimeStep.FIXED},
    Cause.DT_GUESSED: {"time_step": TimeStep.INFERRED},
    Cause.DECAY: {"decay": Decay.EXPONENTIAL},
    Cause.DECAY_CLAMPED: {"decay": Decay.EULER_CLAMPED},
    Cause.GAIN: {"gain": Gain.ONE},
    Cause.RESISTANCE_IGNORED: {"resistance": Use.IGNORED},
    Cause.RESISTANCE_COLLAPSED: {"resistance": Use.COLLAPSED},
    Cause.THRESHOLD_COLLAPSED: {"threshold": Use.COLLAPSED},
    Cause.LEAK_IGNORED: {"leak": LeakUse.IGNORED},
    Cause.LEAK_ON_SYNAPSE: {"leak": LeakUse.ON_SYNAPSE},
    Cause.LEAK_ADDED: {"leak": LeakUse.ADDED},
    Cause.RESET_KIND: {"reset": ResetKind.SUBTRACT},
    Cause.RESET_VALUE_IGNORED: {"reset": ResetKind.TO_ZERO},
    Cause.RESET_LATE: {"timing": Timing.NEXT_STEP},
    Cause.COMPARISON: {"comparison": Comparison.AT_OR_ABOVE},
    Cause.START: {"start": Start.LEAK},
    Cause.SPIKES_PER_STEP: {"spikes": SpikesPerStep.MANY},
    Cause.FLOOR: {"floor": Floor.MINUS_THRESHOLD},
    Cause.LAYER_DELAY: {"spike_from": SpikeFrom.PREVIOUS},
    Cause.SYNAPSE_ORDER: {"order": Order.MEMBRANE_FIRST},
    Cause.INPUT_WEIGHT_IGNORED: {"input_weight": Use.IGNORED},
    Cause.FEEDBACK_BIAS_AT_START: {"feedback_bias": FeedbackBias.ABSENT},
}
"""The change of the update rule that a cause is; the causes that are not here are not in the rule."""

_OUTSIDE_THE_RULE = (
    Cause.DT_DEFAULT,
    Cause.CYCLE_ORDER,
    Cause.STATE_CARRIED,
    Cause.NODE_DROPPED,
    Cause.JOIN_MISRUN,
    Cause.RECURRENCE_REWIRED,
    Cause.FLATTEN_BATCH,
    Cause.FLATTEN_ORDER,
    Cause.POOL_PADDING,
    Cause.WEIGHT_TRANSPOSED,
    Cause.BIAS_DROPPED,
)

PLANTABLE: tuple[Cause, ...] = (*RULE_AXIS, *_OUTSIDE_THE_RULE, *EXPORTER_FAULTS)
"""Every cause that can be planted: the importer's first, then the exporter's."""

MERGED: tuple[frozenset[Cause], ...] = (frozenset({Cause.DT_FIXED, Cause.DT_DEFAULT}),)
"""Causes that no output tells apart: a constant step that is always used, and one that is used for want of another."""


@dataclass
class _Memory:
    """What is left of a sequence: a cell or line per node, and per source of a waiting edge its last value."""

    elements: dict[str, Cell | Line]
    waiting: dict[str, Values]


@dataclass
class FakeBackend:
    r"""Computes NIR's meaning in steps, but for its faults: (graph, stimulus (T, B, \*shape), dt) → recording.

    faults : of an importer
    axes : further choices of the update rule (``{"start": Start.RESET}``), over those of the faults
    refuses : neuron parameters that must be the same for all neurons of a node; RunFailed(``refused``) otherwise

    With ``state_carried``, a run starts where the last run of the same graph, step and batch ended: the first is as it
    should be, so use :func:`observe`.  Raises RunFailed(``run_error``) where faulty shapes do not fit each other.
    """

    faults: frozenset[Cause] = frozenset()
    axes: Mapping[str, Axis] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()
    _carried: dict[str, _Memory] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        unknown = sorted(str(fault) for fault in self.faults - {*RULE_AXIS, *_OUTSIDE_THE_RULE})
        if unknown:
            raise ValueError(f"not the faults of an importer: {', '.join(unknown)}")
        chosen = [axis for fault in self.faults for axis in RULE_AXIS.get(fault, ())]
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"two faults on one axis of the rule: {', '.join(sorted(self.faults))}")

    @property
    def rule(self) -> UpdateRule:
        """The update rule that this backend follows."""
        changes: dict[str, Axis] = {}
        for fault in sorted(self.faults & set(RULE_AXIS)):
            changes |= RULE_AXIS[fault]
        return NIR_MEANING.but(**{**changes, **self.axes})

    def __call__(self, graph: Graph, stimulus: Values, dt: float) -> Recording:
        step = DEFAULT_DT if Cause.DT_DEFAULT in self.faults else dt
        wiring = wire(graph, self.faults, lambda node: self._knows_ahead(node, step))
        self._check(wiring)
        key = _signature(wiring, step, stimulus.shape[1:])
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                memory = self._carried.get(key) or self._fresh(wiring, stimulus.shape[1:], step)
                recording = self._run(wiring, np.float64(stimulus), memory)
            except ValueError as error:
                raise RunFailed(str(Status.RUN_ERROR), "ValueError", "shapes do not fit") from error
        if Cause.STATE_CARRIED in self.faults:
            self._carried[key] = memory
        return recording

    def _knows_ahead(self, node: Node, step: float) -> bool:
        """Whether what a node gives in a step is known before what it gets in it."""
        if node.kind == "Delay":
            return bool((delay_in_steps(node, step) > 0).all())
        rule = self.rule
        late = rule.spike_from in (SpikeFrom.PREVIOUS, SpikeFrom.PREVIOUS_RESET)
        return node.kind in SPIKING and late and rule.feedback_bias is FeedbackBias.AT_ONCE

    def forget(self) -> None:
        """Start from zero again."""
        self._carried.clear()

    def _check(self, wiring: Wiring) -> None:
        for _, node in sorted(wiring.nodes.items()):
            for name in self.refuses:
                if name in node.params and node.kind in NEURONS and np.unique(node[name]).size > 1:
                    text = f"{node.kind}.{name} must be the same for all neurons"
                    raise RunFailed(str(Status.REFUSED), "ValueError", text)

    def _fresh(self, wiring: Wiring, shape: tuple[int, ...], dt: float) -> _Memory:
        """Zero states, every node in the shape in which silence reaches it, and each waiting edge's answer to silence."""
        given: dict[str, Values] = {}
        (start,) = (name for name, node in wiring.nodes.items() if node.kind == "Input")
        waiting = [(start, np.zeros(shape))]
        while waiting:
            name, silence = waiting.pop(0)
            if name not in given:
                given[name] = silence
                out = apply(wiring.nodes[name], silence, self.faults) * 0
                waiting += [(target, out) for source, target in wiring.edges if source == name]
        elements: dict[str, Cell | Line] = {}
        for name, silence in given.items():
            node = wiring.nodes[name]
            if node.kind in NEURONS:
                elements[name] = Cell(node, silence.shape, dt, self.rule)
            elif node.kind == "Delay":
                elements[name] = Line(node, silence.shape, dt)
        return _Memory(elements, {source: self._at_rest(wiring, source, given) for source, _ in wiring.waiting})

    def _at_rest(self, wiring: Wiring, name: str, given: Mapping[str, Values]) -> Values:
        """What a node answers to silence: neurons, Delays and edges that wait are silent."""
        node = wiring.nodes[name]
        if node.kind not in STATELESS:
            return given[name]
        if node.kind == "Input" or self.rule.feedback_bias is FeedbackBias.ABSENT:
            return apply(node, given[name], self.faults) * 0
        heard = [source for source in wiring.sources(name) if (source, name) not in wiring.waiting]
        silence = np.zeros_like(given[name], dtype=float)
        return apply(node, sum((self._at_rest(wiring, source, given) for source in heard), silence), self.faults)

    def _run(self, wiring: Wiring, stimulus: Values, memory: _Memory) -> Recording:
        sources = {name: wiring.sources(name) for name in wiring.nodes}
        kept: dict[str, list[Values]] = {name: [] for name in wiring.nodes}
        membranes: dict[str, list[Values]] = {name: [] for name, each in memory.elements.items() if isinstance(each, Cell)}
        for x in stimulus:
            now: dict[str, Values] = {}
            for name in wiring.order:
                if wiring.nodes[name].kind == "Input":
                    now[name] = x
                else:
                    parts = {
                        source: memory.waiting[source] if (source, name) in wiring.waiting else now[source]
                        for source in sources[name]
                        if name not in wiring.late
                    }
                    now[name] = self._advance(wiring, name, parts, memory)
                kept[name].append(now[name])
                if name in membranes and name not in wiring.late:
                    membranes[name].append(memory.elements[name].v)
            for name in wiring.late:
                element, x_late = memory.elements[name], sum(now[source] for source in sources[name])
                if isinstance(element, Cell):
                    element.step(x_late)
                    membranes[name].append(element.v)
                else:
                    element.take(x_late)
            memory.waiting.update({source: now[source] for source in memory.waiting})
        return Recording(
            outputs={name: _counts(kept[name]) for name, node in sorted(wiring.nodes.items()) if node.kind == "Output"},
            spikes={name: _counts(kept[name]) for name, node in sorted(wiring.nodes.items()) if node.kind in SPIKING},
            membranes={name: np.stack(values)[:, :MEMBRANE_SAMPLES] for name, values in sorted(membranes.items())},
        )

    def _advance(self, wiring: Wiring, name: str, parts: Mapping[str, Values], memory: _Memory) -> Values:
        element = memory.elements.get(name)
        if isinstance(element, Cell) and name in wiring.late:
            return element.give()
        if isinstance(element, Line):
            if name in wiring.late:
                return element.give(taken=False)
            element.take(sum(parts.values()))
            return element.give(taken=True)
        x = sum(parts.values())
        return element.step(x) if element is not None else apply(wiring.nodes[name], x, self.faults)


def observe(backend: FakeBackend, graph: Graph, stimulus: Values, dt: float) -> Recording:
    """The recording in which a backend's faults show: of the second of two equal runs where state is carried."""
    if Cause.STATE_CARRIED in backend.faults:
        backend.forget()
        backend(graph, stimulus, dt)
    return backend(graph, stimulus, dt)


def _counts(steps: list[Values]) -> Values:
    values = np.stack(steps)
    whole = np.isfinite(values).all() and (values >= 0).all() and (values < 256).all() and (values == np.floor(values)).all()
    return values.astype(np.uint8) if whole else values


def _signature(wiring: Wiring, dt: float, shape: tuple[int, ...]) -> str:
    sha = hashlib.sha256(repr((sorted(wiring.edges), dt, shape)).encode())
    for name, node in sorted(wiring.nodes.items()):
        sha.update(f"{name}\0{node.kind}".encode())
        for key, value in sorted(node.params.items()):
            sha.update(key.encode() + np.asarray(value).tobytes())
    return sha.hexdigest()
