r"""A network that a user wrote and trained in a library, as that library's adapter sees it.

Nothing here imports a library: the adapter reads the user's module and says what it computes in NIR's terms, layer by layer.
What it says is believed only as far as a recording of the module bears it out (:mod:`nir_interop.transfer`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Run = Callable[[Any, Any], Any]
"""How a user runs a module: (module, input with axes (T, B, \\*shape)) → output with axes (T, B, \\*shape)."""

INPUT, OUTPUT = "input", "output"
"""What the nodes of a module's input and of its output are called."""


@dataclass(frozen=True, eq=False)
class Hint:
    """What the library's own exporter makes wrong, loses or refuses of a layer, in the user's terms.

    concerns : what it is the reason of, as text: causes (:class:`nir_interop.vocabulary.Cause`), and statuses
        (:class:`nir_interop.vocabulary.Status`): ``export_error`` where the exporter fails on this layer, ``read_error`` or
        ``import_error`` where importers fail on what it writes of it
    says : the line of the user's that brings it about, what comes of it, and what to write instead, in a sentence
    """

    concerns: tuple[str, ...]
    says: str


@dataclass(frozen=True, eq=False)
class OwnNode:
    r"""One layer, or one part of a layer that has weights of its own.

    kind : NIR's type name
    params : NIR's own parameter names → values, float64, of the layer's shape where NIR wants one an element; such that NIR's
        equation in steps at the module's step gives what the layer computes, its reset, its start and its order aside
    options : of neurons: how they step, in the words of :meth:`nir_interop.backends.adapter.Adapter.native_label`
    reset : of neurons that spike: ``value``, ``subtract``, or ``none`` where the membrane is never reset
    written : the layer in the user's words, ``snn.Leaky(beta=0.9)``
    hints : what the library's own exporter does with it that the user should know
    """

    kind: str
    params: Mapping[str, Array | str]
    options: str = ""
    reset: str = ""
    written: str = ""
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, eq=False)
class OwnModule:
    r"""What a module computes in a step, written from the module itself.

    nodes : by the module's own names of its layers (``fc1``, ``features.0``); INPUT and OUTPUT are among them
    edges : pairs of names; an edge that closes a cycle waits a step
    dt : the step [s] that its time constants are meant at
    notes : what the reader should know, a sentence each: that batch normalisation went into weights, for instance
    steps : the most steps that the module runs, where its own code says how many; None where its input does
    constant : whether it takes one frame and repeats it, so that an input has to be the same at each step
    """

    nodes: Mapping[str, OwnNode]
    edges: tuple[tuple[str, str], ...]
    dt: float
    notes: tuple[str, ...] = field(default=())
    steps: int | None = None
    constant: bool = False


def hints_about(own: OwnModule, concerns: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What a module's layers have to say of some causes and statuses: sentence → the layers that say it."""
    asked = {*concerns}
    found: dict[str, tuple[str, ...]] = {}
    for name, node in own.nodes.items():
        for hint in node.hints:
            if asked & {*hint.concerns}:
                found[hint.says] = (*found.get(hint.says, ()), name)
    return found


def document_of(own: OwnModule) -> tuple[dict[str, Any], dict[str, Array]]:
    """A module as plain data, and its arrays by the names that stand in it."""
    arrays: dict[str, Array] = {}
    nodes = []
    for name, node in own.nodes.items():
        held = {}
        for parameter, value in node.params.items():
            if isinstance(value, str):  # the padding of a convolution
                held[parameter] = {"text": value}
                continue
            key = f"a{len(arrays)}"
            arrays[key], held[parameter] = np.asarray(value), {"array": key}
        hints = [asdict(hint) for hint in node.hints]
        said = {"options": node.options, "reset": node.reset, "written": node.written, "hints": hints}
        nodes.append({"name": name, "kind": node.kind, "params": held, **said})
    edges = [list(edge) for edge in own.edges]
    whole = {"dt": own.dt, "notes": list(own.notes), "steps": own.steps, "constant": own.constant}
    return {"nodes": nodes, "edges": edges, **whole}, arrays


def module_from(document: Mapping[str, Any], arrays: Mapping[str, Array]) -> OwnModule:
    """The module that :func:`document_of` wrote."""

    def value(held: Mapping[str, str]) -> Any:
        return held["text"] if "text" in held else arrays[held["array"]]

    nodes = {
        each["name"]: OwnNode(
            each["kind"],
            {parameter: value(held) for parameter, held in each["params"].items()},
            each["options"],
            each["reset"],
            each["written"],
            tuple(Hint(tuple(hint["concerns"]), hint["says"]) for hint in each["hints"]),
        )
        for each in document["nodes"]
    }
    edges = tuple((a, b) for a, b in document["edges"])
    return OwnModule(nodes, edges, document["dt"], tuple(document["notes"]), document["steps"], document["constant"])
