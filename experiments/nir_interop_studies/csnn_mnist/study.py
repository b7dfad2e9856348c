"""The study from start to end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from nir_interop_studies.common import LIBRARIES, Options, Progress, Study, images
from nir_interop_studies.csnn_mnist.network import SIZE, regimes
from nir_interop_studies.trained_networks import TrainedNetworks

QUICK_SAMPLES = (960, 360)
"""Training and test images of a quick run, of the embedded digits or of MNIST."""


def act(options: Options, progress: Progress) -> Sequence[Path]:
    """Train, deploy, compare and write.

    Raises BadInput before anything is trained where something that was given cannot be used.
    """
    started = time.perf_counter()
    training, test = images(options, SIZE, QUICK_SAMPLES if options.quick else None)
    chosen = regimes(options)
    networks = TrainedNetworks(options, chosen, training)
    networks.train(LIBRARIES, progress)
    if options.train_only:
        return list(networks.paths.values())
    from nir_interop_studies.csnn_mnist.crossing import run_all
    from nir_interop_studies.csnn_mnist.report import Done, write_report

    crossed = run_all(options, chosen, networks.networks(), test, progress)
    done = Done(chosen, networks.trained, (training, test), crossed)
    return write_report(options, done, lambda: time.perf_counter() - started)


STUDY = Study(
    "csnn_mnist", "One convolutional network, trained in each of three libraries: what is left of it in the others?", act
)
