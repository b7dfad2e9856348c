"""Replays: what a graph does under a rule, remembered, and where two outputs differ."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.compare.divergence import differs, output_of
from nir_interop.compare.rasters import is_counts
from nir_interop.errors import InvalidGraph
from nir_interop.graphs import NEURONS, Array, Graph
from nir_interop.recording import Recording
from nir_interop.reference import Simulator
from nir_interop.reference.simulator import NeuronFactory
from nir_interop.rule import NIR_MEANING, Precision, UpdateRule

Mask = NDArray[np.bool_]
Rules = Mapping[str, UpdateRule]

VALUE_ROUNDING = 256 * 2.0**-24
"""Values that differ by less than this share of the output's largest magnitude do not count as another answer in a gap."""


def rules_for(graph: Graph, rules: Rules) -> dict[str, UpdateRule]:
    """The rule of every neuron primitive in an inlined graph, sorted; NIR's meaning where none is given.

    Those of all primitives where it has no neuron: a rule also says what biases on cycles begin with.
    """
    known = {kind: rules.get(kind, NIR_MEANING) for kind in NEURONS}
    return {kind: rule for kind, rule in known.items() if graph.of_kind(kind)} or known


class Replays:
    r"""Runs graphs over one stimulus, axes (T, B, \*shape), and remembers what came out.

    Numbers are float64, fixed-point where a rule says so: a rule in float32 is replayed in float64, since what single precision
    changes is proven apart (see :mod:`nir_interop.agreement.guided`).
    """

    def __init__(self, stimulus: Array) -> None:
        self.stimulus = stimulus
        self._kept: dict[Any, tuple[Graph, Recording | None]] = {}

    def run(self, graph: Graph, dt: float, rules: Rules, *, again: bool = False) -> Recording | None:
        """The recording of a graph, or None where it is not valid or does not take the stimulus.

        again : run the stimulus twice, state carried, and answer with the second time
        """
        used = rules_for(graph, rules)
        key = (id(graph), dt, tuple(used.items()), again)
        if key not in self._kept:
            # The graph is kept as well, so that its id stays its own.
            self._kept[key] = (graph, self._run(graph, dt, used, again))
        return self._kept[key][1]

    def _run(self, graph: Graph, dt: float, rules: Rules, again: bool) -> Recording | None:
        try:
            simulator = simulator_for(graph, dt, rules)
            if self.stimulus.shape[2:] != simulator.sample:
                return None
            with np.errstate(over="ignore", invalid="ignore"):
                recording, memory = simulator.run(self.stimulus, membranes=False)
                return simulator.run(self.stimulus, memory, membranes=False)[0] if again else recording
        except InvalidGraph:
            return None


def simulator_for(graph: Graph, dt: float, rules: Rules, factory: NeuronFactory | None = None) -> Simulator:
    """A simulator under one rule per primitive, of neurons from a factory where there is one.

    An infinite parameter means nothing in NIR, but an importer may compute with it, and so does this.  Raises InvalidGraph.
    """
    single = [kind for kind, rule in rules.items() if rule.precision is Precision.FLOAT32]
    double = {kind: rules[kind].but(precision=Precision.FLOAT64) for kind in single}
    with warnings.catch_warnings():
        # That a delay is off the grid has been said where the cell was run.
        warnings.filterwarnings("ignore", "the delay of node", UserWarning)
        return Simulator(graph, dt, {**rules, **double}, neuron=factory, finite=False)


def gap(one: Recording | None, other: Recording | None) -> Mask | None:
    """Where two outputs (T, B, n) give another answer; None where their shapes do not allow the question.

    Counts must be equal; values may differ by VALUE_ROUNDING, which rounding may explain and nothing else can.
    """
    ours = None if one is None else output_of(one)
    theirs = None if other is None else output_of(other)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return None
    unequal = differs(ours, theirs)
    if not unequal.any() or (is_counts(ours) and is_counts(theirs)):
        return unequal
    with np.errstate(invalid="ignore", over="ignore"):
        largest = np.nanmax(np.abs(ours[np.isfinite(ours)]), initial=0.0)
        apart: Mask = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)) > VALUE_ROUNDING * largest
    return np.logical_and(unequal, np.logical_or(apart, np.isnan(theirs)))


def count(mask: Mask | None) -> int:
    """How many outputs a gap holds."""
    return 0 if mask is None else int(np.count_nonzero(mask))


@dataclass(frozen=True)
class Undoing:
    """What undoing one cause alone comes to.

    meant, made : recordings of what should have come out, and of what came out, as far as it is reproduced
    wrong : where, (T, B, n), the two give another answer; everywhere, where their shapes do not allow the question
    """

    meant: Recording
    made: Recording | None
    wrong: Mask

    @classmethod
    def of(cls, meant: Recording, made: Recording | None, wrong: Mask | None = None) -> Undoing:
        """wrong : the outputs that count, None where all do that are wrong."""
        apart, output = gap(meant, made), output_of(meant)
        if apart is None:
            return cls(meant, made, np.ones(() if output is None else output.shape, dtype=bool))
        return cls(meant, made, apart if wrong is None else apart & wrong)

    def counts(self, mended: Recording | None) -> tuple[int, int]:
        """How many wrong outputs are right in a recording with one cause undone, and in how many it is another than before."""
        left, moved = gap(self.meant, mended), gap(self.made, mended)
        repaired = 0 if left is None or left.shape != self.wrong.shape else count(self.wrong & ~left)
        return repaired, self.wrong.size if moved is None else count(moved)
