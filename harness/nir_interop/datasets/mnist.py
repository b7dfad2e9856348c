"""MNIST: 60,000 + 10,000 handwritten digits of 28 × 28 pixels.

Source: LeCun, Bottou, Bengio, Haffner, *Gradient-based learning applied to document recognition*, Proc. IEEE 86(11), 1998.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nir_interop.datasets.download import DATA_VARIABLE, MNIST_URL, fetch_mnist, find_data
from nir_interop.datasets.idx import read_idx
from nir_interop.datasets.samples import Images
from nir_interop.errors import BadData

SIZE = 28


def load_mnist(train: bool, data_dir: Path | None = None, *, base_url: str = MNIST_URL) -> Images:
    """One split of MNIST, intensities 0–1.

    data_dir : holds the idx files, gzipped or not, in ``MNIST/raw``, ``raw`` or itself; None: ``NIR_INTEROP_DATA``,
        else they are downloaded from ``base_url`` into the user's cache

    Raises BadData where files are missing, not idx, truncated, or do not belong together.
    """
    found = find_data(data_dir)
    stem = "train" if train else "t10k"
    if found is None:
        image_file, label_file = _files(fetch_mnist(train, base_url=base_url), stem)
    else:
        image_file, label_file = _files(found, stem)
    pixels, classes = read_idx(image_file, axes=3), read_idx(label_file, axes=1)
    if len(pixels) != len(classes):
        raise BadData(
            f"{image_file.name} has {len(pixels)} images, but {label_file.name} {len(classes)} labels; copy both from one place"
        )
    if pixels.shape[1:] != (SIZE, SIZE):
        raise BadData(f"{image_file.name} holds images of {pixels.shape[1]} × {pixels.shape[2]} pixels; MNIST's have 28 × 28")
    if classes.max() > 9:
        raise BadData(f"{label_file.name} holds the label {classes.max()}; MNIST's go from 0 to 9")
    return Images(pixels.astype(np.float32) / np.float32(255), classes.astype(np.int64), "mnist")


def _files(folder: Path, stem: str) -> tuple[Path, Path]:
    """The image and the label file of a split, in the first of the known layouts that has either."""
    names = (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte")
    for place in (folder / "MNIST" / "raw", folder / "raw", folder):
        found = [_plain_or_gzipped(place / name) for name in names]
        if any(found):
            for path, name in zip(found, names, strict=True):
                if path is None:
                    raise BadData(f"MNIST is partial: {str(place)!r} has no {name} or {name}.gz; copy or download it as well")
            return found[0] or place, found[1] or place
    raise BadData(
        f"no MNIST in {str(folder)!r}: no {names[0]}[.gz] and {names[1]}[.gz] in MNIST/raw, in raw or in the folder itself; "
        f"put them there, or name no folder (argument or {DATA_VARIABLE}) to have them downloaded"
    )


def _plain_or_gzipped(path: Path) -> Path | None:
    for candidate in (path, path.with_name(f"{path.name}.gz")):
        if candidate.is_file():
            return candidate
    return None
