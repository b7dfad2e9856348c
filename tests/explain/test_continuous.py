"""Against continuous time: what is left when the rules agree is that NIR's steps are steps."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.explain.verdict import explain_continuous
from nir_interop.graphs import Graph
from nir_interop.reference import exact_simulator, simulate
from nir_interop.rule import NIR_MEANING, Use
from nir_interop.vocabulary import Blame, Cause, Status
from tests.strategies import chain, lif

DT = 1e-4
STIMULUS = (np.random.default_rng(3).random((80, 6, 3)) < 0.4).astype(np.float32)


EXACT = Side("exact", DT)


def graph(r: float) -> Graph:
    return chain(lif(tau=1e-3, r=r), size=3)


def test_steps_that_mean_what_nir_means_differ_by_being_steps_alone() -> None:
    drawn = graph(4.0)
    native, target = simulate(drawn, STIMULUS, DT), exact_simulator(drawn, DT).run(STIMULUS)[0]
    verdict = explain_continuous(
        intended=drawn, exported=drawn, source=Side("the source", DT), target=EXACT, native=native, made=target,
        stimulus=STIMULUS,
    )  # fmt: skip
    differing = int((native.output != target.output).sum())
    assert differing > 0
    assert (verdict.status, verdict.blame, verdict.codes) == (Status.MISMATCH, Blame.FORMAT, ("discretisation",))
    assert (verdict.causes[0].repaired, verdict.explained) == (differing, 1.0)


def test_a_source_that_ignores_a_parameter_is_named_beside_it() -> None:
    drawn = graph(4.0)
    rule = NIR_MEANING.but(resistance=Use.IGNORED)
    native, target = simulate(drawn, 3 * STIMULUS, DT, rule), exact_simulator(drawn, DT).run(3 * STIMULUS)[0]
    verdict = explain_continuous(
        intended=drawn, exported=drawn, source=Side("the source", DT, {"LIF": rule}), target=EXACT, native=native,
        made=target, stimulus=3 * STIMULUS,
    )  # fmt: skip
    assert {each.cause for each in verdict.causes} == {Cause.DISCRETISATION, Cause.RESISTANCE_IGNORED}
    assert verdict.status is Status.MISMATCH


def test_what_is_the_same_in_steps_and_in_continuous_time_needs_no_cause() -> None:
    drawn = graph(1e-3)
    native, target = simulate(drawn, STIMULUS, DT), exact_simulator(drawn, DT).run(STIMULUS)[0]
    assert not target.output.any()
    verdict = explain_continuous(
        intended=drawn, exported=drawn, source=Side("the source", DT), target=EXACT, native=native, made=target,
        stimulus=STIMULUS,
    )  # fmt: skip
    assert (verdict.blame, verdict.causes) == (Blame.NONE, ())
