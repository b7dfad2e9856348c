"""All cases, in the order in which they are run."""

from __future__ import annotations

from functools import lru_cache

from harness.matrix.primitives.case import Case
from harness.matrix.primitives.neurons import neurons
from harness.matrix.primitives.stateless import stateless
from harness.matrix.primitives.wiring import wiring


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Every case once; those that may hang a library come last."""
    return tuple(sorted((*stateless(), *neurons(), *wiring()), key=lambda case: case.late))
