"""The published traces of one LIF neuron (Pedersen et al. 2024), each reproduced by the update rule of its platform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nir_interop.compare import assert_same_spikes
from nir_interop.graphs import read
from nir_interop.reference import Simulator
from nir_interop.rule import NIR_MEANING, Decay, ResetKind, SpikeFrom, UpdateRule

EXPONENTIAL = NIR_MEANING.but(decay=Decay.EXPONENTIAL, reset=ResetKind.SUBTRACT)
LATE = NIR_MEANING.but(reset=ResetKind.SUBTRACT, spike_from=SpikeFrom.PREVIOUS)

PLATFORMS = {
    "norse": (NIR_MEANING, 1.0, [460, 510, 710, 760]),
    "snntorch": (NIR_MEANING, 25.0, [460, 510, 710, 760]),
    "sinabs": (EXPONENTIAL, 1.0, [450, 500, 710, 760]),
    "rockpool": (EXPONENTIAL, 1.0, [450, 500, 710, 760]),
    "spyx": (LATE, 1.0, [461, 511, 711, 761]),
}
"""Platform → its rule, the scale of its published membrane, its published spike steps."""


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
def test_a_published_trace_is_reproduced_spike_for_spike(platform: str, paper: Path) -> None:
    rule, scale, steps = PLATFORMS[platform]
    published = np.loadtxt(paper / "01_lif" / f"lif_{platform}.csv", delimiter=",")
    stimulus = np.loadtxt(paper / "01_lif" / "lif_norse.csv", delimiter=",")[:, 0].reshape(-1, 1, 1)
    recording, _ = Simulator(read(paper / "01_lif" / "lif_norse.nir"), 1e-4, rule).run(stimulus)
    assert np.flatnonzero(published[:, 2]).tolist() == steps
    assert_same_spikes(recording.output.ravel(), published[:, 2])
    (membrane,) = recording.membranes.values()
    np.testing.assert_allclose(membrane.ravel() * scale, published[:, 1], rtol=0, atol=1e-7 * scale)


def test_the_platforms_are_told_apart_by_their_rules(paper: Path) -> None:
    stimulus = np.loadtxt(paper / "01_lif" / "lif_norse.csv", delimiter=",")[:, 0].reshape(-1, 1, 1)
    graph = read(paper / "01_lif" / "lif_norse.nir")

    def spikes(rule: UpdateRule) -> list[int]:
        return np.flatnonzero(Simulator(graph, 1e-4, rule).run(stimulus)[0].output).tolist()

    assert len({tuple(spikes(rule)) for rule, _, _ in PLATFORMS.values()}) == 3
