"""The same numbers written otherwise: one for every element, and in single precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.explain.probes import OF_NEURONS, STRUCTURAL
from nir_interop.fingerprint import Domain, Identified, Refusal, Written
from nir_interop.graphs import Graph, Node, digest, validate
from nir_interop.graphs.primitives import ELEMENTWISE
from nir_interop.reconcile.passes import PASSES
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from tests.strategies import DT, NEURON_KINDS, chain, neuron, node, stimulus

BY_NAME = {each.name: each for each in PASSES}
NIR = Side("nir", DT)


def side(*declined: Written, kinds: tuple[str, ...] = (*ELEMENTWISE, "Affine", "Linear", "Conv2d")) -> Side:
    refusals = tuple(Refusal(each, "read_error", "no") for each in declined)
    return Side("other", DT, domain=Domain({kind: Identified(NIR_MEANING, 100, refusals=refusals) for kind in kinds}))


def short(each: Node, form: Written) -> Node:
    first = {name: value.reshape(-1)[:1] for name, value in each.params.items()}
    return Node(each.kind, {name: value.reshape(()) if form == Written.ONE_NUMBER else value for name, value in first.items()})


def test_every_way_of_writing_is_probed() -> None:
    assert {*Written} <= {*(probe.condition for probe in STRUCTURAL), *OF_NEURONS}


@pytest.mark.parametrize("form", [Written.ONE_NUMBER, Written.ARRAY_OF_ONE])
@given(st.integers(0, 999), st.sampled_from([*NEURON_KINDS, "Scale", "Threshold", "Delay"]))
@settings(deadline=None, max_examples=25)
def test_one_number_becomes_one_for_each_element(form: Written, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    stateless = {"Scale": ("scale", 1.5), "Threshold": ("threshold", 0.5), "Delay": ("delay", 2 * DT)}
    plain = node(kind, **{stateless[kind][0]: np.full(3, stateless[kind][1])}) if kind in stateless else neuron(kind, 3, rng)
    each = short(plain, form)
    graph = chain(node("Affine", weight=rng.normal(0, 1, (3, 3)), bias=np.array(0.5)), each, size=3)
    before = digest(graph)
    made = BY_NAME["one_per_element"].rewrite(graph, NIR, side(form))
    assert digest(graph) == before
    assert made is not None and {"n1"} <= {*made.nodes} <= {"n0", "n1"}
    assert all(value.shape == (3,) for value in made.graph.nodes["n1"].params.values())  # type: ignore[union-attr]
    assert digest(made.graph) == before
    assert_same_spikes(simulate(made.graph, stimulus(seed), DT).output, simulate(graph, stimulus(seed), DT).output)
    assert BY_NAME["one_per_element"].rewrite(made.graph, NIR, side(form)) is None
    assert BY_NAME["one_per_element"].rewrite(graph, NIR, side()) is None


def test_only_the_form_that_is_declined_is_written_otherwise_and_a_mixture_with_either() -> None:
    lif = neuron("LIF", 3, np.random.default_rng(0))
    assert (
        BY_NAME["one_per_element"].rewrite(chain(short(lif, Written.ONE_NUMBER), size=3), NIR, side(Written.ARRAY_OF_ONE))
        is None
    )
    mixed = Node("LIF", {**lif.params, "v_reset": np.array(-0.5)})
    made = BY_NAME["one_per_element"].rewrite(chain(mixed, size=3), NIR, side(Written.ARRAY_OF_ONE))
    assert made is not None
    after = made.graph.nodes["n0"]
    assert isinstance(after, Node) and after["v_reset"].tolist() == [-0.5] * 3
    assert BY_NAME["one_per_element"].rewrite(chain(lif, size=3), NIR, side(Written.ONE_NUMBER, Written.ARRAY_OF_ONE)) is None


def test_the_shape_is_that_of_the_samples_also_of_more_dimensions() -> None:
    plain = short(neuron("LIF", 3, np.random.default_rng(0)), Written.ONE_NUMBER)
    graph = Graph(
        {"input": node("Input", shape=[2, 3, 4]), "lif": plain, "output": node("Output", shape=[2, 3, 4])},
        (("input", "lif"), ("lif", "output")),
    )
    made = BY_NAME["one_per_element"].rewrite(graph, NIR, side(Written.ONE_NUMBER))
    assert made is not None and isinstance(made.graph.nodes["lif"], Node)
    assert made.graph.nodes["lif"]["tau"].shape == (2, 3, 4)


TYPES: tuple[tuple[Written, Any], ...] = (
    (Written.INTEGERS, np.int64),
    (Written.HALF, np.float16),
    (Written.DOUBLE, np.float64),
)


@pytest.mark.parametrize(("way", "dtype"), TYPES)
def test_numbers_of_a_type_that_is_declined_are_written_in_single_precision(way: Written, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    affine = node("Affine", weight=rng.integers(-3, 4, (3, 3)).astype(dtype), bias=rng.integers(-3, 4, 3).astype(dtype))
    lif = Node("LIF", {name: value.astype(np.float32) for name, value in neuron("LIF", 3, rng).params.items()})
    graph = chain(affine, lif, size=3)
    made = BY_NAME["single_precision"].rewrite(graph, NIR, side(way))
    assert made is not None and made.nodes == ("n0",)
    after = made.graph.nodes["n0"]
    assert isinstance(after, Node) and {value.dtype for value in after.params.values()} == {np.dtype(np.float32)}
    assert digest(made.graph) == digest(graph)
    assert BY_NAME["single_precision"].rewrite(graph, NIR, side(Written.BOOLEANS)) is None


def test_what_single_precision_does_not_hold_is_double_where_that_is_taken_and_else_rounded() -> None:
    large = chain(node("Linear", weight=np.array([[2**24 + 1, 0], [0, 1]])), size=2)
    for ways, dtype, first in (
        ((Written.INTEGERS,), np.float64, 2**24 + 1),
        ((Written.INTEGERS, Written.DOUBLE), np.float32, 2**24),
    ):
        made = BY_NAME["single_precision"].rewrite(large, NIR, side(*ways))
        assert made is not None and isinstance(made.graph.nodes["n0"], Node)
        weight = made.graph.nodes["n0"]["weight"]
        assert (weight.dtype, int(weight[0, 0])) == (np.dtype(dtype), first)


def test_true_and_false_weights_are_ones_and_zeros() -> None:
    graph = chain(node("Linear", weight=np.eye(3, dtype=bool)), size=3)
    validate(graph)
    made = BY_NAME["single_precision"].rewrite(graph, NIR, side(Written.BOOLEANS))
    assert made is not None and isinstance(made.graph.nodes["n0"], Node)
    np.testing.assert_array_equal(made.graph.nodes["n0"]["weight"], np.eye(3, dtype=np.float32))
    assert_same_spikes(simulate(made.graph, stimulus(0), DT).output, simulate(graph, stimulus(0), DT).output)
