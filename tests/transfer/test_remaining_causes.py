"""What a rewriting leaves: there is a reason wherever a target does not compute what the source did."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Array, Graph
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from nir_interop.transfer.reconciling import reconcile_with
from nir_interop.transfer.rewriting import remains
from nir_interop.vocabulary import Cause
from tests.strategies import DT, chain, neuron, node

RNG = np.random.default_rng(0)
GRAPH = chain(node("Linear", weight=RNG.normal(2, 2, (4, 3))), neuron("LIF", 4, RNG), size=3)
X = np.random.default_rng(1).normal(1, 1, (40, 4, 3))
TARGET = Side("target", DT, {}, Domain({"LIF": Identified(NIR_MEANING, 100)}))


def fails(graph: Graph, stimulus: Array, dt: float) -> Recording:
    raise RunFailed("run_error", "ValueError", "something of its own")


def hangs(graph: Graph, stimulus: Array, dt: float) -> Recording:
    raise RunFailed("timeout", message="killed after 20 s")


def too_few(graph: Graph, stimulus: Array, dt: float) -> Recording:
    return Recording({"output": simulate(graph, stimulus, dt).output[:, :, :2]})  # type: ignore[index]


def noise(graph: Graph, stimulus: Array, dt: float) -> Recording:
    made = simulate(graph, stimulus, dt)
    flipped = np.random.default_rng(2).random(made.output.shape) < 0.2
    return Recording({"output": made.output.astype(bool) ^ flipped})


def nothing(graph: Graph, stimulus: Array, dt: float) -> Recording:
    return Recording({})


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (fails, "something of its own"),
        (hangs, "killed after 20 s"),
        (too_few, "axes 40×4×2, where 640 numbers"),
        (noise, "outputs differ"),
        (nothing, "no output"),
    ],
)
def test_whatever_way_a_target_ends_there_is_a_reason(run: object, words: str) -> None:
    plan = reconcile(GRAPH, Side("nir", DT), TARGET, X, PASSES, run=run)  # type: ignore[arg-type]
    assert not plan.right and not plan.remaining
    left = remains(plan, TARGET, X).causes
    assert left and all(each.text for each in left)
    assert any(words in each.text for each in left), left


def test_a_pass_that_was_refused_is_a_reason() -> None:
    graph = chain(node("Linear", weight=RNG.normal(2, 2, (4, 3))), neuron("LI", 4, RNG), size=3)
    without = ("LI", "Linear", "Affine")  # a Linear would be an Affine, and a loop is made of either
    lacks = Side("target", DT, {}, Domain(dict.fromkeys(without, Identified(NIR_MEANING))))
    plan = reconcile(graph, Side("nir", DT), lacks, X, PASSES, run=fails)
    left = remains(plan, lacks, X).causes
    assert Cause.UNSUPPORTED in {each.cause for each in left}
    assert any("takes no" in each.text for each in left)


def test_where_every_output_is_right_nothing_remains() -> None:
    found = reconcile_with(None, GRAPH, X, Side("nir", DT), Side("nir", DT))
    assert found.plan.right and not found.remaining
