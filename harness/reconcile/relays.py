"""Joins of what different spiking layers say, for a target that misruns joins: their layers become one, with relays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.graphs import SPIKING, Array, Graph, Node, components, validate
from harness.graphs.primitives import DENSE
from harness.reconcile.model import Pass, Refused, Rewritten, Side
from harness.reconcile.operators import lossless
from harness.reconcile.steps import PER_NEURON, TO_VALUE, membrane, step_of
from harness.reconcile.wiring import joins, summed
from harness.rule import Precision, SpikeFrom, SpikesPerStep, TimeStep, Timing, Use
from harness.vocabulary import Cause


def relay_neurons(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Let what joins come from one layer, which other layers' spikes pass through in the same step.

    A skip over a layer *b* takes a relay *r* for each neuron of *a* that is heard, in the layer of *b*; with *s* the spikes,

    .. math:: s_b = f(W_b s_a + c),\; x = W_2 s_b + W_1 s_a \quad\to\quad
        (s_b, s_r) = f(W_b s_a + c,\; s_a),\; x = (W_2\; W_1)\,(s_b, s_r)

    A relay is a neuron with :math:`\tau = h`, :math:`R = 1`, nothing to leak to, reset to 0 and half of its gain *g* as its
    threshold (1/2 where :math:`g = 1`, as by a forward Euler step): from 0, a spike brings it to :math:`g > \theta` in the same
    step, and no spike leaves it at 0; after either it is at 0 again, since it is reset or (:math:`a = 0`) keeps nothing.  So
    :math:`s_r = s_a`.  Two layers that hear the same become one, :math:`W = (W_b; W_a)`.  A skip over several layers is one
    over each.  Spikes are as they were; the neurons of a layer with relays come first in it.

    Needed are, on both sides: one spike a step, read from the updated membrane, a reset in the same step to a value (or a
    decay of 0), and parameters that may differ from neuron to neuron.

    Refuses where this is not so, or spiking sources are not fed through LIF layers of dense weights from a common one, which
    itself spikes if it is skipped from, and cycles.  What does not come from spikes is left to other passes.
    """
    work = _Merging(graph, source, target)
    for join in sorted(joins(graph, target), key=work.home.__getitem__):
        work.align(join)
    if not work.touched:
        return None
    why = "the importer misruns joins; spikes of different layers reach this one through relays in one layer"
    return Rewritten(work.graph(), tuple(sorted(work.touched & graph.nodes.keys())), why)


@dataclass
class _Merging:
    """A graph whose layers are being merged; the graph it is made from stays as it was.

    touched : nodes that were changed, by name
    home : node → its place in the order in which nodes are run
    """

    before: Graph
    source: Side
    target: Side

    def __post_init__(self) -> None:
        self.nodes: dict[str, Node | Graph] = dict(self.before.nodes)
        self.edges = list(dict.fromkeys(self.before.edges))
        self.touched: set[str] = set()
        self._relays: dict[tuple[str, str], dict[int, int]] = {}
        parts = components(self.nodes, self.edges)
        self.home = {name: number for number, part in enumerate(parts) for name in part}
        self._cyclic = {name for part in parts if len(part) > 1 for name in part}

    def graph(self) -> Graph:
        return Graph(self.nodes, tuple(self.edges), self.before.metadata)

    def align(self, join: str) -> None:
        """Let all that joins at a node from spiking layers be weights of one of them.  Raises Refused."""
        named = [name for name in self._into(join) if self.home.get(name) != self.home[join]]
        spiking = {self._heard(name) for name in named}
        if len(spiking) < 2 or any(name is None or self.nodes[name].kind not in SPIKING for name in spiking):
            return
        self._join = join
        self._named = tuple(sorted({name if name in self.before.nodes else self._into(name)[0] for name in named}))
        if len(validate(self.before)[join][0]) != 1:
            self._refuse("what joins is no vector")
        branches = [self._branch(name) for name in named]
        while len(ends := sorted({self._into(branch)[0] for branch in branches})) > 1:
            chains = sorted((self._chain(end) for end in ends[:2]), key=len)
            common = next((name for name in chains[0] if name in chains[1]), "")
            if not common:
                self._refuse("they are not reached from a common source through LIF layers of dense weights")
            short, long = sorted((chain[: chain.index(common)] for chain in chains), key=len)
            if short:
                self._unite(long[-1], short[-1])
            else:
                self._pass_through(common, long[-1], [each for each in branches if self._into(each) == [common]])
        self.nodes[branches[0]] = summed([self._node(branch) for branch in branches])
        self.touched.update(branches)
        for branch in branches[1:]:
            del self.nodes[branch]
            self.edges = [edge for edge in self.edges if branch not in edge]

    def _heard(self, name: str) -> str | None:
        """The spiking layer whose spikes a source of a join gives, itself or weighted; None for what is neither."""
        if self.nodes[name].kind in SPIKING:
            return name
        sources = self._into(name)
        return sources[0] if self.nodes[name].kind in DENSE and len(sources) == 1 else None

    def _branch(self, name: str) -> str:
        """Weights of what feeds the join which feed nothing else: the node itself, a copy, or an identity."""
        node = self.nodes[name]
        if isinstance(node, Node) and node.kind in DENSE:
            if self._out_of(name) == [self._join]:
                return name
            return self._between(name, self._join, node, self._into(name)[0])
        size = validate(self.before)[name][1][0]
        return self._between(name, self._join, _identity(size), name)

    def _between(self, name: str, end: str, node: Node, source: str) -> str:
        """Put weights in the place of an edge, which hear a node."""
        new = f"{name}>{end}"
        while new in self.nodes:
            new += "_"
        self.nodes[new] = node
        place = self.edges.index((name, end))
        self.edges[place : place + 1] = [(source, new), (new, end)]
        self.touched |= {name, end} & self.before.nodes.keys()
        return new

    def _chain(self, name: str) -> list[str]:
        """A neuron, the one that feeds it through dense weights of its own, and so on until something else does."""
        found = [name]
        while self.nodes[found[-1]].kind == "LIF" and not {found[-1], *self._into(found[-1])} & self._cyclic:
            into = self._into(found[-1])
            own = len(into) == 1 and self.nodes[into[0]].kind in DENSE and self._out_of(into[0]) == [found[-1]]
            if not own or len(self._into(into[0])) != 1:
                break
            found.append(self._into(into[0])[0])
        return found

    def _pass_through(self, name: str, layer: str, branches: list[str]) -> None:
        """Give a layer relays of what branches hear of that which feeds its weights, and let them hear those."""
        kind = self.nodes[name].kind
        if kind not in SPIKING or any(each.rule(kind).spikes is not SpikesPerStep.ONE for each in (self.source, self.target)):
            self._refuse(f"what {name} gives is not one spike a step or none")
        (weights,) = self._into(layer)
        heard = np.any([self._node(branch)["weight"].any(axis=0) for branch in branches], axis=0)
        heard[0] |= not heard.any()
        outputs, relays = len(self._node(weights)["weight"]), self._relays.setdefault((name, layer), {})
        new = [int(number) for number in np.flatnonzero(heard) if int(number) not in relays]
        if new:
            self._grow(layer, outputs, len(new), self._node(layer), self._relay(len(new)))
            self._stack(weights, np.eye(heard.size)[new], None)
            relays |= {number: outputs + place for place, number in enumerate(new)}
        for branch in branches:
            self._listen(branch, name, layer, outputs + len(new), {n: relays[n] for n in np.flatnonzero(heard).tolist()})

    def _unite(self, layer: str, other: str) -> None:
        """Make one layer of two whose weights hear the same."""
        (weights,), (gone,) = self._into(layer), self._into(other)
        outputs, more = (len(self._node(each)["weight"]) for each in (weights, gone))
        self._grow(layer, outputs, more, self._node(layer), self._node(other))
        added = self._node(gone)
        self._stack(weights, added["weight"], added.get("bias"))
        places = {number: outputs + number for number in range(more)}
        for end in self._out_of(other):
            self._listen(self._weights(other, end, more), other, layer, outputs + more, places)
        self._relays = {pair: relays for pair, relays in self._relays.items() if other not in pair}
        self.touched |= {gone, other}
        del self.nodes[gone], self.nodes[other]
        self.edges = [edge for edge in self.edges if not {gone, other} & set(edge)]

    def _grow(self, layer: str, outputs: int, more: int, own: Node, other: Node) -> None:
        """Neurons behind those of a layer; all that hears it does not hear them."""
        names = [name for name in PER_NEURON if name in own.params]
        merged = {}
        for name in names:
            first, second = (np.broadcast_to(each[name].reshape(-1), size) for each, size in ((own, outputs), (other, more)))
            merged[name] = lossless(np.concatenate([first, second]).astype(np.float64), own[name].dtype)
        self._check(merged)
        for end in self._out_of(layer):
            self._widen(self._weights(layer, end, outputs), more)
        self.nodes[layer] = Node(own.kind, merged)
        self.touched.add(layer)

    def _weights(self, layer: str, end: str, size: int) -> str:
        """What a layer feeds, if that is weights which hear nothing else; else an identity before it."""
        if self.nodes[end].kind in DENSE and self._into(end) == [layer]:
            return end
        return self._between(layer, end, _identity(size), layer)

    def _stack(self, weights: str, below: Array, bias: Array | None) -> None:
        """More rows for weights."""
        node = self._node(weights)
        weight, old = node["weight"], node.get("bias")
        params = {"weight": lossless(np.vstack([weight, below]).astype(np.float64), weight.dtype)}
        if old is not None or bias is not None:
            parts = [_row(old, len(weight)), _row(bias, len(below))]
            params["bias"] = lossless(np.concatenate(parts), (weight if old is None else old).dtype)
        self.nodes[weights] = Node("Affine" if "bias" in params else "Linear", params)
        self.touched.add(weights)

    def _listen(self, branch: str, name: str, layer: str, size: int, places: Mapping[int, int]) -> None:
        """Let weights hear a layer of a size in the place of a node, each of its neurons where it has its place."""
        self.edges[self.edges.index((name, branch))] = (layer, branch)
        node = self._node(branch)
        weight = np.zeros((len(node["weight"]), size), dtype=node["weight"].dtype)
        weight[:, list(places.values())] = node["weight"][:, list(places)]
        self.nodes[branch] = Node(node.kind, {**node.params, "weight": weight})
        self.touched.add(branch)

    def _widen(self, branch: str, more: int) -> None:
        """Columns of zeros for weights."""
        node = self._node(branch)
        weight = np.pad(node["weight"], ((0, 0), (0, more)))
        self.nodes[branch] = Node(node.kind, {**node.params, "weight": weight})
        self.touched.add(branch)

    def _relay(self, size: int) -> Node:
        """Neurons that say in each step what they hear in it."""
        tau = step_of(self.source.rule("LIF"), self.source.dt)
        plain = {"tau": tau, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
        node = Node("LIF", {name: np.full(size, value) for name, value in plain.items()})
        gains = []
        for side in (self.source, self.target):
            rule = side.rule("LIF")
            numbers = membrane(node, (size,), side.dt, rule)
            forgets = rule.reset in TO_VALUE or not numbers.decay.any()
            if rule.timing is not Timing.SAME_STEP or rule.spike_from is not SpikeFrom.UPDATED or not forgets:
                self._refuse("no neuron passes a spike on in the same step and forgets it")
            if not (numbers.gain > 0).all():
                self._refuse("its input does not reach a neuron that keeps nothing")
            gains.append(float(numbers.gain.min()))
        return Node("LIF", {**node.params, "v_threshold": np.full(size, min(gains) / 2)})

    def _check(self, merged: dict[str, Array]) -> None:
        """Refuse neurons that are not each what they would be alone."""
        for rule in (self.source.rule("LIF"), self.target.rule("LIF")):
            alone = rule.threshold is not Use.COLLAPSED and rule.resistance is not Use.COLLAPSED
            if not alone or rule.time_step is TimeStep.INFERRED or rule.spikes is not SpikesPerStep.ONE:
                self._refuse("the neurons of a layer are not each what they would be alone, one spike a step")
            if rule.precision is Precision.FIXED:
                self._refuse("fixed point rounds a relay's numbers")
        known = self.target.domain.get("LIF")
        for name, values in merged.items():
            spread = (values != values.flat[0]).any()
            words = f"heterogeneous {name}"
            if spread and any(words in refusal.parameter.split(", ") for refusal in (known.refuses if known else ())):
                self._refuse(f"the importer takes one {name} for all neurons of a layer")

    def _refuse(self, why: str) -> None:
        raise Refused(Cause.JOIN_MISRUN, (self._join, *self._named), f"the importer misruns joins; {why}")

    def _node(self, name: str) -> Node:
        node = self.nodes[name]
        if not isinstance(node, Node):
            raise Refused(Cause.JOIN_MISRUN, (name,), f"{name} is a graph of its own; inline it")
        return node

    def _into(self, name: str) -> list[str]:
        return [source for source, end in self.edges if end == name]

    def _out_of(self, name: str) -> list[str]:
        return [end for source, end in self.edges if source == name]


def _identity(size: int) -> Node:
    return Node("Linear", {"weight": np.eye(size, dtype=np.float32)})


def _row(bias: Array | None, size: int) -> Array:
    return np.zeros(size) if bias is None else np.broadcast_to(bias.reshape(-1), size).astype(np.float64)


RELAYS: tuple[Pass, ...] = (
    Pass(
        "relay_neurons",
        (),
        frozenset({Cause.JOIN_MISRUN}),
        "outputs and spikes; layers have relays behind their neurons",
        relay_neurons,
    ),
)
"""Before the passes of wiring, which refuse what is left."""
