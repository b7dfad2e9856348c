"""Joins of different spiking layers as one layer with relays: the same spikes, and a refusal where a relay is none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.environments import backend
from harness.fingerprint import Identified, Refusal
from harness.graphs import Array, Graph, Node, digest
from harness.matrix.live import LiveBackend
from harness.reconcile.model import Refused, Rewritten, Side
from harness.reconcile.relays import RELAYS
from harness.reconcile.wiring import WIRING
from harness.reference import simulate
from harness.rule import (
    NIR_MEANING,
    Decay,
    Gain,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from harness.vocabulary import Cause
from tests.explain.library_graphs import fingerprint_of
from tests.reconcile.replays import rules
from tests.reconcile.test_wiring import INTO_LAYER, INTO_NEURON, INTO_OUTPUT, dense, known, lif, plain
from tests.strategies import DT, neuron, port

(RELAY,) = RELAYS
(
    ONE_AFFINE,
    *_,
) = WIRING
SEEDS = st.integers(0, 2**32 - 1)
Edges = tuple[tuple[str, str], ...]


def side(rule: UpdateRule = NIR_MEANING, *refused: str) -> Side:
    """A side that misruns joins, and refuses some parameters of LIF."""
    said = Identified(rule, 100, refuses=tuple(Refusal(each, "refused", "") for each in refused))
    return Side("other", DT, {"LIF": rule, "IF": rule}, {"join": known(INTO_NEURON, INTO_LAYER, INTO_OUTPUT), "LIF": said})


MISRUNS = side()


def path(*names: str) -> Edges:
    return tuple(itertools.pairwise(names))


def sized(rng: np.random.Generator, sizes: dict[str, int], edges: Edges, **given: Node) -> Graph:
    """LIF layers of these sizes, and weights (``w…``) for what they hear and feed; a size of 3 comes in and goes out."""
    width = {"input": 3, "output": 3} | sizes
    nodes: dict[str, Node] = {"input": port("Input", 3), "output": port("Output", 3)}
    nodes |= {name: lif(rng, size) for name, size in sizes.items()}
    for name in {each for edge in edges for each in edge if each.startswith("w")}:
        (into, *_), (out, *_) = (
            [source for source, end in edges if end == name],
            [end for source, end in edges if source == name],
        )
        nodes[name] = dense(rng, bool(rng.integers(2)), width[out], width[into])
    return Graph(nodes | given, edges)


def proven(graph: Graph, rule: UpdateRule = NIR_MEANING, seed: int = 0) -> Graph:
    """What the pass makes of a graph: no joins, the same spikes, first in their layers."""
    before = digest(graph)
    source = side(rule)
    relayed = RELAY.rewrite(graph, source, source)
    assert isinstance(relayed, Rewritten)
    assert digest(graph) == before
    assert set(relayed.nodes) <= set(graph.nodes)
    made = relayed.graph
    stimulus = np.random.default_rng(seed).normal(0.3, 1.0, (30, 3, 3))
    wanted = simulate(graph, stimulus, DT, source.rules)
    recording = simulate(made, stimulus, DT, source.rules)
    for name in set(wanted.spikes) & set(recording.spikes):
        size = wanted.spikes[name].shape[-1]
        np.testing.assert_array_equal(recording.spikes[name][..., :size], wanted.spikes[name], err_msg=name)
    np.testing.assert_allclose(recording.output, wanted.output, rtol=1e-9, atol=1e-9)
    assert all(len(made.into(name)) == 1 for name in made.nodes if name != "input")
    assert RELAY.rewrite(made, source, source) is None
    return made


CHAIN = path("input", "w1", "a", "w2", "b", "w3", "c", "w4", "d", "w5", "output")
SKIP = (*CHAIN, *path("a", "wskip", "c"))
LONG = (*CHAIN, *path("a", "wskip", "d"))
BLOCKS = (*SKIP, *path("b", "wnext", "d"), *path("a", "wlong", "d"))
SIZES = {"a": 4, "b": 2, "c": 5, "d": 3}


def relays() -> st.SearchStrategy[UpdateRule]:
    """Rules under which neurons can be relays."""
    fixed = {"spikes": SpikesPerStep.ONE, "spike_from": SpikeFrom.UPDATED, "timing": Timing.SAME_STEP}
    used = {"threshold": Use.USED, "time_step": TimeStep.GIVEN}
    resets, uses = st.sampled_from([ResetKind.TO_VALUE, ResetKind.TO_ZERO]), st.sampled_from([Use.USED, Use.IGNORED])
    gains = st.sampled_from([Gain.STEP, Gain.COMPLEMENT, Gain.ONE])
    return st.tuples(resets, uses, gains).flatmap(
        lambda drawn: rules(**fixed, **used, reset=drawn[0], resistance=drawn[1], gain=drawn[2])
    )


@given(SEEDS, relays(), st.sampled_from([SKIP, LONG, BLOCKS]))
@settings(max_examples=60, deadline=None)
def test_spikes_that_skip_layers_pass_through_them(seed: int, rule: UpdateRule, edges: Edges) -> None:
    made = proven(sized(np.random.default_rng(seed), SIZES, edges), rule, seed)
    grown = {SKIP: {"b": 6}, LONG: {"b": 6, "c": 9}, BLOCKS: {"b": 6, "c": 11}}[edges]
    for name, size in (SIZES | grown).items():
        assert made.nodes[name]["tau"].shape == (size,)


def test_a_relay_of_a_forward_euler_step_has_a_tau_of_dt_and_a_threshold_of_a_half() -> None:
    made = proven(sized(np.random.default_rng(0), SIZES, SKIP))
    relay = {name: values[2:] for name, values in made.nodes["b"].params.items()}
    assert all((relay[name] == value).all() for name, value in {"tau": DT, "r": 1, "v_threshold": 0.5, "v_reset": 0}.items())


def test_a_subtracting_reset_will_do_where_nothing_is_kept() -> None:
    rule = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
    proven(sized(np.random.default_rng(0), SIZES, LONG), rule)
    keeps = rule.but(decay=Decay.EXPONENTIAL)
    assert "forgets" in refused(sized(np.random.default_rng(0), SIZES, SKIP), side(keeps), "c", "w3", "wskip")


@given(SEEDS, relays())
@settings(max_examples=40, deadline=None)
def test_layers_side_by_side_become_one(seed: int, rule: UpdateRule) -> None:
    edges = (*path("input", "w1", "a", "w2", "c", "w5", "output"), *path("input", "w3", "b", "w4", "c"))
    made = proven(sized(np.random.default_rng(seed), {"a": 4, "b": 2, "c": 3}, edges), rule, seed)
    assert sorted(made.nodes) == ["b", "c", "input", "output", "w2", "w3", "w5"]


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_branches_of_different_lengths_and_more_than_two_become_one(seed: int) -> None:
    edges = (*path("input", "w1", "a", "w2", "d", "w3", "output"), *path("input", "w4", "b", "w5", "c", "w6", "d"))
    around = path("b", "w7", "d")
    proven(sized(np.random.default_rng(seed), SIZES, (*edges, *around)), seed=seed)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_spikes_that_join_unweighted_at_a_layer_or_at_the_output(seed: int) -> None:
    into_layer = (*path("input", "w1", "a", "wmix", "c", "w5", "output"), *path("input", "w3", "b", "wmix"))
    proven(sized(np.random.default_rng(seed), {"a": 4, "b": 4, "c": 3}, into_layer), seed=seed)
    into_output = (*path("input", "w1", "a", "w2", "b", "output"), ("a", "output"))
    proven(sized(np.random.default_rng(seed), {"a": 3, "b": 3}, into_output), seed=seed)


@given(SEEDS)
@example(10212158)
@settings(max_examples=80, deadline=None)
def test_any_layers_that_hear_any_before_them_say_the_same_or_are_refused(seed: int) -> None:
    """Each hears one or two of the input and the layers before it, through weights or as they are."""
    rng, before, edges, sizes = np.random.default_rng(seed), ["input"], list[tuple[str, str]](), dict[str, int]()
    for name in "abcdef"[: rng.integers(3, 7)]:
        sizes[name] = 3
        for source in rng.choice(before[-3:], min(len(before[-3:]), int(rng.integers(1, 3))), replace=False):
            weights = f"w{source}{name}"
            edges += path(str(source), name) if source != "input" and rng.random() < 0.2 else path(str(source), weights, name)
        before.append(name)
    graph = sized(rng, sizes, (*edges, *path(before[-1], "output")))
    digested, stimulus = digest(graph), rng.normal(0.3, 1.0, (30, 3, 3))
    try:
        relayed = RELAY.rewrite(graph, MISRUNS, MISRUNS)
    except Refused as error:
        assert set(error.nodes) <= set(graph.nodes)
        relayed = None
    assert digest(graph) == digested
    if relayed is not None:
        one, other = (simulate(each, stimulus, DT) for each in (graph, relayed.graph))
        np.testing.assert_array_equal(one.output, other.output)


def test_what_else_hears_a_layer_hears_it_as_before() -> None:
    """Weights shared with another node are copied, and a bare edge out of a layer with relays leads through an identity."""
    around = (*path("wskip", "e"), *path("b", "w7", "f"), *path("b", "g"), *path("a", "w8", "f"))
    graph = sized(np.random.default_rng(3), SIZES | {"e": 5, "f": 3, "g": 2}, (*SKIP, *around))
    neurons = Side("other", DT, domain={"join": known(INTO_NEURON)})
    relayed, stimulus = RELAY.rewrite(graph, MISRUNS, neurons), np.random.default_rng(0).normal(0.3, 1.0, (30, 3, 3))
    assert relayed is not None
    assert set(relayed.graph.into("e")) == {"wskip"}
    assert set(relayed.graph.into("g")) == {"b>g"}
    one, other = (simulate(each, stimulus, DT) for each in (graph, relayed.graph))
    for name in ("c", "d", "e", "f", "g"):
        np.testing.assert_array_equal(one.spikes[name], other.spikes[name])


def refused(graph: Graph, target: Side, *nodes: str, source: Side = MISRUNS) -> str:
    before = digest(graph)
    with pytest.raises(Refused) as error:
        RELAY.rewrite(graph, source, target)
    assert (error.value.cause, error.value.nodes) == (Cause.JOIN_MISRUN, nodes)
    assert digest(graph) == before
    return error.value.why


@pytest.mark.parametrize(
    "rule",
    [
        NIR_MEANING.but(timing=Timing.NEXT_STEP),
        NIR_MEANING.but(spike_from=SpikeFrom.PREVIOUS),
        NIR_MEANING.but(spikes=SpikesPerStep.MANY),
        NIR_MEANING.but(threshold=Use.COLLAPSED),
        NIR_MEANING.but(resistance=Use.COLLAPSED),
        NIR_MEANING.but(time_step=TimeStep.INFERRED),
        NIR_MEANING.but(precision=Precision.FIXED),
        NIR_MEANING.but(gain=Gain.JUMP),
    ],
    ids=lambda rule: next(name for name, value in rule.as_dict().items() if value != NIR_MEANING.as_dict()[name]),
)
def test_a_rule_without_relays_is_refused_on_either_side(rule: UpdateRule) -> None:
    graph = sized(np.random.default_rng(0), SIZES, SKIP)
    refused(graph, side(rule), "c", "w3", "wskip")
    refused(graph, MISRUNS, "c", "w3", "wskip", source=side(rule))


def test_one_value_for_all_neurons_is_refused_where_relays_would_differ() -> None:
    graph = sized(np.random.default_rng(0), SIZES, SKIP)
    assert "one tau" in refused(graph, side(NIR_MEANING, "heterogeneous tau, r = 1"), "c", "w3", "wskip")
    assert "one v_leak" in refused(graph, side(NIR_MEANING, "v_leak off 0, heterogeneous v_leak"), "c", "w3", "wskip")


def test_other_neurons_and_cycles_between_are_refused() -> None:
    rng = np.random.default_rng(0)
    graph = sized(rng, SIZES, SKIP, b=neuron("CubaLIF", 2, rng))
    assert "LIF layers" in refused(graph, MISRUNS, "c", "w3", "wskip")
    loop = sized(rng, SIZES, (*SKIP, *path("b", "wloop", "b")))
    refused(loop, MISRUNS, "c", "w3", "wskip")


def test_a_skip_from_the_input_is_left_to_others_and_so_is_what_hears_the_same() -> None:
    rng = np.random.default_rng(0)
    analogue = sized(rng, SIZES, (*CHAIN, *path("input", "wskip", "c")))
    same = sized(rng, SIZES, (*CHAIN, *path("b", "wskip", "c")))
    for graph in (analogue, same, sized(rng, SIZES, CHAIN)):
        assert RELAY.rewrite(graph, MISRUNS, MISRUNS) is None


def test_without_evidence_of_a_misrun_nothing_is_rewritten() -> None:
    graph = sized(np.random.default_rng(0), SIZES, SKIP)
    assert RELAY.rewrite(graph, MISRUNS, Side("other", DT)) is None


def bare(graph: Graph, rng: np.random.Generator) -> Graph:
    """Neurons that all three libraries run as NIR says, one value for all of a layer."""
    cells = {}
    for name, each in graph.primitives():
        size = each["tau"].size if each.kind == "LIF" else 0
        cells[name] = Node("LIF", {key: np.full(size, value[0]) for key, value in plain(rng).params.items()}) if size else each
    return Graph(cells, graph.edges)


@pytest.mark.parametrize("edges", [SKIP, LONG, BLOCKS], ids=["over one layer", "over two", "over each"])
def test_norse_runs_the_skip_that_it_misran(edges: Edges) -> None:
    """Evidence is what its own probes found; the rewritten graph goes through its own importer."""
    installed = backend("norse")
    if installed.missing:
        pytest.skip(installed.hint)
    rng, found = np.random.default_rng(7), fingerprint_of("norse")
    graph: Graph = bare(sized(rng, SIZES, edges), rng)
    stimulus: Array = rng.normal(0.3, 1.0, (40, 3, 3)).astype(np.float32)
    norse = Side("norse", DT, {"LIF": found.rules["LIF"].rule}, found.rules)
    rewritten, applied = graph, []
    for each in (*RELAYS, *WIRING):
        made = each.rewrite(rewritten, Side("nir", DT), norse)
        if made is not None:
            rewritten = made.graph
            applied.append(each.name)
    assert applied == ["relay_neurons"]
    expected = simulate(graph, stimulus, DT).output
    assert expected.any()
    with LiveBackend(installed) as run:
        (misrun,) = run(graph, stimulus, DT).outputs.values()
        (output,) = run(rewritten, stimulus, DT).outputs.values()
    assert misrun.shape != expected.shape or (misrun != expected).any()
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)
