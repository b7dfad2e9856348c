r"""A current-based neuron in two: its synapse, and a membrane that weights reach without it."""

from __future__ import annotations

from dataclasses import replace

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph, Node, validate
from nir_interop.reconcile.composition import alike, synapse_of
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.neurons import Shape, membrane
from nir_interop.reconcile.substitutes import refuse_order
from nir_interop.reconcile.voltages import unshifted
from nir_interop.reference.order import Edge
from nir_interop.rule import NIR_MEANING, Decay
from nir_interop.vocabulary import Cause


def synapse_apart(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A CubaLIF as an LI that feeds a LIF, where the target rests, starts or resets elsewhere and a CubaLIF cannot be shifted.

    .. math:: i_{t+1} = a_s\,i_t + g_s\,x_{t+1}, \qquad v_{t+1} = a\,v_t + g\,i_{t+1} + c

    is what an LI gives to a LIF in the same step, with the source's numbers; the LIF keeps the name and resets as the CubaLIF
    did.  A bias or a pulse before a CubaLIF comes to its membrane through the synapse, late; before a LIF it does not, so that
    ``shift_membrane`` can count its membrane from elsewhere.  An LI that the target does not take, later passes write with
    weights.

    Nothing changes where a CubaLIF can be shifted as it is, and where a LIF cannot be either.  Refuses a membrane that advances
    before its synapse, and a source for which an LI or a LIF decays, leaks or starts otherwise than what it takes the place of.
    """
    shapes, nodes, edges = validate(graph), dict(graph.nodes), list(dict.fromkeys(graph.edges))
    split, stands_for = list[str](), dict[str, str]()
    added = list[Edge]()
    rule = source.rule("CubaLIF").but(order=NIR_MEANING.order, input_weight=NIR_MEANING.input_weight)
    if rule.decay is Decay.EULER_SYNAPSE:
        rule = rule.but(decay=Decay.EXPONENTIAL)
    for name, node in graph.primitives():
        if node.kind != "CubaLIF" or not unshifted(name, node, shapes[name][0], source, target):
            continue
        meant = replace(source, rules={**source.rules, "LIF": rule})
        apart = _lif(name, node, shapes[name][0], source, meant)
        if unshifted(name, apart, shapes[name][0], meant, target):
            continue
        if graph.of_kind("LIF") and source.rule("LIF") != rule:
            why = f"the membrane of {name} would be a LIF, and {source.name} steps those of the graph otherwise"
            raise Refused(Cause.RESET_VALUE_IGNORED, (name,), why)
        first = free_name(f"{name}_synapse", nodes)
        nodes |= {first: synapse_of(name, node, shapes[name][0], source), name: apart}
        edges = [(start, first if end == name else end) for start, end in edges]
        stands_for[first] = name
        added.append((first, name))
        split.append(name)
    if not split:
        return None
    after = Graph(nodes, (*edges, *added), graph.metadata)
    refuse_order(graph, after, stands_for, added, [], source.dt)
    why = f"no shift makes up for where {target.name} rests, starts and resets, but of a membrane that weights reach at once"
    return Rewritten(after, tuple(split), why, {"LIF": rule})


def _lif(name: str, node: Node, shape: Shape, source: Side, meant: Side) -> Node:
    """The membrane of a CubaLIF, with its threshold and its reset, as a LIF."""
    values = {{"tau_mem": "tau"}.get(key, key): value for key, value in node.params.items()}
    plain = Node("LIF", {key: value for key, value in values.items() if key not in ("tau_syn", "w_in")})
    return alike(name, plain, shape, meant, membrane(node, shape, source.dt, source.rule(node.kind)))


SYNAPSES = (
    Pass(
        "synapse_apart",
        (),
        frozenset({Cause.RESET_VALUE_IGNORED, Cause.START, Cause.LEAK_IGNORED}),
        "spikes and membranes, up to float64 rounding",
        synapse_apart,
    ),
)
"""The pass that takes a synapse from its membrane: before those about the two."""
