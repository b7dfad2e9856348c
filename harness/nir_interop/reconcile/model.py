"""What a rewriting is made of: a pass, and what a pass answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph
from nir_interop.rule import UpdateRule
from nir_interop.vocabulary import Cause


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
