"""What an exporter made of a graph, said node by node."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nir_interop.graphs import Graph, Node, correspondence, difference, from_nir
from nir_interop.networks import catalogue
from nir_interop.vocabulary import Reset
from tests.graphs.sample_graphs import affine, assert_one_clear_line, chain, changed, expressible, lif, node, small


def found(intended: Graph, exported: Graph) -> list[tuple[str, str]]:
    differences = difference(intended, exported)
    for one in differences:
        assert_one_clear_line(Exception(one.text), "'")
    return [(one.node, one.field) for one in differences]


def deep() -> Graph:
    return chain(
        ("fc1", affine(4, 2, 1)), ("lif1", lif(4)), ("fc2", affine(4, 4, 2)), ("lif2", lif(4)), ("fc3", affine(3, 4, 3)),
        ("lif3", lif(3)),
    )  # fmt: skip


def renamed(graph: Graph, names: dict[str, str]) -> Graph:
    nodes = {names.get(name, name): one for name, one in graph.nodes.items()}
    return Graph(nodes, tuple((names.get(a, a), names.get(b, b)) for a, b in graph.edges))


NUMBERED = {"fc1": "0", "lif1": "1", "fc2": "2", "lif2": "3", "fc3": "4", "lif3": "5"}


@pytest.mark.parametrize("name", expressible())
def test_a_graph_does_not_differ_from_itself_under_any_names(name: str) -> None:
    graph = from_nir(catalogue(name).build(0).to_nir())
    assert found(graph, graph) == []
    order = sorted(graph.nodes, key=lambda one: one[::-1])
    numbers = {one: f"_{number}" for number, one in enumerate(order)}
    assert correspondence(graph, renamed(graph, numbers)) == numbers
    assert found(graph, renamed(graph, numbers)) == []


def test_a_parameter_that_changed_is_told_with_both_values() -> None:
    (one,) = difference(small(), changed(small(), lif=lif(tau=np.full(3, 1e-3))))
    assert (one.node, one.field) == ("lif", "tau")
    assert one.relative == pytest.approx(0.5)
    assert one.text == "node 'lif': tau was 0.002 (3,) and is 0.001 (3,)"


def test_rounding_to_single_precision_is_small() -> None:
    (one,) = difference(small(), changed(small(), lif=lif(tau=np.full(3, 2e-3, dtype="f4"))))
    assert 0 < one.relative < 1e-6


def test_a_bias_that_is_lost_is_told() -> None:
    weight = affine()["weight"]
    assert found(small(), changed(small(), fc=node("Linear", weight=weight))) == [("fc", "bias")]
    assert found(small(), changed(small(), fc=node("Affine", weight=weight, bias=np.zeros(3)))) == [("fc", "bias")]


def test_an_affine_with_bias_0_is_a_linear() -> None:
    weight = affine()["weight"]
    linear = changed(small(), fc=node("Linear", weight=weight))
    assert found(linear, changed(small(), fc=node("Affine", weight=weight, bias=np.zeros(3)))) == []


def test_another_kind_is_told_with_the_parameters_that_came_along() -> None:
    exported = changed(small(), lif=node("LI", tau=np.full(3, 2e-3), r=np.ones(3), v_leak=np.zeros(3)))
    assert found(small(), exported) == [("lif", "kind"), ("lif", "v_reset"), ("lif", "v_threshold")]


def test_an_integrator_exported_as_a_spiking_neuron_under_a_number_is_found() -> None:
    readout = changed(deep(), lif3=node("LI", tau=np.full(3, 2e-3), r=np.ones(3), v_leak=np.zeros(3)))
    assert ("lif3", "kind") in found(readout, renamed(deep(), NUMBERED))


@pytest.mark.parametrize("lost", ["fc1", "lif1", "fc2", "lif2", "fc3", "lif3"])
@pytest.mark.parametrize("names", [{}, NUMBERED], ids=["same names", "numbered"])
def test_a_node_that_is_lost_is_told_and_the_gap_is_not(lost: str, names: dict[str, str]) -> None:
    graph = deep()
    (before,), (after,) = graph.into(lost), graph.out_of(lost)
    edges = [edge for edge in graph.edges if lost not in edge] + [(before, after)]
    exported = renamed(changed(graph, edges=edges, **{lost: None}), names)
    assert found(graph, exported) == [(lost, "node")]
    (one,) = difference(graph, exported)
    assert (one.before, one.after) == (graph.nodes[lost].kind, None)


def test_a_branch_that_is_cut_at_a_sum_is_told() -> None:
    graph = changed(small(), skip=affine(seed=4), edges=[*small().edges, ("input", "skip"), ("skip", "lif")])
    assert found(graph, small()) == [("skip", "node")]
    assert found(small(), graph) == [("skip", "node")]


def test_an_edge_that_is_lost_or_new_is_told() -> None:
    skipping = changed(deep(), edges=[*deep().edges, ("fc1", "lif2")])
    (lost,) = difference(skipping, renamed(deep(), NUMBERED))
    assert (lost.node, lost.field, lost.before, lost.after) == ("fc1", "edge", ("fc1", "lif2"), None)
    (new,) = difference(deep(), skipping)
    assert (new.field, new.before, new.after) == ("edge", None, ("fc1", "lif2"))


def test_a_subgraph_of_an_exporter_is_matched_with_the_nodes_inside() -> None:
    intended = changed(
        small(), lif_rec=affine(3, 3, 5), edges=[*small().edges, ("lif", "lif_rec"), ("lif_rec", "lif")]
    )  # fmt: skip
    inner = chain(("lif", lif()), ("w_rec", affine(3, 3, 5)), inputs=(3,))
    inner = changed(inner, edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")])
    exported = chain(("0", affine()), ("1", inner))
    assert found(intended, exported) == []
    pairs = correspondence(intended, chain(("0", affine()), ("lif.lif", lif())))
    assert pairs["lif"] == "lif.lif"


def test_a_soft_reset_that_became_a_hard_one_is_told() -> None:
    network = catalogue("mlp_subtract").build(0)
    exported = replace(network, reset=Reset.VALUE)
    fields = found(from_nir(network.to_nir()), from_nir(exported.to_nir()))
    assert {field for field in fields if field[1] in ("kind", "node", "edge")} == {
        (f"lif{layer}{suffix}", field)
        for layer in (1, 2)
        for suffix, field in (("", "kind"), ("_membrane", "node"), ("_reset", "node"))
    }


def test_differences_are_sorted_whatever_the_order_of_the_nodes() -> None:
    exported = changed(deep(), lif1=lif(4, tau=np.ones(4)), fc1=affine(4, 2, 9), edges=[*deep().edges, ("lif1", "lif1")])
    turned = Graph(dict(reversed(exported.nodes.items())), tuple(reversed(exported.edges)))
    assert found(deep(), exported) == found(deep(), turned) == sorted(found(deep(), exported))


def test_invalid_graphs_can_be_compared() -> None:
    exported = changed(small(), lif=lif(tau=np.full(3, np.inf)), fc=node("Affine", weight=np.zeros((9, 9)), bias=np.zeros(9)))
    assert found(small(), exported) == [("fc", "bias"), ("fc", "weight"), ("lif", "tau")]
    assert difference(small(), exported)[-1].relative == float("inf")


def test_a_large_graph_is_compared_in_reasonable_time() -> None:
    graph = chain(*((f"n{number}", Node("LIF", lif().params)) for number in range(1000)), inputs=(3,))
    numbers = {name: f"x{name}" for name in graph.nodes}
    assert found(graph, renamed(graph, numbers)) == []
