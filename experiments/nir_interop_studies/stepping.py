"""One step of a network in a library's own modules, with gradients: what training needs and an adapter's run does not give.

A network of one chain.  Where its input does not change with time, what stands before the first neurons is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from nir_interop.errors import UnknownName

LIBRARIES = ("snntorch", "norse", "spikingjelly")
"""Those that train; the order in which studies name them."""


@dataclass(frozen=True)
class Surrogate:
    """A surrogate gradient in a library's own words.

    name : a function of ``snntorch.surrogate``, a method of Norse's ``threshold``, a class of SpikingJelly's ``surrogate``
    slope : its one argument; how steep it is, in the library's own unit
    """

    name: str
    slope: float


class Neurons:
    """How a library's neurons are stepped.

    begin : puts all states back to where they start
    fire : (name, module, input of one step) → spikes
    holds : whether a module is a layer of neurons
    """

    def __init__(
        self,
        begin: Callable[[], None],
        fire: Callable[[str, nn.Module, torch.Tensor], torch.Tensor],
        holds: Callable[[nn.Module], bool],
    ) -> None:
        self.begin, self.fire, self.holds = begin, fire, holds


def neurons_of(library: str, module: nn.Module, surrogate: Surrogate, device: torch.device) -> Neurons:
    """Give the neurons of a built network their surrogate gradient and move all of it to a device.

    Raises UnknownName for a library that is not one of LIBRARIES.
    """
    if library not in _MAKERS:
        raise UnknownName(f"no library {library!r} trains here; there are {', '.join(LIBRARIES)}")
    module.to(device)
    return _MAKERS[library](module, surrogate, device)


def spikes(module: nn.Module, neurons: Neurons, images: torch.Tensor, steps: int) -> torch.Tensor:
    """Spikes of the last layer, axes (steps, B, classes), for images (B, \\*shape) that are there all the time."""
    children = list(module.named_children())
    first = next(number for number, (_, child) in enumerate(children) if neurons.holds(child))
    current = images
    for _, child in children[:first]:
        current = child(current)
    neurons.begin()
    outputs = []
    for _ in range(steps):
        value = current
        for name, child in children[first:]:
            value = neurons.fire(name, child, value) if neurons.holds(child) else child(value)
        outputs.append(value)
    return torch.stack(outputs)


def spikes_of_frames(module: nn.Module, neurons: Neurons, frames: torch.Tensor) -> torch.Tensor:
    """Spikes of the last layer, axes (T, B, classes), for frames (T, B, \\*shape)."""
    children = list(module.named_children())
    neurons.begin()
    outputs = []
    for frame in frames:
        value = frame
        for name, child in children:
            value = neurons.fire(name, child, value) if neurons.holds(child) else child(value)
        outputs.append(value)
    return torch.stack(outputs)


def _snntorch(module: nn.Module, surrogate: Surrogate, device: torch.device) -> Neurons:
    import snntorch
    from snntorch import surrogate as surrogates

    layers = [child for child in module.children() if isinstance(child, snntorch.SpikingNeuron)]
    for layer in layers:
        layer.spike_grad = getattr(surrogates, surrogate.name)(surrogate.slope)

    def begin() -> None:
        for layer in layers:
            layer.reset_mem()

    def fire(name: str, layer: nn.Module, current: torch.Tensor) -> torch.Tensor:
        output = layer(current)
        fired: torch.Tensor = output[0] if isinstance(output, tuple) else output
        return fired

    return Neurons(begin, fire, lambda child: isinstance(child, snntorch.SpikingNeuron))


def _norse(module: nn.Module, surrogate: Surrogate, device: torch.device) -> Neurons:
    from norse.torch.module.snn import SNNCell

    for layer in module.children():
        if isinstance(layer, SNNCell):
            # A cell's parameters are a tuple of plain tensors, which Module.to does not reach.
            held = layer.p._asdict()
            moved = {name: value.to(device) for name, value in held.items() if isinstance(value, torch.Tensor)}
            slope = torch.tensor(surrogate.slope, device=device)
            layer.p = layer.p._replace(**{**moved, "method": surrogate.name, "alpha": slope})
    states: dict[str, Any] = {}

    def fire(name: str, layer: nn.Module, current: torch.Tensor) -> torch.Tensor:
        fired, states[name] = layer(current, states.get(name))
        result: torch.Tensor = fired
        return result

    return Neurons(states.clear, fire, lambda child: isinstance(child, SNNCell))


def _spikingjelly(module: nn.Module, surrogate: Surrogate, device: torch.device) -> Neurons:
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based import neuron as nodes
    from spikingjelly.activation_based import surrogate as surrogates

    for layer in module.children():
        if isinstance(layer, nodes.BaseNode):
            layer.surrogate_function = getattr(surrogates, surrogate.name)(alpha=surrogate.slope)

    def fire(name: str, layer: nn.Module, current: torch.Tensor) -> torch.Tensor:
        fired: torch.Tensor = layer(current)
        return fired

    return Neurons(lambda: functional.reset_net(module), fire, lambda child: isinstance(child, nodes.BaseNode))


_MAKERS: Mapping[str, Callable[[nn.Module, Surrogate, torch.device], Neurons]] = {
    "snntorch": _snntorch,
    "norse": _norse,
    "spikingjelly": _spikingjelly,
}
