"""Which networks are trained, in which library, and how."""

from __future__ import annotations

from dataclasses import dataclass

from nir_interop.learning import Surrogate
from nir_interop.networks import Network, PoolKind
from nir_interop.training import Settings
from nir_interop.vocabulary import Idiom
from nir_interop_studies.common import LIBRARIES, Options
from nir_interop_studies.nmnist_transfer.network import FRAMES_OF_TAU, network

STEPS, QUICK_STEPS = 300, 60
"""Frames of a test recording."""
WINDOW_STEPS, QUICK_WINDOW_STEPS = 100, 50
"""Frames of a stretch that is trained on."""
STARTS, QUICK_STARTS = tuple(range(0, 201, 25)), (0,)
"""Where the stretches of a training recording begin."""

LEARNING_RATE = 0.012
PASSES, QUICK_PASSES = 2, 3
"""Of the training over all stretches, for each of ``--epochs``."""

POOLINGS = {"norse": (PoolKind.AVERAGE, PoolKind.MAX), "snntorch": (PoolKind.AVERAGE,)}
"""Trained networks: library → poolings.  Sum pooling is average pooling with a quarter of the weights, to the last bit."""

IMPORTERS = LIBRARIES

_SURROGATES = {"norse": Surrogate("tanh", 1.5), "snntorch": Surrogate("fast_sigmoid", 1.0)}


@dataclass(frozen=True)
class Regime:
    """A network to be trained."""

    pooling: PoolKind
    settings: Settings

    @property
    def library(self) -> str:
        """Whose modules."""
        return self.settings.library

    @property
    def key(self) -> str:
        """Names its files."""
        return f"{self.library}_{self.pooling.value}"

    @property
    def start(self) -> Network:
        """Before training, written for frames of 1 ms."""
        return network(self.settings.seed, self.pooling)


def steps(options: Options) -> int:
    """Frames of a test recording."""
    return QUICK_STEPS if options.quick else STEPS


def regimes(options: Options) -> list[Regime]:
    """All networks of a run.

    Raises UnknownName for a library that this study does not train in.
    """
    found = []
    for library in options.trained_in(POOLINGS):
        settings = Settings(
            library, Idiom.PORTABLE, _SURROGATES[library], loss="rate", learning_rate=LEARNING_RATE, gain=1 / FRAMES_OF_TAU,
            batch=16 if options.quick else 24, steps=QUICK_WINDOW_STEPS if options.quick else WINDOW_STEPS,
            epochs=options.epochs * (QUICK_PASSES if options.quick else PASSES), seed=options.seed, falling=True,
            sharpness=20.0,
        )  # fmt: skip
        found += [Regime(pooling, settings) for pooling in POOLINGS[library]]
    return found
