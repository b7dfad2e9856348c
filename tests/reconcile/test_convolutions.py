"""Convolutions as dense layers: the reference agrees before and after, and so does a library that takes no convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Domain, Form, Identified, Refusal
from nir_interop.graphs import Graph, Node, digest, validate
from nir_interop.graphs.shapes import output_shape
from nir_interop.reconcile import shapes
from nir_interop.reconcile.model import Rewritten
from nir_interop.reconcile.shapes import AS_DENSE, OPERATORS
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Decay, Gain, ResetKind, Timing
from nir_interop.vocabulary import Cause
from tests.known import fingerprint_of, running
from tests.reconcile.pass_checks import refused
from tests.reconcile.sample_graphs import conv, dense, flatten, path, pool, random_lif
from tests.strategies import DT, lif, node

(DENSE,) = AS_DENSE
SEEDS = st.integers(0, 2**32 - 1)
LATE = NIR_MEANING.but(decay=Decay.EXPONENTIAL, gain=Gain.COMPLEMENT, reset=ResetKind.SUBTRACT, timing=Timing.NEXT_STEP)
SOURCE = Side("nir", DT)
Shape = tuple[int, ...]
Make = Callable[[Shape, np.random.Generator], Node]
LINE, PICTURE = (2, 9), (2, 6, 5)


def target(outputs: int = 0, *refused: Form, **others: int) -> Side:
    """A side whose probes of convolutions gave so many outputs, some of which were refused."""
    found = Identified(NIR_MEANING, outputs, refusals=tuple(Refusal(each, "refused", "") for each in refused))
    rest = {kind: Identified(NIR_MEANING, number) for kind, number in others.items()}
    return Side("other", DT, domain=Domain({"Conv1d": found, "Conv2d": found, **rest}))


NONE, NOT_SQUARE = target(), target(100, Form.KERNEL_NOT_SQUARE)


def proven(graph: Graph, side: Side = NONE, seed: int = 0) -> Graph:
    """What the pass makes of a graph: spikes and analogue values are the same in a row, under two rules."""
    before, shapes = digest(graph), validate(graph)
    stimulus = np.random.default_rng(seed).normal(0.3, 1.0, (20, 3, *graph.nodes["input"]["shape"]))
    rewritten = DENSE.rewrite(graph, SOURCE, side)
    assert isinstance(rewritten, Rewritten)
    assert digest(graph) == before
    assert set(rewritten.nodes) <= set(graph.nodes)
    for rules in ({}, {"LIF": LATE}):
        one, other = (simulate(each, stimulus, DT, rules) for each in (graph, rewritten.graph))
        assert one.spikes.keys() == other.spikes.keys()
        for name, spikes in one.spikes.items():
            assert_same_spikes(spikes.reshape(other.spikes[name].shape), other.spikes[name])
        for name, membrane in one.membranes.items():
            np.testing.assert_allclose(other.membranes[name], membrane.reshape(20, 3, -1), rtol=0, atol=1e-12)
        np.testing.assert_allclose(other.output, one.output, rtol=0, atol=1e-12)
    made = validate(rewritten.graph)
    for name in set(rewritten.nodes) & set(rewritten.graph.nodes):
        assert made[name] == tuple((int(np.prod(shape)),) for shape in shapes[name])
    assert DENSE.rewrite(rewritten.graph, SOURCE, side) is None
    return rewritten.graph


def built(shape: Shape, rng: np.random.Generator, *makers: Make) -> Graph:
    """Input → a node of each maker, for the shape that reaches it → Output."""
    nodes, first = [], shape
    for make in makers:
        nodes.append(make(shape, rng))
        shape = output_shape(nodes[-1], shape)
    return path(*nodes, to=shape, shape=first)


def convolved(out: int, kernel: Shape, **given: Any) -> Make:
    return lambda shape, rng: conv(out, shape[0], rng, kernel, **given)


def scaled(shape: Shape, rng: np.random.Generator) -> Node:
    return node("Scale", scale=rng.uniform(0.5, 1.5, shape))


def late(shape: Shape, rng: np.random.Generator) -> Node:
    return node("Delay", delay=DT * rng.integers(0, 3, shape))


def full(out: int) -> Make:
    return lambda shape, rng: dense(out, shape[-1], rng)


def of(made: Node) -> Make:
    return lambda shape, rng: made


END: tuple[Make, ...] = (of(flatten()), full(4), random_lif)
EXTENTS: tuple[dict[str, Any], ...] = (
    {},
    {"stride": 2, "padding": 1, "dilation": 2},
    {"padding": "same"},
    {"padding": "valid", "dilation": 3},
    {"groups": 2, "padding": 2},
)


@given(SEEDS, st.sampled_from(EXTENTS), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_a_convolution_over_a_line_is_a_dense_layer_on_what_is_flattened(
    seed: int, extents: dict[str, Any], kernel: int
) -> None:
    rng = np.random.default_rng(seed)
    makers = (convolved(4, (kernel,), **extents), random_lif, scaled, late, convolved(3, (1,)), *END)
    made = proven(built(LINE, rng, *makers), seed=seed)
    assert {made.nodes[name].kind for name in ("n0", "n4", "n6")} == {"Affine"}
    assert made.of_kind("Flatten") == ("input_flat",)


@given(SEEDS, st.sampled_from(EXTENTS), st.sampled_from(["AvgPool2d", "SumPool2d"]), st.sampled_from([(0, 0), (1, 0)]))
@settings(max_examples=40, deadline=None)
def test_pools_and_dense_layers_behind_a_picture_become_dense_layers_too(
    seed: int, extents: dict[str, Any], kind: str, padding: Shape
) -> None:
    rng = np.random.default_rng(seed)
    makers = (convolved(4, (2, 1), **extents), random_lif, of(pool(kind, (2, 1), (1, 2), padding)), full(3), random_lif, *END)
    made = proven(built(PICTURE, rng, *makers), NOT_SQUARE, seed)
    assert not {"Conv2d", kind} & {each.kind for each in made.nodes.values()}


def test_a_flatten_of_some_dimensions_has_nothing_left_to_do() -> None:
    rng = np.random.default_rng(0)
    made = proven(
        built(PICTURE, rng, convolved(3, (2, 3)), of(flatten(1, 2)), random_lif, of(flatten(0, 1)), full(3)), NOT_SQUARE
    )
    assert made.of_kind("Flatten") == ("input_flat",)


def test_one_number_for_all_neurons_stays_one() -> None:
    rng = np.random.default_rng(0)
    single = node("LIF", tau=5 * DT, r=1.0, v_leak=0.0, v_threshold=0.3, v_reset=0.0)
    made = proven(built(LINE, rng, convolved(3, (3,)), of(single), *END))
    assert made.nodes["n1"]["tau"].shape == ()


def wired(edges: tuple[tuple[str, str], ...], shape: Shape, to: Shape, **nodes: Node) -> Graph:
    return Graph({"input": node("Input", shape=shape), "output": node("Output", shape=to)} | nodes, edges)


def test_another_convolution_that_joins_is_flattened_before() -> None:
    """The one with a square kernel is taken as it is; what feeds both is flattened for one of them."""
    rng = np.random.default_rng(1)
    nodes = {"odd": conv(2, 2, rng, (3, 1), padding="same"), "square": conv(2, 2, rng, (3, 3), padding=1)}
    edges = (("input", "odd"), ("input", "square"), ("odd", "cell"), ("square", "cell"), ("cell", "flat"), ("flat", "output"))
    made = proven(wired(edges, PICTURE, (60,), **nodes, cell=random_lif(PICTURE, rng), flat=flatten()), NOT_SQUARE)
    assert made.nodes["square"].kind == "Conv2d"
    assert set(made.into("cell")) == {"odd", "square_flat"}
    assert made.into("output") == ("cell",)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_convolution_through_which_a_neuron_feeds_itself_is_a_dense_layer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = {"into": conv(2, 2, rng, (1,)), "back": conv(2, 2, rng, (3,), padding=1), "cell": random_lif(LINE, rng)}
    edges = (("input", "into"), ("into", "cell"), ("cell", "back"), ("back", "cell"), ("cell", "flat"), ("flat", "output"))
    made = proven(wired(edges, LINE, (18,), **nodes, flat=flatten()), seed=seed)
    assert made.of_kind("Flatten") == ("input_flat",)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_flatten_on_a_cycle_stays(seed: int) -> None:
    """There it can only be one that joins nothing: no primitive takes its sample apart again."""
    rng = np.random.default_rng(seed)
    nodes = {
        "into": conv(2, 2, rng, (3,), padding=1),
        "cell": random_lif(LINE, rng),
        "none": flatten(1, 1),
        "mix": random_lif(LINE, rng),
    }
    edges = (("input", "into"), ("into", "cell"), ("cell", "none"), ("none", "mix"), ("mix", "none"), ("mix", "flat"))
    made = proven(wired((*edges, ("flat", "output")), LINE, (18,), **nodes, flat=flatten()), seed=seed)
    assert set(made.of_kind("Flatten")) == {"none", "input_flat"}


def test_of_two_flattens_between_the_same_nodes_one_stays() -> None:
    rng = np.random.default_rng(2)
    nodes = {"into": conv(2, 2, rng, (3,), padding=1), "one": flatten(), "two": flatten(), "cell": random_lif((18,), rng)}
    edges = (("input", "into"), ("into", "one"), ("into", "two"), ("one", "cell"), ("two", "cell"), ("cell", "output"))
    made = proven(wired(edges, LINE, (18,), **nodes))
    assert set(made.into("cell")) == {"into", "two"}


def test_an_output_that_is_no_vector_is_refused() -> None:
    graph = built(LINE, np.random.default_rng(0), convolved(3, (3,)), random_lif)
    assert "vector" in refused(DENSE, graph, SOURCE, NONE, Cause.NODE_DROPPED, "n0", "output").why
    graph = built(PICTURE, np.random.default_rng(0), convolved(3, (3, 1)), random_lif)
    refused(DENSE, graph, SOURCE, NOT_SQUARE, Cause.UNSUPPORTED, "n0", "output")


@pytest.mark.parametrize("missing", ["Affine", "Flatten"])
def test_without_affine_or_flatten_a_convolution_is_refused(missing: str) -> None:
    graph = built(LINE, np.random.default_rng(0), convolved(3, (3,)), *END)
    assert missing in refused(DENSE, graph, SOURCE, target(**{missing: 0}), Cause.NODE_DROPPED, "n0").why


def test_a_matrix_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = built(LINE, np.random.default_rng(0), convolved(3, (3,)), *END)
    monkeypatch.setattr(shapes, "MOST_WEIGHTS", 21 * 18)
    proven(graph)
    monkeypatch.setattr(shapes, "MOST_WEIGHTS", 21 * 18 - 1)
    assert "21 x 18" in refused(DENSE, graph, SOURCE, NONE, Cause.NODE_DROPPED, "n0").why


def test_a_convolution_that_is_taken_or_of_which_nothing_is_known_stays() -> None:
    rng = np.random.default_rng(0)
    for graph in (built(LINE, rng, convolved(3, (3,)), *END), built(PICTURE, rng, convolved(3, (3, 3), padding="same"), *END)):
        assert DENSE.rewrite(graph, SOURCE, SOURCE) is None
        assert DENSE.rewrite(graph, SOURCE, target(100)) is None
        assert DENSE.rewrite(graph, SOURCE, target(100, Form.GROUPS, Form.KERNEL_NOT_SQUARE, Form.PADDING_SAME)) is None


def test_padding_that_no_number_says_is_a_dense_layer() -> None:
    """Two more zeros behind than any number of zeros on both sides gives; an even number is another pass's."""
    rng = np.random.default_rng(0)
    for side in (target(100, Form.PADDING_SAME), NONE):
        proven(built(LINE, rng, convolved(3, (4,), padding="same"), random_lif, *END), side)
    even = built(LINE, rng, convolved(3, (3,), padding="same"), random_lif, *END)
    assert DENSE.rewrite(even, SOURCE, target(100, Form.PADDING_SAME)) is None


def plain(shape: Shape, rng: np.random.Generator) -> Node:
    """Neurons that all three libraries run as NIR says."""
    return lif(shape, tau=10 * DT, v_threshold=float(rng.uniform(0.1, 0.2)))


def test_norse_runs_the_convolution_that_it_drops() -> None:
    """Evidence is what its own probes found; the rewritten graph goes through its own importer."""
    rng, found = np.random.default_rng(5), fingerprint_of("norse")
    first = convolved(3, (3,), padding=1, stride=2)
    graph = built(LINE, rng, first, plain, of(flatten()), full(4), plain)
    size = {"input_shape": np.array(LINE[1])}
    graph = Graph({**graph.nodes, "n0": Node("Conv1d", {**graph.nodes["n0"].params, **size})}, graph.edges)
    stimulus = rng.normal(0.3, 1.0, (40, 3, *LINE)).astype(np.float32)
    side = Side("norse", DT, {"LIF": found.rules["LIF"].rule}, found.rules)
    rewritten, applied = graph, []
    for each in (*AS_DENSE, *OPERATORS):
        made = each.rewrite(rewritten, SOURCE, side)
        if made is not None:
            rewritten = made.graph
            applied.append(each.name)
    assert applied == ["convolution_as_dense", "negative_flatten_dims"]
    expected = simulate(graph, stimulus, DT).output
    assert expected.any()
    run = running("norse")
    with pytest.raises(RunFailed):
        run(graph, stimulus, DT)
    np.testing.assert_array_equal(run(rewritten, stimulus, DT).output, expected)
