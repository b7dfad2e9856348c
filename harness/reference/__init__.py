"""The oracle: what a NIR graph computes, step by step under any update rule, and in continuous time."""

from harness.graphs import from_nir, read
from harness.reference.simulator import Simulator, exact_simulator, simulate

__all__ = ["Simulator", "exact_simulator", "from_nir", "read", "simulate"]
