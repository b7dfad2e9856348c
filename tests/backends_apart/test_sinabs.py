"""sinabs itself against equations written out here, with the library in a process of its own."""

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
from nir_interop.networks import IF, LI, LIF, Affine, Network
from nir_interop.vocabulary import Idiom, Reset
from nir_interop.workers.live import LiveBackend
from tests.backends_apart.native_runs import assert_learns, native

Array = NDArray[Any]
Running = Callable[[str], LiveBackend]

RNG = np.random.default_rng(20)
SIZE = 7
WEIGHT, BIAS = RNG.normal(size=(SIZE, 5)), RNG.normal(scale=0.1, size=SIZE)
TAU, THETA = RNG.uniform(2.0, 9.0, SIZE), RNG.uniform(0.5, 1.5, SIZE)
STIMULUS = RNG.normal(scale=1.5, size=(60, 3, 5)).astype(np.float32)
CURRENT = STIMULUS.astype(np.float64) @ WEIGHT.T + BIAS


def chain(**nodes: Node) -> Graph:
    """Input → the nodes → Output; no node has a v_reset, which sinabs' nir cannot read."""
    ends = {"input": Node("Input", {"shape": np.array([5])}), "output": Node("Output", {"shape": np.array([SIZE])})}
    return Graph(ends | nodes, tuple(itertools.pairwise(["input", *nodes, "output"])))


def affine() -> Node:
    return Node("Affine", {"weight": WEIGHT, "bias": BIAS})


def stepped(
    current: Array, keep: Array | float, theta: Array, *, gain: Array | float = 1.0, many: bool = True, floor: bool = False,
    subtract: bool = True,
) -> Array:  # fmt: skip
    """v = keep v + gain x; floor(v / theta) spikes, or one; what is below -theta is lifted to it."""
    v = np.zeros(current.shape[1:])
    fired = []
    for x in current:
        v = keep * v + gain * x
        s = np.floor(np.maximum(v, 0) / theta) if many else (v >= theta).astype(np.float64)
        v = v - s * theta if subtract else np.where(s > 0, 0.0, v)
        v = np.maximum(v, -theta) if floor else v
        fired.append(s)
    return np.array(fired)


@pytest.mark.parametrize("dt", [1e-4, 1.0])
def test_an_imported_if_adds_up_its_input_fires_several_times_and_falls_no_lower_than_minus_the_threshold(
    running: Running, dt: float
) -> None:
    node = Node("IF", {"r": np.full(SIZE, 3.0), "v_threshold": THETA})  # r is of no matter
    made = running("sinabs")(chain(fc=affine(), neuron=node), STIMULUS, dt).output
    expected = stepped(CURRENT, 1.0, THETA, floor=True)
    assert (made != expected).sum() == 0
    assert expected.max() > 1 and (expected != stepped(CURRENT, 1.0, THETA)).any()


@pytest.mark.parametrize("dt", [1e-4, 1.0])
def test_an_imported_lif_reads_tau_as_a_number_of_steps_and_ignores_r(running: Running, dt: float) -> None:
    node = Node("LIF", {"tau": TAU, "r": np.full(SIZE, 3.0), "v_leak": np.zeros(SIZE), "v_threshold": THETA})
    made = running("sinabs")(chain(fc=affine(), neuron=node), STIMULUS, dt).output
    expected = stepped(CURRENT, np.exp(-1 / TAU), THETA)
    assert (made != expected).sum() == 0
    assert expected.max() > 1


def test_an_imported_li_adds_its_input_as_it_is(running: Running) -> None:
    node = Node("LI", {"tau": TAU, "r": np.ones(SIZE), "v_leak": np.zeros(SIZE)})
    made = running("sinabs")(chain(fc=affine(), neuron=node), STIMULUS, 1e-4).output
    v, expected = np.zeros(CURRENT.shape[1:]), []
    for x in CURRENT:
        v = np.exp(-1 / TAU) * v + x
        expected.append(v)
    np.testing.assert_allclose(made, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (Node("LIF", {"tau": TAU, "r": np.ones(SIZE), "v_leak": TAU, "v_threshold": THETA}), "`v_leak` must be 0"),
        (Node("LI", {"tau": TAU, "r": TAU, "v_leak": np.zeros(SIZE)}), "`r` must be 1"),
    ],
)
def test_what_it_declines_on_purpose_is_refused(running: Running, node: Node, says: str) -> None:
    with pytest.raises(RunFailed, match=says) as error:
        running("sinabs")(chain(fc=affine(), neuron=node), STIMULUS, 1e-4)
    assert error.value.status == "refused"


def test_a_linear_is_not_taken(running: Running) -> None:
    node = Node("IF", {"r": np.ones(SIZE), "v_threshold": THETA})
    with pytest.raises(RunFailed) as error:
        running("sinabs")(chain(fc=Node("Linear", {"weight": WEIGHT}), neuron=node), STIMULUS, 1e-4)
    assert error.value.status in ("run_error", "import_error")


def network(neuron: Any, reset: Reset) -> Network:
    return Network(
        "made", (5,), (Affine(name="fc", weight=WEIGHT, bias=BIAS), neuron), dt=1e-3, reset=reset, free_gain=True
    )  # fmt: skip


@pytest.mark.parametrize("reset", list(Reset))
@pytest.mark.parametrize("idiom", list(Idiom))
def test_a_network_in_its_own_words_steps_as_its_words_say(
    running: Running, idiom: Idiom, reset: Reset, tmp_path: Path
) -> None:
    neuron = LIF(name="lif", tau=TAU * 1e-3, r=1.0, v_threshold=THETA / 4)
    made, _ = native(running("sinabs"), network(neuron, reset), idiom, STIMULUS, tmp_path)
    keep = np.exp(-1 / TAU)
    many, subtract = idiom is Idiom.TUTORIAL, reset is Reset.SUBTRACT
    expected = stepped(CURRENT, keep, THETA / 4, gain=1 - keep, many=many, subtract=subtract)
    assert (made.output != expected).sum() == 0
    assert expected.sum() >= 100


def test_time_constants_are_exported_in_steps_and_in_seconds_where_that_is_worked_around(
    running: Running, tmp_path: Path
) -> None:
    neuron = LIF(name="lif", tau=TAU * 1e-3, r=1.0, v_threshold=THETA)
    written = {
        idiom: native(running("sinabs"), network(neuron, Reset.SUBTRACT), idiom, STIMULUS, tmp_path)[1] for idiom in Idiom
    }
    for idiom, graph in written.items():
        factor = 1e-3 if idiom is Idiom.WORKED_AROUND else 1.0
        np.testing.assert_allclose(graph.nodes["lif"].params["tau"], TAU * factor, rtol=1e-6)
        np.testing.assert_array_equal(graph.nodes["lif"].params["r"], np.ones(SIZE))


def test_an_if_without_inhibition_comes_back_from_its_own_file_as_it_was(running: Running, tmp_path: Path) -> None:
    excited = Network(
        "excited", (5,), (Affine(name="fc", weight=abs(WEIGHT)), IF(name="if", r=1e3, v_threshold=THETA)),
        dt=1e-3, reset=Reset.SUBTRACT,
    )  # fmt: skip
    stimulus = abs(STIMULUS)
    made, graph = native(running("sinabs"), excited, Idiom.TUTORIAL, stimulus, tmp_path)
    again = running("sinabs")(without_v_reset(graph), stimulus, 1e-3).output
    assert made.output.max() > 1
    np.testing.assert_array_equal(again, made.output)


def test_an_li_scales_its_input_only_where_it_is_told_to(running: Running, tmp_path: Path) -> None:
    neuron = LI(name="li", tau=TAU * 1e-3, r=1.0)
    keep = np.exp(-1 / TAU)
    for idiom in (Idiom.TUTORIAL, Idiom.PORTABLE):
        made, graph = native(running("sinabs"), network(neuron, Reset.VALUE), idiom, STIMULUS, tmp_path)
        gain = 1 / TAU if idiom is Idiom.TUTORIAL else 1 - keep  # the weights of the former hold dt / tau
        v, expected = np.zeros(CURRENT.shape[1:]), []
        for x in CURRENT:
            v = keep * v + gain * x
            expected.append(v)
        np.testing.assert_allclose(made.output, expected, atol=1e-5)
        np.testing.assert_array_equal(graph.nodes["li"].params["r"], np.ones(SIZE))


def without_v_reset(graph: Graph) -> Graph:
    """What is read with a newer nir has a v_reset, which the nir of sinabs does not know."""
    nodes = {
        name: Node(each.kind, {key: value for key, value in each.params.items() if key != "v_reset"})
        for name, each in graph.nodes.items()
    }
    return Graph(nodes, graph.edges)


def test_a_newer_nir_reads_v_reset_and_neurons_are_reset_by_subtraction_all_the_same(running: Running) -> None:
    """Made by: backends install sinabs==3.1.3 --with nir==1.0.8 --with nirtorch==2.6 --label nir1.0.8"""
    live = running("sinabs==nir1.0.8")
    params = {"tau": TAU, "r": np.ones(SIZE), "v_leak": np.zeros(SIZE), "v_reset": THETA / 3, "v_threshold": THETA}
    graph = chain(fc=affine(), neuron=Node("LIF", params))
    assert (live(graph, STIMULUS, 1e-4).output != stepped(CURRENT, np.exp(-1 / TAU), THETA)).sum() == 0
    with pytest.raises(RunFailed, match="v_reset") as error:
        running("sinabs")(graph, STIMULUS, 1e-4)
    assert error.value.status == "read_error"


def test_it_learns(running: Running, tmp_path: Path) -> None:
    assert_learns(running("sinabs"), "mlp_lif_soft", Idiom.PORTABLE, tmp_path, accuracy=0.7)


def test_a_process_of_its_own_gives_the_same_bits(running: Running, apart: Callable[[str], Any], tmp_path: Path) -> None:
    node = Node("LI", {"tau": TAU, "r": np.ones(SIZE), "v_leak": np.zeros(SIZE)})
    graph = chain(fc=affine(), neuron=node)
    first = running("sinabs")(graph, STIMULUS, 1e-4).output
    assert running("sinabs")(graph, STIMULUS[:, :1], 1e-4).output.shape == (60, 1, SIZE)
    second = running("sinabs")(graph, STIMULUS, 1e-4).output
    with LiveBackend(apart("sinabs"), limit=120) as other:
        third = other(graph, STIMULUS, 1e-4).output
    assert first.tobytes() == second.tobytes() == third.tobytes()
