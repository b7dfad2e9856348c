"""What the adapters of PyTorch libraries share: weights in a library's units, recording by hooks, training."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.adapter import Adapter
from nir_interop.backends.building import folded_arrays, is_chain, scales
from nir_interop.backends.watching import Steps
from nir_interop.errors import CannotBuild
from nir_interop.learning import Samples, Surrogate, TrainingSettings
from nir_interop.networks import Affine, Conv, Flatten, Layer, Network, Pool2d, PoolKind
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop.training import Objective, Trainable, Training
from nir_interop.vocabulary import Idiom

Array = NDArray[Any]
Reading = tuple[torch.Tensor | None, torch.Tensor | None]
"""Spikes and membrane of one step; None where a neuron does not spike, or the library does not keep the membrane."""


@dataclass(frozen=True, eq=False)
class Built:
    """A network in a library's words.

    factors : parameter prefix → what its weights were multiplied with, one value or one per row
    """

    module: nn.Module
    network: Network
    factors: Mapping[str, Array]
    idiom: Idiom


def folded_parameters(network: Network, factors: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    """Weights and biases in the library's units, as :func:`nir_interop.backends.building.folded_arrays` gives them."""
    return {key: torch.from_numpy(array) for key, array in folded_arrays(network, factors).items()}


def hold(module: nn.Module, parameters: Mapping[str, torch.Tensor], prefix: str) -> nn.Module:
    """Give a module its weight and bias (a missing bias of a module that always has one is 0)."""
    with torch.no_grad():
        module.get_parameter("weight").copy_(parameters[f"{prefix}.weight"])
        if module.bias is not None:
            bias = parameters.get(f"{prefix}.bias")
            module.get_parameter("bias").copy_(torch.zeros(()) if bias is None else bias)
    return module


def stateless(
    layer: Layer, parameters: Mapping[str, torch.Tensor], words: ModuleType, *, pair: bool, start_dim: int
) -> nn.Module:
    """A stateless layer in the words of ``torch.nn`` or of a namespace with the same names.

    pair : write pooling windows, strides and paddings as (height, width)
    start_dim : where Flatten starts, counted with the batch
    Raises CannotBuild for sum pooling, which is no layer of ``torch.nn``.
    """
    if isinstance(layer, Affine):
        outputs, inputs = layer.weight.shape
        return hold(words.Linear(inputs, outputs, bias=layer.bias is not None), parameters, layer.name)
    if isinstance(layer, Conv):
        kind = words.Conv1d if layer.dimensions == 1 else words.Conv2d
        options = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
        outputs, inputs = layer.weight.shape[0], layer.weight.shape[1] * layer.groups
        kernel = layer.weight.shape[2:]
        return hold(kind(inputs, outputs, kernel, bias=layer.bias is not None, **options), parameters, layer.name)
    if isinstance(layer, Pool2d) and layer.kind is not PoolKind.SUM:
        pool = words.AvgPool2d if layer.kind is PoolKind.AVERAGE else words.MaxPool2d
        window = (layer.size, layer.size)
        made: nn.Module = pool(window, window, (0, 0)) if pair else pool(layer.size)
        return made
    if isinstance(layer, Flatten):
        flat: nn.Module = words.Flatten(start_dim)
        return flat
    kind_name = f"{layer.kind.value} pooling" if isinstance(layer, Pool2d) else type(layer).__name__
    raise CannotBuild(f"layer {layer.name!r}: no module for {kind_name}")


def batched_start(layer: Layer) -> int:
    """Where a Flatten starts when the batch is counted: NIR's dimensions have none."""
    start = layer.start_dim if isinstance(layer, Flatten) else 0
    return start + 1 if start >= 0 else start


class Joined(nn.Module):
    """A network whose layers may be fed by several others: their outputs are added with ``+``."""

    def __init__(self, modules: Mapping[str, nn.Module], sources: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.sources = dict(sources)
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: dict[str, torch.Tensor] = {}
        value = x
        for name, before in self.sources.items():
            value = values[before[0]] if before else x
            for other in before[1:]:
                value = value + values[other]
            value = self.get_submodule(name)(value)
            values[name] = value
        return value


@contextmanager
def _watching(watched: Mapping[str, nn.Module], read: Callable[[nn.Module, Any], Reading], into: Steps) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def after(module: nn.Module, _inputs: Any, output: Any) -> None:
            try:
                spike, membrane = read(module, output)
            except (TypeError, ValueError, AttributeError, IndexError):  # of a form that this library's neurons do not have
                return
            if isinstance(spike, torch.Tensor):
                into.spikes(name, _array(spike))
            if isinstance(membrane, torch.Tensor) and membrane.ndim:
                into.membrane(name, _array(membrane[:MEMBRANE_SAMPLES]))

        return after

    handles = [module.register_forward_hook(hook(name)) for name, module in watched.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _array(tensor: torch.Tensor) -> Array:
    single: Array = tensor.detach().float().numpy()
    return single


def record(
    step: Callable[[torch.Tensor], torch.Tensor],
    stimulus: Array,
    watched: Mapping[str, nn.Module],
    read: Callable[[nn.Module, Any], Reading],
) -> Recording:
    """Run step by step without gradients and collect what hooks on neurons see.

    step : one step of input (B, \\*shape) → the network's output, (B, \\*shape)
    watched : name → module whose spikes and membrane ``read`` takes from the module and its output
    """
    steps = Steps()
    with torch.no_grad(), _watching(watched, read, steps):
        for frame in stimulus:
            steps.output(_array(step(torch.from_numpy(np.array(frame, dtype=np.float32)))))
    return steps.recording()


class TorchAdapter(Adapter):
    """What adapters of PyTorch libraries have in common: one thread, and the project's own training loop.

    Of what is below, a library's adapter says which of its modules are neurons, and what a step is (:meth:`trainable`).
    """

    surrogate: ClassVar[Surrogate]
    """With which the networks of the matrix are trained."""

    def prepare(self) -> None:
        """One thread: sums are then taken in the same order at every run."""
        torch.set_num_threads(1)

    def train(self, model: Built, samples: Samples, settings: TrainingSettings) -> dict[str, Array]:
        """Adam on the cross-entropy of spike counts, its rate falling to 0 as torch's LinearLR makes it fall."""
        slope = self.surrogate.slope if settings.surrogate_slope is None else settings.surrogate_slope
        torch.manual_seed(settings.seed)
        device = torch.device("cpu")
        trainable = self.trainable(model, Surrogate(self.surrogate.name, slope), device)
        objective = Objective(settings.learning_rate, "counts", decay="chained")
        training = Training(trainable, samples, objective, settings, device)
        for _ in training.updates():
            pass
        return trainable.learned()


def trainable(
    model: Built,
    device: torch.device,
    held: Mapping[str, str],
    is_neuron: Callable[[nn.Module], bool],
    cut: Callable[[OrderedDict[str, nn.Module]], nn.Module],
    begin: Callable[[], None],
    step: Callable[[nn.Module, torch.Tensor], torch.Tensor],
) -> Trainable:
    """A built network as :mod:`nir_interop.training` wants it, moved to a device.

    held : parameter's key in the network → its name in the module, where it has another
    is_neuron : of the modules of a chain
    cut : a chain of some of its modules
    step : the rest of the network, the input of a step → the output
    """
    model.module.to(device)
    children = list(model.module.named_children())
    first = 0
    if is_chain(model.network):
        first = next((number for number, (_, child) in enumerate(children) if is_neuron(child)), 0)
    before = nn.Sequential(*(child for _, child in children[:first]))
    rest = cut(OrderedDict(children[first:])) if first else model.module
    parameters = {key: model.module.get_parameter(held.get(key, key)) for key in model.network.parameters()}
    by = scales(model.network, model.factors)
    return Trainable(parameters, by, begin, before, lambda current: step(rest, current))
