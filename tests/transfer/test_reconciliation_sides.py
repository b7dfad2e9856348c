"""The sides of a rewriting, from what a user says of them."""

from __future__ import annotations

import pytest

from nir_interop.errors import BadInput
from nir_interop.rule import NIR_MEANING, ResetKind, Start, Timing
from nir_interop.transfer.reconciling import side_from_rule


def test_a_rule_in_words_is_every_neuron_s() -> None:
    side = side_from_rule("reset=subtract, timing=late", 1e-3)
    expected = NIR_MEANING.but(reset=ResetKind.SUBTRACT, timing=Timing.NEXT_STEP)
    assert {side.rule(kind) for kind in ("IF", "LIF", "CubaLIF")} == {expected}
    assert side.dt == 1e-3
    assert side_from_rule("start=leak", 1e-4).rule("LIF") == NIR_MEANING.but(start=Start.LEAK)


@pytest.mark.parametrize(("text", "words"), [("colour=red", "no axis"), ("reset=soft", "subtract"), ("reset", "one of")])
def test_an_axis_or_a_value_that_there_is_not_names_those_there_are(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        side_from_rule(text, 1e-4)
