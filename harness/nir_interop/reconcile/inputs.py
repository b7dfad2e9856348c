"""Weights before neurons, scaled and shifted: what passes about neurons do to what reaches them."""

from __future__ import annotations

from math import prod

import numpy as np

from nir_interop.graphs import Graph, Node, Shapes, validate, whole_numbers
from nir_interop.graphs.primitives import DENSE, POOLS
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.steps import agree, as_precise
from nir_interop.reference.neurons import Values, delay_steps
from nir_interop.reference.order import stages
from nir_interop.rule import Precision, UpdateRule
from nir_interop.vocabulary import Cause

WEIGHTS = (*DENSE, "Conv1d", "Conv2d")


class Inputs:
    """A graph whose neurons' inputs are being scaled and shifted; the graph it is made from stays as it was.

    touched : nodes of that graph which were changed, by name
    """

    def __init__(self, graph: Graph, dt: float) -> None:
        self.before, self.dt = graph, dt
        self.shapes: Shapes = validate(graph)
        self.nodes, self.edges = dict(graph.nodes), list(dict.fromkeys(graph.edges))
        self.touched: set[str] = set()
        self._stands_for = {name: name for name in graph.nodes}
        self._between: set[str] = set()

    def replace(self, name: str, node: Node) -> None:
        """Put another neuron in the place of one."""
        self.nodes[name] = node
        self.touched.add(name)

    def scale(self, name: str, ratio: Values, cause: Cause) -> None:
        r"""Multiply all that reaches a neuron, :math:`x \leftarrow k \odot x`: the rows of every weight that feeds it.

        Also through Flatten, and through pools, :math:`\mathrm{pool}(k_c x_c) = k_c\,\mathrm{pool}(x_c)`.
        """
        if (ratio == 1).all():
            return
        for source in [source for source, target in self.edges if target == name]:
            passed = self._passed(source, ratio)
            own = self._own(source, name, cause, through=passed is not None)
            if passed is not None:
                self.scale(own, passed, cause)
                continue
            node, channels = self._channels(own, ratio, name, cause)
            weight, bias = node["weight"], node.get("bias")
            params = {**node.params, "weight": as_precise(_along(channels, weight.ndim) * weight, weight)}
            if bias is not None:
                params["bias"] = as_precise(channels * bias, bias)
            self.nodes[own] = Node(node.kind, params)

    def shift(self, name: str, bias: Values, cause: Cause) -> None:
        r"""Add to what reaches a neuron at every step, :math:`x \leftarrow x + b`: at one weight, which does not wait.

        There is one: the edges that wait lead to entries of a cycle, and those are fed from outside of it as well.  Also
        through Flatten, and through pools without padding, :math:`\mathrm{mean}(x + b) = \mathrm{mean}(x) + b` and
        :math:`\sum_{i \le n} (x_i + b/n) = \sum x_i + b`.
        """
        source = min(self._free(name), key=lambda each: self._preference(each, bias))
        passed = self._passed(source, bias, added=True)
        own = self._own(source, name, cause, through=passed is not None)
        if passed is not None:
            self.shift(own, passed, cause)
            return
        node, channels = self._channels(own, bias, name, cause)
        old = node.get("bias")
        shifted = as_precise(channels if old is None else channels + old, node["weight"] if old is None else old)
        params = {**node.params, "bias": shifted}
        self.nodes[own] = Node("Affine" if node.kind == "Linear" else node.kind, params)

    def graph(self) -> Graph:
        """The graph as it is now.  Raises Refused where a copied weight would wait a step that the one before it did not."""
        after = Graph(self.nodes, tuple(self.edges), self.before.metadata)
        old, new = waiting(self.before, self.shapes, self.dt), waiting(after, self.shapes, self.dt)
        for edge in self.edges:
            source, target = (self._stands_for[name] for name in edge)
            if edge[1] in self._between:
                continue  # never waits: nothing else feeds it, so that it is no entry of a cycle
            if (edge in new) is not ((source, target) in old):
                raise Refused(
                    Cause.CYCLE_ORDER,
                    (source, target),
                    f"{source} feeds others as well: with a copy of it, the cycle waits elsewhere",
                )
        return after

    def _own(self, source: str, name: str, cause: Cause, *, through: bool) -> str:
        """The weight on an edge that feeds nothing else: the source, its copy, or an identity put between.

        through : whether the source is a pool or a Flatten that passes on what weights before it do
        """
        node, origin = self.nodes[source], self._stands_for[name]
        self.touched.add(self._stands_for[source])
        weight = through or (isinstance(node, Node) and node.kind in WEIGHTS)
        if weight and [target for start, target in self.edges if start == source] == [name]:
            return source
        new, shape = self._free_name(source, name), self.shapes[origin][0]
        self._stands_for[new] = self._stands_for[source]
        into = [(start, new) for start, target in self.edges if target == source] if weight else [(source, new)]
        if weight:
            self.nodes[new] = node
        elif len(shape) == 1:
            self._between.add(new)
            self.nodes[new] = Node("Linear", {"weight": np.eye(shape[0])})
        else:
            start = self._stands_for[source]
            why = f"{start} feeds {origin} without a weight between, and {origin} is no vector for which one could be put there"
            raise Refused(cause, (start, origin), why)
        place = self.edges.index((source, name))
        self.edges[place : place + 1] = [*into, (new, name)]
        return new

    def _passed(self, source: str, values: Values, *, added: bool = False, seen: frozenset[str] = frozenset()) -> Values | None:
        """What is to be done to all that a pool or a Flatten hears, for as much to be done to what it gives.

        added : values are addends, which one of the weights before it takes, and not factors, which all of them take
        None where there are no such weights, and for another node.
        """
        before = None if source in seen else self._before(source, values, added)
        if before is None:
            return None
        heard = self._free(source) if added else [start for start, target in self.edges if target == source]
        taken = [self._takes(each, before, added, seen | {source}) for each in heard]
        return before if (any(taken) if added else all(taken)) else None

    def _takes(self, source: str, values: Values, added: bool, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a node is weights that can give out what is wanted, or passes on what such weights give."""
        node = self.nodes[source]
        if isinstance(node, Node) and node.kind in WEIGHTS:
            return all(agree(row, np.full_like(row, row[0])) for row in self._rows(source, node, values))
        return self._passed(source, values, added=added, seen=seen) is not None

    def _before(self, source: str, values: Values, added: bool) -> Values | None:
        node, (into, out) = self.nodes[source], self.shapes[self._stands_for[source]]
        if isinstance(node, Node) and node.kind == "Flatten":
            return np.broadcast_to(values, out).reshape(into)
        if not isinstance(node, Node) or node.kind not in POOLS or (added and any(whole_numbers(node, "padding", 2))):
            return None
        rows = np.broadcast_to(values, out).reshape(out[0], -1)
        if not all(agree(row, np.full_like(row, row[0])) for row in rows):
            return None
        count = prod(whole_numbers(node, "kernel_size", 2)) if added and node.kind == "SumPool2d" else 1
        return np.broadcast_to(rows[:, 0, None, None] / count, into)

    def _channels(self, weights: str, values: Values, name: str, cause: Cause) -> tuple[Node, Values]:
        """A weight node, and values of what it feeds as one per output channel."""
        node, origin, fed = self.nodes[weights], self._stands_for[weights], self._stands_for[name]
        if not isinstance(node, Node):
            raise Refused(cause, (origin, fed), f"{origin} is a graph of its own; inline it")
        rows = self._rows(weights, node, values)
        if not all(agree(row, np.full_like(row, row[0])) for row in rows):
            why = f"{fed} differs within a channel of {origin}, whose weights are one for all of it"
            raise Refused(cause, (origin, fed), why)
        return node, rows[:, 0].copy()

    def _rows(self, weights: str, node: Node, values: Values) -> Values:
        """Values of what weights give out, one row per output channel."""
        shape = self._given(weights)
        axis = len(shape) - 1 if node.kind in DENSE else 0
        return np.moveaxis(np.broadcast_to(values, shape), axis, 0).reshape(shape[axis], -1)

    def _given(self, name: str) -> tuple[int, ...]:
        """The shape of what a node gives out; an identity gives what it hears from the node for which it stands."""
        return self.shapes[self._stands_for[name]][1]

    def _free(self, name: str) -> list[str]:
        """What feeds a node without waiting."""
        late, stands = waiting(self.before, self.shapes, self.dt), self._stands_for
        return [source for source, target in self.edges if target == name and (stands[source], stands[name]) not in late]

    def _preference(self, source: str, values: Values) -> tuple[bool, bool, bool, str]:
        """Weights that feed nothing else first, then others, weights before a pool, and what needs a node put between."""
        feeds = [target for start, target in self.edges if start == source]
        return not self._takes(source, values, True), self.nodes[source].kind not in WEIGHTS, len(feeds) > 1, source

    def _free_name(self, source: str, name: str) -> str:
        new = f"{source}>{name}"
        while new in self.nodes:
            new += "_"
        return new


def _along(channels: Values, dimensions: int) -> Values:
    return channels.reshape(-1, *(1,) * (dimensions - 1))


def refuse_fixed_point(name: str, rule: UpdateRule) -> None:
    """Raise Refused for integers, whose rounding no scaling and no shift commutes with."""
    if rule.precision is Precision.FIXED:
        raise Refused(
            Cause.ROUNDING, (name,), f"{name} is computed in fixed point, which rounds scaled and shifted values otherwise"
        )


def waiting(graph: Graph, shapes: Shapes, dt: float) -> set[tuple[str, str]]:
    """The edges that wait a step: those back into the entries of a cycle, unless a Delay on it waits anyway."""

    def is_delayed(name: str) -> bool:
        node = graph.nodes[name]
        if not isinstance(node, Node) or node.kind != "Delay":
            return False
        return bool((delay_steps(node, shapes[name][0], dt) > 0).all())

    return {edge for stage in stages(graph, is_delayed) for edge in stage.delayed}
