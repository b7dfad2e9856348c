"""Inputs that a target multiplies, times in its own unit, sizes that a file leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Graph, Node, digest
from nir_interop.reconcile.gains import GAINS
from nir_interop.reconcile.model import Plan
from nir_interop.reconcile.planner import reconcile
from nir_interop.reconcile.shapes import SIZES
from nir_interop.reconcile.time_constants import STEPS
from nir_interop.reconcile.voltages import OFFSETS
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Decay, Gain, TimeStep, UpdateRule, Use
from tests.known import CORE, running
from tests.reconcile.pass_checks import side
from tests.reconcile.sample_graphs import conv, dense, flatten, path
from tests.strategies import DT, chain, lif, neuron, stimulus

(SIZES,) = SIZES
SEEDS = st.integers(0, 2**32 - 1)
SOURCE = Side("nir", DT)
ADDS = NIR_MEANING.but(decay=Decay.EXPONENTIAL, gain=Gain.ONE, synapse_gain=Gain.ONE, resistance=Use.IGNORED)
"""Adds its input undivided: what NIR multiplies by R dt/tau it does not."""
NORMS = ADDS.but(gain=Gain.COMPLEMENT, synapse_gain=Gain.COMPLEMENT)
"""Multiplies its input by 1 - a, as if R were 1."""


def layers(kind: str, seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    nodes = [each for size, into in ((4, 3), (3, 4)) for each in (dense(size, into, rng), neuron(kind, size, rng, 5.0))]
    return chain(*nodes, size=3)


def planned(graph: Graph, source: UpdateRule, target: UpdateRule, dt: float = DT) -> Plan:
    """What the passes about steps, rest and gains make of a graph."""
    plan = reconcile(graph, side(source), side(target, dt), stimulus(1, 60), (*STEPS, *OFFSETS, *GAINS))
    assume(simulate(graph, stimulus(1, 60), DT, side(source).rules).output.any())
    assert not plan.remaining
    return plan


@given(SEEDS, st.sampled_from(["LIF", "CubaLIF", "LI"]))
@example(362098, "CubaLIF")
@settings(max_examples=25, deadline=None)
def test_a_target_that_multiplies_its_input_gets_weights_that_undo_it(seed: int, kind: str) -> None:
    graph = layers(kind, seed)
    for source, target in ((NIR_MEANING, NORMS), (NIR_MEANING, ADDS), (ADDS, NORMS), (NORMS, ADDS)):
        plan = planned(graph, source, target)
        plain = reconcile(graph, side(source), side(target), stimulus(1, 60), ())
        assert plan.predicted == 0
        assert "fold_resistance" in {each.name for each in plan.passes} or not plain.predicted  # a silent input excuses none


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_the_scale_that_a_target_adds_is_divided_out_of_the_weights(seed: int) -> None:
    graph = layers("LIF", seed)
    made = planned(graph, ADDS, NORMS).graph
    kept = np.exp(-DT / graph.nodes["n1"]["tau"])  # type: ignore[index]
    np.testing.assert_allclose(made.nodes["n0"]["bias"], graph.nodes["n0"]["bias"] / (1 - kept))  # type: ignore[index]


@given(SEEDS, st.sampled_from(["LIF", "CubaLIF", "IF"]), st.sampled_from((Decay.EULER, Decay.EULER_CLAMPED, Decay.EXPONENTIAL)))
@settings(max_examples=25, deadline=None)
def test_times_in_steps_and_in_milliseconds_are_written_in_their_unit(seed: int, kind: str, decay: Decay) -> None:
    """A target that takes milliseconds takes a dt in milliseconds too."""
    graph, target = layers(kind, seed), NIR_MEANING.but(decay=decay)
    in_steps = planned(graph, NIR_MEANING, target.but(time_step=TimeStep.UNIT))
    in_milliseconds = planned(graph, NIR_MEANING, target, DT * 1e3)
    assert in_steps.predicted == in_milliseconds.predicted == 0
    for name in ("tau", "tau_mem", "tau_syn") if decay is Decay.EULER else ():
        old = graph.nodes["n1"].get(name)  # type: ignore[union-attr]
        if old is not None:
            np.testing.assert_allclose(in_steps.graph.nodes["n1"][name], old / DT)  # type: ignore[index]
            np.testing.assert_allclose(in_milliseconds.graph.nodes["n1"][name], old * 1e3)  # type: ignore[index]


def target(*kinds: str) -> Side:
    return Side("other", DT, domain=Domain({kind: Identified(NIR_MEANING, 100) for kind in kinds}))


TAKES = target("Conv1d", "Conv2d")


def convolved(shape: tuple[int, ...], out: int, rng: np.random.Generator, **said: Any) -> Graph:
    kernel = (3,) * (len(shape) - 1)
    plain = conv(2, shape[0], rng, kernel)
    first = Node(plain.kind, {**plain.params, **{name: np.array(value) for name, value in said.items()}})
    size = 2 * int(np.prod([each - 2 for each in shape[1:]]))
    cell = lif(out, tau=10 * DT, v_threshold=0.15)
    return path(first, flatten(-len(shape), -1), dense(out, size, rng), cell, to=(out,), shape=shape)


@given(SEEDS, st.sampled_from([(2, 9), (1, 6, 5)]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_convolution_says_the_size_that_follows_from_the_graph(seed: int, shape: tuple[int, ...], wrong: bool) -> None:
    rng = np.random.default_rng(seed)
    graph = convolved(shape, 3, rng, **({"input_shape": np.array(shape[1:]) + 1} if wrong else {}))
    before, rewritten = digest(graph), SIZES.rewrite(graph, SOURCE, TAKES)
    assert digest(graph) == before
    assert rewritten is not None
    assert rewritten.nodes == ("n0",)
    said = rewritten.graph.nodes["n0"]["input_shape"]  # type: ignore[index]
    assert said.tolist() == (list(shape[1:]) if len(shape) > 2 else shape[1])
    drive = rng.normal(0.3, 1.0, (20, 2, *shape))
    np.testing.assert_array_equal(simulate(rewritten.graph, drive, DT).output, simulate(graph, drive, DT).output)
    assert SIZES.rewrite(rewritten.graph, SOURCE, TAKES) is None


def test_what_nothing_is_known_of_and_what_is_no_convolution_stays() -> None:
    graph = convolved((1, 6, 5), 3, np.random.default_rng(0))
    for other in (SOURCE, target("Conv1d", "Affine")):
        assert SIZES.rewrite(graph, SOURCE, other) is None
    assert SIZES.rewrite(layers("LIF", 0), SOURCE, TAKES) is None


@pytest.mark.parametrize("name", CORE)
def test_a_library_runs_the_convolution_that_it_could_not_read(name: str) -> None:
    rng = np.random.default_rng(0)
    graph = convolved((1, 6, 5), 4, rng)
    rewritten, drive = SIZES.rewrite(graph, SOURCE, TAKES), rng.normal(0.3, 1.0, (20, 2, 1, 6, 5)).astype(np.float32)
    assert rewritten is not None
    expected = simulate(graph, drive, DT).output
    assert expected.any()
    run = running(name)
    with pytest.raises(RunFailed, match="input_shape"):
        run(graph, drive, DT)
    assert_same_spikes(run(rewritten.graph, drive, DT).output, expected)
