"""What an adapter has to know of its library's layers to run and to read a module that a user wrote."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import nn

from nir_interop.backends.own_modules import INPUT, OUTPUT, Hint
from nir_interop_adapters.own_layers import Parts


class OwnLibrary(Protocol):
    """What a library's adapter says of its own layers, and of how a module of them begins."""

    def is_neuron(self, module: nn.Module) -> bool:
        """Whether a module is one of the library's neurons."""

    def is_sequence(self, module: nn.Module) -> bool:
        """Whether a neuron takes all steps at once."""

    def keeps_state(self, module: nn.Module) -> bool:
        """Whether a neuron keeps its state itself, where it is not handed over."""

    def is_layer(self, module: nn.Module) -> bool:
        """Whether a module without state is one of the library's own layers, taken whole."""

    def ports(self, module: nn.Module, output: Any) -> Sequence[tuple[torch.Tensor, str]]:
        """The tensors that a neuron gave back, each with what it is: ``out``, ``membrane`` or ``state``."""

    def neuron(self, name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...], dt: float, port: str) -> Parts:
        """The nodes of a neuron that is read at a port; raises NotExpressible."""

    def layer(self, name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts | None:
        """The nodes of a layer of the library's own; None where it is one of torch's."""

    def layer_hints(self, name: str, module: nn.Module, taken: tuple[int, ...]) -> tuple[Hint, ...]:
        """What the library's exporter does with a layer that is no neuron, and that the user should know."""

    def wiring_hints(self, what: str, name: str) -> tuple[Hint, ...]:
        """The same, of what is no layer.

        what : ``flatten``, ``multiplied``, ``linear``, ``function`` or ``sum``, written in forward, into the layer ``name``;
            ``reduced``: an output that is summed or averaged over time
        """

    def module_hints(self, module: nn.Module, loops: bool) -> tuple[Hint, ...]:
        """The same, of a whole module; loops: time is in its forward, step by step."""

    def reset(self, module: nn.Module) -> None:
        """Zero state, as the library's users do it."""

    def start(self) -> Any:
        """What a user hands over for a state before the first step."""

    def read(self, module: nn.Module, output: Any) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Spikes and membrane of what a neuron gave back; None where it does not spike, or does not keep its membrane."""


def node_name(path: str, module: nn.Module) -> str:
    """What the node of a layer is called: its path in the module."""
    name = path or type(module).__name__.lower()
    return f"{name}_" if name in (INPUT, OUTPUT) else name


def neurons_in(module: nn.Module, library: OwnLibrary) -> dict[str, nn.Module]:
    """Path → neuron, those inside other neurons aside."""
    return {path: child for path, child in layers_in(module, library).items() if library.is_neuron(child)}


def layers_in(module: nn.Module, library: OwnLibrary) -> dict[str, nn.Module]:
    """Path → layer that is taken whole."""
    found: dict[str, nn.Module] = {}

    def enter(path: str, child: nn.Module) -> None:
        if library.is_neuron(child) or library.is_layer(child) or _is_torch_layer(child):
            if not any(child is other for other in found.values()):
                found[path] = child
            return
        for name, inner in child.named_children():
            enter(f"{path}.{name}" if path else name, inner)

    enter("", module)
    return found


def _is_torch_layer(module: nn.Module) -> bool:
    """A layer of torch's own, whose forward is torch's own."""
    forward = inspect.getattr_static(type(module), "forward", None)
    where = getattr(forward, "__module__", "")
    return where.startswith("torch.nn.modules.") and not isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
