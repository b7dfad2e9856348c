"""Edges and names in the order in which nodes run: the graph means the same, and an importer that goes by them runs it so."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare.divergence import output_of
from nir_interop.fingerprint import Identified, Join, Refusal, Wiring
from nir_interop.graphs import Graph, inline, validate
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.names_and_order import ORDERING
from nir_interop.reconcile.neurons import waiting
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from nir_interop.vocabulary import Cause
from nir_interop.workers.live import LiveBackend
from tests.known import fingerprint_of, running
from tests.reconcile.pass_checks import proven, side
from tests.strategies import DT, chain, cyclic_graphs, graphs, neuron, node, port

EDGES, NAMES = ORDERING
PLAIN = side(NIR_MEANING)
WRONG = Refusal(Join.BRANCHES_INTO_NEURON, "mismatch", "")
MISRUNS = side(NIR_MEANING, domain={Wiring.JOIN: Identified(NIR_MEANING, 100, 50, refusals=(WRONG,))})
KNOWN = side(NIR_MEANING, domain={"LIF": Identified(NIR_MEANING, 100)})
RNG = np.random.default_rng(0)
seeds = st.integers(0, 2**32 - 1)


def met(graph: Graph) -> list[str]:
    """The nodes as they are first met, depth first along the edges as they stand; by recursion."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            order.append(name)
            for source, end in graph.edges:
                if source == name:
                    visit(end)

    visit(graph.of_kind("Input")[0])
    return order


def late(graph: Graph) -> set[tuple[str, str]]:
    return waiting(graph, validate(graph), DT)


@given(st.one_of(graphs(), cyclic_graphs()), seeds)
@settings(max_examples=200, deadline=None)
def test_each_node_is_met_behind_all_that_feed_it(graph: Graph, seed: int) -> None:
    try:
        rewritten = proven(EDGES, graph, PLAIN, MISRUNS, seed)
    except Refused as refusal:
        event(str(refusal.cause))
        assert refusal.cause in (Cause.CYCLE_ORDER, Cause.JOIN_MISRUN)
        return
    made = rewritten.graph if rewritten else inline(graph)
    place = {name: number for number, name in enumerate(met(made))}
    assert set(place) == set(made.nodes)
    assert all(place[source] < place[end] for source, end in made.edges if (source, end) not in late(made))
    assert met(made)[-1] == made.of_kind("Output")[0]
    added = made.nodes.keys() - inline(graph).nodes.keys()
    assert all(made.nodes[name].kind == "Linear" and not made.nodes[name]["weight"].any() for name in added)  # type: ignore[index]


def skip() -> Graph:
    """A join that no order of edges alone has run behind both of its branches."""
    nodes = {name: node("Linear", weight=RNG.normal(0, 1, (3, 3))) for name in ("a", "b", "c")}
    edges = (("input", "a"), ("input", "b"), ("a", "c"), ("b", "c"), ("c", "output"))
    return Graph({"input": port("Input", 3), "output": port("Output", 3), **nodes}, edges)


def test_zeros_lead_to_a_branch_that_would_be_met_behind_its_join() -> None:
    graph = skip()
    rewritten = proven(EDGES, graph, PLAIN, MISRUNS)
    assert rewritten is not None
    (added,) = rewritten.graph.nodes.keys() - graph.nodes.keys()
    assert not rewritten.graph.nodes[added]["weight"].any()  # type: ignore[index]
    assert proven(EDGES, rewritten.graph, PLAIN, MISRUNS) is None


def test_nothing_is_done_for_a_target_that_runs_joins_or_a_graph_that_is_in_order() -> None:
    assert EDGES.rewrite(skip(), PLAIN, KNOWN) is None
    assert EDGES.rewrite(chain(neuron("LIF", 3, RNG), size=3), PLAIN, MISRUNS) is None


def test_no_zeros_lead_to_feature_maps() -> None:
    graph = skip()
    pools = {name: node("AvgPool2d", kernel_size=[1, 1], stride=[1, 1], padding=[0, 0]) for name in ("a", "b", "c")}
    ends = {name: node(name.title(), shape=[1, 3, 3]) for name in ("input", "output")}
    with pytest.raises(Refused, match="feature maps"):
        EDGES.rewrite(Graph(ends | pools, graph.edges), PLAIN, MISRUNS)


def test_several_outputs_have_no_last() -> None:
    graph = skip()
    two = Graph({**graph.nodes, "other": port("Output", 3)}, (*graph.edges, ("a", "other")))
    with pytest.raises(Refused, match="several"):
        EDGES.rewrite(two, PLAIN, MISRUNS)


@given(cyclic_graphs(delays=False), seeds)
@settings(max_examples=100, deadline=None)
def test_names_of_a_cycle_sort_as_its_nodes_run(graph: Graph, seed: int) -> None:
    rewritten = NAMES.rewrite(graph, PLAIN, KNOWN)
    event("renamed" if rewritten else "as it was")
    if rewritten is None:
        return
    made, ends = rewritten.graph, {*graph.of_kind("Input", "Output")}
    assert all(source < end for source, end in made.edges if (source, end) not in late(made) and not {source, end} & ends)
    assert [graph.nodes[name] is made.nodes[name] for name in ends] == [True, True]
    x = np.random.default_rng(seed).normal(0.3, 1, (30, 2, 2))
    np.testing.assert_array_equal(simulate(made, x, DT).output, simulate(graph, x, DT).output)


def test_a_cycle_whose_entries_do_all_the_waiting_keeps_its_names() -> None:
    nodes = {
        "input": port("Input", 3),
        "z": neuron("LIF", 3, RNG),
        "a": node("Linear", weight=np.eye(3)),
        "output": port("Output", 3),
    }
    graph = Graph(nodes, (("input", "z"), ("z", "a"), ("a", "z"), ("z", "output")))
    assert NAMES.rewrite(graph, PLAIN, KNOWN) is None
    assert NAMES.rewrite(graph, PLAIN, PLAIN) is None


CHAIN = tuple(itertools.pairwise(("input", "w1", "a", "w2", "b", "w3", "c", "w4", "d", "output")))
SKIPS = {
    "a skip over a layer": (("a", "wskip"), ("wskip", "c")),
    "a skip over two": (("a", "wskip"), ("wskip", "d")),
    "skips over each": (("a", "wskip"), ("wskip", "c"), ("b", "wnext"), ("wnext", "d"), ("a", "wlong"), ("wlong", "d")),
    "a skip from the input": (("input", "wskip"), ("wskip", "c")),
    "a skip to the output": (("a", "wskip"), ("wskip", "output")),
}


@pytest.fixture
def norse() -> LiveBackend:
    return running("norse")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("edges", SKIPS.values(), ids=SKIPS)
def test_norse_runs_the_joins_that_it_misran(norse: LiveBackend, edges: tuple[tuple[str, str], ...]) -> None:
    rng, found = np.random.default_rng(7), fingerprint_of("norse")
    cell = {"tau": np.full(3, 2e-3), "r": np.ones(3), "v_leak": np.zeros(3), "v_threshold": np.ones(3), "v_reset": np.zeros(3)}
    nodes = {"input": port("Input", 3), "output": port("Output", 3)} | {name: node("LIF", **cell) for name in "abcd"}
    weights = sorted({name for edge in (*CHAIN, *edges) for name in edge if name.startswith("w")})
    nodes |= {name: node("Linear", weight=rng.normal(12, 12, (3, 3)).astype(np.float32)) for name in weights}
    graph, x = Graph(nodes, (*CHAIN, *edges)), rng.normal(0.3, 1.0, (40, 3, 3)).astype(np.float32)
    rewritten = EDGES.rewrite(graph, PLAIN, Side("norse", DT, found.by_primitive(), found.rules))
    wanted = simulate(graph, x, DT).output
    assert rewritten is not None and wanted.any()
    misran = output_of(norse(graph, x, DT))
    assert misran is None or misran.shape != wanted.shape or (misran != wanted).any()
    np.testing.assert_allclose(output_of(norse(rewritten.graph, x, DT)), wanted, rtol=0, atol=1e-5)
