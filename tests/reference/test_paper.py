"""What the NIR paper published of a single neuron, reproduced.

Pedersen et al., Nat. Commun. 15:8122 (2024).  The files are looked for in the folder ``paper`` of ``NIR_INTEROP_SHARED``, or of
the folder ``shared`` beside the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import nir
import numpy as np
import pytest

from harness.graphs import Node
from harness.reference.exact import exact_neuron, spike_times

SHARED = Path(os.environ.get("NIR_INTEROP_SHARED") or Path(__file__).parents[3] / "shared")
FOLDER = SHARED / "paper" / "01_lif"
DT = 1e-4
SPIKE_STEPS = [460, 510, 710, 760]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the paper's files are not here (NIR_INTEROP_SHARED)")


@pytest.fixture
def neuron() -> Node:
    """The paper's LIF, in the float32 of its file; the Affine before it is the identity."""
    graph = nir.read(FOLDER / "lif_norse.nir")
    assert (graph.nodes["0"].weight.item(), graph.nodes["0"].bias.item()) == (1.0, 0.0)
    names = ("tau", "r", "v_leak", "v_threshold", "v_reset")
    return Node("LIF", {name: getattr(graph.nodes["1"], name) for name in names})


def published(platform: str) -> np.ndarray:
    """Columns input, membrane, spike, 1000 steps."""
    return np.loadtxt(FOLDER / f"lif_{platform}.csv", delimiter=",").T


def test_the_exact_solution_spikes_at_the_papers_steps_with_the_papers_membrane(neuron: Node) -> None:
    """The paper's membrane is the one at the end of a step, after the reset, as ours is."""
    current, membrane, spikes = published("exact")
    exact = exact_neuron(neuron, (1,), DT)
    counts, ours, _ = exact.sequence(current[:, None, None], exact.start(1))
    assert np.nonzero(counts.ravel())[0].tolist() == np.nonzero(spikes)[0].tolist() == SPIKE_STEPS
    assert np.abs(ours.ravel() - membrane).max() < 1e-8
    assert np.abs(ours.ravel() - membrane)[: SPIKE_STEPS[0]].max() < 1e-12, "before the first reset there is nothing to search"


def test_the_exact_spikes_fall_inside_the_papers_steps(neuron: Node) -> None:
    (times,) = spike_times(neuron, published("exact")[0][:, None], DT)
    assert np.floor(times / DT).astype(int).tolist() == SPIKE_STEPS
