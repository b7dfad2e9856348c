"""How far two recordings are apart.

Needs Python 3.10 and numpy alone: it runs beside :mod:`harness.adapter` in each library's own environment.
"""

from harness.compare.assertion import assert_same_spikes
from harness.compare.comparison import MINIMUM_SPIKES, Comparison, compare
from harness.compare.nodes import match_nodes
from harness.compare.trains import (
    COINCIDENCE_WINDOW,
    VAN_ROSSUM_TAU,
    VICTOR_PURPURA_COST,
    coincidence,
    van_rossum,
    victor_purpura,
)

__all__ = [
    "COINCIDENCE_WINDOW",
    "MINIMUM_SPIKES",
    "VAN_ROSSUM_TAU",
    "VICTOR_PURPURA_COST",
    "Comparison",
    "assert_same_spikes",
    "coincidence",
    "compare",
    "match_nodes",
    "van_rossum",
    "victor_purpura",
]
