"""Stateless nodes written otherwise: the reference agrees before and after, and without evidence nothing is rewritten."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Condition, Domain, FlattenDims, Form, Identified, Refusal, Written
from nir_interop.graphs import Array, Graph, Node, canonical, digest
from nir_interop.reconcile.model import Pass, Rewritten
from nir_interop.reconcile.shapes import OPERATORS
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Decay, Gain, ResetKind, Timing
from nir_interop.vocabulary import Cause
from tests.known import CORE, fingerprint_of, running
from tests.reconcile.pass_checks import assert_agree, refused
from tests.reconcile.sample_graphs import conv, dense, flatten, path, pool, random_lif
from tests.strategies import DT, node

PASSES = {each.name: each for each in OPERATORS}
SEEDS = st.integers(0, 2**32 - 1)
LATE = NIR_MEANING.but(decay=Decay.EXPONENTIAL, gain=Gain.COMPLEMENT, reset=ResetKind.SUBTRACT, timing=Timing.NEXT_STEP)
SOURCE = Side("nir", DT)
SIDES = (SOURCE, Side("late", DT, {"LIF": LATE}))
SHAPE = (2, 6, 5)


def known(*refused: Condition, outputs: int = 100) -> Identified:
    """What probes found of a primitive, some of which went wrong."""
    return Identified(NIR_MEANING, outputs, refusals=tuple(Refusal(each, "wrong_shape", "") for each in refused))


def target(**domain: Identified) -> Side:
    return Side("other", DT, domain=Domain(domain))


COUNTS_BATCH = target(Flatten=known(FlattenDims(0, -1), FlattenDims(0, 2), FlattenDims(-2, 2)))
NO_AVERAGE = target(AvgPool2d=known(Form.ALONE, outputs=0))
NO_PADDING = target(SumPool2d=known(Form.PADDING), AvgPool2d=known(Form.HIDDEN_PADDING))
NO_SINGLE = target(SumPool2d=known(Written.ONE_FOR_BOTH))
NO_GROUPS = target(Conv2d=known(Form.GROUPS), Conv1d=known(Form.GROUPS))
NO_SAME = target(Conv2d=known(Form.PADDING_SAME), Conv1d=known(Form.PADDING_SAME))


def drive(graph: Graph, seed: int = 0, steps: int = 25) -> Array:
    return np.random.default_rng(seed).normal(0.3, 1.0, (steps, 3, *graph.nodes["input"]["shape"]))


def proven(name: str, graph: Graph, side: Side, seed: int = 0) -> Graph:
    """What a pass makes of a graph; it means the same under several rules, and the graph itself is as it was."""
    before, stimulus = digest(graph), drive(graph, seed)
    rewritten = PASSES[name].rewrite(graph, SOURCE, side)
    assert isinstance(rewritten, Rewritten)
    assert rewritten.nodes
    assert digest(graph) == before
    for each in SIDES:
        one, other = (simulate(content, stimulus, DT, each.rules) for content in (graph, rewritten.graph))
        assert_agree(other, one, rtol=0, atol=1e-12)
        assert all(0 < spikes.mean() < 1 for spikes in one.spikes.values())
    assert PASSES[name].rewrite(rewritten.graph, SOURCE, side) is None
    return rewritten.graph


@given(SEEDS, st.sampled_from([(0, -1), (0, 2), (-2, 2)]))
def test_a_flatten_counted_from_the_front_is_counted_from_the_back(seed: int, dims: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    to = (2, 30) if dims[0] == -2 else (60,)
    made = proven(
        "negative_flatten_dims", path(random_lif(SHAPE, rng), flatten(*dims), random_lif(to, rng), to=to), COUNTS_BATCH, seed
    )
    assert (int(made.nodes["n1"]["start_dim"]), int(made.nodes["n1"]["end_dim"])) == ((-2 if dims[0] == -2 else -3), -1)


def test_a_flatten_that_is_read_right_is_left_alone() -> None:
    graph = path(flatten(-3, -1), to=(60,))
    assert PASSES["negative_flatten_dims"].rewrite(graph, SOURCE, COUNTS_BATCH) is None
    mixed = path(flatten(-3, 2), to=(60,))
    assert PASSES["negative_flatten_dims"].rewrite(mixed, SOURCE, target(Flatten=known(FlattenDims(0, 2)))) is None


def test_a_flatten_that_is_read_right_in_no_way_is_refused() -> None:
    side = target(Flatten=known(FlattenDims(0, -1), FlattenDims(-3, -1)))
    refused(PASSES["negative_flatten_dims"], path(flatten(), to=(60,)), SOURCE, side, Cause.FLATTEN_BATCH, "n0")


@given(SEEDS, st.booleans())
def test_an_average_becomes_a_sum_and_the_weights_behind_it_take_the_factor(seed: int, padded: bool) -> None:
    rng = np.random.default_rng(seed)
    average = pool("AvgPool2d", (3, 2), 2, 1 if padded else 0)
    size = 2 * (3 * 3 if padded else 2 * 2)
    nodes = (random_lif(SHAPE, rng), average, flatten(), dense(4, size, rng), random_lif((4,), rng))
    made = proven("average_as_sum", path(*nodes, to=(4,)), NO_AVERAGE, seed)
    assert made.nodes["n1"].kind == "SumPool2d"
    np.testing.assert_array_equal(made.nodes["n3"]["weight"], nodes[3]["weight"].astype(float) / 6)
    assert made.nodes["n3"]["bias"] is nodes[3]["bias"]


@given(SEEDS)
def test_an_average_before_neurons_gives_its_factor_to_the_weights_before_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = (conv(3, 2, rng), pool("AvgPool2d"), random_lif((3, 2, 2), rng))
    made = proven("average_as_sum", path(*nodes, to=(3, 2, 2)), NO_AVERAGE, seed)
    assert made.nodes["n0"]["weight"].dtype == np.float32  # a quarter of a float32 is a float32
    np.testing.assert_array_equal(made.nodes["n0"]["bias"], nodes[0]["bias"] / 4)


@given(SEEDS)
def test_an_average_between_neurons_becomes_a_convolution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = path(random_lif(SHAPE, rng), pool("AvgPool2d"), random_lif((2, 3, 2), rng), to=(2, 3, 2))
    assert proven("average_as_sum", graph, NO_AVERAGE, seed).nodes["n1"].kind == "Conv2d"


@given(SEEDS)
def test_averages_one_behind_the_other_give_both_factors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = (random_lif(SHAPE, rng), pool("AvgPool2d"), pool("AvgPool2d", (3, 1), (1, 1)), conv(2, 2, rng, (1, 1)))
    made = proven("average_as_sum", path(*nodes, to=(2, 1, 2)), NO_AVERAGE, seed)
    assert [made.nodes[f"n{number}"].kind for number in (1, 2)] == ["SumPool2d", "SumPool2d"]


@given(SEEDS)
def test_weights_that_others_feed_too_keep_their_scale(seed: int) -> None:
    """Half of what comes in would be scaled wrongly."""
    rng = np.random.default_rng(seed)
    nodes = {
        "input": node("Input", shape=SHAPE),
        "cell": random_lif(SHAPE, rng),
        "average": pool("AvgPool2d"),
        "sum": pool("SumPool2d"),
        "mix": conv(2, 2, rng, (1, 1)),
        "output": node("Output", shape=(2, 3, 2)),
    }
    edges = (("input", "cell"), ("cell", "average"), ("cell", "sum"), ("average", "mix"), ("sum", "mix"), ("mix", "output"))
    made = proven("average_as_sum", Graph(nodes, edges), NO_AVERAGE, seed)
    assert made.nodes["mix"] is nodes["mix"]
    assert made.nodes["average"].kind == "Conv2d"


def test_an_average_that_nothing_can_stand_for_is_refused() -> None:
    rng = np.random.default_rng(0)
    graph = path(random_lif(SHAPE, rng), pool("AvgPool2d"), random_lif((2, 3, 2), rng), to=(2, 3, 2))
    side = target(AvgPool2d=known(Form.ALONE, outputs=0), Conv2d=known(Form.ALONE, outputs=0))
    refused(PASSES["average_as_sum"], graph, SOURCE, side, Cause.NODE_DROPPED, "n1")


@given(SEEDS, st.sampled_from(["SumPool2d", "AvgPool2d"]))
def test_a_pool_with_padding_becomes_a_convolution(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    graph = path(random_lif(SHAPE, rng), pool(kind, (3, 2), (2, 1), (2, 1)), random_lif((2, 4, 6), rng), to=(2, 4, 6))
    assert proven("padding_as_convolution", graph, NO_PADDING, seed).nodes["n1"].kind == "Conv2d"


def test_a_pool_without_padding_stays_a_pool() -> None:
    graph = path(pool("SumPool2d"), to=(2, 3, 2))
    assert PASSES["padding_as_convolution"].rewrite(graph, SOURCE, NO_PADDING) is None


def test_padding_is_refused_where_no_convolution_is_taken() -> None:
    side = target(SumPool2d=known(Form.PADDING), Conv2d=known(Form.ALONE, outputs=0))
    refused(
        PASSES["padding_as_convolution"],
        path(pool("SumPool2d", padding=(1, 1)), to=(2, 4, 3)),
        SOURCE,
        side,
        Cause.POOL_PADDING,
        "n0",
    )


@pytest.mark.parametrize("single", [2, (2,)])
def test_one_number_for_both_dimensions_becomes_two(single: Any) -> None:
    graph = path(pool("SumPool2d", single, (2, 2), 0), to=(2, 3, 2))
    made = proven("pooling_as_arrays", graph, NO_SINGLE).nodes["n0"]
    assert {name: value.tolist() for name, value in made.params.items()} == {
        "kernel_size": [2, 2],
        "stride": [2, 2],
        "padding": [0, 0],
    }


@given(SEEDS, st.sampled_from([2, 4]))
def test_a_convolution_in_groups_becomes_a_dense_one(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    shape, to = (4, 6, 5), (4, 4, 4)
    graph = path(random_lif(shape, rng), conv(4, 4, rng, groups=groups), random_lif(to, rng), shape=shape, to=to)
    made = proven("dense_groups", graph, NO_GROUPS, seed).nodes["n1"]
    assert (made["weight"].shape, int(made["groups"])) == ((4, 4, 3, 2), 1)
    assert np.count_nonzero(made["weight"]) == graph.nodes["n1"]["weight"].size


def test_a_convolution_over_time_in_groups_becomes_a_dense_one() -> None:
    graph = path(conv(6, 4, np.random.default_rng(0), (3,), groups=2), shape=(4, 9), to=(6, 7))
    assert proven("dense_groups", graph, NO_GROUPS).nodes["n0"]["weight"].shape == (6, 4, 3)


@pytest.mark.parametrize(("kernel", "dilation", "numbers"), [((3, 5), 1, [1, 2]), ((2, 3), 2, [1, 2]), ((5,), 1, 2)])
def test_padding_in_words_becomes_numbers(kernel: tuple[int, ...], dilation: int, numbers: Any) -> None:
    shape = SHAPE[: len(kernel) + 1]
    node = conv(3, 2, np.random.default_rng(0), kernel, padding="same", dilation=dilation)
    made = proven("same_padding_as_number", path(node, shape=shape, to=(3, *shape[1:])), NO_SAME)
    assert made.nodes["n0"]["padding"].tolist() == numbers


def test_no_padding_in_words_becomes_zeros() -> None:
    graph = path(conv(3, 2, np.random.default_rng(0), padding="valid"), to=(3, 4, 4))
    assert proven("same_padding_as_number", graph, NO_SAME).nodes["n0"]["padding"].tolist() == [0, 0]


def test_padding_with_an_odd_zero_at_the_end_is_refused() -> None:
    graph = path(conv(3, 2, np.random.default_rng(0), (2, 3), padding="same"), to=(3, 6, 5))
    refused(PASSES["same_padding_as_number"], graph, SOURCE, NO_SAME, Cause.UNSUPPORTED, "n0")


def everything() -> Graph:
    """A graph in which every pass would find something."""
    rng = np.random.default_rng(0)
    grouped = conv(4, 2, rng, (3, 3), padding="same", groups=2)
    return path(grouped, pool("AvgPool2d", padding=(1, 1)), pool("SumPool2d", 2, 2, 0), flatten(), to=(8,))


@pytest.mark.parametrize("each", OPERATORS, ids=lambda each: each.name)
def test_without_evidence_nothing_is_rewritten(each: Pass) -> None:
    taken = {kind: known() for kind in ("Flatten", "Conv1d", "Conv2d", "AvgPool2d", "SumPool2d")}
    assert each.rewrite(everything(), SOURCE, SOURCE) is None
    assert each.rewrite(everything(), SOURCE, target(**taken)) is None


def test_one_after_another_they_make_a_graph_of_plain_nodes() -> None:
    domain = {
        "Flatten": known(FlattenDims(0, -1)),
        "AvgPool2d": known(Form.ALONE, outputs=0),
        "SumPool2d": known(Form.PADDING, Written.ONE_FOR_BOTH),
        "Conv2d": known(Form.PADDING_SAME, Form.GROUPS),
    }
    before, graph = everything(), everything()
    for each in OPERATORS:
        rewritten = each.rewrite(graph, SOURCE, target(**domain))
        assert (rewritten is None) == (each.name == "flatten_order"), each.name  # no probe saw another order
        graph = graph if rewritten is None else rewritten.graph
    made, meant = simulate(graph, drive(graph), DT), simulate(before, drive(before), DT)
    assert_agree(made, meant, rtol=0, atol=1e-12)
    assert canonical(graph) != canonical(before)
    assert [graph.nodes[f"n{number}"].kind for number in range(4)] == ["Conv2d", "Conv2d", "SumPool2d", "Flatten"]
    assert all(each.rewrite(graph, SOURCE, target(**domain)) is None for each in OPERATORS)


@pytest.mark.parametrize("name", CORE)
def test_a_library_runs_what_its_own_probes_make_of_a_graph(name: str) -> None:
    """None of them takes this graph as it is; each has another reason."""
    rng = np.random.default_rng(1)
    grouped = conv(4, 2, rng, (3, 3), padding=1, groups=2)
    grouped = Node(grouped.kind, {**grouped.params, "input_shape": np.array(SHAPE[1:])})
    graph = path(grouped, pool("AvgPool2d", 3, 2, 1), pool("SumPool2d", 2, 2, 0), flatten(), dense(3, 4, rng), to=(3,))
    stimulus, side = drive(graph).astype(np.float32), Side(name, DT, domain=fingerprint_of(name).rules)
    rewritten = graph
    for each in OPERATORS:
        made = each.rewrite(rewritten, SOURCE, side)
        rewritten = rewritten if made is None else made.graph
    run = running(name)
    with pytest.raises(RunFailed):
        run(graph, stimulus, DT)
    ran = run(rewritten, stimulus, DT)
    (output,) = ran.outputs.values()
    np.testing.assert_allclose(output, simulate(graph, stimulus, DT).outputs["output"], rtol=0, atol=1e-5)
