"""Kernels filled up with zeros, Flatten orders undone in the weights behind, and the extents of pools and convolutions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Condition, Domain, FlattenDims, Form, Identified, Refusal, Written
from nir_interop.graphs import Array, Graph, Node, digest
from nir_interop.graphs.flattening import columns_of, reordered
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.passes import PASSES
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from nir_interop.vocabulary import Cause
from tests.strategies import DT, node

BY_NAME = {each.name: each for each in PASSES}
NIR = Side("nir", DT)


def side(kind: str, condition: Condition, order: tuple[int, ...] = ()) -> Side:
    refusal = Refusal(condition, "import_error", "no", order)
    return Side("other", DT, domain=Domain({kind: Identified(NIR_MEANING, 100, refusals=(refusal,))}))


def conv(rng: np.random.Generator, kernel: tuple[int, int], **params: Any) -> Node:
    values = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "input_shape": [7, 8], **params}
    return node("Conv2d", weight=rng.normal(0, 1, (3, 2 // int(values["groups"]), *kernel)), bias=rng.normal(0, 1, 3), **values)


def through(each: Node, shape: tuple[int, ...], to: tuple[int, ...], **more: Node) -> Graph:
    names = ["input", "conv", *more, "output"]
    nodes = {"input": node("Input", shape=shape), "conv": each, **more, "output": node("Output", shape=to)}
    return Graph(nodes, tuple(itertools.pairwise(names)))


def out_shape(each: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    from nir_interop.graphs.shapes import output_shape

    return output_shape(each, shape)


def answers(graph: Graph, seed: int = 0) -> Array:
    shape = tuple(int(size) for size in graph.nodes["input"]["shape"])  # type: ignore[index]
    x = np.random.default_rng(seed).normal(0, 1, (3, 2, *shape))
    return simulate(graph, x, DT).output


RECTANGULAR = side("Conv2d", Form.KERNEL_NOT_SQUARE)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_a_kernel_is_filled_up_where_a_square_one_gives_as_many_outputs(data: st.DataObject) -> None:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel, stride = data.draw(pair), data.draw(pair)
    dilation, padding = (
        data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        data.draw(st.tuples(*[st.integers(0, 2)] * 2)),
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    each = conv(rng, kernel, stride=stride, padding=padding, dilation=dilation)
    graph = through(each, (2, 7, 8), out_shape(each, (2, 7, 8)))
    before = digest(graph)
    made = BY_NAME["square_kernel"].rewrite(graph, NIR, RECTANGULAR)
    assert digest(graph) == before
    if kernel[0] == kernel[1]:
        assert made is None
    elif made is None:
        # Outputs are as many only where zeros before and behind are as many, or the stride leaves room.
        odd = {(size - each) % 2 for size, each in zip(kernel, kernel[::-1], strict=True)}
        assert odd == {1}
    else:
        square = made.graph.nodes["conv"]
        assert isinstance(square, Node) and len({*square["weight"].shape[2:]}) == 1
        np.testing.assert_allclose(answers(made.graph), answers(graph), rtol=1e-12, atol=1e-12)


def test_three_by_one_becomes_three_by_three() -> None:
    each = conv(np.random.default_rng(0), (3, 1))
    made = BY_NAME["square_kernel"].rewrite(through(each, (2, 7, 8), (3, 5, 8)), NIR, RECTANGULAR)
    assert made is not None and isinstance(made.graph.nodes["conv"], Node)
    assert made.graph.nodes["conv"]["weight"].shape == (3, 2, 3, 3)
    assert made.graph.nodes["conv"]["padding"].tolist() == [0, 1]


def test_without_evidence_and_for_padding_of_unlike_sides_nothing_is_filled_up() -> None:
    rng = np.random.default_rng(0)
    assert BY_NAME["square_kernel"].rewrite(through(conv(rng, (3, 1)), (2, 7, 8), (3, 5, 8)), NIR, NIR) is None
    same = conv(rng, (4, 3))
    same = Node("Conv2d", {**same.params, "padding": "same"})  # type: ignore[dict-item]
    assert BY_NAME["square_kernel"].rewrite(through(same, (2, 7, 8), (3, 7, 8)), NIR, RECTANGULAR) is None


def flattened(rng: np.random.Generator, *, tail: bool) -> Graph:
    more = {"fc": node("Affine", weight=rng.normal(0, 1, (4, 24)), bias=rng.normal(0, 1, 4))} if tail else {}
    graph = through(node("Flatten", start_dim=0, end_dim=-1), (2, 3, 4), (4,) if tail else (24,), **more)
    return Graph({("flat" if name == "conv" else name): each for name, each in graph.nodes.items()},
                 tuple((a.replace("conv", "flat"), b.replace("conv", "flat")) for a, b in graph.edges))  # fmt: skip


@pytest.mark.parametrize("tail", [True, False])
@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_another_order_is_undone_in_the_weights_behind(order: tuple[int, ...], tail: bool) -> None:
    """The importer joins in that order: of what it is given it makes what was meant."""
    graph = flattened(np.random.default_rng(0), tail=tail)
    found = side("Flatten", FlattenDims(0, -1), order)
    made = BY_NAME["flatten_order"].rewrite(graph, NIR, found)
    assert made is not None and made.nodes == ("flat",)
    run = reordered(made.graph, "flat", columns_of((2, 3, 4), order))
    assert run is not None
    np.testing.assert_allclose(answers(run), answers(graph), rtol=1e-12, atol=1e-12)
    assert not np.allclose(answers(made.graph), answers(graph))


def test_an_order_that_is_not_known_is_left_and_one_that_nothing_undoes_is_refused() -> None:
    graph = flattened(np.random.default_rng(0), tail=True)
    assert BY_NAME["flatten_order"].rewrite(graph, NIR, side("Flatten", FlattenDims(0, -1))) is None
    two = (1, 0)  # dimensions, where there are three
    assert BY_NAME["flatten_order"].rewrite(graph, NIR, side("Flatten", FlattenDims(0, -2), two)) is None
    wide = through(node("Flatten", start_dim=0, end_dim=-1), (2, 30, 40), (2400,))
    with pytest.raises(Refused) as refused:
        BY_NAME["flatten_order"].rewrite(wide, NIR, side("Flatten", FlattenDims(0, -1), (2, 1, 0)))
    assert refused.value.cause is Cause.FLATTEN_ORDER


def test_extents_are_written_out_where_the_importer_wants_them() -> None:
    rng = np.random.default_rng(0)
    each = conv(rng, (3, 3), stride=2, padding=1, dilation=1)
    graph = through(each, (2, 7, 8), (3, 4, 4))
    assert BY_NAME["pooling_as_arrays"].rewrite(graph, NIR, NIR) is None
    made = BY_NAME["pooling_as_arrays"].rewrite(graph, NIR, side("Conv2d", Written.ONE_FOR_BOTH))
    assert made is not None and isinstance(made.graph.nodes["conv"], Node)
    assert made.graph.nodes["conv"]["stride"].tolist() == [2, 2]
    np.testing.assert_array_equal(answers(made.graph), answers(graph))
