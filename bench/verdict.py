"""How often the verdict names the planted faults, as what it names them otherwise, and how long it takes on the default matrix.

The faults, and the backend they are planted in, live with the tests (``tests/explain/planted_faults.py``); here at full size.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np
from rich.console import Console

from bench.figures import Figure

GRAPHS, PAIRS = 20, 300
"""Graphs of each single fault, and pairs of faults."""


def figures() -> list[Figure]:
    """Shares of cases in which exactly the planted faults are named, and medians of a verdict's time.  Prints the table."""
    import torch

    from nir_interop.rule import Precision
    from tests.explain.planted_faults import (
        Planted,
        confusion,
        outcome,
        random_pairs,
        right,
        share_right,
        singles,
        table_of,
        without_faults,
    )

    torch.set_num_threads(1)
    one = [outcome(case) for case in singles(GRAPHS)]
    two = [outcome(case) for case in random_pairs(PAIRS)]
    none = [without_faults(Planted(each.case.faults, each.case.seed), Precision.FLOAT64) for each in one]
    console = Console(highlight=False, width=160)
    for title, outcomes in (("single faults", one), ("pairs of faults", two), ("no fault", none)):
        console.print(f"{title}: {len(outcomes)} cases, {sum(map(right, outcomes))} right\n{table_of(confusion(outcomes))}\n")
    seconds = list(_matrix_cells())
    return [
        Figure(f"{len(one)} single faults named exactly", 100 * share_right(one), 98, "%", at_most=False),
        Figure(f"{len(two)} pairs of faults named exactly", 100 * share_right(two), 90, "%", at_most=False),
        Figure(f"causes named in {len(none)} cases without a fault", sum(len(each.named) for each in none), 0, ""),
        Figure("verdict of a planted fault, median", statistics.median(each.seconds for each in one + two), 0.2, "s"),
        Figure(f"verdict of {len(seconds)} cells of the default matrix's size, median", statistics.median(seconds), 0.2, "s"),
        Figure("the slowest of them", max(seconds), None, "s"),
    ]


def _matrix_cells() -> Iterator[float]:
    """Seconds that the verdict takes on each network of the default matrix, under rules as libraries have them."""
    from nir_interop.agreement.side import Side
    from nir_interop.errors import NotExpressible
    from nir_interop.explain.verdict import explain_cell
    from nir_interop.graphs import NEURONS, from_nir
    from nir_interop.networks import catalogue, names
    from nir_interop.reference import simulate
    from nir_interop.rule import NIR_MEANING, Comparison, Decay, Gain, Precision, ResetKind, Timing, Use
    from nir_interop.stimuli import stimulus_for

    single = NIR_MEANING.but(precision=Precision.FLOAT32)
    rules = (
        single.but(resistance=Use.IGNORED),
        single.but(decay=Decay.EXPONENTIAL, comparison=Comparison.AT_OR_ABOVE),
        single.but(gain=Gain.ONE, reset=ResetKind.SUBTRACT, timing=Timing.NEXT_STEP),
    )
    for name in names():
        entry = catalogue(name)
        network = entry.build(0)
        try:
            graph = from_nir(network.to_nir())
        except NotExpressible:
            continue
        stimulus = np.asarray(stimulus_for(entry, network, 0).input)
        native = simulate(graph, stimulus, network.dt, single)
        for rule in rules:
            target = simulate(graph, stimulus, network.dt, rule)
            begun = time.perf_counter()
            explain_cell(
                intended=graph,
                exported=graph,
                source=Side("the source", network.dt, dict.fromkeys(NEURONS, single)),
                target=Side("the importer", network.dt, dict.fromkeys(NEURONS, rule)),
                native=native,
                made=target,
                stimulus=stimulus,
            )
            if not np.array_equal(native.output, target.output):
                yield time.perf_counter() - begun
