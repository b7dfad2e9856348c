"""Infinite time constants: written as the integrators that they are, or refused where nobody knows their gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.errors import InvalidGraph
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Graph, inline, validate
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.time_constants import (
    ENDLESS,
    INTEGRATORS,
    floored_as_leaky,
    infinite_as_integrator,
    integrator_as_leaky,
)
from nir_interop.reference import Simulator
from nir_interop.rule import NIR_MEANING, Axis, Floor, Gain, ResetKind, SpikesPerStep, TimeStep, Use
from nir_interop.vocabulary import Cause
from tests.reconcile.pass_checks import proven, refused, rules, side
from tests.strategies import DT, chain, graphs, lif, node

AS_LEAKY, FLOORED = INTEGRATORS
SIZE = 4
AS_IT_IS = NIR_MEANING.but(gain=Gain.ONE)
SOURCE = Side("source", DT, {"LIF": AS_IT_IS})
NIR = Side("nir", DT)


def endless(seed: int, **given: float) -> Graph:
    rng = np.random.default_rng(seed)
    cell = lif(SIZE, **{"tau": np.inf, "r": np.inf, "v_threshold": rng.uniform(0.5, 1.5, SIZE), **given})
    return chain(node("Affine", weight=rng.normal(0.2, 0.4, (SIZE, SIZE)), bias=rng.normal(0, 0.1, SIZE)), cell, size=SIZE)


def stimulus(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 0.5, (50, 3, SIZE))


@given(seed=st.integers(0, 10_000), gain=st.sampled_from([Gain.STEP, Gain.ONE]))
def test_an_integrator_fires_when_the_endless_neuron_did(seed: int, gain: Gain) -> None:
    graph = endless(seed)
    source = replace(SOURCE, rules={**SOURCE.rules, "IF": NIR_MEANING.but(gain=gain)})
    before = Simulator(graph, DT, source.rules, finite=False).run(stimulus(seed))[0]
    found = infinite_as_integrator(graph, source, NIR)
    assert found is not None and found.nodes == ("n1",)
    validate(found.graph)
    after = Simulator(found.graph, DT, source.rules).run(stimulus(seed))[0]
    assert before.output.any()
    assert (before.output == after.output).all()
    assert graph.nodes["n1"].kind == "LIF"


def test_what_leaks_is_left_alone() -> None:
    assert infinite_as_integrator(endless(0, tau=20 * DT, r=1.0), SOURCE, NIR) is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Side("source", DT), "both are infinite"),
        (replace(SOURCE, rules={**SOURCE.rules, "IF": NIR_MEANING.but(reset=ResetKind.SUBTRACT)}), "no integrator"),
    ],
)
def test_a_gain_or_a_neuron_that_nobody_knows_is_refused(source: Side, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        infinite_as_integrator(endless(0), source, NIR)
    assert refused.value.cause is Cause.PARAMETER_LOST


def test_a_layer_of_which_a_part_leaks_is_refused() -> None:
    graph = endless(0)
    tau = np.array([np.inf, 20 * DT, np.inf, np.inf])
    mixed = Graph({**graph.nodes, "n1": node("LIF", **{**graph.nodes["n1"].params, "tau": tau})}, graph.edges)  # type: ignore[union-attr]
    with pytest.raises(Refused, match="others do not"):
        infinite_as_integrator(mixed, SOURCE, NIR)


def test_a_graph_that_means_nothing_is_one_line_where_no_pass_helps() -> None:
    wanted = Simulator(endless(1), DT, SOURCE.rules, finite=False).run(stimulus(1))[0]
    assert reconcile(endless(1), SOURCE, NIR, stimulus(1), ENDLESS, wanted=wanted).exact
    with pytest.raises(InvalidGraph, match="infinite"):
        reconcile(endless(1), Side("source", DT), NIR, stimulus(1), ENDLESS, wanted=wanted)


@given(st.data(), graphs(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_neuron_that_hardly_leaks_is_an_integrator(data: st.DataObject, graph: Graph, seed: int) -> None:
    rule = data.draw(rules(spikes=SpikesPerStep.ONE))
    target = side(rule, domain={"IF": Identified(rule)})
    try:
        rewritten = proven(AS_LEAKY, graph, side(rule), target, seed)
    except Refused as refusal:
        assert refusal.cause is Cause.UNSUPPORTED and inline(graph).of_kind("LIF")
        return
    assert (rewritten.nodes if rewritten else ()) == inline(graph).of_kind("IF")


def adding(**axes: Axis) -> tuple[Graph, Side]:
    cell = node("IF", r=np.full(3, 800.0), v_threshold=np.ones(3), v_reset=np.zeros(3))
    both = chain(
        node("Linear", weight=np.eye(3)),
        cell,
        node("LIF", **{"tau": np.full(3, 2e-3), "v_leak": np.zeros(3), **cell.params}),
        size=3,
    )
    return both, Side("source", DT, {"LIF": NIR_MEANING.but(**axes)})


def test_leaky_neurons_of_another_kind_beside_it_refuse_it() -> None:
    lacks = Side("target", DT, domain=Domain({"IF": Identified(NIR_MEANING)}))
    graph, plain = adding()
    found = integrator_as_leaky(graph, plain, lacks)
    assert found is not None and found.graph.of_kind("LIF") == ("n1", "n2")
    assert integrator_as_leaky(graph, plain, NIR) is None
    for axes in ({"reset": ResetKind.SUBTRACT}, {"time_step": TimeStep.INFERRED}, {"resistance": Use.IGNORED}):
        graph, source = adding(**axes)
        with pytest.raises(Refused):
            integrator_as_leaky(graph, source, lacks)
    neither = Side("target", DT, domain=Domain({"IF": Identified(NIR_MEANING), "LIF": Identified(NIR_MEANING)}))
    assert integrator_as_leaky(graph, plain, neither) is None


@given(st.integers(0, 2**32 - 1), st.sampled_from([ResetKind.TO_VALUE, ResetKind.SUBTRACT]))
@settings(max_examples=30, deadline=None)
def test_an_integrator_that_the_target_keeps_above_a_floor_is_a_leaky_neuron(seed: int, reset: ResetKind) -> None:
    rule = NIR_MEANING.but(reset=reset)
    kept, free = rule.but(floor=Floor.MINUS_THRESHOLD), rule
    domain = Domain({"IF": Identified(kept, 100), "LIF": Identified(free, 100)})
    target = Side("target", DT, {"IF": kept, "LIF": free}, domain)
    rng = np.random.default_rng(seed)
    cell = node("IF", r=np.full(SIZE, 1 / DT), v_threshold=rng.uniform(0.5, 1.5, SIZE), v_reset=np.zeros(SIZE))
    graph = chain(node("Affine", weight=rng.normal(0, 0.7, (SIZE, SIZE)), bias=np.zeros(SIZE)), cell, size=SIZE)
    made = proven(FLOORED, graph, side(rule), target, seed)
    assert made is not None and made.graph.nodes["n1"].kind == "LIF"
    x = stimulus(seed)
    above, meant = (Simulator(graph, DT, each).run(x)[0].output for each in (kept, free))
    assert (Simulator(made.graph, DT, target.rules).run(x)[0].output == meant).all()
    assert made.why.startswith("target keeps the membrane of an IF above a floor") and above.shape == meant.shape


def test_a_floor_on_both_kinds_or_on_both_sides_is_no_reason() -> None:
    floored = NIR_MEANING.but(floor=Floor.MINUS_THRESHOLD)
    known = Domain({"IF": Identified(floored, 100), "LIF": Identified(floored, 100)})
    graph = chain(node("IF", r=np.full(3, 800.0), v_threshold=np.ones(3), v_reset=np.zeros(3)), size=3)
    refused(FLOORED, graph, NIR, Side("target", DT, {"IF": floored, "LIF": floored}, known), Cause.FLOOR, "n0")
    refused(FLOORED, graph, side(floored), side(NIR_MEANING), Cause.FLOOR, "n0")
    assert floored_as_leaky(graph, side(floored), Side("target", DT, {"IF": floored}, known)) is None
