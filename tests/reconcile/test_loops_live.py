"""Resets by subtraction, values and joins in libraries that have no such thing: what stands for them gives what they would."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.compare.divergence import output_of
from nir_interop.graphs import Array, Graph, Node
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.rule import NIR_MEANING, ResetKind, Timing
from nir_interop.workers.live import LiveBackend
from tests.known import fingerprint_of
from tests.strategies import DT, alike, chain, cuba_lif, lif, node

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TAU = 2e-3
SOFT = NIR_MEANING.but(reset=ResetKind.SUBTRACT)


def layers(last: Node) -> tuple[Graph, list[tuple[Array, Array]]]:
    """Five inputs, six spiking neurons, and four of another kind, with the weights between."""
    rng = np.random.default_rng(3)
    shapes = ((6, 5), (4, 6))
    weights = [(np.float32(rng.normal(3, 5, shape)), np.float32(rng.normal(0, 0.3, shape[0]))) for shape in shapes]
    spiking = lif(6, tau=TAU)
    one, two = (node("Affine", weight=weight, bias=bias) for weight, bias in weights)
    return chain(one, spiking, two, last, size=5), weights


def rewritten(library: LiveBackend, graph: Graph, source: Side, x: Array, dt: float) -> Graph:
    """A graph as all passes together write it, by what is known of both sides alone."""
    found = fingerprint_of(library.backend.name)
    plan = reconcile(graph, source, Side(library.backend.name, dt, found.by_primitive(), found.rules), x[:5], PASSES)
    assert plan.right and not plan.remaining
    return plan.graph


def heard(weights: tuple[Array, Array], x: Array) -> Array:
    return np.asarray(x @ weights[0].T.astype(np.float64) + weights[1])


def soft(x: Array, timing: Timing) -> Array:
    """A LIF that subtracts its threshold of 1, written out; axes (T, B, n)."""
    v, last, spikes = np.zeros(x.shape[1:]), np.zeros(x.shape[1:]), np.zeros_like(x)
    for t in range(len(x)):
        carried = v > 1
        v = v + DT / TAU * (x[t] - v)
        if timing is Timing.NEXT_STEP:
            v = v - last
        last = spikes[t] = (v - (carried if timing is Timing.CARRIED else 0)) > 1
        if timing is not Timing.NEXT_STEP:
            v = v - last
    return spikes


@pytest.mark.parametrize("timing", Timing)
def test_a_reset_by_subtraction_is_composed(library: LiveBackend, timing: Timing) -> None:
    spiking = lif(4, tau=TAU)
    graph, weights = layers(spiking)
    x = np.random.default_rng(21).binomial(1, 0.4, (150, 3, 5)).astype(np.float32)
    wanted = soft(heard(weights[1], soft(heard(weights[0], x), timing)), timing)
    made = rewritten(library, graph, Side("soft", DT, {"LIF": SOFT.but(timing=timing)}), x, 1e-3)
    assert wanted.any()
    assert_same_spikes(output_of(library(made, x, 1e-3)), wanted)


@pytest.mark.parametrize("kind", ["LI", "I", "CubaLI"])
def test_values_are_kept_in_weights(library: LiveBackend, kind: str) -> None:
    values = {"I": {"r": 300.0}, "LI": {"tau": 2e-2, "r": 2.0, "v_leak": 0.1}}
    values["CubaLI"] = {"tau_syn": 5e-4, "tau_mem": TAU, "w_in": 2.0, "r": 1.5, "v_leak": -0.2}
    graph, weights = layers(alike(kind, 4, **values[kind]))
    x = np.random.default_rng(19).binomial(1, 0.4, (150, 3, 5)).astype(np.float32)
    made = output_of(library(rewritten(library, graph, Side("nir", DT), x, DT), x, DT))
    v, i, wanted, p = np.zeros((3, 4)), np.zeros((3, 4)), np.zeros((150, 3, 4)), values[kind]
    given = heard(weights[1], hard(heard(weights[0], x)))
    for t in range(150):
        i = i + DT / p["tau_syn"] * (p["w_in"] * given[t] - i) if kind == "CubaLI" else given[t]
        v = v + (DT * p["r"] * i if kind == "I" else DT / p.get("tau", TAU) * (p["v_leak"] - v + p["r"] * i))
        wanted[t] = v
    assert made is not None
    np.testing.assert_allclose(made, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


def hard(x: Array) -> Array:
    """A LIF that is reset to 0, written out."""
    v, spikes = np.zeros(x.shape[1:]), np.zeros_like(x)
    for t in range(len(x)):
        v = v + DT / TAU * (x[t] - v)
        spikes[t] = v > 1
        v = np.where(spikes[t], 0.0, v)
    return spikes


def test_current_based_neurons_that_subtract_are_composed(library: LiveBackend) -> None:
    graph, weights = layers(cuba_lif(4, tau_syn=5e-4, tau_mem=TAU))
    x = np.random.default_rng(20).binomial(1, 0.4, (150, 3, 5)).astype(np.float32)
    made = output_of(library(rewritten(library, graph, Side("soft", DT, {"CubaLIF": SOFT}), x, DT), x, DT))
    given, i, v = heard(weights[1], hard(heard(weights[0], x))), np.zeros((3, 4)), np.zeros((3, 4))
    assert made is not None and made.any()
    for t in range(150):
        i = i + DT / 5e-4 * (given[t] - i)
        v = v + DT / TAU * (i - v)
        np.testing.assert_array_equal(made[t], v > 1)
        v = v - (v > 1)
