"""The layers a network is made of: parameters in NIR units (seconds, volts, ohms), no library's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parameter = float | Array
"""One value for all neurons of a layer, or one per neuron in the layer's shape."""


class PoolKind(Enum):
    """What a pooling window gives."""

    AVERAGE = "average"
    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A layer by name.

    inputs : names of the layers whose outputs are added up to be its input; empty: the layer before it
    """

    name: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine(Layer):
    """``weight`` (out, in) and ``bias`` (out) or None."""

    weight: Array
    bias: Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Layer):
    """Convolution over one or two dimensions: ``weight`` (out, in/groups, \\*kernel), ``bias`` (out) or None."""

    weight: Array
    bias: Array | None = None
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def dimensions(self) -> int:
        """1 or 2."""
        return self.weight.ndim - 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool2d(Layer):
    """Pooling over square windows that do not overlap."""

    kind: PoolKind
    size: int = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Flatten(Layer):
    """All dimensions of a sample into one; ``start_dim`` is how NIR is to say it (0 or -3)."""

    start_dim: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Feedback:
    """All-to-all recurrence of a neuron layer, one step late: ``weight`` (n, n), ``bias`` (n) or None."""

    weight: Array
    bias: Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Neuron(Layer):
    """A layer of neurons; ``feedback`` makes it recurrent."""

    feedback: Feedback | None = None
    spiking: ClassVar[bool] = True

    def parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Names and values of the neuron's NIR parameters, in NIR's order."""
        for entry in fields(self):
            if entry.name not in ("name", "inputs", "feedback"):
                yield entry.name, getattr(self, entry.name)


@dataclass(frozen=True, eq=False, kw_only=True)
class IF(Neuron):
    r"""Integrate and fire: :math:`\dot v = R x`."""

    r: Parameter
    v_reset: Parameter = 0.0
    v_threshold: Parameter = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class LI(Neuron):
    r"""Leaky integrator without spikes: :math:`\tau\dot v = v_\mathrm{leak} - v + R x`."""

    tau: Parameter
    r: Parameter = 1.0
    v_leak: Parameter = 0.0
    spiking: ClassVar[bool] = False


@dataclass(frozen=True, eq=False, kw_only=True)
class LIF(Neuron):
    r"""Leaky integrate and fire: :math:`\tau\dot v = v_\mathrm{leak} - v + R x`."""

    tau: Parameter
    r: Parameter = 1.0
    v_leak: Parameter = 0.0
    v_reset: Parameter = 0.0
    v_threshold: Parameter = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class CubaLIF(Neuron):
    r"""LIF behind a synapse: :math:`\tau_s\dot i = w_\mathrm{in} x - i`, :math:`\tau_m\dot v = v_\mathrm{leak} - v + R i`."""

    tau_syn: Parameter
    tau_mem: Parameter
    r: Parameter
    v_leak: Parameter = 0.0
    v_reset: Parameter = 0.0
    w_in: Parameter
    v_threshold: Parameter = 1.0


def per_neuron(value: Parameter, shape: tuple[int, ...]) -> Array:
    """A parameter written out for every neuron of a layer, float64."""
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), shape))


def uniform(value: Parameter) -> float | None:
    """The one value of a parameter, or None where neurons differ."""
    values = np.unique(np.asarray(value))
    return float(values[0]) if values.size == 1 else None
