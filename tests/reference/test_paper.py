"""What the NIR paper published of a single neuron (Pedersen et al., Nat. Commun. 15:8122, 2024), from the equations alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nir_interop.compare import assert_same_spikes
from nir_interop.graphs import Node, read
from nir_interop.reference import exact_simulator
from nir_interop.reference.exact import exact_neuron, spike_times

DT = 1e-4
SPIKE_STEPS = [460, 510, 710, 760]


@pytest.fixture
def published(paper: Path) -> np.ndarray:
    """Columns input, membrane, spike; 1000 steps."""
    return np.loadtxt(paper / "01_lif" / "lif_exact.csv", delimiter=",")


@pytest.fixture
def neuron(paper: Path) -> Node:
    """The paper's LIF, in the float32 of its file; the Affine before it is the identity."""
    graph = read(paper / "01_lif" / "lif_norse.nir")
    (name,) = graph.of_kind("LIF")
    return graph.nodes[name]


def test_the_exact_solution_spikes_at_the_papers_steps_with_the_papers_membrane(neuron: Node, published: np.ndarray) -> None:
    """The paper's membrane is the one at the end of a step, after the reset, as ours is.

    Up to the first spike both are the same closed form.  Behind it stands the paper's own spike time, which is a few
    picoseconds off: 3e-9 V.
    """
    current, membrane, spikes = published.T
    exact = exact_neuron(neuron, (1,), DT)
    counts, ours, _ = exact.sequence(current[:, None, None], exact.start(1))
    assert np.flatnonzero(spikes).tolist() == SPIKE_STEPS
    assert_same_spikes(counts.ravel(), spikes)
    first = SPIKE_STEPS[0]
    np.testing.assert_allclose(ours.ravel()[:first], membrane[:first], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.ravel(), membrane, rtol=0, atol=1e-8)


def test_the_membrane_at_the_beginning_of_a_step_is_not_the_papers(neuron: Node, published: np.ndarray) -> None:
    exact = exact_neuron(neuron, (1,), DT)
    _, ours, _ = exact.sequence(published[:, :1, None], exact.start(1))
    assert np.abs(ours.ravel()[:-1] - published[1:, 1]).max() > 0.01


def test_each_exact_spike_falls_inside_the_papers_step(neuron: Node, published: np.ndarray) -> None:
    (times,) = spike_times(neuron, published[:, :1], DT)
    assert np.floor(times / DT).astype(int).tolist() == SPIKE_STEPS


def test_the_papers_whole_graph_gives_the_papers_spikes(paper: Path, published: np.ndarray) -> None:
    recording, _ = exact_simulator(read(paper / "01_lif" / "lif_norse.nir"), DT).run(published[:, :1, None])
    assert_same_spikes(recording.output.ravel(), published[:, 2])
