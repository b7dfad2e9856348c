"""A file in a library, as somebody runs it who has the library alone: its own importer, and a loop over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from numpy.typing import NDArray


def imported(library: str, path: Path, dt: float) -> Any:
    """The library's own module of a file; snnTorch's importer takes no step, it is always 1e-4 s."""
    if library == "norse":
        from norse.torch.utils.import_nir import from_nir

        return from_nir(nir.read(path), dt=dt)
    if library == "spikingjelly":
        from spikingjelly.activation_based import nir_exchange

        return nir_exchange.import_from_nir(path, dt=dt)
    from snntorch.import_nir import import_from_nir

    assert dt == 1e-4
    return import_from_nir(nir.read(path))


def run(model: Any, x: torch.Tensor) -> NDArray[np.float32]:
    r"""From zero state; axes (T, B, \*shape)."""
    state, outputs = None, []
    with torch.no_grad():
        for frame in x:
            y, state = model(frame, state)
            outputs.append((y[0] if isinstance(y, tuple) else y).numpy())
    return np.stack(outputs)
