"""Surrogate-gradient training in any of the libraries, on the CPU or a GPU; it goes on where it stopped.

Imports torch, numpy and the one library that is trained.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.adapter import load_adapter
from nir_interop.datasets import Images
from nir_interop.learning import TrainingSettings
from nir_interop.networks import Network
from nir_interop.vocabulary import Idiom
from nir_interop_studies import checkpoints
from nir_interop_studies.stepping import Neurons, Surrogate, neurons_of, spikes, spikes_of_frames

SAVE_EVERY = 25
"""Updates between two checkpoints."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    library, idiom : whose modules, and how they are written
    surrogate : in the library's words
    loss : ``steps``: cross-entropy of the spikes of each step, averaged over the steps (snnTorch's ``ce_rate_loss``);
        ``rate``: cross-entropy of the firing rates (spikes per step), multiplied with ``sharpness``
    learning_rate : of Adam, for weights whose current a membrane takes whole, as snnTorch's does; where a library's
        neurons take a part of it, its weights and their rate are as much larger
    gain : the part that the network's own neurons take of a current
    falling : whether the rate falls linearly to 0
    steps : for which an image is held, or a recording lasts
    """

    library: str
    idiom: Idiom
    surrogate: Surrogate
    loss: str
    learning_rate: float
    gain: float
    batch: int
    steps: int
    epochs: int
    seed: int
    falling: bool = False
    sharpness: float = 1.0

    def about(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "idiom": str(self.idiom)}


class Streams(Protocol):
    """Recordings whose input changes with time.

    labels : classes, axes (N,); sha256 : of all that is trained on; steps : frames of each
    """

    @property
    def name(self) -> str: ...

    @property
    def labels(self) -> NDArray[np.int64]: ...

    @property
    def sha256(self) -> str: ...

    @property
    def steps(self) -> int: ...

    def __len__(self) -> int: ...

    def pick(self, chosen: NDArray[np.int64]) -> NDArray[Any]:
        """Some recordings, axes (T, B, \\*shape), float32."""
        ...


@dataclass(frozen=True)
class Trained:
    """A network as it came out of training.

    parameters : in NIR units, as ``Network.with_parameters`` takes them
    curve : loss and share of right answers of each update's batch, axes (updates, 2)
    seconds : of training, all attempts together; device : where the last of them ran
    """

    parameters: Mapping[str, NDArray[np.float64]]
    curve: NDArray[np.float64]
    seconds: float
    device: str


def about(network: Network, samples: Images | Streams, settings: Settings) -> dict[str, Any]:
    """What a checkpoint is of."""
    layers = {
        layer.name: f"{type(layer).__name__} {'×'.join(map(str, shape))}"
        for layer, shape in zip(network.layers, network.shapes().values(), strict=True)
    }
    start = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in network.parameters().values()))
    return {
        "network": {"name": network.name, "reset": str(network.reset.value), "start": start.hexdigest()[:16], **layers},
        "data": {"name": samples.name, "samples": len(samples), "sha256": _digest(samples)},
        "settings": settings.about(),
    }


def _digest(samples: Images | Streams) -> str:
    if not isinstance(samples, Images):
        return samples.sha256
    return hashlib.sha256(np.ascontiguousarray(samples.images).tobytes() + samples.labels.tobytes()).hexdigest()[:16]


def train(
    network: Network,
    samples: Images | Streams,
    settings: Settings,
    device: torch.device,
    path: Path,
    advance: Callable[[], None] = lambda: None,
) -> Trained:
    """Train a network, going on from the checkpoint at ``path`` where there is one.

    Images are held for all steps; of recordings there is one frame a step.  On a CPU two runs, interrupted or not, give the
    same bits.
    advance : called after each update, and once for each that a checkpoint saves

    Raises BadInput for a checkpoint of something else, ValueError for recordings of another number of steps.
    """
    if not isinstance(samples, Images) and samples.steps != settings.steps:
        raise ValueError(f"recordings of {samples.steps} steps, and settings for {settings.steps}")
    subject = about(network, samples, settings)
    state = checkpoints.load(path, subject)
    plan = TrainingSettings(settings.epochs, settings.batch, seed=settings.seed)
    updates = [chosen for epoch in range(plan.epochs) for chosen in plan.batches(len(samples), epoch)]
    for _ in range(0 if state is None else state["updates"]):
        advance()
    if state is not None and state["updates"] == len(updates):
        return _trained(state)

    torch.manual_seed(settings.seed)
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    run = _Run(network, settings, device, len(updates))
    done = run.resume(state)
    curve = [] if state is None else state["curve"].tolist()
    before, started = 0.0 if state is None else float(state["seconds"]), time.perf_counter()
    given = _inputs(samples, device)
    labels = torch.from_numpy(samples.labels).to(device)
    for number, chosen in enumerate(updates[done:], start=done + 1):
        curve.append(run.update(*given(chosen), labels[torch.from_numpy(chosen).to(device)]))
        advance()
        if number % SAVE_EVERY == 0 or number == len(updates):
            last = number == len(updates)
            state = run.state(whole=not last) | {
                "updates": number,
                "curve": torch.tensor([list(map(float, pair)) for pair in curve], dtype=torch.float64),
                "seconds": before + time.perf_counter() - started,
                "device": device_name(device),
                "torch": str(torch.__version__),
            }
            checkpoints.save(path, subject, state)
    if state is None:
        raise ValueError("training needs at least one epoch and one image")
    return _trained(state)


def _inputs(samples: Images | Streams, device: torch.device) -> Callable[[NDArray[np.int64]], tuple[torch.Tensor, bool]]:
    """Samples by their numbers, and whether these are frames."""
    if not isinstance(samples, Images):
        return lambda chosen: (torch.from_numpy(samples.pick(chosen)).to(device), True)
    inputs = torch.from_numpy(np.ascontiguousarray(samples.images[:, None])).to(device)
    return lambda chosen: (inputs[torch.from_numpy(chosen).to(device)], False)


class _Run:
    """The library's own network, its neurons and the optimiser."""

    def __init__(self, network: Network, settings: Settings, device: torch.device, updates: int) -> None:
        self.settings = settings
        logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # without a GPU there is none, and none is needed
        adapter = load_adapter(settings.library)
        adapter.prepare()  # One thread: sums are then taken in the same order wherever it runs.
        self.model = adapter.build(network, network.dt, settings.idiom)
        self.module: nn.Module = self.model.module
        self.neurons: Neurons = neurons_of(settings.library, self.module, settings.surrogate, device)
        self.held = {key: self.module.get_parameter(key) for key in network.parameters()}
        self.updates, self.done = updates, 0
        self.rates = [settings.learning_rate * self._factor(key) / settings.gain for key in self.held]
        self.optimizer = torch.optim.Adam([{"params": [parameter]} for parameter in self.held.values()])

    def _factor(self, key: str) -> float:
        return float(np.mean(self.model.factors.get(key.rpartition(".")[0], 1.0)))

    def update(self, inputs: torch.Tensor, frames: bool, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One step of Adam; the loss, and the share of right answers before it.

        frames : whether the inputs are frames, axes (T, B, \\*shape), and not images
        """
        if frames:
            fired = spikes_of_frames(self.module, self.neurons, inputs)
        else:
            fired = spikes(self.module, self.neurons, inputs, self.settings.steps)
        rates = fired.mean(0)
        if self.settings.loss == "steps":
            loss = nn.functional.cross_entropy(fired.flatten(0, 1), labels.repeat(len(fired)))
        else:
            loss = nn.functional.cross_entropy(rates * self.settings.sharpness, labels)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * (1 - self.done / self.updates) if self.settings.falling else rate
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.done += 1
        return loss.detach(), (rates.argmax(-1) == labels).float().mean()

    def resume(self, state: checkpoints.State | None) -> int:
        """Take up a checkpoint; the updates that it has behind it."""
        if state is None:
            return 0
        with torch.no_grad():
            for key, parameter in self.held.items():
                parameter.copy_(state["held"][key])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = int(state["updates"])
        return self.done

    def state(self, *, whole: bool) -> checkpoints.State:
        """The learned weights in NIR units; with ``whole`` also what is needed to go on."""
        held = {key: parameter.detach().cpu().clone() for key, parameter in self.held.items()}
        found: checkpoints.State = {"parameters": {key: value.double() / self._factor(key) for key, value in held.items()}}
        if whole:
            found |= {"held": held, "optimizer": self.optimizer.state_dict()}
        return found


def device_name(device: torch.device) -> str:
    """What a table calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def _trained(state: checkpoints.State) -> Trained:
    parameters = {key: value.numpy() for key, value in state["parameters"].items()}
    return Trained(parameters, state["curve"].numpy(), float(state["seconds"]), str(state["device"]))
