"""The source's side of the way: under which reading of its rule the exported graph is what it computed, and gaps 1 and 2."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nir_interop.agreement.guided import guided
from nir_interop.agreement.replay import Mask, Replays, Rules, count, gap, rules_for
from nir_interop.agreement.side import Side
from nir_interop.explain.causes import Found
from nir_interop.explain.exporting import by_exporter
from nir_interop.graphs import Graph, inline
from nir_interop.recording import Recording
from nir_interop.rule import Gain, UpdateRule, Use
from nir_interop.vocabulary import Blame, Cause


def source_side(
    replays: Replays, exported: Graph, intended: Graph | None, source: Side, native: Recording
) -> tuple[Side, Recording | None, list[Found]]:
    """The source as it reads the exported graph, the recording that its rule makes of the graph's origin, and gaps 1 and 2.

    exported : inlined
    intended : the graph that was asked for, None where NIR cannot say it or nobody asked
    source : its own rules and step
    """
    tried = [
        (side, replays.run(exported, side.dt, side.rules))
        for side in (replace(source, rules=rules).for_graph(exported) for rules in _readings(source.rules, exported))
    ]
    gaps = [distance(gap(native, recording)) for _, recording in tried]
    reading, recording = tried[int(np.argmin(gaps))]
    if min(gaps) == 0:
        return reading, recording, []
    proof = guided(exported, reading.dt, reading.rules, replays.stimulus, native)
    if proof.proven:
        return reading, proof.recording, []
    if intended is None:
        why = f"the exported graph under the rule of {source.name} is not what {source.name} computed"
        return reading, recording, [Found(Cause.NOT_EXPRESSIBLE, 0, (), Blame.FORMAT, why)]
    first, found = _asked_for(replays, exported, intended, source, native)
    return reading, first, found


def _asked_for(
    replays: Replays, exported: Graph, intended: Graph, source: Side, native: Recording
) -> tuple[Recording | None, list[Found]]:
    """What the source's rule makes of the graph that was asked for, and what the builder and the exporter changed."""
    wanted, dt = inline(intended), source.dt
    meant = [(rules, replays.run(wanted, dt, rules)) for rules in _readings(source.rules, wanted)]
    distances = [distance(gap(native, recording)) for _, recording in meant]
    chosen, first = meant[int(np.argmin(distances))]
    found = by_exporter(replays, wanted, exported, dt, chosen)
    if min(distances):
        proof = guided(wanted, dt, chosen, replays.stimulus, native)
        if proof.proven:
            return proof.recording, found
        why = f"the network of {source.name} is not the network that was asked for"
        found.append(Found(Cause.UNEXPLAINED, 0, (), Blame.BUILDER, why))
    return first, found


def distance(mask: Mask | None) -> float:
    """How many outputs a gap holds, infinity where shapes differ."""
    return float("inf") if mask is None else float(count(mask))


def _readings(rules: Rules, graph: Graph) -> list[dict[str, UpdateRule]]:
    """A source's rules, and the same with NIR's gains: a cell that takes its input as it is may have them in its weights."""
    plain = rules_for(graph, rules)
    folded = {
        kind: rule.but(gain=Gain.STEP, synapse_gain=Gain.STEP, resistance=Use.USED, input_weight=Use.USED)
        for kind, rule in plain.items()
    }
    return [plain] if folded == plain else [plain, folded]
