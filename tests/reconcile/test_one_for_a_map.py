"""Neurons of feature maps, whose numbers are the same for all elements, with an array of one number each."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Identified, Refusal, Written
from nir_interop.graphs import Graph, Node
from nir_interop.reconcile.writing import WRITING
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from tests.reconcile.pass_checks import side
from tests.strategies import DT

MAP = next(each for each in WRITING if each.name == "one_for_a_map")
SHAPE = (2, 3, 3)
TAKES = side(NIR_MEANING, domain={"LIF": Identified(NIR_MEANING, 100)})
REFUSES = side(
    NIR_MEANING, domain={"LIF": Identified(NIR_MEANING, 100, refusals=(Refusal(Written.ARRAY_OF_ONE, "import_error", "no"),))}
)


def graph(shape: tuple[int, ...] = SHAPE, spread: float = 0.0) -> Graph:
    values = {"tau": 5 * DT, "r": 2.0, "v_leak": 0.1, "v_threshold": 1.0, "v_reset": -0.1}
    params = {name: np.full(shape, value) for name, value in values.items()}
    params["tau"] = params["tau"] + spread * DT * np.arange(params["tau"].size).reshape(shape)
    ends = {"input": Node("Input", {"shape": np.array(shape)}), "output": Node("Output", {"shape": np.array(shape)})}
    return Graph({**ends, "cell": Node("LIF", params)}, (("input", "cell"), ("cell", "output")))


def test_every_number_is_written_once_and_the_map_computes_what_it_did() -> None:
    before = graph()
    made = MAP.rewrite(before, Side("nir", DT), TAKES)
    assert made is not None and made.nodes == ("cell",)
    assert {value.shape for value in made.graph.nodes["cell"].params.values()} == {(1,)}  # type: ignore[union-attr]
    x = np.random.default_rng(0).normal(2, 3, (40, 3, *SHAPE))
    one, other = simulate(before, x, DT), simulate(made.graph, x, DT)
    assert one.output.any()
    np.testing.assert_array_equal(one.output, other.output)


@pytest.mark.parametrize(
    ("content", "target"),
    [(graph(spread=0.1), TAKES), (graph((5,)), TAKES), (graph(), REFUSES), (graph(), side(NIR_MEANING))],
    ids=["differ", "vector", "refused", "not known"],
)
def test_nothing_changes_otherwise(content: Graph, target: Side) -> None:
    assert MAP.rewrite(content, Side("nir", DT), target) is None
