"""A pass put to the proof: the reference before under the old rules, and after under the new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import NEURONS, SPIKING, Graph, digest, inline
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import AXES, Decay, Precision, TimeStep, UpdateRule
from nir_interop.vocabulary import Cause
from tests.strategies import DT, stimulus


def side(rule: UpdateRule, dt: float = DT, domain: Mapping[Any, Identified] | None = None) -> Side:
    """A side with one rule for all neurons."""
    return Side("side", dt, dict.fromkeys(NEURONS, rule), Domain(domain))


@st.composite
def rules(draw: st.DrawFn, **fixed: object) -> UpdateRule:
    """Any rule in double precision at a step that leaves time constants their meaning, some axes given."""
    chosen = {}
    for axis in AXES:
        left_out = {
            Precision.FLOAT32,
            Precision.FIXED,
            TimeStep.UNIT,
            TimeStep.INFERRED,
            Decay.NINE_TENTHS,
            Decay.WHOLE_SECONDS,
        }
        values = [value for value in axis.type if value not in left_out]
        chosen[axis.name] = fixed.get(axis.name) or draw(st.sampled_from(values))
    return UpdateRule().but(**chosen)


def proven(one: Pass, graph: Graph, source: Side, target: Side, seed: int = 0) -> Rewritten | None:
    """Rewrite, and check that the spikes of every node that was there are the same and its analogue values but for rounding.

    Also where the pass has nothing to do, and that it leaves its input as it was.
    """
    flat = inline(graph)
    before = digest(flat)
    rewritten = one.rewrite(flat, source, target)
    assert digest(flat) == before
    (source_node,) = flat.of_kind("Input")
    x = stimulus(seed, size=int(flat.nodes[source_node]["shape"][0]))  # type: ignore[index]
    wanted = simulate(flat, x, source.dt, source.rules)
    taken = source.take(one.axes, target, NEURONS)
    dt = target.dt if "time_step" in one.axes else source.dt
    made = simulate(rewritten.graph if rewritten else flat, x, dt, {**taken.rules, **(rewritten.rules if rewritten else {})})
    for name in flat.of_kind(*SPIKING):
        assert_same_spikes(made.spikes[name], wanted.spikes[name], node=name)
    np.testing.assert_allclose(made.output, wanted.output, rtol=1e-7, atol=1e-9)
    return rewritten


def parameters(rewritten: Rewritten | None, name: str) -> dict[str, np.ndarray]:
    """What a node has after a pass."""
    assert rewritten is not None
    return dict(rewritten.graph.nodes[name].params)  # type: ignore[union-attr]


def refused(one: Pass, graph: Graph, source: Side, target: Side, cause: Cause | None = None, *nodes: str) -> Refused:
    """Check that a pass declines, for a cause and naming nodes where these are given, and leaves its input as it was."""
    flat = graph if one.nested else inline(graph)
    before = digest(flat)
    with pytest.raises(Refused) as caught:
        one.rewrite(flat, source, target)
    assert digest(flat) == before
    assert set(caught.value.nodes) <= set(flat.nodes)
    assert cause is None or caught.value.cause is cause
    assert not nodes or caught.value.nodes == nodes
    return caught.value


def assert_agree(
    actual: Recording, expected: Recording, names: Mapping[str, str] | None = None, *, rtol: float = 1e-9, atol: float = 1e-9
) -> None:
    """Check that all spikes are the same, and values and membranes but for rounding; names: of nodes that were renamed."""
    called = {name: (names or {}).get(name, name) for name in (*expected.spikes, *expected.membranes)}
    assert {called[name] for name in expected.spikes} == actual.spikes.keys()
    for name, spikes in expected.spikes.items():
        assert_same_spikes(actual.spikes[called[name]], spikes, node=name)
    for name, membrane in expected.membranes.items():
        np.testing.assert_allclose(actual.membranes[called[name]], membrane, rtol=rtol, atol=atol, err_msg=name)
    for name, output in expected.outputs.items():
        np.testing.assert_allclose(actual.outputs[name], output, rtol=rtol, atol=atol, err_msg=name)
