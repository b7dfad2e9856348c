r"""Networks of our own, for what was published and is not here: on the embedded digits as events, in the paper's primitives.

Their layers are random but for the last, which is fitted once, in closed form and in no library: with :math:`x_n` the
inputs that the last layer receives from digit :math:`n`, summed over its steps, and :math:`y_n` the input that it is to
have, high for the right class and below 0 for the others,

.. math:: \min_{W, b} \sum_n |y_n - W x_n - T b|^2 + \lambda |W|^2

So they are no measure of what such networks can learn; they are right often enough to show whether backends agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nir_interop.graphs import Array, Graph, Node, as_array, from_nir, read, write
from nir_interop.networks import IF, Affine, Conv, CubaLIF, Feedback, Flatten, Network, Pool2d, PoolKind
from nir_interop.reference import Simulator, exact_simulator, simulate
from nir_interop_studies.common import Options
from nir_interop_studies.nir_paper import cnn
from nir_interop_studies.nir_paper.crossing import Task, first_neurons
from nir_interop_studies.nir_paper.inputs import Frames, Held, embedded, first_of_each
from nir_interop_studies.nir_paper.lif import DT, PaperNeuron

CNN, RECURRENT = "own_cnn", "own_recurrent"
"""Names of the tasks."""

FITTED, QUICK_FITTED = 400, 120
"""Training digits that the last layers are fitted to."""
TESTED, QUICK_TESTED = 100, 20
"""Test digits."""
SAMPLE_DIGITS = 20
_CLASSES = 10
_BATCH = 40
_RIDGE = {CNN: 1.0, RECURRENT: 0.1}
"""λ as a share of the mean square of an input."""
_DRIVE = {CNN: 0.1, RECURRENT: 0.5}
"""Input of the right class, per step and in thresholds."""
_OTHERS = -0.2
"""Input of a wrong class, as a share of the right one's."""

DATASET = "a spike train of our own"


def neuron(seed: int) -> PaperNeuron:
    """The paper's neuron under seeded spikes of our own, one in ten steps of 0.1 ms."""
    params = {"tau": 2.5e-3, "r": 1.0, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": 0.1}
    nodes = {
        "input": Node("Input", {"shape": np.array([1])}),
        "lif": Node("LIF", {name: as_array(np.array([value])) for name, value in params.items()}),
        "output": Node("Output", {"shape": np.array([1])}),
    }
    current = (np.random.default_rng([seed, 1]).random((1000, 1, 1)) < 0.1).astype(np.float32)
    graph = Graph(nodes, (("input", "lif"), ("lif", "output")))
    return PaperNeuron(graph, graph, current, DATASET)


def traces(given: PaperNeuron) -> dict[str, Array]:
    """What stands in for published traces, columns input, membrane and spike: the equation in steps, and solved exactly."""
    found = {}
    for name, simulator in (("continuous", exact_simulator(given.graph, DT)), ("in steps", Simulator(given.graph, DT))):
        recording, _ = simulator.run(given.current)
        (membrane,) = recording.membranes.values()
        found[name] = np.stack([given.current.ravel(), membrane.ravel(), recording.output.ravel()], axis=1)
    return found


def convolutional(options: Options, folder: Path) -> Task:
    """IF neurons with r = 1 behind convolutions, as in the paper's network: meant at a step of 1 s, fed frames of 1 ms.

    folder : where the graph goes
    """
    network = _fitted(_convolutional(options.seed), options, lambda frames: frames)
    frames = tested(options)
    sample = first_of_each(frames).samples[: cnn.SAMPLE_STEPS, : cnn.SAMPLE_DIGITS]
    natives = cnn.QUICK_NATIVES if options.quick else cnn.NATIVES
    return Task(CNN, _written(network, folder), cnn.MEANT, cnn.FRAME, natives, frames, sample)


def recurrent(options: Options, folder: Path) -> Task:
    """Neurons with synapses and a recurrence, as in the paper's network on Braille, fed the events of each row of pixels."""
    network, frames = _fitted(_recurrent(options.seed), options, _rows), tested(options)
    held = Held(_rows(frames.batch(0, len(frames))), frames.labels, frames.name)
    path = _written(network, folder)
    return Task(RECURRENT, path, DT, DT, (DT,), held, held.samples[:, :SAMPLE_DIGITS], first_neurons(read(path)))


def tested(options: Options) -> Frames:
    """The digits that the networks are tested on."""
    return embedded(False, options, QUICK_TESTED if options.quick else TESTED)


def _convolutional(seed: int) -> Network:
    numbers = np.random.default_rng([seed, 2])
    layers = (
        Conv(name="conv", weight=_drawn(numbers, (8, 2, 5, 5), 1 / np.sqrt(50)), bias=np.zeros(8), stride=2, padding=1),
        IF(name="if1", r=1.0),
        Pool2d(name="pool", kind=PoolKind.SUM),
        Flatten(name="flat"),
        Affine(name="fc", weight=np.zeros((_CLASSES, 512)), bias=np.zeros(_CLASSES)),
        IF(name="if2", r=1.0),
    )
    return Network(CNN, (2, 34, 34), layers, dt=cnn.MEANT, seed=seed)


def _recurrent(seed: int, size: int = 60) -> Network:
    numbers = np.random.default_rng([seed, 3])

    def neurons(name: str, feedback: Feedback | None = None) -> CubaLIF:
        return CubaLIF(name=name, tau_syn=2e-4, tau_mem=1e-3, r=1e-3 / DT, w_in=2e-4 / DT, feedback=feedback)

    closed = Feedback(weight=_drawn(numbers, (size, size), 0.3 / np.sqrt(size)), bias=_drawn(numbers, (size,), 0.02))
    layers = (
        Affine(name="fc1", weight=_drawn(numbers, (size, 68), 1 / np.sqrt(68)), bias=_drawn(numbers, (size,), 0.02, 0.02)),
        neurons("lif1", closed),
        Affine(name="fc2", weight=np.zeros((_CLASSES, size)), bias=np.zeros(_CLASSES)),
        neurons("lif2"),
    )
    return Network(RECURRENT, (68,), layers, dt=DT, seed=seed)


def _drawn(numbers: np.random.Generator, shape: tuple[int, ...], spread: float, mean: float = 0.0) -> Array:
    return _single(numbers.normal(mean, spread, shape))


def _single(values: Array) -> Array:
    """Numbers that single precision holds, which is what files and libraries have."""
    found: Array = values.astype(np.float32).astype(np.float64)
    return found


def _rows(frames: Array) -> Array:
    """Events of each row of pixels and polarity, axes (T, B, 68), of frames (T, B, 2, 34, 34)."""
    found: Array = frames.sum(axis=4).reshape(*frames.shape[:2], -1)
    return found


def _fitted(network: Network, options: Options, seen: Callable[[Array], Array]) -> Network:
    """The network with its last layer fitted to the first training digits."""
    digits = embedded(True, options, QUICK_FITTED if options.quick else FITTED)
    head = from_nir(replace(network, layers=network.layers[:-2]).to_nir())
    batches = (seen(digits.batch(start, min(start + _BATCH, len(digits)))) for start in range(0, len(digits), _BATCH))
    received = np.concatenate([simulate(head, each, network.dt).output.sum(axis=0) for each in batches]).astype(np.float64)
    high = _DRIVE[network.name] * digits.steps
    wanted = np.where(np.arange(_CLASSES) == digits.labels[:, None], high, _OTHERS * high)
    centre, x = received.mean(axis=0), received - received.mean(axis=0)
    moments = x.T @ x
    moments += _RIDGE[network.name] * np.trace(moments) / len(moments) * np.eye(len(moments))
    weight = np.linalg.solve(moments, x.T @ (wanted - wanted.mean(axis=0))).T
    bias = (wanted.mean(axis=0) - weight @ centre) / digits.steps
    last = replace(network.layers[-2], weight=_single(weight), bias=_single(bias))  # type: ignore[call-arg]
    return replace(network, layers=(*network.layers[:-2], last, network.layers[-1]))


def _written(network: Network, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{network.name}.nir"
    write(path, from_nir(network.to_nir()))
    return path
