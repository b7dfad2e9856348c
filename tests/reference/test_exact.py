"""The neurons in continuous time: when they spike, how often, and what stays as it is."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nir_interop.compare import assert_same_spikes
from nir_interop.errors import BadStimulus, InvalidGraph
from nir_interop.graphs import Node
from nir_interop.reference.exact import MOST_SPIKES, ExactNeuron, events, exact_neuron, spike_times
from tests.reference.exact_neurons import DT, KINDS, SPIKING, random_node, run, run_one
from tests.strategies import node

# --- the shape of a crossing -----------------------------------------------------------------------------------------


def cuba(**changes: float) -> Node:
    values = {"tau_syn": 2e-3, "tau_mem": 4e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.3, "v_reset": 0.0, "w_in": 1.0}
    return node("CubaLIF", **(values | changes))


def peak_of_a_pulse(neurons: Node) -> float:
    """The highest membrane in the second step, when a pulse of one step decays in the synapse."""
    tau_s, tau_m = float(neurons["tau_syn"]), float(neurons["tau_mem"])
    free = exact_neuron(Node("CubaLI", {k: v for k, v in neurons.params.items() if not k.startswith("v_t")}), (1,), 5e-3)
    _, _, state = free.sequence(np.full((1, 1, 1), 2.0), free.start(1))
    t = np.linspace(0, 5e-3, 200_001)
    v, i = state["v"].item(), state["i"].item()
    alpha = tau_s / (tau_s - tau_m) * (np.exp(-t / tau_s) - np.exp(-t / tau_m))
    return float((v * np.exp(-t / tau_m) + i * alpha).max())


@pytest.mark.parametrize(("share", "spikes"), [(0.99999, 1), (1.00001, 0)])
def test_a_membrane_that_peaks_inside_a_step_spikes_only_if_the_peak_is_above(share: float, spikes: int) -> None:
    peak = peak_of_a_pulse(cuba())
    grazed = cuba(v_threshold=share * peak, v_reset=-50.0)
    outputs, membranes = run_one(grazed, [2.0, 0.0], dt=5e-3)
    assert membranes[0] < peak * 0.999, "the peak is in the second step"
    assert outputs.tolist() == [0, spikes]
    assert (membranes[1] < -1) == bool(spikes)


def test_a_membrane_that_tends_to_the_threshold_never_spikes() -> None:
    outputs, membranes = run_one(node("LIF", tau=1e-3, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=0.0), np.ones(200))
    assert outputs.sum() == 0
    assert membranes[-1] == 1.0


@pytest.mark.parametrize("kind", SPIKING)
def test_a_membrane_above_a_negative_threshold_spikes_at_once(kind: str) -> None:
    neurons = random_node(kind, np.random.default_rng(1))
    low = Node(kind, {**neurons.params, "v_threshold": np.array(-0.5), "v_reset": np.array(-0.7), "v_leak": np.array(-0.7)})
    outputs, _ = run_one(low, [0.0, 0.0])
    assert outputs.tolist() == [1, 0]
    assert spike_times(low, np.zeros((2, 1)), DT)[0].tolist() == [0.0]


def test_a_threshold_reached_as_the_step_ends_is_a_spike_of_the_next_step_if_the_membrane_still_rises() -> None:
    integrator = node("IF", r=1.0, v_threshold=1.0, v_reset=0.0)
    assert run_one(integrator, [1.0, 0.5, 0.5, 0.5], dt=1.0)[0].tolist() == [0, 1, 0, 1]
    outputs, membranes = run_one(integrator, [1.0, 0.0, -1.0, 1.0], dt=1.0)
    assert (outputs.tolist(), membranes.tolist()) == ([0, 0, 0, 0], [1.0, 1.0, 0.0, 1.0])


def test_the_synapse_is_not_reset() -> None:
    neurons = cuba(v_threshold=0.05)
    neuron = exact_neuron(neurons, (1,), DT)
    outputs, _, state = neuron.sequence(np.full((5, 1, 1), 1.0), neuron.start(1))
    assert outputs.sum() > 2
    assert state["i"].item() == pytest.approx(-math.expm1(-5 * DT / 2e-3), rel=1e-14)


# --- many spikes in a step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 17, 1000, 10**6])
def test_an_integrator_driven_k_thresholds_a_step_spikes_k_times_a_step(k: int) -> None:
    # In powers of two all is exact. The k-th spike of a step falls on its end, so it opens the next: k - 1, then k each.
    outputs, _ = run_one(node("IF", r=1.0, v_threshold=0.25, v_reset=0.0), np.full(8, k * 0.25), dt=1.0)
    assert outputs.tolist() == [k - 1] + [k] * 7


@given(
    drive=st.fractions(Fraction(1, 3), 50, max_denominator=64),
    theta=st.sampled_from([Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(1)]),
    reset=st.sampled_from([Fraction(-1, 2), Fraction(0), Fraction(1, 8)]),
    steps=st.integers(1, 20),
)
@settings(deadline=None, max_examples=40)
def test_an_integrators_spikes_over_many_steps_are_those_of_exact_fractions(
    drive: Fraction, theta: Fraction, reset: Fraction, steps: int
) -> None:
    total = drive * steps
    assume(min(abs((total - theta) % (theta - reset)), abs(-(total - theta) % (theta - reset))) > Fraction(1, 10**6))
    expected = 0 if total <= theta else 1 + math.floor((total - theta) / (theta - reset))
    neurons = node("IF", r=1.0, v_threshold=float(theta), v_reset=float(reset))
    assert run_one(neurons, [float(drive)] * steps, dt=1.0)[0].sum() == expected


@pytest.mark.parametrize("drive", [1.5, 20.0, 1e3, 1e6])
def test_a_leaky_neuron_under_strong_input_spikes_at_its_closed_form_rate(drive: float) -> None:
    tau, theta, reset, steps = 1e-2, 1.0, -0.5, 1000
    outputs, _ = run_one(node("LIF", tau=tau, r=1.0, v_leak=0.0, v_threshold=theta, v_reset=reset), np.full(steps, drive))
    with mpmath.workdps(30):
        first = tau * mpmath.log(mpmath.mpf(drive) / (drive - theta))
        interval = tau * mpmath.log((mpmath.mpf(drive) - reset) / (drive - theta))
        expected = int(mpmath.floor((mpmath.mpf(DT) * steps - first) / interval)) + 1
    assert abs(outputs.sum() - expected) <= 1e-9 * expected


@pytest.mark.parametrize("kind", ["IF", "LIF"])
def test_counting_periods_gives_what_following_each_spike_gives(kind: str) -> None:
    rng = np.random.default_rng(3)
    neurons = random_node(kind, rng, (12,))
    x = rng.normal(5.0, 10.0, (20, 12))
    outputs, _ = run(neurons, x[:, None])
    times = spike_times(neurons, x, DT)
    assert outputs.max() > 5
    for neuron, mine in enumerate(times):
        assert np.bincount((mine / DT).astype(int), minlength=20).tolist() == outputs[:, 0, neuron].tolist()
        assert (np.diff(mine) > 0).all()


def test_more_spikes_than_can_be_followed_are_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_SPIKES >= 1000
    monkeypatch.setattr(events, "MOST_SPIKES", 100)
    with pytest.raises(BadStimulus, match=r"more than 100 times in one step of 0.001 s; weaken the input or shorten the step"):
        run_one(cuba(v_threshold=1e-6), [1e6])


@pytest.mark.parametrize("neurons", [node("IF", r=1.0), node("LIF", r=1.0, tau=1e-3, v_leak=0.0)], ids=["IF", "LIF"])
def test_a_number_of_spikes_that_is_no_number_is_an_error(neurons: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Node(neurons.kind, {**neurons.params, "v_threshold": np.array(1e-300), "v_reset": np.array(0.0)})
    with pytest.raises(BadStimulus, match="weaken the input or shorten the step"):
        run_one(tiny, [1e300])
    monkeypatch.setattr(events, "MOST_SPIKES", 50)
    with pytest.raises(BadStimulus, match="more than 50 times"):
        spike_times(tiny, np.ones((1, 1)), DT)


# --- properties ------------------------------------------------------------------------------------------------------


def sequences(batch: int = 3) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, (12, batch, 2, 2), elements=st.floats(-20, 20, allow_subnormal=False))


def neurons_of(kind: str, seed: int) -> ExactNeuron:
    return exact_neuron(random_node(kind, np.random.default_rng(seed), (2, 2)), (2, 2), DT)


@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99), x=sequences())
@settings(deadline=None, max_examples=40)
def test_a_batch_is_its_samples_one_by_one(kind: str, seed: int, x: np.ndarray) -> None:
    neuron = neurons_of(kind, seed)
    outputs, membranes, _ = neuron.sequence(x, neuron.start(3))
    for sample in range(3):
        alone = neuron.sequence(x[:, sample : sample + 1], neuron.start(1))
        assert_same_spikes(alone[0], outputs[:, sample : sample + 1])
        assert np.array_equal(alone[1], membranes[:, sample : sample + 1])


@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 99), x=sequences(1), cut=st.integers(0, 12))
@settings(deadline=None, max_examples=40)
def test_a_sequence_in_two_parts_is_the_whole(kind: str, seed: int, x: np.ndarray, cut: int) -> None:
    neuron = neurons_of(kind, seed)
    outputs, membranes, end = neuron.sequence(x, neuron.start(1))
    first, before, state = neuron.sequence(x[:cut], neuron.start(1))
    second, after, last = neuron.sequence(x[cut:], state)
    assert_same_spikes(np.concatenate([first, second]), outputs)
    assert np.array_equal(np.concatenate([before, after]), membranes)
    assert all(np.array_equal(last[name], end[name]) for name in end)


@given(kind=st.sampled_from(["I", "LI", "CubaLI"]), seed=st.integers(0, 99), x=sequences(2))
@settings(deadline=None, max_examples=40)
def test_below_threshold_a_sum_of_inputs_gives_the_sum_of_membranes(kind: str, seed: int, x: np.ndarray) -> None:
    neurons = random_node(kind, np.random.default_rng(seed), (2, 2))
    neurons = Node(kind, {name: np.zeros(()) if name == "v_leak" else value for name, value in neurons.params.items()})
    _, each = run(neurons, x)
    _, both = run(neurons, x.sum(axis=1, keepdims=True))
    assert np.allclose(both[:, 0], each.sum(axis=1), rtol=0, atol=1e-12)


@given(kind=st.sampled_from(SPIKING), seed=st.integers(0, 99), x=sequences(1))
@settings(deadline=None, max_examples=40)
def test_no_membrane_is_above_its_threshold_at_the_end_of_a_step(kind: str, seed: int, x: np.ndarray) -> None:
    neurons = random_node(kind, np.random.default_rng(seed), (2, 2))
    outputs, membranes = run(neurons, x)
    assert (membranes <= neurons["v_threshold"]).all()
    assert (outputs >= 0).all()
    assert np.array_equal(outputs, np.round(outputs))


@given(kind=st.sampled_from(SPIKING), seed=st.integers(0, 99), x=sequences(1))
@settings(deadline=None, max_examples=50)
def test_cutting_every_step_in_two_changes_no_spike(kind: str, seed: int, x: np.ndarray) -> None:
    neurons = random_node(kind, np.random.default_rng(seed), (2, 2))
    whole = spike_times(neurons, x[:, 0], DT)
    halves = spike_times(neurons, np.repeat(x[:, 0], 2, axis=0), DT / 2)
    for one, other in zip(whole, halves, strict=True):
        # A membrane that grazes the threshold may do so on one side of it only.
        assume(len(one) == len(other))
        assert np.allclose(one, other, rtol=0, atol=1e-9)


@given(kind=st.sampled_from(("LIF", "CubaLIF")), seed=st.integers(0, 99), scale=st.sampled_from([1e-9, 1e-3, 1e3, 1e6]))
@settings(deadline=None, max_examples=30)
def test_time_has_no_unit_of_its_own(kind: str, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    neurons, x = random_node(kind, rng), rng.normal(1.0, 2.0, (20, 1))
    stretched = Node(kind, {name: value * scale if name.startswith("tau") else value for name, value in neurons.params.items()})
    (times,), (slow,) = spike_times(neurons, x, DT), spike_times(stretched, x, DT * scale)
    assert slow == pytest.approx(times * scale, rel=1e-9)


def test_the_state_that_is_passed_in_stays_as_it_is() -> None:
    for kind in KINDS:
        neuron = neurons_of(kind, 0)
        state = neuron.start(2)
        neuron.sequence(np.full((5, 2, 2, 2), 9.0), state)
        assert all((values == 0).all() for values in state.values())


def test_an_empty_sequence_leaves_the_state() -> None:
    neuron = neurons_of("CubaLIF", 0)
    outputs, membranes, state = neuron.sequence(np.zeros((0, 2, 2, 2)), neuron.start(2))
    assert outputs.shape == membranes.shape == (0, 2, 2, 2)
    assert set(state) == {"v", "i"}


# --- bad graphs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        (node("Scale", scale=1.0), "Scale has no membrane equation"),
        (node("LIF", tau=1e-3, r=1.0, v_leak=0.0, v_threshold=1.0, v_reset=1.0), "LIF: v_reset must lie below v_threshold"),
        (node("LI", tau=0.0, r=1.0, v_leak=0.0), "LI: tau must be positive"),
        (node("CubaLI", tau_syn=-1.0, tau_mem=1.0, r=1.0, v_leak=0.0), "CubaLI: tau_syn must be positive"),
        (node("LI", tau=1e-3, r=1.0), "LI: v_leak is missing"),
        (node("I", r=[1.0, 2.0, 3.0]), r"I: r has shape \(3,\), the node has \(2,\)"),
    ],
)
def test_what_has_no_solution_is_refused_by_name(neurons: Node, message: str) -> None:
    with pytest.raises(InvalidGraph, match=message):
        exact_neuron(neurons, (2,), DT)


def test_a_node_without_threshold_has_no_spike_times() -> None:
    with pytest.raises(InvalidGraph, match="LI does not spike; choose one of IF, LIF, CubaLIF"):
        spike_times(node("LI", tau=1e-3, r=1.0, v_leak=0.0), np.ones((3, 1)), DT)


def test_one_number_stands_for_all_neurons_and_what_nir_leaves_out_has_its_default() -> None:
    x = np.random.default_rng(0).normal(2.0, 3.0, (20, 2, 3))
    short = node("CubaLIF", tau_syn=[2e-3], tau_mem=4e-3, r=1.0, v_leak=0.0, v_threshold=0.3)
    full = Node("CubaLIF", {name: np.full(3, float(value)) for name, value in cuba().params.items()})
    assert_same_spikes(run(short, x)[0], run(full, x)[0])
