"""What reaches a neuron, scaled and shifted through pools and Flatten: at the weights before them, or not at all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.compare import assert_same_spikes
from nir_interop.graphs import Array, Graph, Node, digest, validate
from nir_interop.graphs.shapes import output_shape
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.neurons import Inputs
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.vocabulary import Cause
from tests.reconcile.sample_graphs import conv, flatten, pool, random_lif
from tests.strategies import DT, node

SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(["AvgPool2d", "SumPool2d"])
PICTURE = (1, 6, 5)
Shape = tuple[int, ...]
Edges = tuple[tuple[str, str], ...]


def wired(edges: Edges, to: Shape, shape: Shape = PICTURE, **nodes: Node) -> Graph:
    return Graph({"input": node("Input", shape=shape), "output": node("Output", shape=to)} | nodes, edges)


def chained(*nodes: Node) -> tuple[Graph, Shape]:
    """Input → n0 → n1 → … → cell → Output, and the shape that reaches the cell."""
    shape = PICTURE
    for each in nodes:
        shape = output_shape(each, shape)
    named = {f"n{number}": each for number, each in enumerate(nodes)} | {"cell": random_lif(shape, np.random.default_rng(0))}
    return wired(tuple(itertools.pairwise(["input", *named, "output"])), shape, **named), shape


def run(graph: Graph, seed: int) -> Recording:
    shape = graph.nodes["input"]["shape"]  # type: ignore[index]
    return simulate(graph, np.random.default_rng(seed).normal(0.3, 1.0, (15, 3, *shape)), DT)


def per_channel(shape: Shape, rng: np.random.Generator) -> Array:
    """One factor for each channel, of the shape of a sample."""
    return np.broadcast_to(rng.uniform(0.5, 2.0, (shape[0], *(1,) * (len(shape) - 1))), shape)


def heard(graph: Graph, name: str, seed: int) -> Array:
    """What reaches a node: an Output in its place hears it."""
    nodes = {key: value for key, value in graph.nodes.items() if key not in (name, "output")}
    edges = tuple(
        (source, "output" if end == name else end) for source, end in graph.edges if end != "output" and source != name
    )
    shape = validate(graph)[name][0]
    return run(Graph({**nodes, "output": node("Output", shape=shape)}, edges), seed).output.reshape(15, 3, *shape)


def windows(kind: str, padding: int = 0) -> Node:
    return pool(kind, (2, 2), (1, 2), (padding, padding))


@given(SEEDS, KINDS, KINDS, st.sampled_from([0, 1]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_convolution_before_pools_is_scaled_for_what_is_behind_them(
    seed: int, first: str, second: str, padding: int, flat: bool
) -> None:
    """Also over a border of zeros, which a factor leaves as it is."""
    rng = np.random.default_rng(seed)
    nodes = [conv(3, 1, rng), windows(first, padding), windows(second, padding)]
    graph, shape = chained(*nodes, *([flatten()] if flat else []))
    channels = per_channel((3, int(np.prod(shape)) // 3), rng).reshape(shape)
    before, inputs = digest(graph), Inputs(graph, DT)
    inputs.scale("cell", channels, Cause.RESISTANCE_IGNORED)
    assert digest(graph) == before
    made = inputs.graph()
    assert made.nodes.keys() == graph.nodes.keys()
    np.testing.assert_allclose(heard(made, "cell", seed), channels * heard(graph, "cell", seed), rtol=1e-12, atol=1e-12)


@given(SEEDS, KINDS, KINDS, st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_convolution_before_pools_without_padding_takes_a_bias(seed: int, first: str, second: str, flat: bool) -> None:
    rng = np.random.default_rng(seed)
    graph, shape = chained(conv(3, 1, rng, padding=1), windows(first), windows(second), *([flatten()] if flat else []))
    channels = per_channel((3, int(np.prod(shape)) // 3), rng).reshape(shape)
    before, inputs = digest(graph), Inputs(graph, DT)
    inputs.shift("cell", channels, Cause.LEAK_IGNORED)
    assert digest(graph) == before
    made = inputs.graph()
    assert made.nodes.keys() == graph.nodes.keys()
    np.testing.assert_allclose(heard(made, "cell", seed), channels + heard(graph, "cell", seed), rtol=1e-12, atol=1e-12)


def nodes_that_refuse(graph: Graph, values: Array, *, shift: bool = False) -> tuple[str, ...]:
    inputs = Inputs(graph, DT)
    with pytest.raises(Refused) as caught:
        (inputs.shift if shift else inputs.scale)("cell", values, Cause.GAIN)
    assert caught.value.cause is Cause.GAIN
    return caught.value.nodes


def test_a_bias_before_a_border_of_zeros_is_refused() -> None:
    rng = np.random.default_rng(0)
    graph, shape = chained(conv(3, 1, rng), windows("SumPool2d", 1))
    assert nodes_that_refuse(graph, np.ones(shape), shift=True) == ("n1", "cell")


def test_what_differs_within_a_channel_and_what_no_weights_feed_is_refused() -> None:
    rng = np.random.default_rng(0)
    graph, shape = chained(conv(3, 1, rng), windows("AvgPool2d"))
    assert nodes_that_refuse(graph, rng.uniform(1, 2, shape)) == ("n1", "cell")
    bare, shape = chained(windows("AvgPool2d"))
    assert (
        nodes_that_refuse(bare, np.full(shape, 2.0))
        == nodes_that_refuse(bare, np.full(shape, 2.0), shift=True)
        == ("n0", "cell")
    )


@pytest.mark.parametrize("shift", [False, True], ids=["scaled", "shifted"])
def test_a_vector_that_differs_within_a_channel_gets_weights_of_its_own(shift: bool) -> None:
    rng = np.random.default_rng(0)
    graph, shape = chained(conv(3, 1, rng), windows("AvgPool2d"), flatten())
    inputs, values = Inputs(graph, DT), rng.uniform(1, 2, shape)
    (inputs.shift if shift else inputs.scale)("cell", values, Cause.GAIN)
    made, old = inputs.graph(), heard(graph, "cell", 0)
    assert made.into("cell") == ("n2>cell",)
    np.testing.assert_allclose(heard(made, "cell", 0), old + values if shift else old * values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shift", [False, True], ids=["scaled", "shifted"])
def test_a_pool_that_feeds_others_too_is_copied_with_the_weights_before_it(shift: bool) -> None:
    rng = np.random.default_rng(0)
    shape, nodes = (3, 3, 2), {"conv": conv(3, 1, rng), "pool": windows("SumPool2d"), "cell": random_lif((3, 3, 2), rng)}
    edges = (("input", "conv"), ("conv", "pool"), ("pool", "cell"), ("pool", "other"), ("cell", "output"), ("other", "output"))
    graph = wired(edges, shape, **nodes, other=random_lif(shape, rng))
    inputs, values = Inputs(graph, DT), per_channel(shape, rng)
    (inputs.shift if shift else inputs.scale)("cell", values, Cause.GAIN)
    made, old = inputs.graph(), heard(graph, "cell", 0)
    assert set(made.nodes) - set(graph.nodes) == {"pool>cell", "conv>pool>cell"}
    np.testing.assert_allclose(heard(made, "cell", 0), old + values if shift else old * values, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(heard(made, "other", 0), heard(graph, "other", 0))


def test_all_weights_before_a_pool_are_scaled_and_one_takes_a_bias() -> None:
    rng = np.random.default_rng(0)
    shape, nodes = (
        (3, 3, 2),
        {"a": conv(3, 1, rng), "b": conv(3, 1, rng), "pool": windows("SumPool2d"), "cell": random_lif((3, 3, 2), rng)},
    )
    edges = (("input", "a"), ("input", "b"), ("a", "pool"), ("b", "pool"), ("pool", "cell"), ("cell", "output"))
    graph, values = wired(edges, shape, **nodes), per_channel(shape, rng)
    scaled, shifted, old = Inputs(graph, DT), Inputs(graph, DT), heard(graph, "cell", 0)
    scaled.scale("cell", values, Cause.GAIN)
    shifted.shift("cell", values, Cause.GAIN)
    assert (scaled.touched, shifted.touched) == ({"a", "b", "pool"}, {"a", "pool"})
    np.testing.assert_allclose(heard(scaled.graph(), "cell", 0), old * values, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(heard(shifted.graph(), "cell", 0), old + values, rtol=1e-12, atol=1e-12)


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_a_pool_through_which_a_neuron_feeds_itself_is_passed_too(seed: int) -> None:
    """What waits is scaled, and a bias goes to what does not wait."""
    rng, shape = np.random.default_rng(seed), (2, 6, 5)
    nodes = {"into": conv(2, 1, rng, (1, 1)), "back": conv(2, 2, rng, (1, 1)), "pool": pool("AvgPool2d", (1, 1), (1, 1))}
    edges = (("input", "into"), ("into", "cell"), ("cell", "back"), ("back", "pool"), ("pool", "cell"), ("cell", "output"))
    cell = random_lif(shape, rng)
    graph, values = wired(edges, shape, **nodes, cell=cell), per_channel(shape, rng)
    inputs = Inputs(graph, DT)
    inputs.scale("cell", values, Cause.GAIN)
    inputs.replace("cell", Node("LIF", {**cell.params, "r": cell["r"] / values}))
    inputs.shift("cell", values, Cause.GAIN)
    inputs.shift("cell", -values, Cause.GAIN)
    made = inputs.graph()
    np.testing.assert_array_equal(made.nodes["back"]["bias"], values[:, 0, 0] * nodes["back"]["bias"])  # type: ignore[index]
    assert_same_spikes(run(made, seed).spikes["cell"], run(graph, seed).spikes["cell"])
