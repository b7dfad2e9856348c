"""A side: whose rules, which step, and what of them is of matter to a graph."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import DT, Side
from nir_interop.fingerprint import Domain, Fingerprint, Identified
from nir_interop.graphs import Graph
from nir_interop.rule import NIR_MEANING, Axis, Decay, Gain, LeakUse, ResetKind, SpikesPerStep, Start, TimeStep, UpdateRule, Use
from tests.strategies import chain, cuba_lif, lif

OTHER = NIR_MEANING.but(decay=Decay.EXPONENTIAL, gain=Gain.ONE)
NEUTRAL = chain(lif(r=1.0), size=3)
EACH = np.array([1.0, 2.0, 3.0])
VARIED = chain(lif(tau=1e-3 * EACH, r=EACH, v_leak=0.1, v_threshold=EACH, v_reset=0.1), size=3)
INDIFFERENT = (
    {"reset": ResetKind.TO_ZERO},
    {"start": Start.LEAK},
    {"start": Start.RESET},
    {"leak": LeakUse.IGNORED},
    {"threshold": Use.COLLAPSED},
    {"resistance": Use.IGNORED},
    {"resistance": Use.COLLAPSED},
    {"time_step": TimeStep.FIXED},
)


def on(graph: Graph, rule: UpdateRule, dt: float = 1e-4) -> UpdateRule:
    return Side("a library", dt, {"LIF": rule}).for_graph(graph).rules["LIF"]


@pytest.mark.parametrize("axes", INDIFFERENT, ids=str)
def test_a_value_that_makes_no_difference_to_a_graph_is_nirs_own_there(axes: dict[str, Axis]) -> None:
    rule = NIR_MEANING.but(**axes)
    assert on(NEUTRAL, rule) == NIR_MEANING
    assert on(VARIED, rule, 1e-3) == rule


def test_a_clamp_that_no_time_constant_reaches_is_no_clamp() -> None:
    rule = NIR_MEANING.but(decay=Decay.EULER_CLAMPED)
    assert (on(NEUTRAL, rule), on(NEUTRAL, rule, dt=1e-2)) == (NIR_MEANING, rule)


def test_of_one_spike_a_step_nothing_is_subtracted_twice() -> None:
    rule = NIR_MEANING.but(reset=ResetKind.SUBTRACT_ALL)
    assert on(NEUTRAL, rule) == NIR_MEANING.but(reset=ResetKind.SUBTRACT)
    assert on(NEUTRAL, rule.but(spikes=SpikesPerStep.MANY)) == rule.but(spikes=SpikesPerStep.MANY)


def test_a_side_of_a_graph_has_rules_for_its_neurons_alone() -> None:
    side = Side("a library", 1e-4, {"LIF": OTHER, "IF": OTHER})
    assert dict(side.for_graph(chain(lif(), cuba_lif(), size=3)).rules) == {"CubaLIF": NIR_MEANING, "LIF": OTHER}


def test_a_side_takes_the_axes_and_the_step_of_another_where_it_is_asked_to() -> None:
    one, other = Side("one", 1e-4, {"LIF": NIR_MEANING}), Side("other", 1e-3, {"LIF": OTHER, "IF": OTHER})
    taken = one.take_at([("decay", "LIF"), ("gain", "IF"), (DT, "")], other)
    assert (taken.name, taken.dt) == ("one", 1e-3)
    assert taken.rules == {"LIF": NIR_MEANING.but(decay=Decay.EXPONENTIAL), "IF": NIR_MEANING.but(gain=Gain.ONE)}
    assert one.take(("decay", "gain"), other, ("LIF",)).rules == {"LIF": OTHER}
    assert (one.rules, one.dt) == ({"LIF": NIR_MEANING}, 1e-4)


def test_a_rule_that_does_not_reproduce_its_evidence_is_no_rule_of_a_side() -> None:
    known = {"LIF": Identified(OTHER, outputs=100), "IF": Identified(OTHER, outputs=100, mismatched=50), "I": Identified(OTHER)}
    side = Side.of(Fingerprint("norse", rules=Domain(known)), 1e-4)
    assert (side.name, dict(side.domain)) == ("norse", known)
    assert (side.rule("LIF"), side.rule("IF")) == (OTHER, NIR_MEANING)
    assert (side.takes("LIF"), side.takes("I"), side.takes("LI")) == (True, False, True)
