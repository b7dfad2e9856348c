"""A reset that a target has not, put together out of what it has."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.fingerprint import Identified
from harness.graphs import Graph, Node, as_array, validate
from harness.reconcile.gains import refuses
from harness.reconcile.inputs import waiting
from harness.reconcile.model import Pass, Refused, Rewritten, Side, free_name
from harness.reconcile.steps import Coefficients, Shape, agree, membrane
from harness.reference.coefficients import Values, parameter, start_value
from harness.reference.order import Edge
from harness.rule import Comparison, Floor, Precision, ResetKind, SpikeFrom, SpikesPerStep, Timing, UpdateRule, Use
from harness.vocabulary import Cause

_MEMBRANES = {"LIF": "LI", "IF": "I"}
"""Neurons, and what they are without a threshold."""
_SUBTRACTS = (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL)
_CARRIED = ("spent", "rest", "wait", "carry", "regain", "again", "back")
"""What finds the rest above the threshold, carries it into the next comparison, and gives it back."""
_INTO_NEURON = ("two branches into a neuron", "two spiking sources into a neuron", "a skip past a neuron")


def soft_reset_as_composition(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A reset by subtraction as membrane, threshold and feedback, where the target has none.

    A feedback :math:`w` of the spike arrives one step late, through the gain of the membrane's own input, so that

    .. math:: v_{t+1} = a\,v_t + g\,(x_{t+1} + w\,s_t) + c, \qquad s_t = [v_t > \theta]

    is :math:`a\,(v_t - \theta s_t) + g\,x_{t+1} + c` with :math:`w = -a\,\theta/g` (reset in the same step), and
    :math:`a\,v_t + g\,x_{t+1} + c - \theta s_t` with :math:`w = -\theta/g` (reset in the next).  LIF becomes LI, IF becomes I,
    each followed by a Threshold, which keeps the name, and a Scale (a diagonal Linear where the target takes no Scale).  The
    membrane is fed from elsewhere, too, so that it is an entry of its cycle and the feedback waits.  Where the source fires at
    the threshold as well, the Threshold has the next lower float (see ``next_float``); the feedback has :math:`\theta` itself.
    The membrane is recorded before a reset in the same step.  Spikes are as they were, but for rounding.

    What is left above the threshold and carried into the next comparison (``timing`` is ``carried``) is found by a second
    Threshold, :math:`c_t = [v_t - \theta s_t > \theta]`.  A Delay takes :math:`\theta` off the membrane :math:`v'` in the next
    step, another gives it back in the one after:

    .. math:: v'_{t+1} = a\,v'_t + g\,(x_{t+1} + w\,s_t) + c - \theta\,c_t + a\,\theta\,c_{t-1} = v_{t+1} - \theta\,c_t

    Nothing changes where the target subtracts, and at the same time.  Refuses CubaLIF (a feedback would have to pass its
    synapse), a target without these primitives or one that misruns joins or cycles, several spikes in a step, a floor, spikes
    read from the membrane before, fixed point, a threshold below 0 (which fires in silence, before the first step), a start
    above it that would be carried, a gain of 0, and a source for which LI or I decays, leaks or starts otherwise than what it
    takes the place of.
    """
    shapes, nodes, edges = validate(graph), dict(graph.nodes), list(dict.fromkeys(graph.edges))
    parts: dict[str, tuple[str, ...]] = {}
    added: list[Edge] = []
    for name, node in graph.primitives():
        if "v_threshold" not in node.params or not _lacks(source.rule(node.kind), target.rule(node.kind)):
            continue
        shape = shapes[name][0]
        _refuse_rule(name, node.kind, source.rule(node.kind))
        _refuse_target(name, node.kind, shape, source, target)
        below, threshold, feedback, numbers = _composed(name, node, shape, source, target)
        first, last = free_name(f"{name}_membrane", nodes), free_name(f"{name}_reset", nodes)
        nodes |= {first: below, name: threshold, last: feedback}
        edges = [(start, first if end == name else end) for start, end in edges]
        parts[name] = (first, last)
        added += [(first, name), (name, last), (last, first)]
        if source.rule(node.kind).timing is Timing.CARRIED:
            carried = _carried(name, node, shape, numbers, source, target)
            names = tuple(free_name(f"{name}_{each}", nodes) for each in _CARRIED)
            nodes |= dict(zip(names, carried, strict=True))
            parts[name] += names
            spent, rest, wait, carry, regain, again, back = names
            added += [(first, rest), (name, spent), (spent, rest), (wait, regain), (regain, rest), (rest, wait)]
            added += [(wait, carry), (carry, first), (wait, again), (again, back), (back, first)]
    if not parts:
        return None
    after = Graph(nodes, (*edges, *added), graph.metadata)
    _refuse_order(graph, after, parts, frozenset(added), source.dt)
    why = f"{target.name} does not reset by subtraction; a feedback of the spikes does"
    return Rewritten(after, tuple(parts), why)


def _lacks(old: UpdateRule, new: UpdateRule) -> bool:
    """Whether the source subtracts, and the target does not, or at another time."""
    return old.reset in _SUBTRACTS and (new.reset not in _SUBTRACTS or old.timing is not new.timing)


def _refuse_rule(name: str, kind: str, rule: UpdateRule) -> None:
    """Raise Refused where a neuron does more than membrane, threshold and feedback do."""
    if kind not in _MEMBRANES:
        raise Refused(Cause.RESET_KIND, (name,), f"a feedback that resets {name} would have to pass its synapse")
    odd = {
        Cause.SPIKES_PER_STEP: rule.spikes is SpikesPerStep.MANY,
        Cause.FLOOR: rule.floor is not Floor.NONE,
        Cause.LAYER_DELAY: rule.spike_from is SpikeFrom.PREVIOUS,
        Cause.ROUNDING: rule.precision is Precision.FIXED,
    }
    for cause, is_so in odd.items():
        if is_so:
            raise Refused(cause, (name,), f"{name} does more than a membrane with a threshold and a feedback: {cause.meaning}")


def _refuse_target(name: str, kind: str, shape: Shape, source: Side, target: Side) -> None:
    """Raise Refused where the target does not run the composition."""
    needed = [_MEMBRANES[kind], "Threshold", "Linear" if len(shape) == 1 and not target.takes("Scale") else "Scale"]
    needed += ["Delay"] if source.rule(kind).timing is Timing.CARRIED else []
    lacking = [each for each in needed if not target.takes(each)]
    if lacking:
        why = f"{target.name} resets {name} otherwise, and takes no {' and no '.join(lacking)} to make up for it"
        raise Refused(Cause.RESET_KIND, (name,), why)
    joins, cycles = target.domain.get("join"), target.domain.get("recurrence")
    if _is_misrun(joins, _INTO_NEURON):
        raise Refused(Cause.JOIN_MISRUN, (name,), f"a feedback would join the input of {name}, and the importer misruns joins")
    if cycles is not None and (cycles.mismatched or cycles.refuses):
        raise Refused(Cause.RECURRENCE_REWIRED, (name,), f"a feedback would reset {name}, and the importer rewires cycles")


def _is_misrun(known: Identified | None, words: Iterable[str]) -> bool:
    if known is None:
        return False
    return any(refuses(known, each) for each in words) or (known.mismatched > 0 and not known.refuses)


def _composed(name: str, node: Node, shape: Shape, source: Side, target: Side) -> tuple[Node, Node, Node, Coefficients]:
    """Membrane, threshold and feedback of a neuron, and the membrane's numbers."""
    old = source.rule(node.kind)
    below, numbers = _membrane(name, node, shape, source)
    theta = _theta(node, shape, old)
    fires = theta
    if old.comparison is Comparison.AT_OR_ABOVE:
        fires = np.nextafter(theta.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    if (fires < 0).any():
        raise Refused(Cause.START, (name,), f"{name} would fire in silence, and be reset before it has begun")
    if (numbers.gain == 0).any():
        raise Refused(Cause.GAIN, (name,), f"no input reaches {name}, so that no feedback does")
    weight = -(1.0 if old.timing is Timing.NEXT_STEP else numbers.decay) * theta / numbers.gain
    return below, Node("Threshold", {"threshold": as_array(fires)}), _scale(weight, target), numbers


def _carried(name: str, node: Node, shape: Shape, numbers: Coefficients, source: Side, target: Side) -> tuple[Node, ...]:
    """The nodes of ``_CARRIED``."""
    rule = source.rule(node.kind)
    theta = _theta(node, shape, rule)
    if (start_value(node, shape, rule) > theta).any():
        raise Refused(Cause.START, (name,), f"{name} starts above its threshold, and a Delay that would carry that starts at 0")
    rest = Node("Threshold", {"threshold": as_array(theta)})
    wait = Node("Delay", {"delay": as_array(np.full(shape, source.dt))})
    carry, back = _scale(-theta / numbers.gain, target), _scale(numbers.decay * theta / numbers.gain, target)
    return _scale(-theta, target), rest, wait, carry, _scale(theta, target), wait, back


def _theta(node: Node, shape: Shape, rule: UpdateRule) -> Values:
    theta = parameter(node, "v_threshold", shape)
    return np.full(shape, theta.min()) if rule.threshold is Use.COLLAPSED else theta


def _scale(values: Values, target: Side) -> Node:
    """A factor for each element, as a diagonal where the target takes no Scale."""
    if target.takes("Scale"):
        return Node("Scale", {"scale": as_array(values)})
    return Node("Linear", {"weight": as_array(np.diag(values))})


def _membrane(name: str, node: Node, shape: Shape, source: Side) -> tuple[Node, Coefficients]:
    """A neuron without its threshold, and its numbers, which are the neuron's under the source's rules."""
    kind = _MEMBRANES[node.kind]
    old, new = source.rule(node.kind), source.rule(kind)
    wanted = membrane(node, shape, source.dt, old)
    plain = Node(kind, {key: value for key, value in node.params.items() if key in ("tau", "r", "v_leak")})
    given = membrane(plain, shape, source.dt, new)
    if not agree(wanted.gain, given.gain) and agree(wanted.decay, given.decay):
        plain = _with_gain(plain, shape, wanted.gain, given.gain)
        given = membrane(plain, shape, source.dt, new)
    differ: list[tuple[Cause, Values, Values]] = [
        (Cause.DECAY, wanted.decay, given.decay),
        (Cause.GAIN, wanted.gain, given.gain),
        (Cause.LEAK_IGNORED, wanted.leak, given.leak),
        (Cause.START, wanted.start, given.start),
    ]
    for cause, one, other in differ:
        if not agree(one, other):
            raise Refused(cause, (name,), f"{name} without its threshold, as {kind}, would differ: {cause.meaning}")
    return plain, wanted


def _with_gain(plain: Node, shape: Shape, wanted: Values, given: Values) -> Node:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(wanted / given, nan=1.0, posinf=1.0, neginf=1.0)
    values = {key: as_array(np.broadcast_to(parameter(plain, key, shape), shape)) for key in plain.params}
    return Node(plain.kind, {**values, "r": as_array(ratio * values["r"])})


def _refuse_order(before: Graph, after: Graph, parts: dict[str, tuple[str, ...]], added: frozenset[Edge], dt: float) -> None:
    """Raise Refused where other edges than the new feedbacks would wait, or not wait, than did."""
    stands_for = {first: name for name, (first, *_) in parts.items()}
    old, new = waiting(before, validate(before), dt), waiting(after, validate(after), dt)
    loops = {(last, first) for first, last, *_ in parts.values()}
    for edge in after.edges:
        start, end = edge[0], stands_for.get(edge[1], edge[1])
        expected = edge in loops or (edge not in added and (start, end) in old)
        if (edge in new) is not expected:
            name = next(name for name in parts if name in {start, end} or start in parts[name])
            raise Refused(Cause.CYCLE_ORDER, (name,), f"with a feedback that resets {name}, a cycle waits elsewhere")


COMPOSITIONS = (
    Pass(
        "soft_reset_as_composition",
        (),
        frozenset({Cause.RESET_LOST, Cause.RESET_KIND, Cause.RESET_LATE}),
        "spikes, up to float64 rounding; membranes before their reset, under other names",
        soft_reset_as_composition,
    ),
)
"""Passes that put a neuron together: before those about offsets and comparisons, which take a neuron for one node."""
