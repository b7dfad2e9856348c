"""What all studies share: how they are called, the images they run on, and how tables are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nir_interop.datasets import Images, find_data, load_digits_images, load_mnist
from nir_interop.errors import BadInput, UnknownName

if TYPE_CHECKING:
    import torch

    from nir_interop_studies.progress import Progress


LIBRARIES = ("snntorch", "norse", "spikingjelly")
"""Those that train; the order in which studies name them."""


@dataclass(frozen=True)
class Options:
    """How a study is called.

    data_dir : where the data lies; None: ``NIR_INTEROP_DATA``, else the embedded digits
    out : the folder of tables, figures, graphs and page
    work : the folder of what can be made again: checkpoints and recordings
    checkpoints : where trained networks lie, where not under ``work``
    libraries : in which networks are trained; empty: all that the study knows
    """

    data_dir: Path | None
    out: Path
    work: Path
    store: Path
    epochs: int = 1
    device: str = "cpu"
    seed: int = 0
    quick: bool = False
    train_only: bool = False
    checkpoints: Path | None = None
    libraries: tuple[str, ...] = ()
    command: str = ""

    def trained_in(self, known: Iterable[str]) -> tuple[str, ...]:
        """The libraries in which networks are trained, of those that the study knows.

        Raises UnknownName for another one.
        """
        names = tuple(known)
        unknown = [library for library in self.libraries if library not in names]
        if unknown:
            raise UnknownName(f"--backend {unknown[0]}: this study trains in {', '.join(names)}")
        return self.libraries or names


@dataclass(frozen=True)
class Study:
    """A study: its name, the question in a line, and what runs it.

    act : does it, given ``options``, and returns the files that a reader is to look at first
    options : what it is called with: :class:`Options`, or one with options of its own
    """

    name: str
    question: str
    act: Callable[[Any, Progress], Sequence[Path]]
    options: type[Options] = Options

    def run(self, options: Options, *, quiet: bool = False) -> Sequence[Path]:
        """Do it and say how far it has come, unless ``quiet``.

        Raises BadInput for a device that there is not, whether or not the study trains.
        """
        from nir_interop_studies.progress import Progress

        device_of(options.device)
        return self.act(options, Progress(quiet=quiet))


def device_of(name: str) -> torch.device:
    """A device to train on.

    Raises BadInput for one that there is not.
    """
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"--device {name}: no device of that name; cpu and cuda are") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise BadInput(f"--device {name}: studies train on cpu or cuda")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        raise BadInput(f"--device {name}: this machine has {count or 'no'} CUDA device{'s' * (count != 1)}; use --device cpu")
    return device


def images(options: Options, size: int, most: tuple[int, int] | None = None) -> tuple[Images, Images]:
    """Training and test images of ``size`` × ``size`` pixels: MNIST from a data folder, else the embedded digits.

    most : how many of each at most, the first ones

    Raises BadData for a folder that is missing, partial or wrong.
    """
    folder = find_data(options.data_dir)
    if folder is None:
        splits = [load_digits_images(train, size) for train in (True, False)]
    else:
        splits = [load_mnist(train, folder) for train in (True, False)]
    return tuple(_first(split, limit) for split, limit in zip(splits, most or (None, None), strict=True))  # type: ignore[return-value]


def _first(split: Images, limit: int | None) -> Images:
    return split if limit is None else Images(split.images[:limit], split.labels[:limit], split.name)
