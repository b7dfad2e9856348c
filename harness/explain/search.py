"""The search for what an importer did outside any rule: one rewrite whose replay is the target, or a pair of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.compare.nodes import differs, flatten, match_nodes, output_of
from harness.explain.causes import Found, Setting
from harness.explain.replay import Replays, count, gap
from harness.explain.structure import Candidate, candidates, suspects
from harness.graphs import Graph
from harness.recording import Recording
from harness.vocabulary import Blame

MOST_CANDIDATES = 150
"""Rewrites of one graph that are replayed."""
BEAM = 3
"""Rewrites that are tried together with a second one."""
CHANCE = 0.01
"""A rewrite that leaves a larger share of all outputs unlike the target's may be a chance hit, and is not named."""


@dataclass(frozen=True)
class _Tried:
    """A rewrite, its replay, the outputs that are still unlike the target's, and the share of all recorded nodes that is."""

    candidate: Candidate
    recording: Recording
    left: float
    apart: float


def outside_the_rule(
    replays: Replays, graph: Graph, setting: Setting, replay: Recording | None, target: Recording
) -> tuple[Recording | None, list[Found]]:
    """What reproduces the target best, and the causes; the replay itself and nothing where no rewrite does."""
    before = gap(replay, target)
    whole = float("inf") if before is None else float(count(before))
    tried = _tried(replays, graph, setting, replay, target)
    if not tried:
        return replay, []
    best = tried[0]
    chosen: tuple[_Tried, ...] = (best,)
    if best.left:
        for first in sorted(tried, key=lambda each: each.apart)[:BEAM]:
            further = _tried(replays, first.candidate.graph, setting, first.recording, target)
            if further and further[0].left < best.left:
                chosen, best = (first, further[0]), further[0]
            if not best.left:
                break
    output = output_of(target)
    if output is None or best.left >= whole or best.left > CHANCE * output.size:
        return replay, []
    return best.recording, [_found(each.candidate, _gained(whole, each.left, output.size)) for each in chosen]


def _found(candidate: Candidate, outputs: int) -> Found:
    return Found(candidate.cause, outputs, candidate.nodes, Blame.IMPORTER, candidate.says)


def _gained(whole: float, left: float, outputs: int) -> int:
    """Outputs that a rewrite repairs; all of them where there were none of the right shape before."""
    return int(max(0, (outputs if whole == float("inf") else whole) - min(left, outputs)))


def _tried(replays: Replays, graph: Graph, setting: Setting, replay: Recording | None, target: Recording) -> list[_Tried]:
    """The rewrites of a graph, those that leave fewest outputs first; the search ends with one that leaves none, at no node.

    Those at nodes where the fault must lie are tried first.
    """
    near = suspects(graph, replay, target) if replay is not None else frozenset(graph.nodes)
    ranked = sorted(candidates(graph, setting.dt), key=lambda each: bool(each.nodes) and not near & set(each.nodes))
    found: list[_Tried] = []
    for each in ranked[:MOST_CANDIDATES]:
        recording = replays.run(each.graph, setting.dt, setting.rules, again=each.again)
        mask = gap(recording, target)
        if recording is None or mask is None:
            continue
        found.append(_Tried(each, recording, float(count(mask)), _apart(recording, target)))
        if not found[-1].left and not found[-1].apart:
            break
    return sorted(found, key=lambda each: (each.left, each.apart))


def _apart(recording: Recording, target: Recording) -> float:
    """The mean over all nodes recorded on both sides of the share that differs."""
    shares = []
    for ours, theirs in match_nodes(recording.spikes, target.spikes).items():
        one, other = flatten(recording.spikes[ours]), flatten(target.spikes[theirs])
        shares.append(float(differs(one, other).mean()) if one.shape == other.shape else 1.0)
    return float(np.mean(shares)) if shares else 0.0
