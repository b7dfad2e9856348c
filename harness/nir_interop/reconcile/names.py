"""Passes about graphs within graphs and about names.  What an importer makes of either is known from its probes alone."""

from __future__ import annotations

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Nesting, Recurrence, Wiring
from nir_interop.graphs import Graph, components, early, in_order, inline, nested, renamed
from nir_interop.reconcile.model import Pass, Rewritten
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
