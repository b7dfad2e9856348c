"""Whether it is several Inputs or Outputs at which a library fails: the same graph with one in their place tells."""

from __future__ import annotations

from dataclasses import dataclass

from nir_interop.graphs import Graph
from nir_interop.reconcile.model import Refused
from nir_interop.reconcile.wiring import inputs_joined, outputs_gathered, outputs_joined
from nir_interop.vocabulary import Status
from nir_interop.workers.jobs import OK, Compared, Outcome

HANGING = 6.0
"""Seconds after which a graph with several Outputs is tried with one: nirtorch's interpreter may look for the last for ever."""
_SHARE = 1 / 3
"""Of these, what the graph with one may take for the time to be the several Outputs'."""


@dataclass(frozen=True)
class Joined:
    """An inlined graph with one Input and one Output.

    said : what it had several of
    """

    graph: Graph
    said: str


def joined_ends(graph: Graph) -> Joined | None:
    """The same graph with one Input, or one Output, in the place of several; None where it has one of each, or cannot have."""
    found, said = graph, list[str]()
    try:
        for kind, join in (("Input", inputs_joined), ("Output", outputs_joined)):
            if len(graph.of_kind(kind)) > 1:
                found = join(found).graph
                said.append(f"{len(graph.of_kind(kind))} {kind}s")
    except Refused:
        return None
    if len(graph.of_kind("Output")) > 1:
        # What adds up before a layer may not before an Output.
        found = outputs_gathered(found, found.of_kind("Output"))
    return Joined(found, ", and of the ".join(said)) if said else None


def is_late(outcome: Outcome, joined: Outcome) -> bool:
    """Whether a graph had no answer in time, and the one with one Output had long before."""
    return outcome.status == Status.TIMEOUT and joined.status == OK and joined.timing.seconds < _SHARE * HANGING


def told(outcome: Compared, joined: Outcome, said: str) -> str:
    """How a library failed at a graph, with the reason where the graph with one in their place shows it.

    joined : of that graph
    said : what the graph has several of
    """
    words = outcome.error_message
    if joined.status != OK:
        return words
    if outcome.status == Status.TIMEOUT:
        words = words.partition(";")[0]  # more time would not help
    return f"{words}; with one in the place of the {said} it is run"
