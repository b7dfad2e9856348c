"""Graphs in forms that NIR or its users had, written as today's NIR."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nir_interop.graphs import Graph, Node, digest, upgraded
from tests.graphs.sample_graphs import chain
from tests.strategies import node


def lif(shape: tuple[int, ...], dtype: Any = np.float32, **changed: Any) -> Node:
    values = {"tau": 2e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5, "v_reset": 0.0}
    return node("LIF", **{name: np.full(shape, value, dtype) for name, value in values.items()} | changed)


def affine(outputs: int, inputs: int, dtype: Any = np.float32, **changed: Any) -> Node:
    weight = np.random.default_rng(0).integers(-3, 4, (outputs, inputs)).astype(dtype)
    return node("Affine", **{"weight": weight, "bias": np.zeros(outputs, dtype)} | changed)


def texts(graph: Graph) -> list[str]:
    return [change.text for change in upgraded(graph)[1]]


def made(graph: Graph, name: str) -> Node:
    found = upgraded(graph)[0].nodes[name]
    assert isinstance(found, Node)
    return found


def test_what_is_todays_nir_comes_back_with_its_own_arrays_and_without_a_change() -> None:
    graph = chain(("fc", affine(3, 2)), ("lif", lif((3,))))
    new, changes, called = upgraded(graph)
    assert changes == () and called == {}
    for name, old in graph.primitives():
        other = new.nodes[name]
        assert isinstance(other, Node)
        assert all(other.params[each] is value for each, value in old.params.items())


@pytest.mark.parametrize(("shape", "before"), [((), "one number"), ((1,), "(1,)")])
def test_neuron_parameters_of_one_number_become_one_for_each_neuron(shape: tuple[int, ...], before: str) -> None:
    graph = chain(("fc", affine(3, 2)), ("lif", lif(shape)))
    assert texts(graph) == [f"r, tau, v_leak, v_reset, v_threshold of LIF 'lif': {before} → (3,)"]
    assert all(value.shape == (3,) and value.dtype == np.float32 for value in made(graph, "lif").params.values())
    assert digest(upgraded(graph)[0]) == digest(graph)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int8, np.float16])
def test_numbers_of_other_types_become_floats(dtype: Any) -> None:
    weight = np.array([[1, 2], [3, 4], [0, 1]], dtype)
    graph = chain(("fc", affine(3, 2, weight=weight)), ("lif", lif((3,))))
    assert texts(graph) == [f"weight of Affine 'fc': {np.dtype(dtype)} → float32"]
    assert np.array_equal(made(graph, "fc")["weight"], weight) and made(graph, "fc")["weight"].dtype == np.float32


def test_whole_numbers_that_single_precision_lacks_become_double() -> None:
    weight = np.array([[2**24 + 1, 2], [3, 4], [0, 1]])
    graph = chain(("fc", affine(3, 2, weight=weight)), ("lif", lif((3,))))
    assert made(graph, "fc")["weight"].dtype == np.float64
    assert np.array_equal(made(graph, "fc")["weight"], weight)
