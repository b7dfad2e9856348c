"""What a target has no primitive for, put together out of what it has.

A Scale becomes weights, a Threshold neurons that keep nothing, a Delay relays; integrators without a threshold become weights
that feed themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import NeuronCondition, Subject, Wiring
from nir_interop.graphs import NEURONS, SPIKING, Array, Graph, Node, as_array, validate, whole_numbers
from nir_interop.graphs.primitives import CONVOLUTIONS, DENSE
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.neurons import (
    TO_VALUE,
    Coefficients,
    Inputs,
    Shape,
    agree,
    as_precise,
    cyclic,
    lossless,
    membrane,
    step_of,
    synapse,
    unlike_parts,
    waiting,
)
from nir_interop.reconcile.wiring import silence
from nir_interop.reference.neurons import Values, delay_steps, parameter
from nir_interop.reference.order import Edge
from nir_interop.rule import (
    Comparison,
    FeedbackBias,
    Order,
    Precision,
    SpikeFrom,
    SpikesPerStep,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause

_LASTING = 2.0
"""Steps of a spare neuron's time constant: above 1, below which not every importer takes one."""


class NoSpareNeurons(Exception):
    """No neurons can be put into a graph for what is asked of them; the text says why."""


def spare_neurons(size: int, source: Side, target: Side, *, forget: bool = False) -> Node:
    r"""A LIF layer that feeds itself, whose neurons fire in each step in which they hear a one, and have not without.

    With :math:`\tau = 2h`, :math:`R = 1` and nothing to leak to they start at 0, and a one brings them to at least their gain
    *g*, of which half (of the smaller of the two sides') is their threshold, as long as a membrane is no lower than 0 after its
    reset: one to 0 leaves it there, one that subtracts :math:`\theta < g` above.

    forget : whether a step without a one must be silent after any; a spike then has to leave the membrane at 0

    Raises NoSpareNeurons where the target takes no LIF, or none that feeds itself; for rules that reset late, read spikes from
    the membrane before the update, give several in a step, guess the step from the neuron or compute in fixed point; and for
    resets by subtraction where neurons must forget.
    """
    needed: tuple[tuple[Subject, str], ...] = (("LIF", "LIF"), (Wiring.RECURRENCE, "layer that feeds itself"))
    for subject, what in needed:
        if target.domain.lacks(subject):
            raise NoSpareNeurons(f"{target.name} takes no {what}")
    rules = source.rule("LIF"), target.rule("LIF")
    for rule in rules:
        refuse_rule(rule)
        if forget and rule.reset not in TO_VALUE:
            raise NoSpareNeurons("no neuron forgets a spike, of which a reset by subtraction leaves a part")
    tau = _LASTING * step_of(rules[0], source.dt)
    plain = {"tau": tau, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    node = Node("LIF", {name: as_array(np.full(size, value)) for name, value in plain.items()})
    gains = [membrane(node, (size,), side.dt, rule).gain for side, rule in zip((source, target), rules, strict=True)]
    if not all((gain > 0).all() for gain in gains):
        raise NoSpareNeurons("its input does not reach a neuron that is put in")
    threshold = min(float(gain.min()) for gain in gains) / 2
    return Node("LIF", {**node.params, "v_threshold": as_array(np.full(size, threshold))})


def refuse_rule(rule: UpdateRule) -> None:
    """Raise NoSpareNeurons for a rule by which no neuron says in a step, with one spike or none, what it hears in it."""
    if rule.timing is not Timing.SAME_STEP or rule.spike_from is not SpikeFrom.UPDATED:
        raise NoSpareNeurons("no neuron says in a step what it hears in it")
    if rule.spikes is not SpikesPerStep.ONE:
        raise NoSpareNeurons("neurons do not give one spike a step or none")
    if rule.time_step is TimeStep.INFERRED:
        raise NoSpareNeurons("the step of a neuron that is put in would be guessed from its parameters")
    if rule.precision is Precision.FIXED:
        raise NoSpareNeurons("fixed point rounds what is put in")


def refuse_first_neurons(graph: Graph, side: Side) -> None:
    """Raise NoSpareNeurons where the first LIF of a graph would take the biases of its cycles away in the first step."""
    kinds = {node.kind for _, node in graph.primitives()} & set(NEURONS)
    absent = {kind for kind in {*kinds, "LIF"} if side.rule(kind).feedback_bias is FeedbackBias.ABSENT}
    if kinds and absent == {"LIF"} and "LIF" not in kinds and cyclic(graph):
        raise NoSpareNeurons(f"with a LIF, {side.name} leaves biases of cycles out in the first step")


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
                raise NoSpareNeurons(f"a cycle begins with what {name} answers to silence, and neurons are silent")
    except NoSpareNeurons as impossible:
        why = f"{target.name} takes no Threshold, and no neuron does for one: {impossible}"
        raise Refused(Cause.UNSUPPORTED, names, why) from impossible
    why = f"{target.name} takes no Threshold; a LIF that keeps nothing is one"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), names, why)


def _memoryless(node: Node, shape: Shape, source: Side, target: Side) -> Node:
    rules = source.rule("LIF"), target.rule("LIF")
    if target.domain.lacks("LIF"):
        raise NoSpareNeurons(f"{target.name} takes no LIF")
    threshold = parameter(node, "threshold", shape)
    if (threshold <= 0).any():
        raise NoSpareNeurons("silence reaches a threshold of 0 or below")
    if rules[0].comparison is not rules[1].comparison:
        raise NoSpareNeurons("source and target differ at the threshold")
    if any(rule.threshold is Use.COLLAPSED for rule in rules) and (threshold != threshold.flat[0]).any():
        raise NoSpareNeurons("one threshold is every neuron's")
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
            raise NoSpareNeurons("no neuron keeps nothing and hears its input as it is")
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
    a one, is reset to 0, and stays there in silence (see :func:`nir_interop.reconcile.substitutes.spare_neurons`).

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
                raise NoSpareNeurons(f"it would take {count} of them")
            heard, back, given = _relayed(waits)
            relays = spare_neurons(len(back), source, target, forget=True)
        except NoSpareNeurons as impossible:
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
    """Raise NoSpareNeurons where what a Delay hears is not one spike or none of each element of a vector, in order."""
    if len(shape) != 1:
        raise NoSpareNeurons("it delays no vector")
    if name in cyclic(graph):
        raise NoSpareNeurons("it decides in which order its cycle is run")
    heard = graph.into(name)
    kind = graph.nodes[heard[0]].kind
    once = all(side.rule(kind).spikes is SpikesPerStep.ONE for side in (source, target))
    if len(heard) > 1 or kind not in SPIKING or not once:
        raise NoSpareNeurons("what it delays is not one spike a step or none")


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


_WITHOUT_THRESHOLD = ("I", "LI", "CubaLI")
_DIAGONALS = {1: ("Linear", "Affine"), 2: ("Conv1d",), 3: ("Conv2d",)}
"""Dimensions of what a diagonal is applied to, and the weights that are one."""
_ROUNDED = 2.0**-23
"""What of 1 − a may be lost where a is rounded to single precision, in which libraries compute."""


class NoWeights(Exception):
    """No weights do what is asked of them; the text says why."""


def integrator_as_loop(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""An I, LI or CubaLI as weights that feed themselves, where the target takes no such primitive.

    .. math:: v_{t+1} = a\,v_t + g\,x_{t+1} + c \iff
        u_{t+1} = x_{t+1} + a\,u_t + \frac{c - (1 - a)\,v_0}{g},\quad u_0 = 0,\quad v = g\,u + v_0

    with the source's numbers.  The identity *u* adds up what fed the node and what a diagonal of *a* says of *u* one step late;
    the node becomes the weights *g* with the bias :math:`v_0`, or is *u* itself.  A constant is the bias of an identity before
    *u*.  Where single precision takes more than a little of :math:`1 - a`, another diagonal has what it leaves of *a*.  A
    CubaLI is two loops, its synapse and its membrane.  Of feature maps, diagonals are convolutions with kernels of one.

    Refuses a target that takes no such weights, maps of which a channel differs within itself, a gain of 0, fixed point, a
    CubaLI whose membrane advances first, a graph in which another edge would wait than did, and one in which what waits would
    answer to silence (see :class:`nir_interop.reference.simulator.Simulator`) where the importer begins with the answer.
    """
    names = sorted(name for kind in _WITHOUT_THRESHOLD if not target.takes(kind) for name in graph.of_kind(kind))
    if not names:
        return None
    rest = graph
    for name in names:
        rest = _looped(rest, name, source, target)
    kinds = sorted({graph.nodes[name].kind for name in names})
    why = f"{target.name} takes no {' and no '.join(kinds)}; weights that feed themselves remember as much"
    return Rewritten(rest, tuple(names), why)


def _looped(graph: Graph, name: str, source: Side, target: Side) -> Graph:
    node, shape = graph.nodes[name], validate(graph)[name][0]
    assert isinstance(node, Node)
    rule = source.rule(node.kind)
    if rule.precision is Precision.FIXED:
        raise Refused(Cause.ROUNDING, (name,), f"{name} is computed in fixed point, and weights are not")
    if "tau_syn" in node.params and rule.order is not Order.SYNAPSE_FIRST:
        raise Refused(Cause.SYNAPSE_ORDER, (name,), unlike_parts(name, rule))
    memories = {"membrane": membrane(node, shape, source.dt, rule)}
    if "tau_syn" in node.params:
        memories = {"synapse": synapse(node, shape, source.dt, rule), **memories}
    nodes = {each: kept for each, kept in graph.nodes.items() if each != name}
    added: list[Edge] = []
    late: list[Edge] = []
    first = last = ""
    try:
        for part, numbers in memories.items():
            loop = _loop(numbers, shape, target)
            named = loop.names(f"{name}_{part}", {*nodes, name}, "" if part == "synapse" else name)
            nodes |= {named[each]: kept for each, kept in loop.nodes.items()}
            added += [(named[start], named[end]) for start, end in loop.edges]
            late += [(named[start], named["u"]) for start in ("keep", "rest") if start in named]
            if last:
                added.append((last, named[loop.first]))
            first, last = first or named[loop.first], named[loop.last]
    except NoWeights as impossible:
        raise Refused(Cause.UNSUPPORTED, (name,), f"{target.name} takes no {node.kind}, and {impossible}") from impossible
    edges = [(start, first if end == name else end) for start, end in dict.fromkeys(graph.edges)]
    after = Graph(nodes, (*edges, *added), graph.metadata)
    refuse_order(graph, after, {first: name}, added, late, source.dt)
    refuse_silence(after, name, {start for start, _ in late}, source, target)
    return after


@dataclass(frozen=True)
class _Loop:
    """Weights and the edges between them, the one that is fed and the one that says what is remembered."""

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    first: str
    last: str

    def names(self, stem: str, taken: Collection[str], whole: str) -> dict[str, str]:
        """What the weights are called, none as another node; the last one as the whole, where that has a name."""
        names: dict[str, str] = {}
        for each in self.nodes:
            said = whole if whole and each == self.last else stem if each == "u" else f"{stem}_{each}"
            names[each] = said if said == whole else free_name(said, {*taken, *names.values()})
        return names


def _loop(numbers: Coefficients, shape: Shape, target: Side) -> _Loop:
    r"""What computes :math:`v_{t+1} = a\,v_t + g\,x_{t+1} + c`."""
    if (numbers.gain == 0).any():
        raise NoWeights("where no input reaches a state, no weights of an input are one")
    with np.errstate(over="ignore"):
        kept = numbers.decay.astype(np.float32).astype(np.float64)
    constant = (numbers.leak - (1 - numbers.decay) * numbers.start) / numbers.gain
    nodes = {"u": diagonal(np.ones(shape), shape, target), "keep": diagonal(kept, shape, target)}
    edges, first, last = [("u", "keep"), ("keep", "u")], "u", "u"
    if (np.abs(numbers.decay - kept) > _ROUNDED * np.abs(1 - numbers.decay)).any():
        nodes["rest"] = diagonal(numbers.decay - kept, shape, target)
        edges += [("u", "rest"), ("rest", "u")]
    if not agree(numbers.leak, (1 - numbers.decay) * numbers.start):
        nodes["constant"], first = diagonal(np.ones(shape), shape, target, constant), "constant"
        edges.append(("constant", "u"))
    if numbers.start.any() or not agree(numbers.gain, np.ones(shape)):
        nodes["gain"], last = diagonal(numbers.gain, shape, target, numbers.start), "gain"
        edges.append(("u", "gain"))
    return _Loop(nodes, tuple(edges), first, last)


def diagonal(values: Values, shape: Shape, target: Side, bias: Values | None = None) -> Node:
    """Weights that multiply each element with a number of its own, and add one.

    Raises NoWeights where the target takes none, or a channel of a feature map differs within itself.
    """
    added = None if bias is None or not bias.any() else bias
    kinds = _DIAGONALS.get(len(shape), ())
    kind = kinds[added is not None and len(kinds) > 1] if kinds else ""
    if not any(map(target.takes, kinds if added is None else kinds[-1:])):
        raise NoWeights(f"it takes no weights that keep the shape {shape}")
    if kind in ("Linear", "Affine"):
        return Node(kind, {"weight": as_array(np.diag(values))} | ({} if added is None else {"bias": as_array(added)}))
    rows = [each.reshape(shape[0], -1) for each in (values, np.zeros(shape) if added is None else added)]
    if any(not agree(each, np.broadcast_to(each[:, :1], each.shape)) for each in rows):
        raise NoWeights("a channel's elements differ, for which a convolution has one number")
    ones = (1,) * (len(shape) - 1)
    parts = {"weight": np.diag(rows[0][:, 0]).reshape(shape[0], shape[0], *ones), "bias": rows[1][:, 0], "groups": 1}
    extents = {"stride": ones, "padding": (0,) * len(ones), "dilation": ones, "input_shape": shape[1:]}
    whole = parts | {key: np.array(value if len(ones) > 1 else value[0]) for key, value in extents.items()}
    return Node(kind, {key: as_array(np.asarray(value)) for key, value in whole.items()})


def refuse_order(
    before: Graph, after: Graph, stands_for: Mapping[str, str], added: Collection[Edge], late: Collection[Edge], dt: float
) -> None:
    """Raise Refused where other edges of a rewritten graph wait than are to.

    stands_for : what is fed now → the node that was
    added, late : edges that there were not, and those of them that wait
    """
    old, new = waiting(before, validate(before), dt), waiting(after, validate(after), dt)
    for edge in after.edges:
        expected = edge in late if edge in added else (edge[0], stands_for.get(edge[1], edge[1])) in old
        if (edge in new) is not expected:
            name = stands_for.get(edge[1], edge[0] if edge[0] in before.nodes else next(iter(stands_for.values())))
            raise Refused(Cause.CYCLE_ORDER, (name,), f"with a feedback at {name}, a cycle waits elsewhere")


def refuse_silence(graph: Graph, name: str, loops: Collection[str], source: Side, target: Side) -> None:
    """Raise Refused where what waits begins with what it answers to silence, and that is something."""
    if begins_silent(graph, source) and begins_silent(graph, target):
        return
    if loops & silence(graph, source.dt)[1].keys():
        raise Refused(Cause.FEEDBACK_BIAS_AT_START, (name,), f"what feeds {name} has a bias, with which a loop would begin")


def begins_silent(graph: Graph, side: Side) -> bool:
    """Whether nothing answers to silence: one primitive's rule is enough."""
    kinds = {node.kind for _, node in graph.primitives()} | {"LIF"}
    return any(side.rules[kind].feedback_bias is FeedbackBias.ABSENT for kind in kinds & side.rules.keys())


LOOPS: tuple[Pass, ...] = (
    Pass(
        "integrator_as_loop",
        (),
        frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED}),
        "outputs, spikes and membranes, up to rounding",
        integrator_as_loop,
    ),
)
"""Behind the passes about biases on cycles: what waits in a loop begins with nothing."""
