"""Edges: joins that a target does not add up, neurons that feed themselves, and several Inputs or Outputs.

What a target makes of them is known from its probes alone; without evidence of a misrun nothing is rewritten.  Several Inputs
are joined for every library: a model is called with one, and where one takes several the planner leaves the pass out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Domain, Join, Recurrence, Wiring
from nir_interop.graphs import (
    NEURONS,
    Array,
    Graph,
    Node,
    in_order,
    input_shapes,
    nest,
    places,
    renamed,
    sample_shape,
    unfed_cycles,
    validate,
)
from nir_interop.graphs.driving import is_driven
from nir_interop.graphs.primitives import DENSE
from nir_interop.printable import shape_text
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.neurons import lossless, waiting
from nir_interop.reference.neurons import delay_steps
from nir_interop.reference.order import Edge, stages
from nir_interop.rule import FeedbackBias
from nir_interop.vocabulary import Cause

_INTO_NEURON = (Join.BRANCHES_INTO_NEURON, Join.SPIKES_INTO_NEURON, Join.SKIP)
_INTO_LAYER = (Join.BRANCHES_INTO_LAYER, Join.SPIKES_INTO_LAYER)


def misruns_join(side: Side, kind: str) -> bool:
    """Whether the probes saw a join into a node of this kind go wrong."""
    at_neurons = kind in (*NEURONS, "Threshold", "Delay")
    conditions = (Join.BRANCHES_INTO_OUTPUT,) if kind == "Output" else _INTO_NEURON if at_neurons else _INTO_LAYER
    return side.domain.refuses(Wiring.JOIN, *conditions) or side.domain.misruns_unnamed(Wiring.JOIN)


def joins(graph: Graph, target: Side) -> list[str]:
    """The nodes with several sources whose kind the target misruns a join at."""
    return [name for name, node in graph.primitives() if misruns_join(target, node.kind) and len(graph.into(name)) > 1]


def _branches(graph: Graph, join: str) -> list[tuple[str, ...]]:
    """Groups of dense layers that hear the same and feed nothing but a join."""
    groups: dict[frozenset[str], list[str]] = {}
    for source in sorted(graph.into(join)):
        if graph.nodes[source].kind in DENSE and graph.out_of(source) == (join,):
            groups.setdefault(frozenset(graph.into(source)), []).append(source)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _one_affine(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Make one dense layer of those that hear the same and join.

    .. math:: (W_1 x + b_1) + (W_2 x + b_2) = (W_1 + W_2)\,x + (b_1 + b_2)

    On a cycle, too: what such layers hear and feed is the same, so that the same edges wait before and after.
    """
    nodes, gone, touched = dict(graph.nodes), set[str](), set[str]()
    for join in joins(graph, target):
        for group in _branches(graph, join):
            nodes[group[0]] = summed([node for name, node in graph.primitives() if name in group])
            gone.update(group[1:])
            touched.update(group)
    if not touched:
        return None
    left = {name: node for name, node in nodes.items() if name not in gone}
    edges = tuple(edge for edge in graph.edges if not gone.intersection(edge))
    why = "the importer misruns joins; layers that hear the same are one layer with the sum of their weights"
    return Rewritten(Graph(left, edges, graph.metadata), tuple(sorted(touched)), why)


def summed(layers: list[Node]) -> Node:
    weight = lossless(_total(layer["weight"] for layer in layers), layers[0]["weight"].dtype)
    biases = [bias for layer in layers if (bias := layer.get("bias")) is not None]
    if not biases:
        return Node("Linear", {"weight": weight})
    return Node("Affine", {"weight": weight, "bias": _biased(biases, len(weight))})


def _biased(biases: list[Array], size: int) -> Array:
    return lossless(_total(np.broadcast_to(bias, size) for bias in biases), biases[0].dtype)


def _total(arrays: Iterable[Array]) -> Array:
    return np.asarray(np.sum([np.asarray(array, dtype=np.float64) for array in arrays], axis=0))


def _identity_before_output(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Let an identity gather what joins at an Output.

    .. math:: x_1 + x_2 = \mathbb{1}\,(x_1 + x_2)

    Needed where the target adds up what comes into a layer, and not what comes into an Output.
    """
    names = tuple(name for name in joins(graph, target) if _gathers(graph, name, target))
    if not names:
        return None
    why = "the importer adds up what comes into a layer, and not what comes into an Output"
    return Rewritten(outputs_gathered(graph, names), names, why)


def outputs_gathered(graph: Graph, names: Iterable[str]) -> Graph:
    """An inlined graph with an identity before some Outputs of one axis."""
    shapes, nodes, edges = validate(graph), dict(graph.nodes), graph.edges
    for name in names:
        sum_ = free_name(f"{name}_sum", nodes)
        nodes[sum_] = Node("Linear", {"weight": np.eye(shapes[name][0][-1], dtype=np.float32)})
        edges = (*((source, sum_ if end == name else end) for source, end in edges), (sum_, name))
    return Graph(nodes, edges, graph.metadata)


def _gathers(graph: Graph, join: str, target: Side) -> bool:
    node = graph.nodes[join]
    flat = isinstance(node, Node) and node.kind == "Output" and node["shape"].size == 1
    return flat and not misruns_join(target, "Linear")


def _absent(side: Side, graph: Graph) -> bool:
    """Whether feedback biases are missing at t = 0: one primitive's rule is enough."""
    return any(side.rule(kind).feedback_bias is FeedbackBias.ABSENT for kind in NEURONS if graph.of_kind(kind))


def _recurrent_bias(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Move the bias of recurrent weights into feed-forward weights of the same neurons.

    .. math:: (W x_t + b) + (V z_{t-1} + c) = (W x_t + b + c) + V z_{t-1}

    A delayed edge without its bias at t = 0 is then as one with it: :math:`V` answers to silence with nothing.  Refused where
    no feed-forward layer feeds just those neurons, where more than one bias makes up the answer, and where the source is the
    one that lacks the bias, since a constant cannot start late.
    """
    if _absent(source, graph) == _absent(target, graph):
        return None
    waiting, answers = silence(graph, source.dt)
    lost = sorted({name for name, _ in waiting} & answers.keys())
    if not lost:
        return None
    if _absent(source, graph):
        why = "the source lacks a recurrent bias at t = 0, which the importer adds from the start"
        raise Refused(Cause.FEEDBACK_BIAS_AT_START, tuple(lost), why)
    nodes, changed = dict(graph.primitives()), set[str]()
    for name in lost:
        feeding = [_feed_forward(graph, end, name, waiting) for end in graph.out_of(name)]
        if nodes[name].kind != "Affine" or answers[name] or not all(feeding):
            why = "the importer lacks a recurrent bias at t = 0, and no feed-forward weights can take it over"
            raise Refused(Cause.FEEDBACK_BIAS_AT_START, (name,), why)
        bias = nodes[name]["bias"]
        for layer in filter(None, feeding):
            weight, own = nodes[layer]["weight"], nodes[layer].get("bias")
            moved = _biased([bias] if own is None else [own, bias], len(weight))
            nodes[layer] = Node("Affine", {"weight": weight, "bias": moved})
            changed.add(layer)
        nodes[name] = Node("Affine", {**nodes[name].params, "bias": np.zeros_like(bias)})
        changed.add(name)
    why = "the importer lacks a recurrent bias at t = 0; in the feed-forward weights it is there at every step"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), tuple(sorted(changed)), why)


def silence(graph: Graph, dt: float) -> tuple[frozenset[Edge], dict[str, bool]]:
    """The edges that wait a step, and the nodes that answer to silence: whether because of others before them."""
    shapes, nodes = validate(graph), dict(graph.primitives())

    def is_delayed(name: str) -> bool:
        return nodes[name].kind == "Delay" and bool((delay_steps(nodes[name], shapes[name][0], dt) > 0).all())

    waiting: set[Edge] = set()
    answers: dict[str, bool] = {}
    for stage in stages(graph, is_delayed):
        waiting |= stage.delayed
        for name in stage.nodes:
            node, bias = nodes[name], nodes[name].get("bias")
            if node.kind in (*NEURONS, "Delay", "Input"):
                continue
            heard = any(source in answers for source in graph.into(name) if (source, name) not in stage.delayed)
            below = node.kind == "Threshold" and bool((node["threshold"] < 0).any())
            if heard or below or (bias is not None and bool(bias.any())):
                answers[name] = heard
    return frozenset(waiting), answers


def _feed_forward(graph: Graph, name: str, recurrent: str, waiting: frozenset[Edge]) -> str | None:
    """A dense layer that feeds a node in the same step, and nothing else."""
    for source in sorted(graph.into(name)):
        dense = graph.nodes[source].kind in DENSE and graph.out_of(source) == (name,)
        if dense and source != recurrent and (source, name) not in waiting:
            return source
    return None


def _nested_recurrence(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Put a neuron and the weights through which it feeds itself into a graph of their own.

    .. math:: v_{t+1} = a\,v_t + g\,(x_{t+1} + W s_t + b), \qquad s_t = [v_t > \theta]

    in both: the graph means what its nodes meant, so that this changes no number.  Its nodes are called ``lif`` and ``w_rec``,
    as in the recurrent layers that libraries export.  What leads to it is named so that it sorts in the order in which it is
    run: a file keeps no other order, and an importer may have to meet a graph after all that leads to it.  Refused where the
    weights also hear or feed others, and where a neuron has several.
    """
    if not _rewired(target.domain):
        return None
    pairs = {name: weights for name, node in graph.primitives() if node.kind in NEURONS and (weights := _loops(graph, name))}
    if not pairs:
        return None
    for name, weights in sorted(pairs.items()):
        alone = all(graph.into(each) == graph.out_of(each) == (name,) for each in weights)
        if len(weights) > 1 or not alone:
            why = "the importer rewires neurons that feed themselves, and these weights are not theirs alone"
            raise Refused(Cause.RECURRENCE_REWIRED, (name, *weights), why)
    shapes, made = validate(graph), graph
    for name, (back,) in pairs.items():
        made = nest(made, name, {"lif": name, "w_rec": back}, shapes[name][0])
    called = in_order(made, pairs)
    changed = {*pairs, *(back for (back,) in pairs.values()), *(name for name in called if called[name] != name)}
    why = "the importer rewires neurons that feed themselves, and takes them as a graph of their own"
    return Rewritten(renamed(made, called), tuple(sorted(changed)), why)


def _rewired(domain: Domain) -> bool:
    """Whether a probe of a neuron that feeds itself went wrong, other than for its names or the order of its edges."""
    ordered = {Recurrence.SOURCE_BEFORE_INPUT, Recurrence.FEEDBACK_LISTED_LAST}
    return bool({*domain.declined(Wiring.RECURRENCE)} - ordered) or domain.misruns_unnamed(Wiring.RECURRENCE)


def _loops(graph: Graph, name: str) -> tuple[str, ...]:
    """The dense layers through which a node feeds itself."""
    return tuple(sorted(each for each in set(graph.out_of(name)) & set(graph.into(name)) if graph.nodes[each].kind in DENSE))


_ROUNDED = "outputs, spikes and membranes, up to float64 rounding"
_ALL = "outputs, spikes and membranes"

WIRING: tuple[Pass, ...] = (
    Pass("one_affine", (), frozenset({Cause.JOIN_MISRUN}), _ROUNDED, _one_affine),
    Pass("identity_before_output", (), frozenset({Cause.JOIN_MISRUN, Cause.UNSUPPORTED}), _ALL, _identity_before_output),
    Pass("recurrent_bias", ("feedback_bias",), frozenset({Cause.FEEDBACK_BIAS_AT_START}), _ROUNDED, _recurrent_bias),
)

NESTING: tuple[Pass, ...] = (
    Pass(
        "nested_recurrence",
        (),
        frozenset({Cause.RECURRENCE_REWIRED, Cause.CYCLE_ORDER, Cause.UNSUPPORTED}),
        "outputs, spikes and membranes, some under new names",
        _nested_recurrence,
        nested=True,
    ),
)
"""Behind all passes that look at single nodes."""


def one_output(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Lay what reaches several Outputs side by side, in the order of their names, and give it at one.

    .. math:: y = \sum_k P_k\,y^{(k)}, \qquad (P_k)_{ij} = [\,i = j + n_1 + \dots + n_{k-1}\,]

    with :math:`n_k` the size of the *k*-th Output: each :math:`P_k` is a Linear layer of zeros and ones, so that no number
    changes.  Several nodes that reach one Output reach its layer, and add up there.  Refused where what reaches an Output has
    several axes, since layers take one.
    """
    domain, several = target.domain, Wiring.SEVERAL_OUTPUTS
    known = domain.declined(several) or domain.misruns_unnamed(several)
    return outputs_joined(graph) if known and len(graph.of_kind("Output")) > 1 else None


def outputs_joined(graph: Graph) -> Rewritten:
    """An inlined graph with one Output in the place of several.  Raises Refused as :func:`one_output` does."""
    names = sorted(graph.of_kind("Output"))
    shapes = {name: shape for name, (shape, _) in validate(graph).items() if name in names}
    if any(len(shape) != 1 for shape in shapes.values()):
        why = "the importer does not give several Outputs, and what reaches one has several axes"
        raise Refused(Cause.UNSUPPORTED, tuple(names), why)
    sizes = {name: shapes[name][0] for name in names}
    whole, first = sum(sizes.values()), 0
    nodes = {name: node for name, node in graph.nodes.items() if name not in names}
    edges = [edge for edge in graph.edges if edge[1] not in names]
    end = free_name("output", nodes)
    nodes[end] = Node("Output", {"shape": np.array([whole])})
    for name in names:
        place = np.zeros((whole, sizes[name]), dtype=np.float32)
        place[first + np.arange(sizes[name]), np.arange(sizes[name])] = 1
        layer, first = free_name(f"{name}_place", nodes), first + sizes[name]
        nodes[layer] = Node("Linear", {"weight": place})
        edges += [(source, layer) for source in graph.into(name)] + [(layer, end)]
    why = f"the importer does not give several Outputs; one has them side by side: {', '.join(names)}"
    return Rewritten(Graph(nodes, tuple(edges), graph.metadata), tuple(names), why)


def one_input(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Take several Inputs from one, in which they stand side by side in the order of their names.

    .. math:: x^{(k)} = S_k\,x, \qquad (S_k)_{ij} = [\,j = i + n_1 + \dots + n_{k-1}\,]

    with :math:`n_k` the size of the *k*-th Input, or its channels where all are feature maps of one height and width: each
    :math:`S_k` is a Linear layer, or a convolution with kernels of one element, of zeros and ones under the Input's own name,
    so that no number changes.  Refused where Inputs have other axes: NIR has no node that gives what comes in more axes.
    """
    return inputs_joined(graph) if target.domain and len(graph.of_kind("Input")) > 1 else None


def inputs_joined(graph: Graph) -> Rewritten:
    """An inlined graph with one Input in the place of several.  Raises Refused as :func:`one_input` does."""
    names = graph.of_kind("Input")
    inputs = input_shapes(graph, validate(graph))
    spaces = {shape[1:] for shape in inputs.values()}
    if len(spaces) > 1 or not all(inputs.values()) or len(next(iter(spaces))) > 2:
        told = ", ".join(f"{name} {shape_text(shape)}" for name, shape in inputs.items())
        why = f"the importer takes one Input, and no layer takes apart one that holds these side by side: {told}"
        raise Refused(Cause.UNSUPPORTED, names, why)
    (space,) = spaces
    sizes = {name: (shape[0],) for name, shape in inputs.items()}
    (whole,) = sample_shape(sizes)
    nodes, begin = dict(graph.nodes), free_name("input", graph.nodes)
    for name, place in places(sizes).items():
        chosen = np.eye(whole, dtype=np.float32)[place]
        nodes[name] = _choosing(chosen, space)
    nodes[begin] = Node("Input", {"shape": np.array([whole, *space])})
    edges = [*((begin, name) for name in names), *graph.edges]
    told = ", ".join(f"{name} ({shape[0]})" for name, shape in inputs.items())
    where = "one after another along the channels" if space else "side by side"
    why = f"the importer takes one Input; {begin} holds them {where}, in this order: {told}"
    return Rewritten(Graph(nodes, tuple(edges), graph.metadata), names, why)


def _choosing(chosen: Array, space: tuple[int, ...]) -> Node:
    """A layer that gives some of the elements that come in, or some of the channels."""
    if not space:
        return Node("Linear", {"weight": chosen})
    ones = tuple(1 for _ in space)
    extents = {"stride": ones, "padding": tuple(0 for _ in space), "dilation": ones, "groups": 1, "input_shape": space}
    given = {name: value[0] if len(space) == 1 and isinstance(value, tuple) else value for name, value in extents.items()}
    params = {"weight": chosen.reshape(*chosen.shape, *ones), "bias": np.zeros(len(chosen), dtype=np.float32)}
    return Node(f"Conv{len(space)}d", {**params, **{name: np.array(value) for name, value in given.items()}})


def fed_cycles(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Let weights of zeros lead from the Input into a cycle that nothing feeds.

    .. math:: x + 0\,u = x

    Such a cycle runs on its constants, and the edges from within it into the nodes that have them wait a step.  Those are the
    nodes that the weights lead to: fed from outside they are the cycle's entry nodes, and the same edges wait.  Importers begin
    at the Input, and find nothing else, or look for ever.  Refused for feature maps, and where another edge would wait.
    """
    return cycles_fed(graph, source.dt) if target.domain and unfed_cycles(graph.nodes, graph.edges) else None


def cycles_fed(graph: Graph, dt: float) -> Rewritten:
    """An inlined graph whose cycles are all fed, at a step [s].  Raises Refused as :func:`fed_cycles` does."""
    cycles = unfed_cycles(graph.nodes, graph.edges)
    shapes, (begin, *_) = validate(graph), graph.of_kind("Input")
    nodes, edges, entries = dict(graph.nodes), list(graph.edges), list[str]()
    for members in cycles:
        driven = [name for name in members if is_driven(graph.nodes[name])]  # type: ignore[arg-type]  # inlined
        for name in driven or members:
            if len(shapes[name][0]) != 1 or len(shapes[begin][1]) != 1:
                raise Refused(
                    Cause.UNSUPPORTED, (name,), "nothing feeds its cycle, and no weights lead to or from feature maps"
                )
            zeros = free_name(f"{name}_fed", nodes)
            nodes[zeros] = Node("Linear", {"weight": np.zeros((*shapes[name][0], *shapes[begin][1]), dtype=np.float32)})
            edges += [(begin, zeros), (zeros, name)]
            entries.append(name)
    made = Graph(nodes, tuple(edges), graph.metadata)
    if waiting(made, validate(made), dt) != waiting(graph, shapes, dt):
        raise Refused(
            Cause.UNSUPPORTED, tuple(entries), "nothing feeds their cycle; fed, another of its edges would wait a step"
        )
    why = f"nothing feeds the cycle, which importers look for from the Input; zero weights lead to it from {begin}"
    return Rewritten(made, tuple(entries), why)


END_PASSES: tuple[Pass, ...] = (
    Pass(
        "one_input",
        (),
        frozenset({Cause.UNSUPPORTED}),
        "outputs, spikes and membranes, for the Inputs side by side in the order of their names",
        one_input,
    ),
    Pass(
        "one_output",
        (),
        frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED}),
        "every output, side by side in the order of the Outputs' names; spikes and membranes",
        one_output,
    ),
    Pass("fed_cycles", (), frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED}), _ALL, fed_cycles),
)
