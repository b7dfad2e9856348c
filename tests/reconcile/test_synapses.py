"""A synapse taken from its membrane, so that the membrane can be shifted: the same spikes, and refusals just outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.graphs import Graph, Node, inline
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.synapses import SYNAPSES
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, LeakUse, Order, Precision, ResetKind, SpikesPerStep, Start
from nir_interop.vocabulary import Cause
from tests.known import CORE, fingerprint_of, installed
from tests.reconcile.pass_checks import proven, refused, rules, side
from tests.strategies import DT, chain, cuba_lif, cyclic_graphs, graphs, node, stimulus

(APART,) = SYNAPSES
RNG = np.random.default_rng(0)
TO_ZERO = NIR_MEANING.but(reset=ResetKind.TO_ZERO)
SHIFTED = {"reset": ResetKind, "start": Start, "leak": LeakUse}
seeds = st.integers(0, 2**32 - 1)


def layer(**values: float) -> Graph:
    cell = cuba_lif(4, r=20.0, w_in=10.0, **values)
    return chain(node("Affine", weight=RNG.normal(0.3, 0.5, (4, 3)), bias=RNG.normal(0, 0.1, 4)), cell, size=3)


def with_lif() -> Graph:
    """The layer, and a LIF behind it."""
    graph = layer(v_reset=-0.2)
    cell = graph.nodes["n1"]
    assert isinstance(cell, Node)
    lif = {"tau": cell["tau_mem"], **{key: cell[key] for key in ("r", "v_leak", "v_threshold", "v_reset")}}
    nodes = {**graph.nodes, "n2": node("Linear", weight=np.eye(4)), "n3": node("LIF", **lif)}
    return Graph(nodes, (("input", "n0"), ("n0", "n1"), ("n1", "n2"), ("n2", "n3"), ("n3", "output")))


@given(st.data(), st.one_of(graphs(), cyclic_graphs()), seeds)
@settings(max_examples=100, deadline=None)
def test_a_synapse_and_a_membrane_are_what_the_neuron_was(data: st.DataObject, graph: Graph, seed: int) -> None:
    source = data.draw(rules(precision=Precision.FLOAT64, spikes=SpikesPerStep.ONE))
    target = source.but(
        reset=data.draw(st.sampled_from(ResetKind)),
        start=data.draw(st.sampled_from(Start)),
        leak=data.draw(st.sampled_from(LeakUse)),
    )
    try:
        rewritten = proven(APART, graph, side(source), side(target), seed)
    except Refused as refusal:
        event(str(refusal.cause))
        return
    if rewritten is not None:
        event("split")
        assert set(rewritten.nodes) <= set(inline(graph).of_kind("CubaLIF"))
        assert all(rewritten.graph.nodes[name].kind == "LIF" for name in rewritten.nodes)  # type: ignore[union-attr]


def test_a_synapse_and_a_membrane_are_what_numpy_says() -> None:
    graph = layer(v_reset=-0.2)
    rewritten = APART.rewrite(graph, side(NIR_MEANING), side(TO_ZERO))
    assert rewritten is not None
    x, cell = stimulus(3), graph.nodes["n1"]
    made = simulate(rewritten.graph, x, DT)
    dense = graph.nodes["n0"]
    assert isinstance(cell, Node) and isinstance(dense, Node)
    current, v, spikes = np.zeros((3, 4)), np.zeros((3, 4)), []
    for frame in x:
        heard = frame @ np.asarray(dense["weight"]).T + np.asarray(dense["bias"])
        current = current + DT / cell["tau_syn"] * (cell["w_in"] * heard - current)
        v = v + DT / cell["tau_mem"] * (cell["r"] * current - v)
        fired = v > cell["v_threshold"]
        v = np.where(fired, cell["v_reset"], v)
        spikes.append(fired)
    assert np.sum(spikes) > 20
    assert_same_spikes(made.spikes["n1"], np.array(spikes), node="n1")


@pytest.mark.parametrize("values", [{}, {"v_leak": -0.2, "v_reset": -0.2}])
def test_what_can_be_shifted_as_it_is_stays_whole(values: dict[str, float]) -> None:
    """A membrane that rests where it is reset to is counted from there, as long as it starts there."""
    target = TO_ZERO.but(start=Start.LEAK)
    assert APART.rewrite(layer(**values), side(NIR_MEANING.but(start=Start.LEAK)), side(target)) is None


def test_a_reset_by_subtraction_is_not_what_a_shift_makes_of_a_value() -> None:
    assert APART.rewrite(layer(v_reset=-0.2), side(NIR_MEANING), side(NIR_MEANING.but(reset=ResetKind.SUBTRACT))) is None


def test_a_membrane_that_advances_before_its_synapse_is_refused() -> None:
    first = NIR_MEANING.but(order=Order.MEMBRANE_FIRST)
    refused(APART, layer(v_reset=-0.2), side(first), side(first.but(reset=ResetKind.TO_ZERO)), Cause.SYNAPSE_ORDER, "n1")


def test_a_graph_whose_lif_is_stepped_otherwise_is_refused() -> None:
    graph = with_lif()
    source = Side("side", DT, {"CubaLIF": NIR_MEANING, "LIF": TO_ZERO})
    refused(APART, graph, source, side(TO_ZERO), Cause.RESET_VALUE_IGNORED, "n1")
    assert proven(APART, graph, side(NIR_MEANING), side(TO_ZERO)) is not None


@pytest.mark.parametrize("name", CORE)
def test_each_importer_then_resets_a_current_based_neuron_to_a_value(name: str) -> None:
    """By its rules; tests/transfer runs the libraries themselves on such networks."""
    installed(name)
    target = Side.of(fingerprint_of(name), DT)
    plan = reconcile(layer(v_reset=-0.2), side(NIR_MEANING), target, stimulus(5, steps=60).astype(np.float32), PASSES)
    assert "synapse_apart" in [each.name for each in plan.passes]
    assert plan.right
