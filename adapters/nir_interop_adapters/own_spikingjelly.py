"""SpikingJelly's neurons and layers as nodes of NIR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import base, functional
from spikingjelly.activation_based import layer as words
from spikingjelly.activation_based import neuron as neurons
from torch import nn

from nir_interop.backends.own_modules import Hint, OwnNode
from nir_interop_adapters.own_layers import RESETS, STOPS, Parts, grouped, linear, refuse, single, unknown, written_as
from nir_interop_adapters.own_library import OwnLibrary

Array = NDArray[Any]

_READ = (neurons.IFNode, neurons.LIFNode, neurons.ParametricLIFNode, neurons.CUBALIFNode)
_EXPORTED = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.AvgPool2d, nn.Flatten),
    *(words.Linear, words.Conv1d, words.Conv2d, words.AvgPool2d, words.Flatten),
)
_PLACE = "spikingjelly.activation_based."


class SpikingJellyLayers(OwnLibrary):
    """SpikingJelly 2.0.0."""

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, base.StepModule) and any(
            kind.__module__.startswith(f"{_PLACE}neuron") for kind in type(module).__mro__
        )

    def is_sequence(self, module: nn.Module) -> bool:
        return getattr(module, "step_mode", "s") == "m"

    def keeps_state(self, module: nn.Module) -> bool:
        return True

    def is_layer(self, module: nn.Module) -> bool:
        inner = not list(module.children())
        return inner and getattr(type(module).forward, "__module__", "").startswith((f"{_PLACE}layer", f"{_PLACE}base"))

    def reset(self, module: nn.Module) -> None:
        functional.reset_net(module)

    def start(self) -> Any:
        return None

    def ports(self, module: nn.Module, output: Any) -> Sequence[tuple[torch.Tensor, str]]:
        return [(output, "out")] if isinstance(output, torch.Tensor) else []

    def read(self, module: nn.Module, output: Any) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        if not isinstance(output, torch.Tensor):
            return None, None
        held = getattr(module, "v_seq" if self.is_sequence(module) else "v", None)
        return output, held.clone() if isinstance(held, torch.Tensor) and held.shape == output.shape else None

    def layer(self, name: str, module: nn.Module, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts | None:
        if isinstance(module, words.VotingLayer):
            size = module.voting_size
            weight = np.kron(np.eye(given[-1]), np.full((1, size), 1 / size))
            short = taken[-1] - weight.shape[1]
            return single(name, linear(np.pad(weight, ((0, 0), (0, short))), None, written_as(module)))
        if isinstance(module, (words.WSConv2d, words.WSLinear)):
            raise refuse(
                name, written_as(module), "its weights are standardised when it runs", "use layer.Conv2d or layer.Linear"
            )
        return None

    def layer_hints(self, name: str, module: nn.Module, taken: tuple[int, ...]) -> tuple[Hint, ...]:
        written = written_as(module)
        if type(module) in _EXPORTED:
            return grouped(module, written, "SpikingJelly's exporter refuses convolutions in groups")
        if isinstance(module, words.Dropout):
            return ()
        return unknown(written, module, "SpikingJelly's exporter has no case for it and stops")

    def wiring_hints(self, what: str, name: str) -> tuple[Hint, ...]:
        stops = "and SpikingJelly's exporter stops there"
        says = {
            "flatten": f"a flatten in forward is no layer, {stops}: use nn.Flatten()",
            "multiplied": f"a multiplication in forward is no layer, {stops}: put the number into the weights before it",
            "function": f"{name} is a function in forward, {stops}: use the layer of the same name",
            "linear": f"{name} is used in forward by a function, {stops}: use nn.Linear",
            "reduced": "SpikingJelly's exporter stops at a sum or an average over time: export the part of the module before",
        }
        return (Hint((*STOPS, "node_lost"), says[what]),) if what in says else ()

    def module_hints(self, module: nn.Module, loops: bool) -> tuple[Hint, ...]:
        exporter = "SpikingJelly's exporter"
        kinds = (words.LinearRecurrentContainer, words.ElementWiseRecurrentContainer)
        for each in module.modules():
            if isinstance(each, kinds):
                says = f"{type(each).__name__} keeps its last output, which {exporter} cannot follow: it stops there"
                return (Hint((*STOPS, "recurrence_rewired"), says),)
            if isinstance(each, words.SeqToANNContainer):
                says = (
                    f"{exporter} stops at a SeqToANNContainer: write layer.Linear(…, step_mode='m') and the like in its place"
                )
                return (Hint(STOPS, says),)
        if loops:
            says = f"{exporter} stops at a loop over time in forward: export a module of one step"
            return (Hint(STOPS, says),)
        return ()

    def neuron(self, name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...], dt: float, port: str) -> Parts:
        written = _written(module)
        kind = next((each for each in _READ if isinstance(module, each) and _steps_like(module, each)), None)
        if kind is None:
            raise refuse(name, written, "NIR has no such neuron", "use IFNode, LIFNode, ParametricLIFNode or CUBALIFNode")
        if not getattr(module.surrogate_function, "spiking", True):
            raise refuse(name, written, "its surrogate function does not spike", "use one with spiking=True")
        soft = module.v_reset is None
        rest = 0.0 if soft else float(module.v_reset)
        what: dict[str, float]
        if kind is neurons.IFNode:
            node_kind, what = "IF", {"r": 1 / dt}
        elif kind is neurons.CUBALIFNode:
            if module.c_decay == 1 or module.v_decay == 1:
                raise refuse(name, written, "a decay of 1 is a time constant without end", "use a decay below 1")
            tau_syn, tau_mem = dt / (1 - module.c_decay), dt / (1 - module.v_decay)
            node_kind = "CubaLIF"
            what = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": tau_mem / dt, "w_in": tau_syn / dt, "v_leak": 0.0}
        else:
            tau = _tau(module)
            node_kind, what = "LIF", {"tau": tau * dt, "r": 1.0 if module.decay_input else tau, "v_leak": rest}
        what |= {"v_threshold": float(module.v_threshold), "v_reset": rest}
        params: dict[str, Array] = {key: np.full(taken, value) for key, value in what.items()}
        like = "LIFNode" if kind is neurons.ParametricLIFNode else kind.__name__
        decays = f"decay_input={module.decay_input}, " if node_kind == "LIF" else ""
        options = f"{like}({decays}v_reset={'None' if soft else 'float'})"
        reset = "subtract" if soft else "value"
        return single(name, OwnNode(node_kind, params, options, reset, written, _hints(module, written)))


def _steps_like(module: Any, kind: Any) -> bool:
    return all(
        getattr(type(module), name) is getattr(kind, name)
        for name in ("single_step_functional_forward", "multi_step_functional_forward", "multi_step_forward", "forward")
    )


def _tau(module: Any) -> float:
    """In steps."""
    if isinstance(module, neurons.ParametricLIFNode):
        return float(1 / module.w.detach().double().sigmoid())
    return float(module.tau)


def _written(module: Any) -> str:
    """The constructor's line, with what is not its default."""
    said = []
    if isinstance(module, neurons.ParametricLIFNode):
        said.append(f"tau={_tau(module):.6g}, learnt")
    elif isinstance(module, neurons.LIFNode):
        said.append(f"tau={module.tau:g}")
    if isinstance(module, neurons.CUBALIFNode):
        said += [f"c_decay={module.c_decay:g}", f"v_decay={module.v_decay:g}"]
    if not getattr(module, "decay_input", True):
        said.append("decay_input=False")
    for name, default in (("v_threshold", 1.0), ("v_reset", 0.0)):
        value = getattr(module, name, default)
        if value != default:
            said.append(f"{name}={value}")
    if getattr(module, "step_mode", "s") == "m":
        said.append("step_mode='m'")
    return f"neuron.{type(module).__name__}({', '.join(said)})"


def _hints(module: Any, written: str) -> tuple[Hint, ...]:
    """What ``spikingjelly/activation_based/nir_exchange/to_nir.py`` does with it."""
    if module.v_reset is None:
        says = f"{written} resets by subtracting its threshold, and SpikingJelly's exporter refuses that"
        return (Hint((*STOPS, *RESETS, "not_expressible"), f"{says}: train with v_reset=0.0"),)
    if module.v_reset:
        says = f"{written} starts at {module.v_reset:g}, the value that it resets to; NIR starts at 0, and a file cannot say it"
        return (Hint(("start",), says),)
    return ()
