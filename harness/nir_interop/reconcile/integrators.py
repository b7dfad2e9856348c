"""Neurons whose time constant is infinite: not a number in NIR, and an integrator to the library that wrote them."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph, Node, as_array, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reconcile.steps import Shape, agree, membrane, step_of
from nir_interop.rule import Decay, Gain, TimeStep, UpdateRule, Use
from nir_interop.vocabulary import Cause

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
    if not names:
        return None
    shapes, nodes, plain = validate(graph), dict(graph.nodes), source.rule("IF")
    leaky = source.rule("LIF") if graph.of_kind("LIF") else plain.but(decay=Decay.EULER, gain=Gain.STEP, resistance=Use.USED)
    differ = [axis for axis in _OTHER if getattr(leaky, axis) is not getattr(plain, axis)]
    if differ or leaky.time_step is TimeStep.INFERRED:
        why = f"{target.name} takes no IF; a LIF of {source.name} differs from its IF in {', '.join(differ) or 'its step'}"
        raise Refused(Cause.UNSUPPORTED, names, why)
    for name in names:
        node, shape = nodes[name], shapes[name][0]
        assert isinstance(node, Node)
        made = _leaky(node, shape, source.dt, plain, leaky)
        one, other = membrane(node, shape, source.dt, plain), membrane(made, shape, source.dt, leaky)
        leaks = (one.decay != 1).any() or (other.decay != 1).any()
        if leaks or not agree(one.gain, other.gain) or not agree(one.start, other.start):
            raise Refused(Cause.UNSUPPORTED, (name,), f"{target.name} takes no IF, and no LIF of {source.name} is one")
        nodes[name] = made
    why = f"{target.name} takes no IF; a LIF whose decay rounds to 1 is one"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), names, why, {"LIF": leaky})


def _leaky(node: Node, shape: Shape, dt: float, plain: UpdateRule, leaky: UpdateRule) -> Node:
    """An integrator as a leaky neuron that hardly leaks, with the same gain; single numbers where all of its own are."""
    size = () if node["r"].ndim == 0 and node["v_threshold"].ndim == 0 else shape
    fire = {key: np.broadcast_to(node[key], size) for key in ("v_threshold", "v_reset") if key in node.params}
    values = {"tau": np.full(size, _LASTING * step_of(leaky, dt)), "r": np.ones(size), "v_leak": np.zeros(size)}
    unit = membrane(Node("LIF", {**values, **fire}), shape, dt, leaky.but(resistance=Use.USED)).gain
    gain = np.divide(membrane(node, shape, dt, plain).gain, unit, out=np.ones(shape), where=unit != 0)
    values["r"] = gain if size else gain.reshape(-1)[0]
    return Node("LIF", {key: as_array(np.asarray(value)) for key, value in {**values, **fire}.items()})


INTEGRATORS = (
    Pass(
        "infinite_as_integrator",
        (),
        frozenset({Cause.PARAMETER_LOST, Cause.DECAY}),
        "spikes and membranes",
        infinite_as_integrator,
    ),
    Pass(
        "integrator_as_leaky",
        (),
        frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED}),
        "spikes and membranes, to the last bit",
        integrator_as_leaky,
    ),
)
"""Passes that come before all others: they make a graph that means something of one that does not."""
