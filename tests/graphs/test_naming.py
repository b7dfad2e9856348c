"""Names in the order in which nodes run, graphs within graphs, and lists of names that stay readable."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.graphs import Graph, digest, early, in_order, inline, listed, nest, nested, renamed
from tests.graphs.sample_graphs import chain, lif, node


def layers(*names: str) -> Graph:
    return chain(*((name, lif(2)) for name in names), outputs=(2,))


def test_a_name_that_sorts_before_what_feeds_it_is_early_and_in_order_it_is_not() -> None:
    graph = layers("w", "b", "z")
    assert early(graph, ["z"]) == (("w", "b"),)
    called = in_order(graph, ["z"])
    assert called == {"input": "input", "w": "w", "b": "w_1_b", "z": "z", "output": "output"}
    assert not early(renamed(graph, called), {*called.values()} - {"output"})
    assert not early(graph, ["w"]) and in_order(graph, ["w"])["b"] == "b"


def test_edges_of_a_cycle_have_no_order_and_a_name_that_is_taken_is_not_taken_twice() -> None:
    graph = layers("w", "b")
    cycle = Graph({**graph.nodes, "a": lif(2), "w_1_b": lif(2)}, (*graph.edges, ("b", "a"), ("a", "b"), ("b", "w_1_b")))
    assert early(cycle, ["w_1_b"]) == (("w", "b"),)
    assert len({*in_order(cycle, cycle.nodes).values()}) == len(cycle.nodes)


@given(st.permutations(range(200)))
@settings(deadline=None, max_examples=25)
def test_two_hundred_layers_in_any_order_get_short_names_in_the_order_of_running(numbers: list[int]) -> None:
    names = [f"l{number:03}" for number in numbers]
    graph = layers(*names)
    called = in_order(graph, names)
    ran = [called[name] for name in ["input", *names]]
    assert ran == sorted(ran) and max(map(len, ran)) <= len("l000_000_l000")
    assert all(called[b] == b for a, b in itertools.pairwise(["input", *names]) if b > max(called[a], a) and called[a] == a)


def test_what_is_nested_means_what_it_meant() -> None:
    """Inlining undoes it, but for the names."""
    around = (("input", "fc"), ("fc", "one"), ("one", "back"), ("back", "one"), ("one", "output"))
    graph = Graph({**chain(outputs=(2,)).nodes, "fc": lif(2), "one": lif(2), "back": node("Scale", scale=np.ones(2))}, around)
    made = nest(graph, "one", {"lif": "one", "w_rec": "back"}, (2,))
    assert nested(made) == ("one",) and made.into("one") == ("fc",) and made.out_of("one") == ("output",)
    assert digest(renamed(inline(made), {"one.lif": "one", "one.w_rec": "back"})) == digest(graph)


def test_many_names_are_the_first_the_last_and_how_many() -> None:
    names = [f"lif{number:03}" for number in range(1, 201)]
    assert listed(names) == "lif001, lif002, … lif200 (200)"
    assert listed(names[:6]) == "lif001, lif002, lif003, lif004, lif005, lif006"
    assert listed(()) == ""
