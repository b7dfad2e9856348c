"""Weights before neurons, scaled and shifted: what passes about neurons do to what reaches them."""

from __future__ import annotations

import numpy as np

from harness.graphs import Graph, Node, Shapes, validate
from harness.reconcile.model import Refused
from harness.reconcile.steps import agree, as_precise
from harness.reference.coefficients import Values
from harness.reference.neurons import delay_steps
from harness.reference.order import stages
from harness.rule import Precision, UpdateRule
from harness.vocabulary import Cause

DENSE = ("Affine", "Linear")
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
        r"""Multiply all that reaches a neuron, :math:`x \leftarrow k \odot x`: the rows of every weight that feeds it."""
        if (ratio == 1).all():
            return
        for source in [source for source, target in self.edges if target == name]:
            own = self._own(source, name, cause)
            node, channels = self._channels(own, ratio, name, cause)
            weight, bias = node["weight"], node.get("bias")
            params = {**node.params, "weight": as_precise(_along(channels, weight.ndim) * weight, weight)}
            if bias is not None:
                params["bias"] = as_precise(channels * bias, bias)
            self.nodes[own] = Node(node.kind, params)

    def shift(self, name: str, bias: Values, cause: Cause) -> None:
        r"""Add to what reaches a neuron at every step, :math:`x \leftarrow x + b`: at one weight, which does not wait.

        There is one: the edges that wait lead to entries of a cycle, and those are fed from outside of it as well.
        """
        waiting = self._waiting(self.before)
        free = [source for source, target in self.edges if target == name and (self._stands_for[source], name) not in waiting]
        own = self._own(min(free, key=self._preference), name, cause)
        node, channels = self._channels(own, bias, name, cause)
        old = node.get("bias")
        shifted = as_precise(channels if old is None else channels + old, node["weight"] if old is None else old)
        params = {**node.params, "bias": shifted}
        self.nodes[own] = Node("Affine" if node.kind == "Linear" else node.kind, params)

    def graph(self) -> Graph:
        """The graph as it is now.  Raises Refused where a copied weight would wait a step that the one before it did not."""
        after = Graph(self.nodes, tuple(self.edges), self.before.metadata)
        old, new = self._waiting(self.before), self._waiting(after)
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

    def _own(self, source: str, name: str, cause: Cause) -> str:
        """The weight on an edge that feeds nothing else: the source, its copy, or an identity put between."""
        node = self.nodes[source]
        self.touched.add(self._stands_for[source])
        weight = isinstance(node, Node) and node.kind in WEIGHTS
        if weight and [target for start, target in self.edges if start == source] == [name]:
            return source
        new, shape = self._free_name(source, name), self.shapes[name][0]
        self._stands_for[new] = self._stands_for[source]
        into = [(start, new) for start, target in self.edges if target == source] if weight else [(source, new)]
        if weight:
            self.nodes[new] = node
        elif len(shape) == 1:
            self._between.add(new)
            self.nodes[new] = Node("Linear", {"weight": np.eye(shape[0])})
        else:
            why = f"{source} feeds {name} without a weight between, and {name} is no vector for which one could be put there"
            raise Refused(cause, (source, name), why)
        place = self.edges.index((source, name))
        self.edges[place : place + 1] = [*into, (new, name)]
        return new

    def _channels(self, weights: str, values: Values, name: str, cause: Cause) -> tuple[Node, Values]:
        """A weight node, and values of the neurons that it feeds as one per output channel."""
        node = self.nodes[weights]
        if not isinstance(node, Node):
            raise Refused(cause, (weights, name), f"{weights} is a graph of its own; inline it")
        shape = self.shapes[name][0]
        axis = len(shape) - 1 if node.kind in DENSE else 0
        rows = np.moveaxis(np.broadcast_to(values, shape), axis, 0).reshape(shape[axis], -1)
        if not all(agree(row, np.full_like(row, row[0])) for row in rows):
            origin = self._stands_for[weights]
            raise Refused(
                cause, (origin, name), f"{name} differs within a channel of {origin}, whose weights are one for all of it"
            )
        return node, rows[:, 0].copy()

    def _preference(self, source: str) -> tuple[int, str]:
        """Weights that feed nothing else first, then other weights, then what needs a node put between."""
        node, feeds = self.nodes[source], [target for start, target in self.edges if start == source]
        return (2 if node.kind not in WEIGHTS else len(feeds) > 1, source)

    def _free_name(self, source: str, name: str) -> str:
        new = f"{source}>{name}"
        while new in self.nodes:
            new += "_"
        return new

    def _waiting(self, graph: Graph) -> set[tuple[str, str]]:
        def is_delayed(name: str) -> bool:
            node = graph.nodes[name]
            if not isinstance(node, Node) or node.kind != "Delay":
                return False
            return bool((delay_steps(node, self.shapes[name][0], self.dt) > 0).all())

        return {edge for stage in stages(graph, is_delayed) for edge in stage.waiting}


def _along(channels: Values, dimensions: int) -> Values:
    return channels.reshape(-1, *(1,) * (dimensions - 1))


def refuse_fixed_point(name: str, rule: UpdateRule) -> None:
    """Raise Refused for integers, whose rounding no scaling and no shift commutes with."""
    if rule.precision is Precision.FIXED:
        raise Refused(
            Cause.ROUNDING, (name,), f"{name} is computed in fixed point, which rounds scaled and shifted values otherwise"
        )
