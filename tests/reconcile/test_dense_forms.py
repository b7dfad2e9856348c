"""A Linear as an Affine, and an Affine as a Linear, for a target that takes one of them."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Graph
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.writing import FORMS
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from nir_interop.vocabulary import Cause
from tests.reconcile.pass_checks import proven, refused, side
from tests.strategies import DT, chain, neuron, node, stimulus

(FORM,) = FORMS
RNG = np.random.default_rng(4)
TAKEN, NOT_TAKEN = Identified(NIR_MEANING, 100), Identified(NIR_MEANING)
NO_LINEAR = side(NIR_MEANING, domain={"Linear": NOT_TAKEN, "Affine": TAKEN, "LIF": TAKEN})
NO_AFFINE = side(NIR_MEANING, domain={"Linear": TAKEN, "Affine": NOT_TAKEN, "LIF": TAKEN})
NIR = Side("nir", DT)


def two(first: str, bias: float = 0.0) -> Graph:
    values = {"bias": np.full(4, bias, np.float32)} if first == "Affine" else {}
    weight = RNG.normal(2, 2, (4, 3)).astype(np.float32)
    return chain(node(first, weight=weight, **values), neuron("LIF", 4, RNG), size=3)


@pytest.mark.parametrize(("first", "target", "other"), [("Linear", NO_LINEAR, "Affine"), ("Affine", NO_AFFINE, "Linear")])
def test_weights_are_written_as_the_target_takes_them(first: str, target: Side, other: str) -> None:
    graph = two(first)
    made = proven(FORM, graph, NIR, target)
    assert made is not None and made.nodes == ("n0",)
    after = made.graph.nodes["n0"]
    assert after.kind == other
    np.testing.assert_array_equal(after["weight"], graph.nodes["n0"]["weight"])  # type: ignore[index]
    assert other == "Linear" or (after["bias"].dtype, after["bias"].tolist()) == (np.float32, [0] * 4)  # type: ignore[index]


def test_a_bias_that_is_not_0_needs_an_affine() -> None:
    refused(FORM, two("Affine", 0.5), NIR, NO_AFFINE, Cause.UNSUPPORTED, "n0")


@pytest.mark.parametrize("known", [{}, {"Linear": TAKEN}, {"Linear": NOT_TAKEN, "Affine": NOT_TAKEN}])
def test_nothing_changes_where_it_is_taken_or_nothing_else_is(known: dict[str, Identified]) -> None:
    assert FORM.rewrite(two("Linear"), NIR, side(NIR_MEANING, domain=known)) is None


def test_what_other_passes_put_in_is_written_so_too() -> None:
    scale = node("Scale", scale=np.array([0.5, 2.0, -1.0]))
    graph = chain(scale, node("Linear", weight=RNG.normal(2, 2, (4, 3))), neuron("LIF", 4, RNG), size=3)
    target = Side("target", DT, {}, Domain({"Linear": NOT_TAKEN, "Affine": TAKEN, "LIF": TAKEN, "Scale": NOT_TAKEN}))

    def run(given: Graph, x: np.ndarray, dt: float) -> object:
        if given.of_kind("Linear", "Scale"):
            raise RunFailed("import_error", "KeyError", "n0")
        return simulate(given, x, dt)

    plan = reconcile(graph, NIR, target, stimulus(3, size=3), PASSES, run=run)  # type: ignore[arg-type]
    assert plan.right and [each.name for each in plan.passes] == ["scale_as_linear", "dense_in_one_form"]
