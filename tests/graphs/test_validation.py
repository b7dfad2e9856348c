"""What a graph may say, and the one line that tells where it says something else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Graph, Node, from_nir, validate
from nir_interop.networks import catalogue
from tests.graphs.sample_graphs import affine, assert_one_clear_line, chain, changed, expressible, lif, node, small


def assert_invalid(graph: Graph, *mentions: str) -> None:
    with pytest.raises(InvalidGraph) as caught:
        validate(graph)
    assert_one_clear_line(caught.value, *mentions)


def with_lif(**params: Any) -> Graph:
    return changed(small(), lif=lif(**params))


def conv(*shape: int, **params: Any) -> Node:
    values = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **params}
    weight = np.zeros(shape)
    return node("Conv1d" if len(shape) == 3 else "Conv2d", weight=weight, bias=np.zeros(shape[0]), **values)


def pool(**params: Any) -> Node:
    return node("AvgPool2d", **{"kernel_size": 2, "stride": 2, "padding": 0, **params})


def shape_after(one: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape a node gives, asked from a graph in which it feeds nothing."""
    graph = chain(inputs=shape, outputs=shape)
    return validate(changed(graph, one=one, edges=[*graph.edges, ("input", "one")]))["one"][1]


@pytest.mark.parametrize("name", expressible())
def test_every_network_of_the_catalogue_is_valid(name: str) -> None:
    network = catalogue(name).build(0)
    shapes = validate(from_nir(network.to_nir()))
    assert shapes["input"][0] == tuple(network.input_shape)
    for layer, shape in network.shapes().items():
        assert shapes[layer][1] == tuple(shape)


def test_shapes_are_keyed_by_node_and_give_both_sides() -> None:
    assert validate(small()) == {
        "fc": ((2,), (3,)), "input": ((2,), (2,)), "lif": ((3,), (3,)), "output": ((3,), (3,)),
    }  # fmt: skip


@pytest.mark.parametrize("edge", [("lif", "ghost"), ("ghost", "lif")])
def test_an_edge_to_a_missing_node_is_refused(edge: tuple[str, str]) -> None:
    assert_invalid(changed(small(), edges=[*small().edges, edge]), "'ghost'", "not there")


def test_a_graph_without_input_is_refused() -> None:
    assert_invalid(changed(small(), input=None, edges=small().edges[1:]), "no Input")


def test_two_inputs_are_legal_and_each_has_its_shape() -> None:
    graph = changed(small(), other=node("Input", shape=np.array([2])), edges=[*small().edges, ("other", "fc")])
    assert validate(graph)["other"] == ((2,), (2,))


def test_what_two_inputs_feed_has_one_shape() -> None:
    graph = changed(small(), other=node("Input", shape=np.array([3])), edges=[*small().edges, ("other", "fc")])
    assert_invalid(graph, "Affine 'fc'", r"'input' gives \(2,\)", r"'other' gives \(3,\)")


def test_an_input_of_no_possible_shape_is_refused_beside_a_good_one() -> None:
    graph = changed(small(), other=node("Input", shape=np.array([0])), edges=[*small().edges, ("other", "fc")])
    assert_invalid(graph, "Input 'other'", "a size below 1")


def test_a_graph_without_output_is_refused() -> None:
    assert_invalid(changed(small(), output=None, edges=small().edges[:-1]), "no Output")


def test_two_outputs_are_legal() -> None:
    graph = changed(small(), probe=node("Output", shape=np.array([3])), edges=[*small().edges, ("fc", "probe")])
    assert validate(graph)["probe"] == ((3,), (3,))


def test_a_node_without_a_way_to_an_output_is_legal() -> None:
    graph = changed(small(), dangling=lif(), edges=[*small().edges, ("fc", "dangling")])
    assert validate(graph)["dangling"] == ((3,), (3,))


def test_an_edge_into_an_input_is_refused() -> None:
    assert_invalid(changed(small(), edges=[*small().edges, ("lif", "input")]), "into Input 'input'")


def test_an_edge_out_of_an_output_is_refused() -> None:
    assert_invalid(changed(small(), edges=[*small().edges, ("output", "lif")]), "Output 'output'")


def test_a_node_that_nothing_feeds_is_refused() -> None:
    assert_invalid(changed(small(), lonely=lif(), edges=[*small().edges, ("lonely", "output")]), "nothing feeds LIF 'lonely'")


def test_a_cycle_that_is_fed_from_outside_is_legal() -> None:
    graph = changed(small(), back=affine(3, 3), edges=[*small().edges, ("lif", "back"), ("back", "lif"), ("lif", "lif")])
    assert validate(graph)["back"] == ((3,), (3,))


def test_a_cycle_that_nothing_feeds_has_the_shape_of_its_own_parameters() -> None:
    edges = [*small().edges, ("a", "b"), ("b", "a"), ("b", "output")]
    assert validate(changed(small(), a=affine(3, 3), b=lif(), edges=edges))["a"] == ((3,), (3,))
    assert validate(changed(small(), a=lif(), edges=[*small().edges, ("a", "a")]))["a"] == ((3,), (3,))


def test_a_cycle_that_nothing_feeds_has_the_shape_that_is_told_behind_it() -> None:
    """One number for all neurons says nothing, weights say nothing of axes before the last; an Output does."""
    one, out = node("Scale", scale=2.0), node("Output", shape=[2, 3])
    loop = [*small().edges, ("a", "b"), ("b", "a"), ("b", "out")]
    assert validate(changed(small(), a=one, b=one, out=out, edges=loop))["a"] == ((2, 3), (2, 3))
    assert validate(changed(small(), a=affine(3, 3), b=one, out=out, edges=loop))["a"] == ((2, 3), (2, 3))
    wide = node("Scale", scale=np.ones((2, 3)))
    assert validate(changed(small(), a=affine(3, 3), b=wide, out=out, edges=loop))["a"] == ((2, 3), (2, 3))
    behind = changed(small(), a=one, b=one, out=affine(4, 3), edges=loop)
    assert validate(behind)["a"] == ((3,), (3,))


def test_a_cycle_that_nothing_feeds_is_refused_where_no_node_tells_its_shape_and_the_advice_works() -> None:
    one, loop = node("Scale", scale=2.0), [*small().edges, ("a", "b"), ("b", "a")]
    assert_invalid(changed(small(), a=one, edges=[*small().edges, ("a", "a")]), "the cycle 'a'", "one number per neuron")
    assert validate(changed(small(), a=node("Scale", scale=[2.0, 2.0]), edges=[*small().edges, ("a", "a")]))
    plane = conv(2, 2, 3, 3, padding=1)
    assert_invalid(changed(small(), a=plane, b=plane, edges=loop), "the cycle 'a', 'b'", "write the input_shape of one of")
    sized = Node(plane.kind, {**plane.params, "input_shape": np.array([5, 6])})
    assert validate(changed(small(), a=plane, b=sized, edges=loop))["a"] == ((2, 5, 6), (2, 5, 6))
    flat = node("Flatten", start_dim=0, end_dim=-1)
    assert_invalid(changed(small(), a=flat, b=flat, edges=loop), "the cycle 'a', 'b'", "feed one of its nodes")
    with pytest.raises(InvalidGraph, match=r"'b': .*4 inputs|'b' .*\(5,\)"):
        validate(changed(small(), a=lif(), b=affine(5, 4), edges=loop))


@pytest.mark.parametrize("name", ["tau", "r", "v_leak", "v_threshold", "v_reset"])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
def test_parameters_that_are_not_finite_are_refused(name: str, value: float, word: str) -> None:
    assert_invalid(with_lif(**{name: np.array([1.0, value, 1.0])}), "LIF 'lif'", name, word, r"at \(1\)|at \(1,\)")


def test_what_snntorch_makes_of_a_leak_of_1_is_refused() -> None:
    assert_invalid(with_lif(tau=np.full(3, np.inf), r=np.full(3, np.inf)), "LIF 'lif'", "infinite")


def test_weights_that_are_not_finite_are_refused() -> None:
    weight = np.full((3, 2), np.nan)
    assert_invalid(changed(small(), fc=node("Affine", weight=weight, bias=np.zeros(3))), "Affine 'fc'", "weight is NaN")


@pytest.mark.parametrize(("reset", "place"), [(1.0, ""), (2.0, ""), (np.array([0.0, 1.5, 0.0]), r"at \(1,\)")])
def test_a_reset_that_is_not_below_the_threshold_is_refused(reset: Any, place: str) -> None:
    assert_invalid(with_lif(v_reset=np.asarray(reset)), "LIF 'lif'", "v_reset is not below v_threshold", place)


def test_a_negative_threshold_with_a_lower_reset_is_legal() -> None:
    assert validate(with_lif(v_threshold=np.float64(-1.0), v_reset=np.float64(-2.0)))["lif"] == ((3,), (3,))


@pytest.mark.parametrize(("value", "word"), [(0.0, "zero"), (-1e-3, "negative")])
@pytest.mark.parametrize("name", ["tau_syn", "tau_mem"])
def test_time_constants_that_are_not_positive_are_refused(name: str, value: float, word: str) -> None:
    values = {"tau_syn": 1e-3, "tau_mem": 1e-3, "r": 1.0, "v_leak": 0.0, "w_in": 1.0, name: value}
    assert_invalid(changed(small(), lif=node("CubaLI", **values)), "CubaLI 'lif'", f"{name} is {word}")


def test_a_negative_delay_is_refused() -> None:
    assert_invalid(changed(small(), lif=node("Delay", delay=np.array([0.0, -1e-3, 0.0]))), "Delay 'lif'", "delay is negative")


def test_an_unknown_kind_is_refused() -> None:
    assert_invalid(changed(small(), lif=node("Quantum", q=1.0)), "node 'lif'", "'Quantum'", "unknown")


def test_a_missing_parameter_is_refused() -> None:
    assert_invalid(changed(small(), lif=node("LIF", tau=1.0, r=1.0, v_leak=0.0, v_reset=0.0)), "LIF 'lif'", "no v_threshold")


def test_an_unknown_parameter_is_refused() -> None:
    assert_invalid(with_lif(beta=np.float64(0.9)), "LIF 'lif'", "'beta'")


@pytest.mark.parametrize("value", ["fast", np.array([True]), np.array([1j]), np.array([], dtype=float)])
def test_parameters_that_are_not_numbers_are_refused(value: Any) -> None:
    assert_invalid(with_lif(tau=value), "LIF 'lif'", "tau is (not made of numbers|empty)")


@pytest.mark.parametrize("shape", [(2,), (1, 1), (3, 1), (1, 3)])
def test_neuron_parameters_that_do_not_fit_what_comes_in_are_refused(shape: tuple[int, ...]) -> None:
    assert_invalid(with_lif(tau=np.ones(shape)), "LIF 'lif'", r"tau has shape", r"\(3,\)")


def test_threshold_and_reset_of_unlike_shapes_are_refused() -> None:
    assert_invalid(with_lif(v_reset=np.zeros(2)), "LIF 'lif'", "v_threshold and v_reset have shapes")


@pytest.mark.parametrize("shape", [(), (1,)])
def test_one_number_stands_for_all_neurons(shape: tuple[int, ...]) -> None:
    one = lif(shape)
    assert shape_after(one, (4, 5, 6)) == (4, 5, 6)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 4)])
def test_affine_acts_on_the_last_dimension(shape: tuple[int, ...]) -> None:
    assert shape_after(affine(7, shape[-1]), shape) == (*shape[:-1], 7)


def test_an_affine_that_does_not_fit_is_refused() -> None:
    assert_invalid(changed(small(), fc=affine(3, 5)), "Affine 'fc'", "5 inputs", r"\(2,\)")
    assert_invalid(changed(small(), fc=node("Affine", weight=np.zeros((3, 2)), bias=np.zeros(2))), "Affine 'fc'", "bias")
    assert_invalid(changed(small(), fc=node("Linear", weight=np.zeros(3))), "Linear 'fc'", "weight has shape")


def test_a_stray_batch_dimension_is_refused_and_not_repaired() -> None:
    assert_invalid(changed(small(), input=node("Input", shape=np.array([1, 2]))), r"\(1, 3\)")


def test_an_output_of_another_shape_is_refused() -> None:
    assert_invalid(changed(small(), output=node("Output", shape=np.array([4]))), "Output 'output'", r"\(4,\)", r"\(3,\)")


def test_edges_of_unlike_shapes_into_one_node_are_refused() -> None:
    graph = changed(small(), skip=affine(4, 2), edges=[*small().edges, ("input", "skip"), ("skip", "lif")])
    assert_invalid(graph, "LIF 'lif'", "'fc' gives|'skip' gives", r"\(4,\)", r"\(3,\)")


@pytest.mark.parametrize("shape", [[0], [-3], [2.5], [[2]], [10**6, 10**6], [10**30], [np.nan]])
def test_an_input_of_no_possible_shape_is_refused(shape: list[Any]) -> None:
    assert_invalid(changed(small(), input=node("Input", shape=np.array(shape, dtype=float))), "Input 'input'", "shape")


@pytest.mark.parametrize(
    ("one", "shape", "expected"),
    [
        (conv(6, 3, 5), (3, 20), (6, 16)),
        (conv(6, 3, 5, stride=2, padding=1, dilation=2), (3, 20), (6, 7)),
        (conv(6, 3, 5, padding="same"), (3, 20), (6, 20)),
        (conv(6, 3, 4, padding="same", dilation=3), (3, 20), (6, 20)),
        (conv(6, 3, 5, padding="valid"), (3, 20), (6, 16)),
        (conv(6, 1, 5, groups=3), (3, 20), (6, 16)),
        (conv(6, 3, 5, 3), (3, 20, 10), (6, 16, 8)),
        (conv(6, 3, 5, 3, stride=np.array([2, 1]), padding=np.array([1, 0])), (3, 20, 10), (6, 9, 8)),
        (conv(6, 3, 5, 3, padding="same"), (3, 20, 10), (6, 20, 10)),
        (conv(4, 2, 3, 3, groups=2), (4, 10, 10), (4, 8, 8)),
        (conv(4, 1, 3, 3, groups=np.array([4])), (4, 10, 10), (4, 8, 8)),
        (pool(), (3, 7, 8), (3, 3, 4)),
        (pool(kernel_size=np.array([3, 2]), stride=np.array([1, 2]), padding=np.array([1, 0])), (3, 7, 8), (3, 7, 4)),
        (node("Flatten", start_dim=0, end_dim=-1), (3, 4, 5), (60,)),
        (node("Flatten", start_dim=1, end_dim=-1), (3, 4, 5), (3, 20)),
        (node("Flatten", start_dim=0, end_dim=1), (3, 4, 5), (12, 5)),
        (node("Flatten", start_dim=-2, end_dim=-1), (3, 4, 5), (3, 20)),
        (node("Scale", scale=2.0), (3, 4), (3, 4)),
    ],
)
def test_shapes_of_stateless_nodes_are_those_of_pytorch(one: Node, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert shape_after(one, shape) == expected


@pytest.mark.parametrize(
    ("one", "shape", "mention"),
    [
        (conv(6, 3, 5), (4, 20), "3 channels"),
        (conv(6, 3, 5), (3, 20, 1), "3 channels"),
        (conv(6, 3, 5), (3, 4), "larger than what comes in"),
        (conv(6, 3, 5, padding="full"), (3, 20), "'full'"),
        (conv(6, 3, 5, padding="same", stride=2), (3, 20), "stride other than 1"),
        (conv(6, 3, 5, padding=-1), (3, 20), "padding is -1"),
        (conv(6, 3, 5, stride=0), (3, 20), "stride is 0"),
        (conv(6, 3, 5, stride=1.5), (3, 20), "not a whole number"),
        (conv(6, 3, 5, dilation=0), (3, 20), "dilation is 0"),
        (conv(6, 3, 5, groups=0), (3, 20), "groups is 0"),
        (conv(5, 1, 5, groups=3), (3, 20), "3 groups"),
        (conv(6, 3, 5, padding=10**9), (3, 20), "elements"),
        (conv(6, 3, 5, 3, stride=np.array([1, 1, 1])), (3, 20, 10), "stride has 3 numbers"),
        (node("Conv1d", **{**conv(6, 3, 5).params, "bias": np.zeros(5)}), (3, 20), "bias has shape"),
        (node("Conv2d", **conv(6, 3, 5).params), (3, 20, 10), "3 dimensions"),
        (pool(kernel_size=9), (3, 7, 8), "larger than what comes in"),
        (pool(stride=0), (3, 7, 8), "stride is 0"),
        (pool(), (7, 8), "channels, height, width"),
        (pool(padding="same"), (3, 7, 8), "padding is not made of numbers"),
        (node("Flatten", start_dim=0, end_dim=3), (3, 4, 5), "do not fit 3 dimensions"),
        (node("Flatten", start_dim=2, end_dim=1), (3, 4, 5), "do not fit 3 dimensions"),
    ],
)
def test_stateless_nodes_that_do_not_fit_are_refused(one: Node, shape: tuple[int, ...], mention: str) -> None:
    graph = chain(inputs=shape, outputs=shape)
    assert_invalid(changed(graph, one=one, edges=[*graph.edges, ("input", "one")]), f"{one.kind} 'one'", mention)


@pytest.mark.parametrize(
    "name", ["../up", "<script>alert(1)</script>", "=cmd()", "'\"", "x" * 10_000, "\x1b[31m\n", "\ud800", ""]
)
def test_the_message_survives_any_name(name: str) -> None:
    assert_invalid(chain((name, lif(tau=np.full(3, -1.0))), inputs=(3,)), "LIF '", "tau is negative")
    assert_invalid(changed(small(), edges=[*small().edges, (name, "lif")]), "not there")
    assert_invalid(changed(small(), **{name: lif()}), "nothing feeds")
    assert_invalid(chain((name, node(name + "?"))), "unknown")


def subgraph(**ends: Node | None) -> Graph:
    return changed(chain(("lif", lif()), inputs=(3,)), **ends)


def test_a_subgraph_is_checked_as_if_it_were_inlined() -> None:
    assert validate(changed(small(), lif=subgraph()))["lif.lif"] == ((3,), (3,))
    assert_invalid(changed(small(), lif=subgraph(lif=lif(tau=np.zeros(3)))), r"LIF 'lif\.lif'", "tau is zero")


def test_a_subgraph_without_exactly_one_input_and_output_is_refused() -> None:
    extra = node("Output", shape=np.array([3]))
    inner = subgraph()
    assert_invalid(
        changed(small(), lif=changed(inner, more=extra, edges=[*inner.edges, ("lif", "more")])), "'lif' has 2 Outputs"
    )
    assert_invalid(changed(small(), lif=changed(inner, input=None, edges=inner.edges[1:])), "'lif' has no Input")


def test_a_subgraph_whose_input_has_another_shape_is_refused() -> None:
    assert_invalid(changed(small(), lif=subgraph(input=node("Input", shape=np.array([4])))), r"Input 'lif\.input'", r"\(4,\)")


def test_a_subgraph_that_nothing_feeds_is_refused() -> None:
    assert_invalid(
        changed(small(), more=subgraph(), edges=[*small().edges, ("more", "output")]), "nothing feeds subgraph 'more'"
    )


def test_a_chain_of_twenty_thousand_nodes_needs_no_recursion() -> None:
    graph = chain(*((f"n{number}", lif()) for number in range(20_000)), inputs=(3,))
    assert len(validate(graph)) == 20_002


def test_the_first_of_many_wrong_numbers_is_found_without_listing_them() -> None:
    many = np.zeros((2**20, *[1] * 30), np.uint8)
    assert_invalid(changed(small(), lif=Node("LIF", {**lif().params, "tau": many})), "tau is zero", "31 dimensions")


def test_a_shape_of_too_many_axes_is_refused() -> None:
    port = {"shape": np.ones(63, int)}
    assert_invalid(Graph({"a": Node("Input", port), "z": Node("Output", port)}, (("a", "z"),)), "more than 16 axes")


def test_edges_that_multiply_through_a_subgraph_are_refused_before_they_are_made() -> None:
    scale, port = Node("Scale", {"scale": np.array(1.0)}), {"shape": np.array([2])}
    ends = {"input": Node("Input", port), "output": Node("Output", port)}
    many = {f"s{number}": scale for number in range(1100)}
    inner = (*(("input", name) for name in many), *((name, "output") for name in many))
    edges = (*(("input", name) for name in many), *((name, "sub") for name in many), ("sub", "output"))
    graph = Graph({**ends, **many, "sub": Graph({**ends, **many}, inner)}, edges)
    assert_invalid(graph, "1,100 edges into subgraph 'sub' meet 1,100", "more than 1,048,576 edges")
