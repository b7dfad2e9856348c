"""What the adapters of PyTorch libraries share: weights in a library's units, recording by hooks, training."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.adapter import Adapter
from nir_interop.errors import CannotBuild
from nir_interop.learning import Samples, Surrogate, TrainingSettings
from nir_interop.networks import Affine, Conv, Flatten, Layer, Network, Neuron, Pool2d, PoolKind
from nir_interop.networks.layers import Parameter, per_neuron
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


def gain_ratio(network: Network, layer: Neuron, **gains: tuple[Parameter, Parameter]) -> Array:
    """How much more gain a layer asks for than the library's neuron has, per neuron, float64.

    gains : parameter → (value the network asks for, value that the library's neuron has)
    Raises CannotBuild where the network wants the values themselves and they differ.
    """
    shape = network.shapes()[layer.name]
    ratio = np.ones(shape)
    for name, (asked, held) in gains.items():
        wanted, own = per_neuron(asked, shape), per_neuron(held, shape)
        if not network.free_gain and not np.allclose(wanted, own, rtol=1e-9, atol=0):
            values = f"{name} = {wanted.flat[0]:g}, but the library's neuron has {own.flat[0]:g}"
            raise CannotBuild(f"layer {layer.name!r}: {values}")
        ratio *= wanted / own
    return ratio


def folded_factors(network: Network, ratios: Mapping[str, Array]) -> dict[str, Array]:
    """Parameter prefix → factor of its weights and bias, so that weight × gain stays what was asked for.

    Raises CannotBuild where a gain has no weights to go into.
    """
    layers = {layer.name: layer for layer in network.layers}
    sources = network.sources()
    factors: dict[str, Array] = {}
    scaled: Counter[str] = Counter()

    def fold(name: str, ratio: Array, wanted_by: str) -> None:
        layer = layers[name]
        if isinstance(layer, Affine):
            rows = ratio.reshape(-1) if ratio.size > 1 else ratio.reshape(())
        elif isinstance(layer, (Neuron, Conv, Pool2d, Flatten)):
            if not (ratio == ratio.flat[0]).all():
                raise CannotBuild(f"layer {wanted_by!r}: gains differ per neuron, which {name!r} cannot take up")
            rows = np.array(ratio.flat[0])
        scaled[name] += bool((rows != 1).any())
        if isinstance(layer, Neuron) or (isinstance(layer, (Pool2d, Flatten)) and not sources[name]):
            if (rows != 1).any():
                raise CannotBuild(f"layer {wanted_by!r}: its gain has no weights before it to go into")
        elif isinstance(layer, (Pool2d, Flatten)):
            for before in sources[name]:
                fold(before, rows, wanted_by)
        elif name in factors and not np.array_equal(factors[name], rows):
            raise CannotBuild(f"layer {name!r}: the layers it feeds have different gains")
        else:
            factors[name] = rows

    for name, ratio in ratios.items():
        for before in sources[name]:
            fold(before, ratio, name)
        if not sources[name] and (ratio != 1).any():
            raise CannotBuild(f"layer {name!r}: its gain has no weights before it to go into")
        neuron = layers[name]
        if isinstance(neuron, Neuron) and neuron.feedback is not None:
            factors[f"{name}.feedback"] = ratio.reshape(-1)
    fed = Counter(before for names in sources.values() for before in names)
    for name, times in scaled.items():
        if 0 < times < fed[name]:
            raise CannotBuild(f"layer {name!r}: the layers it feeds have different gains")
    return factors


def scales(network: Network, factors: Mapping[str, Array]) -> dict[str, Array]:
    """Parameter's key → its factor, as it is broadcast along the rows."""
    found = {}
    for key, value in network.parameters().items():
        factor = factors.get(key.rpartition(".")[0], np.array(1.0))
        found[key] = factor.reshape(-1, *([1] * (value.ndim - 1))) if factor.ndim else factor
    return found


def folded_parameters(network: Network, factors: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    """Weights and biases in the library's units: multiplied in float64, rounded to float32 once."""
    by = scales(network, factors)
    scaled = {key: np.float64(value) * by[key] for key, value in network.parameters().items()}
    return {key: torch.from_numpy(np.array(value, dtype=np.float32)) for key, value in scaled.items()}


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


def is_chain(network: Network) -> bool:
    """Whether each layer is fed by the one before it alone."""
    names: list[tuple[str, ...]] = [(), *((layer.name,) for layer in network.layers)]
    return list(network.sources().values()) == names[:-1]


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
def _watching(watched: Mapping[str, nn.Module], read: Callable[[nn.Module, Any], Reading], into: _Steps) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        spikes, membranes = into.spikes.setdefault(name, []), into.membranes.setdefault(name, [])

        def after(module: nn.Module, _inputs: Any, output: Any) -> None:
            try:
                spike, membrane = read(module, output)
            except (TypeError, ValueError, AttributeError, IndexError):  # of a form that this library's neurons do not have
                return
            if isinstance(spike, torch.Tensor):
                spikes.append(spike)
            if isinstance(membrane, torch.Tensor) and membrane.ndim:
                membranes.append(membrane[:MEMBRANE_SAMPLES].clone())

        return after

    handles = [module.register_forward_hook(hook(name)) for name, module in watched.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Steps:
    def __init__(self) -> None:
        self.spikes: dict[str, list[torch.Tensor]] = {}
        self.membranes: dict[str, list[torch.Tensor]] = {}


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
    steps = _Steps()
    outputs = []
    with torch.no_grad(), _watching(watched, read, steps):
        for frame in stimulus:
            outputs.append(step(torch.from_numpy(np.array(frame, dtype=np.float32))))
        return Recording(
            outputs={"output": _counts(torch.stack(outputs))},
            spikes={name: _counts(torch.stack(seen)) for name, seen in steps.spikes.items() if _whole(seen, len(stimulus))},
            membranes={
                name: torch.stack(seen).float().numpy() for name, seen in steps.membranes.items() if _whole(seen, len(stimulus))
            },
        )


def _whole(seen: Sequence[torch.Tensor], steps: int) -> bool:
    """Whether a node was seen once a step and had the same axes each time: else there is no recording of it."""
    return len(seen) == steps and steps > 0 and len({each.shape for each in seen}) == 1


def _counts(output: torch.Tensor) -> Array:
    small = output.to(torch.uint8)
    counts: Array = (small if torch.equal(small.to(output.dtype), output) else output.float()).numpy()
    return counts


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
