"""Neurons put into a graph for what no parameter says: a pulse at the first step, and neurons that say what they hear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Subject, Wiring
from nir_interop.graphs import NEURONS, Graph, Node, as_array, components, validate
from nir_interop.reconcile.model import Refused, free_name
from nir_interop.reconcile.steps import TO_VALUE, membrane, step_of
from nir_interop.reconcile.wiring import misruns
from nir_interop.reference.neurons import Values
from nir_interop.rule import FeedbackBias, Precision, SpikeFrom, SpikesPerStep, TimeStep, Timing, UpdateRule
from nir_interop.vocabulary import Cause

_LASTING = 2.0
"""Steps of a spare neuron's time constant: above 1, below which not every importer takes one."""


class NoSpare(Exception):
    """No neurons can be put into a graph for what is asked of them; the text says why."""


def spare_neurons(size: int, source: Side, target: Side, *, forget: bool = False) -> Node:
    r"""A LIF layer that feeds itself, whose neurons fire in each step in which they hear a one, and have not without.

    With :math:`\tau = 2h`, :math:`R = 1` and nothing to leak to they start at 0, and a one brings them to at least their gain
    *g*, of which half (of the smaller of the two sides') is their threshold, as long as a membrane is no lower than 0 after its
    reset: one to 0 leaves it there, one that subtracts :math:`\theta < g` above.

    forget : whether a step without a one must be silent after any; a spike then has to leave the membrane at 0

    Raises NoSpare where the target takes no LIF, or none that feeds itself; for rules that reset late, read spikes from the
    membrane before the update, give several in a step, guess the step from the neuron or compute in fixed point; and for
    resets by subtraction where neurons must forget.
    """
    needed: tuple[tuple[Subject, str], ...] = (("LIF", "LIF"), (Wiring.RECURRENCE, "layer that feeds itself"))
    for subject, what in needed:
        if target.domain.lacks(subject):
            raise NoSpare(f"{target.name} takes no {what}")
    rules = source.rule("LIF"), target.rule("LIF")
    for rule in rules:
        refuse_rule(rule)
        if forget and rule.reset not in TO_VALUE:
            raise NoSpare("no neuron forgets a spike, of which a reset by subtraction leaves a part")
    tau = _LASTING * step_of(rules[0], source.dt)
    plain = {"tau": tau, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    node = Node("LIF", {name: as_array(np.full(size, value)) for name, value in plain.items()})
    gains = [membrane(node, (size,), side.dt, rule).gain for side, rule in zip((source, target), rules, strict=True)]
    if not all((gain > 0).all() for gain in gains):
        raise NoSpare("its input does not reach a neuron that is put in")
    threshold = min(float(gain.min()) for gain in gains) / 2
    return Node("LIF", {**node.params, "v_threshold": as_array(np.full(size, threshold))})


def refuse_rule(rule: UpdateRule) -> None:
    """Raise NoSpare for a rule by which no neuron says in a step, with one spike or none, what it hears in it."""
    if rule.timing is not Timing.SAME_STEP or rule.spike_from is not SpikeFrom.UPDATED:
        raise NoSpare("no neuron says in a step what it hears in it")
    if rule.spikes is not SpikesPerStep.ONE:
        raise NoSpare("neurons do not give one spike a step or none")
    if rule.time_step is TimeStep.INFERRED:
        raise NoSpare("the step of a neuron that is put in would be guessed from its parameters")
    if rule.precision is Precision.FIXED:
        raise NoSpare("fixed point rounds what is put in")


def refuse_first_neurons(graph: Graph, side: Side) -> None:
    """Raise NoSpare where the first LIF of a graph would take the biases of its cycles away in the first step."""
    kinds = {node.kind for _, node in graph.primitives()} & set(NEURONS)
    absent = {kind for kind in {*kinds, "LIF"} if side.rule(kind).feedback_bias is FeedbackBias.ABSENT}
    if kinds and absent == {"LIF"} and "LIF" not in kinds and cyclic(graph):
        raise NoSpare(f"with a LIF, {side.name} leaves biases of cycles out in the first step")


def cyclic(graph: Graph) -> set[str]:
    """The nodes that are on a cycle."""
    edges = set(graph.edges)
    return {name for part in components(graph.nodes, graph.edges) for name in part if len(part) > 1 or (name, name) in edges}


def with_pulses(graph: Graph, pulses: Mapping[str, Values], source: Side, target: Side) -> Graph:
    r"""A graph whose neurons hear, in the first step alone, a pulse *p* each beside what they heard.

    Two neurons *L* and *M* of one layer feed it; *L* hears a constant, and *M* hears *L* along the edge that closes the layer's
    cycle, which waits a step:

    .. math:: s_L(t) = 1, \quad s_M(t) = s_L(t - 1), \quad s_L(t) - s_M(t) = [t = 0], \qquad x \leftarrow x + p\,(s_L - s_M)

    The constant is the bias of weights of 0 that hear the Input.  No neuron has to forget a spike: *L* never falls silent, and
    nor does *M* once it has begun, so that any reset in the same step will do.

    Raises Refused, with the cause ``start``, for neurons and an Input that are no vectors; for a neuron that is fed from inside
    of its cycle alone, where a pulse would make other edges wait; where the target misruns joins at neurons; and where there
    are no spare neurons (see :func:`spare_neurons`).
    """
    names, shapes = tuple(sorted(pulses)), validate(graph)
    (heard,) = graph.of_kind("Input")
    try:
        _refuse_joins(graph, names, target)
        if any(len(shape) != 1 for shape in (shapes[heard][1], *(shapes[name][0] for name in names))):
            raise NoSpare("neurons or Input are no vector")
        refuse_first_neurons(graph, source)
        pair = spare_neurons(2, source, target)
    except NoSpare as impossible:
        why = f"{', '.join(names)} would start elsewhere; no shift makes up for that, and no pulse: {impossible}"
        raise Refused(Cause.START, names, why) from impossible
    nodes = dict(graph.nodes)
    constant, layer, back = (free_name(name, nodes) for name in ("pulse_constant", "pulse", "pulse_back"))
    silent = np.zeros((2, shapes[heard][1][0]), dtype=np.float32)
    nodes[constant] = Node("Affine", {"weight": as_array(silent), "bias": as_array(np.array([1, 0], dtype=np.float32))})
    nodes[layer] = pair
    nodes[back] = Node("Linear", {"weight": as_array(np.array([[0, 0], [1, 0]], dtype=np.float32))})
    edges = [(heard, constant), (constant, layer), (layer, back), (back, layer)]
    for name in names:
        given = free_name(f"{name}_start", nodes)
        nodes[given] = Node("Linear", {"weight": as_array(np.stack([pulses[name], -pulses[name]], axis=1))})
        edges += [(layer, given), (given, name)]
    return Graph(nodes, (*graph.edges, *edges), graph.metadata)


def _refuse_joins(graph: Graph, names: tuple[str, ...], target: Side) -> None:
    """Raise NoSpare where nothing can be added to what neurons hear."""
    home = {name: number for number, part in enumerate(components(graph.nodes, graph.edges)) for name in part}
    for name in names:
        if misruns(target, graph.nodes[name].kind):
            raise NoSpare(f"{target.name} misruns joins at neurons")
        if all(home[source] == home[name] for source in graph.into(name)):
            raise NoSpare(f"{name} is no entry of its cycle, and would be one with it")
