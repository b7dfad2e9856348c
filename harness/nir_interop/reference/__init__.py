"""The oracle: what a NIR graph computes, step by step under any update rule, and in continuous time.

The simulator, and with it torch, is imported when it is first asked for: what a run takes (:mod:`.room`) is told without it.
"""

from typing import TYPE_CHECKING, Any

from nir_interop.graphs import from_nir, read

if TYPE_CHECKING:
    from nir_interop.reference.simulator import Simulator, exact_simulator, simulate

__all__ = ["Simulator", "exact_simulator", "from_nir", "read", "simulate"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nir_interop.reference import simulator

    return getattr(simulator, name)
