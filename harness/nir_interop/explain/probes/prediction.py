"""What a rule answers to a probe; rules that make the same numbers of a probe's neuron are computed once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nir_interop.errors import InvalidGraph
from nir_interop.explain.probes.battery import RESPONSE, Probe
from nir_interop.explain.probes.neurons import FEEDBACK, SIZE, chain, cycle, neuron, single
from nir_interop.fingerprint import Circuit, Gains
from nir_interop.graphs import SPIKING, Array, Graph, Node
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.reference.neurons import SteppedNeuron, membrane_integrator, start_value, synapse_integrator
from nir_interop.rule import FeedbackBias, Floor, LeakUse, Precision, SpikesPerStep, Start, UpdateRule

Values = NDArray[np.float64]

ROUNDING = 2e-5
"""How far membranes computed in single precision may be off, in units of the largest: rules differ by much more."""

GRAZING = 2e-6
"""How much an input may be off, in parts of itself, after single precision has rounded it and what it is added to."""

LARGEST = 1e30
"""Membranes beyond this have exploded: single precision ends soon after, and nothing is learned from them."""

Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a rule makes of one state of a neuron; there is one object for equal numbers.

    decay : float32, as bytes
    """

    decay: bytes


_NUMBERS: dict[Key, Numbers] = {}
_BY_NEURON: dict[Key, dict[Key, Numbers]] = {}
_PEAKS: dict[Key, float] = {}
_ANSWERS: dict[Key, dict[Key, Array]] = {}


@dataclass
class Question:
    """A probe, asked of a primitive at a place of r and w_in.

    amplitude : of each sample of the batch, in amperes
    """

    probe: Probe
    kind: str
    gains: Gains
    node: Node
    amplitude: Values | None = None
    graph: Graph | None = None
    stimulus: Array | None = None
    _answers: dict[Key, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, probe: Probe, kind: str, gains: Gains) -> Question:
        """The question, not scaled yet."""
        return cls(probe, kind, gains, neuron(kind, probe.dt, gains, probe.variation))

    @cached_property
    def _known(self) -> dict[Key, Numbers]:
        """The numbers that rules make of this neuron; questions about the same neuron share them."""
        return _BY_NEURON.setdefault((self.kind, self.gains, self.probe.variation, self.probe.dt), {})

    @property
    def spiking(self) -> bool:
        """Whether the answer is spikes."""
        return self.kind in SPIKING

    def waveform(self) -> Values:
        """The unit waveform, the same at every call."""
        rng = np.random.default_rng([self.probe.seed, self.probe.batch, self.probe.steps])
        return self.probe.waveform(rng, self.probe.steps, self.probe.batch, SIZE)

    def scale(self, rules: Iterable[UpdateRule]) -> None:
        """Fix the input's strength, from the membranes of the rules that are still possible."""
        unit = self.waveform()
        few = unit[:, : min(8, unit.shape[1])]
        distinct = {self.response(rule): rule for rule in rules}
        peaks = [self._peak(rule, few) for rule in distinct.values()]
        threshold = self.probe.variation.threshold
        units = sorted(threshold / peak for peak in peaks if 1e-12 < peak < 1e12) or [threshold]
        rng = np.random.default_rng(self.probe.batch)
        batch = unit.shape[1]
        if self.probe.level is None:
            bins = {round(10 * float(np.log10(each))): each for each in units}
            chosen = np.resize(np.array(list(bins.values())), batch)
            self.amplitude = chosen * rng.uniform(0.95, 2.0, batch)
        else:
            self.amplitude = units[len(units) // 2] * np.linspace(*self.probe.level, batch) * rng.uniform(0.97, 1.03, batch)
        weight = float(np.median(self.amplitude)) * FEEDBACK
        self.graph = self._graph(weight)
        self.stimulus = (unit * self.amplitude[None, :, None]).astype(np.float32)
        if self.probe.stage == RESPONSE:
            # Before anything is known every backend is asked the same, and the candidates' answers are the same.
            asked = (self.kind, self.gains, self.probe, self.stimulus.tobytes())
            self._answers = _ANSWERS.setdefault(asked, {})

    def _graph(self, weight: float) -> Graph:
        if self.probe.circuit is Circuit.SINGLE:
            return single(self.node, SIZE)
        if self.probe.circuit is Circuit.CHAIN:
            return chain(self.node, SIZE, weight / FEEDBACK)
        circuit = self.probe.circuit
        return cycle(self.node, SIZE, weight, None if circuit.plain else weight, nested=circuit.nested)

    def response(self, rule: UpdateRule) -> Key:
        """The numbers that a rule makes of this neuron, without threshold: equal numbers, equal membranes."""
        parts: list[Any] = [self._numbers(rule, synapse=False)]
        if "tau_syn" in self.node.params:
            parts += [self._numbers(rule, synapse=True), (rule.order,)]
        return tuple(parts)

    def _numbers(self, rule: UpdateRule, *, synapse: bool) -> Numbers:
        gain = (rule.synapse_gain, rule.input_weight) if synapse else (rule.gain, rule.resistance)
        asked = (synapse, rule.time_step, rule.decay, rule.leak, rule.start, rule.precision, *gain)
        known = self._known
        if asked not in known:
            shape = (SIZE,)
            make = synapse_integrator if synapse else membrane_integrator
            integrator = make(self.node, shape, self.probe.dt, rule)
            start = integrator.start if synapse else start_value(self.node, shape, rule)
            numbers = [*(each.numpy() for each in integrator.responses(shape, _dtype(rule))), start]
            kept, *others = (np.float32(each).tobytes() for each in numbers)
            known[asked] = _NUMBERS.setdefault((kept, *others, rule.precision), Numbers(kept))
        return known[asked]

    def answer(self, rule: UpdateRule) -> Array:
        """What the rule answers: first spikes, spikes, or membranes."""
        key = self.key(rule)
        if key not in self._answers:
            self._answers[key] = self._answer(rule)
        return self._answers[key]

    def key(self, rule: UpdateRule) -> Key:
        """Rules with equal keys answer alike."""
        key: Key = self.response(rule)
        if self.probe.circuit.plain:
            key += (rule.feedback_bias is FeedbackBias.AT_ONCE,)
        elif self.probe.circuit is not Circuit.SINGLE:
            key += (rule.feedback_bias,)
        if not self.spiking:
            return key
        key += (rule.spike_from, rule.threshold)
        if self.probe.onset:
            return (*key, rule.comparison, rule.floor if self._floored(rule) else None)
        return (*key, rule.reset, rule.timing, rule.comparison, rule.spikes, rule.floor)

    def _floored(self, rule: UpdateRule) -> bool:
        """Whether a floor can matter before the first spike."""
        decay = np.frombuffer(self._numbers(rule, synapse=False).decay, dtype=np.float32)
        negative = self.stimulus is not None and bool((self.stimulus < 0).any())
        return negative or bool((decay < 0).any()) or self.probe.variation.leak < 0

    def _answer(self, rule: UpdateRule) -> Array:
        if self.stimulus is None or self.graph is None:
            raise ValueError("a question that is not scaled has no graph and no answer")
        with torch.no_grad(), np.errstate(invalid="ignore", over="ignore"):
            if self.probe.circuit is not Circuit.SINGLE:
                return simulate(self.graph, self.stimulus, self.probe.dt, rule).output
            if self.spiking and self.probe.onset:
                return self._onset(rule, self.stimulus)
            element = SteppedNeuron(self.node, (SIZE,), self.probe.dt, rule)
            x = torch.tensor(self.stimulus, dtype=element.dtype)
            return np.asarray(element.sequence(x, element.start(x.shape[1])).output.numpy())

    def _onset(self, rule: UpdateRule, x: Array) -> Array:
        """Whether each neuron has spiked by each step: until then nothing resets it."""
        floor = rule.floor if self._floored(rule) else Floor.NONE
        once = rule.but(spikes=SpikesPerStep.ONE, floor=floor)
        element = SteppedNeuron(self.node, (SIZE,), self.probe.dt, once)
        state = element.start(x.shape[1])
        v = element.unfired(torch.tensor(x), state)
        if element.from_previous:
            v = torch.cat([state["v"][None], v[:-1]])
        fired = element.fire(v, torch.empty_like(v)).bool()
        return np.asarray(np.maximum.accumulate(fired.numpy(), axis=0))

    def _peak(self, rule: UpdateRule, unit: Values) -> float:
        """The highest membrane under the unit waveform, from rest, on the average of samples and neurons."""
        plain = rule.but(leak=LeakUse.IGNORED, start=Start.ZERO, precision=Precision.FLOAT64, floor=Floor.NONE)
        asked = (self.response(plain), self.probe.waveform, unit.shape, self.probe.seed, self.probe.batch)
        if asked not in _PEAKS:
            _PEAKS[asked] = self._highest(plain, unit)
        return _PEAKS[asked]

    def _highest(self, plain: UpdateRule, unit: Values) -> float:
        element = SteppedNeuron(self.node, (SIZE,), self.probe.dt, plain)
        with torch.no_grad():
            v = element.unfired(torch.tensor(unit), element.start(unit.shape[1]))
        return float(v.max(0).values.mean())

    def observe(self, recording: Recording) -> Array:
        """What of a recording is compared.

        Raises InvalidGraph where the output has another shape.
        """
        output = recording.output
        if self.stimulus is None or output.shape != self.stimulus.shape:
            raise InvalidGraph(f"the output has axes {output.shape}")
        if self.spiking and self.probe.onset:
            return np.asarray(np.maximum.accumulate(output > 0, axis=0))
        return output

    def settled(self, rule: UpdateRule) -> NDArray[np.bool_]:
        """The samples, (B,), whose answer stays the same if the input is a little stronger or weaker.

        The others graze the threshold: there, single precision decides and not the rule.
        """
        if self.stimulus is None:
            raise ValueError("a question that is not scaled has no graph and no answer")
        own, stimulus = self.answer(rule), self.stimulus.astype(np.float64)
        kept = np.ones(own.shape[1], dtype=bool)
        for factor in (1 - GRAZING, 1 + GRAZING):
            shifted = replace(self, stimulus=stimulus * factor, _answers={})
            kept &= (shifted.answer(rule) == own).all(axis=(0, 2))
        return kept

    @property
    def inputs(self) -> int:
        """Samples in the stimulus."""
        return 0 if self.stimulus is None else int(self.stimulus.shape[1])

    def keep(self, samples: NDArray[np.bool_]) -> None:
        """Forget the other samples."""
        if self.stimulus is None:
            raise ValueError("a question that is not scaled has no graph and no answer")
        self.stimulus = self.stimulus[:, samples]
        self._answers = {}

    def missed(self, rules: Iterable[UpdateRule], observed: Array) -> list[int]:
        """How many outputs each rule does not reproduce."""
        counts: dict[Key, int] = {}
        found = []
        for rule in rules:
            key = self.key(rule)
            if key not in counts:
                counts[key] = self.mismatched(self.answer(rule), observed)
            found.append(counts[key])
        return found

    def mismatched(self, answer: Array, observed: Array) -> int:
        """How many outputs differ."""
        return int(self.unlike(answer, observed).sum())

    def unlike(self, answer: Array, observed: Array) -> NDArray[np.bool_]:
        """Which outputs differ, spikes at all and membranes by more than rounding."""
        if self.spiking:
            return np.asarray(answer != observed)
        meant, seen = answer.astype(np.float64), observed.astype(np.float64)
        single = np.abs(meant) < LARGEST
        scale = max(1.0, float(np.abs(meant[single]).max(initial=0.0)))
        return np.asarray(~(np.abs(meant - seen) <= ROUNDING * scale) & single)


def _dtype(rule: UpdateRule) -> torch.dtype:
    return torch.float32 if rule.precision is Precision.FLOAT32 else torch.float64
