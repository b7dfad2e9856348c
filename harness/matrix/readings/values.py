r"""A value to reset to that the file does not have, found from what was recorded.

How many outputs differ is a function of the value, with a plateau at 0 around the true one: it is looked for on a grid, then in
ever smaller steps around the best of it, and given as the shortest number that the plateau has room for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from harness.graphs import Graph, Node
from harness.matrix.readings.reading import Reading
from harness.rule import ResetKind

COARSE = (-2.0, -1.0, -0.5, -0.25, 0.25, 0.5)
"""Values in units of the smallest threshold that every reading is tried with."""
FINE = tuple(float(value) for value in np.linspace(-2, 0.9, 30))
BEAM, HALVINGS = 5, 14


class Held(Protocol):
    """What comes of a reading that is held against a recording."""

    @property
    def fits(self) -> bool: ...

    @property
    def missed(self) -> int: ...


def found_values(
    tried: Sequence[Reading], share: Callable[[Reading], float], held: Callable[[Reading], Held]
) -> list[Reading]:
    """Readings with a value to reset to that gives the recording, or comes closest; of those that reset to a value.

    share : the share of outputs that a reading misses in part of a recording
    held : a reading against all of it
    """
    plain = [each for each in tried if not each.changes and _resets_to_value(each)]
    starts: list[tuple[float, float, Reading]] = []
    for each in plain:
        unit = _unit(each.graph)
        shares = [(share(with_reset(each, value * unit)), value * unit) for value in COARSE]
        starts.append((*min(shares), each))
    found: list[Reading] = []
    for _, _, each in sorted(starts, key=lambda start: start[0])[:BEAM]:
        best = _nearest(each, share)
        outcome = held(with_reset(each, best))
        if outcome.missed and outcome.missed < 200:
            best = _refined(each, best, _unit(each.graph) / 64, lambda one: float(held(one).missed))
            outcome = held(with_reset(each, best))
        if outcome.fits:
            best = _shortest(each, best, held)
        found.append(with_reset(each, best, said=True))
    return found


def with_reset(one: Reading, value: float, *, said: bool = False) -> Reading:
    """A reading with another v_reset for all neurons; said in words at the end only, which are costly to build."""
    nodes = {
        name: Node(node.kind, {**node.params, "v_reset": np.full_like(node["v_reset"], value, dtype=np.float64)})
        if isinstance(node, Node) and "v_reset" in node.params
        else node
        for name, node in one.graph.nodes.items()
    }
    changes = (f"with v_reset = {value:.6g} (found from the recording; the file has another)",) if said else ()
    return replace(one, graph=Graph(nodes, one.graph.edges, one.graph.metadata), changes=changes)


def _resets_to_value(one: Reading) -> bool:
    rules = [rule for kind, rule in one.rules.items() if kind in ("IF", "LIF", "CubaLIF")]
    return bool(rules) and all(rule.reset is ResetKind.TO_VALUE for rule in rules)


def _unit(graph: Graph) -> float:
    thresholds = [np.abs(node["v_threshold"]).min() for _, node in graph.primitives() if "v_threshold" in node.params]
    return float(min(thresholds)) or 1.0


def _nearest(one: Reading, share: Callable[[Reading], float]) -> float:
    unit = _unit(one.graph)
    shares = sorted((share(with_reset(one, value * unit)), value * unit) for value in FINE)
    ways = [_refined(one, value, unit / 20, lambda each: share(each)) for _, value in shares[:3]]
    return min(ways, key=lambda value: share(with_reset(one, value)))


def _refined(one: Reading, value: float, step: float, cost: Callable[[Reading], float]) -> float:
    """The best value in ever smaller steps around one, until nothing is missed."""
    least = cost(with_reset(one, value))
    for _ in range(HALVINGS):
        if least == 0:
            break
        for other in (value - step, value + step):
            there = cost(with_reset(one, other))
            if there < least:
                value, least = other, there
        step /= 2
    return value


def _shortest(one: Reading, value: float, held: Callable[[Reading], Held]) -> float:
    """The shortest number near a value that fits as well as it does."""
    for digits in range(1, 7):
        other = float(f"{value:.{digits}g}")
        if held(with_reset(one, other)).fits:
            return other
    return value
