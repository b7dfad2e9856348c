"""Networks as people write and train them in three libraries, and what each computes, by the library alone.

Nothing of nir_interop is in it: :meth:`OwnNetwork.by_hand` is what a transfer has to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

Tensor = torch.Tensor
Module = nn.Module

STEPS, CLASSES = 20, 10
TRAINED_AT = 0.8
"""A pixel's probability to spike in a step, times its brightness, in training and in the inputs that a transfer sees."""
FRESH_AT = 0.65
"""Of the inputs that a transfer has not seen."""


@dataclass(frozen=True, eq=False)
class OwnNetwork:
    r"""A network of a user's.

    library : whose it is
    make : a new one, not trained
    by_hand : (module, input with axes (T, B, \*shape)) → its output, axes (T, B, 10), as the library's users run it
    learn : trains a new one, in place
    fires : types of its layers of neurons
    export : its library's own exporter, called as it documents for a sample of one step, axes (B, \*shape)
    exported : what that says; empty where it gives a graph
    shape : of a step of input
    dt : the step [s] that the library means by it
    """

    name: str
    library: str
    make: Callable[[], Module]
    by_hand: Callable[[Module, Tensor], Tensor]
    learn: Callable[[Module, Callable[[Module, Tensor], Tensor]], None]
    fires: tuple[type[Module], ...]
    export: Callable[[Module, Tensor], Any]
    exported: str = ""
    shape: tuple[int, ...] = (64,)
    dt: float = 1e-4

    def trained(self) -> Module:
        """The network as it is after training, with whatever states it then holds; trained once, the same in every run."""
        return _trained(self)

    def output(self, x: Tensor) -> NDArray[np.float32]:
        """What the trained network puts out, by the library alone; axes (T, B, 10)."""
        with torch.no_grad():
            return self.by_hand(self.trained(), x).numpy()

    def rates(self, x: Tensor) -> dict[str, float]:
        """Spikes per neuron and step, by layer."""
        counted: dict[str, list[float]] = {}

        def count(name: str, output: Any) -> None:
            counted.setdefault(name, []).append(float((output[0] if isinstance(output, tuple) else output).mean()))

        layers = {name: layer for name, layer in self.trained().named_modules() if isinstance(layer, self.fires)}
        hooks = [
            layer.register_forward_hook(lambda _, __, output, name=name: count(name, output)) for name, layer in layers.items()
        ]
        self.output(x)
        for hook in hooks:
            hook.remove()
        return {name: float(np.mean(counted[name])) for name in layers}


@cache
def _trained(network: OwnNetwork) -> Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = network.make()
        network.learn(module, network.by_hand)
    return module


NAMES: Mapping[str, tuple[str, ...]] = {
    "snntorch": ("leaky", "leaky_learnable", "synaptic", "rleaky_subtract", "rleaky_zero"),
    "norse": ("lifcell", "lifcell_v_reset", "lif_time_inside", "lifbox", "recurrent"),
    "spikingjelly": (
        "lif",
        "lif_input_not_decayed",
        "lif_soft_reset",
        "lif_v_reset",
        "plif",
        "if_averaged",
        "convolutional",
        "recurrent",
    ),
}
"""All networks, without importing their libraries."""


def network(library: str, name: str) -> OwnNetwork:
    """One of them; its library is imported."""
    found: tuple[OwnNetwork, ...] = import_module(f"tests.transfer.own_{library}").NETWORKS
    (one,) = (each for each in found if each.name == name)
    return one


@cache
def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images of 64 pixels, 0 to 1, and their labels, in an order that is drawn once."""
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return (found.data[order] / 16).astype(np.float32), found.target[order].astype(np.int64)


def spikes(images: NDArray[np.float32], seed: int, rate: float, shape: tuple[int, ...] = (64,), steps: int = STEPS) -> Tensor:
    r"""Images as spikes: each pixel fires in a step with its brightness times the rate; axes (steps, images, \*shape)."""
    drawn = np.random.default_rng(seed).random((steps, *images.shape)) < rate * images
    return torch.from_numpy(drawn.astype(np.float32).reshape(steps, len(images), *shape))


def batches(shape: tuple[int, ...], epochs: int = 3, size: int = 64, images: int = 1024) -> list[tuple[Tensor, Tensor]]:
    """What is trained on: spikes and labels."""
    x, y = digits()
    starts = range(0, images, size)
    return [
        (spikes(x[at : at + size], 1000 * epoch + at, TRAINED_AT, shape), torch.from_numpy(y[at : at + size]))
        for epoch in range(epochs)
        for at in starts
    ]


def seen(network: OwnNetwork, samples: int = 16) -> tuple[Tensor, Tensor]:
    """The input of a transfer, and its labels: images that were not trained on."""
    x, y = digits()
    return spikes(x[1024 : 1024 + samples], 5, TRAINED_AT, network.shape), torch.from_numpy(y[1024 : 1024 + samples])


def fresh(network: OwnNetwork, samples: int = 64) -> tuple[Tensor, Tensor]:
    """Other images at another rate, for twice as many steps, which no transfer has seen."""
    x, y = digits()
    return spikes(x[1200 : 1200 + samples], 77, FRESH_AT, network.shape, 2 * STEPS), torch.from_numpy(y[1200 : 1200 + samples])
