r"""Time constants that decay in a step as the old ones did, also under another step, and those that never decay."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.graphs import NEURONS, Graph, Node, as_array, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reconcile.neurons import Shape, agree, membrane, step_of, synapse, with_values
from nir_interop.reference.neurons import (
    Values,
    delay_steps,
)
from nir_interop.rule import Decay, Floor, Gain, TimeStep, UpdateRule, Use
from nir_interop.vocabulary import Cause


def same_decay(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Time constants that decay in a step of the target as the old ones did in a step of the source.

    .. math:: 1 - h_B/\tau' = a \iff \tau' = \frac{h_B}{1 - a}; \qquad e^{-h_B/\tau'} = a \iff \tau' = \frac{-h_B}{\ln a}

    for membrane and synapse, where *a* is the source's decay and :math:`h_B` the step that the target takes.  The gain of a
    step is linear in :math:`R` (in :math:`w_\mathrm{in}` at the synapse), so :math:`R' = g_A / g_B(R = 1)` gives the same
    gain, also for I and IF, which have no :math:`\tau`.  The leak, :math:`(1-a)\,v_\mathrm{leak}`, is then the same too.  A
    Delay of *n* steps becomes :math:`n\,\Delta t_B`.  Every number of every step is the source's: so are spikes and membranes.

    The result is meant for the target's dt.  Refuses decays that no positive, finite time constant gives (:math:`a \ge 1`,
    :math:`a \le 0` for an exponential, :math:`a < 0` for a clamped one), gains that no R can make up for, and a target that
    guesses its step from the neuron.
    """
    shapes, nodes = validate(graph), dict(graph.nodes)
    side = source.take(SAME_DECAY_AXES, target, NEURONS)
    changed = []
    for name, node in graph.primitives():
        shape = shapes[name][0]
        if node.kind == "Delay":
            waits = delay_steps(node, shape, source.dt)
            if not np.array_equal(waits, delay_steps(node, shape, target.dt)):
                nodes[name] = Node("Delay", {"delay": as_array(waits * target.dt)})
                changed.append(name)
        elif node.kind in NEURONS:
            other = _retimed(name, node, shape, source, side, target.dt)
            if other is not None:
                nodes[name] = other
                changed.append(name)
    if not changed:
        return None
    why = f"their time constants and gains are such that {target.name} decays in a step as {source.name} did"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), tuple(changed), why)


def _retimed(name: str, node: Node, shape: Shape, source: Side, side: Side, dt: float) -> Node | None:
    """The neuron for a side at ``dt``; None where it is right as it is."""
    old, new = source.rule(node.kind), side.rule(node.kind)
    parts = [(membrane, "tau" if "tau" in node.params else "tau_mem", "r", new.gain, new.resistance)]
    if "tau_syn" in node.params:
        parts.append((synapse, "tau_syn", "w_in", new.synapse_gain, new.input_weight))
    values: dict[str, Values] = {}
    before = [part[0](node, shape, source.dt, old) for part in parts]
    after = [part[0](node, shape, dt, new) for part in parts]
    if all(agree(a.decay, b.decay) and agree(a.gain, b.gain) for a, b in zip(before, after, strict=True)):
        return None
    if new.time_step is TimeStep.INFERRED:
        raise Refused(Cause.DT_GUESSED, (name,), f"the step of {name} would be guessed from its parameters")
    for wanted, given, (numbers, tau, factor, gain, use) in zip(before, after, parts, strict=True):
        if not agree(wanted.decay, given.decay):
            if tau not in node.params:
                raise Refused(Cause.DECAY, (name,), f"{name} has no time constant, and leaks on one side alone")
            scheme = Decay.EULER if tau == "tau_syn" and new.decay is Decay.EULER_SYNAPSE else new.decay
            values[tau] = _time_constant(name, wanted.decay, step_of(new, dt), scheme)
        plain = with_values(node, shape, {**values, factor: np.ones(shape)})
        # A collapsed gain is the smallest of all, so that one neuron alone would not say its own.
        unit = numbers(plain, shape, dt, new.but(resistance=Use.USED) if use is Use.COLLAPSED else new).gain
        if gain in (Gain.STEP, Gain.COMPLEMENT) and use is not Use.IGNORED:
            with np.errstate(divide="ignore", invalid="ignore"):
                values[factor] = wanted.gain / unit
            if not np.isfinite(values[factor]).all():
                raise Refused(Cause.GAIN, (name,), f"no {factor} gives {name} the gain that it had")
        elif not agree(unit, wanted.gain):
            raise Refused(Cause.GAIN, (name,), f"{factor} of {name} is not used: its gain follows its new {tau}")
    return with_values(node, shape, values)


def _time_constant(name: str, decay: Values, step: float, scheme: Decay) -> Values:
    """The time constant [s, or what the step is in] whose decay in a step is as wanted."""
    if (decay >= 1).any():
        raise Refused(Cause.DECAY, (name,), f"{name} does not decay, and no finite time constant does not")
    if scheme in (Decay.EXPONENTIAL, Decay.EULER_SYNAPSE):
        if (decay <= 0).any():
            raise Refused(Cause.DECAY, (name,), f"{name} loses all in a step (or turns its sign): no exponential does")
        return -step / np.log(decay)
    if scheme is Decay.WHOLE_SECONDS:
        raise Refused(Cause.DECAY, (name,), f"the time constant of {name} would be cut to whole seconds")
    if scheme is Decay.EULER_CLAMPED and (decay < 0).any():
        raise Refused(Cause.DECAY_CLAMPED, (name,), f"{name} turns its sign in a step, and a clamped decay does not")
    return step / (1 - decay)


SAME_DECAY_AXES = ("decay", "time_step")


STEPS = (
    Pass(
        "same_decay",
        SAME_DECAY_AXES,
        frozenset(
            {
                Cause.DECAY,
                Cause.DECAY_CLAMPED,
                Cause.DT_FIXED,
                Cause.DT_DEFAULT,
                Cause.DT_GUESSED,
                Cause.DT_REQUESTED,
                Cause.TIME_UNIT,
                Cause.TAU_REWRITTEN,
            }
        ),
        "spikes and membranes",
        same_decay,
    ),
)
"""Passes about time constants and steps."""


_OTHER = ("comparison", "reset", "timing", "spikes", "floor", "start", "spike_from", "feedback_bias", "threshold", "precision")
"""Axes that an integrator and a leaky neuron share."""

_LASTING = 2.0**100
"""Steps that a membrane takes to leak: a power of two, by which no division rounds, far beyond what one tells from never."""


def infinite_as_integrator(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A leaky neuron with :math:`\tau = \infty` as the integrator that it is.

    .. math:: a = 1 - h/\infty = e^{-h/\infty} = 1: \qquad v \leftarrow v + g\,x

    A library that adds its input as it is has :math:`g = 1` whatever :math:`R/\tau = \infty/\infty` may be; an IF with
    :math:`R\,\Delta t = 1` has it too.  Spikes and membranes are as they were.

    Refuses, with ``parameter_lost``, a source whose gain is computed from :math:`R` and :math:`\tau`, which nobody knows;
    layers of which only some neurons do not leak; a source whose integrators differ from its leaky neurons in more than that.
    """
    nodes, changed = dict(graph.nodes), []
    for name, node in graph.primitives():
        if node.kind != "LIF" or np.isfinite(node["tau"]).all():
            continue
        leaky, plain = source.rule("LIF"), source.rule("IF")
        if np.isfinite(node["tau"]).any():
            raise Refused(Cause.PARAMETER_LOST, (name,), f"some neurons of {name} leak and others do not")
        if leaky.gain is not Gain.ONE:
            raise Refused(Cause.PARAMETER_LOST, (name,), f"the gain of {name} is r/tau, and both are infinite")
        if any(getattr(leaky, axis) is not getattr(plain, axis) for axis in _OTHER):
            raise Refused(Cause.PARAMETER_LOST, (name,), f"{source.name} has no integrator that does what {name} does")
        shape = node["v_threshold"].shape
        params = {key: node[key] for key in ("v_threshold", "v_reset") if key in node.params}
        nodes[name] = Node("IF", {"r": as_array(np.full(shape, _unit(plain, source.dt))), **params})
        changed.append(name)
    if not changed:
        return None
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), tuple(changed), "what never leaks is written as an integrator")


def _unit(rule: UpdateRule, dt: float) -> float:
    """The r with which an integrator adds its input as it is."""
    return 1.0 if rule.gain in (Gain.ONE, Gain.JUMP) else 1.0 / dt


def integrator_as_leaky(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""An IF as a LIF that never leaks, where the target takes a LIF and no IF.

    .. math:: a = 1 - h/\tau = 1 - 2^{-100} = 1 \;\text{(rounded)}, \qquad g = R\,h/\tau = (g_\mathrm{IF}\,2^{100})\,2^{-100}

    with :math:`\tau = 2^{100}\,h`.  Below 1 the next float is :math:`1 - 2^{-53}` (in single precision :math:`1 - 2^{-24}`), so
    that both :math:`1 - 2^{-100}` and :math:`e^{-2^{-100}}` round to 1, and :math:`1 \cdot v = v` rounds nothing.  Powers of
    two only move the exponent: :math:`R = g_\mathrm{IF}\,2^{100}` fits single precision as long as
    :math:`g_\mathrm{IF} < 2^{27}`.  So every number of every step is the IF's.

    A graph that has LIF, too, is refused where the source's differ from its integrators in more than that; and so is a source
    whose LIF has such a gain for no R, or guesses its step from the neuron.
    """
    names = () if target.takes("IF") or not target.takes("LIF") else graph.of_kind("IF")
    return _as_leaky(graph, source, names, f"{target.name} takes no IF") if names else None


def floored_as_leaky(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""An IF as :func:`integrator_as_leaky` has it, where the target keeps the membrane of an IF above a floor, and of no LIF.

    .. math:: v \leftarrow \max(v_\mathrm{floor},\, v + g\,x) \;\text{(the target's IF)}, \qquad
        v \leftarrow (1 - 2^{-100})\,v + g\,x = v + g\,x \;\text{(rounded, LIF)}

    with the same *g*, so that the membrane falls as low as the source's.  Refuses other floors that differ.
    """
    kinds = ("IF", "LIF", "CubaLIF")
    differ = {name for kind in kinds if source.rule(kind).floor is not target.rule(kind).floor for name in graph.of_kind(kind)}
    if not differ:
        return None
    names = graph.of_kind("IF")
    if differ != {*names} or not _floored(source, target):
        raise Refused(Cause.FLOOR, tuple(sorted(differ)), f"{target.name} has no neuron that falls as low, and no lower")
    return _as_leaky(graph, source, names, f"{target.name} keeps the membrane of an IF above a floor")


def _as_leaky(graph: Graph, source: Side, names: tuple[str, ...], lacks: str) -> Rewritten:
    shapes, nodes, plain = validate(graph), dict(graph.nodes), source.rule("IF")
    leaky = source.rule("LIF") if graph.of_kind("LIF") else plain.but(decay=Decay.EULER, gain=Gain.STEP, resistance=Use.USED)
    differ = [axis for axis in _OTHER if getattr(leaky, axis) is not getattr(plain, axis)]
    if differ or leaky.time_step is TimeStep.INFERRED:
        why = f"{lacks}; a LIF of {source.name} differs from its IF in {', '.join(differ) or 'its step'}"
        raise Refused(Cause.UNSUPPORTED, names, why)
    for name in names:
        node, shape = nodes[name], shapes[name][0]
        assert isinstance(node, Node)
        made = _leaky(node, shape, source.dt, plain, leaky)
        one, other = membrane(node, shape, source.dt, plain), membrane(made, shape, source.dt, leaky)
        leaks = (one.decay != 1).any() or (other.decay != 1).any()
        if leaks or not agree(one.gain, other.gain) or not agree(one.start, other.start):
            raise Refused(Cause.UNSUPPORTED, (name,), f"{lacks}, and no LIF of {source.name} is one")
        nodes[name] = made
    why = f"{lacks}; a LIF whose decay rounds to 1 is one"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), names, why, {"LIF": leaky})


def _floored(source: Side, target: Side) -> bool:
    """Whether a target's integrators have a floor that the source's have not, and its leaky neurons have none either."""
    own, there = source.rule("IF").floor, target.rule("IF").floor
    known = "LIF" in target.domain and "IF" in target.domain
    return known and there is not Floor.NONE and there is not own and target.rule("LIF").floor is own


def _leaky(node: Node, shape: Shape, dt: float, plain: UpdateRule, leaky: UpdateRule) -> Node:
    """An integrator as a leaky neuron that hardly leaks, with the same gain; single numbers where all of its own are."""
    size = () if node["r"].ndim == 0 and node["v_threshold"].ndim == 0 else shape
    fire = {key: np.broadcast_to(node[key], size) for key in ("v_threshold", "v_reset") if key in node.params}
    values = {"tau": np.full(size, _LASTING * step_of(leaky, dt)), "r": np.ones(size), "v_leak": np.zeros(size)}
    unit = membrane(Node("LIF", {**values, **fire}), shape, dt, leaky.but(resistance=Use.USED)).gain
    gain = np.divide(membrane(node, shape, dt, plain).gain, unit, out=np.ones(shape), where=unit != 0)
    values["r"] = gain if size else gain.reshape(-1)[0]
    return Node("LIF", {key: as_array(np.asarray(value)) for key, value in {**values, **fire}.items()})


ENDLESS = (
    Pass(
        "infinite_as_integrator",
        (),
        frozenset({Cause.PARAMETER_LOST, Cause.DECAY}),
        "spikes and membranes",
        infinite_as_integrator,
    ),
)
"""The pass that comes before all others: it makes a graph that means something of one that does not."""

INTEGRATORS = (
    Pass(
        "integrator_as_leaky",
        (),
        frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED}),
        "spikes and membranes, to the last bit",
        integrator_as_leaky,
    ),
    Pass("floored_as_leaky", ("floor",), frozenset({Cause.FLOOR}), "spikes and membranes, to the last bit", floored_as_leaky),
)
"""The pass about integrators: behind the one that finds some in parts, before all about single neurons."""
