"""Which update rule a backend has, found by asking it.

Identification is staged: the axes of a stage are decided by that stage's probes, among the rules that the stages before
have left over, so that the product of all axes is never searched.  At the end the whole battery is replayed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from nir_interop.agreement.side import RunGraph
from nir_interop.errors import InvalidGraph, RunFailed
from nir_interop.explain.conditions_in_words import condition_in_words
from nir_interop.explain.probes import (
    BATTERY,
    OF_NEURONS,
    STRUCTURAL,
    Probe,
    Question,
    Variation,
    gains_of,
    neuron,
    stimuli,
    written,
)
from nir_interop.explain.probes.battery import ALL, COLLAPSE, COMPARISON, DT, FEEDBACK, LATE_FEEDBACK, RESET, RESPONSE, START
from nir_interop.explain.probes.candidates import extended, first_candidates
from nir_interop.explain.probes.evidence import Neighbour, evidence
from nir_interop.explain.probes.neurons import left_out, left_out_in_words, with_biases
from nir_interop.explain.probes.tie_breaking import INPUTS, accepted, equality, separating
from nir_interop.fingerprint import (
    Circuit,
    Domain,
    Fingerprint,
    Form,
    Gains,
    Identified,
    NeuronCondition,
    Origin,
    Refusal,
    Subject,
    Tie,
    differing_axes,
    subject_order,
)
from nir_interop.graphs import NEURONS, SPIKING, Array, Node
from nir_interop.recording import Recording
from nir_interop.rule import NIR_MEANING, Axis, Precision, TimeStep, UpdateRule
from nir_interop.vocabulary import PrimitiveStatus, Status

KINDS: tuple[Subject, ...] = tuple(
    dict.fromkeys([*NEURONS, *sorted({probe.subject for probe in STRUCTURAL}, key=subject_order)])
)
"""What is identified: neurons, and with evidence alone the primitives without axes and the wirings."""

PLACES = 3
"""At how many places of r and w_in the sub-threshold response is asked for."""


def identify(
    run: RunGraph, *, name: str, origin: Origin = Origin.IMPORT, options: str = "", kinds: Iterable[Subject] = KINDS
) -> Fingerprint:
    """The rule of each primitive of a backend.

    run : (graph, stimulus with axes (T, B, n), dt [s]) → recording from zero state; raises RunFailed
    name, origin, options : of the fingerprint

    A primitive that is refused whatever its parameters has no outputs, and its rule says nothing.
    """
    inquiries = {kind: Inquiry(run, kind) for kind in kinds if isinstance(kind, str) and kind in NEURONS}
    for inquiry in inquiries.values():
        inquiry.ask()
    decided = _decided(inquiries.values())
    rules: dict[Subject, Identified] = {kind: inquiry.result(decided) for kind, inquiry in inquiries.items()}
    neighbour = _neighbour(inquiries.values(), rules)
    for kind in kinds:
        probes = [probe for probe in STRUCTURAL if probe.subject == kind]
        if kind not in inquiries:
            found = evidence(run, [probe for probe in probes if not probe.if_taken], neighbour)
            if found.outputs:
                found = _both(found, evidence(run, [probe for probe in probes if probe.if_taken], neighbour))
            rules[kind] = replace(found, refusals=_as_a_whole(found.refusals, found.outputs > 0))
        elif probes and isinstance(kind, str) and not inquiries[kind].rules:
            rules[kind] = _among_others(rules[kind], evidence(run, probes, neighbour))
    return Fingerprint(name, origin, options, Domain(rules))


def _neighbour(inquiries: Iterable[Inquiry], rules: Mapping[Subject, Identified]) -> Neighbour | None:
    """A spiking neuron that the backend takes, off neutral values as far as may be."""
    for inquiry in sorted(inquiries, key=lambda inquiry: inquiry.kind == "IF"):
        if inquiry.kind in SPIKING and inquiry.rules:
            kind, dt, gains = inquiry.kind, 1.0 if inquiry.in_steps() else DT, inquiry.places[0]
            question = Question.of(Probe(ALL, stimuli.random, (1.0, 1.0), dt=dt, seed=9), kind, gains)
            question.scale([rules[kind].rule])
            strength = 1.0 if question.amplitude is None else float(question.amplitude.mean())

            def cell(size: int, kind: str = kind, dt: float = dt, gains: Gains = gains) -> Node:
                return neuron(kind, dt, gains, Variation(), size)

            return Neighbour(cell, {kind: rules[kind].rule}, dt, strength)
    return None


def _as_a_whole(refusals: tuple[Refusal, ...], answered: bool) -> tuple[Refusal, ...]:
    """What is refused everywhere, in the same words, is refused in any form."""
    words = {(refusal.status, refusal.message) for refusal in refusals}
    return (Refusal(Form.ANY, *words.pop()),) if len(words) == 1 and not answered else refusals


def _both(one: Identified, other: Identified) -> Identified:
    """All evidence of a primitive."""
    outputs, mismatched = one.outputs + other.outputs, one.mismatched + other.mismatched
    return replace(one, outputs=outputs, mismatched=mismatched, refusals=(*one.refusals, *other.refusals))


def _among_others(alone: Identified, found: Identified) -> Identified:
    """What becomes of a neuron among other nodes, where it is not taken alone."""
    said = {(refusal.status, refusal.message) for refusal in alone.refusals}
    further = tuple(refusal for refusal in found.refusals if (refusal.status, refusal.message) not in said)
    return replace(alone, outputs=0 if found.mismatched else found.outputs, refusals=alone.refusals + further)


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

    run: RunGraph
    kind: str
    answered: list[tuple[Question, Array]] = field(default_factory=list)
    refused: list[tuple[Question, Refusal]] = field(default_factory=list)
    rules: list[UpdateRule] = field(default_factory=list)
    misrun: list[Refusal] = field(default_factory=list)
    places: list[Gains] = field(default_factory=list)

    def ask(self) -> None:
        """Ask stage by stage; ``rules`` are those that answer as the backend does."""
        self.places = self._places()
        if not self.places:
            return
        self._respond()
        for stage in (START, RESET, COMPARISON, COLLAPSE, FEEDBACK, ALL):
            self.rules = extended(self.rules, self.kind, stage)
            for question in self._comparisons() if stage == COMPARISON else self._questions(stage):
                self._narrow(question)
            if stage == FEEDBACK and any(rule.spike_from.late for rule in self.rules):
                for question in self._questions(stage, LATE_FEEDBACK):
                    self._narrow(question)
        self._rewrite()
        for question in separating(self.kind, self.rules, accepted(asked for asked, _ in self.answered)):
            self._narrow(question)

    def result(self, decided: frozenset[tuple[str, Axis]] = frozenset()) -> Identified:
        """The rule nearest to NIR's meaning, then to what is decided elsewhere; the replay; and what is not separated."""
        if not self.rules:
            return Identified(NIR_MEANING, refusals=self._refusals())

        def preference(rule: UpdateRule) -> tuple[int, int]:
            differing = differing_axes(rule)
            return len(differing), -sum((axis, getattr(rule, axis)) in decided for axis in differing)

        chosen = min(self.rules, key=preference)
        outputs = sum(observed.size for _, observed in self.answered)
        mismatched = sum(question.missed([chosen], observed)[0] for question, observed in self.answered)
        return Identified(chosen, outputs, mismatched, tuple(self._ties(chosen)), self._refusals())

    def _places(self) -> list[Gains]:
        """Where of r and w_in the backend answers at all."""
        plain = Probe(RESPONSE, stimuli.constant, batch=2, steps=4)
        found: list[Gains] = []
        for gains in gains_of(self.kind):
            question = Question.of(plain, self.kind, gains)
            question.scale([NIR_MEANING])
            if self._ask(question) is not None:
                found.append(gains)
        return found[:PLACES]

    def _respond(self) -> None:
        """How the membrane answers below its threshold; in fixed point where no other arithmetic fits."""
        questions = list(self._questions(RESPONSE))
        kept: dict[Precision, tuple[int, list[UpdateRule]]] = {}
        for precision in (Precision.FLOAT64, Precision.FIXED):
            self.rules = [*first_candidates(self.kind, precision)]
            missed = sum([self._narrow(question) for question in questions])
            kept[precision] = (missed, self.rules)
            if missed == 0:
                return
        best = min(kept, key=lambda precision: kept[precision][0])
        self.rules = kept[best][1]

    def _rewrite(self) -> None:
        """Ask for the same neuron with its numbers written otherwise; what is not run as before is declined or misrun."""
        dt = 1.0 if self.in_steps() else DT
        probe = Probe(ALL, stimuli.random, (0.5, 4.0), dt=dt, steps=24, batch=16, seed=22)
        for way in OF_NEURONS:
            question = Question.of(probe, self.kind, self.places[0])
            question.node = written(question.node, way)
            question.scale(self.rules)
            if question.graph is None or question.stimulus is None:
                continue
            try:
                made = self._end(question)
                if left := left_out(question.graph, made):
                    raise RunFailed(str(PrimitiveStatus.DROPPED), message=left_out_in_words(left))
                if isinstance(made, RunFailed):
                    raise made
                observed = question.observe(made)
                fewest = min(question.missed(self.rules, observed))
                if not fewest:
                    continue
                ends = str(Status.MISMATCH), f"{fewest} of {observed.size} outputs differ"
            except RunFailed as error:
                ends = error.status, ": ".join(text for text in (error.error_type, error.message) if text)
            except InvalidGraph as error:
                ends = str(Status.WRONG_SHAPE), str(error)
            self.misrun.append(Refusal(way, *ends))

    def _questions(self, stage: str, battery: Iterable[Probe] = BATTERY) -> Iterator[Question]:
        for probe in battery:
            if probe.stage == stage and probe.fits(self.kind):
                asked = replace(probe, dt=1.0) if stage != RESPONSE and self.in_steps() else probe
                for gains in self.places if probe.every_gain else self.places[:1]:
                    yield Question.of(asked, self.kind, gains)

    def in_steps(self) -> bool:
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
                self.misrun.append(Refusal(NeuronCondition(circuit=question.probe.circuit), str(Status.MISMATCH), words))
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
            raise ValueError("a question that is not scaled has no graph")
        try:
            first = self._end(question)
            if "Linear" in left_out(graph, first).values() and (biased := with_biases(graph)) is not None:
                question.graph = graph = biased  # another form of the same weights
                first = self._end(question)
            if left := left_out(graph, first):
                raise RunFailed(str(PrimitiveStatus.DROPPED), message=left_out_in_words(left))
            if isinstance(first, RunFailed):
                raise first
            runs = [first, *(self.run(graph, stimulus, question.probe.dt) for _ in range(question.probe.repeats - 1))]
            observed = [question.observe(each) for each in runs]
        except RunFailed as error:
            message = ": ".join(text for text in (error.error_type, error.message) if text)
            self.refused.append((question, Refusal(_condition(question), error.status, message)))
            return None
        except InvalidGraph as error:
            self.refused.append((question, Refusal(_condition(question), str(Status.WRONG_SHAPE), str(error))))
            return None
        for again in observed[1:]:
            self.answered.append((question, again))
        return observed[0]

    def _end(self, question: Question) -> Recording | RunFailed:
        """How one run of a question ends."""
        if question.graph is None or question.stimulus is None:
            raise ValueError("a question that is not scaled has no graph")
        try:
            return self.run(question.graph, question.stimulus, question.probe.dt)
        except RunFailed as error:
            return error

    def _comparisons(self) -> Iterator[Question]:
        """Inputs after which the membrane equals the threshold, in single precision as well as in double; one at each dt."""
        rule = self.rules[0]
        if self.kind not in SPIKING:
            return
        for dt in (DT, 1e-4, 1.0):
            for gains, tau in itertools.product(self.places, (4.0, 2.0, 2.0**-8)):
                question = equality(self.kind, gains, dt, tau, rule)
                if question is None:
                    continue
                yield question
                answered = any(asked is question for asked, _ in self.answered)
                if answered and len({rule.comparison for rule in self.rules}) == 1:
                    break

    def _refusals(self) -> tuple[Refusal, ...]:
        """Each once."""
        found = {_condition(question): refusal for question, refusal in reversed(self.refused)}
        once = tuple(found[each] for each in sorted(found, key=lambda condition: condition.order))
        return (*_as_a_whole(once, bool(self.rules)), *self.misrun)

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
        """An input that would tell two rules apart, and why it could not be had; and how far they agree without it."""
        agreeing = f"{INPUTS:,} random inputs agree"
        if all(
            question.key(one) == question.key(other)
            for question, _ in self.answered
            if question.probe.circuit is Circuit.SINGLE
        ):
            agreeing = "the same equation in the accepted domain"
        if differing_axes(one, other) == ("feedback_bias",):
            return "a recurrence with a bias, which is not run as such"
        if differing_axes(one, other) == ("comparison",):
            return f"a membrane that equals its threshold exactly, which no accepted parameters make; {agreeing}"
        for question, refusal in self.refused:
            probe = replace(question.probe, waveform=stimuli.random, level=(0.5, 6.0), steps=32, batch=32)
            asked = Question.of(probe, self.kind, question.gains)
            asked.scale([one])
            if asked.key(one) != asked.key(other) and asked.mismatched(asked.answer(one), asked.answer(other)):
                words = condition_in_words(refusal.condition, self.kind)
                return f"{words}: {refusal.status} ({refusal.message}); elsewhere {agreeing}"
        return f"none{'' if agreeing.startswith('the same') else ' found'}: {agreeing}"


def _condition(question: Question) -> NeuronCondition:
    """What of a question is unusual; where r and w_in stand goes without saying where they tell most and something else is."""
    probe = question.probe
    found = replace(probe.variation.condition(), circuit=probe.circuit)
    plain = found == NeuronCondition() or question.gains != gains_of(question.kind)[0]
    return replace(found, gains=question.gains if plain else None, dt=probe.dt if probe.dt != DT else None)
