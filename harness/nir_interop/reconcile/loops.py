"""States that no primitive of a target has, as weights that feed themselves: integrators without a threshold, and delays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph, Node, as_array, validate
from nir_interop.reconcile.inputs import waiting
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.steps import Coefficients, Shape, agree, membrane, synapse
from nir_interop.reconcile.wiring import silence
from nir_interop.reference.neurons import Values
from nir_interop.reference.order import Edge
from nir_interop.rule import FeedbackBias, Order, Precision
from nir_interop.vocabulary import Cause

_WITHOUT_THRESHOLD = ("I", "LI", "CubaLI")
_DIAGONALS = {1: ("Linear", "Affine"), 2: ("Conv1d",), 3: ("Conv2d",)}
"""Dimensions of what a diagonal is applied to, and the weights that are one."""
_ROUNDED = 2.0**-23
"""What of 1 − a may be lost where a is rounded to single precision, in which libraries compute."""


class NoWeights(Exception):
    """No weights do what is asked of them; the text says why."""


def integrator_as_loop(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""An I, LI or CubaLI as weights that feed themselves, where the target takes no such primitive.

    .. math:: v_{t+1} = a\,v_t + g\,x_{t+1} + c \iff
        u_{t+1} = x_{t+1} + a\,u_t + \frac{c - (1 - a)\,v_0}{g},\quad u_0 = 0,\quad v = g\,u + v_0

    with the source's numbers.  The identity *u* adds up what fed the node and what a diagonal of *a* says of *u* one step late;
    the node becomes the weights *g* with the bias :math:`v_0`, or is *u* itself.  A constant is the bias of an identity before
    *u*.  Where single precision takes more than a little of :math:`1 - a`, another diagonal has what it leaves of *a*.  A
    CubaLI is two loops, its synapse and its membrane.  Of feature maps, diagonals are convolutions with kernels of one.

    Refuses a target that takes no such weights, maps of which a channel differs within itself, a gain of 0, fixed point, a
    CubaLI whose membrane advances first, a graph in which another edge would wait than did, and one in which what waits would
    answer to silence (see :class:`nir_interop.reference.simulator.Simulator`) where the importer begins with the answer.
    """
    names = sorted(name for kind in _WITHOUT_THRESHOLD if not target.takes(kind) for name in graph.of_kind(kind))
    if not names:
        return None
    rest = graph
    for name in names:
        rest = _looped(rest, name, source, target)
    kinds = sorted({graph.nodes[name].kind for name in names})
    why = f"{target.name} takes no {' and no '.join(kinds)}; weights that feed themselves remember as much"
    return Rewritten(rest, tuple(names), why)


def _looped(graph: Graph, name: str, source: Side, target: Side) -> Graph:
    node, shape = graph.nodes[name], validate(graph)[name][0]
    assert isinstance(node, Node)
    rule = source.rule(node.kind)
    if rule.precision is Precision.FIXED:
        raise Refused(Cause.ROUNDING, (name,), f"{name} is computed in fixed point, and weights are not")
    if "tau_syn" in node.params and rule.order is Order.MEMBRANE_FIRST:
        raise Refused(Cause.SYNAPSE_ORDER, (name,), f"the membrane of {name} hears its synapse one step late")
    memories = {"membrane": membrane(node, shape, source.dt, rule)}
    if "tau_syn" in node.params:
        memories = {"synapse": synapse(node, shape, source.dt, rule), **memories}
    nodes = {each: kept for each, kept in graph.nodes.items() if each != name}
    added: list[Edge] = []
    late: list[Edge] = []
    first = last = ""
    try:
        for part, numbers in memories.items():
            loop = _loop(numbers, shape, target)
            named = loop.names(f"{name}_{part}", {*nodes, name}, "" if part == "synapse" else name)
            nodes |= {named[each]: kept for each, kept in loop.nodes.items()}
            added += [(named[start], named[end]) for start, end in loop.edges]
            late += [(named[start], named["u"]) for start in ("keep", "rest") if start in named]
            if last:
                added.append((last, named[loop.first]))
            first, last = first or named[loop.first], named[loop.last]
    except NoWeights as impossible:
        raise Refused(Cause.UNSUPPORTED, (name,), f"{target.name} takes no {node.kind}, and {impossible}") from impossible
    edges = [(start, first if end == name else end) for start, end in dict.fromkeys(graph.edges)]
    after = Graph(nodes, (*edges, *added), graph.metadata)
    refuse_order(graph, after, {first: name}, added, late, source.dt)
    refuse_silence(after, name, {start for start, _ in late}, source, target)
    return after


@dataclass(frozen=True)
class _Loop:
    """Weights and the edges between them, the one that is fed and the one that says what is remembered."""

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    first: str
    last: str

    def names(self, stem: str, taken: Collection[str], whole: str) -> dict[str, str]:
        """What the weights are called, none as another node; the last one as the whole, where that has a name."""
        names: dict[str, str] = {}
        for each in self.nodes:
            said = whole if whole and each == self.last else stem if each == "u" else f"{stem}_{each}"
            names[each] = said if said == whole else free_name(said, {*taken, *names.values()})
        return names


def _loop(numbers: Coefficients, shape: Shape, target: Side) -> _Loop:
    r"""What computes :math:`v_{t+1} = a\,v_t + g\,x_{t+1} + c`."""
    if (numbers.gain == 0).any():
        raise NoWeights("where no input reaches a state, no weights of an input are one")
    with np.errstate(over="ignore"):
        kept = numbers.decay.astype(np.float32).astype(np.float64)
    constant = (numbers.leak - (1 - numbers.decay) * numbers.start) / numbers.gain
    nodes = {"u": diagonal(np.ones(shape), shape, target), "keep": diagonal(kept, shape, target)}
    edges, first, last = [("u", "keep"), ("keep", "u")], "u", "u"
    if (np.abs(numbers.decay - kept) > _ROUNDED * np.abs(1 - numbers.decay)).any():
        nodes["rest"] = diagonal(numbers.decay - kept, shape, target)
        edges += [("u", "rest"), ("rest", "u")]
    if not agree(numbers.leak, (1 - numbers.decay) * numbers.start):
        nodes["constant"], first = diagonal(np.ones(shape), shape, target, constant), "constant"
        edges.append(("constant", "u"))
    if numbers.start.any() or not agree(numbers.gain, np.ones(shape)):
        nodes["gain"], last = diagonal(numbers.gain, shape, target, numbers.start), "gain"
        edges.append(("u", "gain"))
    return _Loop(nodes, tuple(edges), first, last)


def diagonal(values: Values, shape: Shape, target: Side, bias: Values | None = None) -> Node:
    """Weights that multiply each element with a number of its own, and add one.

    Raises NoWeights where the target takes none, or a channel of a feature map differs within itself.
    """
    added = None if bias is None or not bias.any() else bias
    kinds = _DIAGONALS.get(len(shape), ())
    kind = kinds[added is not None and len(kinds) > 1] if kinds else ""
    if not kind or not target.takes(kind):
        raise NoWeights(f"it takes no weights that keep the shape {shape}")
    if kind in ("Linear", "Affine"):
        return Node(kind, {"weight": as_array(np.diag(values))} | ({} if added is None else {"bias": as_array(added)}))
    rows = [each.reshape(shape[0], -1) for each in (values, np.zeros(shape) if added is None else added)]
    if any(not agree(each, np.broadcast_to(each[:, :1], each.shape)) for each in rows):
        raise NoWeights("a channel's elements differ, for which a convolution has one number")
    ones = (1,) * (len(shape) - 1)
    parts = {"weight": np.diag(rows[0][:, 0]).reshape(shape[0], shape[0], *ones), "bias": rows[1][:, 0], "groups": 1}
    extents = {"stride": ones, "padding": (0,) * len(ones), "dilation": ones, "input_shape": shape[1:]}
    whole = parts | {key: np.array(value if len(ones) > 1 else value[0]) for key, value in extents.items()}
    return Node(kind, {key: as_array(np.asarray(value)) for key, value in whole.items()})


def refuse_order(
    before: Graph, after: Graph, stands_for: Mapping[str, str], added: Collection[Edge], late: Collection[Edge], dt: float
) -> None:
    """Raise Refused where other edges of a rewritten graph wait than are to.

    stands_for : what is fed now → the node that was
    added, late : edges that there were not, and those of them that wait
    """
    old, new = waiting(before, validate(before), dt), waiting(after, validate(after), dt)
    for edge in after.edges:
        expected = edge in late if edge in added else (edge[0], stands_for.get(edge[1], edge[1])) in old
        if (edge in new) is not expected:
            name = stands_for.get(edge[1], edge[0] if edge[0] in before.nodes else next(iter(stands_for.values())))
            raise Refused(Cause.CYCLE_ORDER, (name,), f"with a feedback at {name}, a cycle waits elsewhere")


def refuse_silence(graph: Graph, name: str, loops: Collection[str], source: Side, target: Side) -> None:
    """Raise Refused where what waits begins with what it answers to silence, and that is something."""
    if begins_silent(graph, source) and begins_silent(graph, target):
        return
    if loops & silence(graph, source.dt)[1].keys():
        raise Refused(Cause.FEEDBACK_BIAS_AT_START, (name,), f"what feeds {name} has a bias, with which a loop would begin")


def begins_silent(graph: Graph, side: Side) -> bool:
    """Whether nothing answers to silence: one primitive's rule is enough."""
    kinds = {node.kind for _, node in graph.primitives()} | {"LIF"}
    return any(side.rules[kind].feedback_bias is FeedbackBias.ABSENT for kind in kinds & side.rules.keys())


LOOPS: tuple[Pass, ...] = (
    Pass(
        "integrator_as_loop",
        (),
        frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED}),
        "outputs, spikes and membranes, up to rounding",
        integrator_as_loop,
    ),
)
"""Behind the passes about biases on cycles: what waits in a loop begins with nothing."""
