"""Compositions that are neurons which subtract: the same spikes, the numbers of the network, and refusals just outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Domain, Form, Identified, Refusal, Wiring
from nir_interop.graphs import Graph, Node, from_nir, inline
from nir_interop.networks import catalogue, twins
from nir_interop.reconcile.composition import COMPOSITIONS
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.soft_resets import SOFT_RESETS
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, ResetKind, Timing, UpdateRule
from nir_interop.stimuli import stimulus_for
from nir_interop.vocabulary import Cause
from tests.reconcile.pass_checks import proven, refused, side
from tests.strategies import DT, cyclic_graphs, graphs

(APART,), (AS_ONE,) = COMPOSITIONS, SOFT_RESETS
SOFT = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
LATE = SOFT.but(timing=Timing.NEXT_STEP)
TAKEN, NOT_TAKEN = Identified(NIR_MEANING, 100), Identified(NIR_MEANING)
NONE = Identified(NIR_MEANING, refusals=(Refusal(Form.ANY, "import_error", "KeyError"),))
KINDS = ("Affine", "Linear", "LI", "IF", "LIF", "CubaLIF", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten")
NIR = Side("nir", DT)
seeds = st.integers(0, 2**32 - 1)


def subtracting(rule: UpdateRule = SOFT, *lacking: str, cycles: bool = True) -> Side:
    """A target whose neurons subtract, and which takes no Threshold, no Scale and no I."""
    rules = {kind: replace(TAKEN, rule=rule) for kind in ("IF", "LIF", "CubaLIF")}
    gone = ("Threshold", "Scale", "I", "Delay", *lacking)
    known = dict.fromkeys(KINDS, TAKEN) | rules | dict.fromkeys(gone, NOT_TAKEN)
    cyclic: dict[str | Wiring, Identified] = {} if cycles else {Wiring.RECURRENCE: NONE}
    return Side("target", DT, {kind: one.rule for kind, one in rules.items()}, Domain({**known, **cyclic}))


def parts(graph: Graph, rule: UpdateRule) -> Graph | None:
    """A graph whose neurons subtract, with them in parts."""
    flat = inline(graph)
    try:
        made = APART.rewrite(flat, side(rule), side(NIR_MEANING))
    except Refused:
        return None
    return None if made is None else made.graph


@given(graphs(), seeds, st.sampled_from([SOFT, LATE]))
@settings(max_examples=80, deadline=None)
def test_neurons_in_parts_are_neurons_again(graph: Graph, seed: int, rule: UpdateRule) -> None:
    composed = parts(graph, rule)
    if composed is None:
        return
    made = proven(AS_ONE, composed, NIR, subtracting(rule), seed)
    flat = inline(graph)
    assert made is not None and set(made.nodes) == set(flat.of_kind("IF", "LIF", "CubaLIF"))
    assert made.graph.of_kind("Threshold", "Scale") == flat.of_kind("Threshold", "Scale")
    assert {one.reset for one in made.rules.values()} == {ResetKind.SUBTRACT}
    for name in flat.of_kind("IF", "LIF"):
        before, after = flat.nodes[name], made.graph.nodes[name]
        assert before.kind == after.kind
        for key in ("tau", "v_leak", "v_threshold"):
            if key in before.params:  # type: ignore[union-attr]
                np.testing.assert_allclose(after[key], np.broadcast_to(before[key], after[key].shape), rtol=1e-12)  # type: ignore[index]


@given(cyclic_graphs(), seeds, st.sampled_from([SOFT, LATE]))
@settings(max_examples=80, deadline=None)
def test_on_a_cycle_the_same_edges_wait(graph: Graph, seed: int, rule: UpdateRule) -> None:
    composed = parts(graph, rule)
    if composed is not None:
        try:
            proven(AS_ONE, composed, NIR, subtracting(rule), seed)
        except Refused as refusal:
            assert refusal.cause is Cause.CYCLE_ORDER


@pytest.mark.parametrize("name", [name for name in twins() if not name.startswith("csnn_maxpool")])
@pytest.mark.parametrize("lacking", [(), ("LI",)], ids=["with LI", "without"])
def test_a_twin_is_the_network_again_for_a_target_that_subtracts(name: str, lacking: tuple[str, ...]) -> None:
    entry = catalogue(name)
    network = entry.build(0)
    graph, x = from_nir(network.to_nir()), stimulus_for(entry, network, 0).input[:20, :8]
    made = AS_ONE.rewrite(graph, NIR, subtracting(SOFT, *lacking))
    assert made is not None
    kinds = {layer.name: type(layer).__name__ for layer in network.neurons() if layer.spiking}
    split = not lacking and "cuba" in name
    assert {each: made.graph.nodes[each].kind for each in made.nodes} == (dict.fromkeys(kinds, "LIF") if split else kinds)
    assert bool(made.graph.of_kind("LI")) == (split or name == "mlp_readout_soft")
    seen = simulate(made.graph, x, DT, made.rules)
    meant = simulate(graph, x, DT)
    for each in kinds:
        assert_same_spikes(seen.spikes[each], meant.spikes[each], node=each)
    assert sum(meant.spikes[each].sum() for each in kinds) > 0


def composed(feedback: float = 1.0, theta: float = 1.0) -> Graph:
    """Two neurons in parts, and what a factor makes of their feedback."""
    graph = from_nir(catalogue("mlp_subtract").build(0).to_nir())
    nodes = dict(graph.nodes)
    for name in ("lif1", "lif2"):
        reset = nodes[f"{name}_reset"]
        nodes[f"{name}_reset"] = Node("Scale", {"scale": reset["scale"] * feedback * theta})  # type: ignore[index]
        nodes[name] = Node("Threshold", {"threshold": nodes[name]["threshold"] * theta})  # type: ignore[index]
    return Graph(nodes, graph.edges)


def test_another_feedback_is_no_reset() -> None:
    assert AS_ONE.rewrite(composed(1.01), NIR, subtracting()) is None
    assert AS_ONE.rewrite(composed(0.0), NIR, subtracting()) is None
    assert AS_ONE.rewrite(composed(1 + 1e-8), NIR, subtracting()) is not None  # single precision


def test_nothing_changes_for_a_target_that_takes_the_parts_or_resets_otherwise() -> None:
    whole = subtracting()
    taking = Domain({**whole.domain, "Threshold": TAKEN, "Scale": TAKEN, "I": TAKEN})
    assert AS_ONE.rewrite(composed(), NIR, replace(whole, domain=taking)) is None
    no_cycles = Domain({**taking, Wiring.RECURRENCE: NONE})
    assert AS_ONE.rewrite(composed(), NIR, replace(whole, domain=no_cycles)) is not None
    for rule in (NIR_MEANING, LATE):
        assert AS_ONE.rewrite(composed(), NIR, subtracting(rule)) is None


def test_a_threshold_that_fires_in_silence_and_neurons_that_reset_otherwise_are_refused() -> None:
    refused(AS_ONE, composed(theta=-1.0), NIR, subtracting(), Cause.START, "lif1")
    graph = composed()
    cell = {name: np.ones(10) for name in ("tau", "r", "v_threshold")} | {name: np.zeros(10) for name in ("v_leak", "v_reset")}
    edges = [("lif3", "output") if edge == ("lif2", "output") else edge for edge in graph.edges]
    other = Graph({**graph.nodes, "lif3": Node("LIF", cell)}, (*edges, ("lif2", "lif3")))
    refused(AS_ONE, other, NIR, subtracting(), Cause.RESET_KIND, "lif1")


def test_a_target_without_cycles_is_right_about_a_network_that_subtracts() -> None:
    entry = catalogue("mlp_lif_mixed_soft")
    network = entry.build(0)
    target = subtracting(SOFT, "Linear", cycles=False)

    def run(graph: Graph, x: np.ndarray, dt: float) -> object:
        if graph.of_kind("Threshold", "Scale", "Linear"):
            raise RunFailed("import_error", "KeyError", "lif1")
        return simulate(graph, x, dt, target.rules)

    x = stimulus_for(entry, network, 0).input
    plan = reconcile(from_nir(network.to_nir()), NIR, target, x, PASSES, run=run)  # type: ignore[arg-type]
    assert plan.right and [each.name for each in plan.passes][:1] == ["composition_as_soft_reset"]
