"""How a graph file is to be read so that it gives what its source recorded."""

from __future__ import annotations

from nir_interop.transfer.readings.fitting import SourceReading, matched
from nir_interop.transfer.readings.reading import Reading

__all__ = ["Reading", "SourceReading", "matched"]
