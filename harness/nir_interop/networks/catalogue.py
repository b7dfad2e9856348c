"""The catalogue: the networks of the matrix, by name.

Weights are seeded and the same in every library; their scales are chosen so that every spiking layer fires in 2–40 %
of its neuron-steps under the network's stimulus (tests/networks/test_catalogue.py).

A network whose spikes set the membrane to a value has a twin, ``NAME_soft``, whose spikes subtract the threshold: the same
layers under the same stimulus, for libraries that only subtract.  Twins take part where they are named, and are not trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nir_interop.errors import UnknownName
from nir_interop.networks.layers import IF, LI, LIF, Affine, CubaLIF, Feedback, Flatten, Layer, Neuron, Pool2d, PoolKind
from nir_interop.networks.network import Network
from nir_interop.networks.seeded_weights import Weights
from nir_interop.vocabulary import Readout, Reset

DT = 1e-4
"""The step [s] that the catalogue's networks are meant for."""


@dataclass(frozen=True)
class Stimulation:
    """What a network is fed in the matrix: ``batch`` samples of ``steps`` steps.

    dataset : ``random`` (Bernoulli spikes of probability ``rate``) or ``digits``
    encoding : of digits: ``rate``, ``latency`` or ``direct``
    """

    dataset: str
    steps: int
    batch: int
    rate: float = 0.3
    encoding: str = "rate"


@dataclass(frozen=True)
class Catalogued:
    """A network by name, with its stimulus; ``epochs`` > 0: it is trained on the digits, once per library.

    learning_rate : of the weights in NIR units, so that one rate serves every library
    twin_of : the network that it is with another reset; empty for one of the default matrix
    """

    build: Callable[[int], Network]
    stimulation: Stimulation
    epochs: int = 0
    batch: int = 64
    learning_rate: float = 1e-3
    twin_of: str = ""


def _two_layers(
    name: str, stream: int, seed: int, neuron: Callable[[str, int, Weights], Neuron], scales: tuple[float, float],
    sizes: tuple[int, int, int] = (20, 30, 10), *, mean: float = 0.3,
    output: Callable[[str, int, Weights], Neuron] | None = None, **options: Any,
) -> Network:  # fmt: skip
    """Affine, neuron, affine, neuron; the weights' mean is a share of their scale."""
    weights = Weights(seed, stream)
    inputs, hidden, outputs = sizes
    layers: tuple[Layer, ...] = (
        weights.affine("fc1", inputs, hidden, scales[0], mean * scales[0]),
        neuron("lif1", hidden, weights),
        weights.affine("fc2", hidden, outputs, scales[1], mean * scales[1]),
        (output or neuron)("lif2", outputs, weights),
    )
    return Network(name, (inputs,), layers, dt=DT, seed=seed, **options)


def _lif(name: str, size: int, weights: Weights) -> LIF:
    return LIF(name=name, tau=2e-3)


def _cuba(name: str, size: int = 0, weights: Weights | None = None) -> CubaLIF:
    """Gains of τ/dt: the synapse and the membrane take their input undivided, as all three libraries do."""
    return CubaLIF(name=name, tau_syn=1e-3, tau_mem=2e-3, r=2e-3 / DT, w_in=1e-3 / DT)


def _mixed(name: str, size: int, weights: Weights) -> LIF:
    return LIF(name=name, tau=weights.uniform(size, 1e-3, 4e-3), v_threshold=weights.uniform(size, 0.5, 1.5))


def _lif_single(seed: int) -> Network:
    layers = (Affine(name="fc1", weight=np.array([[6.0]]), bias=np.array([0.25])), LIF(name="lif1", tau=2.5e-3))
    return Network("lif_single", (1,), layers, dt=DT, seed=seed)


def _mlp_lif(seed: int) -> Network:
    return _two_layers("mlp_lif", 1, seed, _lif, (7.0, 12.0), (64, 128, 10), mean=0.0)


def _mlp_cuba(seed: int) -> Network:
    return _two_layers("mlp_cuba", 2, seed, _cuba, (0.08, 0.06), (64, 128, 10))


def _mlp_lif_mixed(seed: int) -> Network:
    return _two_layers("mlp_lif_mixed", 3, seed, _mixed, (6.0, 10.0))


def _mlp_if(seed: int) -> Network:
    def neuron(name: str, size: int, weights: Weights) -> IF:
        return IF(name=name, r=1 / DT)

    return _two_layers("mlp_if", 4, seed, neuron, (0.3, 0.3))


def _mlp_readout(seed: int) -> Network:
    def readout(name: str, size: int, weights: Weights) -> LI:
        return LI(name=name, tau=2e-3)

    return _two_layers("mlp_readout", 5, seed, _lif, (5.0, 5.0), output=readout, readout=Readout.LAST)


def _mlp_subtract(seed: int) -> Network:
    return _two_layers("mlp_subtract", 6, seed, _lif, (5.0, 8.0), reset=Reset.SUBTRACT)


def _mlp_leak(seed: int) -> Network:
    def neuron(name: str, size: int, weights: Weights) -> LIF:
        return LIF(name=name, tau=2e-3, v_leak=0.1, v_reset=-0.2)

    return _two_layers("mlp_leak", 7, seed, neuron, (5.0, 8.0))


def _mlp_rest(seed: int) -> Network:
    def neuron(name: str, size: int, weights: Weights) -> LIF:
        return LIF(name=name, tau=2e-3, v_leak=-0.2, v_reset=-0.2)

    return _two_layers("mlp_rest", 8, seed, neuron, (6.0, 12.0))


def _mlp_gain(seed: int) -> Network:
    def neuron(name: str, size: int, weights: Weights) -> LIF:
        return LIF(name=name, tau=2e-3, r=2.5)

    return _two_layers("mlp_gain", 9, seed, neuron, (2.0, 5.0), free_gain=False)


def _csnn_avgpool(seed: int) -> Network:
    weights = Weights(seed, 10)
    layers: tuple[Layer, ...] = (
        weights.conv("conv1", (12, 1, 5, 5), 4.0),
        Pool2d(name="pool1", kind=PoolKind.AVERAGE),
        LIF(name="lif1", tau=2e-4),
        weights.conv("conv2", (64, 12, 5, 5), 4.5),
        Pool2d(name="pool2", kind=PoolKind.AVERAGE),
        LIF(name="lif2", tau=2e-4),
        Flatten(name="flat"),
        weights.affine("fc", 1024, 10, 5.5),
        LIF(name="lif3", tau=2e-4),
    )
    return Network("csnn_avgpool", (1, 28, 28), layers, dt=DT, seed=seed)


def _small_csnn(name: str, stream: int, kind: PoolKind, seed: int, scale: float, start_dim: int) -> Network:
    weights = Weights(seed, stream)
    layers: tuple[Layer, ...] = (
        weights.conv("conv1", (4, 2, 3, 3), scale, 0.3 * scale),
        Pool2d(name="pool1", kind=kind),
        LIF(name="lif1", tau=2e-3),
        weights.conv("conv2", (8, 4, 2, 2), scale, 0.3 * scale),
        Pool2d(name="pool2", kind=kind),
        LIF(name="lif2", tau=2e-3),
        Flatten(name="flat", start_dim=start_dim),
        weights.affine("fc", 32, 10, 8.0, 3.0),
        LIF(name="lif3", tau=2e-3),
    )
    return Network(name, (2, 12, 12), layers, dt=DT, seed=seed)


def _csnn_sumpool(seed: int) -> Network:
    return _small_csnn("csnn_sumpool", 11, PoolKind.SUM, seed, 3.0, start_dim=-3)


def _csnn_maxpool(seed: int) -> Network:
    return _small_csnn("csnn_maxpool", 12, PoolKind.MAX, seed, 5.0, start_dim=0)


def _conv1d(seed: int) -> Network:
    weights = Weights(seed, 13)
    layers: tuple[Layer, ...] = (
        weights.conv("conv1", (8, 4, 3), 5.0, 1.5, padding=1),
        LIF(name="lif1", tau=2e-3),
        Flatten(name="flat"),
        weights.affine("fc", 160, 10, 5.0, 1.5),
        LIF(name="lif2", tau=2e-3),
    )
    return Network("conv1d", (4, 20), layers, dt=DT, seed=seed)


def _conv_grouped(seed: int) -> Network:
    weights = Weights(seed, 14)
    layers: tuple[Layer, ...] = (
        weights.conv("conv1", (8, 2, 3, 3), 5.0, 1.5, groups=2),
        LIF(name="lif1", tau=2e-3),
        Flatten(name="flat"),
        weights.affine("fc", 288, 10, 5.0, 1.5),
        LIF(name="lif2", tau=2e-3),
    )
    return Network("conv_grouped", (4, 8, 8), layers, dt=DT, seed=seed)


def _recurrent(
    name: str, stream: int, seed: int, neuron: Callable[..., Neuron], sizes: tuple[int, int, int], scale: float
) -> Network:
    weights = Weights(seed, stream)
    inputs, hidden, outputs = sizes
    feedback = Feedback(weight=weights.normal((hidden, hidden), 0.5 * scale), bias=weights.normal((hidden,), 0.5 * scale))
    layers: tuple[Layer, ...] = (
        weights.affine("fc1", inputs, hidden, scale, 0.3 * scale),
        neuron("lif1", feedback=feedback),
        weights.affine("fc2", hidden, outputs, 1.5 * scale, 0.45 * scale),
        neuron("lif2"),
    )
    return Network(name, (inputs,), layers, dt=DT, seed=seed)


def _rlif(seed: int) -> Network:
    def neuron(name: str, feedback: Feedback | None = None) -> LIF:
        return LIF(name=name, tau=2e-3, feedback=feedback)

    return _recurrent("rlif", 15, seed, neuron, (20, 30, 10), 5.0)


def _rcuba(seed: int) -> Network:
    def neuron(name: str, feedback: Feedback | None = None) -> CubaLIF:
        return CubaLIF(name=name, tau_syn=1e-3, tau_mem=2e-3, r=2e-3 / DT, w_in=1e-3 / DT, feedback=feedback)

    return _recurrent("rcuba", 16, seed, neuron, (12, 38, 7), 0.05)


def _residual(seed: int) -> Network:
    weights = Weights(seed, 17)
    layers: tuple[Layer, ...] = (
        weights.affine("fc1", 20, 30, 5.0, 1.5),
        LIF(name="lif1", tau=2e-3),
        weights.affine("fc2", 30, 10, 4.0, 1.0),
        weights.affine("skip", 30, 10, 4.0, 1.0, inputs=("lif1",)),
        LIF(name="lif2", tau=2e-3, inputs=("fc2", "skip")),
    )
    return Network("residual", (20,), layers, dt=DT, seed=seed)


_RANDOM = Stimulation("random", steps=100, batch=4)
_IMAGES = Stimulation("digits", steps=8, batch=100)

_CATALOGUE: dict[str, Catalogued] = {
    "lif_single": Catalogued(_lif_single, _RANDOM),
    "mlp_lif": Catalogued(_mlp_lif, Stimulation("digits", steps=25, batch=360), epochs=6, learning_rate=0.12),
    "mlp_cuba": Catalogued(_mlp_cuba, Stimulation("digits", steps=25, batch=100), epochs=6, learning_rate=0.002),
    "mlp_lif_mixed": Catalogued(_mlp_lif_mixed, _RANDOM),
    "mlp_if": Catalogued(_mlp_if, _RANDOM),
    "mlp_readout": Catalogued(_mlp_readout, _RANDOM),
    "mlp_subtract": Catalogued(_mlp_subtract, _RANDOM),
    "mlp_leak": Catalogued(_mlp_leak, _RANDOM),
    "mlp_rest": Catalogued(_mlp_rest, _RANDOM),
    "mlp_gain": Catalogued(_mlp_gain, _RANDOM),
    "csnn_avgpool": Catalogued(_csnn_avgpool, _IMAGES, epochs=3, batch=16, learning_rate=0.01),
    "csnn_sumpool": Catalogued(_csnn_sumpool, _RANDOM),
    "csnn_maxpool": Catalogued(_csnn_maxpool, _RANDOM),
    "conv1d": Catalogued(_conv1d, _RANDOM),
    "conv_grouped": Catalogued(_conv_grouped, _RANDOM),
    "rlif": Catalogued(_rlif, _RANDOM),
    "rcuba": Catalogued(_rcuba, _RANDOM),
    "residual": Catalogued(_residual, _RANDOM),
}


_SOFT = "_soft"
_TWIN_SCALES = {"mlp_cuba": 0.75}
"""Of all weights and biases, where a layer that is not set to zero would fire in more than 40 %."""


def _twin(name: str, entry: Catalogued) -> Catalogued:
    """A network with its resets by subtraction."""

    def build(seed: int) -> Network:
        network, scale = replace(entry.build(seed), name=name + _SOFT, reset=Reset.SUBTRACT), _TWIN_SCALES.get(name, 1.0)
        learned = network.parameters().items()
        return network.with_parameters({key: (scale * each).astype(np.float32).astype(np.float64) for key, each in learned})

    return replace(entry, build=build, epochs=0, twin_of=name)


_TWINS = {name + _SOFT: _twin(name, entry) for name, entry in _CATALOGUE.items() if name != "mlp_subtract"}


def names() -> tuple[str, ...]:
    """The names of the default matrix, in its order."""
    return tuple(_CATALOGUE)


def twins() -> tuple[str, ...]:
    """The names of the networks that subtract where another, ``twin_of``, sets to a value, in the order of those."""
    return tuple(_TWINS)


def catalogue(name: str) -> Catalogued:
    """The entry of that name, a twin's too.

    Raises UnknownName where there is none.
    """
    known = _CATALOGUE | _TWINS
    if name not in known:
        raise UnknownName(f"no network {name!r}; there are {', '.join(known)}")
    return known[name]
