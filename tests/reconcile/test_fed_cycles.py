"""Weights of zeros into a cycle that nothing feeds: the same edges wait, and importers find it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Array, Graph, Node, unfed_cycles
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.wiring import fed_cycles
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from nir_interop.workers.live import LiveBackend
from tests.known import fingerprint_of
from tests.strategies import DT, lif, node, port

KNOWN = Side("b", DT, domain=Domain({"LIF": Identified(NIR_MEANING, outputs=10)}))
_RNG = np.random.default_rng(3)
DRIVE, BACK, IN = (np.float32(_RNG.normal(0, scale, shape)) for scale, shape in ((0.5, (3, 3)), (0.5, (3, 3)), (1, (3, 2))))
BIAS = np.float32([1.0, 1.6, 0.6])


def clock() -> Graph:
    """Neurons that a cycle of their own drives, beside what the Input says."""
    nodes = {
        "input": port("Input", 2),
        "drive": node("Affine", weight=DRIVE, bias=BIAS),
        "cell": lif(3, v_threshold=0.3),
        "back": node("Linear", weight=BACK),
        "w": node("Linear", weight=IN),
        "mix": lif(3, v_threshold=0.3),
        "output": port("Output", 3),
    }
    cycle = (("drive", "cell"), ("cell", "back"), ("back", "drive"))
    return Graph(nodes, (("input", "w"), ("w", "mix"), *cycle, ("cell", "mix"), ("mix", "output")))


def by_hand(x: Array) -> Array:
    drive, back, bias, given = (np.float64(each) for each in (DRIVE, BACK, BIAS, IN))
    v, u, heard, spikes = np.zeros((x.shape[1], 3)), np.zeros((x.shape[1], 3)), np.zeros((x.shape[1], 3)), []
    for now in np.float64(x):
        v = v + DT / 2e-3 * (heard @ drive.T + bias - v)
        cell = v > 0.3
        v, heard = np.where(cell, 0, v), cell @ back.T
        u = u + DT / 2e-3 * (now @ given.T + cell - u)
        spikes.append(u > 0.3)
        u = np.where(u > 0.3, 0, u)
    return np.array(spikes)


def stimulus(seed: int, steps: int = 150) -> Array:
    return 2 * (np.random.default_rng(seed).random((steps, 3, 2)) < 0.4).astype(np.float32)


def test_zeros_lead_to_what_drives_the_cycle_and_no_number_changes() -> None:
    graph, x = clock(), stimulus(0)
    made = fed_cycles(graph, Side("a", DT), KNOWN)
    assert made is not None and made.nodes == ("drive",)
    assert not unfed_cycles(made.graph.nodes, made.graph.edges) and unfed_cycles(graph.nodes, graph.edges)
    meant = by_hand(x)
    np.testing.assert_array_equal(simulate(graph, x, DT).output, meant)
    np.testing.assert_array_equal(simulate(made.graph, x, DT).output, meant)
    assert 50 < meant.sum() < meant.size / 2


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 5))
def test_any_cycle_computes_what_it_did(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    edges = {(k, (k + 1) % count) for k in range(count)} | {tuple(rng.integers(0, count, 2).tolist()) for _ in range(2)}
    nodes: dict[str, Node] = {"input": port("Input", 1), "output": port("Output", 2)}
    for k in range(count):
        bias = np.where(rng.random() < 0.5, rng.normal(0, 1, 2), 0.0)
        weights = node("Affine", weight=rng.normal(0, 0.5, (2, 2)), bias=bias)
        nodes[f"n{k}"] = weights if rng.random() < 0.6 else lif(2, v_threshold=0.3)
    graph = Graph(nodes, (*((f"n{a}", f"n{b}") for a, b in sorted(edges)), ("n0", "output")))
    made = fed_cycles(graph, Side("a", DT), KNOWN)
    assert made is not None
    x = rng.random((25, 2, 1))
    np.testing.assert_array_equal(simulate(made.graph, x, DT).output, simulate(graph, x, DT).output)


def test_feature_maps_are_refused_and_a_fed_cycle_stays() -> None:
    ends = {"input": node("Input", shape=[2, 3]), "output": node("Output", shape=[2, 3])}
    plane = Graph({**ends, "s": node("Threshold", threshold=np.full((2, 3), -1.0))}, (("input", "output"), ("s", "s")))
    with pytest.raises(Refused, match="nothing feeds its cycle, and no weights lead to or from feature maps"):
        fed_cycles(plane, Side("a", DT), KNOWN)
    fed = Graph(clock().nodes, (*clock().edges, ("w", "drive")))
    assert fed_cycles(fed, Side("a", DT), KNOWN) is None
    assert fed_cycles(clock(), Side("a", DT), Side("reference", DT)) is None


def test_every_library_gives_every_output_once_it_is_fed(library: LiveBackend) -> None:
    """By what is known of it alone, since two of the three look for ever for a cycle that is not."""
    target = Side.of(fingerprint_of(library.backend.name), DT, library.backend.name)
    plan = reconcile(clock(), Side("nir", DT), target, stimulus(1), PASSES)
    assert plan.right and "fed_cycles" in [each.name for each in plan.passes]
    x = stimulus(2)
    np.testing.assert_array_equal(library(plan.graph, x, DT).output, by_hand(x))
