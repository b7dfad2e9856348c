"""One way of reading a graph file: a rule per primitive, a step, and what is read otherwise than it stands there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nir_interop.agreement.replay import Rules
from nir_interop.agreement.side import Side
from nir_interop.explain.causes import causes_between
from nir_interop.explain.rules_in_words import rule_in_words
from nir_interop.graphs import Graph, Shapes, components
from nir_interop.reference.neurons import Values, membrane_memory, parameter, start_value, synapse_memory
from nir_interop.rule import NIR_MEANING, Precision, ResetKind, Timing, UpdateRule, Use

SHORT = {("timing", "late"): Timing.NEXT_STEP.value}
"""What an option says for short → the value."""
_SHORTENED = {(axis, value): short for (axis, short), value in SHORT.items()}

SAME = 1e-6
"""Numbers this close are one in single precision, in which files are written."""


@dataclass(frozen=True)
class Reading:
    """A way to read a file.

    graph : inlined, as it is read
    dt : the step [s]
    rules : primitive → rule, of the graph's neurons, NIR's value on each axis that is of no matter to the graph
    asked : the step [s] that the caller named
    whose : libraries' own neurons that step so, in their words; empty where none is known to
    changes : what is read otherwise than it stands in the file, in words
    """

    graph: Graph
    dt: float
    rules: Mapping[str, UpdateRule]
    asked: float
    whose: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def axes(self) -> dict[str, dict[str, str]]:
        """Axis → primitive → value, where it is not NIR's."""
        found: dict[str, dict[str, str]] = {}
        for kind, rule in self.rules.items():
            for axis, _ in causes_between(NIR_MEANING, rule, kind):
                found.setdefault(axis, {})[kind] = getattr(rule, axis).value
        return found

    @property
    def departures(self) -> int:
        """How far it is from NIR's meaning of the file at the step that the caller named: axes, step, changes."""
        return len(self.axes) + (self.dt != self.asked) + 2 * len(self.changes)

    @property
    def options(self) -> str:
        """The options of ``nir-interop reconcile`` that say it, as far as options can; empty for NIR's own meaning."""
        pairs = []
        for axis, values in self.axes.items():
            counted = {kind for kind, rule in self.rules.items() if _counts(axis, values, rule, kind)}
            one = len(set(values.values())) == 1 and counted <= set(values)
            named = {"": next(iter(values.values()))} if one else {f"{kind}.": value for kind, value in values.items()}
            pairs += [f"{kind}{axis}={_SHORTENED.get((axis, value), value)}" for kind, value in named.items()]
        rule = [f"--from-rule {','.join(pairs)}"] if pairs else []
        return " ".join([*rule, *([f"--dt-from {self.dt:g}"] if self.dt != self.asked else [])])

    @property
    def owners(self) -> str:
        """Whose neurons step so, in words; empty where nobody's are known to."""
        return " or ".join(self.whose)

    @property
    def short(self) -> str:
        """Its options and what it changes, and whose neurons step so."""
        what = " ".join([*([f"`{self.options}`"] if self.options else []), *self.changes]) or "NIR's own meaning"
        return f"{what} ({self.owners})" if self.whose else what

    @property
    def says(self) -> str:
        """Who reads it so, what that is, and what follows."""
        stepped = "; ".join(f"{kind}: {rule_in_words(rule, kind)}" for kind, rule in self.rules.items())
        if self.axes:
            made = f"what {self.owners or 'this rule'} makes of this file ({stepped})"
        else:
            made = "what NIR means by this file"
        step = f"at a step of {self.dt:g} s, where {self.asked:g} s was named ({_ratio(self.dt, self.asked)})"
        further = [*([step] if self.dt != self.asked else []), *self.changes]
        return ", ".join([made, *further])

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "whose": list(self.whose),
            "rules": {kind: {**rule.as_dict(), "says": rule_in_words(rule, kind)} for kind, rule in self.rules.items()},
            "dt": self.dt,
            "changes": list(self.changes),
            "options": self.options,
            "says": self.says,
        }


def reading(
    graph: Graph, dt: float, rules: Rules, asked: float, whose: tuple[str, ...] = (), changes: tuple[str, ...] = ()
) -> Reading:
    """A reading of an inlined graph, with NIR's value on each axis that is of no matter to it."""
    settled = Side("", dt, rules).for_graph(graph).rules
    fed_back = _has_feedback(graph)
    kept: dict[str, UpdateRule] = {}
    for kind, rule in settled.items():
        counted = {axis: getattr(rule, axis) for axis, _ in causes_between(NIR_MEANING, rule, kind)}
        if not fed_back:
            counted.pop("feedback_bias", None)
        kept[kind] = NIR_MEANING.but(**counted)
    return Reading(graph, dt, kept, asked, whose, changes)


def numbers(one: Reading, shapes: Shapes) -> tuple[tuple[Any, ...], Values] | None:
    """What decides what a reading computes: choices that have a name, and all numbers of a step in one array.

    shapes : of the graph

    None where a number is none: an infinite time constant under a gain that divides by it, for instance.
    """
    choices: list[Any] = [one.graph.edges]
    values: list[Values] = []
    for name, node in one.graph.primitives():
        if node.kind not in one.rules:
            continue
        rule, shape = one.rules[node.kind].but(precision=Precision.FLOAT64), shapes[name][0]
        memories = [membrane_memory(node, shape, one.dt, rule)]
        if "tau_syn" in node.params:
            memories.append(synapse_memory(node, shape, one.dt, rule))
            choices.append(rule.order)
        for memory in memories:
            kept, driven, silent = memory.responses(shape)
            values += [each.numpy() for each in (kept, driven - silent, silent)]
        values.append(start_value(node, shape, rule))
        choices += [name, node.kind, rule.feedback_bias]
        if "v_threshold" in node.params:
            choices += [rule.comparison, rule.timing, rule.spikes, rule.floor, rule.spike_from]
            subtracts = rule.reset in (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL)
            choices += [rule.reset] if subtracts else ["to a value"]
            zero = rule.reset is ResetKind.TO_ZERO
            threshold = parameter(node, "v_threshold", shape)
            values.append(np.zeros(shape) if zero or subtracts else parameter(node, "v_reset", shape))
            values.append(np.full(shape, threshold.min()) if rule.threshold is Use.COLLAPSED else threshold)
    whole = np.concatenate([np.ravel(value) for value in values]) if values else np.zeros(0)
    return (tuple(choices), whole) if np.isfinite(whole).all() else None


def renamed(one: Reading, *others: Reading) -> Reading:
    """A reading with the owners of others that compute the same."""
    return replace(one, whose=tuple(dict.fromkeys(name for each in (one, *others) for name in each.whose)))


def _counts(axis: str, values: Mapping[str, str], rule: UpdateRule, kind: str) -> bool:
    """Whether an axis with these values would be of matter to a primitive that has NIR's value on it."""
    other = NIR_MEANING.but(**{axis: type(getattr(rule, axis))(next(iter(values.values())))})
    return bool(causes_between(NIR_MEANING, other, kind))


def _has_feedback(graph: Graph) -> bool:
    """Whether a cycle has a node with a bias, which may be there at the first step or not."""
    for members in components(graph.nodes, graph.edges):
        inside = len(members) > 1 or any((name, name) in graph.edges for name in members)
        if inside and any("bias" in graph.nodes[name].params for name in members):  # type: ignore[union-attr]
            return True
    return False


def _ratio(dt: float, asked: float) -> str:
    ratio = dt / asked
    if np.isclose(ratio, asked, rtol=1e-9):
        return "its time constants are the source's times dt"
    if np.isclose(dt, 1.0, rtol=1e-9):
        return "its time constants are numbers of steps"
    return f"its time constants are {ratio:g} times the source's, or the source took that step"
