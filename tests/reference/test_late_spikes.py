"""Spikes that are read from the membrane before the update, against the equations written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.guided import guided
from nir_interop.graphs import Array, Graph, Node
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, FeedbackBias, Gain, ResetKind, SpikeFrom

DT, STEPS, BATCH, SIZE = 1e-3, 60, 5, 3
RULE = NIR_MEANING.but(gain=Gain.ONE, synapse_gain=Gain.ONE, reset=ResetKind.SUBTRACT)
AT_ONCE = RULE.but(feedback_bias=FeedbackBias.AT_ONCE)


def network(kind: str, rng: np.random.Generator, *, biased: bool = False) -> Graph:
    """A layer that feeds itself."""
    tau = rng.uniform(3 * DT, 9 * DT, SIZE)
    zero, one = np.zeros(SIZE), np.ones(SIZE)
    params = {"r": one, "v_leak": zero, "v_threshold": rng.uniform(0.8, 1.2, SIZE), "v_reset": zero}
    params |= {"tau": tau} if kind == "LIF" else {"tau_mem": tau, "tau_syn": tau / 2, "w_in": one}
    weight = rng.normal(0, 0.5, (SIZE, SIZE))
    back = (
        Node("Affine", {"weight": weight, "bias": rng.normal(0, 0.3, SIZE)}) if biased else Node("Linear", {"weight": weight})
    )
    ends = {name: Node(name.title(), {"shape": np.array([SIZE])}) for name in ("input", "output")}
    edges = (("input", "neuron"), ("neuron", "back"), ("back", "neuron"), ("neuron", "output"))
    return Graph(ends | {"neuron": Node(kind, params), "back": back}, edges)


def by_hand(graph: Graph, x: Array, *, reset_first: bool, wait: bool) -> tuple[Array, Array]:
    """Spikes and membranes of the layer: it spikes by the membrane of the step before.

    reset_first : whether the reset comes before the decay
    wait : whether the spikes go back in the step behind the one in which they leave
    """
    cell, back = graph.nodes["neuron"], graph.nodes["back"]
    assert isinstance(cell, Node) and isinstance(back, Node)
    theta = cell["v_threshold"]
    beta = 1 - DT / (cell["tau"] if cell.kind == "LIF" else cell["tau_mem"])
    bias = back.params.get("bias", np.zeros(SIZE))
    v = current = last = np.zeros((BATCH, SIZE))
    spikes, membranes = [], []
    for step in x:
        s = (v > theta).astype(float)
        drive = step + (last if wait else s) @ back["weight"].T + bias
        if cell.kind == "CubaLIF":
            current = (1 - DT / cell["tau_syn"]) * current + drive
            drive = current
        v = beta * (v - s * theta) + drive if reset_first else beta * v + drive - s * theta
        last = s
        spikes.append(s)
        membranes.append(v)
    return np.stack(spikes), np.stack(membranes)


@pytest.mark.parametrize("biased", [False, True], ids=["without a bias", "with a bias"])
@pytest.mark.parametrize("wait", [False, True], ids=["at once", "waiting"])
@pytest.mark.parametrize("reset_first", [False, True], ids=["reset behind the update", "reset before it"])
@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_late_spikes_are_the_equations_written_by_hand(kind: str, reset_first: bool, wait: bool, biased: bool) -> None:
    rng = np.random.default_rng(3)
    graph, x = network(kind, rng, biased=biased), rng.normal(0.3, 0.5, (STEPS, BATCH, SIZE))
    rule = (RULE if wait else AT_ONCE).but(spike_from=SpikeFrom.PREVIOUS_RESET if reset_first else SpikeFrom.PREVIOUS)
    spikes, membranes = by_hand(graph, x, reset_first=reset_first, wait=wait)
    other, _ = by_hand(graph, x, reset_first=not reset_first, wait=not wait)
    made = simulate(graph, x, DT, rule)
    assert spikes.any() and (other != spikes).any()
    assert np.array_equal(made.output, spikes)
    assert np.allclose(made.membranes["neuron"], membranes[:, : made.membranes["neuron"].shape[1]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("early", [SpikeFrom.PREVIOUS, SpikeFrom.PREVIOUS_RESET])
def test_a_guided_replay_takes_late_decisions_that_rounding_made(early: SpikeFrom) -> None:
    rng = np.random.default_rng(3)
    graph, x = network("LIF", rng), rng.normal(0.3, 0.5, (STEPS, BATCH, SIZE))
    rule = AT_ONCE.but(spike_from=early)
    _, membranes = by_hand(graph, x, reset_first=early is SpikeFrom.PREVIOUS_RESET, wait=False)
    cell = graph.nodes["neuron"]
    assert isinstance(cell, Node)
    # One threshold to which a membrane comes up within single precision: there the other decision is taken.
    step, sample, place = (int(each[0]) for each in np.where((membranes > 0.5) & (membranes < cell["v_threshold"] - 0.1)))
    graph.nodes["neuron"]["v_threshold"][place] = membranes[step, sample, place] * (1 - 1e-9)  # type: ignore[index]
    above = simulate(graph, x, DT, rule)
    graph.nodes["neuron"]["v_threshold"][place] = membranes[step, sample, place] * (1 + 1e-9)  # type: ignore[index]
    assert (above.output != simulate(graph, x, DT, rule).output).any()
    found = guided(graph, DT, rule, x, above)
    assert found.proven and found.guided
    wrong = above.output.copy()
    wrong[STEPS // 2] = 1 - wrong[STEPS // 2]
    assert not guided(graph, DT, rule, x, Recording({"output": wrong}, {"neuron": wrong})).proven
