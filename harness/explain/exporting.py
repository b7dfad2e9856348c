"""What an exporter changed: the structural difference, each kind of change applied to the intended graph and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.agreement.replay import Mask, Replays, Rules, gap
from harness.explain.causes import Found, at_work
from harness.explain.structure import pruned, reshaped, without
from harness.graphs import Difference, Graph, Node, canonical, correspondence, difference
from harness.recording import Recording
from harness.vocabulary import Blame, Cause

_SINGLE_PRECISION = 1e-6
_TIMES = ("tau", "tau_mem", "tau_syn")
_UNITS = (1e3, 1e6, 1e9)


@dataclass(frozen=True)
class _Change:
    """Differences that are one cause."""

    cause: Cause
    found: tuple[Difference, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted({each.node for each in self.found}))

    @property
    def says(self) -> str:
        more = f", and {len(self.found) - 1} more" if len(self.found) > 1 else ""
        return f"{self.found[0].text}{more}"


def by_exporter(replays: Replays, intended: Graph, exported: Graph, dt: float, rules: Rules) -> list[Found]:
    """The exporter's changes that count: those that change outputs alone, and those without which not all are repaired.

    A gain that moved between weights and resistances is a change of parameters that changes no output, and is not named.
    """
    meant, written = canonical(intended), canonical(exported)
    before, after = replays.run(intended, dt, rules), replays.run(exported, dt, rules)
    mask = gap(before, after)
    changes = {change.cause: change for change in _changes(meant, written, dt)}
    if not changes or (mask is not None and not mask.any()):
        return []
    causes = tuple(changes)
    graphs: dict[tuple[Cause, ...], Graph] = {}

    def without_some(chosen: tuple[Cause, ...]) -> Recording | None:
        applied = tuple(cause for cause in causes if cause not in chosen)
        if applied not in graphs:
            graphs[applied] = _apply(meant, written, [changes[cause] for cause in applied])
        return replays.run(graphs[applied], dt, rules)

    def still(chosen: tuple[Cause, ...]) -> Mask | None:
        return gap(before, without_some(chosen))

    def changed(cause: Cause) -> Mask | None:
        return gap(after, without_some((cause,)))

    outputs = dict.fromkeys(causes, 0) if mask is None else at_work(causes, mask, still, changed)
    return [Found(cause, outputs[cause], changes[cause].nodes, Blame.EXPORTER, changes[cause].says) for cause in outputs]


def exporter_changes(intended: Graph, exported: Graph, dt: float) -> tuple[Cause, ...]:
    """The causes that a structural difference may be, whether outputs show them or not."""
    return tuple(change.cause for change in _changes(canonical(intended), canonical(exported), dt))


def soft_resets(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Compositions that say a reset by subtraction: integrator, Threshold, and the Scale back from it."""
    for name in graph.of_kind("Threshold"):
        into = graph.into(name)
        if len(into) == 1 and graph.nodes[into[0]].kind in ("LI", "I"):
            for scale in graph.out_of(name):
                if graph.nodes[scale].kind == "Scale" and graph.out_of(scale) == into:
                    yield into[0], name, scale


def _changes(meant: Graph, written: Graph, dt: float) -> list[_Change]:
    kept_soft = {names for names in soft_resets(written)}
    lost_soft = {name for names in soft_resets(meant) for name in names} if not kept_soft else set()
    groups: dict[Cause, list[Difference]] = {}
    times: list[Difference] = []
    for each in difference(meant, written):
        if isinstance(each.before, np.ndarray) and isinstance(each.after, np.ndarray) and each.relative < _SINGLE_PRECISION:
            continue
        ends = set(each.before) if each.field == "edge" and each.before else set()
        if each.node in lost_soft or ends & lost_soft:
            groups.setdefault(Cause.RESET_LOST, []).append(each)
        elif each.field in ("node", "edge"):
            if each.before is not None:
                groups.setdefault(Cause.NODE_LOST, []).append(each)
        elif each.field in (*_TIMES, "delay") and each.after is not None and each.before is not None:
            times.append(each)
        elif each.field == "bias" and (each.after is None or not np.any(each.after)):
            groups.setdefault(Cause.BIAS_LOST, []).append(each)
        else:
            groups.setdefault(Cause.PARAMETER_LOST, []).append(each)
    if not kept_soft:
        moved = list(_moved_gains(meant, written))
        if moved:
            groups.setdefault(Cause.PARAMETER_LOST, []).extend(moved)
    for each in times:
        groups.setdefault(Cause.TIME_UNIT if _is_unit(each, dt) else Cause.TAU_REWRITTEN, []).append(each)
    return [_Change(cause, tuple(found)) for cause, found in groups.items()]


def _is_unit(each: Difference, dt: float) -> bool:
    before, after = (np.asarray(value, dtype=np.float64) for value in (each.before, each.after))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = after / before
    ratio = ratio[~np.isnan(ratio)]
    return bool(ratio.size) and any(bool(np.allclose(ratio, unit, rtol=1e-3)) for unit in (1 / dt, *_UNITS))


def _apply(meant: Graph, written: Graph, changes: list[_Change]) -> Graph:
    """The intended graph with some of the exporter's changes."""
    pairs = correspondence(meant, written)
    nodes: dict[str, Any] = dict(meant.nodes)
    edges, lost, soft = meant.edges, [], True
    for change in changes:
        if change.cause is Cause.RESET_LOST:
            soft = False
            continue
        for each in change.found:
            if each.field == "node" and each.before is not None:
                lost.append(each.node)
            elif each.field == "edge" and each.before is not None:
                edges = tuple(edge for edge in edges if edge != each.before)
            elif each.node in nodes:
                kind = written.nodes[pairs[each.node]].kind if each.node in pairs else nodes[each.node].kind
                nodes[each.node] = _with(nodes[each.node], each, kind)
    graph = Graph(nodes, edges)
    if not soft:
        graph = _hard(graph, written, pairs)
    return pruned(reshaped(without(graph, *[name for name in lost if name in graph.nodes])))


def _with(node: Node, each: Difference, kind: str) -> Node:
    params = dict(node.params)
    if each.field == "kind":
        return Node(each.after, params)
    if each.after is None:
        params.pop(each.field, None)
        return Node(kind if kind == "Linear" else node.kind, params)
    return Node(node.kind, params | {each.field: each.after})


def _moved_gains(meant: Graph, written: Graph) -> Iterator[Difference]:
    """Where a soft reset is written as a neuron of another r: its membrane's r, and the feedback that has to follow it."""
    pairs, nodes = correspondence(meant, written), dict(meant.primitives())
    for membrane, name, scale in soft_resets(meant):
        neuron = _counterpart(written, pairs, membrane, name)
        if neuron is None or "r" not in neuron.params or np.any(neuron["r"] == 0):
            continue
        before, factor = nodes[membrane]["r"], nodes[scale]["scale"]
        ratio = before / neuron["r"]
        if np.any(np.abs(ratio - 1) > _SINGLE_PRECISION):
            yield Difference(membrane, "r", before, neuron["r"])
            yield Difference(scale, "scale", factor, factor * ratio)


def _hard(graph: Graph, written: Graph, pairs: dict[str, str]) -> Graph:
    """Every soft reset written as the neuron that the exporter made of it, with the gain that its membrane has."""
    for membrane, name, scale in list(soft_resets(graph)):
        neuron = _counterpart(written, pairs, membrane, name)
        if neuron is None:
            continue
        flat = dict(graph.primitives())
        nodes = {other: node for other, node in flat.items() if other not in (membrane, scale)}
        nodes[name] = Node(neuron.kind, {**neuron.params, "r": flat[membrane]["r"]})
        edges = [
            (source, name if target == membrane else target) for source, target in graph.edges if scale not in (source, target)
        ]
        graph = Graph(nodes, tuple(edge for edge in edges if membrane not in edge and edge[0] != edge[1]))
    return graph


def _counterpart(written: Graph, pairs: dict[str, str], membrane: str, name: str) -> Node | None:
    """The spiking neuron that was written for a membrane and its Threshold, None where there is none."""
    for each in (name, membrane):
        node = written.nodes[pairs[each]] if each in pairs else None
        if isinstance(node, Node) and "v_threshold" in node.params:
            return node
    return None
