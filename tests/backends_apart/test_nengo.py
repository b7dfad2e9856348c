"""Nengo's neurons and filters against their equations written out here, with Nengo in a process of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, Node
from nir_interop.workers.live import LiveBackend
from tests.backends_apart.by_hand import CURRENT_WEIGHT, DT, INTO, SIZE, STIMULUS, affine, chain, cuba, lif, neuron, spikes

Running = Callable[[str], LiveBackend]


def test_a_lif_decays_exponentially_and_its_membrane_is_never_below_0(running: Running) -> None:
    made = running("nengo")(chain(fc=affine(), neuron=lif()), STIMULUS, DT)
    keep = np.exp(-DT / 5e-3)
    fired, kept = spikes(INTO, keep, 1 - keep, 0.4, floor=0.0)
    assert (made.output != fired).sum() == 0
    assert fired.sum() > 50
    assert (fired != spikes(INTO, keep, 1 - keep, 0.4)[0]).any()
    np.testing.assert_allclose(made.membranes["neuron"], kept, atol=1e-9)


def test_a_gain_holds_r_and_each_neurons_threshold_and_a_bias_its_leak(running: Running) -> None:
    rng = np.random.default_rng(1)
    r, theta, leak = rng.uniform(0.5, 2, SIZE), rng.uniform(0.2, 0.6, SIZE), rng.uniform(-0.1, 0.1, SIZE)
    made = running("nengo")(chain(fc=affine(), neuron=lif(r=r, v_threshold=theta, v_leak=leak)), STIMULUS, DT).output
    keep = np.exp(-DT / 5e-3)
    fired, _ = spikes(INTO, keep, r * (1 - keep), theta, leak=(1 - keep) * leak, floor=0.0)
    assert (made != fired).sum() == 0
    assert fired.sum() > 50


@pytest.mark.parametrize("dt", [DT, 1.0])
def test_an_if_adds_up_r_dt_times_its_input(running: Running, dt: float) -> None:
    node = neuron("IF", r=0.3 / dt, v_threshold=1.0, v_reset=0.0)
    made = running("nengo")(chain(fc=affine(), neuron=node), STIMULUS, dt).output
    fired, _ = spikes(INTO, 1.0, 0.3, 1.0)
    assert (made != fired).sum() == 0
    assert fired.sum() > 50


def test_a_cuba_lif_hears_its_synapse_a_step_late_and_only_its_membrane_decays_exponentially(running: Running) -> None:
    made = running("nengo")(chain(fc=affine(), neuron=cuba(w_in=2.0, r=1.5)), STIMULUS, DT).output
    i, currents = np.zeros(INTO.shape[1:]), []
    for x in INTO:
        currents.append(i)
        i = i + DT / 3e-3 * (2.0 * x - i)
    keep = np.exp(-DT / 5e-3)
    fired, _ = spikes(np.array(currents), keep, 1.5 * (1 - keep), 0.4, floor=0.0)
    assert (made != fired).sum() == 0
    assert fired.sum() > 50


def test_an_li_is_a_lowpass_whose_value_is_heard_a_step_late(running: Running) -> None:
    node = neuron("LI", tau=5e-3, r=1.0, v_leak=0.0)
    made = running("nengo")(chain(fc=affine(), neuron=node), STIMULUS, DT).output
    v, expected = np.zeros(INTO.shape[1:]), []
    for x in INTO:
        expected.append(v)
        v = v + (1 - np.exp(-DT / 5e-3)) * (x - v)
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_a_feedback_of_lifs_waits_a_step(running: Running) -> None:
    back = Node("Linear", {"weight": CURRENT_WEIGHT})
    plain = chain(fc=affine(), neuron=lif())
    graph = Graph({**plain.nodes, "back": back}, (*plain.edges, ("neuron", "back"), ("back", "neuron")))
    made = running("nengo")(graph, STIMULUS, DT).output
    keep, v, last, expected = np.exp(-DT / 5e-3), np.zeros((3, SIZE)), np.zeros((3, SIZE)), []
    for x in INTO:
        v = keep * v + (1 - keep) * (x + last @ CURRENT_WEIGHT.T)
        last = (v > 0.4).astype(np.float64)
        v = np.where(last > 0, 0.0, np.maximum(v, 0.0))
        expected.append(last)
    assert (made != np.array(expected)).sum() == 0


def test_convolution_pooling_and_flatten_by_a_loop(running: Running) -> None:
    rng = np.random.default_rng(2)
    weight, bias = rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
    image = rng.integers(0, 2, size=(5, 2, 2, 6, 7)).astype(np.float32)
    pairs = {name: np.array([value, value]) for name, value in (("stride", 1), ("padding", 1), ("dilation", 1))}
    window = {name: np.array([2, 2]) for name in ("kernel_size", "stride")}
    nodes = {
        "input": Node("Input", {"shape": np.array([2, 6, 7])}),
        "conv": Node(
            "Conv2d", {"weight": weight, "bias": bias, "groups": np.array(1), "input_shape": np.array([6, 7]), **pairs}
        ),
        "pool": Node("SumPool2d", {**window, "padding": np.array([0, 0])}),
        "flat": Node("Flatten", {"start_dim": np.array(0), "end_dim": np.array(-1)}),
        "output": Node("Output", {"shape": np.array([27])}),
    }
    made = running("nengo")(Graph(nodes, tuple(itertools.pairwise(nodes))), image, DT).output
    around = np.pad(image, [(0, 0)] * 3 + [(1, 1)] * 2).astype(np.float64)
    found = np.zeros((5, 2, 3, 6, 7)) + bias[:, None, None]
    for y, x, (row, column) in ((y, x, at) for y in range(3) for x in range(3) for at in np.ndindex(6, 7)):
        found[..., row, column] += around[..., row + y, column + x] @ weight[:, :, y, x].T
    pooled = np.zeros((5, 2, 3, 3, 3))
    for row, column in np.ndindex(3, 3):
        pooled[..., row, column] = found[..., 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].sum(axis=(3, 4))
    np.testing.assert_allclose(made, pooled.reshape(5, 2, 27), atol=1e-5)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (lif(v_reset=-0.1), "Nengo's LIF resets to 0; v_reset is -0.1"),
        (lif(tau=np.linspace(2e-3, 5e-3, SIZE)), "Nengo's LIF has one tau; here it differs per neuron"),
        (neuron("LI", tau=5e-3, r=2.0, v_leak=0.0), "Nengo's Lowpass has neither v_leak nor r"),
        (neuron("I", r=1.0), "Nengo has no I here"),
    ],
)
def test_what_nengo_has_no_word_for_is_refused(running: Running, node: Node, says: str) -> None:
    with pytest.raises(RunFailed, match=says) as error:
        running("nengo")(chain(fc=affine(), neuron=node), STIMULUS, DT)
    assert error.value.status == "refused"
