"""The identified rules against the libraries themselves, on random graphs that these take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from nir_interop.agreement.guided import guided
from nir_interop.agreement.replay import Replays, gap
from nir_interop.agreement.side import Side
from nir_interop.compare.divergence import differs, output_of
from nir_interop.errors import RunFailed
from nir_interop.explain.verdict import explain_cell
from nir_interop.graphs import Array, Graph, inline
from nir_interop.recording import Recording
from nir_interop.rule import UpdateRule
from nir_interop.vocabulary import Cause
from tests.explain.library_graphs import Domain, Draw
from tests.known import fingerprint_of, running

WIRED = 200
"""Graphs for each library that it runs as they are wired: on these its rules are judged.

Others it refuses, or rewires; what it rewires must be known as such, every output.
"""

MOST_TRIES = 600

STRUCTURAL = frozenset(
    {Cause.JOIN_MISRUN, Cause.RECURRENCE_REWIRED, Cause.FLATTEN_BATCH, Cause.POOL_PADDING, Cause.CYCLE_ORDER}
)
"""What these libraries are known to do outside any rule."""


@dataclass
class Tally:
    """How the graphs of one library came out."""

    ends: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    open: list[int] = field(default_factory=list)

    @property
    def reproduced(self) -> int:
        """Graphs on which the rules give every output, apart from proven rounding."""
        return sum(self.ends[end] for end in ("exact", "rounding of values", "rounding of decisions"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["norse", "snntorch", "spikingjelly"])
def test_the_identified_rules_reproduce_a_library_on_200_random_graphs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    fingerprint = fingerprint_of(name)
    rules = fingerprint.by_primitive()
    tally = Tally()
    run = running(name)
    for seed in range(MOST_TRIES):
        graph, stimulus, dt = Draw(Domain(fingerprint), seed).case()
        try:
            theirs = run(graph, stimulus, dt)
        except RunFailed as error:
            tally.ends[f"not run: {error.status}"] += 1
            continue
        _judge(tally, seed, graph, stimulus, dt, rules, theirs)
        if tally.reproduced == WIRED:
            break
    with capsys.disabled():
        print(f"\n{name}: {', '.join(f'{end} {count}' for end, count in sorted(tally.ends.items()) if count)}")
        print(f"  causes {dict(sorted(tally.causes.items()))}; graphs with {dict(sorted(tally.kinds.items()))}")
    assert tally.open == [], "seeds of graphs that neither the rules nor a cause reproduce"
    assert tally.reproduced == WIRED
    assert tally.ends["structural"] <= 0.4 * WIRED
    assert tally.ends["rounding of decisions"] <= 0.02 * WIRED
    assert tally.ends["silent"] <= 0.05 * WIRED, "a silent network proves nothing"
    for ingredient in ("recurrent", "nested", "Conv2d", *Domain(fingerprint).kinds):
        assert tally.kinds[ingredient] >= 5, ingredient


def _judge(
    tally: Tally, seed: int, graph: Graph, stimulus: Array, dt: float, rules: dict[str, UpdateRule], theirs: Recording
) -> None:
    flattened = inline(graph)
    ours = Replays(stimulus).run(flattened, dt, rules)
    assert ours is not None
    tally.kinds.update({node.kind for _, node in flattened.primitives()} - {"Input", "Output", "Affine", "Linear"})
    tally.kinds["nested"] += flattened is not graph and len(flattened.nodes) != len(graph.nodes)
    tally.kinds["recurrent"] += any("back" in name or "w_rec" in name for name in flattened.nodes)
    tally.ends["silent"] += not any(spikes.any() for spikes in ours.spikes.values())
    here, there = output_of(ours), output_of(theirs)
    assert here is not None
    if there is not None and here.shape == there.shape and not differs(here, there).any():
        tally.ends["exact"] += 1
        return
    if guided(flattened, dt, rules, stimulus, theirs).proven:
        unequal = gap(ours, theirs)
        tally.ends["rounding of decisions" if unequal is not None and unequal.any() else "rounding of values"] += 1
        return
    verdict = explain_cell(
        intended=graph, exported=graph, source=Side("the source", dt, rules), target=Side("the importer", dt, rules),
        native=ours, made=theirs, stimulus=stimulus,
    )  # fmt: skip
    named = {share.cause for share in verdict.causes}
    if verdict.explained == 1 and named and named <= STRUCTURAL:
        tally.ends["structural"] += 1
        tally.causes[", ".join(verdict.codes)] += 1
    else:
        tally.open.append(seed)
