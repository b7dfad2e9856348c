"""One function decides a status: held against spikes from a loop in NumPy, in single precision and in double."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nir_interop.agreement.status import agreement
from nir_interop.graphs import Array, Graph
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import Comparison
from nir_interop.vocabulary import Status
from tests.strategies import DT, chain, lif, node

SIZE, STEPS, BATCH = 6, 80, 5


def network(weight: Array, tau: float, theta: float = 1.0) -> Graph:
    return chain(node("Linear", weight=weight), lif(len(weight), tau=tau, v_threshold=theta), size=weight.shape[1])


def by_hand(weight: Array, tau: float, x: Array, dtype: Any, fires: Any, theta: float = 1.0) -> Recording:
    """v ← v + dt/τ (W x − v), a spike where ``fires`` says so, reset to 0; every number in one precision."""
    share, threshold = dtype(DT) / dtype(tau), dtype(theta)
    v = np.zeros((x.shape[1], len(weight)), dtype)
    spikes = []
    for step in x.astype(dtype):
        v = v + share * (step @ weight.astype(dtype).T - v)
        spikes.append(fires(v, threshold))
        v = np.where(spikes[-1], dtype(0), v)
    z = np.array(spikes).astype(np.uint8)
    return Recording({"output": z}, {"n1": z})


def drive(rate: float = 0.5) -> Array:
    return (np.random.default_rng(3).random((STEPS, BATCH, SIZE)) < rate).astype(np.float32)


def held(graph: Graph, x: Array, made: Recording, known: Comparison | None = None) -> Any:
    return agreement(graph, DT, {}, x, simulate(graph, x, DT), made, lambda: known)


def test_equal_outputs_are_exact_and_prove_nothing_where_hardly_anything_fires() -> None:
    weight, x = np.random.default_rng(0).normal(1, 1, (SIZE, SIZE)), drive()
    graph = network(weight, 5 * DT)
    assert held(graph, x, by_hand(weight, 5 * DT, x, np.float64, np.greater)).status is Status.EXACT
    still = np.zeros_like(x)
    assert held(graph, still, by_hand(weight, 5 * DT, still, np.float64, np.greater)).status is Status.VACUOUS


def test_a_single_other_spike_of_a_quiet_network_is_a_mismatch() -> None:
    weight, x = np.random.default_rng(0).normal(1, 1, (SIZE, SIZE)), np.zeros((STEPS, BATCH, SIZE), np.float32)
    made = by_hand(weight, 5 * DT, x, np.float64, np.greater)
    made.outputs["output"][4, 0, 0] = 1
    assert held(network(weight, 5 * DT), x, made).status is Status.MISMATCH


def on_a_grid() -> tuple[Array, Array]:
    """Half-integer weights and a decay of a half: membranes that meet their threshold, over and over."""
    return np.random.default_rng(1).integers(-2, 5, (SIZE, SIZE)) / 2, drive()


def test_what_single_precision_rounds_on_a_grid_is_rounding_and_its_ties_are_counted() -> None:
    weight, x = on_a_grid()
    tau = float(np.float32(2 * DT))  # as a file holds it: dt/tau is not a half to the last bit
    found = held(network(weight, tau), x, by_hand(weight, tau, x, np.float32, np.greater), Comparison.ABOVE)
    assert found.status in (Status.ROUNDING, Status.EXACT)
    other = by_hand(weight, 2 * DT, x, np.float32, np.greater)
    found = held(network(weight, tau), x, other, Comparison.ABOVE)
    assert found.status is Status.ROUNDING
    assert found.unequal > 0 and found.guided == found.ties > 0 and found.wrong == 0
    assert f"{found.ties} of them ties in single precision" in found.rounding()


@pytest.mark.parametrize("known", [None, Comparison.AT_OR_ABOVE])
def test_who_fires_at_every_tie_compares_otherwise_and_does_not_round(known: Comparison | None) -> None:
    weight, x = on_a_grid()
    made = by_hand(weight, 2 * DT, x, np.float64, np.greater_equal)
    found = held(network(weight, 2 * DT), x, made, known)
    assert found.status is Status.MISMATCH
    assert found.wrong == found.unequal > 0


def test_a_wrong_weight_is_no_rounding_however_small_it_is_beside_single_precision() -> None:
    weight, x = np.random.default_rng(0).normal(1, 1, (SIZE, SIZE)), drive()
    made = by_hand(weight * 1.02, 5 * DT, x, np.float32, np.greater)
    assert held(network(weight, 5 * DT), x, made).status is Status.MISMATCH


def test_values_are_rounding_within_the_derived_bound_and_say_how_large_it_is() -> None:
    rng = np.random.default_rng(2)
    weight, x = rng.normal(0, 1, (3, SIZE)), drive()
    graph = chain(node("Linear", weight=weight), size=SIZE)
    exact = (x.astype(np.float64) @ weight.T)[..., :]
    single = x @ weight.astype(np.float32).T
    found = held(graph, x, Recording({"output": single}))
    assert found.status in (Status.EXACT, Status.ROUNDING)
    shifted = (exact * (1 + 4e-7)).astype(np.float32)
    found = held(graph, x, Recording({"output": shifted}))
    assert (found.status, found.wrong) == (Status.ROUNDING, 0)
    assert found.largest is not None and 1e-7 < found.largest < 1e-6 and "of the largest" in found.rounding()
    assert held(graph, x, Recording({"output": exact * 1.001})).status is Status.MISMATCH


def test_another_shape_is_asked_nothing() -> None:
    weight, x = np.eye(SIZE), drive()
    found = held(network(weight, 5 * DT), x, Recording({"output": np.zeros((STEPS, BATCH, 2))}))
    assert (found.status, found.wrong) == (Status.WRONG_SHAPE, None)
