"""The oracle: what a NIR graph computes, step by step under any update rule, and in continuous time."""

from nir_interop.graphs import from_nir, read
from nir_interop.reference.simulator import Simulator, exact_simulator, simulate

__all__ = ["Simulator", "exact_simulator", "from_nir", "read", "simulate"]
