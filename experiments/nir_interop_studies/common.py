"""What all studies share: how they are called, and the images they run on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nir_interop.datasets import Images, find_data, load_digits_images, load_mnist
from nir_interop.errors import UnknownName

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


class Progress(Protocol):
    """Who is told how far a study has come."""

    def task(self, what: str, total: int) -> AbstractContextManager[Callable[[], None]]:
        """Within the block, what it gives is called once for each of ``total`` parts."""
        ...

    def say(self, text: str) -> None:
        """One plain line."""
        ...


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

    def run(self, options: Options, progress: Progress) -> Sequence[Path]:
        """Do it and say how far it has come.

        Raises BadInput for a device that there is not, whether or not the study trains.
        """
        from nir_interop.training import device_of

        device_of(options.device)
        return self.act(options, progress)


def images(options: Options, size: int, most: tuple[int, int] | None = None) -> tuple[Images, Images]:
    """Training and test images of ``size`` × ``size`` pixels: MNIST from a data folder, else the embedded digits.

    most : how many of each at most, the first ones

    Raises BadData for a folder that is missing, partial or wrong.
    """
    folder = find_data(options.data_dir)
    if folder is None:
        splits = load_digits_images(True, size), load_digits_images(False, size)
    else:
        splits = load_mnist(True, folder), load_mnist(False, folder)
    return splits if most is None else (splits[0].first(most[0]), splits[1].first(most[1]))
