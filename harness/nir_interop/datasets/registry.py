"""The data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nir_interop.datasets.digits import load_digits_images
from nir_interop.datasets.mnist import load_mnist
from nir_interop.datasets.nmnist import load_nmnist
from nir_interop.datasets.saccades import load_digits_events
from nir_interop.datasets.samples import Images, Recordings
from nir_interop.errors import UnknownName

_LOADERS: dict[str, Callable[[bool, Path | None], Images | Recordings]] = {
    "digits": lambda train, data_dir: load_digits_images(train),
    "digits-events": lambda train, data_dir: load_digits_events(train),
    "mnist": lambda train, data_dir: load_mnist(train, data_dir),
    "nmnist": lambda train, data_dir: load_nmnist(train, data_dir),
}


def dataset_names() -> tuple[str, ...]:
    """The names of the data sets, sorted."""
    return tuple(sorted(_LOADERS))


def load_dataset(name: str, train: bool, data_dir: Path | None = None) -> Images | Recordings:
    """One split of a data set; ``data_dir`` is where MNIST and N-MNIST lie (the digits are embedded).

    Raises UnknownName where there is none of that name, BadData where it is missing, partial or wrong.
    """
    if name not in _LOADERS:
        raise UnknownName(f"no data set {name!r}; there are {', '.join(dataset_names())}")
    return _LOADERS[name](train, data_dir)
