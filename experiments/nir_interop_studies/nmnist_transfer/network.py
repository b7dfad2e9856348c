"""A small convolutional network for N-MNIST, with any pooling, for any step, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nir_interop.learning import Surrogate
from nir_interop.networks import LIF, Affine, Conv, Flatten, Network, Pool2d, PoolKind
from nir_interop.networks.layers import Layer
from nir_interop.training import Settings
from nir_interop.vocabulary import Idiom
from nir_interop_studies.common import LIBRARIES, Options

FRAME = 1e-3
"""Length of a frame [s], and Norse's default step."""
SHORT = 1e-4
"""The step [s] that snnTorch's exporter writes and its importer reads; SpikingJelly's default."""

FRAMES_OF_TAU = 8
"""A membrane's time constant, in steps: it loses an eighth of itself in each, whatever a step is said to be."""
SIZE = 34
CHANNELS = (12, 32)
KERNELS = (4, 3)
SCALES, MAX_SCALES = (12.0, 10.0, 6.0), (2.0, 1.5, 6.0)
"""Of the starting weights, in units of 1/√inputs of the library whose neurons take their input whole; of the layers before max
pooling less, so that neurons fire as often at the start: in 1–2 %, 5 % and 7–8 % of the steps."""

_STREAM = 301


def network(seed: int, pooling: PoolKind, dt: float = FRAME) -> Network:
    """4×4 convolution of stride 2, 3×3 convolution, each with 2×2 pooling and LIF neurons, and a dense layer.

    dt : the step [s] that it is written for; time constants are as long as that makes them, and what a step does is the same
    """
    generator = np.random.default_rng([seed, _STREAM])
    scales = MAX_SCALES if pooling is PoolKind.MAX else SCALES

    def drawn(shape: tuple[int, ...], scale: float) -> NDArray[np.float64]:
        inputs = int(np.prod(shape[1:]))
        values = generator.uniform(-1.0, 1.0, shape) * scale / np.sqrt(inputs)
        weights: NDArray[np.float64] = values.astype(np.float32).astype(np.float64) * FRAMES_OF_TAU
        return weights

    def lif(name: str) -> LIF:
        return LIF(name=name, tau=FRAMES_OF_TAU * dt)

    first, second = CHANNELS
    dense = second * 9
    layers: tuple[Layer, ...] = (
        Conv(name="conv1", weight=drawn((first, 2, KERNELS[0], KERNELS[0]), scales[0]), bias=np.zeros(first), stride=2),
        Pool2d(name="pool1", kind=pooling),
        lif("lif1"),
        Conv(name="conv2", weight=drawn((second, first, KERNELS[1], KERNELS[1]), scales[1]), bias=np.zeros(second)),
        Pool2d(name="pool2", kind=pooling),
        lif("lif2"),
        Flatten(name="flat", start_dim=-3),
        Affine(name="fc", weight=drawn((10, dense), scales[2]), bias=np.zeros(10)),
        lif("lif3"),
    )
    return Network(f"nmnist_{pooling.value}", (2, SIZE, SIZE), layers, dt=dt, seed=seed)


def written_for(network: Network, dt: float) -> Network:
    """The same network, its time constants as many steps of another length."""
    layers = tuple(
        replace(layer, tau=layer.tau / network.dt * dt) if isinstance(layer, LIF) else layer for layer in network.layers
    )
    return replace(network, layers=layers, dt=dt)


def summed(network: Network) -> Network:
    """The same network with sum pooling for average pooling: weights before it are a quarter, which rounds nothing.

    Raises ValueError for a network with other pooling.
    """
    layers: list[Layer] = []
    for layer in network.layers:
        if isinstance(layer, Pool2d):
            before = layers[-1]
            if layer.kind is not PoolKind.AVERAGE or not isinstance(before, Conv):
                raise ValueError(f"{layer.name} is no average pooling of a convolution")
            area = layer.size**2
            bias = None if before.bias is None else before.bias / area
            layers[-1] = replace(before, weight=before.weight / area, bias=bias)
            layer = replace(layer, kind=PoolKind.SUM)
        layers.append(layer)
    return replace(network, name="nmnist_sum", layers=tuple(layers))


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
