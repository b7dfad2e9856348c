"""spyx itself against equations written out here, with the library in a process of its own."""

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
from nir_interop.networks import IF, LI, LIF, Affine, Conv, CubaLIF, Flatten, Network, Neuron, Pool2d, PoolKind
from nir_interop.vocabulary import Idiom, Reset
from nir_interop.workers.live import LiveBackend
from tests.backends_apart.native_runs import assert_learns, native

Array = NDArray[Any]
Running = Callable[[str], LiveBackend]

DT = 1e-3
RNG = np.random.default_rng(30)
SIZE = 7
WEIGHT, BIAS = RNG.normal(size=(SIZE, 5)), RNG.normal(scale=0.1, size=SIZE)
TAU, SYN, THETA = RNG.uniform(2e-3, 9e-3, SIZE), RNG.uniform(2e-3, 5e-3, SIZE), RNG.uniform(0.5, 1.5, SIZE)
BACK = RNG.normal(scale=0.5, size=(SIZE, SIZE))
STIMULUS = RNG.normal(scale=0.6, size=(60, 3, 5)).astype(np.float32)
CURRENT = STIMULUS.astype(np.float64) @ WEIGHT.T + BIAS
ONES, ZEROS = np.ones(SIZE), np.zeros(SIZE)


def chain(shape: tuple[int, ...] = (5,), size: int = SIZE, **nodes: Node) -> Graph:
    """Input → the nodes → Output."""
    ends = {"input": Node("Input", {"shape": np.array(shape)}), "output": Node("Output", {"shape": np.array([size])})}
    return Graph(ends | nodes, tuple(itertools.pairwise(["input", *nodes, "output"])))


def affine() -> Node:
    return Node("Affine", {"weight": WEIGHT, "bias": BIAS})


def lif(size: int = SIZE) -> Node:
    values = {
        "tau": TAU[:size],
        "r": np.full(size, 3.0),
        "v_leak": ZEROS[:size],
        "v_threshold": THETA[:size],
    }  # r is of no matter
    return Node("LIF", values | {"v_reset": ZEROS[:size]})


def late(current: Array, keep: Array | float, theta: Array, back: Array | float = 0.0) -> Array:
    """s = [v > theta]; v = keep v + x + W s - s theta: a spike is read from the membrane of the step before."""
    v, fired = np.zeros(current.shape[1:]), []
    for x in current:
        s = (v > theta).astype(np.float64)
        v = keep * v + x + (s @ back if np.ndim(back) else 0.0) - s * theta
        fired.append(s)
    return np.array(fired)


def late_cuba(current: Array, keep_i: Array, keep_v: Array, theta: Array) -> Array:
    """s = [v > theta]; i = keep_i i + x; v = keep_v (v - s theta) + i."""
    v, i, fired = np.zeros(current.shape[1:]), np.zeros(current.shape[1:]), []
    for x in current:
        s = (v > theta).astype(np.float64)
        i = keep_i * i + x
        v = keep_v * (v - s * theta) + i
        fired.append(s)
    return np.array(fired)


def assert_fires(found: Array, expected: Array) -> None:
    __tracebackhide__ = True
    assert (found != expected).sum() == 0
    assert 0.02 < expected.mean() < 0.9


def test_an_imported_lif_reads_spikes_late_subtracts_and_ignores_r(running: Running) -> None:
    assert_fires(running("spyx")(chain(fc=affine(), neuron=lif()), STIMULUS, DT).output, late(CURRENT, 1 - DT / TAU, THETA))


def test_an_imported_if_adds_its_input_as_it_is(running: Running) -> None:
    node = Node("IF", {"r": np.full(SIZE, 3.0), "v_threshold": THETA, "v_reset": ZEROS})
    assert_fires(running("spyx")(chain(fc=affine(), neuron=node), STIMULUS, DT).output, late(CURRENT, 1.0, THETA))


def test_an_imported_cuba_lif_takes_the_reset_before_it_decays_and_ignores_w_in(running: Running) -> None:
    values = {"tau_mem": TAU, "tau_syn": SYN, "r": ONES, "v_leak": ZEROS, "v_threshold": THETA, "v_reset": ZEROS}
    node = Node("CubaLIF", values | {"w_in": np.full(SIZE, 4.0)})
    expected = late_cuba(0.2 * CURRENT, 1 - DT / SYN, 1 - DT / TAU, THETA)
    weak = Node("Affine", {"weight": 0.2 * WEIGHT, "bias": 0.2 * BIAS})
    assert_fires(running("spyx")(chain(fc=weak, neuron=node), STIMULUS, DT).output, expected)


def test_a_recurrence_does_not_wait_and_its_bias_is_dropped(running: Running) -> None:
    nodes = chain(fc=affine(), neuron=lif()).nodes | {"back": Node("Affine", {"weight": BACK, "bias": np.full(SIZE, 0.4)})}
    edges = (("input", "fc"), ("fc", "neuron"), ("neuron", "back"), ("back", "neuron"), ("neuron", "output"))
    found = running("spyx")(Graph(nodes, edges), STIMULUS, DT).output
    assert_fires(found, late(CURRENT, 1 - DT / TAU, THETA, BACK.T))


def test_a_flatten_is_channels_last_and_the_weights_after_it_are_not(running: Running) -> None:
    shape = (2, 3, 4)
    weight = np.random.default_rng(1).normal(size=(SIZE, 24))
    image = np.random.default_rng(2).normal(scale=0.3, size=(40, 2, *shape)).astype(np.float32)
    graph = chain(shape, flat=Node("Flatten", {"start_dim": 0, "end_dim": -1, "input_type": np.array(shape)}),
                  fc=Node("Linear", {"weight": weight}), neuron=lif())  # fmt: skip
    found = running("spyx")(graph, image, DT).output
    swapped = image.astype(np.float64).transpose(0, 1, 3, 4, 2).reshape(40, 2, 24) @ weight.T
    meant = image.astype(np.float64).reshape(40, 2, 24) @ weight.T
    assert_fires(found, late(swapped, 1 - DT / TAU, THETA))
    assert (found != late(meant, 1 - DT / TAU, THETA)).any()


def test_what_it_leaves_out_is_not_among_its_nodes(running: Running) -> None:
    graph = chain(fc=affine(), scale=Node("Scale", {"scale": np.full(SIZE, 0.3)}), neuron=lif())
    live = running("spyx")
    compared, _ = live.beside(live(graph, STIMULUS, DT), graph, STIMULUS, DT)
    assert compared.missing == ("scale",)
    assert_fires(live(graph, STIMULUS, DT).output, late(CURRENT, 1 - DT / TAU, THETA))


def test_an_integrator_without_a_threshold_is_refused(running: Running) -> None:
    node = Node("LI", {"tau": TAU, "r": ONES, "v_leak": ZEROS})
    with pytest.raises(RunFailed, match="has no Spyx module") as error:
        running("spyx")(chain(fc=affine(), neuron=node), STIMULUS, DT)
    assert error.value.status == "refused"


def network(neuron: Neuron) -> Network:
    return Network("made", (5,), (Affine(name="fc", weight=WEIGHT, bias=BIAS), neuron), dt=DT, reset=Reset.SUBTRACT)


@pytest.mark.parametrize("idiom", [Idiom.TUTORIAL, Idiom.PORTABLE])
def test_a_lif_in_its_own_words_comes_back_from_its_own_file_as_it_was(running: Running, idiom: Idiom, tmp_path: Path) -> None:
    keep = 1 - DT / TAU
    made, graph = native(
        running("spyx"), network(LIF(name="lif", tau=TAU, r=TAU / DT, v_threshold=THETA)), idiom, STIMULUS, tmp_path
    )
    assert_fires(made.output, late(CURRENT, keep, THETA))
    step = 1.0 if idiom is Idiom.TUTORIAL else DT
    written = graph.nodes["layer_1"].params
    np.testing.assert_allclose(written["tau"], TAU / DT * step, rtol=1e-5)
    np.testing.assert_allclose(written["r"], keep, rtol=1e-6)  # its gain is TAU / DT
    np.testing.assert_array_equal(running("spyx")(graph, STIMULUS, step).output, made.output)


@pytest.mark.parametrize(
    "neuron",
    [
        IF(name="if", r=1 / DT, v_threshold=THETA),
        CubaLIF(name="cuba", tau_mem=TAU, tau_syn=SYN, r=0.2 * TAU / DT, w_in=SYN / DT, v_threshold=THETA),
    ],
    ids=["IF", "CubaLIF"],
)
def test_gains_go_into_the_weights(running: Running, neuron: Neuron, tmp_path: Path) -> None:
    made, _ = native(running("spyx"), network(neuron), Idiom.PORTABLE, STIMULUS, tmp_path)
    by_hand = late(CURRENT, 1.0, THETA) if isinstance(neuron, IF) else late_cuba(
        0.2 * CURRENT, 1 - DT / SYN, 1 - DT / TAU, THETA
    )  # fmt: skip
    assert_fires(made.output, by_hand)


def test_its_exporter_leaves_an_integrator_out(running: Running, tmp_path: Path) -> None:
    made, graph = native(running("spyx"), network(LI(name="li", tau=TAU, r=TAU / DT)), Idiom.PORTABLE, STIMULUS, tmp_path)
    v, expected = np.zeros(CURRENT.shape[1:]), []
    for x in CURRENT:
        v = (1 - DT / TAU) * v + x
        expected.append(v)
    np.testing.assert_allclose(made.output, expected, atol=1e-5)
    assert sorted(graph.nodes) == ["input", "layer_0", "output"]


def test_an_image_network_means_what_nir_means_and_its_file_has_the_columns_of_channels_last(
    running: Running, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    kernel, bias, weight = rng.normal(size=(3, 2, 3, 3)), rng.normal(scale=0.1, size=3), rng.normal(size=(SIZE, 12))
    layers = (
        Conv(name="conv", weight=kernel, bias=bias),  # of one without a bias its exporter writes None, which is no file
        Pool2d(name="pool", kind=PoolKind.SUM),
        Flatten(name="flat"),
        Affine(name="fc", weight=weight),
        LIF(name="lif", tau=TAU, r=TAU / DT, v_threshold=THETA),
    )
    image = rng.normal(scale=0.05, size=(40, 2, 2, 6, 6)).astype(np.float32)
    made, graph = native(
        running("spyx"), Network("image", (2, 6, 6), layers, dt=DT, reset=Reset.SUBTRACT), Idiom.PORTABLE, image, tmp_path
    )
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), (3, 3), axis=(3, 4))
    convolved = np.einsum("tbcyxij,ocij->tboyx", windows, kernel) + bias[:, None, None]
    pooled = convolved.reshape(40, 2, 3, 2, 2, 2, 2).sum(axis=(4, 6)).reshape(40, 2, 12)
    assert_fires(made.output, late(pooled @ weight.T, 1 - DT / TAU, THETA))
    order = np.arange(12).reshape(3, 2, 2).transpose(1, 2, 0).reshape(-1)
    np.testing.assert_allclose(graph.nodes["layer_3"].params["weight"], weight[:, order], rtol=1e-6)


def test_what_it_has_no_words_for_is_not_built(running: Running, tmp_path: Path) -> None:
    hard = Network("hard", (5,), (Affine(name="fc", weight=WEIGHT), LIF(name="lif", tau=TAU)), dt=DT)
    with pytest.raises(AssertionError, match="reset by subtraction alone"):
        native(running("spyx"), hard, Idiom.PORTABLE, STIMULUS, tmp_path)


def test_it_learns(running: Running, tmp_path: Path) -> None:
    assert_learns(running("spyx"), "mlp_lif_soft", Idiom.PORTABLE, tmp_path, accuracy=0.5)


def test_a_process_of_its_own_gives_the_same_bits(running: Running, apart: Callable[[str], Any]) -> None:
    graph = chain(fc=affine(), neuron=lif())
    first = running("spyx")(graph, STIMULUS, DT)
    assert running("spyx")(graph, STIMULUS[:, :1], DT).output.shape == (60, 1, SIZE)
    again = running("spyx")(graph, STIMULUS, DT)
    with LiveBackend(apart("spyx"), limit=120) as other:
        elsewhere = other(graph, STIMULUS, DT)
    assert first.digest() == again.digest() == elsewhere.digest()
    assert first.membranes["neuron"].std() > 0
