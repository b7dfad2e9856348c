"""N-MNIST: MNIST as an event camera sees it while it moves along three saccades; 34 × 34 pixels, two polarities.

Source: Orchard, Jayawant, Cohen, Thakor, *Converting static image datasets to spiking neuromorphic datasets using
saccades*, Front. Neurosci. 9:437, 2015; read through :class:`tonic.datasets.NMNIST`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.datasets.download import DATA_VARIABLE, cache_folder, fetch_zip, find_data
from nir_interop.datasets.samples import EVENT, Recordings
from nir_interop.errors import BadData

Array = NDArray[Any]

SENSOR_SIZE = (34, 34, 2)

_EVENT_BYTES = 5


def load_nmnist(train: bool, data_dir: Path | None = None, *, base_url: str | None = None) -> Recordings:
    """One split of N-MNIST, or the part of it that is there, ordered by digit and file name.

    data_dir : holds ``NMNIST/{Train,Test}/<digit>/*.bin`` (or is that ``NMNIST``); None: ``NIR_INTEROP_DATA``, else
        the split is downloaded into the user's cache, from tonic's address or from ``base_url`` + its archive's name

    Raises BadData where recordings are missing or lie in unexpected folders; reading one raises it for a damaged file.
    """
    found = find_data(data_dir)
    split = "Train" if train else "Test"
    folder = _download(train, split, base_url) if found is None else _folder(found, split)
    _check(folder / split)
    dataset = _tonic(folder, train)

    def read(index: int) -> Array:
        return _events(dataset, index)

    return Recordings(read, np.array(dataset.targets, dtype=np.int64), SENSOR_SIZE, "nmnist")


def _folder(data: Path, split: str) -> Path:
    folder = data if data.name == "NMNIST" and (data / split).is_dir() else data / "NMNIST"
    if not (folder / split).is_dir():
        raise BadData(
            f"no N-MNIST in {str(data)!r}: there is no folder NMNIST/{split}; put it there, "
            f"or name no folder (argument or {DATA_VARIABLE}) to have it downloaded"
        )
    return folder


def _download(train: bool, split: str, base_url: str | None) -> Path:
    from tonic.datasets import NMNIST

    kind = "train" if train else "test"
    name, md5, url = (getattr(NMNIST, f"{kind}_{what}") for what in ("filename", "md5", "url"))
    if base_url is not None:
        url = f"{base_url.rstrip('/')}/{name}"
    return fetch_zip(url, name, md5, cache_folder() / "NMNIST", split).parent


def _check(split: Path) -> None:
    files = sorted(split.rglob("*.bin"))
    if not files:
        raise BadData(f"{str(split)!r} holds no recording (<digit>/<number>.bin); unpack N-MNIST there")
    for file in files:
        digit = file.parent.name
        if file.parent.parent != split or digit not in set("0123456789"):
            raise BadData(
                f"{str(file)!r} is in no folder of its digit; N-MNIST is laid out as {split.name}/<digit>/<number>.bin"
            )


def _tonic(folder: Path, train: bool) -> Any:
    """tonic's dataset, content with a part of the recordings: tonic itself insists on 10,000 a split."""
    from tonic.datasets import NMNIST

    class Partial(NMNIST):  # type: ignore[misc]
        def _check_exists(self) -> bool:
            return True

    # tonic looks for its data in a folder that is called as the class is.
    Partial.__name__ = "NMNIST"
    return Partial(str(folder.parent), train=train)


def _events(dataset: Any, index: int) -> Array:
    path = Path(dataset.data[index])
    try:
        size = path.stat().st_size
        if size == 0 or size % _EVENT_BYTES:
            raise BadData(f"{str(path)!r} is empty or cut off: {size} bytes are no number of 5-byte events; copy it again")
        events: Array = dataset[index][0].astype(EVENT)
    except OSError as error:
        raise BadData(f"{str(path)!r} cannot be read: {error.strerror or type(error).__name__}") from error
    width, height, _ = SENSOR_SIZE
    if not len(events) or events["x"].max() >= width or events["y"].max() >= height:
        raise BadData(f"{str(path)!r} is no N-MNIST recording: it has no event, or some outside 34 × 34 pixels")
    if np.any(np.diff(events["t"]) < 0):
        raise BadData(f"{str(path)!r} is no N-MNIST recording: its events go back in time")
    return events
