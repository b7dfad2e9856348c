r"""Gains and thresholds: moved into weights, by one float, or made one for all neurons of a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Domain, Gains, GainState, NeuronCondition
from nir_interop.graphs import NEURONS, Array, Graph, Node, as_array, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.neurons import (
    PER_NEURON,
    TO_VALUE,
    Coefficients,
    Inputs,
    Shape,
    agree,
    membrane,
    refuse_fixed_point,
    step_of,
    synapse,
    with_values,
)
from nir_interop.reconcile.wiring import misruns_join
from nir_interop.reference.neurons import Values, parameter
from nir_interop.rule import Comparison, Floor, LeakUse, Precision, SpikesPerStep, TimeStep, Timing, UpdateRule, Use
from nir_interop.vocabulary import Cause


@dataclass(frozen=True)
class _InputFactor:
    """A parameter that multiplies what comes in."""

    name: str
    use: str
    gain: str
    tau: tuple[str, ...]
    ignored: Cause
    numbers: Callable[[Node, Shape, float, UpdateRule], Coefficients]

    def tau_of(self, node: Node) -> str | None:
        return next((name for name in self.tau if name in node.params), None)


_R = _InputFactor("r", "resistance", "gain", ("tau_mem", "tau"), Cause.RESISTANCE_IGNORED, membrane)
_W_IN = _InputFactor("w_in", "input_weight", "synapse_gain", ("tau_syn",), Cause.INPUT_WEIGHT_IGNORED, synapse)

_OFF, _ONE, _MATCHED = GainState.OFF, GainState.ONE, GainState.MATCHED
_PROBED = ((_OFF, _OFF), (_MATCHED, _OFF), (_OFF, _MATCHED), (_ONE, _ONE), (_MATCHED, _MATCHED))
"""Where fingerprints have r and w_in together."""


def fold_resistance(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""The gain of the membrane, as far as the target does not give it, as a factor of the weights before.

    .. math:: g_A\,(W x + b) = g_B\,(k \odot (W x + b)), \qquad k = g_A / g_B

    with the gain of each neuron as the source has it, and as the target has it for an R that it takes: :math:`R = 1` where it
    reads none, else :math:`R = \tau/h`, for which a forward Euler step has a gain of 1 (I, IF: :math:`R = 1/h`), also where the
    target makes one gain, the smallest, every neuron's.  A synapse without leak is linear, so that what is scaled before it is
    scaled behind it: :math:`i' = k \odot i`.  Spikes and membranes are as they were.

    Refuses where something other than weights, or pools and Flatten behind weights, feeds neurons that are no vector, where *k*
    differs within a channel of a convolution, where the target's gain is zero or its step is guessed from R, and a synapse with
    a leak of its own.
    """
    return _fold(_R, graph, source, target)


def fold_input_weight(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""The gain of the synapse, as far as the target does not give it, as a factor of the weights before.

    .. math:: g_{s,A}\,(W x + b) = g_{s,B}\,(k \odot (W x + b)), \qquad k = g_{s,A} / g_{s,B}

    as :func:`fold_resistance` does it for the membrane, with :math:`w_\mathrm{in} = \tau_\mathrm{syn}/h` (or 1).  Synapse,
    membrane and spikes are as they were.  Refuses as that does.
    """
    return _fold(_W_IN, graph, source, target)


def _fold(factor: _InputFactor, graph: Graph, source: Side, target: Side) -> Rewritten | None:
    inputs, side = Inputs(graph, source.dt), source.take((factor.use, factor.gain), target, NEURONS)
    for name, node in graph.primitives():
        if factor.name not in node.params:
            continue
        shape, rule = inputs.shapes[name][0], side.rule(node.kind)
        wanted = factor.numbers(node, shape, source.dt, source.rule(node.kind)).gain
        given = factor.numbers(node, shape, source.dt, rule).gain
        if agree(wanted, given) and _takes(factor, node, shape, step_of(rule, source.dt), rule, target.domain):
            continue
        refuse_fixed_point(name, rule)
        value = _value(factor, name, node, shape, source.dt, rule, target.domain)
        other = with_values(node, shape, {factor.name: value})
        ratio = _ratio(name, wanted, factor.numbers(other, shape, source.dt, rule).gain)
        if factor is _R and "tau_syn" in node.params and rule.leak is LeakUse.ON_SYNAPSE and np.any(node["v_leak"]):
            raise Refused(Cause.LEAK_ON_SYNAPSE, (name,), f"the synapse of {name} leaks, so that its current does not scale")
        inputs.scale(name, ratio, factor.ignored)
        inputs.replace(name, other)
    why = f"the gain that {target.name} does not make of {factor.name} is in the weights before"
    return Rewritten(inputs.graph(), tuple(sorted(inputs.touched)), why) if inputs.touched else None


def _ratio(name: str, wanted: Values, given: Values) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = wanted / given
    if not np.isfinite(ratio).all():
        raise Refused(Cause.GAIN, (name,), f"the target lets no input into {name}: no weight makes up for it")
    return np.where(np.isclose(ratio, 1, rtol=1e-13, atol=0), 1.0, ratio)


def _matched(factor: _InputFactor, node: Node, shape: Shape, step: float) -> Values:
    tau = factor.tau_of(node)
    return (parameter(node, tau, shape) if tau else np.ones(shape)) / step


def _value(factor: _InputFactor, name: str, node: Node, shape: Shape, dt: float, rule: UpdateRule, domain: Domain) -> Values:
    """The parameter that the target is given."""
    if rule.time_step is TimeStep.INFERRED:
        raise Refused(Cause.DT_GUESSED, (name,), f"the step of {name} would be guessed from another {factor.name}")
    if getattr(rule, factor.use) is Use.IGNORED:
        return np.ones(shape)
    for state, value in ((_MATCHED, _matched(factor, node, shape, step_of(rule, dt))), (_ONE, np.ones(shape))):
        if not _refuses_state(factor, node, state, rule, domain):
            return value
    raise Refused(Cause.UNSUPPORTED, (name,), f"the target takes no {factor.name} for {name}")


def _takes(factor: _InputFactor, node: Node, shape: Shape, step: float, rule: UpdateRule, domain: Domain) -> bool:
    """Whether the target takes a parameter as it is."""
    value = parameter(node, factor.name, shape)
    matched = np.allclose(value, _matched(factor, node, shape, step), rtol=1e-6, atol=0)
    state = _ONE if (value == 1).all() else _MATCHED if matched else _OFF
    differing = state is _OFF and (value != value.flat[0]).any()
    spread = differing and domain.refuses(node.kind, NeuronCondition(spread=frozenset({factor.name})))
    return not spread and not _refuses_state(factor, node, state, rule, domain)


def _refuses_state(factor: _InputFactor, node: Node, state: GainState, rule: UpdateRule, domain: Domain) -> bool:
    """Whether the target refuses a state of a parameter whatever the other one is."""
    if "w_in" not in node.params:
        places = [Gains(_probed(state, rule))]
    else:
        pairs = [pair for pair in _PROBED if pair[0 if factor is _R else 1] is state]
        # A step of the rule's own is tried at r, and then at both.
        places = [Gains(*pair if pair == (_OFF, _MATCHED) else (_probed(each, rule) for each in pair)) for pair in pairs]
    return all(domain.refuses(node.kind, NeuronCondition(gains=place)) for place in places)


def _probed(state: GainState, rule: UpdateRule) -> GainState:
    """Where a parameter stands that makes the gain of a rule's step 1."""
    return GainState.MATCHED_FIXED if state is _MATCHED and rule.time_step is TimeStep.FIXED else state


def one_threshold(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Each neuron in units in which its threshold is the smallest of its layer's.

    .. math:: v' = k\,v, \quad k_i = \theta/\theta_i: \qquad v' \leftarrow a\,v' + (1-a)\,k v_\mathrm{leak} + g\,k x,
        \qquad v > \theta_i \iff v' > \theta, \qquad v'_\mathrm{reset} = k\,v_\mathrm{reset}

    Everything that a rule does to a membrane (start, leak, resets, floor, several spikes) scales with it; a synapse scales with
    its input.  Spikes are as they were, the membranes of each neuron *k* times what they were.

    Refuses thresholds of different signs, or zero, and weights that cannot be scaled (see :func:`fold_resistance`).
    """
    inputs = Inputs(graph, source.dt)
    for name, node in graph.primitives():
        if node.kind not in NEURONS or "v_threshold" not in node.params:
            continue
        shape, old, new = inputs.shapes[name][0], source.rule(node.kind), target.rule(node.kind)
        thresholds = parameter(node, "v_threshold", shape)
        if (thresholds == thresholds.flat[0]).all():
            continue
        lowest = np.full(shape, thresholds.min())
        if new.threshold is old.threshold and not target.domain.refuses(
            node.kind, NeuronCondition(spread=frozenset({"v_threshold"}))
        ):
            continue
        if old.threshold is Use.COLLAPSED:
            inputs.replace(name, with_values(node, shape, {"v_threshold": lowest}))
            continue
        if not ((thresholds > 0).all() or (thresholds < 0).all()):
            raise Refused(Cause.THRESHOLD_COLLAPSED, (name,), f"the thresholds of {name} are not all of one sign")
        refuse_fixed_point(name, old)
        ratio = lowest / thresholds
        scaled = {each: ratio * parameter(node, each, shape) for each in ("v_leak", "v_reset") if each in node.params}
        inputs.scale(name, ratio, Cause.THRESHOLD_COLLAPSED)
        inputs.replace(name, with_values(node, shape, {**scaled, "v_threshold": lowest}))
    why = "every neuron is scaled to one threshold, with the weights before"
    return Rewritten(inputs.graph(), tuple(sorted(inputs.touched)), why) if inputs.touched else None


GAINS = (
    Pass(
        "fold_resistance",
        ("resistance", "gain"),
        frozenset({Cause.RESISTANCE_IGNORED, Cause.RESISTANCE_COLLAPSED, Cause.GAIN, Cause.PARAMETER_LOST, Cause.UNSUPPORTED}),
        "spikes and membranes",
        fold_resistance,
    ),
    Pass(
        "fold_input_weight",
        ("input_weight", "synapse_gain"),
        frozenset({Cause.INPUT_WEIGHT_IGNORED, Cause.GAIN, Cause.PARAMETER_LOST, Cause.UNSUPPORTED}),
        "spikes and membranes",
        fold_input_weight,
    ),
    Pass(
        "one_threshold",
        ("threshold",),
        frozenset({Cause.THRESHOLD_COLLAPSED, Cause.UNSUPPORTED}),
        "spikes; membranes scaled by the ratio of thresholds",
        one_threshold,
    ),
)
"""Passes about gains and thresholds."""


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


def uniform_neurons(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""One node per group of equal neurons, where the target does not take neurons of a layer that differ.

    .. math:: f(x) = \sum_j S_j^\top f_j(S_j\,x), \qquad \sum_j S_j^\top S_j = \mathbb{1}

    with :math:`S_j` the rows of the identity that belong to group *j*, and :math:`f_j` its neurons.  The weights before and
    after stay as they are: a selection picks each group's input, and one identity gathers what the groups give.  A selection
    adds zeros to one number, which no precision rounds and no order of summation changes, so that every neuron gets and gives
    the very numbers it did; weights divided into rows and columns would be added up otherwise.  An edge waits where it did:
    what fed the layer feeds the selections, which are entries of a cycle where the layer was one.

    Refuses neurons that are no vector, a target that misruns joins at layers, and a rule that takes one neuron's threshold or
    gain for all of a layer's which are not the same.
    """
    shapes = validate(graph)
    differing = {
        name: (node, groups)
        for name, node in graph.primitives()
        if node.kind in NEURONS and len(groups := _groups(node, shapes[name][0], target.domain)) > 1
    }
    if not differing:
        return None
    for name, (node, _) in differing.items():
        _refuse(name, node, shapes[name][0], source, target)
    nodes, edges = dict(graph.nodes), list(dict.fromkeys(graph.edges))
    for name, (node, groups) in differing.items():
        edges = _divided(nodes, edges, name, node, groups)
    why = f"{target.name} takes neurons of a layer only where they are alike: each kind of neuron is a node of its own"
    return Rewritten(Graph(nodes, tuple(edges), graph.metadata), tuple(differing), why)


def _groups(node: Node, shape: Shape, domain: Domain) -> list[list[int]]:
    """Elements whose parameters are the same as far as the target asks for it, in the order of their first."""
    asked = [name for name in PER_NEURON if name in node.params and _asks_for_one(domain, node.kind, name)]
    found: dict[tuple[float, ...], list[int]] = {}
    columns = [parameter(node, name, shape).ravel() for name in asked]
    for element in range(int(np.prod(shape))):
        found.setdefault(tuple(float(column[element]) for column in columns), []).append(element)
    return list(found.values())


def _asks_for_one(domain: Domain, kind: str, name: str) -> bool:
    """Whether a target refuses different values of a parameter in a layer, and not any; τ_mem goes by the name of ``tau``."""
    off = NeuronCondition(off_zero=frozenset({name}))
    both = NeuronCondition(off_zero=frozenset({"v_leak", "v_reset"}), one_voltage=True)
    if domain.refuses(kind, off) and domain.refuses(kind, both):
        return False
    names = {name, "tau"} if name == "tau_mem" else {name}
    return any(
        domain.refuses(kind, NeuronCondition(spread=spread), NeuronCondition(off_zero=spread, spread=spread))
        for spread in (frozenset({each}) for each in names)
    )


def _refuse(name: str, node: Node, shape: Shape, source: Side, target: Side) -> None:
    """Raise Refused where a layer of neurons that differ cannot be divided."""
    if len(shape) != 1:
        raise Refused(Cause.UNSUPPORTED, (name,), f"the neurons of {name} differ, and are no vector that could be divided")
    if misruns_join(target, "Linear"):
        why = f"the neurons of {name} differ, and the importer misruns the join of nodes that stand for them"
        raise Refused(Cause.JOIN_MISRUN, (name,), why)
    rule = source.rule(node.kind)
    collapsed: list[tuple[Use, Values, Cause]] = [
        (rule.resistance, membrane(node, shape, source.dt, rule.but(resistance=Use.USED)).gain, Cause.RESISTANCE_COLLAPSED)
    ]
    if "v_threshold" in node.params:
        collapsed.append((rule.threshold, parameter(node, "v_threshold", shape), Cause.THRESHOLD_COLLAPSED))
    for use, values, cause in collapsed:
        if use is Use.COLLAPSED and not agree(values, np.full(shape, values.flat[0])):
            raise Refused(cause, (name,), f"one neuron of {name} stands for all of them, also for those of other nodes")


def _divided(
    nodes: dict[str, Node | Graph], edges: list[tuple[str, str]], name: str, node: Node, groups: list[list[int]]
) -> list[tuple[str, str]]:
    """Put the groups in the place of a layer; returns the edges then."""
    size = sum(map(len, groups))
    identity = np.eye(size, dtype=np.float32)
    del nodes[name]
    joined = free_name(f"{name}_joined", nodes)
    nodes[joined] = Node("Linear", {"weight": as_array(identity)})
    heads, inner = [], list[tuple[str, str]]()
    for number, group in enumerate(groups):
        head, part, tail = (free_name(f"{name}_{number}{end}", nodes) for end in ("_in", "", "_out"))
        nodes[head] = Node("Linear", {"weight": as_array(identity[group])})
        nodes[part] = Node(node.kind, {key: _chosen(key, value, group) for key, value in node.params.items()})
        nodes[tail] = Node("Linear", {"weight": as_array(identity[:, group])})
        heads.append(head)
        inner += [(head, part), (part, tail), (tail, joined)]
    outer = [
        (joined if start == name else start, end) for start, target in edges for end in (heads if target == name else [target])
    ]
    return [*outer, *inner]


def _chosen(key: str, value: Array, group: list[int]) -> Array:
    """A parameter of some of the neurons."""
    return as_array(value.reshape(-1)[group]) if key in PER_NEURON and value.size > 1 else value


SPLITTING = (
    Pass(
        "uniform_neurons",
        (),
        frozenset({Cause.UNSUPPORTED}),
        "outputs, spikes and membranes, to the last bit, of nodes under new names",
        uniform_neurons,
    ),
)
"""Passes that divide a layer: after those about gains, which make neurons alike without dividing them, and before wiring."""
