"""The ways of reading a graph file: a rule for each primitive, a step, and what is read otherwise than it stands there.

Those that are tried are libraries' own neurons, gains in the file or not, steps, and neurons that are not reset.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nir_interop.agreement.replay import Rules, rules_for
from nir_interop.agreement.side import Side
from nir_interop.explain.causes import causes_between
from nir_interop.explain.rules_in_words import rule_in_words
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import Graph, Node, Shapes, components, validate
from nir_interop.reference.neurons import (
    Values,
    membrane_integrator,
    parameter,
    start_value,
    synapse_integrator,
)
from nir_interop.rule import NIR_MEANING, Gain, Precision, ResetKind, Timing, UpdateRule, Use

Named = tuple[str, Rules]
"""Whose rules these are, in words (empty: nobody's), and the rules."""

UNRESET: Mapping[str, str] = {"IF": "I", "LIF": "LI", "CubaLIF": "CubaLI"}
"""Neurons, and what they are without a threshold."""

_UNITS = (1.0, 1e-3, 1e-4)
"""Steps and units [s] that exporters write time constants in, beside the step that the caller named."""

_ROUND = tuple(mantissa * 10.0**-exponent for exponent in range(6) for mantissa in (1, 2, 5))
"""Steps [s] that somebody may have taken and not said."""


def named_rules(natives: Iterable[Fingerprint], kinds: Sequence[str]) -> list[Named]:
    """The rules of libraries' own neurons; only of those libraries that have all primitives of a graph."""
    return [
        (f"{each.backend}'s {each.options}", {kind: each.rules[kind].rule for kind in kinds})
        for each in natives
        if all(kind in each.rules and each.rules[kind].outputs for kind in kinds)
    ]


def steps(dt: float) -> tuple[float, ...]:
    """The steps [s] at which a file is read: the one that the caller named first.

    An exporter that writes time constants times dt, over dt, or in another unit makes a file that is right at dt², at 1, or at
    dt times the unit.
    """
    found = [dt, dt * dt, 1.0, *(dt * unit for unit in _UNITS), *_UNITS, *(one * other for one in _UNITS for other in _UNITS)]
    return _distinct(found)


def further_steps(dt: float) -> tuple[float, ...]:
    """Round numbers [s], and the same where an exporter wrote time constants times the step."""
    known = steps(dt)
    return _distinct([*known, *_ROUND, *(each * each for each in _ROUND)])[len(known) :]


def _distinct(values: Iterable[float]) -> tuple[float, ...]:
    found: list[float] = []
    for value in values:
        if not any(np.isclose(value, other, rtol=SAME, atol=0) for other in found):
            found.append(float(f"{value:.12g}"))
    return tuple(found)


def forms(graph: Graph, counts: bool) -> list[tuple[Graph, tuple[str, ...]]]:
    """An inlined graph as it stands, and with neurons that are never reset: all of them, or the last ones.

    counts : whether spikes were recorded; of a graph that ends in spiking neurons, else, the last ones' membranes

    NIR has no neuron that fires and is not reset, but says it as a membrane and a Threshold behind it.
    """
    spiking = [name for name, node in graph.primitives() if node.kind in UNRESET]
    last = [name for name in spiking if any(graph.nodes[target].kind == "Output" for target in graph.out_of(name))]
    if not spiking or (not counts and not last):
        return [(graph, ())]
    if not counts:
        bare = (_unreset(graph, last, last), (f"with the membrane of {_listed(last)} recorded, which is never reset",))
        hidden = [name for name in spiking if name not in last]
        also = [(_unreset(graph, spiking, last), (*bare[1], f"with {_listed(hidden)} never reset"))] if hidden else []
        return [bare, *also]
    sets = [spiking, last] if last and last != spiking else [spiking]
    return [(graph, ()), *((_unreset(graph, names, ()), (f"with {_listed(names)} never reset",)) for names in sets)]


def _unreset(graph: Graph, names: Sequence[str], silent: Sequence[str]) -> Graph:
    """Neurons as membranes, each with a Threshold behind it but for the silent ones."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for name in names:
        node = graph.nodes[name]
        if not isinstance(node, Node):
            continue
        kept = {key: value for key, value in node.params.items() if key not in ("v_threshold", "v_reset")}
        nodes[name] = Node(UNRESET[node.kind], kept)
        if name not in silent:
            behind = f"{name}_fires"
            while behind in nodes:
                behind += "_"
            nodes[behind] = Node("Threshold", {"threshold": node["v_threshold"]})
            edges = [(behind if source == name else source, target) for source, target in edges] + [(name, behind)]
    return Graph(nodes, tuple(edges), graph.metadata)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def readings(
    graphs: Sequence[tuple[Graph, tuple[str, ...]]], asked: float, at: Sequence[float], named: Sequence[Named]
) -> list[Reading]:
    """Every form of a graph under every rule, with its gains read in every way, at every step; those that compute the same are
    one, nearest to NIR's meaning first."""
    found: dict[object, list[tuple[Values, Reading]]] = {}
    seen = set[object]()
    shaped = [(graph, validate(graph, finite=False), changes) for graph, changes in graphs]
    for (graph, shapes, changes), (whose, rules), dt in itertools.product(shaped, named, at):
        for dialect in dialects(rules_for(graph, _spread(rules))):
            one = reading(graph, dt, dialect, asked, (whose,) if whose else (), changes)
            said = (id(graph), dt, tuple(one.rules.items()), one.whose)
            known = None if said in seen else numbers(one, shapes)
            seen.add(said)
            if known is None:
                continue
            alike = found.setdefault(known[0], [])
            for place, (values, other) in enumerate(alike):
                if values.shape == known[1].shape and np.allclose(values, known[1], rtol=SAME, atol=1e-12):
                    plain, further = sorted((other, one), key=lambda each: each.departures)
                    alike[place] = (values, renamed(plain, further))
                    break
            else:
                alike.append((known[1], one))
    return sorted((one for alike in found.values() for _, one in alike), key=lambda each: each.departures)


def _spread(rules: Rules) -> dict[str, UpdateRule]:
    """Rules with those of neurons for membranes that are read out of them."""
    return {**{UNRESET[kind]: rule for kind, rule in rules.items() if kind in UNRESET}, **rules}


def dialects(rules: Rules) -> Iterator[dict[str, UpdateRule]]:
    """Rules with every way of reading a file's gains: as the rule has it, scaled as NIR has it, or not in the file at all.

    A library that adds inputs as they are may write gains that it does not have, and have gains in its weights.
    """
    yield dict(rules)
    for gain, synapse_gain in itertools.product((Gain.STEP, Gain.ONE), (Gain.STEP, Gain.ONE)):
        used = {"resistance": Use.USED, "input_weight": Use.USED}
        yield {kind: rule.but(gain=gain, synapse_gain=synapse_gain, **used) for kind, rule in rules.items()}


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
        integrators = [membrane_integrator(node, shape, one.dt, rule)]
        if "tau_syn" in node.params:
            integrators.append(synapse_integrator(node, shape, one.dt, rule))
            choices.append(rule.order)
        for integrator in integrators:
            kept, driven, silent = integrator.responses(shape)
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
