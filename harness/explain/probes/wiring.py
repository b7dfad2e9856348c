"""Structural probes of wiring: joins, neurons that feed themselves, and several Outputs."""

from __future__ import annotations

from harness.explain.probes.structural import CELL, Structural, dense, node, weight
from harness.graphs import Node

JOIN = "join"
"""Stands among the primitives for several edges into one node."""

RECURRENCE = "recurrence"
"""Stands among the primitives for neurons that feed themselves through weights."""

OUTPUTS = "several Outputs"
"""Stands among the primitives for a graph with more than one Output."""


def _joins() -> list[Structural]:
    branches = {"left": dense(3, 4), "right": node("Affine", weight=weight(3, 4) * 2, bias=weight(3))}
    fan = (("input", "left"), ("input", "right"))
    both: dict[str, Node | str] = {**branches, "one": CELL, "two": CELL}
    spikes = (*fan, ("left", "one"), ("right", "two"))
    onward: dict[str, Node | str] = {"mix": dense(2, 3)}
    further: dict[str, Node | str] = {"mix": dense(3, 3), "blend": node("Linear", weight=weight(3, 3).T.copy())}
    return [
        Structural(
            "two branches into a layer",
            JOIN,
            branches | onward,
            (*fan, ("left", "mix"), ("right", "mix"), ("mix", "output")),
            (4,),
            (2,),
        ),
        Structural(
            "two branches into a neuron",
            JOIN,
            branches | {"cell": CELL},
            (*fan, ("left", "cell"), ("right", "cell"), ("cell", "output")),
            (4,),
            (3,),
        ),
        Structural(
            "two spiking sources into a layer",
            JOIN,
            both | onward,
            (*spikes, ("one", "mix"), ("two", "mix"), ("mix", "output")),
            (4,),
            (2,),
        ),
        Structural(
            "two spiking sources into a neuron",
            JOIN,
            both | further | {"cell": CELL},
            (*spikes, ("one", "mix"), ("two", "blend"), ("mix", "cell"), ("blend", "cell"), ("cell", "output")),
            (4,),
            (3,),
        ),
        Structural(
            "a skip past a neuron",
            JOIN,
            {"first": dense(3, 4), "one": CELL, "mix": dense(3, 3), "skip": dense(3, 4), "cell": CELL},
            (
                ("input", "first"),
                ("first", "one"),
                ("one", "mix"),
                ("mix", "cell"),
                ("input", "skip"),
                ("skip", "cell"),
                ("cell", "output"),
            ),
            (4,),
            (3,),
        ),
        Structural("two branches into the Output", JOIN, branches, (*fan, ("left", "output"), ("right", "output")), (4,), (3,)),
    ]


def _recurrences() -> list[Structural]:
    first: dict[str, Node | str] = {"into": dense(3, 4), "one": CELL, "again": node("Linear", weight=weight(3, 3))}
    once = (("input", "into"), ("into", "one"), ("one", "again"), ("again", "one"))
    second: dict[str, Node | str] = {"mix": dense(3, 3), "two": CELL, "anew": node("Linear", weight=weight(3, 3).T.copy())}
    onward = (("one", "mix"), ("mix", "two"), ("two", "anew"), ("anew", "two"), ("two", "output"))
    return [
        Structural("one layer that feeds itself", RECURRENCE, first, (*once, ("one", "output")), (4,), (3,)),
        Structural("two layers that feed themselves", RECURRENCE, first | second, (*once, *onward), (4,), (3,)),
    ]


def _outputs() -> list[Structural]:
    apart: dict[str, Node | str] = {"left": dense(3, 4), "right": dense(2, 4), "second": node("Output", shape=(2,))}
    edges = (("input", "left"), ("input", "right"), ("left", "output"), ("right", "second"))
    chain: dict[str, Node | str] = {"left": dense(3, 4), "right": dense(2, 3), "second": node("Output", shape=(2,))}
    on = (("input", "left"), ("left", "right"), ("left", "output"), ("right", "second"))
    return [
        Structural("two layers, an Output each", OUTPUTS, apart, edges, (4,), (3,)),
        Structural("an Output half-way, and one behind", OUTPUTS, chain, on, (4,), (3,)),
    ]


WIRING: tuple[Structural, ...] = (*_joins(), *_recurrences(), *_outputs())
