"""Which update rule a backend has, found by asking it.

Identification is staged: the axes of a stage are decided by that stage's probes, among the rules that the stages before
have left over, so that the product of all axes is never searched.  At the end the whole battery is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from harness.errors import InvalidGraph, RunFailed
from harness.explain.probes import BATTERY, Gains, Probe, Question, Variation, gains_of, neuron, stimuli
from harness.explain.probes.battery import ALL, COLLAPSE, COMPARISON, DT, FEEDBACK, RESET, RESPONSE, START
from harness.explain.probes.candidates import extended, first_candidates
from harness.explain.probes.graphs import SINGLE, single
from harness.explain.probes.parameters import SIZE
from harness.fingerprint import Fingerprint, Identified, Refusal, Side, Tie, differing_axes
from harness.graphs import NEURONS, SPIKING, Array, Graph
from harness.recording import Recording
from harness.reference import simulate
from harness.reference.neurons import Neuron
from harness.rule import NIR_MEANING, Axis, Precision, TimeStep, UpdateRule
from harness.vocabulary import Status

Run = Callable[[Graph, Array, float], Recording]

KINDS = (*NEURONS, "Threshold", "Delay")
"""Primitives that are identified; the last two have no axes, only evidence."""

NEIGHBOUR = 2.0**-18
"""How far beside equality its neighbours are: more than single precision rounds, less than anything else does."""

PLACES = 3
"""At how many places of r and w_in the sub-threshold response is asked for."""


def identify(run: Run, *, name: str, side: Side = Side.IMPORT, options: str = "", kinds: Iterable[str] = KINDS) -> Fingerprint:
    """The rule of each primitive of a backend.

    run : (graph, stimulus with axes (T, B, n), dt [s]) → recording from zero state; raises RunFailed
    name, side, options : of the fingerprint

    A primitive that is refused whatever its parameters has no outputs, and its rule says nothing.
    """
    inquiries = {kind: Inquiry(run, kind) for kind in kinds if kind in NEURONS}
    for inquiry in inquiries.values():
        inquiry.ask()
    decided = _decided(inquiries.values())
    rules = {kind: inquiry.result(decided) for kind, inquiry in inquiries.items()}
    rules |= {kind: _evidence(run, kind) for kind in kinds if kind not in inquiries}
    return Fingerprint(name, side, options, {kind: rule for kind, rule in sorted(rules.items())})


def _decided(inquiries: Iterable[Inquiry]) -> frozenset[tuple[str, Axis]]:
    """What is beyond doubt for some primitive: the likelier reading of what another leaves open."""
    found: set[tuple[str, Axis]] = set()
    for inquiry in inquiries:
        for axis in NIR_MEANING.as_dict():
            values = {getattr(rule, axis) for rule in inquiry.rules}
            found |= {(axis, value) for value in values if len(values) == 1}
    return frozenset(found)


@dataclass
class Inquiry:
    """The questions to a backend about one primitive, and what is left of the candidates."""

    run: Run
    kind: str
    answered: list[tuple[Question, Array]] = field(default_factory=list)
    refused: list[tuple[Question, Refusal]] = field(default_factory=list)
    rules: list[UpdateRule] = field(default_factory=list)
    misrun: list[Refusal] = field(default_factory=list)

    def ask(self) -> None:
        """Ask stage by stage; ``rules`` are those that answer as the backend does."""
        places = self._places()
        if not places:
            return
        self._respond(places)
        for stage in (START, RESET, COMPARISON, COLLAPSE, FEEDBACK, ALL):
            self.rules = extended(self.rules, self.kind, stage)
            for question in self._comparisons(places) if stage == COMPARISON else self._questions(stage, places):
                self._narrow(question)

    def result(self, decided: frozenset[tuple[str, Axis]] = frozenset()) -> Identified:
        """The rule nearest to NIR's meaning, then to what is decided elsewhere; the replay; and what is not separated."""
        if not self.rules:
            return Identified(NIR_MEANING, refuses=self._refusals())

        def preference(rule: UpdateRule) -> tuple[int, int]:
            differing = differing_axes(rule)
            return len(differing), -sum((axis, getattr(rule, axis)) in decided for axis in differing)

        chosen = min(self.rules, key=preference)
        outputs = sum(observed.size for _, observed in self.answered)
        mismatched = sum(question.missed([chosen], observed)[0] for question, observed in self.answered)
        return Identified(chosen, outputs, mismatched, tuple(self._ties(chosen)), self._refusals())

    def _places(self) -> list[Gains]:
        """Where of r and w_in the backend answers at all."""
        plain = Probe("accepted", RESPONSE, stimuli.constant, batch=2, steps=4)
        found: list[Gains] = []
        for gains in gains_of(self.kind):
            question = Question.of(plain, self.kind, gains)
            question.scale([NIR_MEANING])
            if self._ask(question) is not None:
                found.append(gains)
        return found[:PLACES]

    def _respond(self, places: list[Gains]) -> None:
        """How the membrane answers below its threshold; in fixed point where no other arithmetic fits."""
        questions = list(self._questions(RESPONSE, places))
        kept: dict[Precision, tuple[int, list[UpdateRule]]] = {}
        for precision in (Precision.FLOAT64, Precision.FIXED):
            self.rules = first_candidates(self.kind, precision)
            missed = sum([self._narrow(question) for question in questions])
            kept[precision] = (missed, self.rules)
            if missed == 0:
                return
        best = min(kept, key=lambda precision: kept[precision][0])
        self.rules = kept[best][1]

    def _questions(self, stage: str, places: list[Gains]) -> Iterator[Question]:
        for probe in BATTERY:
            if probe.stage == stage and probe.fits(self.kind):
                asked = replace(probe, dt=1.0) if stage != RESPONSE and self._in_steps() else probe
                for gains in places if probe.every_gain else places[:1]:
                    yield Question.of(asked, self.kind, gains)

    def _in_steps(self) -> bool:
        """Whether time constants are read as numbers of steps: then they are so many seconds at a dt of 1 s."""
        return {rule.time_step for rule in self.rules} == {TimeStep.UNIT}

    def _narrow(self, question: Question) -> int:
        """Ask, and keep the rules that answer as the backend does; returns how many outputs the best of them misses."""
        observed = next((seen for asked, seen in self.answered if asked is question), None)
        if observed is None:
            if question.stimulus is None:
                question.scale(self.rules)
            observed = self._ask(question)
            if observed is None:
                return 0
            if question.probe.stage != FEEDBACK:
                self.answered.append((question, observed))
        missed = question.missed(self.rules, observed)
        if min(missed) and question.spiking and question.probe.stage != COMPARISON:
            observed = self._without_grazing(question, self.rules[missed.index(min(missed))], observed)
            missed = question.missed(self.rules, observed)
        fewest = min(missed)
        if question.probe.stage == FEEDBACK:
            if fewest:
                words = f"neither start of the feedback reproduces it: {fewest} of {observed.size} outputs differ"
                self.misrun.append(Refusal(question.probe.name, str(Status.MISMATCH), words))
                return 0
            self.answered.append((question, observed))
        self.rules = [rule for rule, count in zip(self.rules, missed, strict=True) if count == fewest]
        return fewest

    def _without_grazing(self, question: Question, rule: UpdateRule, observed: Array) -> Array:
        """Leave out the samples that graze the threshold under the rule that fits best."""
        kept = question.settled(rule)
        question.keep(kept)
        self.answered = [(asked, seen[:, kept] if asked is question else seen) for asked, seen in self.answered]
        return observed[:, kept]

    def _ask(self, question: Question) -> Array | None:
        """What the backend answers, or None where it gives nothing that can be compared."""
        graph, stimulus = question.graph, question.stimulus
        if graph is None or stimulus is None:
            raise ValueError(f"{question.probe.name}: not scaled")
        try:
            observed = [question.observe(self.run(graph, stimulus, question.probe.dt)) for _ in range(question.probe.repeats)]
        except RunFailed as error:
            message = ": ".join(text for text in (error.error_type, error.message) if text)
            self.refused.append((question, Refusal(_parameter(question), error.status, message)))
            return None
        except InvalidGraph as error:
            self.refused.append((question, Refusal(_parameter(question), str(Status.WRONG_SHAPE), str(error))))
            return None
        for again in observed[1:]:
            self.answered.append((question, again))
        return observed[0]

    def _comparisons(self, places: list[Gains]) -> Iterator[Question]:
        """Inputs after which the membrane equals the threshold, in single precision as well as in double."""
        rule = self.rules[0]
        if self.kind not in SPIKING:
            return
        for dt in (DT, 1e-4, 1.0):
            for gains in places:
                for tau in (4.0, 2.0, 2.0**-8):
                    question = equality(self.kind, gains, dt, tau, rule)
                    if question is not None:
                        yield question

    def _refusals(self) -> tuple[Refusal, ...]:
        """Each once; a primitive that is refused everywhere, in the same words, is refused as such."""
        found = {refusal.parameter: refusal for _, refusal in reversed(self.refused)}
        words = {(refusal.status, refusal.message) for refusal in found.values()}
        if not self.rules and len(words) == 1:
            return (Refusal(self.kind, *words.pop()),)
        return (*(found[name] for name in sorted(found)), *self.misrun)

    def _ties(self, chosen: UpdateRule) -> Iterator[Tie]:
        """The axes that the answers leave open."""
        for axis in chosen.as_dict():
            own = getattr(chosen, axis)
            others = {getattr(rule, axis): rule for rule in self._nearest_last(chosen)}
            others.pop(own, None)
            if others:
                names = sorted(value.value for value in others)
                splits = "; ".join(sorted({self._splits(chosen, rule) for rule in others.values()}))
                yield Tie(axis, (own.value, *names), splits)

    def _nearest_last(self, chosen: UpdateRule) -> list[UpdateRule]:
        return sorted(self.rules, key=lambda rule: -len(differing_axes(rule, chosen)))

    def _splits(self, one: UpdateRule, other: UpdateRule) -> str:
        """An input that would tell two rules apart, and why it could not be had."""
        if differing_axes(one, other) == ("feedback_bias",):
            return "a recurrence with a bias, which is not run as such"
        if differing_axes(one, other) == ("comparison",):
            return "a membrane that equals its threshold exactly; no accepted parameters make one"
        for question, refusal in self.refused:
            probe = replace(question.probe, waveform=stimuli.random, level=(0.5, 6.0), steps=32, batch=32)
            asked = Question.of(probe, self.kind, question.gains)
            asked.scale([one])
            if asked.key(one) != asked.key(other) and asked.mismatched(asked.answer(one), asked.answer(other)):
                return f"{refusal.parameter}: {refusal.status} ({refusal.message})"
        if all(question.key(one) == question.key(other) for question, _ in self.answered if question.probe.graph == SINGLE):
            return "none: the same equation in the accepted domain"
        inputs = sum(seen.shape[1] for question, seen in self.answered if question.probe.stage == ALL)
        return f"none found: {inputs:,} random inputs agree"


def equality(kind: str, gains: Gains, dt: float, tau: float, rule: UpdateRule) -> Question | None:
    """A question whose membrane equals its threshold, or None where the rule's arithmetic is not exact there.

    Beside the input that makes it equal stand its nearest neighbours: the one must not spike, the other must.
    """
    variation = Variation(tau=tau, tau_syn=2.0)
    probe = Probe(f"equality at dt {dt:g}, tau {tau:g} dt", COMPARISON, stimuli.impulse, None, variation, dt, steps=8, batch=3)
    question = Question(probe, kind, gains, neuron(kind, dt, gains, variation, dtype=np.float64))
    threshold = _peak(question, rule)
    if not 0 < threshold < 1e30 or any(_peak(question, each) != threshold for each in _precisions(rule)):
        return None
    question.node = neuron(kind, dt, gains, replace(variation, threshold=threshold), dtype=np.float64)
    question.graph = single(question.node, SIZE)
    question.amplitude = np.array([1 - NEIGHBOUR, 1.0, 1 + NEIGHBOUR])
    question.stimulus = (question.waveform() * question.amplitude[None, :, None]).astype(np.float32)
    return question


def _precisions(rule: UpdateRule) -> tuple[UpdateRule, ...]:
    if rule.precision is Precision.FIXED:
        return (rule,)
    return rule.but(precision=Precision.FLOAT64), rule.but(precision=Precision.FLOAT32)


def _peak(question: Question, rule: UpdateRule) -> float:
    """The highest membrane under a unit impulse, of a neuron that does not reach its threshold."""
    params = dict(question.node.params) | {"v_threshold": np.full(SIZE, 1e30)}
    element = Neuron(replace(question.node, params=params), (SIZE,), question.probe.dt, rule)
    x = torch.tensor(question.waveform()[:, :1])
    with torch.no_grad():
        trace = element.sequence(x.to(element.dtype), element.start(1))
    return float(trace.membrane.max()) if trace.membrane is not None else 0.0


def _parameter(question: Question) -> str:
    """What of a question is unusual, in words."""
    varied = question.probe.variation.says()
    graph = "" if question.probe.graph == SINGLE else question.probe.name
    step = f"dt = {question.probe.dt:g}" if question.probe.dt != DT else ""
    gains = "" if (varied or graph) and question.gains == gains_of(question.kind)[0] else question.gains.says(question.kind)
    return ", ".join(text for text in (varied, graph, gains, step) if text)


def _evidence(run: Run, kind: str) -> Identified:
    """How far a primitive without axes does as NIR says."""
    node = neuron(kind, DT, Gains(), Variation())
    graph = single(node, SIZE)
    stimulus = stimuli.random(np.random.default_rng(0), 24, 32, SIZE).astype(np.float32)
    try:
        seen = run(graph, stimulus, DT).output
    except RunFailed as error:
        message = ": ".join(text for text in (error.error_type, error.message) if text)
        return Identified(NIR_MEANING, refuses=(Refusal(kind, error.status, message),))
    meant = simulate(graph, stimulus, DT).output
    if seen.shape != meant.shape:
        return Identified(NIR_MEANING, refuses=(Refusal(kind, str(Status.WRONG_SHAPE), f"the output has axes {seen.shape}"),))
    return Identified(NIR_MEANING, meant.size, int((seen.astype(np.float32) != meant.astype(np.float32)).sum()))
