"""The order in which an importer runs a graph's nodes, where it follows the order of a file's edges, or of its names."""

from __future__ import annotations

from collections import deque
from math import prod

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph, Node, as_array, components, validate
from nir_interop.reconcile.inputs import waiting
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.pulses import cyclic
from nir_interop.reconcile.wiring import misruns
from nir_interop.reference.neurons import delay_steps
from nir_interop.reference.order import Edge
from nir_interop.vocabulary import Cause


def edges_in_order(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Sort edges so that a graph run depth first along them runs each node behind all that feed it, where joins are misrun.

    An importer that runs a node where it first meets it hears one step late what it meets later, and takes what it meets last
    for the output.  Where no order of the edges will do, weights of zeros lead from one node to the one that is to follow:

    .. math:: x + 0\,y = x

    which is exact in every precision.  Edges that wait a step may come from nodes that are run later; the Output is run last.

    Refuses graphs of several Inputs or Outputs, a Delay on a cycle, nodes that the Input does not reach, and weights of zeros
    that would lead to or from a feature map, or let another edge wait.
    """
    if not _meets_late(target):
        return None
    if len(graph.of_kind("Input")) != 1 or len(graph.of_kind("Output")) != 1:
        raise Refused(Cause.JOIN_MISRUN, (), "the importer misruns joins; of several Inputs or Outputs none is first or last")
    if delays := _ahead(graph, source.dt):
        raise Refused(Cause.JOIN_MISRUN, delays, "the importer misruns joins; a Delay on a cycle is run before what it hears")
    walk = _Walk(graph, source.dt)
    if not walk.zeros and _depth_first(graph) == walk.order:
        return None
    made = Graph({**graph.nodes, **walk.zeros}, tuple(walk.edges), graph.metadata)
    if waiting(made, validate(made), source.dt) & set(graph.edges) != walk.late:
        raise Refused(
            Cause.CYCLE_ORDER, walk.moved, "the importer misruns joins; led to in order, a cycle would wait elsewhere"
        )
    return Rewritten(made, walk.moved, "the importer runs nodes depth first, in the order of the file's edges")


def _meets_late(target: Side) -> bool:
    """Whether the probes saw joins at neurons or layers go wrong."""
    return misruns(target, "LIF") or misruns(target, "Linear")


def _ahead(graph: Graph, dt: float) -> tuple[str, ...]:
    """Delays that wait in the place of an edge of their cycle."""
    on_cycles, shapes = cyclic(graph), validate(graph)
    delays = [(name, node) for name, node in graph.primitives() if node.kind == "Delay" and name in on_cycles]
    return tuple(name for name, node in delays if (delay_steps(node, shapes[name][0], dt) > 0).all())


def _depth_first(graph: Graph) -> list[str]:
    """The nodes as they are met from the Input, along the edges as they stand."""
    order, left = dict[str, None](), [*graph.of_kind("Input")]
    while left:
        name = left.pop()
        if name not in order:
            order[name] = None
            left += reversed(graph.out_of(name))
    return list(order)


class _Walk:
    """A walk from the Input, each step of which goes to a node whose sources have been run, but for those that wait.

    order : the nodes as they are met
    edges : those of the graph and of the zeros, in the order in which the walk goes along them
    zeros : weights, by name
    moved : the nodes whose edges stand elsewhere, or that zeros come from
    late : the edges that wait
    """

    def __init__(self, graph: Graph, dt: float) -> None:
        self.graph, self.shapes = graph, validate(graph)
        self.late = waiting(graph, self.shapes, dt)
        self.order: list[str] = []
        self.zeros: dict[str, Node] = {}
        self._unmet = {name: sum((each, name) not in self.late for each in graph.into(name)) for name in graph.nodes}
        self._behind: dict[str, list[str]] = {name: [] for name in graph.nodes}
        (self._end,) = graph.of_kind("Output")
        self._far = _distances(graph, self._end)
        self._walk()
        old = {name: graph.out_of(name) for name in graph.nodes}
        new = {name: dict.fromkeys([*self._behind[name], *old[name]]) for name in graph.nodes}
        self.moved = tuple(sorted(name for name in graph.nodes if tuple(new[name]) != old[name]))
        self.edges: list[Edge] = []
        for name in self.order:
            for each in new[name]:
                self.edges += [(name, each), *((each, end) for end in self._behind.get(each, ()) if each in self.zeros)]

    def _walk(self) -> None:
        path = [*self.graph.of_kind("Input")]
        self._meet(path[0])
        while self._unmet:
            name = path[-1]
            left = [each for each in self.graph.out_of(name) if each in self._unmet]
            ready = [each for each in left if self._is_ready(each)]
            if left:
                chosen = max(ready, key=self._is_far) if ready else self._led(name)
                path.append(chosen)
                if ready:
                    self._behind[name].append(chosen)
                self._meet(chosen)
            elif len(path) > 1:
                path.pop()
            else:
                raise Refused(
                    Cause.JOIN_MISRUN, tuple(sorted(self._unmet)), "the importer misruns joins, and never meets these"
                )

    def _meet(self, name: str) -> None:
        del self._unmet[name]
        self.order.append(name)
        for each in self.graph.out_of(name):
            if each in self._unmet and (name, each) not in self.late:
                self._unmet[each] -= 1

    def _is_ready(self, name: str) -> bool:
        return not self._unmet[name] and (name != self._end or len(self._unmet) == 1)

    def _is_far(self, name: str) -> tuple[int, str]:
        return self._far.get(name, len(self.graph.nodes)), name

    def _led(self, name: str) -> str:
        """A node that is ready, to which zeros are put from another."""
        given = self.shapes[name][1]
        ready = [each for each in self._unmet if self._is_ready(each)]
        fits = [each for each in ready if len(given) == len(self.shapes[each][0]) == 1]
        if not fits:
            why = "the importer misruns joins; no weights of zeros lead it in order, where there are feature maps"
            raise Refused(Cause.JOIN_MISRUN, (name, *sorted(ready)), why)
        chosen = max(fits, key=self._is_far)
        zeros = free_name(f"{name}_before_{chosen}", {*self.graph.nodes, *self.zeros})
        weight = np.zeros((prod(self.shapes[chosen][0]), prod(given)), dtype=np.float32)
        self.zeros[zeros] = Node("Linear", {"weight": as_array(weight)})
        self._behind[name].append(zeros)
        self._behind[zeros] = [chosen]
        return chosen


def _distances(graph: Graph, end: str) -> dict[str, int]:
    """Edges from each node to one that they lead to."""
    far, left = {end: 0}, deque([end])
    while left:
        name = left.popleft()
        for each in graph.into(name):
            if each not in far:
                far[each] = far[name] + 1
                left.append(each)
    return far


def names_of_cycles(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Name nodes in the order in which they run, where a node on a cycle hears others of it in the same step.

    .. math:: a \to b \;\Longrightarrow\; \mathrm{name}(a) < \mathrm{name}(b)

    for all edges that do not wait.  A file keeps its nodes sorted by name.  An importer that takes them as they come, and what
    is not there yet from the step before, has no other way to know which of a cycle's edges wait; one that has is none the
    worse.  Names decide nothing where all that waits goes to the entries of cycles, and every other node hears one node.
    """
    if not target.domain or _meets_late(target) or _ahead(graph, source.dt):
        return None
    late = waiting(graph, validate(graph), source.dt)
    parts = components(graph.nodes, graph.edges)
    home = {name: number for number, part in enumerate(parts) for name in part}
    joins = {
        name
        for name in graph.nodes
        if len(graph.into(name)) > 1
        and any(home[each] == home[name] and each != name and (each, name) not in late for each in graph.into(name))
    }
    order = [name for part in parts for name in _in_turn(graph, part, late)]
    between = [name for name in order if graph.nodes[name].kind not in ("Input", "Output")]
    ends = set(graph.of_kind("Input", "Output"))
    if not joins or all(start < end for start, end in graph.edges if (start, end) not in late and not {start, end} & ends):
        return None
    called = dict(zip(graph.nodes, graph.nodes, strict=True))
    for number, name in enumerate(between):
        called[name] = f"n{number:0{len(str(len(between)))}}_{name}"
    nodes = {called[name]: node for name, node in graph.nodes.items()}
    edges = tuple((called[start], called[end]) for start, end in graph.edges)
    why = f"nodes are named in the order in which they run, on which {', '.join(sorted(joins))} may depend"
    return Rewritten(Graph(nodes, edges, graph.metadata), tuple(between), why)


def _in_turn(graph: Graph, part: list[str], late: set[Edge]) -> list[str]:
    """The nodes of a component, each behind those of it that it hears in the same step."""
    order, left = list[str](), list(part)
    while left:
        name = next(each for each in left if not any(s in left and (s, each) not in late for s in graph.into(each)))
        left.remove(name)
        order.append(name)
    return order


ORDERING: tuple[Pass, ...] = (
    Pass("edges_in_order", (), frozenset({Cause.JOIN_MISRUN}), "outputs, spikes and membranes", edges_in_order),
    Pass(
        "names_of_cycles",
        (),
        frozenset({Cause.CYCLE_ORDER, Cause.RECURRENCE_REWIRED}),
        "outputs, spikes and membranes, under new names",
        names_of_cycles,
    ),
)
"""Behind all passes that put in nodes."""
