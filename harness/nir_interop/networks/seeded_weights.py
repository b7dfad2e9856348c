"""Seeded weights, the same in every library."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.networks.layers import Affine, Conv


class Weights:
    """Seeded weights, one stream per network; scale counts in units of 1/√inputs."""

    def __init__(self, seed: int, stream: int) -> None:
        self.generator = np.random.default_rng([seed, stream])

    def normal(self, shape: tuple[int, ...], scale: float, mean: float = 0.0) -> NDArray[Any]:
        inputs = int(np.prod(shape[1:]))
        drawn = (self.generator.standard_normal(shape) * scale + mean) / np.sqrt(inputs)
        return np.asarray(drawn, dtype=np.float32).astype(np.float64)

    def uniform(self, size: int, low: float, high: float) -> NDArray[Any]:
        return self.generator.uniform(low, high, size).astype(np.float32).astype(np.float64)

    def affine(self, name: str, fan_in: int, fan_out: int, scale: float, mean: float = 0.0, **options: Any) -> Affine:
        weight = self.normal((fan_out, fan_in), scale, mean)
        return Affine(name=name, weight=weight, bias=self.normal((fan_out,), 0.1 * scale), **options)

    def conv(self, name: str, shape: tuple[int, ...], scale: float, mean: float = 0.0, **options: Any) -> Conv:
        weight = self.normal(shape, scale, mean)
        return Conv(name=name, weight=weight, bias=self.normal((shape[0],), 0.1 * scale), **options)
