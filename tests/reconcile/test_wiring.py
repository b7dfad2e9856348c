"""Joins and recurrence written otherwise: the reference agrees before and after, and without evidence nothing is rewritten."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Condition, Domain, Identified, Join, Recurrence, Refusal, Wiring
from nir_interop.graphs import NEURONS, Array, Graph, Node, digest, inline
from nir_interop.reconcile.model import Pass, Refused
from nir_interop.reconcile.wiring import NESTING, WIRING
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Decay, FeedbackBias, Gain, ResetKind, Timing
from nir_interop.vocabulary import Cause
from nir_interop.workers.live import LiveBackend
from tests.known import fingerprint_of, running
from tests.reconcile.pass_checks import assert_agree, refused
from tests.reconcile.sample_graphs import random_lif
from tests.strategies import DT, cyclic_graphs, graphs, lif, node, port

PASSES = {each.name: each for each in (*WIRING, *NESTING)}
SEEDS = st.integers(0, 2**32 - 1)
LATE = NIR_MEANING.but(decay=Decay.EXPONENTIAL, gain=Gain.COMPLEMENT, reset=ResetKind.SUBTRACT, timing=Timing.NEXT_STEP)
SIZE = 4
Edges = tuple[tuple[str, str], ...]


def known(*refused: Condition, mismatched: int = 0) -> Identified:
    """What probes found of a wiring."""
    return Identified(NIR_MEANING, 100, mismatched, refusals=tuple(Refusal(each, "mismatch", "") for each in refused))


SOURCE = Side("nir", DT)
JOINS = (Join.BRANCHES_INTO_NEURON, Join.BRANCHES_INTO_LAYER, Join.BRANCHES_INTO_OUTPUT)
MISRUNS = Side("other", DT, domain=Domain({Wiring.JOIN: known(*JOINS)}))
NO_OUTPUT = Side("other", DT, domain=Domain({Wiring.JOIN: known(Join.BRANCHES_INTO_OUTPUT)}))
REWIRES = Side("other", DT, domain=Domain({Wiring.RECURRENCE: known(Recurrence.ONE_LAYER)}))
LATE_BIAS = Side("other", DT, dict.fromkeys(NEURONS, NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT)))


def dense(rng: np.random.Generator, bias: bool = True, out: int = SIZE, into: int = SIZE) -> Node:
    weight = rng.normal(0.2, 0.7, (out, into)).astype(np.float32)
    return node("Affine", weight=weight, bias=rng.normal(0.2, 0.4, out)) if bias else node("Linear", weight=weight)


def wired(edges: Edges, **nodes: Node) -> Graph:
    return Graph({"input": port("Input", SIZE), "output": port("Output", SIZE)} | nodes, edges)


def drive(seed: int = 0, size: int = SIZE, steps: int = 40) -> Array:
    return np.random.default_rng(seed).normal(0.3, 1.0, (steps, 3, size))


def proven(name: str, graph: Graph, target: Side, seed: int = 0, names: dict[str, str] | None = None) -> Graph | None:
    """What a pass makes of a graph; under the source's rules, with its axes as the target has them, it computes the same."""
    flat, stimulus = inline(graph), drive(seed, int(graph.nodes["input"]["shape"][0]))
    before = digest(flat)
    rewritten = PASSES[name].rewrite(flat, SOURCE, target)
    assert digest(flat) == before
    if rewritten is None:
        return None
    for rules in (dict.fromkeys(NEURONS, NIR_MEANING), dict.fromkeys(NEURONS, LATE)):
        source = Side("nir", DT, rules)
        side = source.take(PASSES[name].axes, target, NEURONS)
        expected = simulate(flat, stimulus, DT, rules)
        assert_agree(simulate(inline(rewritten.graph), stimulus, DT, side.rules), expected, names)
    assert set(rewritten.nodes) <= set(flat.nodes)
    return rewritten.graph


FAN: Edges = (("input", "left"), ("input", "right"), ("left", "cell"), ("right", "cell"), ("cell", "output"))


def join(rng: np.random.Generator, bias: bool = True) -> Graph:
    return wired(FAN, left=dense(rng, False), right=dense(rng, bias), cell=random_lif(SIZE, rng))


@given(SEEDS, st.booleans())
def test_branches_of_one_source_become_one_layer(seed: int, bias: bool) -> None:
    graph = join(np.random.default_rng(seed), bias)
    made = proven("one_affine", graph, MISRUNS, seed)
    assert made is not None
    assert sorted(made.nodes) == ["cell", "input", "left", "output"]
    assert made.nodes["left"].kind == ("Affine" if bias else "Linear")
    assert PASSES["one_affine"].rewrite(made, SOURCE, MISRUNS) is None


@given(graphs())
def test_branches_in_any_graph_become_one_layer(graph: Graph) -> None:
    skips = [name for name in graph.nodes if name.startswith("skip")]
    made = proven("one_affine", graph, MISRUNS)
    assert (made is None) == (not skips)
    if made is not None:
        assert not any(name.startswith("skip") for name in made.nodes)


@given(SEEDS)
def test_two_ways_in_which_a_neuron_feeds_itself_become_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = (*(("input", "into"), ("into", "cell")), *(("cell", "a"), ("cell", "b"), ("a", "cell"), ("b", "cell")))
    graph = wired((*edges, ("cell", "output")), into=dense(rng), cell=random_lif(SIZE, rng), a=dense(rng), b=dense(rng))
    made = proven("one_affine", graph, MISRUNS, seed)
    assert made is not None
    assert set(made.into("cell")) == {"into", "a"}


@given(cyclic_graphs())
def test_one_layer_for_branches_on_cycles_computes_the_same(graph: Graph) -> None:
    proven("one_affine", graph, MISRUNS)


def skip(rng: np.random.Generator) -> Graph:
    edges = (("input", "into"), ("into", "one"), ("one", "mix"), ("mix", "two"), ("two", "output"))
    around = (("input", "skip"), ("skip", "two"))
    nodes = {
        "into": dense(rng),
        "one": random_lif(SIZE, rng),
        "mix": dense(rng),
        "two": random_lif(SIZE, rng),
        "skip": dense(rng),
    }
    return wired((*edges, *around), **nodes)


def test_branches_of_other_sources_stay() -> None:
    graph = skip(np.random.default_rng(0))
    assert PASSES["one_affine"].rewrite(graph, SOURCE, MISRUNS) is None


def test_a_branch_that_feeds_another_node_too_stays() -> None:
    rng = np.random.default_rng(0)
    nodes = {"left": dense(rng), "right": dense(rng), "cell": random_lif(SIZE, rng), "other": random_lif(SIZE, rng)}
    graph = wired((*FAN[:4], ("right", "other"), ("cell", "output"), ("other", "output")), **nodes)
    assert PASSES["one_affine"].rewrite(graph, SOURCE, MISRUNS) is None


def test_joins_of_a_kind_that_the_probes_saw_go_right_are_left_alone() -> None:
    side = Side("other", DT, domain=Domain({Wiring.JOIN: known(Join.BRANCHES_INTO_LAYER)}))
    graph = join(np.random.default_rng(0))
    assert PASSES["one_affine"].rewrite(graph, SOURCE, side) is None
    unnamed = Side("other", DT, domain=Domain({Wiring.JOIN: known(mismatched=3)}))
    assert PASSES["one_affine"].rewrite(graph, SOURCE, unnamed) is not None


def outputs(rng: np.random.Generator) -> Graph:
    edges = (("input", "into"), ("into", "one"), ("one", "output"), ("input", "two"), ("two", "output"))
    return wired(edges, into=dense(rng), one=random_lif(SIZE, rng), two=dense(rng))


@given(SEEDS)
def test_an_identity_gathers_what_joins_at_an_output(seed: int) -> None:
    graph = outputs(np.random.default_rng(seed))
    made = proven("identity_before_output", graph, NO_OUTPUT, seed)
    assert made is not None
    assert made.into("output") == ("output_sum",)
    assert PASSES["identity_before_output"].rewrite(made, SOURCE, NO_OUTPUT) is None


def test_no_identity_gathers_where_joins_into_layers_are_misrun_too() -> None:
    graph = outputs(np.random.default_rng(0))
    assert PASSES["identity_before_output"].rewrite(graph, SOURCE, MISRUNS) is None


AROUND: Edges = (("input", "into"), ("into", "cell"), ("cell", "back"), ("back", "cell"), ("cell", "output"))


def recurrent(rng: np.random.Generator, into: bool = True, back: bool = True) -> Graph:
    return wired(AROUND, into=dense(rng, into), cell=random_lif(SIZE, rng), back=dense(rng, back))


@given(SEEDS, st.booleans())
def test_a_recurrent_bias_moves_into_the_weights_before_the_neuron(seed: int, into: bool) -> None:
    graph = recurrent(np.random.default_rng(seed), into)
    made = proven("recurrent_bias", graph, LATE_BIAS, seed)
    assert made is not None
    assert not made.nodes["back"]["bias"].any()
    own = graph.nodes["into"]["bias"] if into else 0
    np.testing.assert_allclose(made.nodes["into"]["bias"], own + graph.nodes["back"]["bias"])


def test_the_bias_of_a_graph_is_missed_without_the_pass() -> None:
    graph = recurrent(np.random.default_rng(0))
    one, other = (simulate(graph, drive(), DT, side.rules) for side in (SOURCE, LATE_BIAS))
    assert not np.allclose(one.membranes["cell"], other.membranes["cell"])


@given(graphs(recurrent=True))
def test_the_recurrent_biases_of_any_graph_of_layers_move(graph: Graph) -> None:
    made = proven("recurrent_bias", graph, LATE_BIAS)
    assert made is not None
    assert not any(node["bias"].any() for name, node in made.primitives() if name.startswith("rec"))


@given(cyclic_graphs())
def test_a_bias_on_any_cycle_moves_exactly_or_is_refused(graph: Graph) -> None:
    """Nested cycles, entries without layers, chains of stateless nodes."""
    before = digest(graph)
    try:
        proven("recurrent_bias", graph, LATE_BIAS)
    except Refused as error:
        assert error.cause is Cause.FEEDBACK_BIAS_AT_START
        assert digest(graph) == before


def test_a_bias_that_starts_late_cannot_be_written() -> None:
    graph = recurrent(np.random.default_rng(0))
    refused(PASSES["recurrent_bias"], graph, LATE_BIAS, SOURCE, Cause.FEEDBACK_BIAS_AT_START, "back")
    assert PASSES["recurrent_bias"].rewrite(recurrent(np.random.default_rng(0), back=False), LATE_BIAS, SOURCE) is None


def test_a_bias_without_weights_to_go_to_is_refused() -> None:
    rng = np.random.default_rng(0)
    nodes = {"cell": random_lif(SIZE, rng), "back": dense(rng)}
    bare = wired((("input", "cell"), ("cell", "back"), ("back", "cell"), ("cell", "output")), **nodes)
    refused(PASSES["recurrent_bias"], bare, SOURCE, LATE_BIAS, Cause.FEEDBACK_BIAS_AT_START, "back")
    shared = wired((*AROUND, ("into", "output")), into=dense(rng), **nodes)
    refused(PASSES["recurrent_bias"], shared, SOURCE, LATE_BIAS, Cause.FEEDBACK_BIAS_AT_START, "back")


def test_a_bias_behind_another_bias_is_refused() -> None:
    rng = np.random.default_rng(0)
    edges = (*AROUND[:3], ("back", "again"), ("again", "cell"), AROUND[4])
    graph = wired(edges, into=dense(rng), cell=random_lif(SIZE, rng), back=dense(rng), again=dense(rng))
    refused(PASSES["recurrent_bias"], graph, SOURCE, LATE_BIAS, Cause.FEEDBACK_BIAS_AT_START, "again")


@given(SEEDS, st.sampled_from(["cell", "a"]))
def test_a_neuron_that_feeds_itself_gets_a_graph_behind_its_source(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    edges = tuple((name if a == "cell" else a, name if b == "cell" else b) for a, b in AROUND)
    graph = wired(edges, **{name: random_lif(SIZE, rng)}, into=dense(rng), back=dense(rng))
    called = f"into_1_{name}"
    made = proven("nested_recurrence", graph, REWIRES, seed, {name: f"{called}.lif"})
    assert made is not None
    assert sorted(made.nodes) == ["input", "into", called, "output"]
    assert made.into(called) == ("into",)
    assert isinstance(made.nodes[called], Graph)
    assert PASSES["nested_recurrence"].rewrite(made, SOURCE, REWIRES) is None


def test_all_that_leads_to_a_nested_neuron_sorts_in_the_order_in_which_it_is_run() -> None:
    """A name that is taken is not taken twice."""
    rng = np.random.default_rng(0)
    edges = (("input", "a"), ("a", "input_1_a"), ("input_1_a", "cell"), ("cell", "b"), ("b", "cell"), ("cell", "output"))
    graph = wired(edges, a=dense(rng), input_1_a=random_lif(SIZE, rng), cell=random_lif(SIZE, rng), b=dense(rng))
    names = {"input_1_a": "input_2_input_1_a", "cell": "input_3_cell.lif"}
    made = proven("nested_recurrence", graph, REWIRES, names=names)
    assert made is not None
    assert sorted(made.nodes) == ["input", "input_1_a_", "input_2_input_1_a", "input_3_cell", "output"]


def layers(rng: np.random.Generator) -> Graph:
    """Two layers that feed themselves, named against the order in which they feed each other."""
    first = (("input", "into"), ("into", "z"), ("z", "back"), ("back", "z"))
    second = (("z", "mix"), ("mix", "a"), ("a", "anew"), ("anew", "a"), ("a", "output"))
    nodes = {
        "into": dense(rng),
        "z": random_lif(SIZE, rng),
        "back": dense(rng),
        "mix": dense(rng),
        "a": random_lif(SIZE, rng),
        "anew": dense(rng),
    }
    return wired((*first, *second), **nodes)


@given(SEEDS)
def test_each_of_two_layers_gets_a_graph_behind_its_source(seed: int) -> None:
    graph = layers(np.random.default_rng(seed))
    made = proven("nested_recurrence", graph, REWIRES, seed, {"z": "z.lif", "a": "z_2_a.lif"})
    assert made is not None
    assert sorted(made.nodes) == ["input", "into", "output", "z", "z_1_mix", "z_2_a"]


def before(graph: Graph, name: str) -> set[str]:
    """All nodes from which a path leads to a node."""
    found, left = set[str](), [name]
    while left:
        new = set(graph.into(left.pop())) - found
        found |= new
        left += sorted(new)
    return found


@given(graphs(recurrent=True))
def test_neurons_of_any_graph_of_layers_are_nested(graph: Graph) -> None:
    flat = inline(graph)
    rewritten = PASSES["nested_recurrence"].rewrite(flat, SOURCE, REWIRES)
    assert rewritten is not None
    one, other = (simulate(content, drive(size=3), DT) for content in (flat, rewritten.graph))
    assert_agree(Recording(outputs=other.outputs), Recording(outputs=one.outputs))
    for name, inner in rewritten.graph.nodes.items():
        assert not isinstance(inner, Graph) or name > max(before(rewritten.graph, name))


@pytest.mark.parametrize("edge", [("back", "output"), ("input", "back")])
def test_weights_that_are_not_only_the_neurons_are_refused(edge: tuple[str, str]) -> None:
    rng = np.random.default_rng(0)
    graph = wired((*AROUND, edge), into=dense(rng), cell=random_lif(SIZE, rng), back=dense(rng))
    refused(PASSES["nested_recurrence"], graph, SOURCE, REWIRES, Cause.RECURRENCE_REWIRED, "cell", "back")


@pytest.mark.parametrize("each", PASSES.values(), ids=lambda each: each.name)
def test_without_evidence_nothing_is_rewritten(each: Pass) -> None:
    rng = np.random.default_rng(0)
    fine = Side("other", DT, domain=Domain({Wiring.JOIN: known(), Wiring.RECURRENCE: known()}))
    for graph in (join(rng), skip(rng), outputs(rng), recurrent(rng), layers(rng)):
        assert each.rewrite(graph, SOURCE, SOURCE) is None
        assert each.rewrite(graph, SOURCE, fine) is None


def plain(rng: np.random.Generator) -> Node:
    """A neuron that all three libraries run as NIR says."""
    return lif(SIZE, tau=10 * DT, v_threshold=float(rng.uniform(0.1, 0.2)))


def with_plain_neurons(graph: Graph, rng: np.random.Generator) -> Graph:
    return Graph({name: plain(rng) if each.kind == "LIF" else each for name, each in graph.nodes.items()}, graph.edges)


def misrun(run: LiveBackend, graph: Graph, stimulus: Array, expected: Array) -> bool:
    """Whether a library computes something else, or nothing."""
    try:
        (made,) = run(graph, stimulus, DT).outputs.values()
    except RunFailed:
        return True
    return made.shape != expected.shape or not np.allclose(made, expected, rtol=0, atol=1e-5)


LIBRARIES = (
    ("norse", join, ["one_affine"]),
    ("norse", recurrent, ["recurrent_bias"]),
    ("spikingjelly", recurrent, ["recurrent_bias"]),
    ("spikingjelly", outputs, ["identity_before_output"]),
    ("snntorch", outputs, ["identity_before_output"]),
    ("snntorch", recurrent, ["recurrent_bias", "nested_recurrence"]),
    ("snntorch", layers, ["recurrent_bias", "nested_recurrence"]),
)


@pytest.mark.parametrize(("name", "build", "changes"), LIBRARIES, ids=lambda each: getattr(each, "__name__", str(each)))
def test_a_library_runs_what_it_misran(name: str, build: Callable[[np.random.Generator], Graph], changes: list[str]) -> None:
    """Evidence is what its own probes found; the rewritten graph goes through its own importer."""
    rng, found = np.random.default_rng(5), fingerprint_of(name)
    graph, stimulus = with_plain_neurons(build(rng), rng), drive(5).astype(np.float32)
    side = Side(name, DT, {"LIF": found.rules["LIF"].rule}, found.rules)
    rewritten, applied = graph, []
    for each in PASSES.values():
        made = each.rewrite(rewritten, SOURCE, side)
        if made is not None:
            rewritten = made.graph
            applied.append(each.name)
    assert applied == changes
    (expected,) = simulate(graph, stimulus, DT).outputs.values()
    run = running(name)
    assert misrun(run, graph, stimulus, expected)
    (output,) = run(rewritten, stimulus, DT).outputs.values()
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)
