"""Which nodes have something to say in silence: a constant of their own drives them."""

from __future__ import annotations

import numpy as np

from nir_interop.graphs.model import Node

_CONSTANTS = ("bias", "v_leak")
_THRESHOLDS = ("threshold", "v_threshold")


def is_driven(node: Node) -> bool:
    """Whether a node leaves zero by itself: a bias or v_leak that is not 0, or a threshold below 0."""
    constants = [node.params.get(name) for name in _CONSTANTS]
    thresholds = [node.params.get(name) for name in _THRESHOLDS]
    return any(isinstance(each, np.ndarray) and bool((each != 0).any()) for each in constants) or any(
        isinstance(each, np.ndarray) and bool((each < 0).any()) for each in thresholds
    )
