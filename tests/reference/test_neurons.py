"""Every axis of the update rule against its equation, written out for one neuron in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from nir_interop.graphs import Node
from nir_interop.reference.neurons import Delay, SteppedNeuron
from nir_interop.rule import (
    NIR_MEANING,
    Comparison,
    Decay,
    Floor,
    Gain,
    LeakUse,
    Order,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from tests.strategies import DT, NEURON_KINDS, lif, neuron, node

_EXACT = {"decay": Decay.EXPONENTIAL, "gain": Gain.COMPLEMENT, "synapse_gain": Gain.COMPLEMENT}
"""The only scheme in which there is a step of synapse and membrane together."""


def scalar_neuron(p: dict[str, float], x: list[float], rule: UpdateRule, guessed: float) -> tuple[list[float], list[float]]:
    """One neuron, one line an equation; returns outputs and membranes. guessed : the step of its layer under INFERRED"""
    tau = p.get("tau_mem", p.get("tau", math.inf))
    h = {TimeStep.GIVEN: DT, TimeStep.FIXED: 1e-4, TimeStep.UNIT: 1.0}.get(rule.time_step, DT)
    if rule.time_step is TimeStep.INFERRED and tau < math.inf:
        h = guessed

    def decay(t: float, synapse: bool = False) -> float:
        if rule.decay is Decay.NINE_TENTHS:
            return 0.9
        if rule.decay is Decay.EXPONENTIAL or (rule.decay is Decay.EULER_SYNAPSE and not synapse):
            return math.exp(-h / t)
        if rule.decay is Decay.WHOLE_SECONDS:
            return math.exp(-h / (int(t) if t < math.inf else t)) if t >= 1 else 0.0
        return 1 - h / t if rule.decay in (Decay.EULER, Decay.EULER_SYNAPSE) else min(1.0, max(0.0, 1 - h / t))

    def gain(kind: Gain, factor: float, t: float, synapse: bool = False) -> float:
        if kind in (Gain.ONE, Gain.JUMP):
            return 1.0 if kind is Gain.ONE else decay(t, synapse)
        if t == math.inf:
            return factor * h
        return factor * h / t if kind is Gain.STEP else factor * (1 - decay(t, synapse))

    r = 1.0 if rule.resistance is Use.IGNORED else p["r"]
    w_in = 1.0 if rule.input_weight is Use.IGNORED else p.get("w_in", 1.0)
    leak = 0.0 if rule.leak is LeakUse.IGNORED else p.get("v_leak", 0.0)
    a, g = decay(tau), gain(rule.gain, r, tau)
    reset_value = 0.0 if rule.reset is ResetKind.TO_ZERO else p.get("v_reset", 0.0)
    theta = p.get("v_threshold", math.inf)
    v = {Start.ZERO: 0.0, Start.LEAK: p.get("v_leak", 0.0), Start.RESET: p.get("v_reset", 0.0)}[rule.start]
    i = p.get("v_leak", 0.0) if rule.leak is LeakUse.ON_SYNAPSE and rule.start is Start.LEAK else 0.0
    outputs, membranes, last = [], [], 0.0

    def count(u: float) -> float:
        if rule.spikes is SpikesPerStep.ONE:
            return float(u > theta if rule.comparison is Comparison.ABOVE else u >= theta)
        return float(max(0, math.ceil(u / theta) - 1 if rule.comparison is Comparison.ABOVE else math.floor(u / theta)))

    def reset(u: float, s: float) -> float:
        if rule.reset in (ResetKind.TO_VALUE, ResetKind.TO_ZERO):
            u = reset_value if s else u
        else:
            u -= (min(s, 1.0) if rule.reset is ResetKind.SUBTRACT else s) * theta
        return u if rule.floor is Floor.NONE else max(u, 0.0 if rule.floor is Floor.ZERO else -theta)

    for value in x:
        if "tau_syn" in p:
            a_s, g_s = decay(p["tau_syn"], True), gain(rule.synapse_gain, w_in, p["tau_syn"], True)
            old = i
            i = a_s * i + g_s * value + ((1 - a_s) * leak if rule.leak is LeakUse.ON_SYNAPSE else 0.0)
            if rule.order is Order.TOGETHER:
                resting = w_in * value + (leak if rule.leak is LeakUse.ON_SYNAPSE else 0.0)
                fed = expm(np.array([[-h / p["tau_syn"], 0.0], [h / tau, -h / tau]])) @ [old - resting, -resting]
                value = (fed[1] + resting) / (1 - a)  # what reaches a membrane at rest, without its gain
            else:
                value = i if rule.order is Order.SYNAPSE_FIRST else old
        if theta < math.inf and rule.spike_from is SpikeFrom.PREVIOUS_RESET:
            outputs.append(count(v))
            v = a * reset(v, outputs[-1]) + g * value + (leak if rule.leak is LeakUse.ADDED else (1 - a) * leak)
            membranes.append(v)
            continue
        advanced = a * v + g * value + (leak if rule.leak is LeakUse.ADDED else (1 - a) * leak)
        if theta == math.inf:
            v = advanced
            outputs.append(v)
        else:
            if rule.timing is Timing.NEXT_STEP:
                advanced = reset(advanced, last)
            decisive = v if rule.spike_from is SpikeFrom.PREVIOUS else advanced
            last = count(decisive - theta if rule.timing is Timing.CARRIED and v > theta else decisive)
            v = advanced if rule.timing is Timing.NEXT_STEP else reset(advanced, last)
            outputs.append(last)
        membranes.append(v)
    return outputs, membranes


rules = st.builds(
    UpdateRule,
    decay=st.sampled_from(Decay),
    gain=st.sampled_from(Gain),
    synapse_gain=st.sampled_from(Gain),
    order=st.sampled_from(Order),
    comparison=st.sampled_from(Comparison),
    reset=st.sampled_from(ResetKind),
    timing=st.sampled_from(Timing),
    spikes=st.sampled_from(SpikesPerStep),
    floor=st.sampled_from(Floor),
    start=st.sampled_from(Start),
    spike_from=st.sampled_from(SpikeFrom),
    time_step=st.sampled_from([TimeStep.GIVEN, TimeStep.FIXED, TimeStep.INFERRED]),
    resistance=st.sampled_from([Use.USED, Use.IGNORED]),
    input_weight=st.sampled_from([Use.USED, Use.IGNORED]),
    leak=st.sampled_from(LeakUse),
).map(lambda rule: rule.but(**_EXACT) if rule.order is Order.TOGETHER else rule)


@settings(max_examples=300, deadline=None)
@given(rule=rules, kind=st.sampled_from(NEURON_KINDS), seed=st.integers(0, 2**32 - 1))
def test_every_rule_does_what_its_equations_say(rule: UpdateRule, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = neuron(kind, 3, rng)
    x = rng.normal(0.3, 1.0, (40, 1, 3))
    subject = SteppedNeuron(cell, (3,), DT, rule)
    trace = subject.sequence(torch.tensor(x), subject.start(1))
    membranes = trace.membrane.numpy()
    tau = cell.params.get("tau_mem", cell.params.get("tau", np.array(math.inf)))
    guessed = min(float(t) / (1 + float(r)) for t, r in zip(np.broadcast_to(tau, 3), cell.params["r"], strict=True))
    for column in range(3):
        p = {name: float(values[column]) for name, values in cell.params.items()}
        outputs, expected = scalar_neuron(p, list(x[:, 0, column]), rule, guessed)
        np.testing.assert_allclose(trace.output[:, 0, column].numpy(), outputs, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(membranes[:, 0, column], expected, rtol=1e-9, atol=1e-9)


def run(cell: Node, x: list[float], rule: UpdateRule = NIR_MEANING, dt: float = DT) -> list[float]:
    subject = SteppedNeuron(cell, (1,), dt, rule)
    return list(subject.sequence(torch.tensor(x).reshape(-1, 1, 1), subject.start(1)).output.ravel().numpy())


def test_a_membrane_exactly_at_the_threshold_spikes_only_under_at_or_above() -> None:
    cell = lif(1, tau=2.0**-9)
    assert run(cell, [2.0], dt=2.0**-10) == [0.0]
    assert run(cell, [2.0], NIR_MEANING.but(comparison=Comparison.AT_OR_ABOVE), dt=2.0**-10) == [1.0]


def test_time_constants_read_as_steps_leave_no_memory_of_a_millisecond() -> None:
    cell = lif(1, tau=2.0, v_threshold=10.0)
    unit = SteppedNeuron(cell, (1,), DT, NIR_MEANING.but(time_step=TimeStep.UNIT))
    trace = unit.sequence(torch.tensor([[[1.0]], [[1.0]]]), unit.start(1))
    assert [float(v) for v in trace.membrane] == [0.5, 0.75]


def test_a_collapsed_resistance_gives_every_neuron_the_smallest_gain() -> None:
    cell = node("LIF", tau=[1e-3, 1e-3], r=[1.0, 5.0], v_leak=[0.0, 0.0], v_reset=[0.0, 0.0], v_threshold=[9.0, 9.0])
    subject = SteppedNeuron(cell, (2,), DT, NIR_MEANING.but(resistance=Use.COLLAPSED))
    trace = subject.sequence(torch.ones(1, 1, 2, dtype=torch.float64), subject.start(1))
    np.testing.assert_allclose(next(iter(trace.membrane)).numpy(), [[0.1, 0.1]])


def test_a_collapsed_threshold_is_the_smallest_of_the_layer() -> None:
    cell = node("IF", r=[1e4, 1e4], v_reset=[0.0, 0.0], v_threshold=[0.5, 2.0])
    subject = SteppedNeuron(cell, (2,), DT, NIR_MEANING.but(threshold=Use.COLLAPSED))
    trace = subject.sequence(torch.ones(1, 1, 2, dtype=torch.float64), subject.start(1))
    assert trace.output.ravel().tolist() == [1.0, 1.0]


def test_fixed_point_membranes_are_whole_units_and_decay_towards_zero() -> None:
    subject = SteppedNeuron(lif(1, tau=1e-3, v_threshold=10.0), (1,), DT, NIR_MEANING.but(precision=Precision.FIXED))
    trace = subject.sequence(torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), subject.start(1))
    units = [float(v) * 4096 for v in trace.membrane]
    decay = round(0.9 * 4096)
    first = round(0.1 * 4096)
    second = first * decay // 4096
    assert units == [first, second, second * decay // 4096]


def test_single_precision_computes_in_float32() -> None:
    subject = SteppedNeuron(lif(1, tau=1e-3), (1,), DT, NIR_MEANING.but(precision=Precision.FLOAT32))
    assert subject.sequence(torch.zeros(1, 1, 1), subject.start(1)).output.dtype is torch.float32


def test_a_delay_rounds_half_to_even_and_gives_zeros_before() -> None:
    subject = Delay(node("Delay", delay=[0.0, 2.5 * DT, 3.5 * DT]), (3,), DT, torch.float64)
    x = torch.arange(1.0, 7.0).reshape(6, 1, 1).expand(6, 1, 3)
    y = subject.sequence(x, subject.start(1)).output[:, 0].T.tolist()
    assert y == [[1, 2, 3, 4, 5, 6], [0, 0, 1, 2, 3, 4], [0, 0, 0, 0, 1, 2]]


def test_a_value_of_another_axis_is_refused() -> None:
    with pytest.raises(TypeError, match="comparison takes a Comparison"):
        NIR_MEANING.but(comparison=Decay.EULER)
