"""The steps that the documentation prints are the steps that the simulator takes under NIR's own meaning."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from nir_interop.graphs import NEURONS, Array, Graph, Node
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.recording import Recording
from nir_interop.reference import simulate, steps

DT, STEPS = 2.0**-10, 10
STEP: dict[str, Callable[..., Any]] = {kind: getattr(steps, f"{kind.lower()}_step") for kind in NEURONS}
STATES = {"CubaLI": ("v", "i"), "CubaLIF": ("v", "i"), "Delay": ("past",)}
SHAPES = st.sampled_from([(1,), (5,), (2, 3), (2, 2, 3)])
DRAWN = st.tuples(st.integers(0, 2**32 - 1), SHAPES, st.integers(1, 3), st.booleans())


def dyadic(rng: np.random.Generator, shape: tuple[int, ...], name: str) -> Array:
    """A parameter that is a power of two or a few of them: double precision rounds nothing in some ten steps."""
    if name.startswith("tau"):
        return DT * 2.0 ** rng.integers(0, 4, shape)
    low, high = {"v_threshold": (1, 8), "v_reset": (-4, 1), "v_leak": (-8, 8)}.get(name, (-8, 9))
    return rng.integers(low, high, shape) / (8.0 if name.startswith("v_") else 2.0)


def real(rng: np.random.Generator, shape: tuple[int, ...], name: str) -> Array:
    """Any parameter of its range."""
    if name.startswith("tau"):
        return DT * rng.uniform(1, 20, shape)
    low, high = {"v_threshold": (0.1, 1), "v_reset": (-0.5, 0.1), "v_leak": (-1, 1)}.get(name, (-4, 4))
    return rng.uniform(low, high, shape)


def neuron(kind: str, draw: tuple[int, tuple[int, ...], int, bool], parameter: Callable[..., Array]) -> tuple[Node, Array]:
    """A node, its parameters one per element or one for all, and its input (T, B, *shape)."""
    number, shape, batch, scalar = draw
    rng = np.random.default_rng(number)
    scale = 1 / DT if kind in ("I", "IF") else 1.0
    node = Node(
        kind, {name: np.broadcast_to(parameter(rng, () if scalar else shape, name), shape) for name in PARAMETERS[kind]}
    )
    return node, scale * parameter(rng, (STEPS, batch, *shape), "x")


def simulated(node: Node, x: Array) -> Recording:
    shape = np.array(x.shape[2:])
    nodes = {"input": Node("Input", {"shape": shape}), "node": node, "output": Node("Output", {"shape": shape})}
    return simulate(Graph(nodes, (("input", "node"), ("node", "output"))), x, DT)


def stepped(node: Node, x: Array) -> tuple[Array, Array]:
    """Outputs and membranes, (T, B, *shape), by the steps."""
    state = [np.zeros(x.shape[1:]) for _ in STATES.get(node.kind, ("v",))]
    output, membranes = [], []
    for each in x:
        answer = STEP[node.kind](*state, each, **node.params, dt=DT)
        answer = answer if isinstance(answer, tuple) else (answer,)
        state = list(answer[-len(state) :])
        output.append(answer[0])
        membranes.append(state[0])
    return np.array(output), np.array(membranes)


@pytest.mark.parametrize("kind", NEURONS)
@seed(0)
@given(draw=DRAWN)
def test_a_step_is_the_simulators_bit_for_bit_where_nothing_is_rounded(kind: str, draw: Any) -> None:
    node, x = neuron(kind, draw, dyadic)
    recording = simulated(node, x)
    output, membranes = stepped(node, x)
    np.testing.assert_array_equal(recording.outputs["output"], output)
    np.testing.assert_array_equal(recording.membranes["node"], membranes)


@pytest.mark.parametrize("kind", NEURONS)
@seed(0)
@given(draw=DRAWN)
def test_a_step_is_the_simulators_but_for_the_last_bits_where_numbers_are_rounded(kind: str, draw: Any) -> None:
    node, x = neuron(kind, draw, real)
    recording = simulated(node, x)
    output, membranes = stepped(node, x)
    np.testing.assert_allclose(recording.membranes["node"], membranes, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(recording.outputs["output"], output, rtol=1e-12, atol=1e-12)


@seed(0)
@given(draw=DRAWN)
def test_a_delay_is_the_simulators(draw: Any) -> None:
    number, shape, batch, scalar = draw
    rng = np.random.default_rng(number)
    node = Node("Delay", {"delay": np.broadcast_to(DT * rng.integers(0, 9, () if scalar else shape) / 2.0, shape)})
    x = rng.normal(size=(STEPS, batch, *shape))
    past, output = np.zeros((int(np.rint(node["delay"] / DT).max()), *x.shape[1:])), []
    for each in x:
        answer, past = steps.delay_step(past, each, delay=node["delay"], dt=DT)
        output.append(answer)
    off_grid = bool((node["delay"] / DT % 1).any())
    with pytest.warns(UserWarning, match="no whole number of steps") if off_grid else nullcontext():
        np.testing.assert_array_equal(simulated(node, x).outputs["output"], np.array(output))
