"""A network in a library's own words and process: what it gives, what its exporter writes, what it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.arrays import load_arrays, save_arrays
from nir_interop.graphs import Graph, read
from nir_interop.learning import classify
from nir_interop.networks import Network, catalogue
from nir_interop.networks.serialization import document_of
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom
from nir_interop.workers.jobs import OK, PARAMETERS, Native, Train
from nir_interop.workers.live import LiveBackend

Array = NDArray[Any]


def native(live: LiveBackend, network: Network, idiom: Idiom, stimulus: Array, folder: Path) -> tuple[Recording, Graph]:
    """The library's own run of a network, and what its exporter makes of it."""
    save_arrays(folder / "stimulus.npz", {"input": stimulus})
    job = Native(
        network=document_of(network),
        idiom=str(idiom),
        stimulus=str(folder / "stimulus.npz"),
        graph=str(folder / "exported.nir"),
        save=str(folder / "recording.npz"),
    )
    outcome = live.ask(job)
    assert outcome.status == OK, f"{outcome.error_type}: {outcome.error_message}"
    return Recording.load(folder / "recording.npz"), read(folder / "exported.nir")


def assert_learns(live: LiveBackend, name: str, idiom: Idiom, folder: Path, accuracy: float) -> None:
    """Trained on patterns of its own, a network of the catalogue tells them apart better than before, and by so much."""
    rng = np.random.default_rng(11)
    network = catalogue(name).build(0)
    classes = network.shapes()[network.layers[-1].name][0]
    rates = rng.uniform(0, 0.6, (classes, *network.input_shape))
    labels = rng.integers(0, classes, 120)
    inputs = (rng.random((25, 120, *network.input_shape)) < rates[labels]).astype(np.uint8)
    save_arrays(folder / "samples.npz", {"input": inputs, "labels": labels})
    job = Train(
        network=name,
        seed=0,
        dt=network.dt,
        idiom=str(idiom),
        epochs=12,
        batch=20,
        learning_rate=0.02,
        samples=str(folder / "samples.npz"),
        folder=str(folder),
    )
    outcome = live.ask(job)
    assert outcome.status == OK, f"{outcome.error_type}: {outcome.error_message}"
    learned = network.with_parameters(load_arrays(folder / PARAMETERS))
    right = []
    for each in (network, learned):
        output = native(live, each, idiom, inputs, folder)[0].output
        right.append(float((classify(output, each.readout) == labels).mean()))
    assert right[1] >= max(accuracy, right[0] + 0.2), f"right before and after: {right}"
