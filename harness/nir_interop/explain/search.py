"""The search for what an importer did outside any rule: one rewrite whose replay is the target, or a pair of them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from nir_interop.agreement.replay import Replays, count, gap
from nir_interop.agreement.side import Side
from nir_interop.compare.divergence import differs, flatten, match_nodes, output_of
from nir_interop.explain.rewrites import Candidate, candidates
from nir_interop.explain.structure import suspects
from nir_interop.graphs import Graph
from nir_interop.recording import Recording
from nir_interop.vocabulary import Cause

MOST_CANDIDATES = 150
"""Rewrites of one graph that are replayed."""
MOST_PAIRS = 600
"""Pairs of rewrites, each at every place, that are replayed."""
BEAM, MOST_BEHIND = 3, 60
"""Rewrites that are tried together with a second one at any place, and how many of these for each."""
CHANCE = 0.01
"""A rewrite that leaves a larger share of all outputs unlike the target's may be a chance hit, and is not named."""


@dataclass(frozen=True)
class Outside:
    """What an importer made of a graph, and what comes out of that under its rule.

    rewrites : one after the other, none where none is known that gives the target; the recording is then the graph's own
    """

    recording: Recording | None
    rewrites: tuple[Candidate, ...] = ()

    def applied(self, graph: Graph, dt: float, left_out: Collection[Candidate] = ()) -> tuple[Graph, bool] | None:
        """Another graph with the rewrites but some, and whether state is carried; None where one has no place in it."""
        again = False
        for each in self.rewrites:
            if each in left_out:
                continue
            same = (each.cause, each.nodes, each.text)
            other = next((one for one in candidates(graph, dt) if (one.cause, one.nodes, one.text) == same), None)
            if other is None:
                return None
            graph, again = other.graph, again or other.again
        return graph, again


@dataclass(frozen=True)
class _Tried:
    """Rewrites, one after the other, with their replay.

    left : outputs that are still unlike the target's
    apart : share of all recorded nodes that is
    """

    rewrites: tuple[Candidate, ...]
    recording: Recording
    left: float
    apart: float

    @property
    def rank(self) -> tuple[float, float]:
        return self.left, self.apart


def outside_the_rule(
    replays: Replays,
    graph: Graph,
    side: Side,
    replay: Recording | None,
    target: Recording,
    likely: Collection[Cause] = (),
) -> Outside:
    """What reproduces the target best; the replay itself and no rewrite where none does.

    likely : causes that are tried first, and so named where others would do as well
    """
    search = _Search(replays, graph, side, replay, target, likely)
    best, output = search.best(), output_of(target)
    if best is None or output is None or best.left >= (search.whole or float("inf")) or best.left > CHANCE * output.size:
        return Outside(replay)
    return Outside(best.recording, best.rewrites)


@dataclass
class _Search:
    replays: Replays
    graph: Graph
    side: Side
    replay: Recording | None
    target: Recording
    likely: Collection[Cause]

    def __post_init__(self) -> None:
        before = gap(self.replay, self.target)
        self.whole = None if before is None else count(before)
        self.ran = match_nodes(self.graph.nodes, self.target.spikes)

    def best(self) -> _Tried | None:
        """One rewrite; else two at every place; else two at any place: the first that gives the target, or the closest."""
        near = self._near(self.graph, self.replay)
        tried = self._tried(((each,) for each in near), MOST_CANDIDATES)
        for ways, most in ((self._pairs, MOST_PAIRS), (self._behind, BEAM * MOST_BEHIND)):
            if tried and tried[0].left:
                tried = sorted([*tried, *self._tried(ways(tried), most)], key=lambda each: each.rank)
        return tried[0] if tried else None

    def _near(self, graph: Graph, replay: Recording | None) -> list[Candidate]:
        """The rewrites of a graph, first likely ones, and of these those at nodes where the fault must lie."""
        near = suspects(graph, replay, self.target) if replay is not None else frozenset(graph.nodes)

        def rank(each: Candidate) -> tuple[bool, bool]:
            return each.cause not in self.likely, bool(each.nodes) and not near & set(each.nodes)

        return sorted(self._possible(graph), key=rank)

    def _possible(self, graph: Graph) -> Iterator[Candidate]:
        """The rewrites of a graph: what left a recording ran, and was not left out."""
        for each in candidates(graph, self.side.dt):
            if each.cause is not Cause.NODE_DROPPED or not {*self.ran} & {*each.nodes}:
                yield each

    def _pairs(self, tried: list[_Tried]) -> Iterator[tuple[Candidate, ...]]:
        """Two causes, each at every place where it can be."""
        singles = [each for each in tried if len(each.rewrites) == 1 and each.rewrites[0].everywhere]
        for one in sorted(singles, key=lambda each: each.apart):
            (first,) = one.rewrites
            further = list(self._possible(first.graph))
            earlier = [number for number, each in enumerate(further, start=1) if each.cause is first.cause]
            for second in further[max(earlier, default=0) :]:
                if second.everywhere:
                    yield first, second

    def _behind(self, tried: list[_Tried]) -> Iterator[tuple[Candidate, ...]]:
        """The closest rewrites, each with a second one."""
        singles = [each for each in tried if len(each.rewrites) == 1]
        for one in sorted(singles, key=lambda each: each.apart)[:BEAM]:
            for second in self._near(one.rewrites[0].graph, one.recording)[:MOST_BEHIND]:
                yield *one.rewrites, second

    def _tried(self, ways: Iterable[tuple[Candidate, ...]], most: int) -> list[_Tried]:
        """Rewrites, those that leave fewest outputs first; the search ends with one that leaves none, at no node."""
        found: list[_Tried] = []
        for rewrites in itertools.islice(ways, most):
            recording = self._replayed(rewrites)
            mask = gap(recording, self.target)
            if mask is None or recording is None:
                continue
            found.append(_Tried(rewrites, recording, float(count(mask)), self._apart(recording)))
            if found[-1].rank == (0.0, 0.0):
                break
        return sorted(found, key=lambda each: each.rank)

    def _replayed(self, rewrites: tuple[Candidate, ...]) -> Recording | None:
        again = any(each.again for each in rewrites)
        return self.replays.run(rewrites[-1].graph, self.side.dt, self.side.rules, again=again)

    def _apart(self, recording: Recording) -> float:
        """The mean over the nodes that ran of the share that differs; all of one that a rewrite leaves out."""
        shares = []
        for ours, theirs in self.ran.items():
            other = flatten(self.target.spikes[theirs])
            one = flatten(recording.spikes[ours]) if ours in recording.spikes else None
            shares.append(float(differs(one, other).mean()) if one is not None and one.shape == other.shape else 1.0)
        return float(np.mean(shares)) if shares else 0.0
