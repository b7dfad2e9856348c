"""Graphs that mean the same have one digest; graphs that do not have two."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from nir_interop.graphs import Graph, Node, canonical, digest, validate
from tests.graphs.sample_graphs import affine, chain, changed, lif, node, small


def recast(graph: Graph, dtype: str) -> Graph:
    return Graph({name: Node(one.kind, {key: value.astype(dtype) for key, value in one.params.items()})
                  for name, one in graph.primitives()}, graph.edges)  # fmt: skip


def conv(**params: Any) -> Graph:
    values = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **params}
    one = node("Conv2d", weight=np.ones((2, 1, 3, 3)), bias=np.zeros(2), **values)
    return chain(("conv", one), inputs=(1, 5, 5), outputs=(2, 5, 5))


def flat(start: int, end: int, **params: Any) -> Graph:
    return chain(("flat", node("Flatten", start_dim=start, end_dim=end, **params)), inputs=(2, 3, 4), outputs=(24,))


def test_the_order_of_nodes_and_edges_does_not_count() -> None:
    graph = small()
    assert digest(Graph(dict(reversed(graph.nodes.items())), tuple(reversed(graph.edges)))) == digest(graph)


def test_metadata_do_not_count() -> None:
    assert digest(Graph(small().nodes, small().edges, {"dt": 1e-4})) == digest(small())


def test_the_width_of_a_number_does_not_count_but_its_value_does() -> None:
    single = recast(changed(small(), lif=lif(tau=np.full(3, 2e-3))), "f4")
    assert digest(recast(single, "f8")) == digest(single)
    assert digest(single) != digest(small())


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8", "u2", "f8"])
def test_the_type_of_a_whole_number_does_not_count(dtype: str) -> None:
    assert digest(conv(padding=np.array(1, dtype=dtype))) == digest(conv(padding=1))


@pytest.mark.parametrize("value", [np.float64(2e-3), np.full(1, 2e-3), np.full(3, 2e-3)])
def test_one_number_is_the_same_number_for_every_neuron(value: Any) -> None:
    assert digest(changed(small(), lif=lif(tau=value))) == digest(small())


def test_one_number_stands_for_every_output_of_a_bias() -> None:
    weight = np.ones((3, 2))
    one, many = (node("Affine", weight=weight, bias=bias) for bias in (np.float32(0.5), np.full(3, 0.5)))
    assert digest(changed(small(), fc=one)) == digest(changed(small(), fc=many))


def test_minus_zero_is_zero() -> None:
    assert digest(changed(small(), lif=lif(v_leak=np.float64(-0.0)))) == digest(small())


def test_annotations_do_not_count() -> None:
    assert digest(conv(padding=1, input_shape=np.array([5, 5]))) == digest(conv(padding=1))
    assert digest(flat(0, -1, input_type=np.array([2, 3, 4]))) == digest(flat(0, -1))


def test_a_number_for_each_dimension_is_the_same_as_one_for_all() -> None:
    assert digest(conv(padding=np.array([1, 1]), stride=np.array([1]))) == digest(conv(padding=1))
    assert digest(conv(padding=np.array([1, 2]))) != digest(conv(padding=1))


def test_paddings_in_words_are_the_same_as_in_numbers() -> None:
    assert digest(conv(padding="same")) == digest(conv(padding=1))
    assert digest(conv(padding="valid")) == digest(conv(padding=0))


def test_a_flatten_counts_from_both_ends() -> None:
    assert digest(flat(-3, -1)) == digest(flat(0, 2)) == digest(flat(0, -1))
    assert digest(flat(0, 1)) != digest(flat(0, -1))


def test_a_nested_graph_is_the_same_as_its_inlined_form() -> None:
    nested = chain(("fc", affine()), ("a", chain(("lif", lif()), inputs=(3,))))
    assert digest(nested) == digest(chain(("fc", affine()), ("a.lif", lif())))


@pytest.mark.parametrize(
    "other",
    [
        changed(small(), lif=lif(tau=np.array([2e-3, 2e-3, 2e-3 + 1e-18]))),
        changed(small(), fc=affine(seed=1)),
        changed(small(), edges=[*small().edges, ("lif", "lif")]),
        changed(small(), edges=[*small().edges, ("fc", "output")]),
        changed(small(), lif=node("LI", tau=np.full(3, 2e-3), r=np.ones(3), v_leak=np.zeros(3))),
        chain(("fc", affine()), ("other", lif())),
    ],
)
def test_whatever_means_something_else_has_another_digest(other: Graph) -> None:
    assert digest(other) != digest(small())


def test_the_canonical_form_is_its_own_canonical_form_and_valid() -> None:
    for graph in (small(), conv(padding="same"), flat(-3, -1)):
        once = canonical(graph)
        assert digest(once) == digest(graph)
        assert canonical(once).edges == once.edges
    assert validate(canonical(small())) == validate(small())


def test_a_graph_that_is_not_valid_has_a_digest_too() -> None:
    wrong = changed(small(), lif=lif(tau=np.full(5, np.nan)))
    assert digest(wrong) == digest(wrong) != digest(small())
    assert len(digest(chain(("flat", node("Flatten", start_dim=5, end_dim=9)), ("odd", node("Quantum", q=1.0))))) == 64


def test_the_digest_does_not_depend_on_the_process() -> None:
    script = "from tests.graphs.sample_graphs import small; from nir_interop.graphs import digest; print(digest(small()))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == digest(small())
