"""Scale, Threshold and Delay in the libraries, none of which takes them: what stands for them gives what they would."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph, Node, inline
from nir_interop.reconcile.gains import SPLITTING
from nir_interop.reconcile.model import Pass
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.substitutes import SCALES, STAND_INS, SUBSTITUTES
from nir_interop.reference import simulate
from nir_interop.workers.live import LiveBackend
from tests.known import fingerprint_of
from tests.reconcile.test_substitutes import FLATTEN, PER_CHANNEL, conv, dense, image
from tests.strategies import DT, chain, lif, node

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:the delay of node:UserWarning"),  # of plans that leave the step as it was
]


def ordered() -> tuple[Pass, ...]:
    """All passes, with those about substitutes in their two places."""
    others = [each for each in PASSES if each not in SUBSTITUTES]
    place = others.index(SPLITTING[0])
    return (*SCALES, *others[:place], *STAND_INS, *others[place:])


def small(*parts: Node) -> Graph:
    """What all three libraries take, around what none of them does: a layer of alike neurons before, and one behind."""
    rng = np.random.default_rng(5)
    weights = [rng.normal(2.0, 9.0, shape).astype(np.float32) for shape in ((4, 3), (3, 4))]
    return chain(node("Linear", weight=weights[0]), *parts, lif(4), node("Linear", weight=weights[1]), lif(3), size=3)


def behind(part: Node) -> Graph:
    graph = small()
    edges = tuple(("n1", "part") if edge == ("n1", "n2") else edge for edge in graph.edges)
    return Graph({**graph.nodes, "part": part}, (*edges, ("part", "n2")))


def convolved() -> Graph:
    """Maps whose channels are scaled on their way into neurons."""
    fire = lif((4, 6, 6), v_threshold=0.3)
    scale, layer = node("Scale", scale=PER_CHANNEL.astype(np.float32)), conv(4, 2)
    whole = {name: layer[name].astype(np.float32) for name in ("weight", "bias")} | {"input_shape": np.array([6, 6])}
    last = lif(3, v_threshold=0.3)
    return image(Node("Conv2d", {**layer.params, **whole}), scale, fire, FLATTEN, dense(144), last, scale=1)


@pytest.mark.parametrize("dt", [1e-4, 1e-3])
@pytest.mark.parametrize(
    ("kind", "graph"),
    [
        ("Scale", small(node("Scale", scale=np.array([1.5, 0.5, 0.8, 2.0], dtype=np.float32)))),
        ("Scale", convolved()),
        ("Threshold", small(node("Threshold", threshold=np.array([0.3, 2.0, 0.1, 0.3])), node("Linear", weight=9 * np.eye(4)))),
        ("Delay", behind(node("Delay", delay=DT * np.array([0, 1, 3, 2])))),
    ],
    ids=["a scaled vector", "scaled maps", "thresholds", "delays"],
)
def test_libraries_that_take_no_such_primitive_run_what_stands_for_it(
    library: LiveBackend, kind: str, graph: Graph, dt: float
) -> None:
    name, found = library.backend.name, fingerprint_of(library.backend.name)
    stimulus = np.random.default_rng(7).binomial(1, 0.5, (60, 3, *graph.nodes["input"]["shape"])).astype(np.float32)  # type: ignore[index]
    wanted, there = simulate(graph, stimulus, DT).output, Side(name, dt, found.by_primitive(), found.rules)
    assert wanted is not None and wanted.any() and not found.rules[kind].outputs
    plan = reconcile(inline(graph), Side("nir", DT), there, stimulus, ordered(), run=library)
    assert plan.exact and plan.asked and not plan.remaining
    assert [applied.name for applied in plan.passes if kind.lower() in applied.name]
