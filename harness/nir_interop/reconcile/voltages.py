r"""Where a membrane rests, starts and is reset to: shifted, made up for by a bias, or by a pulse in the first step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Domain, NeuronCondition
from nir_interop.graphs import NEURONS, Graph, Node, as_array, components, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.neurons import (
    TO_VALUE,
    Coefficients,
    Inputs,
    Shape,
    membrane,
    refuse_fixed_point,
    synapse,
    with_values,
)
from nir_interop.reconcile.substitutes import NoSpareNeurons, refuse_first_neurons, spare_neurons
from nir_interop.reconcile.wiring import misruns_join
from nir_interop.reference.neurons import Values, parameter
from nir_interop.rule import (
    Floor,
    LeakUse,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause

SHIFT_AXES = ("reset", "leak", "start")
_LEAKS = {
    LeakUse.IGNORED: Cause.LEAK_IGNORED,
    LeakUse.ON_SYNAPSE: Cause.LEAK_ON_SYNAPSE,
    LeakUse.ADDED: Cause.LEAK_ADDED,
}


def shift_membrane(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A membrane counted from elsewhere, and a leak as a bias, such that the target's reset, leak and start do for it.

    With :math:`v' = v - d` the step :math:`v \leftarrow a\,v + g\,x + c` from :math:`v_0` with threshold :math:`\theta` is

    .. math:: v' \leftarrow a\,v' + g\,(x + b) + c', \quad c' + g\,b = c - (1 - a)\,d, \quad \theta' = \theta - d,
        \quad v'_\mathrm{reset} = v_\mathrm{reset} - d, \quad v'_0 = v_0 - d

    where *c* is what the leak adds in a step.  So :math:`d = v_\mathrm{reset}` makes a reset to zero of a reset to a value, for
    a leaky neuron with :math:`v'_\mathrm{leak} = v_\mathrm{leak} - d`; :math:`d = v_\mathrm{leak}` takes the leak away; and a
    bias :math:`b = (c - (1-a)\,d - c')/g` does what a leak does.  Taken is the first that fits of: the neuron as it is, one
    shifted (by v_reset, by v_leak, by :math:`v_0`), one with a bias.  Spikes are as they were, membranes lower by *d*.

    Its start under the target's rule has to be :math:`v_0 - d`.  Where no shift makes it so and nothing else is wrong, a pulse
    *p* in the first step (see :func:`nir_interop.reconcile.voltages.with_pulses`) makes up for a start at :math:`v'_B`:

    .. math:: a\,v'_B + g\,(x_1 + p) = a\,(v_0 - d) + g\,x_1 \iff p = a\,(v_0 - d - v'_B)/g

    but for current-based neurons, whose synapse would keep it, and where a spike is read from the membrane before the update:
    those are refused, with the cause ``start``.  Only *d* = 0 will do for a neuron whose membrane is its output, under
    subtractive resets, a floor, and several spikes a step, all of which count from zero.  A bias before a synapse comes to the
    membrane late, and will not do.
    """
    inputs, side = Inputs(graph, source.dt), source.take(SHIFT_AXES, target, NEURONS)
    said, pulses = set[str](), dict[str, Values]()
    for name, node in graph.primitives():
        if node.kind in NEURONS:
            rules = source.rule(node.kind), side.rule(node.kind)
            problem = _Problem(name, node, inputs.shapes[name][0], source.dt, *rules, target.domain)
            found = problem.solved()
            if found.node is not node:
                refuse_fixed_point(name, rules[0])
                inputs.replace(name, found.node)
                said.add(found.says)
            if found.bias.any():
                inputs.shift(name, found.bias, problem.cause())
                said.add("a leak is a bias of the weights before")
            if found.pulse.any():
                refuse_fixed_point(name, rules[0])
                pulses[name] = found.pulse
                said.add("a pulse in the first step makes up for where a membrane starts")
    touched = tuple(sorted(inputs.touched | pulses.keys()))
    if not touched:
        return None
    rewritten = inputs.graph()
    return Rewritten(with_pulses(rewritten, pulses, side, target) if pulses else rewritten, touched, "; ".join(sorted(said)))


def unshifted(name: str, node: Node, shape: Shape, source: Side, target: Side) -> bool:
    """Whether no shift, no bias and no pulse makes of a neuron under the target's reset, leak and start what it was."""
    new = source.take(SHIFT_AXES, target, (node.kind,)).rule(node.kind)
    try:
        _Problem(name, node, shape, source.dt, source.rule(node.kind), new, target.domain).solved()
    except Refused:
        return True
    return False


@dataclass(frozen=True, eq=False)
class _Attempt:
    """A neuron shifted by ``by``, the bias that its input then needs, a pulse that its start needs, and what is still wrong."""

    node: Node
    by: Values
    bias: Values
    pulse: Values
    wrong: frozenset[str]

    @property
    def effort(self) -> tuple[bool, bool, bool]:
        """What is to be avoided: a bias, a shift, and a bias beside a leak that the target may read or not."""
        beside = "v_leak" in self.node.params and bool(self.node["v_leak"].any())
        return bool(self.bias.any()), bool(self.by.any()), bool(self.bias.any()) and beside

    @property
    def says(self) -> str:
        return (
            "membranes are counted from another zero"
            if self.by.any()
            else "v_leak and v_reset are what the target makes of them"
        )


@dataclass(frozen=True, eq=False)
class _Problem:
    """A neuron under the rule that it had, and the rule that it is to have; ``domain`` is what the target takes."""

    name: str
    node: Node
    shape: Shape
    dt: float
    old: UpdateRule
    new: UpdateRule
    domain: Domain

    def solved(self) -> _Attempt:
        """The first attempt with which nothing is wrong.  Raises Refused."""
        attempts = [self._attempt(self.node, np.zeros(self.shape))]
        if not attempts[0].wrong and not attempts[0].bias.any():
            return attempts[0]
        attempts += self._attempts()
        fitting = [each for each in attempts if not each.wrong]
        if fitting:
            return min(fitting, key=lambda each: each.effort)
        late = [each for each in attempts if each.wrong == {"start"} and each.pulse.any()]
        if late:
            return min(late, key=lambda each: each.effort)
        if any(each.wrong == {"start"} for each in attempts):
            why = f"{self.name} would start elsewhere, and no shift of its membrane makes up for that"
            raise Refused(Cause.START, (self.name,), why)
        why = f"no shift and no bias makes {self.name} what it was: {', '.join(sorted(attempts[0].wrong)) or 'leak'} differs"
        raise Refused(self.cause(), (self.name,), why)

    def cause(self) -> Cause:
        """What is wrong with the neuron as it is."""
        as_it_is = self._attempt(self.node, np.zeros(self.shape))
        if "reset" in as_it_is.wrong:
            both = {self.old.reset, self.new.reset}
            return Cause.RESET_VALUE_IGNORED if both <= set(TO_VALUE) else Cause.RESET_KIND
        if as_it_is.bias.any() or {"leak", "synapse"} & as_it_is.wrong:
            return _LEAKS.get(self.new.leak) or _LEAKS.get(self.old.leak, Cause.LEAK_IGNORED)
        return Cause.START if "start" in as_it_is.wrong else Cause.UNSUPPORTED

    def _attempts(self) -> Iterator[_Attempt]:
        before, zero = membrane(self.node, self.shape, self.dt, self.old), np.zeros(self.shape)
        rest, reset = self._rest(before), self._reset_value(self.node, self.old)
        shifts = [zero]
        if self._may_shift():
            shifts += [by for by in (reset, rest, before.start) if by is not None and self._is_one_threshold(by)]
        for by in shifts:
            written = self._parameter("v_reset")
            resets: list[Values | None] = [None]
            if written is not None:
                resets = [*([] if reset is None else [reset - by]), zero, written]
            for new_reset in resets:
                leaks: list[Values | None] = [None]
                if rest is not None:
                    leaks = [rest - by, before.leak - (1 - before.decay) * by, zero, before.start - by]
                    leaks += [] if new_reset is None else [new_reset]
                for new_leak in leaks:
                    yield self._attempt(self._moved(by, new_reset, new_leak), by)

    def _attempt(self, node: Node, by: Values) -> _Attempt:
        """What a neuron is under the new rule, compared with what is wanted of it."""
        before = membrane(self.node, self.shape, self.dt, self.old)
        after = membrane(node, self.shape, self.dt, self.new)
        wrong, zero = set(), np.zeros(self.shape)
        pulse = zero
        if not (_same(after.start, before.start - by) or self._forgets(after)):
            wrong.add("start")
            pulse = self._pulse(before.start - by - after.start, after)
        if not self._resets_alike(node, by):
            wrong.add("reset")
        if (
            "v_threshold" in node.params
            and (parameter(node, "v_reset", self.shape) >= parameter(node, "v_threshold", self.shape)).any()
        ):
            wrong.add("threshold")
        if "tau_syn" in node.params:
            one, other = synapse(self.node, self.shape, self.dt, self.old), synapse(node, self.shape, self.dt, self.new)
            if not (_same(one.leak, other.leak) and _same(one.start, other.start)):
                wrong.add("synapse")
        bias, wanted = zero, before.leak - (1 - before.decay) * by
        if not _same(wanted, after.leak):
            if "tau_syn" in node.params or (after.gain == 0).any():
                wrong.add("leak")
            else:
                bias = (wanted - after.leak) / after.gain
        if self._is_refused(node):
            wrong.add("domain")
        return _Attempt(node, by, bias, pulse, frozenset(wrong))

    def _forgets(self, after: Coefficients) -> bool:
        """Whether nothing comes of where the membrane starts."""
        return self.old.spike_from is SpikeFrom.UPDATED and not after.decay.any()

    def _pulse(self, lacking: Values, after: Coefficients) -> Values:
        """What a neuron has to hear in the first step to be where it would be, had it started higher; zeros where it cannot."""
        needed = after.decay * lacking
        if "tau_syn" in self.node.params or self.old.spike_from is not SpikeFrom.UPDATED or (needed[after.gain == 0]).any():
            return np.zeros(self.shape)
        return np.divide(needed, after.gain, out=np.zeros(self.shape), where=needed != 0)

    def _resets_alike(self, node: Node, by: Values) -> bool:
        if "v_threshold" not in node.params:
            return True
        one, other = self._reset_value(self.node, self.old), self._reset_value(node, self.new)
        if one is not None and other is not None:
            return _same(one - by, other)
        single = self.old.spikes is SpikesPerStep.ONE
        return one is None and other is None and (single or self.old.reset is self.new.reset)

    def _reset_value(self, node: Node, rule: UpdateRule) -> Values | None:
        """What a spike sets the membrane to; None where it subtracts, and without spikes."""
        if "v_reset" not in node.params or rule.reset not in TO_VALUE:
            return None
        return np.zeros(self.shape) if rule.reset is ResetKind.TO_ZERO else parameter(node, "v_reset", self.shape)

    def _rest(self, before: Coefficients) -> Values | None:
        """Where the membrane relaxes to; None for one that does not."""
        if "v_leak" not in self.node.params:
            return None
        if self.old.leak in (LeakUse.USED, LeakUse.ON_SYNAPSE):
            return parameter(self.node, "v_leak", self.shape)
        share = 1 - before.decay
        return np.divide(before.leak, share, out=np.zeros(self.shape), where=share != 0)

    def _may_shift(self) -> bool:
        counted = self.old.floor is not Floor.NONE or self.old.spikes is not SpikesPerStep.ONE
        counted = counted or self.old.timing is Timing.CARRIED  # in thresholds
        return not counted and "v_threshold" in self.node.params and self.old.reset in TO_VALUE

    def _is_one_threshold(self, by: Values) -> bool:
        """Whether a shift keeps the lowest threshold of a layer where it was, as it must where that is everyone's."""
        return self.old.threshold is not Use.COLLAPSED or bool((by == by.flat[0]).all())

    def _parameter(self, name: str) -> Values | None:
        return parameter(self.node, name, self.shape) if name in self.node.params else None

    def _moved(self, by: Values, reset: Values | None, leak: Values | None) -> Node:
        threshold = self._parameter("v_threshold")
        values = {"v_threshold": None if threshold is None else threshold - by, "v_reset": reset, "v_leak": leak}
        return with_values(self.node, self.shape, {name: value for name, value in values.items() if value is not None})

    def _is_refused(self, node: Node) -> bool:
        """Whether the target does not take where a neuron rests and is reset to."""
        given = {name: parameter(node, name, self.shape) for name in ("v_leak", "v_reset") if name in node.params}
        off = {name: value for name, value in given.items() if value.any()}
        alike = len(off) == 2 and _same(*off.values())
        asked = [NeuronCondition(off_zero=frozenset(off), one_voltage=alike)] if off else []
        for name, value in off.items():
            if (value != value.flat[0]).any():
                asked.append(NeuronCondition(off_zero=frozenset({name}), spread=frozenset({name})))
        return self.domain.refuses(self.node.kind, *asked)


def _same(one: Values, other: Values) -> bool:
    """Whether voltages are the same but for what their computation rounds."""
    return bool(np.allclose(one, other, rtol=1e-12, atol=1e-15))


OFFSETS = (
    Pass(
        "shift_membrane",
        SHIFT_AXES,
        frozenset({*_LEAKS.values(), Cause.RESET_VALUE_IGNORED, Cause.START, Cause.PARAMETER_LOST, Cause.UNSUPPORTED}),
        "spikes; membranes but for a shift",
        shift_membrane,
    ),
)
"""Passes about rest, start and reset."""


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
    heard = graph.of_kind("Input")[0]
    try:
        _refuse_joins(graph, names, target)
        if any(len(shape) != 1 for shape in (shapes[heard][1], *(shapes[name][0] for name in names))):
            raise NoSpareNeurons("neurons or Input are no vector")
        refuse_first_neurons(graph, source)
        pair = spare_neurons(2, source, target)
    except NoSpareNeurons as impossible:
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
    """Raise NoSpareNeurons where nothing can be added to what neurons hear."""
    home = {name: number for number, part in enumerate(components(graph.nodes, graph.edges)) for name in part}
    for name in names:
        if misruns_join(target, graph.nodes[name].kind):
            raise NoSpareNeurons(f"{target.name} misruns joins at neurons")
        if all(home[source] == home[name] for source in graph.into(name)):
            raise NoSpareNeurons(f"{name} is no entry of its cycle, and would be one with it")
