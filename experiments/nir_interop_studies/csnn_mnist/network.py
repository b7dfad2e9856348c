"""The network of snnTorch's tutorial 6, 12C5-P2-64C5-P2-1024FC10, with average pooling, and how it is trained.

Source: J. Eshraghian et al., snnTorch documentation, tutorial 6, *Surrogate gradient descent in a convolutional SNN*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nir_interop.learning import Surrogate
from nir_interop.networks import LIF, Affine, Conv, Flatten, Network, Pool2d, PoolKind
from nir_interop.training import Settings
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_studies.common import LIBRARIES, Options

DT = 1e-4
"""The step [s]: the only one that snnTorch's importer and exporter know."""

BETA = 0.5
THRESHOLD = 1.0
SIZE = 28
"""Pixels along each side of an image."""

TAU = DT / (1 - BETA)
"""The time constant [s] of a membrane that keeps BETA of itself in a step."""

GAIN = DT / TAU
"""What NIR's LIF makes of its input in a step, for r = 1; snnTorch's Leaky takes it whole."""

_STREAM = 201


def csnn(seed: int, reset: Reset = Reset.VALUE, scale: float = 1.0) -> Network:
    """The network with starting weights uniform within ±``scale``/√inputs as snnTorch holds them; PyTorch's own scale is 1."""
    generator = np.random.default_rng([seed, _STREAM])

    def drawn(shape: tuple[int, ...], inputs: int) -> NDArray[np.float64]:
        values = generator.uniform(-1.0, 1.0, shape) / np.sqrt(inputs)
        weights: NDArray[np.float64] = values.astype(np.float32).astype(np.float64) * scale / GAIN
        return weights

    def conv(name: str, outputs: int, inputs: int) -> Conv:
        fan = inputs * 25
        return Conv(name=name, weight=drawn((outputs, inputs, 5, 5), fan), bias=drawn((outputs,), fan))

    layers = (
        conv("conv1", 12, 1),
        Pool2d(name="pool1", kind=PoolKind.AVERAGE),
        LIF(name="lif1", tau=TAU, v_threshold=THRESHOLD),
        conv("conv2", 64, 12),
        Pool2d(name="pool2", kind=PoolKind.AVERAGE),
        LIF(name="lif2", tau=TAU, v_threshold=THRESHOLD),
        Flatten(name="flat"),
        Affine(name="fc", weight=drawn((10, 1024), 1024), bias=drawn((10,), 1024)),
        LIF(name="lif3", tau=TAU, v_threshold=THRESHOLD),
    )
    return Network("csnn_mnist", (1, SIZE, SIZE), layers, dt=DT, reset=reset, seed=seed)


STEPS = 50
"""For which an image is held, as published."""
CHOSEN_STEPS = 10
"""For which it is held while the chosen settings train: tested are all on STEPS, and training takes a fifth of the time."""
QUICK_STEPS = 8


def tested_steps(options: Options) -> int:
    """For which a test image is held."""
    return QUICK_STEPS if options.quick else STEPS


PUBLISHED, CHOSEN = "published", "chosen"


@dataclass(frozen=True)
class Regime:
    """A way to train the network in one library.

    reset : what a spike does to the membrane
    scale : of the starting weights, in units of PyTorch's own
    """

    name: str
    reset: Reset
    scale: float
    settings: Settings

    @property
    def key(self) -> str:
        """Names its files."""
        return f"{self.settings.library}_{self.name}"

    @property
    def start(self) -> Network:
        """The network before training."""
        return csnn(self.settings.seed, self.reset, self.scale)


_SURROGATES = {
    "snntorch": Surrogate("fast_sigmoid", 1.0),
    "norse": Surrogate("tanh", 1.5),
    "spikingjelly": Surrogate("ATan", 1.0),
}


def regimes(options: Options) -> list[Regime]:
    """All of a run: the published settings, which are snnTorch's alone, and the chosen ones in each library.

    Raises UnknownName for a library that does not train here.
    """
    found = []
    for library in options.trained_in(LIBRARIES):
        published = Settings(
            library, Idiom.TUTORIAL, Surrogate("fast_sigmoid", 25.0), loss="steps", learning_rate=1e-2, gain=GAIN,
            batch=128, steps=STEPS, epochs=options.epochs, seed=options.seed,
        )  # fmt: skip
        chosen = replace(
            published, idiom=Idiom.PORTABLE, surrogate=_SURROGATES[library], loss="rate", learning_rate=5e-3,
            batch=32, falling=True, sharpness=10.0, steps=CHOSEN_STEPS,
        )  # fmt: skip
        if options.quick:
            published = replace(published, batch=32, steps=QUICK_STEPS)
            chosen = replace(chosen, batch=16, steps=QUICK_STEPS)
        if library == "snntorch":
            # The tutorial's neurons have one number beta and snnTorch's own reset, by subtraction and one step late.
            found.append(Regime(PUBLISHED, Reset.SUBTRACT, 1.0, published))
        found.append(Regime(CHOSEN, Reset.VALUE, 3.0, chosen))
    return found
