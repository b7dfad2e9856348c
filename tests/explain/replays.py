"""Identified rules against the library itself, on random graphs that it takes.

NIR_INTEROP_ENVIRONMENTS=... python -m tests.explain.replays sinabs -n 200
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nir_interop.agreement.guided import guided
from nir_interop.agreement.replay import Replays, gap
from nir_interop.agreement.side import RunGraph, Side
from nir_interop.backends.environments import backend
from nir_interop.compare.divergence import differs, output_of
from nir_interop.errors import RunFailed
from nir_interop.explain.verdict import explain_cell
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import Array, Graph, inline
from nir_interop.graphs.unwritten import without_fields
from nir_interop.recording import Recording
from nir_interop.rule import UpdateRule
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import import_fingerprint, lacking_fields
from nir_interop.vocabulary import Cause
from nir_interop.workers.live import LiveBackend
from tests.explain.library_graphs import Domain, Draw

STRUCTURAL = frozenset(
    {Cause.JOIN_MISRUN, Cause.RECURRENCE_REWIRED, Cause.FLATTEN_BATCH, Cause.POOL_PADDING, Cause.CYCLE_ORDER}
)
"""What libraries are known to do outside any rule."""


@dataclass
class Tally:
    """How the graphs of one library came out.

    outputs, differing, rounded : of graphs that ran; those that the rules do not give; of these, proven rounding
    open : seeds of graphs that neither the rules nor a cause reproduce
    said : how graphs ended that did not run, each kind once
    """

    ends: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    open: list[int] = field(default_factory=list)
    outputs: int = 0
    differing: int = 0
    rounded: int = 0
    said: dict[str, int] = field(default_factory=dict)

    @property
    def reproduced(self) -> int:
        """Graphs on which the rules give every output, apart from proven rounding."""
        return sum(self.ends[end] for end in ("exact", "rounding of values", "rounding of decisions"))

    def row(self) -> str:
        """Graphs, outputs, differing, proven rounding."""
        ends = ", ".join(f"{end} {count}" for end, count in sorted(self.ends.items()) if count)
        return f"{self.reproduced} reproduced; {self.outputs} outputs, {self.differing} differ, {self.rounded} rounding; {ends}"


def replayed(
    run: RunGraph, fingerprint: Fingerprint, wanted: int, *, tries: int, first: int = 0, narrow: bool = False
) -> Tally:
    """Run random graphs until ``wanted`` are reproduced, ``tries`` at most; ``first``: the seed of the first."""
    tally, rules, domain = Tally(), fingerprint.by_primitive(), Domain(fingerprint)
    for seed in range(first, first + tries):
        graph, stimulus, dt = Draw(domain, seed, narrow=narrow).case()
        try:
            theirs = run(graph, stimulus, dt)
        except RunFailed as error:
            tally.ends[f"not run: {error.status}"] += 1
            tally.said.setdefault(str(error), seed)
            continue
        _judge(tally, seed, graph, stimulus, dt, rules, theirs)
        if tally.reproduced == wanted:
            break
    return tally


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
    fits = there is not None and here.shape == there.shape
    wrong = int(differs(here, there).sum()) if there is not None and fits else here.size
    tally.outputs, tally.differing = tally.outputs + here.size, tally.differing + wrong
    if not wrong:
        tally.ends["exact"] += 1
        return
    if guided(flattened, dt, rules, stimulus, theirs).proven:
        tally.rounded += wrong
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


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("backend")
    asked.add_argument("-n", type=int, default=200, help="graphs that are to be reproduced")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--store", type=Path, default=Path(".nir-interop"))
    given = asked.parse_args()
    library = backend(given.backend)
    with LiveBackend(library) as run:
        fingerprint = import_fingerprint(library, Store(given.store), live=run)
        lacking = lacking_fields(run)

        def as_it_reads(graph: Graph, stimulus: Array, dt: float) -> Recording:
            return run(without_fields(graph, lacking)[0], stimulus, dt)

        tally = replayed(as_it_reads, fingerprint, given.n, tries=3 * given.n, first=given.seed, narrow=True)
    print(f"{library.name} {library.version}: {tally.row()}")
    print(f"  causes {dict(sorted(tally.causes.items()))}; graphs with {dict(sorted(tally.kinds.items()))}; open {tally.open}")
    for text, seed in tally.said.items():
        print(f"  seed {seed}: {text}")


if __name__ == "__main__":
    main()
