"""Event recordings as frames of 1 ms, through tonic (Denoise, ToFrame, PadTensors): kept sparse, made dense by batches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nir_interop.arrays import Array, load_arrays, save_arrays
from nir_interop.datasets import Recordings
from nir_interop.stimuli.frames import events_to_frames

WINDOW = 1_000
"""Length of a frame [µs]."""
FILTER_TIME = 10_000
"""tonic's Denoise drops an event without another one beside it within this time [µs]; the value is its own default."""

Done = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Frames:
    """Recordings as frames of 1 ms; travels to other processes as the path of what is kept.

    path : of the counts that are not 0, as :func:`frames_of` writes them
    labels : the digits, axes (N,)
    steps : frames that a recording is cut to, or followed by silence up to
    sha256 : of the recordings as they were read
    dropped : share of the events that Denoise dropped
    """

    path: Path
    labels: NDArray[np.int64]
    steps: int
    name: str
    sha256: str
    dropped: float

    @property
    def key(self) -> str:
        """Says which they are, for what is kept."""
        return f"{self.name} {self.sha256} {self.steps}"

    def __len__(self) -> int:
        return len(self.labels)

    def cut(self, steps: int) -> Frames:
        """The same recordings over other steps."""
        return replace(self, steps=steps)

    def batch(self, start: int, stop: int) -> Array:
        """Recordings ``start`` to ``stop``, axes (T, B, 2, 34, 34)."""
        return self.pick(np.arange(start, min(stop, len(self))))

    def pick(self, chosen: Array) -> Array:
        """Some recordings, axes (T, B, 2, 34, 34)."""
        kept = _kept(self.path)
        return _collated([_dense(kept, int(index))[: self.steps] for index in chosen], self.steps)


@dataclass(frozen=True, eq=False)
class Windows:
    """Stretches of recordings: what is trained on, since gradients through whole recordings take three times the memory.

    starts : the frames at which a stretch begins, in every recording; steps : of a stretch
    """

    frames: Frames
    starts: tuple[int, ...]
    steps: int

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.frames.name

    @property
    def labels(self) -> NDArray[np.int64]:
        """The digits, one a stretch."""
        return np.repeat(self.frames.labels, len(self.starts))

    @property
    def sha256(self) -> str:
        """Of the recordings, and of how they are cut."""
        return f"{self.frames.sha256} {self.starts} {self.steps}"

    def __len__(self) -> int:
        return len(self.frames) * len(self.starts)

    def pick(self, chosen: Array) -> Array:
        """Some stretches, axes (T, B, 2, 34, 34)."""
        kept, cut = _kept(self.frames.path), []
        for number in chosen:
            index, place = divmod(int(number), len(self.starts))
            start = self.starts[place]
            cut.append(_dense(kept, index)[start : start + self.steps])
        return _collated(cut, self.steps)


def _collated(samples: Sequence[Array], steps: int) -> Array:
    """A batch as tonic's PadTensors makes it, silent for so long that it has all steps."""
    import torch
    from tonic.collation import PadTensors

    batch, _ = PadTensors(batch_first=False)([(torch.from_numpy(each), 0) for each in samples])
    frames: Array = batch.numpy()
    missing = steps - len(frames)
    return np.concatenate([frames, np.zeros((missing, *frames.shape[1:]), frames.dtype)]) if missing else frames


def frames_of(recordings: Recordings, chosen: Sequence[int], steps: int, work: Path, advance: Done = lambda: None) -> Frames:
    """Recordings, denoised and put into frames of 1 ms, from ``work`` where it was done before.

    chosen : their numbers in the split; advance : called once for each

    Raises BadData for a recording that cannot be read.
    """
    from tonic.transforms import Denoise

    labels = recordings.labels[np.asarray(chosen)]
    events = [recordings[index] for index in chosen]
    sha = hashlib.sha256(f"{WINDOW} {FILTER_TIME} {recordings.sensor_size} {len(chosen)}".encode() + labels.tobytes())
    for each in events:
        sha.update(each.tobytes())
    digest = sha.hexdigest()[:16]
    path = work.resolve() / f"frames-{digest}.npz"
    if path.exists():
        for _ in chosen:
            advance()
    else:
        denoise, counts, places, lengths, dropped = Denoise(filter_time=FILTER_TIME), [], [], [], 0
        for each in events:
            kept = denoise(each)
            dropped += len(each) - len(kept)
            frames = events_to_frames(kept, recordings.sensor_size, time_window=WINDOW)[:, 0]
            (found,) = np.nonzero(frames.ravel())
            places.append(found.astype(np.int32))
            counts.append(frames.ravel()[found].astype(np.uint8))
            lengths.append(len(frames))
            advance()
        width, height, polarities = recordings.sensor_size
        work.mkdir(parents=True, exist_ok=True)
        passing = path.with_name(f".{path.name}.{os.getpid()}")
        arrays: dict[str, Array] = {
            "places": np.concatenate(places),
            "counts": np.concatenate(counts),
            "ends": np.cumsum([len(one) for one in places]),
            "lengths": np.array(lengths),
            "shape": np.array([polarities, height, width]),
            "dropped": np.array([dropped / sum(map(len, events))]),
        }
        save_arrays(passing, arrays)
        os.replace(passing, path)
    return Frames(path, labels, steps, recordings.name, digest, float(_kept(path)["dropped"][0]))


@lru_cache(maxsize=4)
def _kept(path: Path) -> dict[str, Array]:
    return dict(load_arrays(path))


def _dense(kept: dict[str, Array], index: int) -> NDArray[np.float32]:
    start, end = (int(kept["ends"][index - 1]) if index else 0), int(kept["ends"][index])
    frames = np.zeros((int(kept["lengths"][index]), *kept["shape"].tolist()), dtype=np.float32)
    frames.ravel()[kept["places"][start:end]] = kept["counts"][start:end]
    return frames
