"""How much memory a run takes, told from shapes before anything is allocated."""

from __future__ import annotations

import math

from harness.errors import BadStimulus
from harness.graphs import NEURONS, SPIKING, Graph, Shapes

MOST_BYTES = 4 * 2**30
"""That a run may hold: its input, what it records, and one step of its largest node."""
_DOUBLE = 8
_COPIES = 4
"""Of one step at one node: what comes in, what goes out, and what is on the way."""


def held_bytes(graph: Graph, shapes: Shapes, steps: int, samples: int, *, membranes: bool = True) -> int:
    """Bytes that a run of an inlined graph holds at least."""
    step = 0
    for name, (_, outgoing) in shapes.items():
        kind = graph.nodes[name].kind
        kept = _DOUBLE if kind in ("Input", "Output") else int(kind in SPIKING) + _DOUBLE * (membranes and kind in NEURONS)
        step += kept * math.prod(outgoing)
    widest = max((math.prod(shape) for both in shapes.values() for shape in both), default=0)
    return samples * (steps * step + _COPIES * _DOUBLE * widest)


def check_room(graph: Graph, shapes: Shapes, steps: int, samples: int, *, membranes: bool = True) -> None:
    """Raise BadStimulus for a run that would hold more than MOST_BYTES."""
    held = held_bytes(graph, shapes, steps, samples, membranes=membranes)
    if held > MOST_BYTES:
        size, most = f"{held / 2**30:,.1f} GiB", f"{MOST_BYTES >> 30} GiB"
        run = f"a run of {steps:,} steps and {samples:,} samples holds {size}"
        raise BadStimulus(f"{run}, more than {most}; give fewer or smaller ones, or a smaller graph")
