"""The primitives without memory against sums written out in NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nir_interop.graphs import Node
from nir_interop.reference.operators import operator
from tests.strategies import node


def apply(subject: Node, x: np.ndarray) -> np.ndarray:
    return operator(subject, torch.float64)(torch.tensor(x)).numpy()


def convolve(x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int, padding: int, dilation: int, groups: int) -> np.ndarray:
    """Cross-correlation over two dimensions, one output at a time."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    outputs, inputs, height, width = w.shape
    rows = (x.shape[2] - dilation * (height - 1) - 1) // stride + 1
    columns = (x.shape[3] - dilation * (width - 1) - 1) // stride + 1
    y = np.zeros((len(x), outputs, rows, columns))
    for n, o, i, j in itertools.product(range(len(x)), range(outputs), range(rows), range(columns)):
        first = o // (outputs // groups) * inputs
        y[n, o, i, j] = b[o] + sum(
            w[o, c, k, m] * x[n, first + c, i * stride + k * dilation, j * stride + m * dilation]
            for c, k, m in itertools.product(range(inputs), range(height), range(width))
        )
    return y


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (1, 1, 1, 2)])
def test_convolution_is_the_sum_it_says(stride: int, padding: int, dilation: int, groups: int) -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 4, 7, 6)), rng.normal(size=(6, 4 // groups, 3, 2)), rng.normal(size=6)
    subject = node("Conv2d", weight=w, bias=b, stride=stride, padding=padding, dilation=[dilation] * 2, groups=groups)
    np.testing.assert_allclose(apply(subject, x), convolve(x, w, b, stride, padding, dilation, groups), atol=1e-12)


def test_a_convolution_in_one_dimension_is_one_in_two_with_a_single_row() -> None:
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(2, 3, 9)), rng.normal(size=(4, 3, 3)), rng.normal(size=4)
    one = node("Conv1d", weight=w, bias=b, stride=2, padding=1, dilation=1, groups=1)
    two = node("Conv2d", weight=w[:, :, None], bias=b, stride=[1, 2], padding=[0, 1], dilation=1, groups=1)
    np.testing.assert_allclose(apply(one, x), apply(two, x[:, :, None])[:, :, 0], atol=1e-12)


@pytest.mark.parametrize("text", [str, np.array], ids=["text", "array"])
def test_same_padding_keeps_the_size_and_valid_has_none(text: Callable[[str], object]) -> None:
    x, w, b = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3)), np.zeros(1)
    plain = node("Conv2d", weight=w, bias=b, stride=1, dilation=1, groups=1)
    same, valid = (Node("Conv2d", {**plain.params, "padding": text(word)}) for word in ("same", "valid"))
    assert apply(same, x)[0, 0, 0].tolist() == [4, 6, 6, 6, 4]
    assert apply(valid, x).shape == (1, 1, 3, 3)


def test_same_padding_of_an_even_kernel_has_the_odd_zero_at_the_end() -> None:
    x, w = np.arange(1.0, 7.0).reshape(1, 1, 2, 3), np.ones((1, 1, 1, 2))
    plain = node("Conv2d", weight=w, bias=[0.0], stride=1, dilation=1, groups=1)
    assert apply(Node("Conv2d", {**plain.params, "padding": "same"}), x)[0, 0].tolist() == [[3, 5, 3], [9, 11, 6]]


def test_pools_count_their_padding_as_zeros() -> None:
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    window = {"kernel_size": [2, 2], "stride": [2, 2], "padding": [1, 1]}
    assert apply(node("SumPool2d", **window), x)[0, 0].tolist() == [[1, 5], [11, 28]]
    assert apply(node("AvgPool2d", **window), x)[0, 0].tolist() == [[0.25, 1.25], [2.75, 7]]


def test_a_pool_takes_scalars_and_a_padding_of_more_than_half_its_window() -> None:
    x = np.ones((1, 1, 2, 2))
    assert apply(node("SumPool2d", kernel_size=2, stride=2, padding=2), x)[0, 0].tolist() == [[0, 0, 0], [0, 4, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("start", "end", "shape"), [(0, -1, (24,)), (1, -1, (2, 12)), (0, 1, (6, 4)), (-3, -1, (24,)), (-2, -1, (2, 12))]
)
def test_flatten_counts_the_dimensions_of_a_sample(start: int, end: int, shape: tuple[int, ...]) -> None:
    x = np.arange(2 * 24.0).reshape(2, 2, 3, 4)
    y = apply(node("Flatten", start_dim=start, end_dim=end), x)
    assert y.shape == (2, *shape)
    np.testing.assert_array_equal(y.ravel(), x.ravel())


def test_affine_linear_scale_and_threshold() -> None:
    x = np.array([[1.0, 2.0]])
    assert apply(node("Affine", weight=[[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]], bias=[0.0, 1.0, 2.0]), x).tolist() == [[5, 3, 3]]
    assert apply(node("Linear", weight=[[1.0, 2.0]]), x).tolist() == [[5]]
    assert apply(node("Scale", scale=[3.0, 0.5]), x).tolist() == [[3, 1]]
    assert apply(node("Threshold", threshold=[1.0, 1.0]), x).tolist() == [[0, 1]]


def test_a_whole_number_may_be_an_array_of_one(tmp_path: Path) -> None:
    from nir_interop.graphs import Graph, read, write
    from nir_interop.reference import simulate
    from tests.fuzz.seeds import graphs

    for number, names in ((2, ("groups", "start_dim", "end_dim")), (3, ("groups", "start_dim", "end_dim", "stride"))):
        graph = graphs()[number]
        (entry,) = graph.of_kind("Input")
        stimulus = np.random.default_rng(0).random((5, 2, *graph.nodes[entry]["shape"]))
        nodes: dict[str, Node] = {}
        for name, each in graph.primitives():
            ones = {key: np.reshape(each[key], 1) for key in names if key in each.params and np.ndim(each[key]) == 0}
            nodes[name] = Node(each.kind, {**each.params, **ones})
        write(tmp_path / "ones.nir", Graph(nodes, graph.edges))
        reread = read(tmp_path / "ones.nir")
        assert np.array_equal(simulate(reread, stimulus, 1e-4).output, simulate(graph, stimulus, 1e-4).output)
