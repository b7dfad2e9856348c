"""Primitives that a target takes in no form, written with others: Scale as weights, Threshold as neurons, Delay as relays."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import NeuronCondition
from nir_interop.graphs import SPIKING, Array, Graph, Node, as_array, validate, whole_numbers
from nir_interop.graphs.primitives import CONVOLUTIONS, DENSE
from nir_interop.reconcile.inputs import Inputs
from nir_interop.reconcile.loops import begins_silent
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.operators import lossless
from nir_interop.reconcile.pulses import NoSpare, cyclic, refuse_first_neurons, refuse_rule, spare_neurons
from nir_interop.reconcile.steps import Shape, agree, as_precise, membrane, step_of
from nir_interop.reconcile.wiring import silence
from nir_interop.reference.neurons import Values, delay_steps, parameter
from nir_interop.rule import Comparison, SpikesPerStep, Use
from nir_interop.vocabulary import Cause

_MOST = 4096
"""Relays that one layer may have, for weights among them of 64 MiB."""
_ABOVE_ONE = 1 + 2.0**-40
"""The next time constant in steps above 1, for an importer that takes none below: its decay is 0 in single precision."""


def _missing(graph: Graph, target: Side, kind: str) -> tuple[str, ...]:
    """The nodes of a kind that the target takes in no form; without evidence it is believed to take them."""
    return graph.of_kind(kind) if target.domain.lacks(kind) else ()


def scale_as_linear(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A Scale as weights, where the target takes no Scale.

    .. math:: k \odot x = \mathrm{diag}(k)\,x, \qquad k \odot (W x + b) = (k \odot W)\,x + k \odot b,
        \qquad W (k \odot x) = (W\,\mathrm{diag}(k))\,x

    A vector takes a Linear in the Scale's place, on a cycle, too: both are stateless.  A feature map takes the factors into the
    weights before it (also through pools and Flatten), else into the ones behind: convolutions, where there is one factor per
    channel, and dense layers behind a Flatten, each of which hears nothing else.

    Refuses a feature map without such weights, or on a cycle.
    """
    names = _missing(graph, target, "Scale")
    if not names:
        return None
    shapes, rest, touched = validate(graph), graph, set(names)
    for name in names:
        shape, node = shapes[name][0], _node(rest, name)
        values = parameter(node, "scale", shape)
        if len(shape) == 1:
            weights = Node("Linear", {"weight": as_array(lossless(np.diag(values), node["scale"].dtype))})
            rest = Graph({**rest.nodes, name: weights}, rest.edges, rest.metadata)
        else:
            rest, changed = _folded(rest, name, values, source.dt)
            touched |= changed
    why = f"{target.name} takes no Scale; its factors are weights"
    return Rewritten(rest, tuple(sorted(touched & graph.nodes.keys())), why)


def _folded(graph: Graph, name: str, values: Values, dt: float) -> tuple[Graph, set[str]]:
    """The graph with the factors of a Scale in weights, and without it."""
    if name in cyclic(graph):
        raise Refused(
            Cause.UNSUPPORTED, (name,), f"{name} is a Scale of a feature map on a cycle, and cannot be left out of it"
        )
    inputs = Inputs(graph, dt)
    try:
        inputs.scale(name, values, Cause.UNSUPPORTED)
        before = inputs.graph()
    except Refused as refused:
        behind: dict[str, Node | None] = {}
        for end in graph.out_of(name):
            behind |= _behind(graph, name, end, values)
        if not behind or not all(behind.values()):
            raise Refused(
                refused.cause, (name,), f"{name} is a Scale of a feature map: {refused}; nor does one behind"
            ) from None
        nodes = {each: node for each, node in behind.items() if node is not None}
        return _without(Graph({**graph.nodes, **nodes}, graph.edges, graph.metadata), name), set(nodes)
    return _without(before, name), inputs.touched


def _behind(graph: Graph, name: str, end: str, values: Values) -> dict[str, Node | None]:
    """Weights that take the factors of what they hear, by name; None for what takes none."""
    node = graph.nodes[end]
    if graph.into(end) != (name,) or not isinstance(node, Node):
        return {end: None}
    if node.kind in CONVOLUTIONS:
        channels = values.reshape(len(values), -1)
        same = agree(channels, np.broadcast_to(channels[:, :1], channels.shape))
        return {end: _by_channel(node, channels[:, 0]) if same else None}
    if node.kind == "Flatten" and len(validate(graph)[end][1]) == 1:
        heard = {each: _node(graph, each) for each in graph.out_of(end)}
        alone = all(dense.kind in DENSE and graph.into(each) == (end,) for each, dense in heard.items())
        return {each: _scaled(dense, values.ravel()) for each, dense in heard.items()} if heard and alone else {end: None}
    return {end: None}


def _by_channel(node: Node, channels: Values) -> Node:
    """A convolution with a factor for each channel that it hears; an output hears those of its group."""
    weight = node["weight"]
    (groups,) = whole_numbers(node, "groups", 1)
    factors = np.repeat(channels.reshape(groups, -1), len(weight) // groups, axis=0)
    return _scaled(node, factors.reshape(*factors.shape, *(1,) * (weight.ndim - 2)))


def _scaled(node: Node, factors: Values) -> Node:
    return Node(node.kind, {**node.params, "weight": as_precise(factors * node["weight"], node["weight"])})


def _without(graph: Graph, name: str) -> Graph:
    """A graph without a node: what fed it feeds what it fed."""
    passing = [(start, end) for start in graph.into(name) for end in graph.out_of(name)]
    kept = [edge for edge in dict.fromkeys(graph.edges) if name not in edge]
    if set(passing) & set(kept):
        raise Refused(
            Cause.UNSUPPORTED, (name,), f"what {name} scales feeds the same node unscaled, too, and there is one edge"
        )
    nodes = {each: node for each, node in graph.nodes.items() if each != name}
    return Graph(nodes, (*kept, *passing), graph.metadata)


def threshold_as_neuron(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A Threshold as a LIF that keeps nothing, where the target takes no Threshold.

    .. math:: \tau = h,\; R = 1: \quad v \leftarrow (1 - h/\tau)\,v + x = x, \qquad s = [v > \theta] = [x > \theta]

    and, for a target that fires at its threshold, :math:`s = [v \ge \mathrm{succ}(\theta)]` with the next float (in single
    precision, in which libraries compute).  Thresholds that differ stay as they are.  Where the target takes no :math:`\tau`
    of a step and below, :math:`\tau = (1 + 2^{-40})\,h`, whose decay is 0 in single precision, and rounding in double.

    Is to come when source and target agree on decay, step, gain and comparison.  Refuses rules by which they do not, or a decay
    of 0 or a gain of 1 is not to be had; that reset late, or have other than one spike a step; one threshold for all neurons
    where these differ; thresholds that silence reaches, :math:`\theta \le 0`, of which no neuron's reset is below; and nodes
    that a cycle hears, if it begins with what they answer to silence.
    """
    names = _missing(graph, target, "Threshold")
    if not names:
        return None
    shapes, nodes = validate(graph), dict(graph.nodes)
    try:
        refuse_first_neurons(graph, source)
        answers = {} if begins_silent(graph, source) else silence(graph, source.dt)[1]
        for name in names:
            nodes[name] = _memoryless(_node(graph, name), shapes[name][0], source, target)
            if name in answers and _reaches(graph, name, cyclic(graph)):
                raise NoSpare(f"a cycle begins with what {name} answers to silence, and neurons are silent")
    except NoSpare as impossible:
        why = f"{target.name} takes no Threshold, and no neuron does for one: {impossible}"
        raise Refused(Cause.UNSUPPORTED, names, why) from impossible
    why = f"{target.name} takes no Threshold; a LIF that keeps nothing is one"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), names, why)


def _memoryless(node: Node, shape: Shape, source: Side, target: Side) -> Node:
    rules = source.rule("LIF"), target.rule("LIF")
    if target.domain.lacks("LIF"):
        raise NoSpare(f"{target.name} takes no LIF")
    threshold = parameter(node, "threshold", shape)
    if (threshold <= 0).any():
        raise NoSpare("silence reaches a threshold of 0 or below")
    if rules[0].comparison is not rules[1].comparison:
        raise NoSpare("source and target differ at the threshold")
    if any(rule.threshold is Use.COLLAPSED for rule in rules) and (threshold != threshold.flat[0]).any():
        raise NoSpare("one threshold is every neuron's")
    if rules[0].comparison is Comparison.AT_OR_ABOVE:
        threshold = _next(threshold)
    below = target.domain.refuses("LIF", NeuronCondition(below_step=frozenset({"tau"})))
    tau = step_of(rules[0], source.dt) * (_ABOVE_ONE if below else 1.0)
    plain = {"tau": tau, "r": 1.0, "v_leak": 0.0, "v_reset": 0.0}
    single = node["threshold"].ndim == 0
    size = () if single else shape
    written = {name: as_array(np.full(size, value)) for name, value in plain.items()}
    neuron = Node("LIF", {**written, "v_threshold": as_array(threshold.flat[0] if single else threshold)})
    for side, rule in zip((source, target), rules, strict=True):
        refuse_rule(rule)
        numbers = membrane(neuron, shape, side.dt, rule)
        if (np.abs(numbers.decay) > _ABOVE_ONE - 1).any() or not agree(numbers.gain, np.ones(shape)):
            raise NoSpare("no neuron keeps nothing and hears its input as it is")
    return neuron


def _next(threshold: Values) -> Values:
    """The lowest floats in single precision above a threshold."""
    with np.errstate(over="ignore"):
        narrow = threshold.astype(np.float32)
    return np.where(narrow > threshold, narrow, np.nextafter(narrow, np.float32(np.inf))).astype(np.float64)


def _reaches(graph: Graph, name: str, ends: set[str]) -> bool:
    found, left = {name}, [name]
    while left:
        new = set(graph.out_of(left.pop())) - found
        found |= new
        left += sorted(new)
    return bool(found & ends)


def delay_as_relays(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A Delay of spikes as neurons that hand them on from step to step, where the target takes no Delay.

    .. math:: r_0(t) = s(t), \qquad r_k(t) = r_{k-1}(t - 1), \qquad r_n(t) = s(t - n)

    For each element with a delay of *n* steps there are :math:`n + 1` relays, neurons of one layer that feeds itself:
    :math:`r_0` hears the spikes, and each other one the one before it, along the edge that closes the layer's cycle.  Such an
    edge waits a step, and is silent in the first; no edge outside of a cycle does.  A relay fires in the step in which it hears
    a one, is reset to 0, and stays there in silence (see :func:`nir_interop.reconcile.pulses.spare_neurons`).

    Refuses a Delay of what is not one spike a step or none, of several sources, of a feature map, of more steps than relays
    have room for, or on a cycle, whose order it decides; and rules by which neurons do not forget.
    """
    names = _missing(graph, target, "Delay")
    if not names:
        return None
    shapes, nodes, edges = validate(graph), dict(graph.nodes), list(dict.fromkeys(graph.edges))
    for name in names:
        try:
            refuse_first_neurons(graph, source)
            _check_spikes(graph, name, shapes[name][0], source, target)
            waits = delay_steps(_node(graph, name), shapes[name][0], source.dt)
            if (count := int((waits + 1).sum())) > _MOST:
                raise NoSpare(f"it would take {count} of them")
            heard, back, given = _relayed(waits)
            relays = spare_neurons(len(back), source, target, forget=True)
        except NoSpare as impossible:
            why = f"{target.name} takes no Delay, and no relays do for {name}: {impossible}"
            raise Refused(Cause.UNSUPPORTED, (name,), why) from impossible
        parts = {"in": _linear(heard), "relays": relays, "back": _linear(back)}
        called = {part: free_name(f"{name}_{part}", nodes) for part in parts}
        nodes |= {called[part]: node for part, node in parts.items()} | {name: _linear(given)}
        edges = [(start, called["in"]) if end == name else (start, end) for start, end in edges]
        for start, end in (("in", "relays"), ("relays", "back"), ("back", "relays")):
            edges.append((called[start], called[end]))
        edges.append((called["relays"], name))
    why = f"{target.name} takes no Delay; neurons that feed one another hand spikes on from step to step"
    return Rewritten(Graph(nodes, tuple(edges), graph.metadata), names, why)


def _check_spikes(graph: Graph, name: str, shape: Shape, source: Side, target: Side) -> None:
    """Raise NoSpare where what a Delay hears is not one spike or none of each element of a vector, in order."""
    if len(shape) != 1:
        raise NoSpare("it delays no vector")
    if name in cyclic(graph):
        raise NoSpare("it decides in which order its cycle is run")
    heard = graph.into(name)
    kind = graph.nodes[heard[0]].kind
    once = all(side.rule(kind).spikes is SpikesPerStep.ONE for side in (source, target))
    if len(heard) > 1 or kind not in SPIKING or not once:
        raise NoSpare("what it delays is not one spike a step or none")


def _relayed(waits: Array) -> tuple[Values, Values, Values]:
    """Weights from elements to relays, from relays to the ones after them, and from the last ones to elements."""
    first = np.concatenate([[0], np.cumsum(waits + 1)])
    size, count = len(waits), int(first[-1])
    heard, back, given = np.zeros((count, size)), np.eye(count, k=-1), np.zeros((size, count))
    back[first[:-1]] = 0
    for element in range(size):
        heard[first[element], element] = given[element, first[element + 1] - 1] = 1
    return heard, back, given


def _linear(weight: Values) -> Node:
    return Node("Linear", {"weight": as_array(weight.astype(np.float32))})


def _node(graph: Graph, name: str) -> Node:
    node = graph.nodes[name]
    if not isinstance(node, Node):
        raise Refused(Cause.UNSUPPORTED, (name,), f"{name} is a graph of its own; inline it")
    return node


_ANSWERS = frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED})

SCALES = (Pass("scale_as_linear", (), _ANSWERS, "outputs, spikes and membranes, up to float64 rounding", scale_as_linear),)
"""Before all others, to which a Scale in front of neurons would be no weights."""

STAND_INS = (
    Pass("threshold_as_neuron", (), _ANSWERS, "outputs and spikes, but for rounding at the threshold", threshold_as_neuron),
    Pass("delay_as_relays", (), _ANSWERS, "outputs, spikes and membranes", delay_as_relays),
)
"""Behind passes about gains, when rules agree, before those that divide layers; a Threshold before what delays its spikes."""

SUBSTITUTES = (*SCALES, *STAND_INS)
"""Passes about primitives that a target has no word for; they have two places among the others."""
