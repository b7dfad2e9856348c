"""What the NIR paper published, read from its folder or from a checkout of its repository.

Source: Pedersen et al., *Neuromorphic intermediate representation*, Nat. Commun. 15:8122, 2024 (BSD-3-Clause repository).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.errors import BadData
from nir_interop.graphs import Array
from nir_interop.learning import Share
from nir_interop_studies.common import Options

VARIABLE = "NIR_INTEROP_PAPER"
"""The environment variable that names the folder where no option does."""


@dataclass(frozen=True)
class PaperOptions(Options):
    """How this study is called.

    paper_dir : the folder that holds 01_lif, 02_cnn and 03_rnn, or a checkout of NIR's repository, which has it in paper/
    """

    paper_dir: Path | None = None


LIF_GRAPH, CNN_GRAPH, BRAILLE_GRAPH = "lif_norse.nir", "cnn_sinabs.nir", "braille_noDelay_bias_zero.nir"

NAMES = {
    "lava": "Lava", "nengo": "Nengo", "norse": "Norse", "rockpool": "Rockpool", "s2": "SpiNNaker2", "sinabs": "Sinabs",
    "snntorch": "snnTorch", "speck": "Speck", "spyx": "Spyx", "xylo": "Xylo",
}  # fmt: skip
"""Platform as in file names → as the paper writes it."""

CNN_SAMPLES, BRAILLE_SAMPLES = 10_000, 140
"""Test samples of the published accuracies."""

_TASKS = ("01_lif", "02_cnn", "03_rnn")
_NMNIST = f"N-MNIST, the paper's {CNN_SAMPLES} test samples"
_BRAILLE = f"Braille, the paper's {BRAILLE_SAMPLES} test samples"
_ACCURACIES = (
    ("", "cnn", _NMNIST, CNN_SAMPLES),
    ("_noDelay_bias_zero", "bias, reset to zero", _BRAILLE, BRAILLE_SAMPLES),
    ("_noDelay_noBias_subtract", "no bias, reset by subtraction", _BRAILLE, BRAILLE_SAMPLES),
)
"""End of the files' names, the network, the data set, its samples."""


@dataclass(frozen=True)
class Published:
    """A published accuracy; the paper gives the share, and how many are right follows from the size of its test set."""

    dataset: str
    platform: str
    network: str
    share: Share


PUBLISHED_COLUMNS = ("dataset", "network", "platform", "accuracy", "accuracy_low", "accuracy_high", "right", "samples")


def published_row(each: Published) -> dict[str, Any]:
    """A published accuracy, with its interval from the size of the test set."""
    return vars(each) | each.share.columns("accuracy") | vars(each.share)


@dataclass(frozen=True)
class Paper:
    """The folder of the three tasks; :func:`find_paper` has seen that the graphs and the LIF's input are in it."""

    folder: Path

    def file(self, name: str) -> Path | None:
        """The first file of that name, wherever it lies in a task's folder."""
        return next((path for task in _TASKS for path in sorted((self.folder / task).rglob(name))), None)

    def graph(self, name: str) -> Path:
        """One of the published graphs.

        Raises BadData where it is not there.
        """
        path = self.file(name)
        if path is None:
            raise BadData(f"{str(self.folder)!r} holds no {name}; name the paper's folder, or a checkout of its repository")
        return path

    def traces(self) -> dict[str, Array]:
        """Platform → trace of the LIF, columns input, membrane and spike.

        Raises BadData for a file that is none.
        """
        found = {}
        for path in sorted(self.graph("lif_norse.csv").parent.glob("lif_*.csv")):
            try:
                trace = np.loadtxt(path, delimiter=",")
            except (OSError, ValueError) as error:
                raise BadData(f"{str(path)!r} is no table of numbers; copy it again") from error
            if trace.ndim != 2 or trace.shape[1] != 3 or not np.isfinite(trace).all():
                raise BadData(f"{str(path)!r} has axes {trace.shape}, not (steps, 3) finite numbers; copy it again")
            found[path.stem.removeprefix("lif_")] = trace
        if len({len(trace) for trace in found.values()}) > 1:
            raise BadData(f"the traces in {str(self.folder)!r} have different numbers of steps; copy them again")
        return found

    def accuracies(self) -> list[Published]:
        """Those that are there: on N-MNIST, then of both networks on Braille, each the best first."""
        found = [self._accuracy(platform, *network) for network in _ACCURACIES for platform in NAMES]
        there = [each for each in found if each is not None]
        return sorted(there, key=lambda each: (each.dataset != _NMNIST, each.network, -each.share.value, each.platform))

    def braille_activity(self) -> dict[str, Array]:
        """Platform → spikes of the first layer on the paper's first test sample, axes (T, neurons)."""
        found = {}
        for platform, name in NAMES.items():
            path = self.file(f"{platform}_activity_noDelay_bias_zero.npy")
            if path is not None:
                spikes = _array(path)
                # Lava's is stored the other way round; there are more steps than neurons.
                found[name] = spikes.T if spikes.shape[0] < spikes.shape[1] else spikes
        return found

    def speck_activity(self) -> Array | None:
        """Spike counts of the first layer for the ten digits, axes (digit, 16, 16, 16), as the Speck chip gave them."""
        path = self.file("speck_activity.npy")
        if path is None:
            return None
        counts: Array = _array(path)[0]
        return counts

    def _accuracy(self, platform: str, suffix: str, network: str, dataset: str, samples: int) -> Published | None:
        path = self.file(f"{platform}_accuracy{suffix}.npy")
        if path is None:
            return None
        value = float(_array(path))
        # Some are written as per cent.
        share = value / 100 if value > 1 else value
        return Published(dataset, NAMES[platform], network, Share(round(share * samples), samples))


def find_paper(options: Options) -> Paper | None:
    """The folder that an option names, else ``NIR_INTEROP_PAPER``, else None.

    Raises BadData where a folder was named that is none, or that lacks a graph.
    """
    named, by = (options.paper_dir if isinstance(options, PaperOptions) else None), "--paper-dir"
    if named is None and os.environ.get(VARIABLE):
        named, by = Path(os.environ[VARIABLE]), VARIABLE
    if named is None:
        return None
    if not named.is_dir():
        raise BadData(f"{by} {str(named)!r} is not a folder; name the paper's folder, or a checkout of its repository")
    folder = next((each for each in (named, named / "paper") if (each / _TASKS[0]).is_dir()), None)
    if folder is None:
        raise BadData(f"{by} {str(named)!r} holds neither {_TASKS[0]} nor paper/{_TASKS[0]}; name a folder that does")
    paper = Paper(folder)
    for name in (LIF_GRAPH, CNN_GRAPH, BRAILLE_GRAPH, "lif_norse.csv"):
        paper.graph(name)
    return paper


def spike_steps(trace: Array) -> list[int]:
    """The steps in which a trace of spikes, axis (T,), has one."""
    return [int(step) for step in np.flatnonzero(trace)]


def _array(path: Path) -> Array:
    try:
        found: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{str(path)!r} is no array; copy it again") from error
    return found
