"""Where samples come from: embedded digits (as images and as events), MNIST, N-MNIST, Braille letters."""

from harness.datasets.braille import SpikeTrains, load_braille
from harness.datasets.digits import load_digits_images
from harness.datasets.download import find_data
from harness.datasets.mnist import load_mnist
from harness.datasets.nmnist import load_nmnist
from harness.datasets.registry import dataset_names, load_dataset
from harness.datasets.saccades import digit_events, load_digits_events
from harness.datasets.samples import EVENT, Images, Recordings

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
