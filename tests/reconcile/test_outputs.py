"""Several Outputs as one: each output side by side, in the order of the Outputs' names."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.fingerprint import Domain, Form, Identified, Refusal, Wiring
from nir_interop.graphs import Graph, Node
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.wiring import one_output
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from tests.strategies import lif

DT = 1e-4
HANG = Refusal(Form.ANY, "timeout", "killed after 4 s")
HANGS = Side("b", DT, domain=Domain({Wiring.SEVERAL_OUTPUTS: Identified(NIR_MEANING, refusals=(HANG,))}))
TAKES = Side("b", DT, domain=Domain({Wiring.SEVERAL_OUTPUTS: Identified(NIR_MEANING, outputs=10)}))


def two() -> Graph:
    """An Output half-way, one behind, and one that two nodes reach; the names are not in running order."""
    rng = np.random.default_rng(0)
    cell = lif(tau=1e-3, r=5.0, v_threshold=0.4)
    nodes = {
        "input": Node("Input", {"shape": np.array([4])}),
        "first": Node("Linear", {"weight": rng.normal(0.5, 1, (3, 4))}),
        "one": cell,
        "mix": Node("Affine", {"weight": rng.normal(0, 1, (2, 3)), "bias": rng.normal(0, 1, 2)}),
        "z": Node("Output", {"shape": np.array([3])}),
        "a": Node("Output", {"shape": np.array([2])}),
        "m": Node("Output", {"shape": np.array([3])}),
    }
    edges = (
        ("input", "first"), ("first", "one"), ("one", "mix"), ("one", "z"), ("mix", "a"), ("one", "m"), ("first", "m"),
    )  # fmt: skip
    return Graph(nodes, edges)


def test_every_output_is_there_side_by_side() -> None:
    graph, x = two(), np.float64(np.random.default_rng(1).random((50, 3, 4)) < 0.5)
    made = one_output(graph, Side("a", DT), HANGS)
    assert made is not None and made.nodes == ("a", "m", "z")
    assert len(made.graph.of_kind("Output")) == 1
    meant = simulate(graph, x, DT)
    by_hand = np.concatenate([meant.outputs[name] for name in ("a", "m", "z")], axis=2)
    assert_same_spikes(simulate(made.graph, x, DT).output, by_hand)
    assert all(part.any() for part in meant.outputs.values())


def test_nothing_is_rewritten_for_a_target_that_gives_several_or_of_which_nothing_is_known() -> None:
    assert one_output(two(), Side("a", DT), TAKES) is None
    assert one_output(two(), Side("a", DT), Side("b", DT)) is None


def test_outputs_of_several_axes_are_refused() -> None:
    shape = np.array([2, 3])
    nodes = {
        "input": Node("Input", {"shape": shape}),
        "a": Node("Output", {"shape": shape}),
        "b": Node("Output", {"shape": shape}),
    }
    with pytest.raises(Refused, match="several axes"):
        one_output(Graph(nodes, (("input", "a"), ("input", "b"))), Side("a", DT), HANGS)
