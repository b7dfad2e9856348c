"""How a target's outputs agree with what was meant: the one function that decides it, for every verb and table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nir_interop.agreement.guided import guided
from nir_interop.compare.comparison import status_of
from nir_interop.compare.divergence import differs, output_of
from nir_interop.compare.rasters import is_counts
from nir_interop.graphs import Array, Graph
from nir_interop.recording import Recording
from nir_interop.rule import Comparison, UpdateRule
from nir_interop.vocabulary import Status

Compares = Callable[[], "Comparison | None"]
"""Which comparison a target's rules have; asked only where ties leave it open, since it may take seconds to find."""


@dataclass(frozen=True)
class Agreement:
    """What came of holding a target's outputs against those that were meant.

    outputs, unequal : compared, and those that are not the same number, in single precision
    largest : the largest difference as a share of the largest output, of values that differ; None of spikes
    guided, ties : decisions that rounding made otherwise, and those of them at the threshold itself, to single precision
    """

    status: Status
    outputs: int = 0
    unequal: int = 0
    largest: float | None = None
    guided: int = 0
    ties: int = 0

    @property
    def wrong(self) -> int | None:
        """Outputs that are not what was meant, rounding apart; None where shapes do not allow the question."""
        if self.status is Status.WRONG_SHAPE:
            return None
        return 0 if self.status is Status.ROUNDING else self.unequal

    def rounding(self) -> str:
        """What the rounding comes to, in words; empty where there is none."""
        if self.status is not Status.ROUNDING:
            return ""
        parts = []
        if self.largest is not None:
            parts.append(f"values differ by at most {self.largest:.1e} of the largest")
        if self.guided:
            ties = f", {self.ties} of them ties in single precision" if self.ties else ""
            parts.append(f"{self.guided} decisions within rounding of the threshold fall otherwise{ties}")
        return "; ".join(parts) or "every decision agrees in a replay guided by it"


def agreement(
    graph: Graph,
    dt: float,
    rules: Mapping[str, UpdateRule],
    stimulus: Array,
    meant: Recording,
    made: Recording,
    compares: Compares = lambda: None,
) -> Agreement:
    r"""Decide the status of a run that gave a recording: exact, rounding, mismatch, vacuous or wrong_shape.

    rules, dt : under which the graph means what was meant; primitive → rule, NIR's meaning where none is given
    stimulus : (T, B, \*shape)
    meant, made : what the source computed, and what the target did

    ``rounding`` is proven: wherever the graph's membranes are as near to their thresholds as single precision may shift them
    the target's decision is taken, and then each of its other decisions, and each output, is the graph's (see
    :mod:`nir_interop.agreement.guided`).  What was meant is held to the same, where it is not the replay itself.
    """
    ours, theirs = output_of(meant), output_of(made)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return Agreement(Status.WRONG_SHAPE)
    unequal = int(np.count_nonzero(differs(ours, theirs)))
    status = status_of(ours, unequal)
    if status is not Status.MISMATCH:
        return Agreement(status, ours.size, unequal)
    proof = guided(graph, dt, rules, stimulus, made)
    proven = proof.rounds and not (proof.tied and _compares_otherwise(rules, compares()))
    if not proven or not guided(graph, dt, rules, stimulus, meant).proven:
        return Agreement(Status.MISMATCH, ours.size, unequal)
    return Agreement(Status.ROUNDING, ours.size, unequal, _largest(ours, theirs), proof.guided, proof.single_ties)


def _compares_otherwise(rules: Mapping[str, UpdateRule], theirs: Comparison | None) -> bool:
    """Whether a target that left the rule at every tie does so by its own comparison; believed where that is not known."""
    return theirs is None or any(rule.comparison is not theirs for rule in (rules.values() or [UpdateRule()]))


def _largest(ours: Array, theirs: Array) -> float | None:
    if is_counts(ours) and is_counts(theirs):
        return None
    apart = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0.0)
    scale = np.abs(ours.astype(np.float64)).max(initial=0.0)
    return float(apart / scale) if scale else 0.0
