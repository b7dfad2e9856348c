"""Neurons of one primitive under several rules, written under one: by NumPy lines of each neuron's own recurrence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nir_interop.graphs import Graph, inline
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, ResetKind, Timing, UpdateRule
from nir_interop.transfer.mixed_rules import unified
from tests.strategies import lif, node, port

DT, TAU, THETA = 1e-4, 1e-3, 1.0
DECAY = 1 - DT / TAU
SUBTRACT = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
LATE = SUBTRACT.but(timing=Timing.NEXT_STEP)
LATE_TO_ZERO = NIR_MEANING.but(timing=Timing.NEXT_STEP)
WEIGHTS = np.random.default_rng(0).normal(0.2, 0.5, (3, 5))
BACK = np.random.default_rng(1).normal(0.1, 0.4, (2, 3))


def layers(fed_back: bool = False) -> Graph:
    """5 → 3 → 2 neurons of one primitive with a gain of 1 a step, the first of which may feed itself."""
    nodes: dict[str, Any] = {
        "input": port("Input", 5),
        "a": node("Linear", weight=WEIGHTS),
        "first": lif(3, tau=TAU, r=TAU / DT, v_threshold=THETA),
        "b": node("Linear", weight=BACK),
        "second": lif(2, tau=TAU, r=TAU / DT, v_threshold=THETA),
        "output": port("Output", 2),
    }
    edges = [("input", "a"), ("a", "first"), ("first", "b"), ("b", "second"), ("second", "output")]
    if fed_back:
        nodes["w"] = node("Linear", weight=np.full((3, 3), -0.3))
        edges += [("first", "w"), ("w", "first")]
    return Graph(nodes, tuple(edges))


def by_hand(current: Any, rule: UpdateRule, back: Any = None) -> Any:
    """Spikes (T, B, n) of neurons that take their input as it is."""
    v = np.zeros(current.shape[1:])
    spikes, late, lost = np.zeros_like(v), np.zeros_like(v), np.zeros_like(v)
    made = []
    for step in current:
        fed = step if back is None else step + spikes @ back.T
        v = np.where(lost > 0, 0.0, DECAY * v + fed - late)
        spikes = (v > THETA).astype(float)
        late, lost = np.zeros_like(v), np.zeros_like(v)
        if rule == LATE_TO_ZERO:
            lost = spikes
        elif rule.reset is ResetKind.TO_VALUE:
            v = np.where(spikes > 0, 0.0, v)
        elif rule.timing is Timing.NEXT_STEP:
            late = THETA * spikes
        else:
            v = v - THETA * spikes
        made.append(spikes)
    return np.array(made)


RULES = (NIR_MEANING, SUBTRACT, LATE, LATE_TO_ZERO)
PAIRS = [(one, other) for one in RULES for other in RULES if one != other]


@pytest.mark.parametrize("fed_back", [False, True], ids=["chain", "fed back"])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " then ".join(f"{one.reset.value} {one.timing.value}" for one in pair))
def test_two_rules_of_one_primitive_are_one_graph_under_one_rule(pair: tuple[UpdateRule, UpdateRule], fed_back: bool) -> None:
    made = unified(layers(fed_back), {"first": pair[0], "second": pair[1]}, DT)
    assert not made.apart
    assert len(made.rewritten) == 1
    x = np.random.default_rng(7).random((120, 6, 5)) < 0.5
    hidden = by_hand(x.astype(float) @ WEIGHTS.T, pair[0], np.full((3, 3), -0.3) if fed_back else None)
    meant = by_hand(hidden @ BACK.T, pair[1])
    assert 0.02 < meant.mean() < 0.6
    found = simulate(inline(made.graph), x.astype(np.float32), DT, made.rules)
    assert np.count_nonzero(found.output != meant) <= 2, "ties in the last bit apart"


def test_one_rule_leaves_the_graph_as_it_is() -> None:
    graph = layers()
    made = unified(graph, {"first": SUBTRACT, "second": SUBTRACT}, DT)
    assert made.graph is graph
    assert made.rules == {"LIF": SUBTRACT}
    assert not made.rewritten


def test_rules_that_differ_in_what_is_of_no_matter_are_one() -> None:
    """A value of 0 to be reset to is read alike as a value and as zero."""
    graph = layers()
    made = unified(graph, {"first": NIR_MEANING, "second": NIR_MEANING.but(reset=ResetKind.TO_ZERO)}, DT)
    assert made.graph is graph
