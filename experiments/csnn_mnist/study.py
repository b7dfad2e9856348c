"""The study from start to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from experiments import checkpoints
from experiments.common import Options, Study, device_of, images
from experiments.csnn_mnist.network import SIZE, csnn
from experiments.csnn_mnist.regimes import Regime, regimes
from experiments.progress import Progress
from experiments.stepping import LIBRARIES
from experiments.training import Trained, about, train
from harness.datasets import Images
from harness.networks import Network

QUICK_SAMPLES = (960, 360)
"""Training and test images of a quick run, of the embedded digits or of MNIST."""


def start(regime: Regime) -> Network:
    """The network before training."""
    return csnn(regime.settings.seed, regime.reset, regime.scale)


def checkpoint(options: Options, regime: Regime, training: Images) -> Path:
    """Where a trained network lies: in the folder that was named, else under a name of its own fingerprint."""
    if options.checkpoints is not None:
        return options.checkpoints / f"{regime.key}.pt"
    key = checkpoints.fingerprint(about(start(regime), training, regime.settings))
    return options.work / "checkpoints" / f"{regime.key}-{key[:12]}.pt"


def act(options: Options, progress: Progress) -> Sequence[Path]:
    """Train, deploy, compare and write.

    Raises BadInput before anything is trained where something that was given cannot be used.
    """
    started = time.perf_counter()
    device = device_of(options.device)
    training, test = images(options, SIZE, QUICK_SAMPLES if options.quick else None)
    chosen = regimes(options)
    paths = {regime.key: checkpoint(options, regime, training) for regime in chosen}
    for regime in chosen:
        checkpoints.load(paths[regime.key], about(start(regime), training, regime.settings))

    def trained() -> dict[str, Trained]:
        return {regime.key: _train(regime, training, device, paths[regime.key], progress) for regime in chosen}

    if options.train_only:
        trained()
        return list(paths.values())
    return _deploy(options, chosen, trained, (training, test), progress, started)


def _deploy(
    options: Options,
    chosen: Sequence[Regime],
    train_all: Callable[[], Mapping[str, Trained]],
    data: tuple[Images, Images],
    progress: Progress,
    started: float,
) -> Sequence[Path]:
    # What only a whole run needs is imported where one happens: training has to do with torch and one library.
    from experiments.csnn_mnist.crossing import run_all
    from experiments.csnn_mnist.report import Done, write_report
    from experiments.identifying import identifying

    with identifying({regime.settings.library: start(regime) for regime in chosen}, LIBRARIES, options.store) as wait:
        trained = train_all()
        progress.say("waiting until the libraries' rules are known")
        wait()
    networks = {regime.key: start(regime).with_parameters(trained[regime.key].parameters) for regime in chosen}
    crossed = run_all(options, chosen, networks, data[1], progress)
    return write_report(options, Done(chosen, trained, data, crossed), lambda: time.perf_counter() - started)


def _train(regime: Regime, training: Images, device: torch.device, path: Path, progress: Progress) -> Trained:
    settings = regime.settings
    updates = settings.epochs * -(-len(training) // settings.batch)
    with progress.task(f"train {regime.key}", updates) as advance:
        found = train(start(regime), training, settings, device, path, advance)
    progress.say(
        f"{regime.key}: {updates} updates in {found.seconds:.1f} s on {found.device}, last loss {found.curve[-1, 0]:.3f}"
    )
    return found


STUDY = Study(
    "csnn_mnist", "One convolutional network, trained in each of three libraries: what is left of it in the others?", act
)
