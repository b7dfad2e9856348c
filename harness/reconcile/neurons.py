"""Neurons written as what a target takes: another primitive that does the same, another threshold for another comparison."""

from __future__ import annotations

import numpy as np

from harness.graphs import NEURONS, Graph, Node, as_array, validate
from harness.reconcile.model import Pass, Refused, Rewritten, Side
from harness.reconcile.steps import TO_VALUE, Shape, agree, membrane, with_values
from harness.reference.coefficients import Values, parameter, start_value
from harness.rule import Comparison, Floor, Precision, SpikesPerStep, TimeStep, Timing, UpdateRule, Use
from harness.vocabulary import Cause

_LASTING = 2.0**100
"""Steps that a membrane takes to leak: a power of two, by which no division rounds, far beyond what one tells from never."""

_SAME = {
    "comparison": Cause.COMPARISON,
    "timing": Cause.RESET_LATE,
    "spikes": Cause.SPIKES_PER_STEP,
    "floor": Cause.FLOOR,
    "spike_from": Cause.LAYER_DELAY,
    "feedback_bias": Cause.FEEDBACK_BIAS_AT_START,
    "precision": Cause.ROUNDING,
}
"""Axes in which an IF and the LIF that takes its place must not differ."""


def integrator_as_leaky(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""An IF as a LIF that never leaks, where the target takes a LIF and no IF.

    .. math:: a = 1 - h/\tau = 1 - 2^{-100} = 1 \;\text{(rounded)}, \qquad g = R\,h/\tau = (g_\mathrm{IF}\,2^{100})\,2^{-100}

    with :math:`\tau = 2^{100}\,\Delta t`.  Below 1 the next float is :math:`1 - 2^{-53}` (in single precision
    :math:`1 - 2^{-24}`), so that both :math:`1 - 2^{-100}` and :math:`e^{-2^{-100}}` round to 1, and :math:`1 \cdot v = v`
    rounds nothing.  Powers of two only move the exponent: :math:`R = g_\mathrm{IF}\,2^{100}` fits single precision as long as
    :math:`g_\mathrm{IF} < 2^{27}`.  So every number of every step is the IF's, also the first, where the two start alike.

    Refuses a source whose rules for IF and LIF differ in more than decay and gain (another comparison, another reset, another
    start value of this neuron), a gain that no R gives (a complement, :math:`R\,(1 - a)`, is 0), a step that is guessed from
    the neuron, and a target that takes neither primitive.
    """
    if target.takes("IF") or not graph.of_kind("IF"):
        return None
    shapes, nodes = validate(graph), dict(graph.nodes)
    names = graph.of_kind("IF")
    if not target.takes("LIF"):
        raise Refused(Cause.UNSUPPORTED, names, f"{target.name} takes no neuron that fires and remembers")
    for name, node in graph.primitives():
        if node.kind == "IF":
            nodes[name] = _leaky(name, node, shapes[name][0], source)
    why = f"{target.name} takes no IF; a LIF whose decay rounds to 1 is one"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), names, why)


def _leaky(name: str, node: Node, shape: Shape, source: Side) -> Node:
    old, new, dt = source.rule("IF"), source.rule("LIF"), source.dt
    for axis, cause in _SAME.items():
        if getattr(old, axis) is not getattr(new, axis):
            raise Refused(cause, (name,), f"{name} would differ as a LIF: {source.name} has another {axis} for it")
    if new.time_step is TimeStep.INFERRED:
        raise Refused(Cause.DT_GUESSED, (name,), f"the step of {name} would be guessed from its parameters")
    values = {"tau": np.full(shape, _LASTING * dt), "r": np.ones(shape), "v_leak": np.zeros(shape)}
    wanted, unit = membrane(node, shape, dt, old), membrane(_as_lif(node, shape, values), shape, dt, _own_gain(new)).gain
    with np.errstate(divide="ignore", invalid="ignore"):
        values["r"] = wanted.gain / unit
    lif = _as_lif(node, shape, values)
    given = membrane(lif, shape, dt, new)
    if not (np.isfinite(values["r"]).all() and agree(given.gain, wanted.gain)):
        raise Refused(Cause.GAIN, (name,), f"no r gives {name} the gain that it had, once it is a LIF")
    if (given.decay != 1).any():
        raise Refused(Cause.DECAY, (name,), f"{name} would leak as a LIF")
    if not np.array_equal(start_value(lif, shape, new), start_value(node, shape, old)):
        raise Refused(Cause.START, (name,), f"{name} would start elsewhere as a LIF")
    _refuse_reset(name, node, shape, old, new)
    return lif


def _own_gain(rule: UpdateRule) -> UpdateRule:
    """A rule by which each neuron has its own gain: one alone does not say what it has where the smallest is everyone's."""
    return rule.but(resistance=Use.USED) if rule.resistance is Use.COLLAPSED else rule


def _as_lif(node: Node, shape: Shape, values: dict[str, Values]) -> Node:
    single = all(node[key].ndim == 0 for key in node.params) and all((each == each.flat[0]).all() for each in values.values())
    written = {key: as_array(each.flat[0] if single else each) for key, each in values.items()}
    return Node("LIF", {**node.params, **written})


def _refuse_reset(name: str, node: Node, shape: Shape, old: UpdateRule, new: UpdateRule) -> None:
    """Raise Refused where two rules do not reset a neuron alike, or do not fire at the same membrane."""
    thresholds = parameter(node, "v_threshold", shape)
    if old.threshold is not new.threshold and (thresholds != thresholds.flat[0]).any():
        raise Refused(Cause.THRESHOLD_COLLAPSED, (name,), f"the thresholds of {name} would be others as a LIF")
    if old.reset is new.reset:
        return
    both = {old.reset, new.reset}
    if not both <= set(TO_VALUE):
        raise Refused(Cause.RESET_KIND, (name,), f"{name} would be reset otherwise as a LIF")
    if parameter(node, "v_reset", shape).any():
        raise Refused(Cause.RESET_VALUE_IGNORED, (name,), f"{name} would be reset to another value as a LIF")


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
    Pass(
        "integrator_as_leaky",
        (),
        frozenset({Cause.UNSUPPORTED}),
        "spikes and membranes, to the last bit",
        integrator_as_leaky,
    ),
)
"""Passes about what a neuron is: before all others, which take a neuron for what it is."""
