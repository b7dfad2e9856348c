r"""A network that a user wrote and trained in a library, as that library's adapter sees it.

Nothing here imports a library: the adapter reads the user's module and says what it computes in NIR's terms, layer by layer.
What it says is believed only as far as a recording of the module bears it out (:mod:`nir_interop.transfer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Run = Callable[[Any, Any], Any]
"""How a user runs a module: (module, input with axes (T, B, \\*shape)) → output with axes (T, B, \\*shape)."""

INPUT, OUTPUT = "input", "output"
"""What the nodes of a module's input and of its output are called."""


@dataclass(frozen=True, eq=False)
class Hint:
    """What the library's own exporter makes wrong, loses or refuses of a layer, in the user's terms.

    concerns : the causes (:class:`nir_interop.vocabulary.Cause`, as text) and parameters of NIR that it is the reason of
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
    params: Mapping[str, Array]
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
    """

    nodes: Mapping[str, OwnNode]
    edges: tuple[tuple[str, str], ...]
    dt: float
    notes: tuple[str, ...] = field(default=())
