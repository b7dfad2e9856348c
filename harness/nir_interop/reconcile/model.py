"""What a rewriting is made of: the two sides, a pass, and what a pass answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from nir_interop.fingerprint import Domain
from nir_interop.graphs import NEURONS, Graph
from nir_interop.rule import NIR_MEANING, UpdateRule
from nir_interop.vocabulary import Cause


@dataclass(frozen=True)
class Side:
    """How one end runs graphs.

    dt : the step [s]
    rules : primitive → update rule; NIR's meaning where none is given
    domain : what its importer takes and refuses; empty where that is not known, or of no matter
    """

    name: str
    dt: float
    rules: Mapping[str, UpdateRule] = field(default_factory=dict)
    domain: Domain = field(default_factory=Domain)

    def rule(self, kind: str) -> UpdateRule:
        """The rule of a primitive."""
        return self.rules.get(kind, NIR_MEANING)

    def takes(self, kind: str) -> bool:
        """Whether the importer gave an answer to a primitive in any form, whatever comes behind it.

        Of which nothing is known, it is believed to.
        """
        return self.domain.takes(kind)

    def beside(self, source: Side) -> Side:
        """This side with the rules of a source for neurons that its importer takes in no form, which others stand for."""
        return replace(self, rules={**self.rules, **{kind: source.rule(kind) for kind in NEURONS if not self.takes(kind)}})

    def take(self, axes: tuple[str, ...], other: Side, kinds: tuple[str, ...]) -> Side:
        """This side with some axes of some primitives as another has them."""
        taken = {kind: self.rule(kind).but(**{axis: getattr(other.rule(kind), axis) for axis in axes}) for kind in kinds}
        return replace(self, rules={**self.rules, **taken})


@dataclass(frozen=True)
class Rewritten:
    """What a pass made of a graph.

    nodes : that it changed, named as in the graph that it was given
    why : one sentence
    rules : those under which neurons are meant of which there were none
    """

    graph: Graph
    nodes: tuple[str, ...]
    why: str
    rules: Mapping[str, UpdateRule] = field(default_factory=dict)


class Refused(Exception):
    """A pass is needed, and its condition does not hold.

    Raised before anything is rewritten; the planner lists it under what remains.
    """

    def __init__(self, cause: Cause, nodes: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.cause, self.nodes, self.why = cause, nodes, why


Rewrite = Callable[[Graph, Side, Side], "Rewritten | None"]


@dataclass(frozen=True)
class Pass:
    """A small function graph → graph.

    axes : of the update rule that it makes up for; with none, the graph means the same under every rule, written otherwise
    answers : causes that it may take away
    preserves : what stays as it was, in words
    rewrite : (inlined graph, source, target) → another graph, which under the source's rules with these axes as the target has
        them computes what the graph computed under the source's rules; None where there is nothing to do.  Raises Refused.
        It never changes its input
    nested : it is given graphs within the graph as they stand; to others the graph is given inlined
    """

    name: str
    axes: tuple[str, ...]
    answers: frozenset[Cause]
    preserves: str
    rewrite: Rewrite
    nested: bool = False


def free_name(name: str, taken: Iterable[str]) -> str:
    """A name that no node has."""
    used = set(taken)
    while name in used:
        name += "_"
    return name
