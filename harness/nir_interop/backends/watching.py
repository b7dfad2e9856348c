r"""What an imported model holds and what it computes, with NumPy alone: what any adapter's ``load`` and ``run`` can use.

.. code-block:: python

    steps = Steps()
    for frame in stimulus:  # (B, *shape)
        output = model.step(frame)
        steps.spikes("lif1", model.lif1.fired)
        steps.membrane("lif1", model.lif1.v)
        steps.output(output)
    return steps.recording()

This module and all it imports need Python 3.10, NumPy and nir.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.recording import MEMBRANE_SAMPLES, Recording

Array = NDArray[Any]

_LARGEST_COUNT = 255


def nodes_of(graph: Any) -> dict[str, Any]:
    """Name → node of all nodes of a graph as the nir package reads it, Input and Output aside, in nested graphs too.

    A node of a nested graph is called ``outer.inner``, which is what this project calls it.
    """
    return dict(_walked(graph, ""))


def _walked(graph: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, node in graph.nodes.items():
        kind = type(node).__name__
        if kind == "NIRGraph":
            yield from _walked(node, f"{prefix}{name}.")
        elif kind not in ("Input", "Output"):
            yield f"{prefix}{name}", node


class Steps:
    r"""What is seen in each step of a run; arrays have axes (B, \*shape) and are copied.

    A node that was not seen once a step, or not with the same axes each time, is left out of the recording.
    """

    def __init__(self) -> None:
        self._outputs: dict[str, list[Array]] = {}
        self._spikes: dict[str, list[Array]] = {}
        self._membranes: dict[str, list[Array]] = {}

    def output(self, values: Any, name: str = "output") -> None:
        """What arrived at an Output in this step."""
        self._outputs.setdefault(name, []).append(np.array(values))

    def spikes(self, name: str, values: Any) -> None:
        """How often the neurons of a node fired in this step."""
        self._spikes.setdefault(name, []).append(np.array(values))

    def membrane(self, name: str, values: Any) -> None:
        """The membranes [V] of a node after this step's reset; those of the first MEMBRANE_SAMPLES samples are kept."""
        self._membranes.setdefault(name, []).append(np.array(np.asarray(values)[:MEMBRANE_SAMPLES]))

    def recording(self) -> Recording:
        """All of it.

        Raises ValueError where nothing was put out, or not with the same axes in each step.
        """
        steps = max((len(seen) for seen in self._outputs.values()), default=0)
        return Recording(
            outputs={name: counts(np.stack(seen)) for name, seen in self._outputs.items()},
            spikes={name: counts(np.stack(seen)) for name, seen in self._spikes.items() if _whole(seen, steps)},
            membranes={name: _values(np.stack(seen)) for name, seen in self._membranes.items() if _whole(seen, steps)},
        )


def _whole(seen: Sequence[Array], steps: int) -> bool:
    return len(seen) == steps > 0 and len({each.shape for each in seen}) == 1


def counts(values: Array) -> Array:
    """Spike counts as uint8 where they are whole numbers from 0 to 255; else the values as they are."""
    if values.dtype == np.uint8:
        return values
    with np.errstate(invalid="ignore"):
        whole = bool(((values >= 0) & (values <= _LARGEST_COUNT) & (values == np.floor(values))).all())
    return values.astype(np.uint8) if whole else _values(values)


def _values(values: Array) -> Array:
    """Half precision becomes float32, and whole numbers become float64."""
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype.kind == "f" else np.float64)
