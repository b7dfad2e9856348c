r"""How a graph file is to be read so that it gives what its source recorded: a rule for each primitive, a step, and what is
read otherwise than it stands there.

The readings that are tried are libraries' own neurons, gains in the file or not, steps, and neurons that are not reset; one
fits that gives every output, or all but what rounding explains.

A value to reset to that the file does not have is found from what was recorded.  How many outputs differ is a function of the
value, with a plateau at 0 around the true one.  It is looked for on a grid, then on ever finer ones around the best places,
many values in one replay; one value for all neurons, then one for each layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch

from nir_interop.agreement.guided import guided
from nir_interop.agreement.replay import Mask, Replays, Rules, count, gap, rules_for, simulator_for
from nir_interop.agreement.side import Side
from nir_interop.backends.environments import Backend
from nir_interop.compare.comparison import status_of
from nir_interop.compare.divergence import output_of
from nir_interop.compare.rasters import is_counts
from nir_interop.errors import InvalidGraph
from nir_interop.explain.causes import Found, causes_between
from nir_interop.explain.rules_in_words import rule_in_words
from nir_interop.fingerprint import Domain, Fingerprint, Origin
from nir_interop.graphs import NEURONS, Array, Graph, Node, Shapes, components, inline, validate
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.reference.neurons import (
    SteppedNeuron,
    Values,
    membrane_integrator,
    parameter,
    resetting,
    start_value,
    synapse_integrator,
)
from nir_interop.reference.simulator import Shape
from nir_interop.rule import NIR_MEANING, Gain, Precision, ResetKind, Start, Timing, UpdateRule, Use
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import NativeRules, native_neurons
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Blame, Cause, Status

ResetValues = Mapping[str, float]
"""Neuron → the value that it is reset to."""

GRID = tuple(float(value) for value in np.linspace(-2, 0.9, 30))
"""In units of the smallest threshold."""
BEAM, PLACES, ZOOMS = 6, 3, 5
"""Readings that are looked at more closely, places of the grid around which they are, and how often it gets finer."""
PAIRED, MOST_LAYERS = 13, 6
"""Values of each of two layers that are tried together, and layers beyond which one value stands for all."""
HOPELESS = 0.2
"""The share of outputs that one value for all neurons may leave where one for each layer is tried."""


class Held(Protocol):
    """What comes of a reading that is held against a recording."""

    @property
    def fits(self) -> bool:
        """Whether it gives the recording."""
        ...


def to_value(named: Iterable[Named]) -> list[Named]:
    """Those of rules under which every neuron that fires is reset to a value."""
    return [
        (whose, rules)
        for whose, rules in named
        if all(rules.get(kind, NIR_MEANING).reset is ResetKind.TO_VALUE for kind in UNRESET)
    ]


def open_values(graph: Graph) -> Graph:
    """An inlined graph whose values to reset to are none of those that are of no matter (0, above all): a place-holder."""
    return _with(graph, dict.fromkeys(_resetting(graph), -0.12345 * _unit(graph)))


def found_values(
    tried: Sequence[Reading], part: tuple[Array, Recording], whole: tuple[Array, Recording], held: Callable[[Reading], Held]
) -> list[Reading]:
    r"""Readings with the values to reset to that give a recording, or come closest; the nearest to it first.

    tried : readings of :func:`open_values`
    part, whole : stimulus, axes (T, B, \*shape), and recording: a part of it where values are looked for first, and all
    held : a reading against all of the recording
    """
    search, last = _Search(*part), _Search(*whole)
    starts = []
    for each in tried:
        unit = _unit(each.graph)
        names = _resetting(each.graph)
        grid = [value * unit for value in GRID]
        shares = search.shares(each, [dict.fromkeys(names, value) for value in grid])
        starts.append((float(shares.min()), each, [grid[place] for place in np.argsort(shares, kind="stable")[:PLACES]]))
    found = []
    for _, each, places in sorted(starts, key=lambda start: start[0])[:BEAM]:
        unit = _unit(each.graph)
        best, share = search.common(each, places, unit / 10)
        if share and share < HOPELESS:
            best, share = search.by_layer(each, best, share, 1.45 * unit, dict.fromkeys(best, -0.55 * unit))
        if share < HOPELESS and not held(_read(each, best, {})).fits:
            if len(set(best.values())) == 1:
                best, share = last.common(each, [*best.values()][:1], unit / 10)
            best, share = last.by_layer(each, best, float(last.shares(each, [best])[0]), unit / 5, best)
        found.append((share, last.shortest(each, best, held)))
    return [one for _, one in sorted(found, key=lambda each: each[0])]


class _Search:
    def __init__(self, stimulus: Array, recorded: Recording) -> None:
        self.stimulus, self.recorded = stimulus, recorded.output

    def shares(self, one: Reading, values: Sequence[ResetValues]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The share of outputs that a reading misses with each of some values, side by side in one batch."""
        batch = self.stimulus.shape[1]
        columns = {name: np.repeat([each[name] for each in values], batch) for name in values[0]}
        names = {id(node): name for name, node in one.graph.primitives()}

        def neuron(node: Node, shape: Shape, dt: float) -> SteppedNeuron:
            rule = one.rules.get(node.kind, NIR_MEANING).but(precision=Precision.FLOAT64)
            return _Valued(node, shape, dt, rule, columns.get(names[id(node)]))

        tiled = np.tile(self.stimulus, (1, len(values), *(1 for _ in self.stimulus.shape[2:])))
        try:
            made = simulator_for(one.graph, one.dt, one.rules, neuron).run(tiled, membranes=False)[0]
        except InvalidGraph:
            return np.ones(len(values))
        mask = gap(Recording({"output": np.tile(self.recorded, (1, len(values), 1))}), made)
        if mask is None or output_of(made) is None:
            return np.ones(len(values))
        return np.asarray(mask.reshape(len(mask), len(values), -1).mean(axis=(0, 2)), dtype=np.float64)

    def common(self, one: Reading, places: Sequence[float], step: float) -> tuple[dict[str, float], float]:
        """The best value for all neurons around some places, and what it misses."""
        names = _resetting(one.graph)
        ways = [self._zoomed(one, lambda value: dict.fromkeys(names, value), place, step) for place in places]
        value, share = min(ways, key=lambda way: way[1])
        return dict.fromkeys(names, value), share

    def by_layer(
        self, one: Reading, best: dict[str, float], share: float, reach: float, around: ResetValues
    ) -> tuple[dict[str, float], float]:
        """The best values of neighbouring layers within reach, two at a time, until nothing is missed or nothing helps."""
        names, before = list(best), float("inf")
        while share and share < before and len(names) <= MOST_LAYERS:
            before = share
            for pair in itertools.pairwise(names):
                middle, step = [around[name] for name in pair], reach
                for _ in range(ZOOMS):
                    grids = [np.linspace(place - step, place + step, PAIRED) for place in middle]
                    tried = [{**best, pair[0]: float(a), pair[1]: float(b)} for a in grids[0] for b in grids[1]]
                    shares = self.shares(one, tried)
                    found = tried[int(shares.argmin())]
                    middle, step = [found[name] for name in pair], step / 4
                    if shares.min() < share:
                        best, share = found, float(shares.min())
                    if not share:
                        return best, share
        return best, share

    def shortest(self, one: Reading, best: dict[str, float], held: Callable[[Reading], Held]) -> Reading:
        """The reading with the shortest numbers around the best that give the recording; with the best, where none do."""
        if not held(_read(one, best, {})).fits:
            return _read(one, best, {})
        common = len(set(best.values())) == 1
        values, ranges = dict(best), dict[str, tuple[float, float]]()
        for name in list(best)[: 1 if common else None]:
            low, high = self._plateau(one, values, name, common)
            short = dict.fromkeys(values, _short(low, high)) if common else {**values, name: _short(low, high)}
            values = short if held(_read(one, short, {})).fits else values
            ranges[name] = (low, high)
        return _read(one, values, ranges)

    def _plateau(self, one: Reading, values: ResetValues, name: str, common: bool) -> tuple[float, float]:
        """From where to where the value of a layer, or of all, may lie, so that no more outputs differ."""
        ends = []
        for sign in (-1.0, 1.0):
            inside, outside = 0.0, _unit(one.graph)
            for _ in range(4):
                offsets = np.linspace(inside, outside, 9)
                tried = [values[name] + sign * float(offset) for offset in offsets]
                asked = [dict.fromkeys(values, each) if common else {**values, name: each} for each in tried]
                shares = self.shares(one, asked)
                worse = np.flatnonzero(shares > shares[0])
                if not worse.size:
                    inside = outside
                    break
                inside, outside = float(offsets[worse[0] - 1]), float(offsets[worse[0]])
            ends.append(values[name] + sign * inside)
        return ends[0], ends[1]

    def _zoomed(self, one: Reading, values: Callable[[float], ResetValues], place: float, step: float) -> tuple[float, float]:
        """The middle of the best values around a place, on ever finer grids, and what it misses."""
        least = 1.0
        for _ in range(ZOOMS):
            grid = np.linspace(place - step, place + step, 21)
            shares = self.shares(one, [values(float(value)) for value in grid])
            least = float(shares.min())
            best = grid[shares == least]
            place, step = float(best[len(best) // 2]), step / 6
            if least == 0:
                break
        return place, least


class _Valued(SteppedNeuron):
    """A neuron that is reset to a value of its own in each sample."""

    def __init__(
        self, node: Node, shape: Shape, dt: float, rule: UpdateRule, values: np.ndarray[tuple[int], np.dtype[np.float64]] | None
    ) -> None:
        super().__init__(node, shape, dt, rule)
        if values is None or not self.spiking:
            return
        column = values.reshape(-1, *(1 for _ in shape))
        self.reset = resetting(rule, self.threshold, torch.tensor(column, dtype=self.dtype))
        if rule.start is Start.RESET:
            self.initial = np.broadcast_to(column, (len(values), *shape))


def _short(low: float, high: float) -> float:
    """The number with fewest decimals between two others, or in the middle."""
    for digits in range(7):
        number = round((low + high) / 2, digits)
        if low <= number <= high:
            return number
    return (low + high) / 2


def _read(one: Reading, values: ResetValues, ranges: Mapping[str, tuple[float, float]]) -> Reading:
    common = len(set(values.values())) == 1
    shown = []
    for name, value in list(values.items())[: 1 if common else None]:
        fitting = f", and {ranges[name][0]:.4g} to {ranges[name][1]:.4g} fit as well" if name in ranges else ""
        shown.append(f"v_reset = {value:.5g}{'' if common else f' at {name}'} (found from the recording{fitting})")
    says = f"with {', '.join(shown)}, where the file has another"
    return replace(one, graph=_with(one.graph, values), changes=(says,))


def _with(graph: Graph, values: ResetValues) -> Graph:
    nodes = dict(graph.nodes)
    for name, value in values.items():
        node = graph.nodes[name]
        if isinstance(node, Node):
            nodes[name] = Node(node.kind, {**node.params, "v_reset": np.full(node["v_reset"].shape, value)})
    return Graph(nodes, graph.edges, graph.metadata)


def _resetting(graph: Graph) -> list[str]:
    return [name for name, node in graph.primitives() if "v_reset" in node.params]


def _unit(graph: Graph) -> float:
    thresholds = [np.abs(node["v_threshold"]).min() for _, node in graph.primitives() if "v_threshold" in node.params]
    return float(min(thresholds, default=1.0)) or 1.0


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


SAMPLES, STEPS = 4, 120
"""Of a recording, what every reading is held against first: the samples with most in them, from the first step on."""
CLOSE = 0.02
"""The share of outputs beyond which a reading is not looked at more closely."""
MOST = 24
"""Readings that are held against the whole recording."""
LEAST = 8
"""Readings there is time for in any case, the nearest to NIR's meaning or to the recording first."""
WORK = 2e9
"""Elements of neurons, steps and samples that may be computed while readings are held against part of a recording."""
MOST_ALSO = 6
"""Readings that fit as well and are named on a terminal."""


@dataclass(frozen=True)
class SourceReading:
    """How a file is to be read so that it gives what was recorded.

    reading : the simplest that does; else the closest
    missed, outputs : outputs that it does not give, and all
    rounded : that they differ by rounding alone has been shown
    also : further readings that give every output of this recording, and are not the same
    tried : how many readings were held against it
    plain : it is the reading that the caller named
    vacuous : so little happens in the recording that much gives it
    """

    reading: Reading
    missed: int
    outputs: int
    rounded: bool = False
    also: tuple[Reading, ...] = ()
    tried: int = 1
    plain: bool = False
    vacuous: bool = False

    @property
    def fits(self) -> bool:
        """Whether it gives the recording."""
        return self.missed == 0 or self.rounded

    @property
    def says(self) -> str:
        """The finding in a sentence or two."""
        if not self.fits:
            closest = f"the closest, {self.reading.says}, misses {self.missed} of {self.outputs} outputs"
            return f"none of {self.tried} readings of this file gives the recording; {closest}"
        how = f"; {self.missed} of {self.outputs} outputs differ, by rounding" if self.missed else ""
        hint = f": `{self.reading.options}`" if self.reading.options else ""
        silent = "" if self.plain else f"; the file does not say so{hint}"
        little = "; too little fires in it to tell much" if self.vacuous else ""
        return f"the recording is {self.reading.says}{how}{silent}{little}"

    def lines(self) -> list[str]:
        """The finding, and what the recording does not tell it from."""
        found = [f"{self.says[0].upper()}{self.says[1:]}."]
        if self.also:
            shown = [each.short for each in self.also[:MOST_ALSO]]
            more = [f"{len(self.also) - MOST_ALSO} more"] if len(self.also) > MOST_ALSO else []
            found.append(f"This recording does not tell it from {'; '.join([*shown, *more])}.")
        return found

    def side(self, source: Side) -> Side:
        """The source's side under it; as it is, where it gives the recording or nothing does."""
        if self.plain or not self.fits:
            return source
        rules = {**source.rules, **self.reading.rules}
        return replace(source, name="the source", domain=Domain(), dt=self.reading.dt, rules=rules)

    @property
    def unexplained(self) -> tuple[Found, ...]:
        """What is left where nothing gives the recording."""
        if self.fits:
            return ()
        return (Found(Cause.UNEXPLAINED, self.missed, (), Blame.UNEXPLAINED, self.says),)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "fits": self.fits,
            "plain": self.plain,
            "vacuous": self.vacuous,
            **self.reading.as_dict(),
            "says": self.says,
            "missed": self.missed,
            "outputs": self.outputs,
            "rounding": self.rounded,
            "also": [each.as_dict() for each in self.also],
            "tried": self.tried,
        }


def matched(
    graph: Graph,
    source: Side,
    stimulus: Array,
    recorded: Recording,
    natives: Callable[[Graph], Iterable[Fingerprint]],
) -> SourceReading:
    r"""The simplest reading of a graph that gives every output of a recording: the source's, where that does.

    Else those of the libraries' own neurons, with gains and time constants read in every way that exporters are known to write
    them, and neurons that are not reset; else with another value to reset to, found from the recording; else at round
    steps.  A recording in which little happens fits many: all are named.

    source : whose rules come first
    stimulus : axes (T, B, \*shape)
    natives : inlined graph → the libraries' own neurons; asked once, and only where the source's own reading does not do

    Raises InvalidGraph.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # replays are many and small: two threads wait for each other longer than they compute
    try:
        return _matched(inline(graph), source, stimulus, recorded, natives)
    finally:
        torch.set_num_threads(threads)


def _matched(
    flat: Graph, source: Side, stimulus: Array, recorded: Recording, natives: Callable[[Graph], Iterable[Fingerprint]]
) -> SourceReading:
    case = _Case(flat, stimulus, recorded)
    own = reading(flat, source.dt, source.rules, source.dt)
    first = replace(case.against(own), plain=True)
    if not first.missed:
        return first
    steady = readings([(flat, ())], source.dt, steps(source.dt), [("", source.rules), ("", {})])
    stepped = case.best([each for each in steady if not each.axes], first)
    if not stepped.missed and not case.vacuous:
        return replace(stepped, tried=case.tried + 1)
    kinds = sorted({node.kind for _, node in flat.primitives() if "r" in node.params})
    named = [("", source.rules), ("", {}), *named_rules(natives(flat), kinds)]
    shaped = forms(flat, case.counts)
    tried = readings(shaped, source.dt, steps(source.dt), named)
    best = case.best(tried, first)
    if not best.fits:
        opened = readings([(open_values(flat), ())], source.dt, steps(source.dt), to_value(named)) if case.counts else []
        near = sorted(opened, key=case.screened)[: case.room(len(GRID))]
        parts = (case.first.stimulus, case.part), (case.stimulus, case.recorded)
        best = case.best(found_values(near, *parts, case.against), best)
    if not best.fits:
        further = readings(shaped[:1], source.dt, further_steps(source.dt), named)
        best = case.best(further, best)
    return replace(best, tried=case.tried + 1)


@dataclass
class _Case:
    graph: Graph
    stimulus: Array
    recorded: Recording
    tried: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        output = self.recorded.output
        self.counts = is_counts(output)
        self.vacuous = status_of(output, 0) is Status.VACUOUS
        busy = np.argsort(-np.abs(output.astype(np.float64)).sum(axis=(0, 2)), kind="stable")
        chosen = np.sort(busy[:SAMPLES])
        part = (slice(0, STEPS), chosen)
        self.part = Recording({"output": output[part]})
        self.replays, self.first = Replays(self.stimulus), Replays(self.stimulus[part])
        few = slice(0, max(1, len(self.first.stimulus) // 3))
        self.begin, self.beginning = Replays(self.first.stimulus[few]), Recording({"output": self.part.output[few]})
        shapes = validate(self.graph, finite=False)
        self.work = self.part.output[..., 0].size * sum(math.prod(incoming) for incoming, _ in shapes.values())

    def room(self, times: int = 1) -> int:
        """How many readings of a large graph there is time for, each so many times; of a small one, for all."""
        return max(LEAST, int(WORK / (self.work * times)))

    def screened(self, one: Reading) -> float:
        """The share of outputs that a reading misses in the part of the recording that all are held against."""
        return self._share(one, self.first, self.part)

    def _share(self, one: Reading, replays: Replays, recorded: Recording) -> float:
        mask = gap(recorded, replays.run(one.graph, one.dt, one.rules))
        return 1.0 if mask is None else count(mask) / max(1, mask.size)

    def _passing(self, candidates: Sequence[Reading]) -> list[Reading]:
        """Those that give the first steps of that part, and the part; else the one that comes closest to its first steps."""
        begins = [self._share(each, self.begin, self.beginning) for each in candidates]
        left = [each for each, share in zip(candidates, begins, strict=True) if share <= CLOSE]
        return [each for each in left if self.screened(each) <= CLOSE] or [candidates[int(np.argmin(begins))]]

    def against(self, one: Reading) -> SourceReading:
        """A reading held against the whole recording."""
        made = self.replays.run(one.graph, one.dt, one.rules)
        mask = gap(self.recorded, made)
        whole = self.recorded.output.size
        missed = whole if mask is None else count(mask)
        rounded = bool(0 < missed <= CLOSE * whole and self._rounds(one, mask))
        return SourceReading(one, missed, whole, rounded, vacuous=self.vacuous)

    def best(self, candidates: Sequence[Reading], fallback: SourceReading) -> SourceReading:
        """The simplest that fits, with those that fit as well; else the closest."""
        if not candidates:
            return fallback
        candidates = candidates[: self.room()]
        self.tried += len(candidates)
        held = [self.against(each) for each in self._passing(candidates)[:MOST]]
        fitting = sorted((each for each in [fallback, *held] if each.fits), key=_rank)
        if not fitting:
            return min([fallback, *held], key=lambda each: each.missed)
        return replace(fitting[0], also=tuple(each.reading for each in fitting[1:]))

    def _rounds(self, one: Reading, mask: Mask | None) -> bool:
        """Whether what a reading misses is rounding: where its spikes show it, or in single precision."""
        proof = guided(one.graph, one.dt, one.rules, self.stimulus, self._with_spikes(one.graph))
        if proof.proven:
            return True
        single = {kind: rule.but(precision=Precision.FLOAT32) for kind, rule in one.rules.items()}
        try:
            alike = gap(self.recorded, simulate(one.graph, self.stimulus, one.dt, single))
        except InvalidGraph:
            return False
        return alike is not None and not alike.any()

    def _with_spikes(self, graph: Graph) -> Recording:
        """The recording with the spikes of the neuron that alone feeds the only Output."""
        outputs = graph.of_kind("Output")
        ends = graph.into(outputs[0]) if len(outputs) == 1 else ()
        if len(ends) != 1 or "v_threshold" not in graph.nodes[ends[0]].params or not self.counts:  # type: ignore[union-attr]
            return self.recorded
        shape = validate(graph, finite=False)[ends[0]][1]
        output = self.recorded.output
        return Recording(self.recorded.outputs, {ends[0]: output.reshape(*output.shape[:2], *shape)})


def _rank(each: SourceReading) -> tuple[bool, int]:
    return each.rounded, each.reading.departures


Natives = Callable[[Graph], list[Fingerprint]]


def natives_of(backends: Iterable[Backend], store: Store, told: Callable[[str], None] = lambda text: None) -> Natives:
    """A function of an inlined graph: the own neurons of every installed library that has all of the graph's primitives.

    told : is called with a sentence before a library is asked: what is not in the store takes some seconds to identify
    """
    libraries = [each for each in backends if each.installed and each.name not in (REFERENCE, CONTINUOUS)]

    def asked(graph: Graph) -> list[Fingerprint]:
        kinds = [kind for kind in NEURONS if graph.of_kind(kind)]
        fed_back = any(len(members) > 1 for members in components(graph.nodes, graph.edges))
        names = ", ".join(each.name for each in libraries)
        told(f"the recording is held against the neurons of {names} (identified once, which takes some seconds)")
        found: dict[tuple[str, str], Fingerprint] = {}
        for library in libraries:
            for recurrent in (True, False) if fed_back else (False,):
                for each in _combined(native_neurons(library, store, recurrent=recurrent), kinds):
                    found.setdefault((each.backend, each.options), each)
        return list(found.values())

    return asked


def _combined(known: NativeRules, kinds: Iterable[str]) -> Iterator[Fingerprint]:
    """For every way to write a network, the options of its primitives together."""
    rules: Mapping[str, Fingerprint] = {each.options: each for each in known.fingerprints}
    wanted = tuple(kinds)
    for written in known.ways.values():
        if all(kind in written for kind in wanted):
            for options in itertools.product(*(written[kind] for kind in wanted)):
                together = {kind: rules[named].rules[kind] for kind, named in zip(wanted, options, strict=True)}
                yield Fingerprint(known.backend, Origin.NATIVE, " and ".join(dict.fromkeys(options)), Domain(together))
