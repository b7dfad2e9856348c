"""The equations in continuous time, against integrations that know nothing of the closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest

from nir_interop.graphs import Node
from nir_interop.reference.exact import spike_times
from tests.reference.exact_neurons import DT, KINDS, SPIKING, random_node, run_one
from tests.strategies import node

# --- against 50 digits ---------------------------------------------------------------------------------------------


class Taylor:
    """A neuron in 50 digits: the power series that its differential equation dictates, and nothing else.

    From y' = A y + b follows the series, coefficient by coefficient; a spike is searched on a grid and refined to 35 digits.
    """

    ORDER = 50
    GRID = 400

    def __init__(self, neurons: Node) -> None:
        self.kind = neurons.kind
        self.values = {name: mpmath.mpf(float(value)) for name, value in neurons.params.items()}
        self.values.setdefault("v_reset", mpmath.mpf(0))

    def series(self, v: mpmath.mpf, i: mpmath.mpf, x: mpmath.mpf) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
        """Coefficients of v(t) and i(t)."""
        p, vs, currents = self.values, [v], [i]
        for k in range(self.ORDER):
            first = 1 if k == 0 else 0
            if "tau_syn" in p:
                currents.append((first * p["w_in"] * x - currents[k]) / p["tau_syn"] / (k + 1))
                current = currents[k]
            else:
                currents.append(mpmath.mpf(0))
                current = first * x
            if "r" in p and ("tau" in p or "tau_mem" in p):
                tau = p.get("tau_mem", p.get("tau"))
                vs.append((first * p["v_leak"] - vs[k] + p["r"] * current) / tau / (k + 1))
            else:
                vs.append(p["r"] * current / (k + 1))
        return vs, currents

    def run(self, x: np.ndarray, dt: float) -> tuple[list[int], list[mpmath.mpf], list[mpmath.mpf]]:
        """Counts and membranes of each step, and all spike times."""
        v = i = mpmath.mpf(0)
        step = mpmath.mpf(dt)
        counts, membranes, times = [], [], []
        for number, drive in enumerate(x):
            clock, count = mpmath.mpf(0), 0
            while True:
                vs, currents = self.series(v, i, mpmath.mpf(float(drive)))
                crossing = self.crossing(vs, step - clock) if "v_threshold" in self.values else None
                t = step - clock if crossing is None else crossing
                v, i = mpmath.polyval(vs[::-1], t), mpmath.polyval(currents[::-1], t)
                clock += t
                if crossing is None:
                    break
                v, count = self.values["v_reset"], count + 1
                times.append(number * step + clock)
            counts.append(count)
            membranes.append(v)
        return counts, membranes, times

    def crossing(self, vs: list[mpmath.mpf], left: mpmath.mpf) -> mpmath.mpf | None:
        theta = self.values["v_threshold"]
        grid = np.linspace(0, float(left), self.GRID + 1)
        above = np.nonzero(np.polynomial.polynomial.polyval(grid, np.array(vs, dtype=float)) > float(theta))[0]
        if not above.size:
            return None
        low, high = mpmath.mpf(grid[above[0] - 1]), mpmath.mpf(grid[above[0]])
        for _ in range(110):
            middle = (low + high) / 2
            low, high = (low, middle) if mpmath.polyval(vs[::-1], middle) > theta else (middle, high)
        return high


def assert_agrees_with_taylor(neurons: Node, x: np.ndarray, dt: float = DT) -> int:
    """Counts equal, membranes to 1e-12 of the largest, spike times to 1e-14 s; returns the number of spikes."""
    with mpmath.workdps(50):
        counts, membranes, times = Taylor(neurons).run(x, dt)
        outputs, ours = run_one(neurons, x, dt)
        error = max(abs(mpmath.mpf(a) - b) for a, b in zip(ours.tolist(), membranes, strict=True))
        scale = max(1, *(abs(b) for b in membranes))
        assert error <= 1e-12 * scale, f"{neurons.kind}: membranes are {float(error):.1e} V apart"
        if neurons.kind not in SPIKING:
            assert np.array_equal(outputs, ours)
            return 0
        assert outputs.tolist() == counts
        (mine,) = spike_times(neurons, np.reshape(x, (-1, 1)), dt)
        assert len(mine) == len(times)
        late = max((abs(mpmath.mpf(a) - b) for a, b in zip(mine.tolist(), times, strict=True)), default=0)
        assert late <= 1e-14, f"{neurons.kind}: spike times are {float(late):.1e} s apart"
        return len(times)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_fifty_digits_give_the_same_spikes_times_and_membranes(kind: str, seed: int) -> None:
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    spikes = assert_agrees_with_taylor(random_node(kind, rng), rng.normal(2.0, 2.0, 30))
    assert spikes >= 2 or kind not in SPIKING


@pytest.mark.parametrize("apart", [0.0, 2.0**-52, 1e-12, 1e-8, 1e-4, -1e-10, -1e-5])
@pytest.mark.parametrize("kind", ["CubaLI", "CubaLIF"])
def test_equal_and_nearly_equal_time_constants_lose_no_digits(kind: str, apart: float) -> None:
    rng = np.random.default_rng(7)
    neurons = random_node(kind, rng)
    values = {**neurons.params, "tau_syn": neurons["tau_mem"] * (1 + apart)}
    spikes = assert_agrees_with_taylor(Node(kind, values), rng.normal(4.0, 4.0, 30))
    assert spikes >= 2 or kind == "CubaLI"


def test_several_spikes_of_a_current_based_neuron_in_one_step_are_each_found() -> None:
    neurons = node("CubaLIF", tau_syn=2e-3, tau_mem=5e-3, r=1.0, v_leak=0.0, v_threshold=0.1, v_reset=-0.05, w_in=1.0)
    assert assert_agrees_with_taylor(neurons, np.array([8.0, 3.0, 0.0, 0.0, 12.0])) > 10


def test_a_time_constant_that_is_next_to_nothing_leaves_the_simpler_neuron() -> None:
    """Steps a million time constants long: nothing overflows, and the fast variable follows the slow one."""
    x = np.random.default_rng(9).normal(1.0, 2.0, 30)
    _, fast_synapse = run_one(node("CubaLI", tau_syn=1e-9, tau_mem=5e-3, r=2.0, v_leak=0.1, w_in=0.5), x)
    _, no_synapse = run_one(node("LI", tau=5e-3, r=1.0, v_leak=0.1), x)
    np.testing.assert_allclose(fast_synapse, no_synapse, rtol=0, atol=1e-5)
    _, fast_membrane = run_one(node("CubaLI", tau_syn=5e-3, tau_mem=1e-9, r=2.0, v_leak=0.1, w_in=0.5), x)
    _, current = run_one(node("LI", tau=5e-3, r=0.5, v_leak=0.0), x)
    np.testing.assert_allclose(fast_membrane, 0.1 + 2.0 * current, rtol=0, atol=1e-5)


# --- against Euler -------------------------------------------------------------------------------------------------


def euler(neurons: Node, x: np.ndarray, dt: float, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """NIR's meaning in steps, each step cut into parts: counts and membranes (T,)."""
    p = {name: float(value) for name, value in neurons.params.items()}
    h, v, i = dt / parts, 0.0, 0.0
    counts, membranes = np.zeros(len(x)), np.zeros(len(x))
    for step, drive in enumerate(x.tolist()):
        for _ in range(parts):
            current = drive
            if "tau_syn" in p:
                i += h / p["tau_syn"] * (p["w_in"] * drive - i)
                current = i
            tau = p.get("tau_mem", p.get("tau"))
            v += h * p["r"] * current if tau is None else h / tau * (p["v_leak"] - v + p["r"] * current)
            if v > p.get("v_threshold", math.inf):
                v = p["v_reset"]
                counts[step] += 1
        membranes[step] = v
    return counts, membranes


@pytest.mark.parametrize("kind", KINDS)
def test_brute_force_in_ten_thousandths_of_a_step_comes_to_the_same(kind: str) -> None:
    rng = np.random.default_rng([11, KINDS.index(kind)])
    neurons, x = random_node(kind, rng), rng.normal(1.0, 0.7, 12)
    counts, expected = euler(neurons, x, DT, 10_000)
    outputs, membranes = run_one(neurons, x)
    assert membranes == pytest.approx(expected, abs=2e-3)
    if kind in SPIKING:
        assert outputs.tolist() == counts.tolist()
        assert counts.sum() > 0


@pytest.mark.parametrize("kind", ["LI", "CubaLI"])
def test_the_error_of_eulers_membrane_halves_with_the_step(kind: str) -> None:
    neurons = random_node(kind, np.random.default_rng(5))
    x = np.ones(8)
    _, membranes = run_one(neurons, x)
    errors = [np.abs(euler(neurons, x, DT, parts)[1] - membranes).max() for parts in (16, 32, 64, 128)]
    assert [a / b for a, b in pairwise(errors)] == pytest.approx([2, 2, 2], abs=0.1)


@pytest.mark.parametrize("kind", SPIKING)
def test_eulers_spike_times_converge_in_first_order_under_constant_current(kind: str) -> None:
    """A step's spike stands at its end, so one error is anything up to a step: first order shows in the mean over neurons."""
    rng, steps, drive = np.random.default_rng(8), 20, {"IF": 2.0, "LIF": 3.0, "CubaLIF": 10.0}[kind]
    errors = np.zeros(3)
    for _ in range(40):
        neurons = random_node(kind, rng)
        (times,) = spike_times(neurons, np.full((steps, 1), drive), DT)
        for row, parts in enumerate((8, 32, 128)):
            counts, _ = euler(neurons, np.full(steps * parts, drive), DT / parts, 1)
            late = (np.nonzero(counts)[0] + 1) * DT / parts
            errors[row] += abs(late[0] - times[0])
    assert [a / b for a, b in pairwise(errors)] == pytest.approx([4, 4], rel=0.2), "four times finer, four times better"
