"""Neurons of one primitive that are stepped in several ways in one network, written so that each primitive has one rule.

A graph is read under one rule for each primitive.  Where a module has neurons of one primitive under several, those whose rule
is not the one that is chosen are rewritten for it, each by itself, as a graph is rewritten for a library that has that rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nir_interop.agreement.inputs import inputs_for
from nir_interop.agreement.side import Side
from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Graph, Node, as_array, inline, validate
from nir_interop.reconcile.model import free_name
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile as planned
from nir_interop.rule import UpdateRule

Rules = Mapping[str, UpdateRule]


@dataclass(frozen=True)
class Unified:
    """A graph with one rule a primitive.

    rules : primitive → rule
    rewritten : nodes that were written otherwise for that, and by which passes
    apart : nodes whose rule is another still, since no rewriting of them is known
    """

    graph: Graph
    rules: Rules
    rewritten: Mapping[str, tuple[str, ...]]
    apart: tuple[str, ...] = ()


def unified(graph: Graph, rules: Rules, dt: float) -> Unified:
    """The graph under one rule a primitive: of the rules there are, the one that leaves least to be written otherwise.

    rules : node → rule of its own
    dt : the step [s]
    """
    flat = inline(graph)
    shapes = validate(flat)
    kinds: dict[str, dict[UpdateRule, list[str]]] = {}
    for name in sorted(rules):
        node = flat.nodes[name]
        if isinstance(node, Node):
            alone = _alone(node, shapes[name][0])
            counted = Side("", dt, {node.kind: rules[name]}).for_graph(alone).rules[node.kind]
            kinds.setdefault(node.kind, {}).setdefault(counted, []).append(name)
    chosen = {kind: max(found, key=lambda rule: len(found[rule])) for kind, found in kinds.items()}
    if all(len(found) == 1 for found in kinds.values()):
        return Unified(graph, {kind: rules[next(iter(found.values()))[0]] for kind, found in kinds.items()}, {})
    best: Unified | None = None
    for choice in _choices(chosen, kinds):
        made = _written(flat, choice, kinds, dt)
        if best is None or len(made.apart) < len(best.apart):
            best = made
        if not best.apart:
            break
    assert best is not None, "there is a choice for every kind"
    return best


def _choices(chosen: Rules, kinds: Mapping[str, Mapping[UpdateRule, list[str]]]) -> Iterator[dict[str, UpdateRule]]:
    """The rule that most neurons of each kind have; then, of one kind at a time, others."""
    yield dict(chosen)
    for kind, found in kinds.items():
        for rule in sorted(found, key=lambda each: -len(found[each])):
            if rule != chosen[kind]:
                yield {**chosen, kind: rule}


def _written(graph: Graph, chosen: Rules, kinds: Mapping[str, Mapping[UpdateRule, list[str]]], dt: float) -> Unified:
    rewritten: dict[str, tuple[str, ...]] = {}
    apart = []
    shapes = validate(graph)
    for kind, found in kinds.items():
        for rule, names in found.items():
            for name in names if rule != chosen[kind] else ():
                node = graph.nodes[name]
                assert isinstance(node, Node), "inlined"
                parts = _parts(node, shapes[name][0], {**chosen, kind: rule}, chosen, dt)
                if parts is None:
                    apart.append(name)
                    continue
                graph, rewritten[name] = _spliced(graph, name, parts[0]), parts[1]
    return Unified(graph, chosen, rewritten, tuple(apart))


def _alone(node: Node, shape: tuple[int, ...]) -> Graph:
    """A neuron between an Input and an Output."""
    ends = {name: Node(name.capitalize(), {"shape": as_array(list(shape))}) for name in ("input", "output")}
    return Graph({**ends, "neuron": node}, (("input", "neuron"), ("neuron", "output")))


def _parts(node: Node, shape: tuple[int, ...], own: Rules, chosen: Rules, dt: float) -> tuple[Graph, tuple[str, ...]] | None:
    """A neuron of its own rule written for the chosen ones, and by which passes; None where no passes do it."""
    graph = _alone(node, shape)
    try:
        inputs = inputs_for(graph, dt)
        plan = planned(graph, Side("its own rule", dt, own), Side("the others' rule", dt, chosen), inputs.input, PASSES)
    except InvalidGraph:
        return None
    return (inline(plan.graph), tuple(each.name for each in plan.passes)) if plan.predicted == 0 else None


def _spliced(graph: Graph, name: str, parts: Graph) -> Graph:
    """A graph with a node replaced by others; the one that is called ``neuron`` among them keeps the node's name."""
    nodes = {other: node for other, node in graph.nodes.items() if other != name}
    called = {"neuron": name} if "neuron" in parts.nodes else {}
    for part, node in parts.nodes.items():
        if node.kind not in ("Input", "Output"):
            called.setdefault(part, free_name(f"{name}_{part.removeprefix('neuron_')}", {*nodes, *called.values()}))
            nodes[called[part]] = node
    (entry,), (end,) = parts.of_kind("Input"), parts.of_kind("Output")
    fed, read = parts.out_of(entry), parts.into(end)
    edges = [(a, b) for a, b in graph.edges if name not in (a, b)]
    edges += [(a, called[first]) for a in graph.into(name) if a != name for first in fed]
    edges += [(called[last], b) for b in graph.out_of(name) if b != name for last in read]
    edges += [(called[a], called[b]) for a, b in parts.edges if a != entry and b != end]
    if (name, name) in graph.edges:
        edges += [(called[last], called[first]) for last in read for first in fed]
    return Graph(nodes, tuple(dict.fromkeys(edges)), graph.metadata)
