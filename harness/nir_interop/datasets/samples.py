"""What a data set hands out: images, or recordings of events."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EVENT = np.dtype([("x", np.int64), ("y", np.int64), ("t", np.int64), ("p", np.int64)])
"""An event as tonic's N-MNIST gives it: column, row, time [µs], polarity (1: brighter, 0: darker)."""


@dataclass(frozen=True, eq=False)
class Images:
    """Grey images of one split.

    images : intensities 0–1, axes (N, height, width), float32
    labels : classes, axes (N,), int64
    name : of the data set
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    name: str
    steps: ClassVar[int] = 0
    """An image has no frames: it is held, for as many steps as whoever shows it likes."""

    @property
    def sha256(self) -> str:
        """The start of a sum over images and labels."""
        return hashlib.sha256(np.ascontiguousarray(self.images).tobytes() + self.labels.tobytes()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Images:
        """The first of them."""
        return Images(self.images[:count], self.labels[:count], self.name)

    def pick(self, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """Some of them, axes (B, 1, height, width)."""
        return self.images[chosen, None]


@dataclass(frozen=True, eq=False)
class Recordings:
    """Event recordings of one split; each is read, or made, when it is asked for.

    read : sample number → events of dtype :data:`EVENT`, sorted by time
    labels : classes, axes (N,), int64
    sensor_size : width, height, polarities, as tonic's transforms want it
    name : of the data set
    """

    read: Callable[[int], Array]
    labels: NDArray[np.int64]
    sensor_size: tuple[int, int, int]
    name: str

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Array:
        """The events of one sample; IndexError past the last."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} recordings, there is none at {index}")
        return self.read(index % len(self))
