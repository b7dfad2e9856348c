"""Several Inputs as one: side by side in the order of their names, or one after another along the channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Graph, Node, digest, validate
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.wiring import one_input
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from nir_interop.vocabulary import Cause
from nir_interop.workers.live import LiveBackend
from tests.known import fingerprint_of
from tests.strategies import DT, lif, node, port

KNOWN = Side("b", DT, domain=Domain({"LIF": Identified(NIR_MEANING, outputs=10)}))
WEIGHTS = {"b": np.random.default_rng(0).normal(0.5, 1, (3, 2)), "input": np.random.default_rng(1).normal(0.5, 1, (3, 4))}


def two() -> Graph:
    """Inputs b (2) and input (4), which meet at neurons."""
    nodes = {
        "input": port("Input", 4),
        "b": port("Input", 2),
        "left": node("Linear", weight=np.float32(WEIGHTS["b"])),
        "right": node("Linear", weight=np.float32(WEIGHTS["input"])),
        "lif": lif(3, v_threshold=0.3),
        "output": port("Output", 3),
    }
    edges = (("input", "right"), ("b", "left"), ("left", "lif"), ("right", "lif"), ("lif", "output"))
    return Graph(nodes, edges)


def given(steps: int = 80) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return {name: 4 * (rng.random((steps, 3, w.shape[1])) < 0.4).astype(np.float32) for name, w in WEIGHTS.items()}


def by_hand(parts: dict[str, Any], dt: float = DT) -> Any:
    heard = sum(parts[name] @ np.float64(np.float32(weight)).T for name, weight in WEIGHTS.items())
    v, spikes = np.zeros((3, 3)), np.zeros_like(heard)
    for t, x in enumerate(heard):
        v = v + dt / 2e-3 * (x - v)
        spikes[t] = v > 0.3
        v = np.where(v > 0.3, 0, v)
    return spikes


def test_each_input_is_a_part_of_one_and_no_number_changes() -> None:
    graph, parts = two(), given()
    before = digest(graph)
    made = one_input(graph, Side("a", DT), KNOWN)
    assert made is not None and made.nodes == ("b", "input") and digest(graph) == before
    (entry,) = made.graph.of_kind("Input")
    assert validate(made.graph)[entry] == ((6,), (6,))
    x = np.concatenate([parts["b"], parts["input"]], axis=2)
    np.testing.assert_array_equal(simulate(made.graph, x, DT).output, by_hand(parts))
    assert by_hand(parts).sum() > 50
    assert f"{entry} holds them side by side, in this order: b (2), input (4)" in made.why


@pytest.mark.parametrize("space", [(5,), (4, 5)])
def test_feature_maps_of_one_size_are_laid_one_after_another_along_the_channels(space: tuple[int, ...]) -> None:
    kind = f"Conv{len(space)}d"
    rng = np.random.default_rng(2)
    kernel = (3,) * len(space)
    extents: dict[str, Any] = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}

    def layer(channels: int) -> Node:
        return node(kind, weight=rng.normal(0, 1, (2, channels, *kernel)), bias=np.zeros(2), **extents)

    nodes = {
        "z": node("Input", shape=(1, *space)),
        "a": node("Input", shape=(2, *space)),
        "cz": layer(1),
        "ca": layer(2),
        "output": node("Output", shape=(2, *space)),
    }
    graph = Graph(nodes, (("z", "cz"), ("a", "ca"), ("cz", "output"), ("ca", "output")))
    made = one_input(graph, Side("a", DT), KNOWN)
    assert made is not None and "along the channels, in this order: a (2), z (1)" in made.why
    a, z = (rng.normal(0, 1, (6, 2, channels, *space)).astype(np.float32) for channels in (2, 1))
    flat = np.concatenate([part.reshape(6, 2, -1) for part in (a, z)], axis=2)
    wanted = simulate(graph, flat, DT).output
    np.testing.assert_allclose(simulate(made.graph, np.concatenate([a, z], axis=2), DT).output, wanted, rtol=1e-12, atol=1e-12)
    assert np.ptp(wanted) > 1


def test_what_no_layer_takes_apart_is_refused_with_the_shapes() -> None:
    ends = {
        "input": port("Input", 4),
        "b": node("Input", shape=(2, 3)),
        "o": port("Output", 4),
        "p": node("Output", shape=(2, 3)),
    }
    graph = Graph(ends, (("input", "o"), ("b", "p")))
    with pytest.raises(Refused, match=r"no layer takes apart .*: b \(2, 3\), input \(4,\)") as refused:
        one_input(graph, Side("a", DT), KNOWN)
    assert refused.value.cause is Cause.UNSUPPORTED and refused.value.nodes == ("b", "input")


def test_one_input_stays_and_so_do_two_for_a_side_of_which_nothing_is_known() -> None:
    alone = Graph({"input": port("Input", 4), "output": port("Output", 4)}, (("input", "output"),))
    assert one_input(alone, KNOWN, KNOWN) is None
    assert one_input(two(), KNOWN, Side("reference", DT)) is None


def test_every_library_gives_every_output_once_they_are_one(library: LiveBackend) -> None:
    graph, parts = two(), given()
    x = np.concatenate([parts["b"], parts["input"]], axis=2)
    target = Side.of(fingerprint_of(library.backend.name), DT, library.backend.name)
    plan = reconcile(graph, Side("nir", DT), target, x, PASSES, run=library)
    assert plan.right and "one_input" in [each.name for each in plan.passes]
    others = given(120)
    fresh = np.concatenate([others["b"], others["input"]], axis=2)
    np.testing.assert_array_equal(library(plan.graph, fresh, DT).output, by_hand(others))
