"""What an exporter changed: the structural difference, each kind of change applied to the intended graph and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nir_interop.agreement.replay import Replays, Rules, Undoing, count, gap
from nir_interop.explain.causes import Found, needed
from nir_interop.explain.structure import pruned, reshaped, without
from nir_interop.graphs import Difference, Graph, Node, canonical, correspondence, difference
from nir_interop.recording import Recording
from nir_interop.vocabulary import Blame, Cause

_SINGLE_PRECISION = 1e-6
_TIMES = ("tau", "tau_mem", "tau_syn")
_UNITS = (1e3, 1e6, 1e9)


@dataclass(frozen=True)
class _Change:
    """Differences that are one cause."""

    cause: Cause
    found: tuple[Difference, ...]
    dt: float

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted({each.node for each in self.found}))

    @property
    def text(self) -> str:
        more = f", and {len(self.found) - 1} more" if len(self.found) > 1 else ""
        times = [each for each in self.found if each.field in (*_TIMES, "delay")]
        factor = f": what was meant times dt = {self.dt:g}" if times and all(_is_times(each, self.dt) for each in times) else ""
        return f"{self.found[0].text}{more}{factor}"


def by_exporter(replays: Replays, intended: Graph, exported: Graph, dt: float, rules: Rules) -> list[Found]:
    """The exporter's changes that count: those that mend outputs undone alone, and those without which not all are repaired.

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

    def left(chosen: tuple[Cause, ...]) -> int | None:
        still = gap(before, without_some(chosen))
        return None if still is None else count(still)

    smallest = causes if mask is None else needed(causes, count(mask), left)
    undoing = None if before is None else Undoing.of(before, after)
    found = []
    for cause, change in changes.items():
        repaired, changed = (0, 0) if undoing is None else undoing.counts(without_some((cause,)))
        undone = graphs.get(tuple(other for other in causes if other is not cause))
        need = cause in smallest
        found.append(Found(cause, repaired, change.nodes, Blame.EXPORTER, change.text, changed, need, undone))
    return [each for each in found if each.counts]


def exporter_changes(intended: Graph, exported: Graph, dt: float) -> tuple[Cause, ...]:
    """The causes that a structural difference may be, whether outputs show them or not."""
    return tuple(change.cause for change in _changes(canonical(intended), canonical(exported), dt))


def times_factor(intended: Graph, exported: Graph) -> float:
    """What an exporter multiplied every time with, delays and time constants alike; 1 where it did nothing of the kind.

    Both inlined.  A library that writes τ·Δt, or milliseconds, does it.
    """
    meant, written = canonical(intended), canonical(exported)
    own, other = dict(meant.primitives()), dict(written.primitives())
    times = [
        (own[name][key], other[theirs][key])
        for name, theirs in correspondence(meant, written).items()
        for key in (*_TIMES, "delay")
        if key in own[name].params and key in other[theirs].params
    ]
    times += [(each.before, each.after) for each, _ in _moved_times(meant, written, 0.0)]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [(after / before).reshape(-1) for before, after in times if np.shape(before) == np.shape(after)]
    found = np.concatenate([np.ones(0), *ratios])
    one = float(found[0]) if found.size else 1.0
    same = np.isfinite(one) and one > 0 and np.allclose(found, one, rtol=_SINGLE_PRECISION, atol=0)
    return one if same and abs(one - 1) > _SINGLE_PRECISION else 1.0


def with_times(graph: Graph, factor: float) -> Graph:
    """The inlined graph with every time constant and delay times a factor."""
    nodes: dict[str, Any] = dict(graph.primitives())
    for name, node in nodes.items():
        times = {key: np.asarray(node[key], dtype=np.float64) * factor for key in (*_TIMES, "delay") if key in node.params}
        nodes[name] = Node(node.kind, {**node.params, **times}) if times and factor != 1 else node
    return Graph(nodes, graph.edges, graph.metadata)


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
    followed: list[Difference] = []
    if not kept_soft:
        moved = list(_moved_gains(meant, written))
        if moved:
            groups.setdefault(Cause.PARAMETER_LOST, []).extend(moved)
        for time, scale in _moved_times(meant, written, dt):
            times.append(time)
            followed.append(scale)
    for each in times:
        groups.setdefault(Cause.TIME_UNIT if _is_unit(each, dt) else Cause.TAU_REWRITTEN, []).append(each)
    for each in followed:
        groups[next(cause for cause in (Cause.TAU_REWRITTEN, Cause.TIME_UNIT) if cause in groups)].append(each)
    return [_Change(cause, tuple(found), dt) for cause, found in groups.items()]


def _is_times(each: Difference, factor: float) -> bool:
    """Whether a time was multiplied with a factor."""
    if np.shape(each.before) != np.shape(each.after):
        return False
    return bool(np.allclose(each.after, np.asarray(each.before) * factor, rtol=1e-5, atol=0))


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


def _moved_times(meant: Graph, written: Graph, dt: float) -> Iterator[tuple[Difference, Difference]]:
    r"""Where a soft reset is written as a neuron of another τ: its membrane's τ, and the feedback :math:`(1 - Δt/τ)θ`."""
    pairs, nodes = correspondence(meant, written), dict(meant.primitives())
    for membrane, name, scale in soft_resets(meant):
        neuron = _counterpart(written, pairs, membrane, name)
        if neuron is None or "tau" not in neuron.params or "tau" not in nodes[membrane].params:
            continue
        before, after, factor = nodes[membrane]["tau"], neuron["tau"], nodes[scale]["scale"]
        if np.any(np.abs(after / before - 1) > _SINGLE_PRECISION):
            with np.errstate(divide="ignore", invalid="ignore"):
                follows = factor * np.nan_to_num((1 - dt / after) / (1 - dt / before))
            yield Difference(membrane, "tau", before, after), Difference(scale, "scale", factor, follows)


def _hard(graph: Graph, written: Graph, pairs: dict[str, str]) -> Graph:
    """Every soft reset written as the neuron that the exporter made of it, with the gain that its membrane has."""
    for membrane, name, scale in list(soft_resets(graph)):
        neuron = _counterpart(written, pairs, membrane, name)
        if neuron is None:
            continue
        flat = dict(graph.primitives())
        nodes = {other: node for other, node in flat.items() if other not in (membrane, scale)}
        own = {key: flat[membrane][key] for key in ("r", "tau") if key in neuron.params}
        nodes[name] = Node(neuron.kind, {**neuron.params, **own})
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
