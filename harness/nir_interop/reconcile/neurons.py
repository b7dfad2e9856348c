r"""A neuron's numbers under a rule, and the weights before it, which passes about neurons scale and shift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch

from nir_interop.graphs import Array, Graph, Node, Shapes, as_array, components, validate, whole_numbers
from nir_interop.graphs.primitives import DENSE, POOLS
from nir_interop.reconcile.model import Refused
from nir_interop.reference.neurons import (
    LeakyIntegrator,
    Values,
    delay_steps,
    membrane_integrator,
    start_value,
    synapse_integrator,
)
from nir_interop.reference.order import stages
from nir_interop.rule import (
    FIXED_DT,
    LeakUse,
    Order,
    Precision,
    ResetKind,
    TimeStep,
    UpdateRule,
)
from nir_interop.vocabulary import Cause

Shape = tuple[int, ...]


TO_VALUE = (ResetKind.TO_VALUE, ResetKind.TO_ZERO)


PER_NEURON = ("tau", "tau_syn", "tau_mem", "r", "w_in", "v_leak", "v_threshold", "v_reset")
"""Parameters of neurons: one number, or one per neuron."""


@dataclass(frozen=True)
class Coefficients:
    r"""Of :math:`u \leftarrow a\,u + g\,x + c` from :math:`u_0`, one number per neuron each."""

    decay: Values
    gain: Values
    leak: Values
    start: Values


def membrane(node: Node, shape: Shape, dt: float, rule: UpdateRule) -> Coefficients:
    """What a rule makes of a neuron's membrane at a step [s]."""
    rule = rule.but(precision=Precision.FLOAT64)
    plain = membrane_integrator(node, shape, dt, rule.but(leak=LeakUse.IGNORED))
    return _coefficients(plain, membrane_integrator(node, shape, dt, rule), start_value(node, shape, rule), shape)


def synapse(node: Node, shape: Shape, dt: float, rule: UpdateRule) -> Coefficients:
    """What a rule makes of a current-based neuron's synapse at a step [s]."""
    rule = rule.but(precision=Precision.FLOAT64)
    leaking = synapse_integrator(node, shape, dt, rule)
    return _coefficients(synapse_integrator(node, shape, dt, rule.but(leak=LeakUse.IGNORED)), leaking, leaking.start, shape)


def _coefficients(plain: LeakyIntegrator, leaking: LeakyIntegrator, start: Values, shape: Shape) -> Coefficients:
    """The numbers of a integrator, from what it does to 0 and to 1, which says them without rounding."""

    def numbers(integrator: LeakyIntegrator, x: float) -> Values:
        return np.array(integrator.drive(torch.full(shape, x, dtype=torch.float64)).numpy())

    ones, zeros = (torch.full(shape, value, dtype=torch.float64) for value in (1.0, 0.0))
    return Coefficients(np.array(plain.advance(ones, zeros).numpy()), numbers(plain, 1.0), numbers(leaking, 0.0), start)


def step_of(rule: UpdateRule, dt: float) -> float:
    """The step [s] that a rule takes where it does not guess it from the neuron."""
    return {TimeStep.FIXED: FIXED_DT, TimeStep.UNIT: 1.0}.get(rule.time_step, dt)


def agree(one: Values, other: Values) -> bool:
    """Whether numbers are the same but for what their computation rounds."""
    return bool(np.allclose(one, other, rtol=1e-12, atol=1e-300))


def with_values(node: Node, shape: Shape, values: Mapping[str, Values]) -> Node:
    """A neuron with other parameters: single numbers where all of its parameters are, else one per neuron throughout."""
    names = [name for name in PER_NEURON if name in node.params]
    single = all(node[name].ndim == 0 for name in names) and all((value == value.flat[0]).all() for value in values.values())
    changed = {}
    for name in names:
        value = values.get(name, np.asarray(node[name]))
        value = value.flat[0] if single else np.broadcast_to(_shaped(value, shape), shape)
        changed[name] = as_precise(np.asarray(value), node[name])
    return Node(node.kind, {**node.params, **changed})


def as_precise(values: Values, before: Array) -> Array:
    """Numbers in the precision of those whose place they take, where that loses nothing; else in double precision."""
    with np.errstate(over="ignore"):
        narrow = values.astype(before.dtype if before.dtype.kind == "f" else np.float64)
    return as_array(narrow if np.array_equal(narrow, values) else values)


def _shaped(value: Values, shape: Shape) -> Values:
    return value.reshape(()) if value.size == 1 else value.reshape(shape)


def lossless(wide: Array, dtype: np.dtype[Any]) -> Array:
    """Numbers in the precision that a file had them in, where that loses nothing; else in double precision."""
    narrow: Array = wide.astype(dtype if dtype.kind == "f" else np.float64)
    return narrow if np.array_equal(narrow, wide) else wide


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


def cyclic(graph: Graph) -> set[str]:
    """The nodes that are on a cycle."""
    edges = set(graph.edges)
    return {name for part in components(graph.nodes, graph.edges) for name in part if len(part) > 1 or (name, name) in edges}


def unlike_parts(name: str, rule: UpdateRule) -> str:
    """Why a current-based neuron is not its synapse and then its membrane."""
    if rule.order is Order.TOGETHER:
        return f"the synapse of {name} decays while it feeds the membrane"
    return f"the membrane of {name} hears its synapse one step late"
