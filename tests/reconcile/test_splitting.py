"""Layers divided into nodes of equal neurons: every number is the same to the last bit; what cannot be divided is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.fingerprint import Gains, Identified, Join, NeuronCondition, Refusal, Subject, Wiring
from nir_interop.graphs import NEURONS, SPIKING, Graph, Node, digest, inline
from nir_interop.reconcile.gains import GAINS, SPLITTING
from nir_interop.reconcile.model import Rewritten
from nir_interop.reconcile.planner import reconcile
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, FeedbackBias, Start, UpdateRule, Use
from nir_interop.vocabulary import Cause
from tests.conditions import AT_ONE, MATCHED, OFF, ONE_VOLTAGE, at, off_zero, spread
from tests.known import fingerprint_of, running
from tests.reconcile.pass_checks import refused, rules, side
from tests.strategies import DT, chain, cyclic_graphs, graphs, lif, neuron, node, port, stimulus

(UNIFORM,) = SPLITTING
RNG = np.random.default_rng(0)
PARAMETERS = ("tau", "tau_syn", "r", "w_in", "v_leak", "v_threshold", "v_reset")
seeds = st.integers(0, 2**32 - 1)


def known(*conditions: NeuronCondition | Join, outputs: int = 1) -> Identified:
    refusals = tuple(Refusal(each, "refused", "must be uniform") for each in conditions)
    return Identified(NIR_MEANING, outputs, refusals=refusals)


def asking(*names: str, join: Identified | None = None, rule: UpdateRule = NIR_MEANING) -> Side:
    """A target that wants some parameters to be one for a layer."""
    found: dict[Subject, Identified] = dict.fromkeys(NEURONS, known(*map(spread, names)))
    return side(rule, domain=found if join is None else {**found, Wiring.JOIN: join})


def divided(graph: Graph, source: Side, target: Side, seed: int = 0) -> Rewritten | None:
    """Rewrite, and check that all outputs and all spikes are the same to the last bit, and that the graph stays as it was."""
    flat = inline(graph)
    before = digest(flat)
    rewritten = UNIFORM.rewrite(flat, source, target)
    assert digest(flat) == before
    if rewritten is None:
        return None
    (entry,) = flat.of_kind("Input")
    x = stimulus(seed, size=int(flat.nodes[entry]["shape"][0]))  # type: ignore[index]
    wanted, made = simulate(flat, x, DT, source.rules), simulate(rewritten.graph, x, DT, source.rules)
    np.testing.assert_array_equal(made.output, wanted.output)
    for name in set(flat.of_kind(*SPIKING)) - set(rewritten.nodes):
        assert_same_spikes(made.spikes[name], wanted.spikes[name], node=name)
    new = rewritten.graph.nodes.keys() - flat.nodes.keys()
    spikes = sum(int(made.spikes[name].sum()) for name in new & made.spikes.keys())
    assert spikes == sum(int(wanted.spikes[name].sum()) for name in set(rewritten.nodes) & wanted.spikes.keys())
    return rewritten


def uneven(graph: Graph, names: set[str]) -> list[str]:
    """Layers in which neurons differ in some parameters."""
    names = names | {"tau_mem"} if "tau" in names else names
    return [
        name
        for name, each in inline(graph).primitives()
        if each.kind in NEURONS and any(np.unique(each[key]).size > 1 for key in names & each.params.keys())
    ]


@given(st.data(), graphs(), st.sets(st.sampled_from(PARAMETERS), min_size=1), seeds)
@settings(max_examples=80, deadline=None)
def test_neurons_that_are_alike_share_a_node(data: st.DataObject, graph: Graph, names: set[str], seed: int) -> None:
    source = data.draw(rules(threshold=Use.USED, resistance=data.draw(st.sampled_from([Use.USED, Use.IGNORED]))))
    rewritten = divided(graph, side(source), asking(*names), seed)
    assert (rewritten.nodes if rewritten else ()) == tuple(uneven(graph, names))
    if rewritten is not None:
        assert uneven(rewritten.graph, names) == []


@given(cyclic_graphs(), st.sampled_from(FeedbackBias), st.sampled_from(Start), seeds)
@settings(max_examples=150, deadline=None)
def test_a_divided_layer_waits_on_a_cycle_where_it_did(graph: Graph, bias: FeedbackBias, start: Start, seed: int) -> None:
    divided(graph, side(NIR_MEANING.but(feedback_bias=bias, start=start)), asking("tau", "v_threshold"), seed)


def layer(cell: Node, size: int = 4) -> Graph:
    return chain(node("Affine", weight=RNG.normal(3, 2, (size, 3)), bias=RNG.normal(size=size)), cell, size=3)


FOUR = lif(4, tau=[1e-3, 2e-3, 1e-3, 2e-3], r=2.0)


def test_equal_neurons_keep_together_and_one_identity_gathers_them() -> None:
    rewritten = divided(layer(FOUR), side(NIR_MEANING), asking("tau"))
    assert rewritten is not None
    parts = [each for _, each in rewritten.graph.primitives() if each.kind == "LIF"]
    assert [part["tau"].tolist() for part in parts] == [[1e-3, 1e-3], [2e-3, 2e-3]]
    assert rewritten.graph.into("output") == ("n1_joined",)
    assert rewritten.nodes == ("n1",)
    assert UNIFORM.rewrite(rewritten.graph, side(NIR_MEANING), asking("tau")) is None


def test_names_that_are_taken_are_left_to_those_that_have_them() -> None:
    graph = layer(FOUR)
    taken = {**graph.nodes, "n1_joined": lif(())}
    edges = tuple((start, "n1_joined" if end == "output" else end) for start, end in graph.edges)
    rewritten = divided(Graph(taken, (*edges, ("n1_joined", "output"))), side(NIR_MEANING), asking("tau"))
    assert rewritten is not None
    assert rewritten.graph.nodes["n1_joined"].kind == "LIF"


@pytest.mark.parametrize(
    "condition", [spread("r", gains=Gains(MATCHED)), spread("v_leak", off=True, gains=AT_ONE), at(OFF)], ids=str
)
def test_layers_stay_whole_where_only_other_parameters_must_be_one(condition: NeuronCondition) -> None:
    assert divided(layer(FOUR), side(NIR_MEANING), side(NIR_MEANING, domain={"LIF": known(condition)})) is None


def test_a_parameter_that_is_refused_off_zero_is_no_reason_to_divide() -> None:
    leaking = layer(Node("LIF", {**FOUR.params, "v_leak": np.array([0.1, 0.2, 0.1, 0.2])}))
    differing, off = spread("v_leak", off=True), off_zero("v_leak")
    for declined, is_divided in (((differing,), True), ((differing, off), True), ((differing, off, ONE_VOLTAGE), False)):
        target = side(NIR_MEANING, domain={"LIF": known(*declined)})
        assert (divided(leaking, side(NIR_MEANING), target) is not None) is is_divided


def test_layers_stay_whole_where_nothing_is_refused() -> None:
    assert divided(layer(FOUR), side(NIR_MEANING), side(NIR_MEANING)) is None
    assert divided(layer(FOUR), side(NIR_MEANING), asking()) is None


def test_neurons_of_an_image_are_refused() -> None:
    weight = RNG.normal(size=(1, 1, 1, 1))
    conv = node(
        "Conv2d", input_shape=[2, 2], weight=weight, stride=[1, 1], padding=[0, 0], dilation=[1, 1], groups=1, bias=[0.0]
    )
    cell = lif((), tau=[[[1e-3, 2e-3], [1e-3, 2e-3]]])
    whole = {key: np.broadcast_to(value, (1, 2, 2)) for key, value in cell.params.items()}
    nodes = {"input": node("Input", shape=[1, 2, 2]), "conv": conv, "cell": Node("LIF", whole)}
    graph = Graph(
        {**nodes, "output": node("Output", shape=[1, 2, 2])}, (("input", "conv"), ("conv", "cell"), ("cell", "output"))
    )
    refused(UNIFORM, graph, side(NIR_MEANING), asking("tau"), Cause.UNSUPPORTED)


def test_a_target_that_misruns_joins_at_layers_is_refused_and_one_that_misruns_them_at_the_output_is_not() -> None:
    for join in (known(Join.BRANCHES_INTO_LAYER), Identified(NIR_MEANING, 10, 3)):
        refused(UNIFORM, layer(FOUR), side(NIR_MEANING), asking("tau", join=join), Cause.JOIN_MISRUN)
    assert divided(layer(FOUR), side(NIR_MEANING), asking("tau", join=known(Join.BRANCHES_INTO_OUTPUT))) is not None


def test_one_gain_or_threshold_for_a_layer_must_be_everyones() -> None:
    lowest = side(NIR_MEANING.but(resistance=Use.COLLAPSED))
    refused(UNIFORM, layer(FOUR), lowest, asking("tau"), Cause.RESISTANCE_COLLAPSED)
    matched = Node("LIF", {**FOUR.params, "r": FOUR["tau"] / DT})
    assert divided(layer(matched), lowest, asking("tau")) is not None
    mixed = Node("LIF", {**FOUR.params, "v_threshold": np.array([1.0, 1.5, 1.0, 1.0])})
    shared = side(NIR_MEANING.but(threshold=Use.COLLAPSED))
    refused(UNIFORM, layer(mixed), shared, asking("tau"), Cause.THRESHOLD_COLLAPSED)
    assert divided(layer(FOUR), shared, asking("tau")) is not None


def test_neurons_that_feed_themselves_are_divided_with_their_weights_whole() -> None:
    nodes = {"input": port("Input", 3), "in": node("Linear", weight=RNG.normal(2, 1, (4, 3))), "cell": neuron("LIF", 4, RNG)}
    nodes |= {"rec": node("Affine", weight=RNG.normal(size=(4, 4)), bias=RNG.normal(size=4)), "output": port("Output", 4)}
    edges = (("input", "in"), ("in", "cell"), ("cell", "rec"), ("rec", "cell"), ("cell", "cell"), ("cell", "output"))
    rewritten = divided(Graph(nodes, edges), side(NIR_MEANING), asking("tau"))
    assert rewritten is not None
    assert rewritten.graph.nodes["rec"] is nodes["rec"]


def test_spikingjelly_runs_neurons_with_time_constants_of_their_own() -> None:
    found = fingerprint_of("spikingjelly")
    target = Side("spikingjelly", DT, found.by_primitive(), found.rules)
    cell = lif(tau=[1e-3, 3e-3, 1e-3], v_threshold=[1.0, 0.5, 1.0], r=0.0)
    cell = Node("LIF", {**cell.params, "r": np.ones(3, dtype=np.float32)})
    weights = [node("Linear", weight=RNG.normal(4, 6, (3, 3)).astype(np.float32)) for _ in range(2)]
    graph, x = chain(weights[0], cell, weights[1], cell, size=3), stimulus(1).astype(np.float32)
    live = running("spikingjelly")
    before = reconcile(graph, Side("nir", DT), target, x, GAINS, run=live)
    after = reconcile(graph, Side("nir", DT), target, x, (*GAINS, *SPLITTING), run=live)
    assert before.measured is None
    assert after.exact
    assert "uniform_neurons" in {each.name for each in after.passes}
