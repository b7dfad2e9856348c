"""All cases, in the order in which they are run."""

from __future__ import annotations

from functools import lru_cache

from nir_interop.conformance.primitives.case import Case
from nir_interop.conformance.primitives.neurons import neurons
from nir_interop.conformance.primitives.stateless import stateless
from nir_interop.conformance.primitives.wiring import wiring


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Every case once; those that may hang a library come last."""
    return tuple(sorted((*stateless(), *neurons(), *wiring()), key=lambda case: case.late))
