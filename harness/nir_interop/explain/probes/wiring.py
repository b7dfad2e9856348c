"""Structural probes of wiring: joins, neurons that feed themselves, and several Outputs."""

from __future__ import annotations

from collections.abc import Mapping

from nir_interop.explain.probes.structural import CELL, Structural, dense, node, weight
from nir_interop.fingerprint import Condition, Join, Nesting, Outputs, Recurrence, Wiring
from nir_interop.graphs import Node


def _joins() -> list[Structural]:
    branches = {"left": dense(3, 4), "right": node("Affine", weight=weight(3, 4) * 2, bias=weight(3))}
    fan = (("input", "left"), ("input", "right"))
    both: dict[str, Node | str] = {**branches, "one": CELL, "two": CELL}
    spikes = (*fan, ("left", "one"), ("right", "two"))
    onward: dict[str, Node | str] = {"mix": dense(2, 3)}
    further: dict[str, Node | str] = {"mix": dense(3, 3), "blend": node("Linear", weight=weight(3, 3).T.copy())}
    return [
        Structural(
            Join.BRANCHES_INTO_LAYER,
            Wiring.JOIN,
            branches | onward,
            (*fan, ("left", "mix"), ("right", "mix"), ("mix", "output")),
            (4,),
            (2,),
        ),
        Structural(
            Join.BRANCHES_INTO_NEURON,
            Wiring.JOIN,
            branches | {"cell": CELL},
            (*fan, ("left", "cell"), ("right", "cell"), ("cell", "output")),
            (4,),
            (3,),
        ),
        Structural(
            Join.SPIKES_INTO_LAYER,
            Wiring.JOIN,
            both | onward,
            (*spikes, ("one", "mix"), ("two", "mix"), ("mix", "output")),
            (4,),
            (2,),
        ),
        Structural(
            Join.SPIKES_INTO_NEURON,
            Wiring.JOIN,
            both | further | {"cell": CELL},
            (*spikes, ("one", "mix"), ("two", "blend"), ("mix", "cell"), ("blend", "cell"), ("cell", "output")),
            (4,),
            (3,),
        ),
        Structural(
            Join.SKIP,
            Wiring.JOIN,
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
        Structural(
            Join.BRANCHES_INTO_OUTPUT, Wiring.JOIN, branches, (*fan, ("left", "output"), ("right", "output")), (4,), (3,)
        ),
    ]


def _recurrences() -> list[Structural]:
    first: dict[str, Node | str] = {"into": dense(3, 4), "one": CELL, "again": node("Linear", weight=weight(3, 3))}
    once = (("input", "into"), ("into", "one"), ("one", "again"), ("again", "one"))
    second: dict[str, Node | str] = {"mix": dense(3, 3), "two": CELL, "anew": node("Linear", weight=weight(3, 3).T.copy())}
    last = (*once[:2], ("one", "mix"), ("mix", "output"), *once[2:])
    onward = (("one", "mix"), ("mix", "two"), ("two", "anew"), ("anew", "two"), ("two", "output"))
    return [
        Structural(Recurrence.ONE_LAYER, Wiring.RECURRENCE, first, (*once, ("one", "output")), (4,), (3,)),
        Structural(Recurrence.TWO_LAYERS, Wiring.RECURRENCE, first | second, (*once, *onward), (4,), (3,)),
        Structural(Recurrence.FEEDBACK_LISTED_LAST, Wiring.RECURRENCE, first | {"mix": dense(2, 3)}, last, (4,), (2,)),
        _called(Recurrence.SOURCE_BEFORE_INPUT, Wiring.RECURRENCE, {"into": "before"}),
    ]


def _called(condition: Condition, subject: Wiring, other: Mapping[str, str], inside: str = "") -> Structural:
    """Weights, and a layer that feeds itself behind them, some under other names; the layer in a graph of its own or not."""
    nodes: dict[str, Node | str] = {"into": dense(3, 4), "one": CELL, "again": node("Linear", weight=weight(3, 3))}
    edges = (("input", "into"), ("into", "one"), ("one", "again"), ("again", "one"), ("one", "output"))

    def to(each: str) -> str:
        return other.get(each, each)

    return Structural(
        condition,
        subject,
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
        Structural(Nesting.LAYER, Wiring.NESTING, layer, path, (4,), (3,), inside={"layer": {"mix": "mix", "lif": "one"}}),
        _called(Nesting.RECURRENCE, Wiring.NESTING, {}, "layer"),
        _called(Nesting.RECURRENCE_BEFORE_SOURCE, Wiring.NESTING, {"into": "weights"}, "layer"),
        Structural(
            Nesting.LAYERS_AGAINST_ORDER,
            Wiring.NESTING,
            {"second": dense(3, 4), "first": CELL, "again": dense(3, 3)},
            back,
            (4,),
            (3,),
        ),
    ]


def _outputs() -> list[Structural]:
    apart: dict[str, Node | str] = {"left": dense(3, 4), "right": dense(2, 4), "second": node("Output", shape=(2,))}
    edges = (("input", "left"), ("input", "right"), ("left", "output"), ("right", "second"))
    chain: dict[str, Node | str] = {"left": dense(3, 4), "right": dense(2, 3), "second": node("Output", shape=(2,))}
    on = (("input", "left"), ("left", "right"), ("left", "output"), ("right", "second"))
    return [
        Structural(Outputs.BRANCHES, Wiring.SEVERAL_OUTPUTS, apart, edges, (4,), (3,)),
        Structural(Outputs.HALFWAY, Wiring.SEVERAL_OUTPUTS, chain, on, (4,), (3,)),
    ]


WIRING: tuple[Structural, ...] = (*_joins(), *_recurrences(), *_nesting(), *_outputs())
