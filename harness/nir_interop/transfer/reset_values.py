r"""A value to reset to that a file does not have, found from what was recorded.

How many outputs differ is a function of the value, with a plateau at 0 around the true one.  It is looked for on a grid, then
on ever finer ones around the best places, many values in one replay; one value for all neurons, then one for each layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from nir_interop.agreement.replay import gap, simulator_for
from nir_interop.compare.divergence import output_of
from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Array, Graph, Node
from nir_interop.recording import Recording
from nir_interop.reference.neurons import (
    SteppedNeuron,
    resetting,
)
from nir_interop.reference.simulator import Shape
from nir_interop.rule import NIR_MEANING, Precision, ResetKind, Start, UpdateRule
from nir_interop.transfer.readings import UNRESET, Named, Reading

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
