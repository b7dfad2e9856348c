"""Graphs within graphs, names, and the order in which an importer runs nodes: by a file's edges, or by its names.

What an importer makes of them is known from its probes alone.
"""

from __future__ import annotations

from collections import deque
from math import prod

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Nesting, Recurrence, Wiring
from nir_interop.graphs import Graph, Node, as_array, components, early, in_order, inline, nested, renamed, validate
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.neurons import cyclic, waiting
from nir_interop.reconcile.wiring import misruns_join
from nir_interop.reference.neurons import delay_steps
from nir_interop.reference.order import Edge
from nir_interop.vocabulary import Cause


def inlined(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Put the nodes of graphs within a graph into the graph itself.

    .. math:: a.\mathrm{out}(t) = f\,(a.\mathrm{in}(t)), \quad a.\mathrm{in} = x, \quad y = a.\mathrm{out}
        \qquad\Longrightarrow\qquad y(t) = f\,(x(t))

    The Input and the Output of an inner graph pass on what they hear, in the same step: without them every node hears what it
    heard.  Node ``b`` of graph ``a`` is called ``a.b``.  Needed where the target misruns such a graph whatever it is called,
    and does not misrun the same nodes in one graph.  Passes that look at single nodes do the same before they look.
    """
    domain, wrong = target.domain, target.domain.declined(Wiring.RECURRENCE)
    names = tuple(
        name
        for name in nested(graph)
        if domain.refuses(Wiring.NESTING, _condition(graph.nodes[name])) and not (_cyclic(graph.nodes[name]) and wrong)
    )
    if not names:
        return None
    return Rewritten(
        inline(graph), names, "the importer misruns graphs within a graph, and takes their nodes in the graph itself"
    )


def _condition(graph: object) -> Nesting:
    return Nesting.RECURRENCE if _cyclic(graph) else Nesting.LAYER


def _cyclic(graph: object) -> bool:
    if not isinstance(graph, Graph):
        return False
    flat = inline(graph)
    parts = components(flat.nodes, flat.edges)
    return any(len(part) > 1 or (part[0], part[0]) in flat.edges for part in parts)


def names_in_order(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Rename nodes so that a file, which keeps them sorted by name, has them in the order in which they run.

    .. math:: a \to b \;\Longrightarrow\; \mathrm{name}(a) < \mathrm{name}(b)

    for all edges outside a cycle.  What sorts so already keeps its name; ``lif`` behind ``w`` becomes ``w_1_lif``.  A name
    means nothing: outputs, spikes and membranes are the same numbers.  Needed where the target runs a probe under names in that
    order and misruns it under others: for all that leads to graphs within the graph, or for all nodes.
    """
    wrong = target.domain.declined(Wiring.NESTING)
    everyone = Nesting.LAYERS_AGAINST_ORDER in wrong
    if not (everyone or (Nesting.RECURRENCE_BEFORE_SOURCE in wrong and Nesting.RECURRENCE not in wrong)):
        return None
    made, changed, pair = _ordered(graph, everyone)
    if not changed:
        return None
    why = f"a file keeps its nodes sorted by name, and the importer would meet {pair[1]} before {pair[0]}, which feeds it"
    return Rewritten(made, changed, why)


def _ordered(graph: Graph, everyone: bool) -> tuple[Graph, tuple[str, ...], tuple[str, str]]:
    """The graph and those in it under names in order, the old names of what has a new one, and an edge that asked for it."""
    changed: list[str] = []
    first = ("", "")
    nodes = dict(graph.nodes)
    for name in nested(graph):
        inner = graph.nodes[name]
        if isinstance(inner, Graph):
            nodes[name], inside, pair = _ordered(inner, everyone)
            changed += [f"{name}.{each}" for each in inside]
            first = first if first[0] else pair
    made = Graph(nodes, graph.edges, graph.metadata)
    names = tuple(graph.nodes) if everyone else nested(graph)
    against = early(made, names)
    if against:
        called = in_order(made, names)
        made = renamed(made, called)
        changed += [name for name in called if called[name] != name]
        first = against[0]
    return made, tuple(sorted(changed)), first


def feedback_first(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""List the edges of a cycle before those that lead out of it.

    .. math:: E = (\dots, a \to c, \dots, a \to b, \dots) \;\Longrightarrow\; (\dots, a \to b, a \to c, \dots)
        \quad\text{for}\ a, b\ \text{on a cycle, and}\ c\ \text{not}

    Edges are a set: their order means nothing.  But an importer that runs nodes in the order in which it meets edges, and gives
    out what the last one gave, needs the last edge to be the one that leads to the Output.  Needed where the target misruns a
    probe listed so, and runs others that are listed the other way.
    """
    wrong = target.domain.declined(Wiring.RECURRENCE)
    if Recurrence.FEEDBACK_LISTED_LAST not in wrong or Recurrence.TWO_LAYERS in wrong:
        return None
    made, changed = _listed_first(graph)
    if not changed:
        return None
    why = "the importer runs nodes as it meets edges, and would end with those of a cycle"
    return Rewritten(made, changed, why)


def _listed_first(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """The graph and those in it with feedback listed first, and the nodes whose edges are listed otherwise than before."""
    nodes, changed = dict(graph.nodes), list[str]()
    for name in nested(graph):
        inner = graph.nodes[name]
        if isinstance(inner, Graph):
            nodes[name], inside = _listed_first(inner)
            changed += [f"{name}.{each}" for each in inside]
    home = {name: number for number, part in enumerate(components(graph.nodes, graph.edges)) for name in part}
    edges: list[tuple[str, str]] = []
    for source, end in graph.edges:
        within = [each for each in graph.edges if home[each[0]] == home[each[1]] == home[source]]
        edges += [
            each for each in ([(source, end)] if home[source] == home[end] else [*within, (source, end)]) if each not in edges
        ]
    moved = {source for (source, _), new in zip(graph.edges, edges, strict=True) if (source, _) != new}
    return Graph(nodes, tuple(edges), graph.metadata), tuple(sorted({*changed, *moved}))


_ALL = "outputs, spikes and membranes, some under new names"

INLINED = Pass("inlined", (), frozenset({Cause.UNSUPPORTED, Cause.NAME_ORDER}), _ALL, inlined, nested=True)

INLINING: tuple[Pass, ...] = (INLINED,)
"""Before all passes that look at single nodes."""

FEEDBACK: tuple[Pass, ...] = (
    Pass(
        "feedback_first",
        (),
        frozenset({Cause.NODE_DROPPED, Cause.UNSUPPORTED, Cause.RECURRENCE_REWIRED}),
        "outputs, spikes and membranes",
        feedback_first,
        nested=True,
    ),
)
"""Behind all passes that put in edges, before those that sort them all."""

NAMES: tuple[Pass, ...] = (Pass("names_in_order", (), frozenset({Cause.NAME_ORDER}), _ALL, names_in_order, nested=True),)
"""The last of all: what other passes add has a name, too."""


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
    return misruns_join(target, "LIF") or misruns_join(target, "Linear")


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
