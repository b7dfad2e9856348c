"""Renaming, inlining and the order of edges: what is rewritten means the same, and only evidence makes it necessary."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.explain.probes import STRUCTURAL
from nir_interop.fingerprint import Condition, Domain, Identified, Nesting, Recurrence, Refusal, Subject, Wiring, Written
from nir_interop.graphs import Array, Graph, Node, digest, early, inline, nested
from nir_interop.reconcile.names_and_order import FEEDBACK, INLINING, NAMES
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from tests.strategies import DT, graphs, neuron, node, port, stimulus

BY_NAME = {each.name: each for each in PASSES}
NIR = Side("nir", DT)


def side(*nesting: Nesting, recurrence: tuple[Recurrence, ...] = (), **others: tuple[Condition, ...]) -> Side:
    declined: dict[Subject, tuple[Condition, ...]] = {Wiring.NESTING: nesting, Wiring.RECURRENCE: recurrence, **others}
    domain = {
        subject: Identified(NIR_MEANING, 100, refusals=tuple(Refusal(each, "import_error", "no") for each in conditions))
        for subject, conditions in declined.items()
    }
    return Side("other", DT, domain=Domain(domain))


EARLY = side(Nesting.RECURRENCE_BEFORE_SOURCE)


def layer(rng: np.random.Generator) -> Graph:
    around = (("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output"))
    inside = {"lif": neuron("LIF", 3, rng), "w_rec": node("Linear", weight=rng.normal(0, 0.5, (3, 3)))}
    return Graph({"input": port("Input", 3), **inside, "output": port("Output", 3)}, around)


def recurrent(*names: str, said: str = "") -> Graph:
    """Weights, a recurrent layer in a graph of its own, and a neuron."""
    rng = np.random.default_rng(0)
    weights = Node("Linear", node("Linear", weight=rng.normal(1, 1, (3, 3))).params, {"note": said} if said else {})
    path = ["input", *names, "output"]
    nodes = dict(zip(names, (weights, layer(rng), neuron("LIF", 3, rng)), strict=True))
    return Graph(
        {"input": port("Input", 3), **nodes, "output": port("Output", 3)}, tuple(itertools.pairwise(path)), {"by": "us"}
    )


def test_every_condition_that_a_pass_waits_for_is_probed() -> None:
    assert {*Nesting, *Recurrence} <= {probe.condition for probe in STRUCTURAL}


@given(graphs())
@settings(deadline=None, max_examples=25)
def test_what_is_renamed_inlined_or_listed_otherwise_means_the_same(graph: Graph) -> None:
    everything = side(Nesting.LAYERS_AGAINST_ORDER, Nesting.LAYER, recurrence=(Recurrence.FEEDBACK_LISTED_LAST,))
    x, before = stimulus(0, size=3), digest(graph)
    for each in (*INLINING, *FEEDBACK, *NAMES):
        made = each.rewrite(graph, NIR, everything)
        assert digest(graph) == before
        if made is not None:
            # What joins is added up in the order of names, of edges.
            np.testing.assert_allclose(simulate(made.graph, x, DT).output, simulate(graph, x, DT).output, rtol=1e-9, atol=1e-12)
            again = each.rewrite(made.graph, NIR, everything)
            assert again is None
        assert each.rewrite(graph, NIR, NIR) is None
        assert each.rewrite(graph, NIR, side()) is None


def test_a_graph_within_is_met_behind_its_source_and_other_names_stay() -> None:
    graph = recurrent("w0", "n0", "n1")
    made = BY_NAME["names_in_order"].rewrite(graph, NIR, EARLY)
    assert made is not None and made.nodes == ("n0",)
    assert sorted(made.graph.nodes) == ["input", "n1", "output", "w0", "w0_1_n0"]
    assert not early(made.graph, nested(made.graph)) and "w0" in made.why
    assert BY_NAME["names_in_order"].rewrite(recurrent("a", "b", "c"), NIR, EARLY) is not None  # input < a
    assert BY_NAME["names_in_order"].rewrite(recurrent("k", "l", "b"), NIR, EARLY) is None


def test_where_no_name_helps_nothing_is_renamed_but_inlined() -> None:
    graph, lost = recurrent("w0", "n0", "n1"), side(Nesting.RECURRENCE_BEFORE_SOURCE, Nesting.RECURRENCE)
    assert BY_NAME["names_in_order"].rewrite(graph, NIR, lost) is None
    made = BY_NAME["inlined"].rewrite(graph, NIR, lost)
    assert made is not None and digest(made.graph) == digest(inline(graph))
    assert BY_NAME["inlined"].rewrite(graph, NIR, side(Nesting.RECURRENCE, recurrence=(Recurrence.ONE_LAYER,))) is None


def target(graph: Graph, x: Array, dt: float) -> Recording:
    """One that meets a graph within a graph only behind its source."""
    if early(graph, nested(graph)):
        raise RunFailed("import_error", "AttributeError", "no items")
    return simulate(graph, x, dt)


def test_what_is_only_renamed_is_listed_and_says_what_it_said() -> None:
    plan = reconcile(recurrent("w0", "n0", "n1", said="kept"), NIR, EARLY, stimulus(0), PASSES, run=target)
    assert [each.name for each in plan.passes] == ["names_in_order"] and plan.right
    assert plan.graph.metadata == {"by": "us"}
    assert isinstance(plan.graph.nodes["w0"], Node) and plan.graph.nodes["w0"].metadata == {"note": "kept"}


def test_a_graph_that_is_right_as_it_is_stays_nested() -> None:
    graph = recurrent("k", "l", "m")
    plan = reconcile(graph, NIR, EARLY, stimulus(0), PASSES, run=target)
    assert not plan.passes and nested(plan.graph) == ("l",) and plan.right


def test_what_is_inlined_for_another_pass_is_listed() -> None:
    graph = recurrent("w0", "n0", "n1", said="kept")
    plan = reconcile(graph, NIR, side(Nesting.RECURRENCE_BEFORE_SOURCE, LIF=(Written.DOUBLE,)), stimulus(0), PASSES, run=target)
    assert [each.name for each in plan.passes] == ["inlined", "single_precision"]
    assert plan.passes[0].nodes == ("n0",)
    assert isinstance(plan.graph.nodes["w0"], Node) and plan.graph.nodes["w0"].metadata == {"note": "kept"}


@pytest.mark.parametrize("first", [True, False])
def test_edges_of_a_cycle_come_before_those_that_lead_out_of_it(first: bool) -> None:
    rng = np.random.default_rng(0)
    back, on = (("lif", "w"), ("w", "lif")), (("lif", "fc"), ("fc", "output"))
    nodes = {"lif": neuron("LIF", 3, rng), "w": node("Linear", weight=np.eye(3)), "fc": node("Linear", weight=np.eye(3))}
    edges = (("input", "lif"), *back, *on) if first else (("input", "lif"), *on, *back)
    graph = Graph({"input": port("Input", 3), **nodes, "output": port("Output", 3)}, edges)
    made = BY_NAME["feedback_first"].rewrite(graph, NIR, side(recurrence=(Recurrence.FEEDBACK_LISTED_LAST,)))
    assert (made is None) == first
    if made is not None:
        assert made.graph.edges == (("input", "lif"), *back, *on)
        assert (
            BY_NAME["feedback_first"].rewrite(
                graph, NIR, side(recurrence=(Recurrence.FEEDBACK_LISTED_LAST, Recurrence.TWO_LAYERS))
            )
            is None
        )
