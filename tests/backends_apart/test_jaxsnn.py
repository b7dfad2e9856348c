"""jaxsnn itself against an integration written out here, with the library in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph, Node
from nir_interop.workers.live import LiveBackend

Array = NDArray[Any]
Running = Callable[[str], LiveBackend]

DT, SIZE, THETA = 1e-3, 3, 0.3
SYN, MEM = 5.0, 10.0
WEIGHT = np.random.default_rng(0).normal(size=(SIZE, SIZE)) * 1.5 + 0.8
STIMULUS = (np.random.default_rng(1).random((40, 2, SIZE)) < 0.2).astype(np.uint8)
PARTS = 2000


def graph(weight: Array = WEIGHT, linear: str = "Linear", factor: float = 1.0) -> Graph:
    one, zero = np.ones(SIZE), np.zeros(SIZE)
    values = {"tau_syn": one * SYN * factor, "tau_mem": one * MEM * factor, "v_threshold": one * THETA}
    bias = {"bias": zero} if linear == "Affine" else {}
    nodes = {
        "input": Node("Input", {"shape": np.array([weight.shape[1]])}),
        "fc": Node(linear, {"weight": weight, **bias}),
        "neuron": Node("CubaLIF", {**values, "r": one, "w_in": one, "v_leak": zero, "v_reset": zero}),
        "output": Node("Output", {"shape": np.array([SIZE])}),
    }
    return Graph(nodes, (("input", "fc"), ("fc", "neuron"), ("neuron", "output")))


def integrated(weight: Array, syn: float, mem: float) -> Array:
    """tau_mem v' = i - v, i jumps by the weights of an input spike as its step begins; each step in PARTS exact parts."""
    h = DT / PARTS
    keep_i, keep_v = np.exp(-h / syn), np.exp(-h / mem)
    feed = syn / (syn - mem) * (keep_i - keep_v)
    v, i = np.zeros((2, SIZE)), np.zeros((2, SIZE))
    counts = np.zeros((len(STIMULUS), 2, SIZE))
    for step, x in enumerate(STIMULUS.astype(np.float64)):
        i = i + x @ weight
        for _ in range(PARTS):
            v, i = keep_v * v + feed * i, keep_i * i
            fired = v > THETA
            counts[step] += fired
            v = np.where(fired, 0.0, v)
    return counts


def test_tau_is_read_as_milliseconds_and_a_weight_as_in_by_out(running: Running) -> None:
    found = running("jaxsnn")(graph(), STIMULUS, DT).output
    expected = integrated(WEIGHT, SYN * 1e-3, MEM * 1e-3)
    # a spike within a part of the end of its step may stand in the next one: two counts
    assert (found != expected).sum() <= 2
    assert found.sum() == expected.sum() >= 100
    assert (found != integrated(WEIGHT.T, SYN * 1e-3, MEM * 1e-3)).sum() > 50
    assert (found != integrated(WEIGHT, SYN, MEM)).sum() > 50


def test_time_constants_in_seconds_make_it_silent_or_wild(running: Running) -> None:
    found = running("jaxsnn")(graph(factor=1e-3), STIMULUS, DT).output
    assert (found != integrated(WEIGHT.T, SYN * 1e-3, MEM * 1e-3)).sum() > 50


def test_a_weight_that_is_not_square_fails_as_it_runs(running: Running) -> None:
    with pytest.raises(RunFailed, match="incompatible shapes") as error:
        running("jaxsnn")(graph(WEIGHT[:, :2]), STIMULUS[..., :2], DT)
    assert error.value.status == "run_error"


def test_a_bias_and_an_input_that_is_no_spikes_are_refused(running: Running) -> None:
    for given, stimulus, says in (
        (graph(linear="Affine"), STIMULUS, "not supported yet"),
        (graph(), STIMULUS * np.float32(0.5), "takes spikes"),
    ):
        with pytest.raises(RunFailed, match=says) as error:
            running("jaxsnn")(given, stimulus, DT)
        assert error.value.status == "refused"


def test_several_spikes_of_an_input_add_up(running: Running) -> None:
    doubled = running("jaxsnn")(graph(), STIMULUS * np.uint8(2), DT).output
    assert (doubled == running("jaxsnn")(graph(2 * WEIGHT), STIMULUS, DT).output).all()
    assert doubled.sum() > running("jaxsnn")(graph(), STIMULUS, DT).output.sum()


def test_a_process_of_its_own_gives_the_same_bits(running: Running, apart: Callable[[str], Any]) -> None:
    first, again = (running("jaxsnn")(graph(), STIMULUS, DT) for _ in range(2))
    with LiveBackend(apart("jaxsnn"), limit=120) as other:
        elsewhere = other(graph(), STIMULUS, DT)
    assert first.digest() == again.digest() == elsewhere.digest()
