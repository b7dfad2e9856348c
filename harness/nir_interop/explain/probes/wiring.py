"""Structural probes of wiring: joins, neurons that feed themselves, and several Outputs."""

from __future__ import annotations

from collections.abc import Mapping

from nir_interop.explain.probes.structural import CELL, Structural, dense, node, weight
from nir_interop.graphs import Node

JOIN = "join"
"""Stands among the primitives for several edges into one node."""

RECURRENCE = "recurrence"
"""Stands among the primitives for neurons that feed themselves through weights."""

NESTING = "nesting"
"""Stands among the primitives for graphs within a graph, and for names that do not sort in the order in which nodes run."""

LAYER, ITSELF = "a layer in a graph of its own", "a recurrence in a graph of its own"
EARLY, LAYERS_EARLY = f"{ITSELF}, named before its source", "layers named against the order in which they run"
FEEDBACK_LAST = "one layer that feeds itself, listed behind the edge that leads on"
LATE_INPUT = "one layer that feeds itself, its source named before the Input"
"""Probes of one graph under other names: evidence is in what differs between them."""

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
    last = (*once[:2], ("one", "mix"), ("mix", "output"), *once[2:])
    onward = (("one", "mix"), ("mix", "two"), ("two", "anew"), ("anew", "two"), ("two", "output"))
    return [
        Structural("one layer that feeds itself", RECURRENCE, first, (*once, ("one", "output")), (4,), (3,)),
        Structural("two layers that feed themselves", RECURRENCE, first | second, (*once, *onward), (4,), (3,)),
        Structural(FEEDBACK_LAST, RECURRENCE, first | {"mix": dense(2, 3)}, last, (4,), (2,)),
        _called(LATE_INPUT, RECURRENCE, {"into": "before"}),
    ]


def _called(name: str, kind: str, other: Mapping[str, str], inside: str = "") -> Structural:
    """Weights, and a layer that feeds itself behind them, some under other names; the layer in a graph of its own or not."""
    nodes: dict[str, Node | str] = {"into": dense(3, 4), "one": CELL, "again": node("Linear", weight=weight(3, 3))}
    edges = (("input", "into"), ("into", "one"), ("one", "again"), ("again", "one"), ("one", "output"))

    def to(each: str) -> str:
        return other.get(each, each)

    return Structural(
        name,
        kind,
        {to(each): one for each, one in nodes.items()},
        tuple((to(source), to(target)) for source, target in edges),
        (4,),
        (3,),
        inside={inside: {"lif": "one", "w_rec": "again"}} if inside else {},
    )


def _nesting() -> list[Structural]:
    layer: dict[str, Node | str] = {"into": dense(3, 4), "mix": dense(3, 3), "one": CELL}
    path = (("input", "into"), ("into", "mix"), ("mix", "one"), ("one", "output"))
    back = (("input", "second"), ("second", "first"), ("first", "again"), ("again", "output"))
    return [
        Structural(LAYER, NESTING, layer, path, (4,), (3,), inside={"layer": {"mix": "mix", "lif": "one"}}),
        _called(ITSELF, NESTING, {}, "layer"),
        _called(EARLY, NESTING, {"into": "weights"}, "layer"),
        Structural(LAYERS_EARLY, NESTING, {"second": dense(3, 4), "first": CELL, "again": dense(3, 3)}, back, (4,), (3,)),
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


WIRING: tuple[Structural, ...] = (*_joins(), *_recurrences(), *_nesting(), *_outputs())
