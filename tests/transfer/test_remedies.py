"""What explaining learns of reconciling: the causes that needed passes answer, where nothing else is known."""

from __future__ import annotations

from nir_interop.agreement.side import Side
from nir_interop.reconcile.passes import PASSES
from nir_interop.rule import NIR_MEANING, Use
from nir_interop.transfer.remedies import Remedy, _answered, _in_rules, with_causes
from nir_interop.verdict import CauseShare, Verdict
from nir_interop.vocabulary import Blame, Cause, Status
from tests.cli.test_cli import lif_graph

OWN = {each.name: each for each in PASSES}
NOTHING = frozenset[Cause]()


def test_a_pass_that_answers_one_cause_names_it() -> None:
    assert _answered(OWN["padding_as_convolution"].answers, True, NOTHING) is Cause.POOL_PADDING
    assert _answered(OWN["padding_as_convolution"].answers, False, NOTHING) is Cause.POOL_PADDING


def test_of_several_causes_one_is_named_where_the_others_cannot_be_it() -> None:
    flatten = OWN["negative_flatten_dims"].answers
    assert _answered(flatten, True, NOTHING) is Cause.FLATTEN_BATCH  # another order makes no run fail
    assert _answered(flatten, False, NOTHING) is None
    assert _answered(flatten, False, frozenset({Cause.FLATTEN_ORDER})) is Cause.FLATTEN_ORDER
    assert _answered(OWN["convolution_as_dense"].answers, True, NOTHING) is Cause.UNSUPPORTED


def test_what_a_pass_makes_up_for_in_the_rules_is_named_as_their_difference() -> None:
    target = Side("b", 1e-4, {"LIF": NIR_MEANING.but(resistance=Use.IGNORED)})
    assert _in_rules(OWN["fold_resistance"], lif_graph(), Side("nir", 1e-4), target) == {Cause.RESISTANCE_IGNORED}
    assert _in_rules(OWN["recurrent_bias"], lif_graph(), Side("nir", 1e-4), target) == frozenset()


def test_the_causes_are_the_verdict_s_where_they_are_known_and_the_failure_is_not_ours() -> None:
    share = CauseShare(Cause.POOL_PADDING, 0, ("pool",), "padding is not used")
    remedy = Remedy((), (share,))
    failed = Verdict(Status.RUN_ERROR, Blame.IMPORTER)
    assert with_causes(failed, remedy) == Verdict(Status.RUN_ERROR, Blame.IMPORTER, (share,), 1.0)
    assert with_causes(Verdict(Status.MISMATCH, Blame.UNEXPLAINED), remedy).blame is Blame.IMPORTER
    ours = Verdict(Status.RUN_ERROR, Blame.HARNESS)
    assert with_causes(ours, remedy) is ours
    assert with_causes(failed, None) is with_causes(failed, Remedy(())) is failed
