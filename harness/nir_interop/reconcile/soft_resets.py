"""Membrane, threshold and feedback that together are a neuron which resets by subtraction, for a target that has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Wiring
from nir_interop.graphs import Graph, Node, as_array, validate
from nir_interop.graphs.primitives import DENSE
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reconcile.neurons import Coefficients, Shape, agree, membrane, waiting
from nir_interop.reconcile.substitutes import refuse_order
from nir_interop.reference.neurons import Values, parameter
from nir_interop.rule import Comparison, Floor, LeakUse, Order, ResetKind, SpikeFrom, SpikesPerStep, Timing, UpdateRule
from nir_interop.vocabulary import Cause

_NEURONS = {"I": "IF", "LI": "LIF"}
"""Membranes without a threshold, and the neurons whose membranes they are."""
_SUBTRACTS = (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL)
_WRITTEN = 1e-6
"""How far a feedback may be from its formula: what single precision rounds in a file."""


@dataclass(frozen=True)
class _Found:
    """Nodes that are one neuron.

    name : of the Threshold, which the neuron is called
    timings : when it is reset; a membrane that does not leak is where it is whenever that is
    synapse : of the LI that feeds the membrane alone, which a current-based neuron takes in; empty where there is none
    """

    name: str
    membrane: str
    feedback: str
    timings: tuple[Timing, ...]
    synapse: str = ""

    @property
    def gone(self) -> set[str]:
        return {self.membrane, self.feedback, self.synapse} - {""}

    @property
    def first(self) -> str:
        """What is fed from outside."""
        return self.synapse or self.membrane


def composition_as_soft_reset(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A membrane, its Threshold and a feedback that lowers it, as the neuron that they are, where the target has that.

    .. math:: v_{t+1} = a\,v_t + g\,(x_{t+1} + w\,s_t) + c,\; s_t = [v_t > \theta]: \qquad
        w = -a\,\theta/g \;\text{resets in the same step},\quad w = -\theta/g \;\text{in the next}

    An I becomes an IF, an LI a LIF; an LI that feeds such an LI alone, and rests at 0, its synapse where the target takes no LI
    but a CubaLIF.  The neuron has the name of the Threshold, and the numbers of the membrane.  It is what NIR has no field for,
    so that what it means is a rule that goes with it: later passes make up for what else the target does.

    Nothing changes where the target takes all the parts, in a cycle, too; where its neuron does not subtract, or at another
    time; and where another number feeds back.  Refuses a neuron of which the graph has others that reset otherwise, thresholds
    of 0 and below, and a graph in which another edge would wait.
    """
    found = [each for each in _found(graph, source) if _takes(graph, each, target)]
    if not found:
        return None
    shapes, nodes, rules = validate(graph), dict(graph.nodes), dict[str, UpdateRule]()
    found = [_with_synapse(graph, each, target) for each in found]
    for each in found:
        node, rule = _neuron(graph, each, shapes[each.membrane][0], source, target)
        if rules.setdefault(node.kind, rule) != rule or (graph.of_kind(node.kind) and source.rule(node.kind) != rule):
            why = f"{each.name} would be a {node.kind} that subtracts, and {source.name} steps others of the graph otherwise"
            raise Refused(Cause.RESET_KIND, (each.name,), why)
        nodes[each.name] = node
    gone = {name for each in found for name in each.gone}
    fed = {each.first: each.name for each in found}
    kept = [(start, end) for start, end in dict.fromkeys(graph.edges) if start not in gone]
    edges = [(start, fed.get(end, end)) for start, end in kept if end in fed or end not in gone]
    after = Graph({name: node for name, node in nodes.items() if name not in gone}, tuple(edges), graph.metadata)
    refuse_order(graph, after, {each.name: each.first for each in found}, [], [], source.dt)
    why = f"{target.name} takes no such parts, and has a neuron that resets by subtraction"
    return Rewritten(after, tuple(each.name for each in found), why, rules)


def _found(graph: Graph, source: Side) -> Iterator[_Found]:
    """The neurons that a graph has in parts."""
    late: set[tuple[str, str]] | None = None
    for name, node in graph.primitives():
        heard = graph.into(name)
        if node.kind != "Threshold" or len(heard) != 1 or graph.nodes[heard[0]].kind not in _NEURONS:
            continue
        (cell,) = heard
        backs = [each for each in graph.out_of(name) if (graph.into(each), graph.out_of(each)) == ((name,), (cell,))]
        if graph.out_of(cell) != (name,):
            continue
        shapes = validate(graph)
        late = waiting(graph, shapes, source.dt) if late is None else late
        for back in backs:
            weight = _factors(graph.nodes[back], shapes[cell][0])
            if weight is None or (back, cell) not in late or {(cell, name), (name, back)} & late:
                continue
            timings = _timings(graph, name, cell, weight, shapes[cell][0], source)
            if timings:
                yield _Found(name, cell, back, timings)
                break


def _factors(node: Node | Graph, shape: Shape) -> Values | None:
    """What a node multiplies each element with; None where it does something else."""
    if not isinstance(node, Node) or node.kind not in ("Scale", *DENSE) or (len(shape) != 1 and node.kind != "Scale"):
        return None
    if node.kind == "Scale":
        return parameter(node, "scale", shape)
    weight, bias = np.asarray(node["weight"], dtype=np.float64), node.get("bias")
    plain = weight.shape == shape * 2 and np.array_equal(weight, np.diag(np.diag(weight))) and (bias is None or not bias.any())
    return np.diag(weight) if plain else None


def _timings(graph: Graph, name: str, cell: str, weight: Values, shape: Shape, source: Side) -> tuple[Timing, ...]:
    """When a feedback lowers a membrane by its threshold; empty where it does not."""
    node, held = graph.nodes[cell], graph.nodes[name]
    assert isinstance(node, Node) and isinstance(held, Node)
    numbers, theta = membrane(node, shape, source.dt, source.rule(node.kind)), parameter(held, "threshold", shape)
    lowered = -weight * numbers.gain
    wanted = ((Timing.SAME_STEP, numbers.decay * theta), (Timing.NEXT_STEP, theta))
    return tuple(timing for timing, value in wanted if np.allclose(lowered, value, rtol=_WRITTEN, atol=0) and theta.all())


def _takes(graph: Graph, found: _Found, target: Side) -> bool:
    """Whether a target has the neuron, and not its parts."""
    kinds = {graph.nodes[each].kind for each in (found.name, found.membrane, found.feedback)}
    domain = target.domain
    parts = all(map(target.takes, kinds)) and not (domain.lacks(Wiring.RECURRENCE) or domain.declined(Wiring.RECURRENCE))
    kind = _NEURONS[graph.nodes[found.membrane].kind]
    whole = (kind, "CubaLIF") if kind == "LIF" else (kind,)
    return not parts and any(target.takes(each) and _timing(each, found, target) is not None for each in whole)


def _timing(kind: str, found: _Found, target: Side) -> Timing | None:
    """When the neuron is reset in a target whose neurons of a kind subtract at that time, too."""
    rule = target.rule(kind)
    own = Timing.NEXT_STEP if rule.spike_from is SpikeFrom.PREVIOUS else rule.timing
    return own if rule.reset in _SUBTRACTS and own in found.timings else None


def _with_synapse(graph: Graph, found: _Found, target: Side) -> _Found:
    """The same with the LI before it, where the target takes a CubaLIF, and no LI."""
    before = [each for each in graph.into(found.membrane) if each != found.feedback]
    if target.takes("LI") or not target.takes("CubaLIF") or len(before) != 1:
        return found
    (name,) = before
    node = graph.nodes[name]
    alone = graph.out_of(name) == (found.membrane,) and graph.nodes[found.membrane].kind == "LI"
    if not isinstance(node, Node) or node.kind != "LI" or not alone or node["v_leak"].any():
        return found
    return replace(found, synapse=name)


def _neuron(graph: Graph, found: _Found, shape: Shape, source: Side, target: Side) -> tuple[Node, UpdateRule]:
    """The neuron, and the rule by which it does what its parts did."""
    cell, held = graph.nodes[found.membrane], graph.nodes[found.name]
    assert isinstance(cell, Node) and isinstance(held, Node)
    theta = parameter(held, "threshold", shape)
    if (theta <= 0).any():
        raise Refused(Cause.START, (found.name,), f"{found.name} fires in silence, which no neuron with a reset below does")
    fire = {"v_threshold": as_array(theta), "v_reset": as_array(np.zeros(shape))}
    plain = {name: as_array(np.broadcast_to(parameter(cell, name, shape), shape)) for name in cell.params}
    kind = "CubaLIF" if found.synapse else _NEURONS[cell.kind]
    rule = source.rule(cell.kind).but(
        comparison=Comparison.ABOVE, reset=ResetKind.SUBTRACT, timing=_timing(kind, found, target) or found.timings[0],
        spikes=SpikesPerStep.ONE, floor=Floor.NONE, spike_from=SpikeFrom.UPDATED,
    )  # fmt: skip
    if found.synapse:
        first = graph.nodes[found.synapse]
        assert isinstance(first, Node)
        plain["tau_mem"] = plain.pop("tau")
        for ours, theirs in (("tau_syn", "tau"), ("w_in", "r")):
            plain[ours] = as_array(np.broadcast_to(parameter(first, theirs, shape), shape))
        own = source.rule("LI")
        leaks = LeakUse.USED if own.leak is LeakUse.ON_SYNAPSE else own.leak
        rule = rule.but(synapse_gain=own.gain, input_weight=own.resistance, order=Order.SYNAPSE_FIRST, leak=leaks)
    made = Node(kind, {**plain, **fire})
    one, other = membrane(cell, shape, source.dt, source.rule(cell.kind)), membrane(made, shape, source.dt, rule)
    if not _alike(one, other):
        raise Refused(Cause.DECAY, (found.name,), f"{found.name} as one neuron would decay otherwise")
    return made, rule


def _alike(one: Coefficients, other: Coefficients) -> bool:
    return all(agree(getattr(one, name), getattr(other, name)) for name in ("decay", "gain", "leak", "start"))


SOFT_RESETS: tuple[Pass, ...] = (
    Pass(
        "composition_as_soft_reset",
        (),
        frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED, Cause.RECURRENCE_REWIRED, Cause.JOIN_MISRUN}),
        "spikes, up to what the file rounds",
        composition_as_soft_reset,
    ),
)
"""Before passes that write the parts with others."""
