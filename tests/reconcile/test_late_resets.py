"""A reset to a value one step late, by neurons that reset at once: the same spikes, and refusals just outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.graphs import Graph, Node, inline
from nir_interop.reconcile.late_resets import LATE_RESETS
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Floor, ResetKind, SpikeFrom, SpikesPerStep, Timing
from nir_interop.vocabulary import Cause
from tests.known import CORE, fingerprint_of, installed
from tests.reconcile.pass_checks import proven, refused, rules, side
from tests.strategies import DT, chain, cuba_lif, cyclic_graphs, graphs, lif, node, stimulus

(LATE,) = LATE_RESETS
RNG = np.random.default_rng(0)
AT_ONCE = NIR_MEANING
ONE_LATE = NIR_MEANING.but(timing=Timing.NEXT_STEP)
ALONE = {"spikes": SpikesPerStep.ONE, "floor": Floor.NONE, "spike_from": SpikeFrom.UPDATED}
seeds = st.integers(0, 2**32 - 1)


def layer(cell: Node | None = None) -> Graph:
    neurons = lif(4, r=20.0, v_reset=-0.2) if cell is None else cell
    return chain(node("Affine", weight=RNG.normal(0.3, 0.5, (4, 3)), bias=RNG.normal(0, 0.1, 4)), neurons, size=3)


def recurrent() -> Graph:
    graph = layer()
    nodes = {**graph.nodes, "rec": node("Affine", weight=RNG.normal(0, 0.4, (4, 4)), bias=RNG.normal(0, 0.1, 4))}
    return Graph(nodes, (*graph.edges, ("n1", "rec"), ("rec", "n1")))


@given(st.data(), st.one_of(graphs(), cyclic_graphs()), seeds, st.sampled_from([ResetKind.TO_VALUE, ResetKind.TO_ZERO]))
@settings(max_examples=100, deadline=None)
def test_a_neuron_that_is_made_to_fire_again_resets_one_step_late(
    data: st.DataObject, graph: Graph, seed: int, reset: ResetKind
) -> None:
    source = data.draw(rules(reset=reset, timing=Timing.NEXT_STEP, **ALONE))
    neurons = inline(graph).of_kind("IF", "LIF", "CubaLIF")
    try:
        rewritten = proven(LATE, graph, side(source), side(source.but(timing=Timing.SAME_STEP)), seed)
    except Refused as refusal:
        event(str(refusal.cause))
        assert inline(graph).of_kind("CubaLIF") or refusal.cause is Cause.CYCLE_ORDER
        return
    event("rewritten" if rewritten else "nothing to do")
    assert (rewritten.nodes if rewritten else ()) == neurons


def test_it_fires_as_numpy_says_and_forgets_what_it_hears_behind_a_spike() -> None:
    graph = recurrent()
    rewritten = LATE.rewrite(graph, side(ONE_LATE), side(AT_ONCE))
    assert rewritten is not None
    x, cell, dense, rec = (stimulus(3, steps=80), *(graph.nodes[name] for name in ("n1", "n0", "rec")))
    assert isinstance(cell, Node) and isinstance(dense, Node) and isinstance(rec, Node)
    v, fired, spikes = np.zeros((3, 4)), np.zeros((3, 4), bool), []
    for step, frame in enumerate(x):
        heard = frame @ dense["weight"].T + dense["bias"] + fired @ rec["weight"].T + rec["bias"]
        v = np.where(fired, cell["v_reset"], v + DT / cell["tau"] * (cell["r"] * heard - v))
        fired = v > cell["v_threshold"]
        spikes.append(fired)
        assert step or not fired.all()
    assert np.sum(spikes) > 20
    assert not (np.array(spikes)[1:] & np.array(spikes)[:-1]).any()
    assert_same_spikes(simulate(rewritten.graph, x, DT).spikes["n1"], np.array(spikes), node="n1")


def test_nothing_changes_where_the_target_resets_as_late() -> None:
    assert LATE.rewrite(layer(), side(ONE_LATE), side(ONE_LATE)) is None
    assert LATE.rewrite(layer(), side(AT_ONCE), side(AT_ONCE.but(timing=Timing.CARRIED))) is None


def test_what_resets_otherwise_is_refused() -> None:
    refused(LATE, layer(), side(AT_ONCE), side(ONE_LATE), Cause.RESET_LATE, "n1")
    soft = ONE_LATE.but(reset=ResetKind.SUBTRACT)
    refused(LATE, layer(), side(soft), side(soft.but(timing=Timing.SAME_STEP)), Cause.RESET_LATE, "n1")
    refused(LATE, layer(cuba_lif(4, r=20.0)), side(ONE_LATE), side(AT_ONCE), Cause.RESET_LATE, "n1")
    refused(LATE, layer(lif(4, r=0.0)), side(ONE_LATE), side(AT_ONCE), Cause.GAIN, "n1")


@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize("graph", [layer(), recurrent()], ids=["layer", "recurrent"])
def test_each_importer_then_resets_one_step_late(name: str, graph: Graph) -> None:
    """By its rules; tests/transfer runs the libraries themselves on such networks."""
    installed(name)
    target = Side.of(fingerprint_of(name), DT)
    plan = reconcile(graph, side(ONE_LATE), target, stimulus(5, steps=60).astype(np.float32), PASSES)
    assert "late_reset_as_composition" in [each.name for each in plan.passes]
    assert plan.right, plan.remaining
