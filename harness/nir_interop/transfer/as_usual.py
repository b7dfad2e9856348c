"""Whether a library fails at several Inputs or Outputs, or at a cycle that nothing feeds: the same graph without them tells."""

from __future__ import annotations

from dataclasses import dataclass

from nir_interop.graphs import Graph, unfed_cycles
from nir_interop.printable import listed
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.wiring import cycles_fed, inputs_joined, outputs_gathered, outputs_joined
from nir_interop.vocabulary import Status
from nir_interop.workers.jobs import OK, Compared, Outcome

HANGING = 6.0
"""Seconds after which such a graph is tried without them: nirtorch's interpreter may look for ever for the next node."""
_SHARE = 1 / 3
"""Of these, what the graph without them may take for the time to be theirs."""


@dataclass(frozen=True)
class Usual:
    """An inlined graph with one Input and one Output, whose cycles are all fed.

    said : with what, in the place of what it was
    nodes : that were otherwise
    """

    graph: Graph
    said: str
    nodes: tuple[str, ...]


def as_usual(graph: Graph, dt: float) -> Usual | None:
    """The same graph as most are, at a step [s]: one Input, one Output, cycles that are fed; None where it cannot be so."""
    found, said, nodes = graph, list[str](), list[str]()
    try:
        for kind, join in (("Input", inputs_joined), ("Output", outputs_joined)):
            names = graph.of_kind(kind)
            if len(names) > 1:
                found = join(found).graph
                said.append(f"one in the place of the {len(names)} {kind}s")
                nodes += names
        if cycles := unfed_cycles(graph.nodes, graph.edges):
            found = cycles_fed(found, dt).graph
            said.append(f"zeros fed to the cycle of {listed(cycles[0])}")
            nodes += [name for members in cycles for name in members]
    except Refused:
        return None
    if len(graph.of_kind("Output")) > 1:
        # What adds up before a layer may not before an Output.
        found = outputs_gathered(found, found.of_kind("Output"))
    return Usual(found, " and ".join(said), tuple(nodes)) if said else None


def is_late(outcome: Outcome, joined: Outcome) -> bool:
    """Whether a graph had no answer in time, and the same without them had long before."""
    return outcome.status == Status.TIMEOUT and joined.status == OK and joined.timing.seconds < _SHARE * HANGING


def told(outcome: Compared, said: str) -> str:
    """How a library failed at a graph, and that it runs the same one with something in its place."""
    words = outcome.error_message
    if outcome.status == Status.TIMEOUT:
        words = words.partition(";")[0]  # more time would not help
    return f"{words}; with {said} it is run"
