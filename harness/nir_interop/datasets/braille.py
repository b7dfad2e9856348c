"""Braille letters read by a robot's fingertip: spikes of twelve taxels over 256 steps, seven classes.

Source: Müller-Cleve et al., *Braille letter reading: a benchmark for spatio-temporal pattern recognition on neuromorphic
hardware*, Front. Neurosci. 16:951164, 2022 (CC BY 4.0); the seven letters that the NIR paper's networks tell apart.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nir_interop.datasets.download import DATA_VARIABLE, find_data
from nir_interop.errors import BadData

TAXELS = 12


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """Spike trains with classes.

    spikes : zeros and ones, axes (T, N, channels), float32
    labels : classes, axes (N,), int64
    classes : their names
    name : of the data set
    """

    spikes: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str

    def __len__(self) -> int:
        return len(self.labels)


def load_braille(data_dir: Path | None = None) -> SpikeTrains:
    """The samples in ``Braille/braille7.npz`` of the data folder (``data_dir``, else ``NIR_INTEROP_DATA``).

    They are part of the pool that the NIR paper's networks were trained on: good for comparing libraries, no held-out test.

    Raises BadData where the file is missing or its content is not what it should be.
    """
    folder = find_data(data_dir)
    if folder is None:
        raise BadData(
            f"the Braille letters are not embedded; name a folder with Braille/braille7.npz (argument or {DATA_VARIABLE})"
        )
    path = folder / "Braille" / "braille7.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            packed, labels, classes = archive["spikes_packed"], archive["labels"], archive["letters"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadData(f"{str(path)!r} is missing or no npz with spikes_packed, labels and letters; copy it again") from error
    fits = packed.dtype == np.uint8 and packed.ndim == 3 and packed.shape[2] == (TAXELS + 7) // 8
    if not fits or labels.shape != packed.shape[:1] or not np.isin(labels, np.arange(len(classes))).all():
        raise BadData(f"{str(path)!r} holds spikes {packed.shape} and labels {labels.shape} that do not fit; copy it again")
    spikes = np.unpackbits(packed, axis=-1, count=TAXELS).transpose(1, 0, 2).astype(np.float32)
    return SpikeTrains(np.ascontiguousarray(spikes), labels.astype(np.int64), tuple(map(str, classes)), "braille")
