"""Which edges wait a step: by structure, never by name."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.graphs import Graph, Node
from nir_interop.reference.order import Stage, stages

Edge = tuple[str, str]


def ordered(edges: list[Edge], delays: tuple[str, ...] = ()) -> tuple[Stage, ...]:
    names = sorted({name for edge in edges for name in edge})
    return stages(Graph({name: Node("Affine") for name in names}, tuple(edges)), delays.__contains__)


def waiting(edges: list[Edge], delays: tuple[str, ...] = ()) -> set[Edge]:
    return {edge for stage in ordered(edges, delays) for edge in stage.delayed}


def test_a_chain_is_one_stage_a_node_in_order() -> None:
    found = ordered([("in", "b"), ("b", "a"), ("a", "out")])
    assert [stage.nodes for stage in found] == [("in",), ("b",), ("a",), ("out",)]
    assert not any(stage.cyclic for stage in found)


def test_the_feedback_into_the_fed_node_waits() -> None:
    edges = [("in", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "out")]
    assert waiting(edges) == {("rec", "lif")}
    (loop,) = [stage for stage in ordered(edges) if stage.cyclic]
    assert loop.nodes == ("lif", "rec")


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a"), ("z", "a")])
def test_names_do_not_decide(first: str, second: str) -> None:
    edges = [("in", first), (first, second), (second, first), (second, "out")]
    assert waiting(edges) == {(second, first)}


def test_two_fed_nodes_that_feed_each_other_wait_for_each_other() -> None:
    assert waiting([("in", "a"), ("in", "b"), ("a", "b"), ("b", "a"), ("a", "out")]) == {("a", "b"), ("b", "a")}


def test_a_cycle_inside_a_cycle_is_broken_where_the_outer_one_feeds_it() -> None:
    edges = [("in", "a"), ("a", "b"), ("b", "c"), ("c", "b"), ("c", "a"), ("a", "out")]
    assert waiting(edges) == {("c", "a"), ("c", "b")}


def test_a_self_loop_waits() -> None:
    assert waiting([("in", "a"), ("a", "a"), ("a", "out")]) == {("a", "a")}


def test_a_delay_on_the_cycle_breaks_it_and_nothing_more_waits() -> None:
    edges = [("in", "a"), ("a", "d"), ("d", "a"), ("a", "out")]
    (loop,) = [stage for stage in ordered(edges, delays=("d",)) if stage.cyclic]
    assert loop == Stage(("a", "d"), cyclic=True, ahead=("d",))
    assert waiting(edges) == {("d", "a")}


def test_delays_that_break_a_cycle_come_last_and_another_cycle_beside_them_waits() -> None:
    edges = [("in", "d"), ("d", "a"), ("a", "d"), ("a", "b"), ("b", "a"), ("b", "d"), ("b", "out")]
    (loop,) = [stage for stage in ordered(edges, delays=("d",)) if stage.cyclic]
    assert loop == Stage(("a", "b", "d"), True, frozenset({("b", "a")}), ("d",))


def test_a_delay_outside_a_cycle_is_a_node_like_any_other() -> None:
    assert not any(stage.ahead for stage in ordered([("in", "d"), ("d", "out")], delays=("d",)))


def test_a_cycle_that_nothing_feeds_waits_where_its_own_constants_drive_it() -> None:
    nodes = {"a": Node("LIF", {}), "b": Node("Affine", {"bias": np.array([0.0, 1.0])}), "out": Node("Output", {})}
    graph = Graph(nodes, (("a", "b"), ("b", "a"), ("a", "out")))
    (loop,) = [stage for stage in stages(graph, lambda name: False) if stage.cyclic]
    assert loop == Stage(("b", "a"), True, frozenset({("a", "b")}))


def test_all_edges_of_a_cycle_wait_that_nothing_drives() -> None:
    (loop,) = [stage for stage in ordered([("a", "b"), ("b", "a"), ("a", "out")]) if stage.cyclic]
    assert loop.delayed == {("a", "b"), ("b", "a")}
