"""Passes about graphs within graphs and about names.  What an importer makes of either is known from its probes alone."""

from __future__ import annotations

from harness.graphs import Graph, components, early, in_order, inline, nested, renamed
from harness.reconcile.model import Pass, Rewritten, Side
from harness.vocabulary import Cause

_LAYER, _RECURRENCE = "a layer in a graph of its own", "a recurrence in a graph of its own"
_EARLY = "a recurrence in a graph of its own, named before its source"
_LAYERS_EARLY = "layers named against the order in which they run"


def _refused(side: Side, kind: str) -> set[str]:
    """The probes of a kind that went wrong."""
    known = side.domain.get(kind)
    return set() if known is None else {refusal.parameter for refusal in known.refuses}


def inlined(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Put the nodes of graphs within a graph into the graph itself.

    .. math:: a.\mathrm{out}(t) = f\,(a.\mathrm{in}(t)), \quad a.\mathrm{in} = x, \quad y = a.\mathrm{out}
        \qquad\Longrightarrow\qquad y(t) = f\,(x(t))

    The Input and the Output of an inner graph pass on what they hear, in the same step: without them every node hears what it
    heard.  Node ``b`` of graph ``a`` is called ``a.b``.  Needed where the target misruns such a graph whatever it is called,
    and does not misrun the same nodes in one graph.  Passes that look at single nodes do the same before they look.
    """
    wrong, flat_wrong = _refused(target, "nesting"), _refused(target, "recurrence")
    names = tuple(
        name for name in nested(graph) if _label(graph.nodes[name]) in wrong and not (_cyclic(graph.nodes[name]) and flat_wrong)
    )
    if not names:
        return None
    return Rewritten(
        inline(graph), names, "the importer misruns graphs within a graph, and takes their nodes in the graph itself"
    )


def _label(graph: object) -> str:
    return _RECURRENCE if _cyclic(graph) else _LAYER


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
    wrong = _refused(target, "nesting")
    if not (_LAYERS_EARLY in wrong or (_EARLY in wrong and _RECURRENCE not in wrong)):
        return None
    made, changed, pair = _ordered(graph, _LAYERS_EARLY in wrong)
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


_ALL = "outputs, spikes and membranes, some under new names"

INLINED = Pass("inlined", (), frozenset({Cause.UNSUPPORTED, Cause.NAME_ORDER}), _ALL, inlined, nested=True)

NESTING: tuple[Pass, ...] = (INLINED,)
"""Before all passes that look at single nodes."""

NAMES: tuple[Pass, ...] = (Pass("names_in_order", (), frozenset({Cause.NAME_ORDER}), _ALL, names_in_order, nested=True),)
"""The last of all: what other passes add has a name, too."""
