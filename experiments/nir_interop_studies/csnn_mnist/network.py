"""The network of snnTorch's tutorial 6, 12C5-P2-64C5-P2-1024FC10, with average pooling.

Source: J. Eshraghian et al., snnTorch documentation, tutorial 6, *Surrogate gradient descent in a convolutional SNN*.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nir_interop.networks import LIF, Affine, Conv, Flatten, Network, Pool2d, PoolKind
from nir_interop.vocabulary import Reset

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
