"""Neurons whose time constant is infinite: not a number in NIR, and an integrator to the library that wrote them."""

from __future__ import annotations

import numpy as np

from harness.graphs import Graph, Node, as_array
from harness.reconcile.model import Pass, Refused, Rewritten, Side
from harness.rule import Gain, UpdateRule
from harness.vocabulary import Cause

_OTHER = ("comparison", "reset", "timing", "spikes", "floor", "start", "spike_from", "feedback_bias", "threshold", "precision")
"""Axes that an integrator and a leaky neuron share."""


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


INTEGRATORS = (
    Pass(
        "infinite_as_integrator",
        (),
        frozenset({Cause.PARAMETER_LOST, Cause.DECAY}),
        "spikes and membranes",
        infinite_as_integrator,
    ),
)
"""Passes that come before all others: they make a graph that means something of one that does not."""
