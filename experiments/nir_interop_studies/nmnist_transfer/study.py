"""The study from start to end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nir_interop.datasets import Recordings, find_data, load_digits_events, load_nmnist
from nir_interop.stimuli.sparse_frames import Frames, Windows, frames_of
from nir_interop_studies.common import Options, Progress, Study
from nir_interop_studies.nmnist_transfer.network import IMPORTERS, QUICK_STARTS, STARTS, regimes, steps
from nir_interop_studies.trained_networks import TrainedNetworks

MOST, QUICK_MOST = (1000, 1000), (96, 20)
"""Training and test recordings at most: evenly from those that there are."""
EMBEDDED_TEST = 100
"""Of the embedded digits, so many are tested: they are as many as N-MNIST's in the committed results."""


def recordings(options: Options) -> tuple[tuple[Recordings, Sequence[int]], tuple[Recordings, Sequence[int]]]:
    """Training and test recordings, and which of them: N-MNIST's, else the embedded digits as events.

    Raises BadData for a data folder without N-MNIST.
    """
    folder = find_data(options.data_dir)
    most = QUICK_MOST if options.quick else MOST if folder is not None else (MOST[0], EMBEDDED_TEST)
    found = []
    for train_split, limit in zip((True, False), most, strict=True):
        split = load_digits_events(train_split) if folder is None else load_nmnist(train_split, folder)
        found.append((split, np.unique(np.linspace(0, len(split) - 1, min(limit, len(split))).astype(int)).tolist()))
    return found[0], found[1]


def frames(options: Options, progress: Progress) -> tuple[Windows, Frames]:
    """What is trained on and what is tested.

    Raises BadData for recordings that are missing or damaged.
    """
    training, test = recordings(options)
    with progress.task("recordings to frames", len(training[1]) + len(test[1])) as advance:
        shared = options.work / "frames"
        whole, tested = (frames_of(*split, steps(options), shared, advance) for split in (training, test))
    window = regimes(options)[0].settings.steps
    return Windows(whole, QUICK_STARTS if options.quick else STARTS, window), tested


def act(options: Options, progress: Progress) -> Sequence[Path]:
    """Train, deploy, compare and write.

    Raises BadInput before anything is trained where something that was given cannot be used.
    """
    started = time.perf_counter()
    chosen = regimes(options)
    training, test = frames(options, progress)
    networks = TrainedNetworks(options, chosen, training)
    networks.train(IMPORTERS, progress)
    if options.train_only:
        return list(networks.paths.values())
    from nir_interop_studies.nmnist_transfer.crossing import run_all
    from nir_interop_studies.nmnist_transfer.report import Done, write_report

    crossed = run_all(options, networks.networks(), test, progress)
    done = Done(chosen, networks.trained, training, crossed)
    return write_report(options, done, lambda: time.perf_counter() - started)


STUDY = Study(
    "nmnist_transfer",
    "A network for event frames from Norse to snnTorch and back: which pooling, which time step, and what is left of it?",
    act,
)
