"""Brian2 with NIR's equations, against exact steps written out here and against the backend ``exact``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import expm

from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, Node
from nir_interop.reference import exact_simulator
from nir_interop.workers.live import LiveBackend
from tests.backends_apart.by_hand import (
    BIAS,
    CURRENT_WEIGHT,
    DT,
    INTO,
    SIZE,
    STIMULUS,
    WEIGHT,
    affine,
    chain,
    cuba,
    lif,
    neuron,
    spikes,
)

Running = Callable[[str], LiveBackend]
RNG = np.random.default_rng(5)
TAU, THETA = RNG.uniform(3e-3, 9e-3, SIZE), RNG.uniform(0.2, 0.6, SIZE)
LEAK, RESET = RNG.uniform(-0.1, 0.1, SIZE), RNG.uniform(-0.2, 0.1, SIZE)


def test_a_lif_takes_exact_steps_with_every_parameter(running: Running) -> None:
    node = lif(tau=TAU, r=1.5, v_threshold=THETA, v_leak=LEAK, v_reset=RESET)
    made = running("brian2")(chain(fc=affine(), neuron=node), STIMULUS, DT)
    keep = np.exp(-DT / TAU)
    fired, kept = spikes(INTO, keep, 1.5 * (1 - keep), THETA, leak=(1 - keep) * LEAK, reset=RESET)
    assert (made.output != fired).sum() == 0
    assert fired.sum() > 50
    np.testing.assert_allclose(made.membranes["neuron"], kept, atol=1e-12)


@pytest.mark.parametrize("fast", [3e-3, 5e-3], ids=["two time constants", "equal ones"])
def test_a_cuba_lif_solves_synapse_and_membrane_together(running: Running, fast: float) -> None:
    made = running("brian2")(chain(fc=affine(), neuron=cuba(tau_syn=fast, w_in=2.0, r=1.5)), STIMULUS, DT).output
    flow = expm(np.array([[-DT / fast, 0.0], [1.5 * DT / 5e-3, -DT / 5e-3]]))
    state, expected = np.zeros((2, 3, SIZE)), []
    for x in INTO:
        rest = np.array([2.0 * x, 1.5 * 2.0 * x])
        state = rest + np.tensordot(flow, state - rest, axes=1)
        fired = state[1] > 0.4
        state[1] = np.where(fired, 0.0, state[1])
        expected.append(fired)
    assert (made != np.array(expected)).sum() == 0
    assert np.sum(expected) > 50


def test_integrators_give_their_membrane(running: Running) -> None:
    made = running("brian2")(chain(fc=affine(), neuron=neuron("I", r=2.0)), STIMULUS, DT).output
    np.testing.assert_allclose(made, np.cumsum(2.0 * DT * INTO, axis=0), atol=1e-6)
    made = running("brian2")(chain(fc=affine(), neuron=neuron("LI", tau=TAU, r=2.0, v_leak=LEAK)), STIMULUS, DT).output
    keep = np.exp(-DT / TAU)
    _, kept = spikes(INTO, keep, 2.0 * (1 - keep), np.inf, leak=(1 - keep) * LEAK)
    np.testing.assert_allclose(made, kept, atol=1e-6)


def test_a_feedback_waits_a_step_and_has_answered_to_silence_before_the_first(running: Running) -> None:
    offset = np.linspace(-0.5, 0.5, SIZE)
    back = Node("Affine", {"weight": CURRENT_WEIGHT, "bias": offset})
    plain = chain(fc=affine(), neuron=lif())
    graph = Graph({**plain.nodes, "back": back}, (*plain.edges, ("neuron", "back"), ("back", "neuron")))
    made = running("brian2")(graph, STIMULUS, DT).output
    keep, v, last, expected = np.exp(-DT / 5e-3), np.zeros((3, SIZE)), np.zeros((3, SIZE)), []
    for x in INTO:
        v = keep * v + (1 - keep) * (x + last @ CURRENT_WEIGHT.T + offset)
        last = (v > 0.4).astype(np.float64)
        v = np.where(last > 0, 0.0, v)
        expected.append(last)
    assert (made != np.array(expected)).sum() == 0


@pytest.mark.parametrize("node", [lif(v_threshold=1e9), cuba(v_threshold=1e9)], ids=["LIF", "CubaLIF"])
def test_membranes_that_do_not_fire_are_those_of_the_exact_equations(running: Running, node: Node) -> None:
    graph = chain(fc=affine(), neuron=node)
    made = running("brian2")(graph, STIMULUS, DT)
    exact = exact_simulator(graph, DT).run(STIMULUS)[0]
    np.testing.assert_allclose(made.membranes["neuron"], exact.membranes["neuron"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("node", [lif(v_threshold=0.6), cuba(v_threshold=0.45)], ids=["LIF", "CubaLIF"])
def test_first_spikes_fall_into_the_steps_of_the_exact_equations_at_a_small_step(running: Running, node: Node) -> None:
    """A spike of Brian2's is on the grid, and what comes behind the first is late by what was left of its step."""
    parts = 50
    graph = chain(fc=Node("Affine", {"weight": np.abs(WEIGHT), "bias": BIAS}), neuron=node)
    fine = np.repeat(np.maximum(STIMULUS, 0), parts, axis=0)
    made = running("brian2")(graph, fine, DT / parts).output
    exact = exact_simulator(graph, DT / parts).run(fine)[0].output
    fired = made.any(axis=0) & exact.any(axis=0)
    assert fired.sum() >= 10
    np.testing.assert_array_equal(made.any(axis=0), exact.any(axis=0))
    np.testing.assert_array_equal(made.argmax(axis=0)[fired], exact.argmax(axis=0)[fired])


def test_what_has_no_equations_here_is_refused(running: Running) -> None:
    with pytest.raises(RunFailed, match="a Delay has no equations here") as error:
        running("brian2")(chain(fc=affine(), wait=neuron("Delay", delay=2e-3)), STIMULUS, DT)
    assert error.value.status == "refused"


def test_a_graph_within_a_graph_is_what_it_is_without(running: Running) -> None:
    size = {"shape": np.array([SIZE])}
    inner = Graph(
        {
            "input": Node("Input", size),
            "lif": lif(),
            "back": Node("Linear", {"weight": CURRENT_WEIGHT}),
            "output": Node("Output", size),
        },
        (("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")),
    )
    ends = chain(fc=affine()).nodes
    nested = Graph({**ends, "layer": inner}, (("input", "fc"), ("fc", "layer"), ("layer", "output")))
    plain = chain(fc=affine(), lif=lif())
    flat = Graph({**plain.nodes, "back": inner.nodes["back"]}, (*plain.edges, ("lif", "back"), ("back", "lif")))
    made = running("brian2")(nested, STIMULUS, DT)
    np.testing.assert_array_equal(made.output, running("brian2")(flat, STIMULUS, DT).output)
    assert made.output.sum() > 50
    assert set(made.spikes) == {"layer.lif"}
