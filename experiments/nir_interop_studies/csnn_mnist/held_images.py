"""Images that are there for all steps, where other processes find them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nir_interop.arrays import Array


@dataclass(frozen=True)
class HeldImages:
    """Images of intensity 0–1, each there for ``steps`` steps; :func:`held_images` makes them.

    path : of an array with axes (N, \\*shape), mapped into memory
    """

    path: Path
    samples: int
    steps: int

    @property
    def key(self) -> str:
        return f"{self.path.name} held {self.steps}"

    def __len__(self) -> int:
        return self.samples

    def batch(self, start: int, stop: int) -> Array:
        """See :class:`nir_interop.transfer.evaluation.Recordings`."""
        images = np.array(np.load(self.path, mmap_mode="r")[start:stop])
        return np.repeat(images[None], self.steps, axis=0)


def held_images(images: Array, steps: int, work: Path) -> HeldImages:
    """Put images (N, \\*shape) where other processes find them."""
    work.mkdir(parents=True, exist_ok=True)
    array = np.ascontiguousarray(images, dtype=np.float32)
    sha = hashlib.sha256(str(array.shape).encode() + array.tobytes()).hexdigest()
    path = work.resolve() / f"images-{sha[:16]}.npy"
    if not path.exists():
        passing = path.with_name(f".{os.getpid()}-{path.name}")
        np.save(passing, array)
        os.replace(passing, path)
    return HeldImages(path, len(array), steps)
