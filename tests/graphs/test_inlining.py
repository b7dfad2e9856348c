"""Graphs within graphs, made flat."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Graph, inline, validate
from tests.graphs.sample_graphs import affine, assert_one_clear_line, chain, changed, lif, node, small


def inner() -> Graph:
    return chain(("a", lif()), ("b", lif()), inputs=(3,))


def test_a_flat_graph_stays_as_it_is() -> None:
    graph = small()
    assert inline(graph) is graph


def test_inner_nodes_get_the_subgraphs_name_in_front_and_edges_are_joined() -> None:
    flat = inline(changed(small(), lif=inner()))
    assert sorted(flat.nodes) == ["fc", "input", "lif.a", "lif.b", "output"]
    assert sorted(flat.edges) == [("fc", "lif.a"), ("input", "fc"), ("lif.a", "lif.b"), ("lif.b", "output")]


def test_subgraphs_of_subgraphs_are_inlined_too() -> None:
    nested = changed(inner(), b=inner())
    flat = inline(changed(small(), lif=nested))
    assert sorted(flat.nodes) == ["fc", "input", "lif.a", "lif.b.a", "lif.b.b", "output"]
    assert ("lif.a", "lif.b.a") in flat.edges
    assert validate(flat) == validate(changed(small(), lif=nested))


def test_several_edges_on_both_sides_are_all_joined() -> None:
    graph = inner()
    graph = changed(graph, edges=[*graph.edges, ("input", "b"), ("a", "output")])
    outer = changed(small(), lif=graph, skip=affine(seed=1), edges=[*small().edges, ("input", "skip"), ("skip", "lif")])
    assert set(inline(outer).edges) == {
        ("input", "fc"), ("input", "skip"),
        ("fc", "lif.a"), ("fc", "lif.b"), ("skip", "lif.a"), ("skip", "lif.b"),
        ("lif.a", "lif.b"), ("lif.a", "output"), ("lif.b", "output"),
    }  # fmt: skip


def test_a_recurrent_subgraph_keeps_its_cycle() -> None:
    graph = changed(small(), lif=inner(), edges=[*small().edges, ("lif", "lif")])
    assert ("lif.b", "lif.a") in inline(graph).edges


def test_an_empty_subgraph_is_a_wire() -> None:
    graph = chain(("fc", affine()), ("wire", chain(inputs=(3,))), ("lif", lif()))
    assert ("fc", "lif") in inline(graph).edges
    assert validate(graph)["lif"] == ((3,), (3,))


def test_names_do_not_collide() -> None:
    graph = chain(("fc", affine()), ("a", inner()), ("a.b", lif()), ("a.b_", lif()))
    flat = inline(graph)
    assert len(flat.nodes) == 7
    assert flat.nodes["a.b"] is graph.nodes["a.b"]
    assert ("a.b__", "a.b") in flat.edges


def test_two_ways_between_two_nodes_that_would_become_one_edge_are_refused() -> None:
    graph = chain(("fc", affine()), ("wire", chain(inputs=(3,))), ("lif", lif()))
    with pytest.raises(InvalidGraph) as caught:
        inline(changed(graph, edges=[*graph.edges, ("fc", "lif")]))
    assert_one_clear_line(caught.value, "'fc'", "'lif'", "'wire'")


def test_a_wire_that_feeds_itself_is_refused() -> None:
    graph = chain(("fc", affine()), ("wire", chain(inputs=(3,))), ("lif", lif()))
    with pytest.raises(InvalidGraph) as caught:
        inline(changed(graph, edges=[*graph.edges, ("wire", "wire")]))
    assert_one_clear_line(caught.value, "'wire'")


def test_an_edge_of_a_subgraph_to_a_missing_node_is_refused() -> None:
    graph = changed(small(), lif=changed(inner(), edges=[*inner().edges, ("input", "lif")]))
    with pytest.raises(InvalidGraph) as caught:
        inline(graph)
    assert_one_clear_line(caught.value, "subgraph 'lif'", "'lif'", "not there")


def test_the_order_of_the_nodes_makes_no_difference() -> None:
    graph = changed(small(), lif=inner())
    turned = Graph(dict(reversed(graph.nodes.items())), tuple(reversed(graph.edges)))
    assert set(inline(turned).edges) == set(inline(graph).edges)
    assert np.array_equal(inline(turned).nodes["lif.a"]["tau"], node("LIF", tau=np.full(3, 2e-3))["tau"])
