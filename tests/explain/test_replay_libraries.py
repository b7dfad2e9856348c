"""The identified rules against the libraries themselves, on random graphs that these take."""

from __future__ import annotations

import pytest

from tests.explain.library_graphs import Domain
from tests.explain.replays import replayed
from tests.known import CORE, fingerprint_of, running

WIRED = 200
"""Graphs for each library that it runs as they are wired: on these its rules are judged.

Others it refuses, or rewires; what it rewires must be known as such, every output.
"""

MOST_TRIES = 600


@pytest.mark.slow
@pytest.mark.parametrize("name", CORE)
def test_the_identified_rules_reproduce_a_library_on_200_random_graphs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    fingerprint = fingerprint_of(name)
    tally = replayed(running(name), fingerprint, WIRED, tries=MOST_TRIES)
    with capsys.disabled():
        print(f"\n{name}: {', '.join(f'{end} {count}' for end, count in sorted(tally.ends.items()) if count)}")
        print(f"  causes {dict(sorted(tally.causes.items()))}; graphs with {dict(sorted(tally.kinds.items()))}")
    assert tally.open == [], "seeds of graphs that neither the rules nor a cause reproduce"
    assert tally.reproduced == WIRED
    assert tally.ends["structural"] <= 0.4 * WIRED
    assert tally.ends["rounding of decisions"] <= 0.02 * WIRED
    assert tally.ends["silent"] <= 0.05 * WIRED, "a silent network proves nothing"
    for ingredient in ("recurrent", "nested", "Conv2d", *Domain(fingerprint).kinds):
        assert tally.kinds[ingredient] >= 5, ingredient
