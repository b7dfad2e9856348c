"""What makes a target differ on test recordings where the sample showed no difference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nir_interop.arrays import Array
from nir_interop.backends.environments import backend
from nir_interop.graphs import read
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import native_rules
from nir_interop.vocabulary import Idiom
from nir_interop_studies.common import Options
from nir_interop_studies.nmnist_transfer.crossing import Crossed, Crossing, targets
from nir_interop_studies.nmnist_transfer.regimes import IMPORTERS

EXPLAINED = 4
"""Recordings, of those that differ."""


def elsewhere(crossed: Crossed, options: Options) -> dict[int, str]:
    """Number of the crossing → causes, for those that differ where none was found on the sample."""
    return dict(_elsewhere(crossed, options))


def _elsewhere(crossed: Crossed, options: Options) -> Iterator[tuple[int, str]]:
    differing = {number: found for number, found in enumerate(map(_differing, *_pairs(crossed))) if found is not None}
    for importer in IMPORTERS:
        mine = {number: found for number, found in differing.items() if crossed.crossings[number].importer == importer}
        if not mine:
            continue
        with targets(crossed.sources, importer, options) as made:
            for number, chosen in mine.items():
                each = crossed.crossings[number]
                own = native_rules(backend(each.source.library), each.source.own, Idiom.PORTABLE, Store(options.store))
                rules, dt = (own, each.asked) if each.plan is None else (each.plan.side.rules, each.plan.side.dt)
                if each.graph is not None:
                    inputs = crossed.test.pick(chosen)
                    verdict = made(each.asked).verdict(each.source, read(each.graph), rules, (dt, each.asked), inputs)
                    yield number, "; ".join(verdict.codes) or "unexplained"


def _pairs(crossed: Crossed) -> tuple[list[Crossing], list[Array | None], list[Array | None]]:
    outputs = [None if outcome is None else outcome.output for outcome in crossed.outcomes]
    return list(crossed.crossings), [crossed.natives[each.source.name].output for each in crossed.crossings], outputs


def _differing(each: Crossing, ours: Array | None, theirs: Array | None) -> Array | None:
    """Recordings that differ, the first few; None where none does or it is known why."""
    if ours is None or theirs is None or (each.verdict is not None and each.verdict.codes):
        return None
    found = np.flatnonzero((ours != theirs).any(axis=(0, 2)))[:EXPLAINED]
    return found if len(found) else None
