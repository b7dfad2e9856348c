"""Layers of neurons that differ, for a target whose layers are of one kind of neuron each."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Domain, NeuronCondition
from nir_interop.graphs import NEURONS, Array, Graph, Node, as_array, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.steps import PER_NEURON, Shape, agree, membrane
from nir_interop.reconcile.wiring import misruns
from nir_interop.reference.neurons import Values, parameter
from nir_interop.rule import Use
from nir_interop.vocabulary import Cause


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
    if misruns(target, "Linear"):
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
