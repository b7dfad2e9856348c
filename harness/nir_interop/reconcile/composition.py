"""A reset by subtraction that a target has not, put together out of membrane, threshold and feedback."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph, Node, as_array, validate
from nir_interop.graphs.primitives import DENSE
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.neurons import (
    Coefficients,
    Shape,
    agree,
    membrane,
    synapse,
    unlike_parts,
)
from nir_interop.reconcile.substitutes import NoWeights, diagonal, refuse_order
from nir_interop.reference.neurons import Values, parameter, start_value
from nir_interop.reference.order import Edge
from nir_interop.rule import (
    Comparison,
    Floor,
    LeakUse,
    Order,
    Precision,
    ResetKind,
    SpikesPerStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause

_MEMBRANES = {"LIF": "LI", "IF": "I", "CubaLIF": "LI"}
"""Neurons, and what their membranes are without a threshold."""
_SUBTRACTS = (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL)
_CARRIED = ("less", "spent", "rest", "carry", "again")
"""What is compared one threshold lower, and what finds the rest above the threshold and carries it there."""


def soft_reset_as_composition(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A reset by subtraction as membrane, threshold and feedback, where the target has none.

    A feedback :math:`w` of the spike arrives one step late, through the gain of the membrane's own input, so that

    .. math:: v_{t+1} = a\,v_t + g\,(x_{t+1} + w\,s_t) + c, \qquad s_t = [v_t > \theta]

    is :math:`a\,(v_t - \theta s_t) + g\,x_{t+1} + c` with :math:`w = -a\,\theta/g` (reset in the same step), and
    :math:`a\,v_t + g\,x_{t+1} + c - \theta s_t` with :math:`w = -\theta/g` (reset in the next).  LIF becomes LI, IF becomes I,
    a CubaLIF two of LI, its synapse before its membrane, each followed by a Threshold, which keeps the name, and a Scale (a
    diagonal Linear where the target takes no Scale).  What of these the target does not take either, later passes write with
    weights and neurons.  The membrane is fed from elsewhere, too, so that it is an entry of its cycle and the feedback waits.
    Where the source fires at the threshold as well, the Threshold has the next lower float (see ``next_float``); the feedback
    has :math:`\theta` itself.  The membrane is recorded before a reset in the same step.  Spikes are as they were, but for
    rounding.

    What is left above the threshold and carried into the next comparison (``timing`` is ``carried``) is found by a second
    Threshold, and is taken off and given back between membrane and threshold:

    .. math:: d_t = v_t - \theta\,c_{t-1}, \quad s_t = [d_t > \theta], \quad c_t = [d_t + \theta\,(c_{t-1} - s_t) > \theta]

    Nothing changes where the target subtracts, and at the same time.  Refuses a CubaLIF whose membrane advances first, a target
    that takes neither these primitives nor what stands for them, several spikes in a step, a floor, spikes read from the
    membrane before, fixed point, a threshold below 0 (which fires in silence, before the first step), a start above it that
    would be carried, a gain of 0, and a source for which LI or I decays, leaks or starts otherwise than what it takes the place
    of.
    """
    shapes, nodes, edges = validate(graph), dict(graph.nodes), list(dict.fromkeys(graph.edges))
    changed, stands_for = list[str](), dict[str, str]()
    added, late = list[Edge](), list[Edge]()
    for name, node in graph.primitives():
        if "v_threshold" not in node.params or not _lacks(source.rule(node.kind), target.rule(node.kind)):
            continue
        shape = shapes[name][0]
        refuse_rule(name, source.rule(node.kind))
        _refuse_target(name, node.kind, shape, target)
        parts, inner, waits = _composed(name, node, shape, source, target)
        called = {name: name}
        for part in parts.keys() - {name}:
            called[part] = free_name(f"{name}_{part}", nodes)
        nodes |= {called[part]: each for part, each in parts.items()}
        first = called[next(iter(parts))]
        edges = [(start, first if end == name else end) for start, end in edges]
        stands_for[first] = name
        added += [(called[start], called[end]) for start, end in inner]
        late += [(called[start], called[end]) for start, end in waits]
        changed.append(name)
    if not changed:
        return None
    after = Graph(nodes, (*edges, *added), graph.metadata)
    refuse_order(graph, after, stands_for, added, late, source.dt)
    why = f"{target.name} does not reset by subtraction; a feedback of the spikes does"
    return Rewritten(after, tuple(changed), why)


def _lacks(old: UpdateRule, new: UpdateRule) -> bool:
    """Whether the source subtracts, and the target does not, or at another time."""
    return old.reset in _SUBTRACTS and (new.reset not in _SUBTRACTS or old.timing is not new.timing)


def refuse_rule(name: str, rule: UpdateRule) -> None:
    """Raise Refused where a neuron does more than membrane, threshold and feedback do."""
    odd = {
        Cause.SPIKES_PER_STEP: rule.spikes is SpikesPerStep.MANY,
        Cause.FLOOR: rule.floor is not Floor.NONE,
        Cause.LAYER_DELAY: rule.spike_from.late,
        Cause.ROUNDING: rule.precision is Precision.FIXED,
    }
    for cause, is_so in odd.items():
        if is_so:
            raise Refused(cause, (name,), f"{name} does more than a membrane with a threshold and a feedback: {cause.meaning}")


def _refuse_target(name: str, kind: str, shape: Shape, target: Side) -> None:
    """Raise Refused where the target takes no part of the composition, nor what stands for it."""
    weights = {2: ("Conv1d",), 3: ("Conv2d",)}.get(len(shape), DENSE)
    needed = ((_MEMBRANES[kind], *weights), ("Threshold", "LIF"), ("Scale", *weights))
    lacking = [" nor ".join(either) for either in needed if not any(target.takes(each) for each in either)]
    if lacking:
        why = f"{target.name} resets {name} otherwise, and takes neither {', and neither '.join(lacking)} to make up for it"
        raise Refused(Cause.RESET_KIND, (name,), why)


def _composed(
    name: str, node: Node, shape: Shape, source: Side, target: Side
) -> tuple[dict[str, Node], list[Edge], list[Edge]]:
    """The parts of a neuron, the first of which is fed and one has its name; their edges, and those of them that wait."""
    old = source.rule(node.kind)
    parts = {"synapse": synapse_of(name, node, shape, source)} if "tau_syn" in node.params else {}
    parts["membrane"], numbers = _membrane(name, node, shape, source)
    theta = _theta(node, shape, old)
    fires = theta
    if old.comparison is Comparison.AT_OR_ABOVE:
        fires = np.nextafter(theta.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    if (fires < 0).any():
        raise Refused(Cause.START, (name,), f"{name} would fire in silence, and be reset before it has begun")
    if (numbers.gain == 0).any():
        raise Refused(Cause.GAIN, (name,), f"no input reaches {name}, so that no feedback does")
    weight = -(1.0 if old.timing is Timing.NEXT_STEP else numbers.decay) * theta / numbers.gain
    parts |= {name: Node("Threshold", {"threshold": as_array(fires)}), "reset": factors(weight, target)}
    edges = [("synapse", "membrane")] if "synapse" in parts else []
    edges += [(name, "reset"), ("reset", "membrane")]
    late = [("reset", "membrane")]
    if old.timing is not Timing.CARRIED:
        return parts, [*edges, ("membrane", name)], late
    if (start_value(node, shape, old) > theta).any():
        raise Refused(Cause.START, (name,), f"{name} starts above its threshold, and what would carry that starts at 0")
    parts |= dict(zip(_CARRIED, _carried(theta, target), strict=True))
    late += [("carry", "less"), ("again", "rest")]
    edges += [("membrane", "less"), ("less", name), ("less", "rest"), (name, "spent"), ("spent", "rest")]
    return parts, [*edges, ("rest", "carry"), ("rest", "again"), *late[1:]], late


def _carried(theta: Values, target: Side) -> tuple[Node, ...]:
    """The nodes of ``_CARRIED``."""
    rest = Node("Threshold", {"threshold": as_array(theta)})
    less, spent, carry, again = (factors(each, target) for each in (np.ones_like(theta), -theta, -theta, theta))
    return less, spent, rest, carry, again


def _theta(node: Node, shape: Shape, rule: UpdateRule) -> Values:
    theta = parameter(node, "v_threshold", shape)
    return np.full(shape, theta.min()) if rule.threshold is Use.COLLAPSED else theta


def factors(values: Values, target: Side) -> Node:
    """A factor for each element, as a diagonal where the target takes no Scale."""
    if target.takes("Scale"):
        return Node("Scale", {"scale": as_array(values)})
    try:
        return diagonal(values, values.shape, target)
    except NoWeights as impossible:
        raise Refused(Cause.RESET_KIND, (), f"{target.name} takes no Scale, and {impossible}") from impossible


def synapse_of(name: str, node: Node, shape: Shape, source: Side) -> Node:
    """The synapse of a current-based neuron as an LI."""
    old = source.rule(node.kind)
    if old.order is not Order.SYNAPSE_FIRST:
        raise Refused(Cause.SYNAPSE_ORDER, (name,), unlike_parts(name, old))
    resting = node["v_leak"] if old.leak is LeakUse.ON_SYNAPSE else np.zeros(shape)
    plain = Node("LI", {"tau": node["tau_syn"], "r": node["w_in"], "v_leak": as_array(resting)})
    return alike(name, plain, shape, source, synapse(node, shape, source.dt, old))


def _membrane(name: str, node: Node, shape: Shape, source: Side) -> tuple[Node, Coefficients]:
    """A neuron's membrane without its threshold, and its numbers, which are the neuron's under the source's rules."""
    wanted = membrane(node, shape, source.dt, source.rule(node.kind))
    values = {{"tau_mem": "tau"}.get(key, key): value for key, value in node.params.items()}
    plain = Node(_MEMBRANES[node.kind], {key: value for key, value in values.items() if key in ("tau", "r", "v_leak")})
    return alike(name, plain, shape, source, wanted), wanted


def alike(name: str, plain: Node, shape: Shape, source: Side, wanted: Coefficients) -> Node:
    """A neuron, or one without its threshold, with a gain as wanted; Refused where its other numbers are not."""
    rule = source.rule(plain.kind)
    given = membrane(plain, shape, source.dt, rule)
    if not agree(wanted.gain, given.gain) and agree(wanted.decay, given.decay):
        plain = _with_gain(plain, shape, wanted.gain, given.gain)
        given = membrane(plain, shape, source.dt, rule)
    differ: list[tuple[Cause, Values, Values]] = [
        (Cause.DECAY, wanted.decay, given.decay),
        (Cause.GAIN, wanted.gain, given.gain),
        (Cause.LEAK_IGNORED, wanted.leak, given.leak),
        (Cause.START, wanted.start, given.start),
    ]
    for cause, one, other in differ:
        if not agree(one, other):
            raise Refused(cause, (name,), f"{name} in parts, one of them as {plain.kind}, would differ: {cause.meaning}")
    return plain


def _with_gain(plain: Node, shape: Shape, wanted: Values, given: Values) -> Node:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(wanted / given, nan=1.0, posinf=1.0, neginf=1.0)
    values = {key: as_array(np.broadcast_to(parameter(plain, key, shape), shape)) for key in plain.params}
    return Node(plain.kind, {**values, "r": as_array(ratio * values["r"])})


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
