"""Every value of every axis has its equation, its phrases, its cause, and a step that tells it apart from NIR's own."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from nir_interop.explain.probes.candidates import NOT_RUN
from nir_interop.graphs import Graph, Node
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.reference import simulate
from nir_interop.rule import (
    AXES,
    NIR_MEANING,
    Axis,
    AxisOfRule,
    Decay,
    FeedbackBias,
    Gain,
    Order,
    ResetKind,
    SpikeFrom,
    Timing,
    UpdateRule,
)
from nir_interop.vocabulary import Cause

DT, SIZE = 1e-3, 4
VALUES = [(axis, value) for axis in AXES for value in axis.type]
ODD = [(axis, value) for axis, value in VALUES if value is not axis.nir]
BESIDE = {
    Timing.CARRIED: NIR_MEANING.but(reset=ResetKind.SUBTRACT),
    Gain.COMPLEMENT: NIR_MEANING.but(decay=Decay.EXPONENTIAL),
    Order.TOGETHER: NIR_MEANING.but(decay=Decay.EXPONENTIAL, gain=Gain.COMPLEMENT, synapse_gain=Gain.COMPLEMENT),
    FeedbackBias.AT_ONCE: NIR_MEANING.but(spike_from=SpikeFrom.PREVIOUS),
}
"""Value → the rule beside which it makes a difference, where that is not NIR's own."""
NAMES = [f"{axis.name}={value.value}" for axis, value in ODD]


def recurrent(kind: str, rng: np.random.Generator) -> Graph:
    """Neurons with no parameter at its neutral value, some time constants below the step, and a feedback with a bias."""
    ranges = {"r": (0.5, 2), "w_in": (0.5, 2), "v_leak": (-0.3, 0.3), "v_threshold": (0.4, 0.8), "v_reset": (-0.4, 0.2)}
    params = {name: rng.uniform(*ranges.get(name, (0.4 * DT, 4 * DT)), SIZE) for name in PARAMETERS[kind]}
    nodes = {
        "input": Node("Input", {"shape": np.array([SIZE])}),
        "neuron": Node(kind, params),
        "back": Node("Affine", {"weight": rng.normal(0, 0.3, (SIZE, SIZE)), "bias": rng.normal(0, 0.5, SIZE)}),
        "output": Node("Output", {"shape": np.array([SIZE])}),
    }
    return Graph(nodes, (("input", "neuron"), ("neuron", "back"), ("back", "neuron"), ("neuron", "output")))


def same(kind: str, one: UpdateRule, other: UpdateRule) -> bool:
    """Whether two rules give the same outputs and membranes of one primitive, of which a membrane meets its threshold."""
    rng = np.random.default_rng(0)
    graph = recurrent(kind, rng)
    x = np.abs(rng.normal(0.5, 2.0, (40, 8, SIZE))) * (1 / DT if kind == "IF" else 1)
    x[20:] *= -0.5
    threshold = graph.nodes["neuron"]["v_threshold"]  # type: ignore[index]
    threshold *= 1e9
    first = simulate(graph, x, DT, one).membranes["neuron"][0, 0, 0]
    threshold /= 1e9
    threshold[0] = first
    ours, theirs = (simulate(graph, x, DT, rule) for rule in (one, other))
    membranes = (each.membranes["neuron"] for each in (ours, theirs))
    return bool(np.array_equal(ours.output, theirs.output) and np.allclose(*membranes, rtol=1e-9, atol=1e-12))


def test_the_axes_are_the_fields_of_a_rule_in_their_order() -> None:
    assert [axis.name for axis in AXES] == [each.name for each in fields(UpdateRule)]


@pytest.mark.parametrize(("axis", "value"), VALUES, ids=[f"{axis.name}={value.value}" for axis, value in VALUES])
def test_a_value_has_an_equation_and_says_what_a_backend_does(axis: AxisOfRule, value: Axis) -> None:
    assert value.equation and value.in_difference
    words = {**axis.words, "tau": "tau", "dt": DT}
    assert "{" not in (value.in_rule + value.in_difference).format(**words)


@pytest.mark.parametrize(("axis", "value"), ODD, ids=NAMES)
def test_a_value_other_than_nirs_is_a_cause(axis: AxisOfRule, value: Axis) -> None:
    if (axis.name, value) not in NOT_RUN:
        assert axis.cause_of(axis.nir, value) is axis.cause_of(value, axis.nir)
        assert axis.cause_of(axis.nir, value) in Cause


@pytest.mark.parametrize(("axis", "value"), ODD, ids=NAMES)
def test_a_step_tells_a_value_from_nirs_own_or_it_is_known_not_to_be_run(axis: AxisOfRule, value: Axis) -> None:
    kind = "IF" if value is Decay.NINE_TENTHS else "CubaLIF"
    base = BESIDE.get(value, NIR_MEANING)
    assert same(kind, base, base.but(**{axis.name: value})) is ((axis.name, value) in NOT_RUN)
