"""Rockpool itself against equations written out here, with the library in a process of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, Node
from nir_interop.networks import LI, LIF, Affine, CubaLIF, Feedback, Network, Neuron
from nir_interop.vocabulary import Idiom, Reset
from nir_interop.workers.live import LiveBackend
from tests.backends_apart.native_runs import assert_learns, native

Array = NDArray[Any]
Running = Callable[[str], LiveBackend]

RNG = np.random.default_rng(21)
SIZE = 6
WEIGHT, BIAS, BACK = RNG.normal(size=(SIZE, 4)), RNG.normal(scale=0.1, size=SIZE), RNG.normal(scale=0.4, size=(SIZE, SIZE))
TAU_SYN, TAU_MEM, THETA = RNG.uniform(1e-3, 4e-3, SIZE), RNG.uniform(2e-3, 9e-3, SIZE), RNG.uniform(0.5, 1.5, SIZE)
R, W_IN, V_LEAK = RNG.uniform(5, 20, SIZE), RNG.uniform(2, 4, SIZE), RNG.normal(scale=0.1, size=SIZE)
STIMULUS = RNG.normal(size=(60, 3, 4)).astype(np.float32)
CURRENT = STIMULUS.astype(np.float64) @ WEIGHT.T + BIAS
DT = 1e-3


def port(kind: str, size: int) -> Node:
    return Node(kind, {"shape": np.array([size])})


def chain(**nodes: Node) -> Graph:
    ends = {"input": port("Input", 4), "output": port("Output", SIZE)}
    return Graph(ends | nodes, tuple(itertools.pairwise(["input", *nodes, "output"])))


def affine() -> Node:
    return Node("Affine", {"weight": WEIGHT, "bias": BIAS})


def cuba() -> Node:
    """Without v_reset, which Rockpool's nir cannot read."""
    params = {"tau_syn": TAU_SYN, "tau_mem": TAU_MEM, "r": R, "w_in": W_IN, "v_leak": V_LEAK, "v_threshold": THETA}
    return Node("CubaLIF", params)


def stepped(
    current: Array, h: float, theta: Array, *, added: Array | float = 0.0, back: Array | None = None, most: float = np.inf
) -> Array:
    """i = b (i + x + W s), v = a v + i + added; floor(v / theta) spikes, or the most there may be, and as often theta less."""
    v, i, s, fired = *np.zeros((3, *current.shape[1:])), []
    for x in current:
        i = np.exp(-h / TAU_SYN) * (i + x + (0.0 if back is None else s @ back.T))
        v = np.exp(-h / TAU_MEM) * v + i + added
        s = np.minimum(np.floor(np.maximum(v, 0) / theta), most)
        v = v - s * theta
        fired.append(s)
    return np.array(fired)


@pytest.mark.parametrize("dt", [1e-4, 1e-2])
def test_an_imported_cubalif_guesses_its_step_adds_v_leak_and_ignores_w_in(running: Running, dt: float) -> None:
    made = running("rockpool")(chain(fc=affine(), neuron=cuba()), STIMULUS, dt).output
    expected = stepped(CURRENT, float((TAU_MEM / (1 + R)).min()), THETA, added=V_LEAK)
    assert (made != expected).sum() == 0
    assert expected.max() > 1


@pytest.mark.parametrize("kind", ["Linear", "Affine"])
def test_a_recurrence_in_a_graph_of_its_own_is_one_layer_and_its_bias_is_left_out(running: Running, kind: str) -> None:
    back = 0.1 * BACK  # stronger ones grow until there are 2 ** 16 spikes a step, the most that it gives
    weights = {"weight": back} | ({"bias": np.full(SIZE, 0.5)} if kind == "Affine" else {})
    ends = {"input": port("Input", SIZE), "output": port("Output", SIZE)}
    edges = (("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output"))
    layer = Graph(ends | {"lif": cuba(), "w_rec": Node(kind, weights)}, edges)
    nodes = {"input": port("Input", 4), "fc": affine(), "layer": layer, "output": port("Output", SIZE)}
    graph = Graph(nodes, tuple(itertools.pairwise(nodes)))
    made = running("rockpool")(graph, STIMULUS, DT)
    expected = stepped(CURRENT, float((TAU_MEM / (1 + R)).min()), THETA, added=V_LEAK, back=back)
    assert (made.output != expected).sum() == 0
    assert (expected != stepped(CURRENT, float((TAU_MEM / (1 + R)).min()), THETA, added=V_LEAK)).any()
    assert list(made.spikes) == ["layer.lif"]


def test_an_imported_lif_is_an_error_of_its_importer(running: Running) -> None:
    node = Node("LIF", {"tau": TAU_MEM, "r": R, "v_leak": V_LEAK, "v_threshold": THETA})
    with pytest.raises(RunFailed, match="'LIF' object has no attribute 'tau_mem'") as error:
        running("rockpool")(chain(fc=affine(), neuron=node), STIMULUS, DT)
    assert error.value.status == "import_error"


def test_an_imported_li_has_its_tau_cut_to_whole_seconds_and_is_silent_below_one(running: Running) -> None:
    short = Node("LI", {"tau": TAU_MEM, "r": R, "v_leak": V_LEAK})
    assert not running("rockpool")(chain(fc=affine(), neuron=short), STIMULUS, DT).output.any()
    tau = np.linspace(1.1, 2.9, SIZE)
    node = Node("LI", {"tau": tau, "r": R, "v_leak": V_LEAK})
    made = running("rockpool")(chain(fc=affine(), neuron=node), STIMULUS, DT).output
    keep = np.exp(-float((tau / (1 + R)).min()) / np.floor(tau))
    v, expected = np.zeros(CURRENT.shape[1:]), []
    for x in CURRENT:
        v = keep * (v + x)
        expected.append(v)
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_convolutions_are_refused(running: Running) -> None:
    conv = Node(
        "Conv1d",
        {"weight": np.ones((2, 1, 3)), "bias": np.zeros(2), "stride": np.array([1]), "padding": np.array([0]),
         "dilation": np.array([1]), "groups": np.array(1), "input_shape": np.array(8)},
    )  # fmt: skip
    ends = {"input": Node("Input", {"shape": np.array([1, 8])}), "output": Node("Output", {"shape": np.array([2, 6])})}
    graph = Graph(ends | {"conv": conv}, (("input", "conv"), ("conv", "output")))
    with pytest.raises(RunFailed, match="to rockpool module") as error:
        running("rockpool")(graph, np.ones((5, 1, 1, 8), dtype=np.float32), DT)
    assert error.value.status == "refused"


def network(neuron: Neuron, **fields: Any) -> Network:
    return Network("made", (4,), (Affine(name="fc", weight=WEIGHT, bias=BIAS), neuron), dt=DT, reset=Reset.SUBTRACT, **fields)


SYNAPSE_GAIN = np.exp(-DT / TAU_SYN) * TAU_SYN / DT
"""The w_in that its own synapse has in NIR's words."""


@pytest.mark.parametrize("idiom", [Idiom.TUTORIAL, Idiom.PORTABLE])
@pytest.mark.parametrize("recurrent", [False, True])
def test_a_network_in_its_own_words_steps_as_its_words_say(
    running: Running, idiom: Idiom, recurrent: bool, tmp_path: Path
) -> None:
    values = {"tau_syn": TAU_SYN, "tau_mem": TAU_MEM, "r": TAU_MEM / DT, "w_in": SYNAPSE_GAIN, "v_threshold": 2 * THETA}
    neuron = CubaLIF(name="lif", **values, feedback=Feedback(weight=BACK) if recurrent else None)
    made, graph = native(running("rockpool"), network(neuron), idiom, STIMULUS, tmp_path)
    most = np.inf if idiom is Idiom.TUTORIAL else 1.0
    expected = stepped(CURRENT, DT, 2 * THETA, back=BACK if recurrent else None, most=most)
    assert (made.output != expected).sum() == 0
    assert expected.sum() > 100
    # What its exporter makes of it: r is short by the membrane's decay, w_in is not written, and a recurrence is gone.
    lif = graph.nodes["lif"].params
    np.testing.assert_allclose(lif["r"], TAU_MEM / DT * np.exp(-DT / TAU_MEM), rtol=1e-5)
    np.testing.assert_array_equal(lif["w_in"], np.ones(SIZE))
    assert {node.kind for node in graph.nodes.values()} == {"Input", "Output", "Affine", "CubaLIF"}


@pytest.mark.parametrize("idiom", [Idiom.TUTORIAL, Idiom.PORTABLE])
def test_a_lif_of_its_own_adds_its_input_as_it_is(running: Running, idiom: Idiom, tmp_path: Path) -> None:
    neuron = LIF(name="lif", tau=TAU_MEM, r=TAU_MEM / DT, v_threshold=THETA)
    made, _ = native(running("rockpool"), network(neuron), idiom, STIMULUS, tmp_path)
    v, expected = np.zeros(CURRENT.shape[1:]), []
    for x in CURRENT:
        v = np.exp(-DT / TAU_MEM) * v + x
        s = np.floor(np.maximum(v, 0) / THETA) if idiom is Idiom.TUTORIAL else (v >= THETA).astype(np.float64)
        v = v - s * THETA
        expected.append(s)
    assert (made.output != np.array(expected)).sum() == 0


def test_an_li_runs_and_its_file_cannot_be_written(running: Running, tmp_path: Path) -> None:
    neuron = LI(name="li", tau=TAU_MEM, r=np.exp(-DT / TAU_MEM) * TAU_MEM / DT)
    with pytest.raises(AssertionError, match="Can't call numpy"):
        native(running("rockpool"), network(neuron), Idiom.PORTABLE, STIMULUS, tmp_path)


def test_what_it_writes_it_reads_back_at_another_step(running: Running, tmp_path: Path) -> None:
    neuron = CubaLIF(name="lif", tau_syn=TAU_SYN, tau_mem=TAU_MEM, r=TAU_MEM / DT, w_in=SYNAPSE_GAIN, v_threshold=THETA)
    _, graph = native(running("rockpool"), network(neuron), Idiom.TUTORIAL, STIMULUS, tmp_path)
    nodes = {
        name: Node(each.kind, {key: value for key, value in each.params.items() if key != "v_reset"})
        for name, each in graph.nodes.items()
    }
    again = running("rockpool")(Graph(nodes, graph.edges), STIMULUS, DT).output
    guessed = float((TAU_MEM / (1 + graph.nodes["lif"].params["r"])).min())
    assert guessed != pytest.approx(DT, rel=0.01)
    assert (again != stepped(CURRENT, guessed, THETA)).sum() == 0


def test_it_learns(running: Running, tmp_path: Path) -> None:
    assert_learns(running("rockpool"), "mlp_lif_soft", Idiom.PORTABLE, tmp_path, accuracy=0.7)


def test_a_process_of_its_own_gives_the_same_bits(running: Running, apart: Callable[[str], Any]) -> None:
    graph = chain(fc=affine(), neuron=cuba())
    first = running("rockpool")(graph, STIMULUS, DT)
    assert running("rockpool")(graph, STIMULUS[:, :1], DT).output.shape == (60, 1, SIZE)
    second = running("rockpool")(graph, STIMULUS, DT)
    with LiveBackend(apart("rockpool"), limit=120) as other:
        third = other(graph, STIMULUS, DT)
    for each in (second, third):
        assert first.membranes["neuron"].tobytes() == each.membranes["neuron"].tobytes()
        assert first.output.tobytes() == each.output.tobytes()
