"""What a rewriting is made of: a pass, what a pass answers, the plan that passes come to, and what forbids one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nir_interop.agreement.side import Side
from nir_interop.agreement.status import Agreement
from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph
from nir_interop.recording import Recording
from nir_interop.rule import UpdateRule
from nir_interop.verdict import Applied
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


@dataclass(frozen=True)
class Remaining:
    """What no pass takes away."""

    cause: Cause
    nodes: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Plan:
    """A rewritten graph, and how it got there.

    predicted : outputs in which the reference under the target's rules is not what the source computed, rounding apart; None
        where it gives no output of that shape
    measured : the same for the target itself, None where it was not asked, or gave none
    agreement : of what counts of the two, with what rounding came to
    side : the source with the axes of the passes as the target has them: the graph under it computes what the source computed
    answer : what the target itself gave, or how it failed; None where it was not asked
    tried : a plan of more passes that came out worse
    """

    graph: Graph
    passes: tuple[Applied, ...]
    remaining: tuple[Remaining, ...]
    outputs: int
    predicted: int | None
    side: Side
    agreement: Agreement
    measured: int | None = None
    answer: Recording | RunFailed | None = None
    tried: Plan | None = None

    @property
    def asked(self) -> bool:
        """Whether the target itself was asked."""
        return self.answer is not None

    @property
    def wrong(self) -> int | None:
        """The target's own wrong outputs where it was asked, else those that its rules predict."""
        return self.measured if self.asked else self.predicted

    @property
    def right(self) -> bool:
        """Whether no output is wrong."""
        return self.wrong == 0

    @property
    def exact(self) -> bool:
        """Whether every output is the source's to the last bit of single precision."""
        return self.right and self.agreement.unequal == 0


def free_name(name: str, taken: Iterable[str]) -> str:
    """A name that no node has."""
    used = set(taken)
    while name in used:
        name += "_"
    return name
