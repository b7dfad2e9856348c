"""What a network of the catalogue is fed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.datasets import load_digits_images
from nir_interop.errors import BadStimulus, UnknownName
from nir_interop.stimuli.encoding import TRAIN_STREAM, bernoulli, encode

if TYPE_CHECKING:
    from nir_interop.networks import Catalogued, Network

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Stimulus:
    """Input of one run.

    input : axes (T, B, \\*shape), float32
    labels : class per sample, axes (B,), int64; None where there are none
    dataset, encoding, seed : where it comes from
    """

    input: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    dataset: str
    encoding: str
    seed: int

    def digest(self) -> str:
        """SHA-256 of the input's shape and bytes: stimuli of one digest are the same input."""
        sha = hashlib.sha256(f"{self.input.dtype.str}\0{self.input.shape}\0".encode())
        sha.update(np.ascontiguousarray(self.input).tobytes())
        return sha.hexdigest()


def stimulus_for(entry: Catalogued, network: Network, seed: int) -> Stimulus:
    """What the catalogue feeds a network: random spikes, or the first ``batch`` test digits in its input shape.

    Raises UnknownName for a data set that is neither, BadStimulus where digits cannot take the network's shape.
    """
    wanted = entry.stimulation
    shape = network.input_shape
    if wanted.dataset == "random":
        spikes = bernoulli(shape, wanted.steps, wanted.batch, wanted.rate, seed)
        return Stimulus(spikes, None, "random", "bernoulli", seed)
    images, labels = _images_for(wanted.dataset, shape, train=False)
    if wanted.batch > len(labels):
        raise BadStimulus(f"{wanted.dataset} has {len(labels)} test samples, {network.name} asks for {wanted.batch}")
    encoded = encode(images[: wanted.batch], wanted.encoding, wanted.steps, seed)
    return Stimulus(encoded, labels[: wanted.batch], wanted.dataset, wanted.encoding, seed)


def training_samples(entry: Catalogued, network: Network, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Inputs (T, N, \\*shape) and labels (N,) of the training split, encoded like the test samples but from another stream.

    Raises UnknownName for a data set without classes (``random``), BadStimulus where it cannot take the network's shape.
    """
    wanted = entry.stimulation
    images, labels = _images_for(wanted.dataset, network.input_shape, train=True)
    return encode(images, wanted.encoding, wanted.steps, seed, stream=TRAIN_STREAM), labels


def _images_for(dataset: str, shape: tuple[int, ...], train: bool) -> tuple[Array, NDArray[np.int64]]:
    if dataset != "digits":
        raise UnknownName(f"the catalogue has no images called {dataset!r}; it has digits")
    if shape == (64,):
        digits = load_digits_images(train)
    elif len(shape) == 3 and shape[0] == 1 and shape[1] == shape[2]:
        digits = load_digits_images(train, size=shape[1])
    else:
        raise BadStimulus(f"digits cannot take the shape {shape}; they can be (64,) or (1, n, n)")
    return digits.images.reshape(-1, *shape), digits.labels
