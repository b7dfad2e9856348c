"""Integrators without a threshold as weights that feed themselves: the same values, or a refusal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Identified
from nir_interop.graphs import Graph, Node, inline
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.substitutes import LOOPS
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, FeedbackBias, Order, Precision, Start, UpdateRule
from nir_interop.vocabulary import Cause
from tests.reconcile.pass_checks import proven, refused, rules, side
from tests.strategies import DT, chain, cyclic_graphs, graphs, neuron, node, port

(LOOP,) = LOOPS
KINDS = ("I", "LI", "CubaLI")
RNG = np.random.default_rng(0)
SILENT = NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT)
seeds = st.integers(0, 2**32 - 1)


def without(*kinds: str, rule: UpdateRule = SILENT) -> Side:
    """A target that takes no such primitives."""
    return side(rule, domain={kind: Identified(NIR_MEANING) for kind in kinds})


def dense(out: int, into: int) -> Node:
    return node("Affine", weight=RNG.normal(0, 1, (out, into)), bias=RNG.normal(0, 0.3, out))


@given(st.data(), graphs(), seeds)
@settings(max_examples=60, deadline=None)
def test_weights_that_feed_themselves_give_the_same_values(data: st.DataObject, graph: Graph, seed: int) -> None:
    rule = data.draw(rules(feedback_bias=FeedbackBias.ABSENT, order=Order.SYNAPSE_FIRST))
    names = inline(graph).of_kind(*KINDS)
    try:
        rewritten = proven(LOOP, graph, side(rule), without(*KINDS, rule=rule), seed)
    except Refused as refusal:
        event(str(refusal.cause))
        assert refusal.cause is Cause.CYCLE_ORDER
        return
    assert (rewritten.nodes if rewritten else ()) == tuple(sorted(names))
    if rewritten is not None:
        assert not rewritten.graph.of_kind(*KINDS)


@given(cyclic_graphs(), seeds, st.sampled_from(FeedbackBias))
@settings(max_examples=120, deadline=None)
def test_what_is_not_refused_on_a_graph_with_cycles_is_the_same(graph: Graph, seed: int, bias: FeedbackBias) -> None:
    rule = NIR_MEANING.but(feedback_bias=bias)
    try:
        proven(LOOP, graph, side(rule), without("LI", rule=rule), seed)
        event("rewritten")
    except Refused as refusal:
        event(str(refusal.cause))
        assert refusal.cause in (Cause.CYCLE_ORDER, Cause.FEEDBACK_BIAS_AT_START)


def by_hand(values: dict[str, np.ndarray], x: np.ndarray, start: np.ndarray) -> np.ndarray:
    """NIR's equation of an LI in steps."""
    v, out = np.broadcast_to(start, x.shape[1:]).copy(), np.empty_like(x)
    for t in range(len(x)):
        v += DT / values["tau"] * (values["v_leak"] - v + values["r"] * x[t])
        out[t] = v
    return out


@pytest.mark.parametrize("start", [Start.ZERO, Start.LEAK])
def test_the_loop_is_the_equation(start: Start) -> None:
    cell, x = neuron("LI", 3, RNG), np.random.default_rng(11).normal(0, 2, (150, 2, 3))
    values = {name: np.asarray(value) for name, value in cell.params.items()}
    rewritten = LOOP.rewrite(chain(cell, size=3), side(SILENT.but(start=start)), without("LI"))
    assert rewritten is not None
    wanted = by_hand(values, x, values["v_leak"] if start is Start.LEAK else np.zeros(3))
    np.testing.assert_allclose(simulate(rewritten.graph, x, DT, SILENT).output, wanted, rtol=1e-9, atol=1e-12)


def test_a_slow_decay_has_what_single_precision_leaves_of_it() -> None:
    cell = node("LI", tau=np.full(2, 1000 * DT), r=np.ones(2), v_leak=np.zeros(2))
    graph, fast = chain(cell, size=2), chain(node("LI", **{**cell.params, "tau": np.full(2, 2 * DT)}), size=2)
    slow, plain = (LOOP.rewrite(each, side(SILENT), without("LI")) for each in (graph, fast))
    assert slow is not None and plain is not None
    kept, rest = (slow.graph.nodes[f"n0_membrane_{part}"]["weight"] for part in ("keep", "rest"))  # type: ignore[index]
    assert (kept == kept.astype(np.float32)).all()
    np.testing.assert_array_equal(np.diag(kept + rest), 1 - 1e-3)
    assert "n0_membrane_rest" not in plain.graph.nodes
    assert abs(float(np.float32(1 - 1e-3)) - (1 - 1e-3)) / 1e-3 > 1e-6


def maps(values: np.ndarray) -> Graph:
    cell = node("LI", tau=values * DT, r=np.full(values.shape, 3.0), v_leak=np.full(values.shape, 0.1))
    nodes = {"in": node("Input", shape=list(values.shape)), "li": cell, "out": node("Output", shape=list(values.shape))}
    return Graph(nodes, (("in", "li"), ("li", "out")))


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 5)])
def test_feature_maps_have_convolutions_for_diagonals(shape: tuple[int, ...]) -> None:
    channels = np.broadcast_to(np.array([7.0, 20.0]).reshape(2, *(1,) * (len(shape) - 1)), shape).copy()
    x, graph = np.random.default_rng(5).normal(0, 1, (40, 2, *shape)), maps(channels)
    rewritten = LOOP.rewrite(graph, side(SILENT), without("LI"))
    assert rewritten is not None and rewritten.graph.of_kind("Conv1d" if len(shape) == 2 else "Conv2d")
    wanted = simulate(graph, x, DT).output
    assert wanted is not None
    np.testing.assert_allclose(simulate(rewritten.graph, x, DT, SILENT).output, wanted, rtol=1e-9, atol=1e-12)
    channels.flat[0] = 9.0
    assert "differ" in refused(LOOP, maps(channels), side(SILENT), without(*KINDS)).why
    assert "shape" in refused(LOOP, graph, side(SILENT), without("LI", "Conv1d", "Conv2d")).why


def test_what_no_weights_are_is_refused() -> None:
    for kind in KINDS:
        graph = chain(dense(4, 3), neuron(kind, 4, RNG), size=3)
        refused(LOOP, graph, side(SILENT), without(*KINDS, "Linear", "Affine"), Cause.UNSUPPORTED)
        refused(LOOP, graph, side(SILENT.but(precision=Precision.FIXED)), without(*KINDS), Cause.ROUNDING)
        silent = Graph({**graph.nodes, "n1": Node(kind, {**graph.nodes["n1"].params, "r": np.zeros(4)})}, graph.edges)  # type: ignore[union-attr]
        refused(LOOP, silent, side(SILENT), without(*KINDS), Cause.UNSUPPORTED)
    late = SILENT.but(order=Order.MEMBRANE_FIRST)
    refused(LOOP, chain(neuron("CubaLI", 3, RNG), size=3), side(late), without(*KINDS), Cause.SYNAPSE_ORDER)


def test_an_affine_does_for_a_linear_and_no_linear_for_an_affine() -> None:
    for kind in KINDS:
        graph = chain(dense(4, 3), neuron(kind, 4, RNG), size=3)
        assert proven(LOOP, graph, side(SILENT), without(*KINDS, "Linear")) is not None
    leaky = Node("LI", {**neuron("LI", 4, RNG).params, "v_leak": np.full(4, 0.1)})
    refused(LOOP, chain(dense(4, 3), leaky, size=3), side(SILENT), without("LI", "Affine"), Cause.UNSUPPORTED)


def test_a_loop_would_begin_with_a_bias_before_it() -> None:
    graph = chain(dense(4, 3), neuron("LI", 4, RNG), size=3)
    refused(LOOP, graph, side(NIR_MEANING), without("LI", rule=NIR_MEANING), Cause.FEEDBACK_BIAS_AT_START)
    refused(LOOP, graph, side(NIR_MEANING), without(*KINDS), Cause.FEEDBACK_BIAS_AT_START)
    assert proven(LOOP, chain(neuron("I", 3, RNG), size=3), side(NIR_MEANING), without("I", rule=NIR_MEANING)) is not None


def test_what_the_target_takes_stays() -> None:
    graph = chain(dense(4, 3), neuron("LI", 4, RNG), size=3)
    for target in (without("CubaLI"), side(SILENT)):
        assert LOOP.rewrite(graph, side(SILENT), target) is None


def test_names_that_are_taken_are_left_to_those_that_have_them() -> None:
    nodes = {"input": port("Input", 3), "a": neuron("LI", 3, RNG), "a_membrane": dense(3, 3), "output": port("Output", 3)}
    graph = Graph(nodes, (("input", "a"), ("a", "a_membrane"), ("a_membrane", "output")))
    rewritten = proven(LOOP, graph, side(SILENT), without("LI"))
    assert rewritten is not None and rewritten.graph.nodes["a_membrane"].kind == "Affine"
