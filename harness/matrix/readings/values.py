r"""A value to reset to that the file does not have, found from what was recorded.

How many outputs differ is a function of the value, with a plateau at 0 around the true one.  It is looked for on a grid, then
on ever finer ones around the best places, many values in one replay; one value for all neurons, then one for each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from harness.agreement.replay import gap, simulator_for
from harness.compare.nodes import output_of
from harness.errors import InvalidGraph
from harness.graphs import Array, Graph, Node
from harness.matrix.readings.candidates import UNRESET, Named
from harness.matrix.readings.reading import Reading
from harness.recording import Recording
from harness.reference.neurons import Neuron, resetting
from harness.reference.simulator import Shape
from harness.rule import NIR_MEANING, Precision, ResetKind, Start, UpdateRule

Values = Mapping[str, float]
"""Neuron → the value that it is reset to."""

GRID = tuple(float(value) for value in np.linspace(-2, 0.9, 30))
"""In units of the smallest threshold."""
BEAM, PLACES, ZOOMS = 6, 3, 5
"""Readings that are looked at more closely, places of the grid around which they are, and how often it gets finer."""
MOST_LAYERS = 6
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
    tried: Sequence[Reading], stimulus: Array, recorded: Recording, held: Callable[[Reading], Held]
) -> list[Reading]:
    r"""Readings with the values to reset to that give a recording, or come closest; the nearest to it first.

    tried : readings of :func:`open_values`
    stimulus, recorded : part of a recording, axes (T, B, \*shape)
    held : a reading against all of the recording
    """
    search = _Search(stimulus, recorded)
    starts = []
    for each in tried:
        unit = _unit(each.graph)
        names = _resetting(each.graph)
        grid = [value * unit for value in GRID]
        shares = search.shares(each, [dict.fromkeys(names, value) for value in grid])
        starts.append((float(shares.min()), each, [grid[place] for place in np.argsort(shares, kind="stable")[:PLACES]]))
    found = []
    for _, each, places in sorted(starts, key=lambda start: start[0])[:BEAM]:
        best, share = search.common(each, places, _unit(each.graph) / 10)
        if share and share < HOPELESS and 1 < len(best) <= MOST_LAYERS:
            best, share = search.by_layer(each, best, share)
        found.append((share, _shortest(each, best, held)))
    return [one for _, one in sorted(found, key=lambda each: each[0])]


class _Search:
    def __init__(self, stimulus: Array, recorded: Recording) -> None:
        self.stimulus, self.recorded = stimulus, recorded.output

    def shares(self, one: Reading, values: Sequence[Values]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The share of outputs that a reading misses with each of some values, side by side in one batch."""
        batch = self.stimulus.shape[1]
        columns = {name: np.repeat([each[name] for each in values], batch) for name in values[0]}
        names = {id(node): name for name, node in one.graph.primitives()}

        def neuron(node: Node, shape: Shape, dt: float) -> Neuron:
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

    def by_layer(self, one: Reading, best: dict[str, float], share: float) -> tuple[dict[str, float], float]:
        """The best values, one layer after the other, the first ones first, until nothing is missed or nothing helps."""
        grid, before = [value * _unit(one.graph) for value in GRID], float("inf")
        while share and share < before:
            before = share
            for name in best:

                def other(value: float, name: str = name, rest: Values = best) -> dict[str, float]:
                    return {**rest, name: value}

                shares = self.shares(one, [other(value) for value in [best[name], *grid]])
                place = [best[name], *grid][int(shares.argmin())]
                value, now = self._zoomed(one, other, place, _unit(one.graph) / 10)
                if now < share:
                    best, share = other(value), now
        return best, share

    def _zoomed(self, one: Reading, values: Callable[[float], Values], place: float, step: float) -> tuple[float, float]:
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


class _Valued(Neuron):
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


def _shortest(one: Reading, best: Values, held: Callable[[Reading], Held]) -> Reading:
    """The reading with the shortest numbers near the best that give the recording; with the best, where none do."""
    for digits in range(1, 6):
        found = _read(one, {name: float(f"{value:.{digits}g}") for name, value in best.items()})
        if held(found).fits:
            return found
    return _read(one, best)


def _read(one: Reading, values: Values) -> Reading:
    different = len(set(values.values())) > 1
    shown = ", ".join(f"{value:.5g} at {name}" if different else f"{value:.5g}" for name, value in values.items() if different)
    shown = shown or f"{next(iter(values.values())):.5g}"
    says = f"with v_reset = {shown} (found from the recording; the file has another)"
    return replace(one, graph=_with(one.graph, values), changes=(says,))


def _with(graph: Graph, values: Values) -> Graph:
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
