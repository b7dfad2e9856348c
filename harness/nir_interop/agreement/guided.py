r"""Whether a difference is rounding, decided by a replay that is guided by the target.

The graph runs under the target's rule in float64.  Beside each membrane runs a bound of what float32 may have done to it:

.. math:: e \leftarrow a\,e + g\,e_i + u\,(k \max|g x| + 4\,(|v| + |g x|)),\quad u = 2^{-24},\quad k = 4\sqrt{n}

where *n* is the number of additions of the longest chain of sums that feeds the neuron (dot products, windows and joins back
to the neurons or the Input before it) and :math:`\max|g x|` is taken over the layer, which stands for
:math:`\sum|w||x|`; :math:`4\sqrt n` in the place of *n* is the bound that holds with probability > 0.999 (Higham & Mary 2019,
10.1137/18M1226312).  A reset to a value makes *e* zero.  Where a membrane lies within *e* of the threshold the target's
decision is taken; every other decision of every recorded node must be the target's own, and so must the outputs, or
values within the bound.  Only neurons are guided: a Threshold node decides for itself.

A number beyond the largest of float32 may have become anything, not-a-number in the end: its bound is infinite.

A membrane that is the threshold to the last bit of double precision is a tie: there ``>`` and ``>=`` part, and so does what
rounds.  Rounding falls on either side; a side that always falls on the other is a comparison, and no rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nir_interop.agreement.replay import rules_for, simulator_for
from nir_interop.compare.divergence import differs, match_nodes, output_of
from nir_interop.compare.rasters import is_counts
from nir_interop.errors import InvalidGraph
from nir_interop.graphs import NEURONS, Array, Graph, Node, inline
from nir_interop.recording import Recording
from nir_interop.reference.neurons import LeakyIntegrator, State, SteppedNeuron, Trace
from nir_interop.rule import NIR_MEANING, Order, Precision, ResetKind, UpdateRule

UNIT = 2.0**-24
"""Unit roundoff of float32."""

LARGEST = (2 - 2.0**-23) * 2.0**127
"""The largest number of float32."""


@dataclass
class Guidance:
    """How a guided replay went.

    proven : nothing differs but decisions within the bound
    guided : decisions that the target was asked for
    ties, ties_kept : of the decisions at the threshold itself, those in which the target left the rule, and those in which it
        kept to it
    single_ties : of the guided ones, those within two floats of single precision of the threshold
    tied : whether the target left it at every tie, which the rule's own comparison does not tell from rounding
    wrong : decisions away from the threshold that are not the target's
    beyond : of those asked for, where a number was beyond the largest of float32, which is no rounding
    value_bound : the largest bound of a membrane without threshold
    recording : of the guided replay
    """

    proven: bool = False
    guided: int = 0
    ties: int = 0
    ties_kept: int = 0
    single_ties: int = 0
    wrong: int = 0
    beyond: int = 0
    value_bound: float = 0.0
    recording: Recording | None = None

    @property
    def tied(self) -> bool:
        return self.ties > 0 and not self.ties_kept

    @property
    def rounds(self) -> bool:
        """Whether nothing but rounding makes a difference."""
        return self.proven and not self.beyond


class _Bounded:
    """An integrator, and beside its value a bound of what single precision may have done to it, see above.

    bound, before : after the last step, and after the one before it
    inherited : bounds of what feeds it, step by step; None where that is exact but for its sums
    """

    def __init__(self, integrator: LeakyIntegrator, shape: tuple[int, ...], sums: float, largest: float) -> None:
        self.plain, self.sums, self.largest = integrator, sums, largest
        kept, driven, silent = integrator.responses(shape)
        self.kept, self.weight = kept.abs(), (driven - silent).abs()
        self.bound = self.before = torch.zeros(())
        self.inherited: Tensor | None = None
        self.noise: Iterator[Tensor] = iter(())
        self.bounds: list[Tensor] = []

    @property
    def integrator(self) -> LeakyIntegrator:
        """The same integrator; whoever steps it steps its bound."""
        return LeakyIntegrator(self.drive, self.advance, self.plain.start)

    def drive(self, x: Tensor) -> Tensor:
        drive = self.plain.drive(x)
        if self.inherited is None:
            largest = drive.abs().max() if drive.numel() else torch.zeros((), dtype=drive.dtype)
            noise = UNIT * (self.sums * largest + 4 * drive.abs())
        else:
            noise = UNIT * 8 * drive.abs() + self.weight * self.inherited
        self.noise, self.bounds = iter(noise), []
        return drive

    def advance(self, value: Tensor, step: Tensor) -> Tensor:
        value, self.before = self.plain.advance(value, step), self.bound
        grown = self.kept * self.before + next(self.noise) + 4 * UNIT * value.abs()
        over = (value.abs() > self.largest) | (grown > self.largest)
        self.bound = torch.where(over, torch.full_like(grown, torch.inf), grown)
        self.bounds.append(self.bound)
        return value

    def forget(self, where: Tensor) -> None:
        """What is set to a value has no error."""
        self.bound = torch.where(where, torch.zeros_like(self.bound), self.bound)


class _Guided(SteppedNeuron):
    r"""A neuron that takes another's decisions, axes (T, B, \*shape), where rounding may have made them."""

    def __init__(
        self,
        node: Node,
        shape: tuple[int, ...],
        dt: float,
        rule: UpdateRule,
        decisions: Tensor | None,
        sums: int,
        tally: Guidance,
    ) -> None:
        super().__init__(node, shape, dt, rule)
        self.decisions, self.tally, self.steps = decisions, tally, 0
        finite = all(np.isfinite(value).all() for value in node.params.values() if isinstance(value, np.ndarray))
        factor, largest = 4.0 * float(np.sqrt(sums)), LARGEST if finite else float("inf")
        self.bounded = _Bounded(self.membrane, shape, factor, largest)
        self.membrane = self.bounded.integrator
        self.bounded_synapse = None if self.synapse is None else _Bounded(self.synapse, shape, factor, largest)
        if self.bounded_synapse is not None:
            self.synapse = self.bounded_synapse.integrator
        if self.spiking:
            self.alone, self.fire = self.fire, self._guided
            if rule.reset in (ResetKind.TO_VALUE, ResetKind.TO_ZERO):
                self.plainly, self.reset = self.reset, self._reset_to_value

    def start(self, batch: int) -> State:
        """The state before the first step; ``e`` and ``ei`` bound what rounding did, ``t`` counts steps."""
        state = super().start(batch)
        zero = torch.zeros_like(state["v"])
        return state | {"e": zero, "ei": zero.clone(), "t": torch.zeros(())}

    def sequence(self, x: Tensor, state: State) -> Trace:
        """Advance by as many steps as ``x`` has."""
        self.steps, self.bounded.bound = int(state["t"]), state["e"]
        trace = super().sequence(x, state)
        kept = trace.state | {"e": self.bounded.bound, "t": state["t"] + len(x)}
        if self.bounded_synapse is not None:
            kept["ei"] = self.bounded_synapse.bound
        if not self.spiking:
            self.tally.value_bound = max(self.tally.value_bound, float(kept["e"].max()) if kept["e"].numel() else 0.0)
        return Trace(trace.output, kept, trace.membrane)

    def ahead(self, state: State) -> Tensor:
        """The decisions of the next step; they are counted when the neuron advances."""
        counted = dict(vars(self.tally))
        self.steps, self.bounded.bound, self.bounded.before = int(state["t"]), state["e"], state["e"]
        spikes = super().ahead(state)
        vars(self.tally).update(counted)
        return spikes

    def current(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """What reaches the membrane; what rounding did to it reaches the membrane's bound."""
        synapse = self.bounded_synapse
        if synapse is None:
            return super().current(x, state)
        synapse.bound = state["ei"]
        current, kept = super().current(x, state)
        after = torch.stack(synapse.bounds)
        before = torch.stack([state["ei"], *synapse.bounds[:-1]])
        self.bounded.inherited = before if self.rule.order is Order.MEMBRANE_FIRST else after
        if self.shares is not None:
            self.bounded.inherited = before * self.shares[0].abs() + after * self.shares[1].abs()
        return current, kept

    def margin(self, compared: Tensor) -> float:
        """None: how close membranes come is what the bounds are there for."""
        return float("inf")

    def _reset_to_value(self, v: Tensor, spikes: Tensor) -> Tensor:
        self.bounded.forget(spikes.bool())
        return self.plainly(v, spikes)

    def _guided(self, decisive: Tensor, spikes: Tensor) -> Tensor:
        """Its own decision, or the target's where rounding may have made that."""
        own = self.alone(decisive, spikes)
        if self.decisions is None:
            return own
        theirs = self.decisions[self.steps]
        self.steps += 1
        other = own != theirs
        self._count_ties(decisive, other)
        if not other.any():
            return own
        bound = self.bounded.before if self.from_previous and not self.reset_first else self.bounded.bound
        high = torch.maximum(own, theirs)
        beyond = torch.isinf(bound)
        apart, float_apart = (decisive - high * self.threshold).abs(), 4 * UNIT * (high * self.threshold).abs()
        near = beyond | (apart <= bound + float_apart)
        near &= (own - theirs).abs() <= 1
        self.tally.beyond += int((other & beyond).sum())
        self.tally.guided += int((other & near).sum())
        self.tally.single_ties += int((other & near & (apart <= float_apart)).sum())
        self.tally.wrong += int((other & ~near).sum())
        return spikes.copy_(torch.where(other & near, theirs, own))

    def _count_ties(self, decisive: Tensor, other: Tensor) -> None:
        tie = decisive == self.threshold
        if tie.any():
            left = int((tie & other).sum())
            self.tally.ties += left
            self.tally.ties_kept += int(tie.sum()) - left


def sums_before(graph: Graph, name: str, seen: frozenset[str] = frozenset()) -> int:
    """Additions on the longest chain of sums from the neurons (or the Input) before a node of an inlined graph to it."""
    longest = 0
    sources = graph.into(name)
    for source in sources:
        node = graph.nodes[source]
        if not isinstance(node, Node) or source in seen or "r" in node.params or node.kind in ("Input", "Threshold"):
            continue
        longest = max(longest, _terms(node) + sums_before(graph, source, seen | {name}))
    return longest + len(sources)


def _terms(node: Node) -> int:
    weight = node.get("weight")
    if weight is not None:
        return int(np.prod(weight.shape[1:])) + 1
    window = node.get("kernel_size")
    return int(np.prod(np.broadcast_to(window, (2,)))) if window is not None else 1


def guided(
    graph: Graph, dt: float, rule: UpdateRule | Mapping[str, UpdateRule], stimulus: Array, target: Recording
) -> Guidance:
    r"""Replay a graph under a rule, guided by a target's recording; stimulus with axes (T, B, \*shape)."""
    tally = Guidance()
    flat = inline(graph)
    flat = Graph({name: replace(node) for name, node in flat.primitives()}, flat.edges)
    rules = rules_for(flat, dict.fromkeys(NEURONS, rule) if isinstance(rule, UpdateRule) else rule)
    if any(each.precision is Precision.FIXED for each in rules.values()):
        return tally
    names = {id(node): name for name, node in flat.primitives()}
    spiking = [name for name, node in flat.primitives() if "v_threshold" in node.params]
    theirs = {name: target.spikes[other] for name, other in match_nodes(spiking, target.spikes).items()}

    def neuron(node: Node, shape: tuple[int, ...], step: float) -> SteppedNeuron:
        name = names[id(node)]
        given = theirs.get(name)
        fits = given is not None and given.shape == (*stimulus.shape[:2], *shape)
        decisions = torch.tensor(np.asarray(given), dtype=torch.float64) if fits else None
        own = rules.get(node.kind, NIR_MEANING).but(precision=Precision.FLOAT64)
        return _Guided(node, shape, step, own, decisions, sums_before(flat, name), tally)

    try:
        tally.recording = simulator_for(flat, dt, rules, neuron).run(stimulus, membranes=False)[0]
    except InvalidGraph:
        return tally
    most = max((sums_before(flat, name) for name in flat.of_kind("Output")), default=0)
    tally.proven = not tally.wrong and _same_outputs(tally, target, 4 * np.sqrt(most) + 4)
    return tally


def _same_outputs(tally: Guidance, target: Recording, factor: float) -> bool:
    ours = None if tally.recording is None else output_of(tally.recording)
    theirs = output_of(target)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return False
    if is_counts(ours) and is_counts(theirs):
        return not differs(ours, theirs).any()
    bound = tally.value_bound + 2 * UNIT * factor * float(np.abs(ours).max(initial=0.0))
    return bool(np.isfinite(bound) and (np.abs(ours.astype(np.float64) - theirs.astype(np.float64)) <= bound).all())
