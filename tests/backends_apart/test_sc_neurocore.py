"""sc-neurocore itself against equations written out here, with the library in a process of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nir_interop.backends.environments import Backend, backends_in
from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, Node
from nir_interop.networks import LI, LIF, Affine, Conv, CubaLIF, Network, Pool2d, PoolKind
from nir_interop.networks.layers import Feedback
from nir_interop.vocabulary import Idiom, Reset
from nir_interop.workers.live import LiveBackend
from tests.backends_apart.native_runs import native

Array = NDArray[Any]
Running = Callable[[str], LiveBackend]

DT, SIZE = 1e-3, 6
RNG = np.random.default_rng(23)
WEIGHT, BIAS = RNG.normal(size=(SIZE, 5)), RNG.normal(scale=0.1, size=SIZE)
BACK, OFFSET = RNG.normal(scale=0.6, size=(SIZE, SIZE)), RNG.normal(scale=0.5, size=SIZE)
TAU, FAST, THETA = RNG.uniform(3e-3, 9e-3, SIZE), RNG.uniform(2e-3, 4e-3, SIZE), RNG.uniform(0.2, 0.5, SIZE)
R, W_IN = RNG.uniform(0.8, 2.0, SIZE), RNG.uniform(0.8, 2.0, SIZE)
LEAK, RESET = RNG.uniform(-0.1, 0.1, SIZE), RNG.uniform(-0.3, 0.1, SIZE)
STIMULUS = RNG.normal(scale=1.5, size=(60, 3, 5)).astype(np.float32)


def euler(weight: Array, bias: Array, *, subtract: bool = False, feedback: bool = False) -> tuple[Array, Array]:
    """Spikes and membranes of LIF neurons that start at their leak; a feedback is silent, its bias too, in the first step."""
    v = np.broadcast_to(LEAK, (3, SIZE))
    fired, kept, back = [], [], np.zeros(SIZE)
    for x in STIMULUS.astype(np.float64):
        v = v + DT / TAU * (LEAK - v + R * (x @ weight.T + bias + back))
        s = (v > THETA).astype(np.float64)
        v = np.where(s > 0, v - THETA if subtract else RESET, v)
        back = s @ BACK.T + OFFSET if feedback else back
        fired.append(s)
        kept.append(v)
    return np.array(fired), np.array(kept)


def lif() -> LIF:
    return LIF(name="lif", tau=TAU, r=R, v_leak=LEAK, v_reset=RESET, v_threshold=THETA)


def chain(node: Node, shape: tuple[int, ...] = (SIZE,)) -> Graph:
    nodes = {
        "input": Node("Input", {"shape": np.array([5])}),
        "fc": Node("Affine", {"weight": WEIGHT, "bias": BIAS}),
        "neuron": node,
        "output": Node("Output", {"shape": np.array(shape)}),
    }
    return Graph(nodes, tuple(itertools.pairwise(nodes)))


def test_an_imported_lif_starts_at_its_leak_and_is_stepped_by_forward_euler(running: Running) -> None:
    node = Node("LIF", {"tau": TAU, "r": R, "v_leak": LEAK, "v_threshold": THETA, "v_reset": RESET})
    made = running("sc-neurocore")(chain(node), STIMULUS, DT)
    fired, kept = euler(WEIGHT, BIAS)
    assert (made.output != fired).sum() == 0
    assert fired.sum() > 100
    np.testing.assert_allclose(made.membranes["neuron"], kept, atol=1e-5)


def test_with_the_label_subtract_an_imported_lif_resets_by_subtraction(apart: Callable[[str], Backend], tmp_path: Path) -> None:
    (tmp_path / "sc-neurocore==subtract").symlink_to(apart("sc-neurocore").python.parents[1])
    backend = next(each for each in backends_in([tmp_path]) if each.name == "sc-neurocore==subtract")
    node = Node("LIF", {"tau": TAU, "r": R, "v_leak": LEAK, "v_threshold": THETA, "v_reset": RESET})
    with LiveBackend(backend, limit=120) as live:
        made = live(chain(node), STIMULUS, DT).output
    assert (made != euler(WEIGHT, BIAS, subtract=True)[0]).sum() == 0
    assert (made != euler(WEIGHT, BIAS)[0]).any()


def test_an_imported_cuba_lif_advances_its_synapse_first(running: Running) -> None:
    params = {"tau_syn": FAST, "tau_mem": TAU, "r": R, "v_leak": LEAK, "w_in": W_IN, "v_threshold": THETA, "v_reset": RESET}
    made = running("sc-neurocore")(chain(Node("CubaLIF", params)), STIMULUS, DT).output
    v, i, expected = np.broadcast_to(LEAK, (3, SIZE)), np.zeros((3, SIZE)), []
    for x in STIMULUS.astype(np.float64):
        i = i + DT / FAST * (W_IN * (x @ WEIGHT.T + BIAS) - i)
        v = v + DT / TAU * (LEAK - v + R * i)
        expected.append(v > THETA)
        v = np.where(v > THETA, RESET, v)
    assert (made != np.array(expected)).sum() == 0
    assert np.sum(expected) > 50


@pytest.mark.parametrize("reset", list(Reset))
def test_its_own_network_holds_every_parameter_and_resets_as_it_is_asked_to(
    running: Running, reset: Reset, tmp_path: Path
) -> None:
    network = Network("made", (5,), (Affine(name="fc", weight=WEIGHT, bias=BIAS), lif()), dt=DT, reset=reset, free_gain=False)
    made, graph = native(running("sc-neurocore"), network, Idiom.PORTABLE, STIMULUS, tmp_path)
    fired, kept = euler(WEIGHT, BIAS, subtract=reset is Reset.SUBTRACT)
    assert (made.output != fired).sum() == 0
    np.testing.assert_allclose(made.membranes["lif"], kept, atol=1e-12)
    for name, value in (("tau", TAU), ("r", R), ("v_leak", LEAK), ("v_threshold", THETA), ("v_reset", RESET)):
        np.testing.assert_array_equal(graph.nodes["lif"].params[name], value)


def test_a_feedback_waits_a_step_and_its_bias_does_too(running: Running, tmp_path: Path) -> None:
    neuron = LIF(**{**vars(lif()), "feedback": Feedback(weight=BACK, bias=OFFSET)})
    network = Network("fed_back", (5,), (Affine(name="fc", weight=WEIGHT, bias=BIAS), neuron), dt=DT)
    made, graph = native(running("sc-neurocore"), network, Idiom.PORTABLE, STIMULUS, tmp_path)
    fired, _ = euler(WEIGHT, BIAS, feedback=True)
    assert (made.output != fired).sum() == 0
    assert {("lif", "lif_rec"), ("lif_rec", "lif")} <= set(graph.edges)


def test_an_li_gives_its_membrane_and_comes_back_from_its_own_file(running: Running, tmp_path: Path) -> None:
    network = Network("read", (5,), (Affine(name="fc", weight=WEIGHT), LI(name="li", tau=TAU, r=R, v_leak=LEAK)), dt=DT)
    made, graph = native(running("sc-neurocore"), network, Idiom.PORTABLE, STIMULUS, tmp_path)
    v, expected = np.broadcast_to(LEAK, (3, SIZE)), []
    for x in STIMULUS.astype(np.float64):
        v = v + DT / TAU * (LEAK - v + R * (x @ WEIGHT.T))
        expected.append(v)
    np.testing.assert_allclose(made.output, expected, atol=1e-6)
    np.testing.assert_allclose(running("sc-neurocore")(graph, STIMULUS, DT).output, expected, atol=1e-5)


def test_a_convolution_behind_a_neuron_cannot_be_built(running: Running, tmp_path: Path) -> None:
    image = RNG.normal(size=(4, 2, 1, 6, 6)).astype(np.float32)
    kernel = RNG.normal(size=(2, 1, 3, 3))
    layers = (Conv(name="conv", weight=kernel), LIF(name="lif", tau=3e-3), Pool2d(name="pool", kind=PoolKind.SUM))
    with pytest.raises(AssertionError, match="sc-neurocore's neurons before it give flat vectors"):
        native(running("sc-neurocore"), Network("image", (1, 6, 6), layers, dt=DT), Idiom.PORTABLE, image, tmp_path)


def test_an_imported_convolution_with_its_padding_in_numbers_fails(running: Running) -> None:
    weight = RNG.normal(size=(2, 1, 3, 3))
    pairs = {name: np.array([value, value]) for name, value in (("stride", 1), ("padding", 1), ("dilation", 1))}
    nodes = {
        "input": Node("Input", {"shape": np.array([1, 6, 6])}),
        "conv": Node(
            "Conv2d", {"weight": weight, "bias": np.zeros(2), "groups": np.array(1), "input_shape": np.array([6, 6]), **pairs}
        ),
        "output": Node("Output", {"shape": np.array([2, 6, 6])}),
    }
    with pytest.raises(RunFailed, match="0-dimensional arrays") as error:
        running("sc-neurocore")(Graph(nodes, tuple(itertools.pairwise(nodes))), np.zeros((3, 1, 1, 6, 6), np.float32), DT)
    assert error.value.status == "import_error"


def test_a_cuba_lif_of_its_own_resets_by_subtraction(running: Running, tmp_path: Path) -> None:
    neuron = CubaLIF(name="cuba", tau_syn=FAST, tau_mem=TAU, r=R, v_leak=LEAK, w_in=W_IN, v_threshold=THETA)
    network = Network(
        "soft", (5,), (Affine(name="fc", weight=WEIGHT, bias=BIAS), neuron), dt=DT, reset=Reset.SUBTRACT, free_gain=False
    )
    made, _ = native(running("sc-neurocore"), network, Idiom.PORTABLE, STIMULUS, tmp_path)
    v, i, expected = np.broadcast_to(LEAK, (3, SIZE)), np.zeros((3, SIZE)), []
    for x in STIMULUS.astype(np.float64):
        i = i + DT / FAST * (W_IN * (x @ WEIGHT.T + BIAS) - i)
        v = v + DT / TAU * (LEAK - v + R * i)
        expected.append(v > THETA)
        v = v - THETA * (v > THETA)
    assert (made.output != np.array(expected)).sum() == 0
