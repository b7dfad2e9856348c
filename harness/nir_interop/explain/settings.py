"""A way to run a graph: the step and the rules, as far as they matter to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nir_interop.agreement.replay import Rules, rules_for
from nir_interop.graphs import Graph
from nir_interop.reference.coefficients import FIXED_DT
from nir_interop.rule import NIR_MEANING, Decay, ResetKind, SpikesPerStep, Start, TimeStep, UpdateRule, Use

DT = "dt"
"""Stands among the axes for the time step that the caller asks for."""

Place = tuple[str, str]
"""An axis, and the primitive whose rule it is of."""


@dataclass(frozen=True)
class Setting:
    """A way to run a graph: the step, one rule per primitive, and whose way it is."""

    dt: float
    rules: Mapping[str, UpdateRule]
    who: str = "the rule"

    def value(self, axis: str, kind: str) -> Any:
        """What an axis says for a primitive; the step for DT."""
        return self.dt if axis == DT else getattr(self.rules[kind], axis)

    def take(self, axes: tuple[str, ...], other: Setting) -> Setting:
        """This setting with some axes of every primitive as another has them."""
        return self.take_at(tuple((axis, kind) for axis in axes for kind in self.rules), other)

    def take_at(self, places: tuple[Place, ...], other: Setting) -> Setting:
        """This setting with some axes of some primitives as another has them."""
        rules = {
            kind: rule.but(**{axis: getattr(other.rules[kind], axis) for axis, where in places if where == kind and axis != DT})
            for kind, rule in self.rules.items()
        }
        step = other.dt if any(axis == DT for axis, _ in places) else self.dt
        return Setting(step, rules, self.who)


def settle(graph: Graph, dt: float, rules: Rules, who: str) -> Setting:
    """The same setting with NIR's value on each axis whose value makes no difference to the graph's parameters."""
    return Setting(dt, {kind: _settled(rule, graph, kind, dt) for kind, rule in rules_for(graph, rules).items()}, who)


def _settled(rule: UpdateRule, graph: Graph, kind: str, dt: float) -> UpdateRule:
    """A parameter that is neutral, or the same for all neurons, reads the same in every way of reading it."""
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
        "time_step": rule.time_step is TimeStep.FIXED and dt == FIXED_DT,
    }
    if rule.time_step is TimeStep.GIVEN:
        plain["decay"] = rule.decay is Decay.EULER_CLAMPED and all(everywhere(tau, lambda value: value >= dt) for tau in taus)
    if rule.spikes is SpikesPerStep.ONE and rule.reset is ResetKind.SUBTRACT_ALL:
        rule = rule.but(reset=ResetKind.SUBTRACT)
    return rule.but(**{axis: getattr(NIR_MEANING, axis) for axis, holds in plain.items() if holds})
