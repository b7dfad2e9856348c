"""Strongly connected components."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.graphs import components

NAMES = "abcdefg"
EDGES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=20)


def test_what_feeds_comes_before_what_is_fed_and_names_break_ties() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("e", "d"), ("f", "f")]
    assert components("fedcba", edges) == [["a"], ["b", "c"], ["e"], ["d"], ["f"]]


def test_edges_to_unknown_nodes_count_for_nothing() -> None:
    assert components("ab", [("a", "x"), ("x", "a"), ("b", "a")]) == [["b"], ["a"]]


def test_a_cycle_of_a_hundred_thousand_nodes_needs_no_recursion() -> None:
    names = [f"{number:06}" for number in range(100_000)]
    assert components(names, zip(names, [*names[1:], names[0]], strict=True)) == [names]


@given(EDGES)
@settings(deadline=None)
def test_two_nodes_share_a_component_exactly_if_each_reaches_the_other(edges: list[tuple[str, str]]) -> None:
    reach = {(name, name) for name in NAMES} | set(edges)
    for middle, source, target in itertools.product(NAMES, repeat=3):
        if (source, middle) in reach and (middle, target) in reach:
            reach.add((source, target))
    found = components(NAMES, edges)
    home = {name: index for index, members in enumerate(found) for name in members}
    assert sorted(home) == sorted(NAMES)
    for source, target in itertools.product(NAMES, repeat=2):
        assert (home[source] == home[target]) == ((source, target) in reach and (target, source) in reach)
    assert all(home[source] <= home[target] for source, target in edges)


@given(EDGES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_arguments_does_not_show(edges: list[tuple[str, str]], random: object) -> None:
    shuffled = list(edges)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert components(NAMES, edges) == components(reversed(NAMES), shuffled)
