"""The files that jobs name, as what they hold; consecutive jobs share them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nir_interop.arrays import Array, load_arrays
from nir_interop.networks import Network, catalogue
from nir_interop.recording import Recording

if TYPE_CHECKING:
    pass


@lru_cache(maxsize=3)
def stimulus_at(path: Path) -> dict[str, Array]:
    """``input`` and, where there are any, ``labels`` of a stimulus file."""
    return load_arrays(path)


@lru_cache(maxsize=3)
def recording_at(path: Path) -> Recording:
    """A recording."""
    return Recording.load(path)


def network_of(name: str, seed: int, parameters: Path | None) -> Network:
    """A network of the catalogue, with its learned parameters where there are any."""
    network = catalogue(name).build(seed)
    return network if parameters is None else network.with_parameters(load_arrays(parameters))
