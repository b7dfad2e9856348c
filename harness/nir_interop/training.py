"""Surrogate-gradient training in any of the libraries, on a CPU or a GPU; it goes on where it stopped.

There is one loop, :class:`Training`.  What a library's network is in training its adapter says (:class:`Trainable`); the
adapters' own ``train`` runs the loop once through, :func:`train_from_checkpoint` with checkpoints.

Needs torch, numpy and what the adapter needs: it runs in a library's own environment.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.errors import BadInput
from nir_interop.learning import Surrogate, TrainingSettings
from nir_interop.networks import Network
from nir_interop.vocabulary import Idiom

Array = NDArray[Any]
State = dict[str, Any]

SAVE_EVERY = 25
"""Updates between two checkpoints."""


@dataclass(frozen=True, eq=False)
class Trainable:
    r"""A network in a library's own modules, whose spikes have a gradient.

    held : parameter's key in the network → the module's own parameter
    scales : key → what the network's values are multiplied with in the library's units, as it is broadcast
    begin : puts all states back to where they start
    before : what stands before the first neurons of a chain, for a whole batch (B, \*shape); it keeps no state
    step : one step of all that follows; from the input of that step, (B, \*shape), to the output, (B, classes)
    """

    held: Mapping[str, nn.Parameter]
    scales: Mapping[str, Array]
    begin: Callable[[], None]
    before: Callable[[torch.Tensor], torch.Tensor]
    step: Callable[[torch.Tensor], torch.Tensor]

    def outputs(self, frames: torch.Tensor) -> torch.Tensor:
        r"""What comes out at each step, axes (T, B, classes), from zero state, for frames (T, B, \*shape)."""
        self.begin()
        return torch.stack([self.step(self.before(frame)) for frame in frames])

    def outputs_of_held(self, images: torch.Tensor, steps: int) -> torch.Tensor:
        r"""The same for images (B, \*shape) that are there all the time: what stands before the neurons is computed once."""
        current = self.before(images)
        self.begin()
        return torch.stack([self.step(current) for _ in range(steps)])

    def learned(self) -> dict[str, NDArray[np.float64]]:
        """The values of the parameters in NIR units, as ``Network.with_parameters`` takes them."""
        held = {key: np.array(each.detach().cpu().numpy(), dtype=np.float64) for key, each in self.held.items()}
        return {key: array / self.scales[key] for key, array in held.items()}


class Trains(Protocol):
    """What training wants of an adapter (:class:`nir_interop.backends.adapter.Adapter`)."""

    def prepare(self) -> None: ...

    def build(self, network: Network, dt: float, idiom: Idiom) -> Any: ...

    def trainable(self, model: Any, surrogate: Surrogate, device: torch.device) -> Trainable: ...


class Data(Protocol):
    """What is trained on.

    labels : classes, axes (N,)
    steps : frames of each recording; 0: they are images, and held
    """

    @property
    def labels(self) -> NDArray[np.int64]: ...

    @property
    def steps(self) -> int: ...

    def __len__(self) -> int: ...

    def pick(self, chosen: NDArray[np.int64]) -> Array:
        r"""Some recordings, axes (T, B, \*shape), or images, axes (B, \*shape)."""
        ...


class NamedData(Data, Protocol):
    """The same with a name and a sum over all that is trained on."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True)
class Objective:
    """What one update does.

    learning_rate, gain : of Adam, for weights in NIR units, divided by the part that the network's neurons take of a current;
        for a library's own weights it is as much larger as they are
    loss : ``counts``: cross-entropy of the spike counts; ``rate``: of the firing rates (spikes per step), multiplied with
        ``sharpness``; ``steps``: of the spikes of each step, averaged over the steps (snnTorch's ``ce_rate_loss``)
    decay : of the rate: ``none``; ``linear``: rate × (1 − updates done / all); ``chained``: the same line as torch's LinearLR
        steps along it, which gives other last bits, and cannot be taken up in the middle
    """

    learning_rate: float
    loss: str
    gain: float = 1.0
    sharpness: float = 1.0
    decay: str = "none"


class Training:
    """A network in training: the library's modules, Adam, and how many updates are done.

    plan : epochs and batches
    steps : for which an image is held
    """

    def __init__(
        self, network: Trainable, data: Data, objective: Objective, plan: TrainingSettings, device: torch.device, steps: int = 0
    ) -> None:
        self.network, self.data, self.objective, self.device, self.steps = network, data, objective, device, steps
        self.batches = [chosen for epoch in range(plan.epochs) for chosen in plan.batches(len(data), epoch)]
        self.labels = torch.from_numpy(np.asarray(data.labels, dtype=np.int64)).to(device)
        self.done = 0
        scales = [float(np.mean(network.scales[key].reshape(-1))) for key in network.held]
        self.rates = [objective.learning_rate * scale / objective.gain for scale in scales]
        groups = [{"params": [each], "lr": rate} for each, rate in zip(network.held.values(), self.rates, strict=True)]
        self.optimizer = torch.optim.Adam(groups)
        self.chained = None
        if objective.decay == "chained":
            self.chained = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, 0.0, total_iters=len(self.batches))

    def updates(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Go on to the end; after each update its loss, and the share of right answers before it."""
        for chosen in self.batches[self.done :]:
            inputs = torch.from_numpy(np.ascontiguousarray(self.data.pick(chosen), dtype=np.float32)).to(self.device)
            outputs = self.network.outputs(inputs) if self.data.steps else self.network.outputs_of_held(inputs, self.steps)
            labels = self.labels[torch.from_numpy(chosen).to(self.device)]
            loss, score = self._loss(outputs, labels)
            self._set_rates()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            if self.chained is not None:
                self.chained.step()
            self.done += 1
            yield loss.detach(), (score.argmax(-1) == labels).float().mean()
        self.network.begin()

    def _loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and what a class is read from."""
        if self.objective.loss == "counts":
            counts = outputs.sum(0)
            return nn.functional.cross_entropy(counts, labels), counts
        rates = outputs.mean(0)
        if self.objective.loss == "steps":
            return nn.functional.cross_entropy(outputs.flatten(0, 1), labels.repeat(len(outputs))), rates
        return nn.functional.cross_entropy(rates * self.objective.sharpness, labels), rates

    def _set_rates(self) -> None:
        if self.chained is None:
            for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
                group["lr"] = rate * (1 - self.done / len(self.batches)) if self.objective.decay == "linear" else rate

    def resume(self, state: State) -> None:
        """Take up where :meth:`state` was taken."""
        with torch.no_grad():
            for key, parameter in self.network.held.items():
                parameter.copy_(state["held"][key])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = int(state["updates"])

    def state(self) -> State:
        """The learned weights in NIR units, and, unless all is done, what is needed to go on."""
        learned = {key: torch.from_numpy(array) for key, array in self.network.learned().items()}
        found: State = {"updates": self.done, "parameters": learned}
        if self.done < len(self.batches):
            found["held"] = {key: parameter.detach().cpu().clone() for key, parameter in self.network.held.items()}
            found["optimizer"] = self.optimizer.state_dict()
        return found


@dataclass(frozen=True)
class Settings:
    """How a network is trained in a library.

    library, idiom : whose modules, and how they are written
    surrogate : in the library's words
    loss, sharpness : see :class:`Objective`
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


def train_from_checkpoint(
    adapter: Trains,
    network: Network,
    data: NamedData,
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
    if data.steps and data.steps != settings.steps:
        raise ValueError(f"recordings of {data.steps} steps, and settings for {settings.steps}")
    subject = about(network, data, settings)
    state = load_checkpoint(path, subject)
    plan = TrainingSettings(settings.epochs, settings.batch, seed=settings.seed)
    for _ in range(0 if state is None else state["updates"]):
        advance()
    if state is None or state["updates"] < updates_of(settings, len(data)):
        training = _training(adapter, network, data, settings, plan, device)
        curve: list[Sequence[Any]] = []
        if state is not None:
            training.resume(state)
            curve = state["curve"].tolist()
        before, started = 0.0 if state is None else float(state["seconds"]), time.perf_counter()
        for pair in training.updates():
            curve.append(pair)
            advance()
            if training.done % SAVE_EVERY == 0 or training.done == len(training.batches):
                state = training.state() | {
                    "curve": torch.tensor([list(map(float, each)) for each in curve], dtype=torch.float64),
                    "seconds": before + time.perf_counter() - started,
                    "device": device_name(device),
                    "torch": str(torch.__version__),
                }
                save_checkpoint(path, subject, state)
    if state is None:
        raise ValueError("training needs at least one epoch and one image")
    parameters = {key: value.numpy() for key, value in state["parameters"].items()}
    return Trained(parameters, state["curve"].numpy(), float(state["seconds"]), str(state["device"]))


def updates_of(settings: Settings, samples: int) -> int:
    """How many updates a training is."""
    return settings.epochs * -(-samples // settings.batch)


def about(network: Network, data: NamedData, settings: Settings) -> dict[str, Any]:
    """What a checkpoint is of."""
    layers = {
        layer.name: f"{type(layer).__name__} {'×'.join(map(str, shape))}"
        for layer, shape in zip(network.layers, network.shapes().values(), strict=True)
    }
    start = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in network.parameters().values()))
    return {
        "network": {"name": network.name, "reset": str(network.reset.value), "start": start.hexdigest()[:16], **layers},
        "data": {"name": data.name, "samples": len(data), "sha256": data.sha256},
        "settings": settings.about(),
    }


def device_of(name: str) -> torch.device:
    """A device to train on.

    Raises BadInput for one that there is not.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"--device {name}: no device of that name; cpu and cuda are") from error
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise BadInput(f"--device {name}: studies train on cpu or cuda")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        raise BadInput(f"--device {name}: this machine has {count or 'no'} CUDA device{'s' * (count != 1)}; use --device cpu")
    return device


def device_name(device: torch.device) -> str:
    """What a table calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def _training(
    adapter: Trains, network: Network, data: Data, settings: Settings, plan: TrainingSettings, device: torch.device
) -> Training:
    logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # without a GPU there is none, and none is needed
    torch.manual_seed(settings.seed)
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    adapter.prepare()  # One thread: sums are then taken in the same order wherever it runs.
    built = adapter.build(network, network.dt, settings.idiom)
    trainable = adapter.trainable(built, settings.surrogate, device)
    decay = "linear" if settings.falling else "none"
    objective = Objective(settings.learning_rate, settings.loss, settings.gain, settings.sharpness, decay)
    return Training(trainable, data, objective, plan, device, settings.steps)


_SUM = "sum"
_KEYS = frozenset({"fingerprint", "about", "updates", "parameters"})


def checkpoint_fingerprint(about: Any) -> str:
    """Of what a checkpoint is of (network, settings, seed, data), given as plain data."""
    return hashlib.sha256(json.dumps(about, sort_keys=True, allow_nan=False).encode()).hexdigest()


def save_checkpoint(path: Path, about: Any, state: State) -> None:
    """Write a checkpoint of ``about``: tensors and plain data; a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    passing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        written = {"fingerprint": checkpoint_fingerprint(about), "about": json.dumps(about, sort_keys=True), **state}
        torch.save({**written, _SUM: _sum(written)}, passing)
        os.replace(passing, path)
    finally:
        passing.unlink(missing_ok=True)


def load_checkpoint(path: Path, about: Any) -> State | None:
    """The checkpoint at ``path``, its tensors on the CPU; None where there is none.

    Raises BadInput where the file is no checkpoint, or one of another network, seed, setting or data set.
    """
    if not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # What a damaged file makes of torch's reader is not a list that ends.
        raise BadInput(
            f"{path}: not a checkpoint ({type(error).__name__}); remove it, or name another --checkpoints"
        ) from error
    if not isinstance(found, dict) or not found.keys() >= _KEYS:
        raise BadInput(f"{path}: not a checkpoint of a study; remove it, or name another --checkpoints")
    if found.pop(_SUM, None) not in (None, _sum(found)):  # those of earlier versions have none
        raise BadInput(f"{path}: a checkpoint that is damaged; remove it, or name another --checkpoints")
    if found["fingerprint"] != checkpoint_fingerprint(about):
        other = _difference(found["about"], about)
        raise BadInput(f"{path}: a checkpoint of another run ({other}); remove it, or name another --checkpoints")
    return found


def _sum(value: Any) -> str:
    """Of nested plain data and tensors: torch reads a file in which a number is damaged."""
    sha = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            sha.update(f"{value.dtype} {tuple(value.shape)}".encode())
            sha.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(value, dict):
            sha.update(f"{len(value)}".encode())
            for key in sorted(value, key=repr):
                add(key)
                add(value[key])
        elif isinstance(value, (list, tuple)):
            sha.update(f"{len(value)}".encode())
            for each in value:
                add(each)
        else:
            sha.update(f"{value!r};".encode())

    add(value)
    return sha.hexdigest()


def _difference(text: Any, about: Any) -> str:
    """What the other run had otherwise, in a few words."""
    try:
        theirs, ours = _flat(json.loads(text)), _flat(json.loads(json.dumps(about)))
    except (TypeError, ValueError):
        return "its settings cannot be read"
    names = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    return ", ".join(f"its {name} is {theirs.get(name)}, not {ours.get(name)}" for name in names[:3]) or "it says so itself"


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(document, dict):
        return {prefix: document}
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value, f"{prefix}.{name}" if prefix else name)
    return found
