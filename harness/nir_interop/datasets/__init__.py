"""Where samples come from: embedded digits (as images and as events), MNIST, N-MNIST, Braille letters."""

from nir_interop.datasets.braille import SpikeTrains, load_braille
from nir_interop.datasets.digits import load_digits_images
from nir_interop.datasets.download import find_data
from nir_interop.datasets.mnist import load_mnist
from nir_interop.datasets.nmnist import load_nmnist
from nir_interop.datasets.registry import dataset_names, load_dataset
from nir_interop.datasets.saccades import digit_events, load_digits_events
from nir_interop.datasets.samples import EVENT, Images, Recordings

__all__ = [
    "EVENT",
    "Images",
    "Recordings",
    "SpikeTrains",
    "dataset_names",
    "digit_events",
    "find_data",
    "load_braille",
    "load_dataset",
    "load_digits_events",
    "load_digits_images",
    "load_mnist",
    "load_nmnist",
]
