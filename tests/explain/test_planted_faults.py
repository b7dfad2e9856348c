"""The verdict names the planted faults, and none where none is planted; ``python -m bench verdict`` runs it at full size."""

from __future__ import annotations

import pytest

from nir_interop.rule import Precision
from nir_interop.vocabulary import Blame, Cause, Status
from tests.explain.fake_backend import EXPORTER_FAULTS, PLANTABLE
from tests.explain.planted_faults import (
    Outcome,
    Planted,
    alike,
    confusion,
    outcome,
    random_pairs,
    right,
    share_right,
    singles,
    table_of,
    without_faults,
)


@pytest.fixture(scope="module")
def one_fault() -> list[Outcome]:
    return [outcome(case) for case in singles(graphs=5)]


@pytest.fixture(scope="module")
def two_faults() -> list[Outcome]:
    return [outcome(case) for case in random_pairs(100)]


def wrong(outcomes: list[Outcome]) -> str:
    """The confusion table, and each case that is not right."""
    cases = [
        f"{sorted(map(str, each.case.faults))} {each.case.seed}: {each.verdict.codes}" for each in outcomes if not right(each)
    ]
    return "\n".join([table_of(confusion(outcomes)), *cases])


@pytest.mark.slow
def test_a_single_fault_is_named_exactly_in_98_of_100_cases(one_fault: list[Outcome]) -> None:
    assert len({each.case.faults for each in one_fault}) >= 35
    assert share_right(one_fault) >= 0.98, wrong(one_fault)


@pytest.mark.slow
def test_a_pair_of_faults_is_named_exactly_in_90_of_100_cases(two_faults: list[Outcome]) -> None:
    assert len({each.case.faults for each in two_faults}) == 100
    assert share_right(two_faults) >= 0.90, wrong(two_faults)


BEHIND_EACH_OTHER = [
    (Cause.POOL_PADDING, Cause.THRESHOLD_COLLAPSED, 260),  # the field counts only in the graph that the importer made
    (Cause.DT_DEFAULT, Cause.DT_GUESSED, 56),  # the default is left to the delays
    (Cause.STATE_CARRIED, Cause.WEIGHT_TRANSPOSED, 627),
    (Cause.JOIN_MISRUN, Cause.NODE_DROPPED, 635),
    (Cause.RECURRENCE_REWIRED, Cause.WEIGHT_TRANSPOSED, 663),
    (Cause.FLATTEN_BATCH, Cause.FLATTEN_ORDER, 671),  # in a shape that is not comparable as it is
]


@pytest.mark.parametrize(("one", "other", "seed"), BEHIND_EACH_OTHER, ids=str)
def test_faults_of_which_one_hides_the_other_are_both_named(one: Cause, other: Cause, seed: int) -> None:
    found = outcome(Planted(frozenset({one, other}), seed))
    assert found.named == {one, other}
    assert found.verdict.explained == 1


def test_a_fault_that_mends_nothing_and_is_needed_for_nothing_is_no_reason() -> None:
    """Once the first is undone every output is right, and undoing the second alone changes none."""
    found = outcome(Planted(frozenset({Cause.SPIKES_PER_STEP, Cause.LEAK_ADDED}), 330))
    assert (found.named, found.verdict.explained) == ({Cause.SPIKES_PER_STEP}, 1.0)


@pytest.mark.slow
def test_what_is_named_rightly_explains_every_output(one_fault: list[Outcome], two_faults: list[Outcome]) -> None:
    for each in one_fault + two_faults:
        assert 0 <= each.verdict.explained <= 1
        assert each.verdict.explained == 1 or not right(each), each.case


@pytest.mark.slow
def test_a_fault_is_never_taken_for_rounding(one_fault: list[Outcome], two_faults: list[Outcome]) -> None:
    for each in one_fault + two_faults:
        assert Cause.ROUNDING not in each.named
        assert each.verdict.status is not Status.ROUNDING


def test_a_single_fault_is_blamed_on_who_made_it(one_fault: list[Outcome]) -> None:
    for each in filter(right, one_fault):
        owner = Blame.EXPORTER if each.case.faults <= frozenset(EXPORTER_FAULTS) else Blame.IMPORTER
        assert each.verdict.blame is owner, each.case


@pytest.mark.parametrize("precision", [Precision.FLOAT64, Precision.FLOAT32], ids=str)
def test_no_fault_is_named_where_none_is_planted(precision: Precision) -> None:
    for fault in PLANTABLE:
        found = without_faults(Planted(frozenset({fault}), 0), precision)
        assert found.named <= {Cause.ROUNDING}, fault
        assert found.verdict.blame is Blame.NONE
        assert precision is Precision.FLOAT32 or not found.named


def test_faults_are_one_only_where_all_their_outputs_are() -> None:
    assert alike(Cause.GAIN, Cause.GAIN)
    assert not alike(Cause.GAIN, Cause.DECAY)
    assert not alike(Cause.JOIN_MISRUN, Cause.NODE_DROPPED)
    assert not alike(Cause.GAIN, Cause.UNEXPLAINED)


def test_the_table_shows_what_was_named_in_the_place_of_what(one_fault: list[Outcome]) -> None:
    verdict = one_fault[0].verdict
    first, other = one_fault[0].case.faults, frozenset({Cause.FLOOR})
    assert Cause.FLOOR not in first
    (name,) = map(str, first)
    counts = confusion([one_fault[0], Outcome(Planted(other, 0), verdict, 0.0), Outcome(Planted(frozenset(), 0), verdict, 0.0)])
    assert counts == {(name, name): 1, ("floor", name): 1, ("nothing", name): 1}
    lines = [line.split() for line in table_of(counts).splitlines()]
    assert ["floor", "1", "0", name, "1"] in lines
    assert ["nothing", "1", "0", name, "1"] in lines
    assert [name, "1", "1"] in lines
