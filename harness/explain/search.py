"""The search for what an importer did outside any rule: one rewrite whose replay is the target, or a pair of them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.agreement.replay import Replays, count, gap
from harness.compare.nodes import differs, flatten, match_nodes, output_of
from harness.explain.causes import Found
from harness.explain.rewrites import Candidate, candidates
from harness.explain.settings import Setting
from harness.explain.structure import suspects
from harness.graphs import Graph
from harness.recording import Recording
from harness.vocabulary import Blame, Cause

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
    """What an importer made of a graph, what comes out of that under its rule, and the causes.

    graph : None where no rewrite is known that gives the target; the recording is then the graph's own
    """

    graph: Graph | None
    recording: Recording | None
    found: tuple[Found, ...] = ()


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
    setting: Setting,
    replay: Recording | None,
    target: Recording,
    likely: Collection[Cause] = (),
) -> Outside:
    """What reproduces the target best, and the causes; the replay itself and nothing where no rewrite does.

    likely : causes that are tried first, and so named where others would do as well
    """
    search = _Search(replays, graph, setting, replay, target, likely)
    best, output = search.best(), output_of(target)
    whole = search.whole if search.whole is not None else 0 if output is None else output.size
    if best is None or output is None or best.left >= (search.whole or float("inf")) or best.left > CHANCE * output.size:
        return Outside(None, replay)
    first, *second = best.rewrites
    alone = max(0.0, whole - (search.left(first) if second else best.left))
    gained = [alone or whole - best.left, *(whole - best.left - alone or whole for _ in second)]
    found = [
        Found(each.cause, int(outputs), each.nodes, Blame.IMPORTER, each.says)
        for each, outputs in zip(best.rewrites, gained, strict=True)
    ]
    return Outside(best.rewrites[-1].graph, best.recording, tuple(found))


@dataclass
class _Search:
    replays: Replays
    graph: Graph
    setting: Setting
    replay: Recording | None
    target: Recording
    likely: Collection[Cause]

    def __post_init__(self) -> None:
        before = gap(self.replay, self.target)
        self.whole = None if before is None else count(before)

    def best(self) -> _Tried | None:
        """One rewrite; else two at every place; else two at any place: the first that gives the target, or the closest."""
        near = self._near(self.graph, self.replay)
        tried = self._tried(((each,) for each in near), MOST_CANDIDATES)
        for ways, most in ((self._pairs, MOST_PAIRS), (self._behind, BEAM * MOST_BEHIND)):
            if tried and tried[0].left:
                tried = sorted([*tried, *self._tried(ways(tried), most)], key=lambda each: each.rank)
        return tried[0] if tried else None

    def left(self, rewrite: Candidate) -> float:
        """The outputs that a rewrite alone leaves unlike the target's."""
        mask = gap(self._replayed((rewrite,)), self.target)
        return float("inf") if mask is None else float(count(mask))

    def _near(self, graph: Graph, replay: Recording | None) -> list[Candidate]:
        """The rewrites of a graph, first likely ones, and of these those at nodes where the fault must lie."""
        near = suspects(graph, replay, self.target) if replay is not None else frozenset(graph.nodes)

        def rank(each: Candidate) -> tuple[bool, bool]:
            return each.cause not in self.likely, bool(each.nodes) and not near & set(each.nodes)

        return sorted(candidates(graph, self.setting.dt), key=rank)

    def _pairs(self, tried: list[_Tried]) -> Iterator[tuple[Candidate, ...]]:
        """Two causes, each at every place where it can be."""
        singles = [each for each in tried if len(each.rewrites) == 1 and each.rewrites[0].everywhere]
        for one in sorted(singles, key=lambda each: each.apart):
            (first,) = one.rewrites
            further = list(candidates(first.graph, self.setting.dt))
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
            found.append(_Tried(rewrites, recording, float(count(mask)), _apart(recording, self.target)))
            if found[-1].rank == (0.0, 0.0):
                break
        return sorted(found, key=lambda each: each.rank)

    def _replayed(self, rewrites: tuple[Candidate, ...]) -> Recording | None:
        again = any(each.again for each in rewrites)
        return self.replays.run(rewrites[-1].graph, self.setting.dt, self.setting.rules, again=again)


def _apart(recording: Recording, target: Recording) -> float:
    """The mean over all nodes recorded on both sides of the share that differs."""
    shares = []
    for ours, theirs in match_nodes(recording.spikes, target.spikes).items():
        one, other = flatten(recording.spikes[ours]), flatten(target.spikes[theirs])
        shares.append(float(differs(one, other).mean()) if one.shape == other.shape else 1.0)
    return float(np.mean(shares)) if shares else 0.0
