"""How far two recordings are apart.

Needs Python 3.10 and numpy alone: it runs beside :mod:`nir_interop.backends.adapter` in each library's own environment.
"""

from nir_interop.compare.assertion import assert_same_spikes
from nir_interop.compare.comparison import MINIMUM_SPIKES, Comparison, compare
from nir_interop.compare.divergence import match_nodes
from nir_interop.compare.trains import (
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
