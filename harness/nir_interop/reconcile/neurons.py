"""Neurons written as what a target takes: another threshold for another comparison."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.graphs import NEURONS, Graph, Node, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reconcile.steps import TO_VALUE, Shape, with_values
from nir_interop.reference.neurons import parameter
from nir_interop.rule import Comparison, Floor, Precision, SpikesPerStep, Timing, UpdateRule, Use
from nir_interop.vocabulary import Cause


def next_float(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""The threshold moved by one float, where one side fires at it and the other only above it.

    .. math:: v \ge \theta \iff v > \mathrm{pred}(\theta), \qquad v > \theta \iff v \ge \mathrm{succ}(\theta)

    for :math:`v` and :math:`\theta` in single precision, in which libraries compute, and :math:`\mathrm{pred}` the next lower
    float.  Spikes are as they were wherever a membrane comes out the same on both sides to the last bit; where it does not, or
    lies between the two thresholds in double precision, what is left is rounding.

    Refuses rules by which the threshold says more than when to fire (a reset that subtracts it, several spikes in a step, a
    floor), one that is shared by neurons with thresholds of their own, fixed point, whose membranes are no floats, and a
    v_reset that would be no lower than the threshold.
    """
    shapes, nodes, changed = validate(graph), dict(graph.nodes), []
    for name, node in graph.primitives():
        if node.kind not in NEURONS or "v_threshold" not in node.params:
            continue
        old, new = source.rule(node.kind), target.rule(node.kind)
        if old.comparison is new.comparison:
            continue
        shape = shapes[name][0]
        _refuse_threshold(name, node, shape, old, new)
        threshold = parameter(node, "v_threshold", shape).astype(np.float32)
        towards = -np.inf if old.comparison is Comparison.AT_OR_ABOVE else np.inf
        moved = np.nextafter(threshold, np.float32(towards)).astype(np.float64)
        if (parameter(node, "v_reset", shape) >= moved).any():
            raise Refused(Cause.COMPARISON, (name,), f"no float lies between v_reset and v_threshold of {name}")
        nodes[name] = with_values(node, shape, {"v_threshold": moved})
        changed.append(name)
    if not changed:
        return None
    why = f"{target.name} and {source.name} differ at the threshold; the next float is one by which they do not"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), tuple(changed), why)


def _refuse_threshold(name: str, node: Node, shape: Shape, old: UpdateRule, new: UpdateRule) -> None:
    """Raise Refused where a threshold cannot be moved."""
    rules, thresholds = (old, new), parameter(node, "v_threshold", shape)
    if any(rule.precision is Precision.FIXED for rule in rules):
        raise Refused(Cause.ROUNDING, (name,), f"the membranes of {name} are integers, between which there is no next float")
    subtracts = any(rule.reset not in TO_VALUE or rule.timing is Timing.CARRIED for rule in rules)
    if subtracts or any(rule.spikes is SpikesPerStep.MANY or rule.floor is not Floor.NONE for rule in rules):
        raise Refused(Cause.COMPARISON, (name,), f"the threshold of {name} also says what a spike does, and cannot be moved")
    if any(rule.threshold is Use.COLLAPSED for rule in rules) and (thresholds != thresholds.flat[0]).any():
        raise Refused(Cause.COMPARISON, (name,), f"the threshold of {name} is not its neurons' own")


NEURON_PASSES = (
    Pass(
        "next_float",
        ("comparison",),
        frozenset({Cause.COMPARISON}),
        "spikes, where membranes are the same to the last bit",
        next_float,
    ),
)
"""Passes about what a neuron is: before all others, which take a neuron for what it is."""
