"""One end of a transfer: whose it is, the step it takes, its update rules, and what is known of what its importer takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nir_interop.agreement.replay import rules_for
from nir_interop.fingerprint import Domain, Fingerprint
from nir_interop.graphs import NEURONS, Array, Graph
from nir_interop.recording import Recording
from nir_interop.rule import FIXED_DT, NIR_MEANING, Decay, ResetKind, SpikesPerStep, Start, TimeStep, UpdateRule, Use

DT = "dt"
"""Stands among the axes for the time step that the caller asks for."""

RunGraph = Callable[[Graph, Array, float], Recording]
"""A live backend: (graph, stimulus with axes (T, B, \\*shape), dt [s]) → recording; raises RunFailed where it gives none."""

Place = tuple[str, str]
"""An axis, and the primitive whose rule it is of."""


@dataclass(frozen=True)
class Side:
    """How one end, a source or an importer, runs graphs.

    name : for sentences
    dt : the step [s]
    rules : primitive → update rule; NIR's meaning where none is given
    domain : what its importer takes and refuses; empty where that is not known, or of no matter
    """

    name: str
    dt: float
    rules: Mapping[str, UpdateRule] = field(default_factory=dict)
    domain: Domain = field(default_factory=Domain)

    @classmethod
    def of(cls, known: Fingerprint, dt: float, name: str = "") -> Side:
        """What is known of an importer, at a step [s]; name : the backend's, where none is given."""
        return cls(name or known.backend, dt, known.by_primitive(), known.rules)

    def rule(self, kind: str) -> UpdateRule:
        """The rule of a primitive."""
        return self.rules.get(kind, NIR_MEANING)

    def value(self, axis: str, kind: str) -> Any:
        """What an axis says for a primitive; the step for DT."""
        return self.dt if axis == DT else getattr(self.rule(kind), axis)

    def takes(self, kind: str) -> bool:
        """Whether the importer gave an answer to a primitive in any form, whatever comes behind it.

        Of which nothing is known, it is believed to.
        """
        return self.domain.takes(kind)

    def beside(self, source: Side) -> Side:
        """This side with the rules of a source for neurons that its importer takes in no form, which others stand for."""
        return replace(self, rules={**self.rules, **{kind: source.rule(kind) for kind in NEURONS if not self.takes(kind)}})

    def take(self, axes: Iterable[str], other: Side, kinds: Iterable[str]) -> Side:
        """This side with some axes of some primitives as another has them."""
        return self.take_at(itertools.product(axes, kinds), other)

    def take_at(self, places: Iterable[Place], other: Side) -> Side:
        """This side with the axes at some places, and the step where DT is among them, as another has them."""
        dt, rules = self.dt, dict(self.rules)
        for axis, kind in places:
            if axis == DT:
                dt = other.dt
            else:
                rules[kind] = rules.get(kind, NIR_MEANING).but(**{axis: other.value(axis, kind)})
        return replace(self, dt=dt, rules=rules)

    def for_graph(self, graph: Graph) -> Side:
        """This side with the rules of an inlined graph's neurons, NIR's value on each axis that is of no matter to them.

        A parameter that is neutral, or the same for all neurons, reads the same in every way of reading it.
        """
        return replace(
            self, rules={kind: self._without_neutral(rule, graph, kind) for kind, rule in rules_for(graph, self.rules).items()}
        )

    def _without_neutral(self, rule: UpdateRule, graph: Graph, kind: str) -> UpdateRule:
        nodes = [node for _, node in graph.primitives() if node.kind == kind]

        def everywhere(name: str, holds: Callable[[Any], Any]) -> bool:
            return all(bool(np.all(holds(np.asarray(node[name])))) for node in nodes if name in node.params)

        def uniform(name: str) -> bool:
            return everywhere(name, lambda value: value == value.reshape(-1)[:1])

        taus = ("tau", "tau_mem", "tau_syn")
        plain: dict[str, bool] = {
            "reset": rule.reset is ResetKind.TO_ZERO and everywhere("v_reset", lambda value: value == 0),
            "start": everywhere({Start.LEAK: "v_leak"}.get(rule.start, "v_reset"), lambda value: value == 0),
            "leak": everywhere("v_leak", lambda value: value == 0),
            "threshold": uniform("v_threshold"),
            "input_weight": everywhere("w_in", lambda value: value == 1),
            "resistance": everywhere("r", lambda value: value == 1)
            if rule.resistance is Use.IGNORED
            else uniform("r") and all(uniform(tau) for tau in taus),
            "time_step": rule.time_step is TimeStep.FIXED and self.dt == FIXED_DT,
        }
        if rule.time_step is TimeStep.GIVEN:
            clamped = rule.decay is Decay.EULER_CLAMPED
            plain["decay"] = clamped and all(everywhere(tau, lambda value: value >= self.dt) for tau in taus)
        if rule.spikes is SpikesPerStep.ONE and rule.reset is ResetKind.SUBTRACT_ALL:
            rule = rule.but(reset=ResetKind.SUBTRACT)
        return rule.but(**{axis: getattr(NIR_MEANING, axis) for axis, holds in plain.items() if holds})
