"""snnTorch's neurons as nodes of NIR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.own_modules import Hint, OwnNode
from nir_interop_adapters.own_layers import (
    HOLES,
    RESETS,
    STOPS,
    Parts,
    cut,
    filled,
    grouped,
    in_full,
    linear,
    refuse,
    single,
    unknown,
    values,
    written_as,
)
from nir_interop_adapters.own_library import OwnLibrary

Array = NDArray[Any]

_READ = (snn.Leaky, snn.RLeaky, snn.Synaptic, snn.RSynaptic)


class SnnTorchLayers(OwnLibrary):
    """snnTorch 1.0.0."""

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, snn.SpikingNeuron)

    def is_sequence(self, module: nn.Module) -> bool:
        return False

    def keeps_state(self, module: nn.Module) -> bool:
        return True

    def is_layer(self, module: nn.Module) -> bool:
        return False

    def reset(self, module: nn.Module) -> None:
        """``snntorch.utils.reset`` reaches only neurons on a class-level list, which copies are not on."""
        for neuron in module.modules():
            if isinstance(neuron, snn.SpikingNeuron) and hasattr(neuron, "reset_mem"):
                neuron.reset_mem()

    def start(self) -> Any:
        """What ``init_leaky()`` gives before the first step."""
        return torch.zeros(0)

    def ports(self, module: nn.Module, output: Any) -> Sequence[tuple[torch.Tensor, str]]:
        if isinstance(output, torch.Tensor):
            return [(output, "out")]
        *states, mem = output[1:]
        return [(output[0], "out"), *[(each, "state") for each in states], (mem, "membrane")]

    def read(self, module: nn.Module, output: Any) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        spikes = output[0] if isinstance(output, tuple) else output
        mem = getattr(module, "mem", None)
        # A neuron that never resets is a readout, as a rule, and its membrane what is read.
        spikes = None if getattr(module, "reset_mechanism", "") == "none" else spikes
        return spikes, mem.clone() if isinstance(mem, torch.Tensor) and mem.ndim else None

    def layer(self, name: str, module: nn.Module, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts | None:
        return None

    def layer_hints(self, name: str, module: nn.Module, taken: tuple[int, ...]) -> tuple[Hint, ...]:
        written = written_as(module)
        if isinstance(module, nn.AvgPool2d):
            hints = []
            if np.any(module.padding):
                concerns = (*STOPS, "parameter_lost", "pool_padding", "padding")
                hints.append(Hint(concerns, f"{written}: snnTorch's exporter writes a padding of 0"))
            if isinstance(module.kernel_size, int) or isinstance(module.stride, int):
                size = module.kernel_size
                pair = (size, size) if isinstance(size, int) else size
                says = f"{written} has one number for its window, and snnTorch's importer wants two: give nn.AvgPool2d({pair})"
                hints.append(Hint(("import_error", "parameter_shape", "kernel_size", "stride"), says))
            return tuple(hints)
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.Flatten)):
            return grouped(module, written, "nir's reader refuses the file")
        return unknown(written, module, "snnTorch's exporter has no case for it and stops")

    def wiring_hints(self, what: str, name: str) -> tuple[Hint, ...]:
        return cut(what, name, "snnTorch's exporter")

    def module_hints(self, module: nn.Module, loops: bool) -> tuple[Hint, ...]:
        if not loops:
            return ()
        says = "snnTorch's exporter does not tell the axis of time from the network's own where forward loops over time"
        do = "export a module of one step, whose states go in and come out: forward(x, mem1, mem2) → spk, mem1, mem2"
        return (Hint((*STOPS, "parameter_shape"), f"{says}: {do}"),)

    def neuron(self, name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...], dt: float, port: str) -> Parts:
        kind = next((each for each in _READ if isinstance(module, each) and type(module).forward is each.forward), None)
        written = _written(module)
        if kind is None:
            raise refuse(name, written, "NIR has no such neuron", "use snn.Leaky, snn.Synaptic, snn.RLeaky or snn.RSynaptic")
        _refuse_extras(name, module, written)
        spikes = _spikes(name, module, port, written)
        synaptic = isinstance(module, (snn.Synaptic, snn.RSynaptic))
        beta = filled(module.beta.clamp(0, 1), taken)
        params: dict[str, Array]
        if synaptic:
            alpha = filled(module.alpha.clamp(0, 1), taken)
            if (beta == 1).any() or (alpha == 1).any():
                raise refuse(name, written, "alpha or beta is 1, a time constant without end", "use a decay below 1")
            tau_syn, tau_mem = dt / (1 - alpha), dt / (1 - beta)
            params = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": tau_mem / dt, "w_in": tau_syn / dt}
            node_kind = "CubaLIF" if spikes else "CubaLI"
        elif (beta == 1).all():
            params = {"r": np.full(taken, 1 / dt)}
            node_kind = "IF" if spikes else "I"
        else:
            if (beta == 1).any():
                raise refuse(
                    name, written, "beta is 1 for some neurons and not for others", "use two layers, or a beta below 1"
                )
            tau = dt / (1 - beta)
            params = {"tau": tau, "r": tau / dt}
            node_kind = "LIF" if spikes else "LI"
        if node_kind not in ("IF", "I"):
            params["v_leak"] = np.zeros(taken)
        if spikes:
            params |= {"v_threshold": filled(module.threshold, taken), "v_reset": np.zeros(taken)}
        mechanism = module.reset_mechanism
        reset = {"zero": "value", "subtract": "subtract", "none": "none"}[mechanism] if spikes else ""
        node = OwnNode(
            node_kind, params, _label(module, kind, node_kind), reset, written, _hints(module, taken, written, spikes, dt)
        )
        if not isinstance(module, (snn.RLeaky, snn.RSynaptic)):
            return single(name, node)
        feedback = f"{name}.recurrent"
        back = _feedback(name, module, taken, written)
        return Parts({name: node, feedback: back}, name, name, ((name, feedback), (feedback, name)))


def _refuse_extras(name: str, module: Any, written: str) -> None:
    if module.inhibition:
        raise refuse(name, written, "NIR has no inhibition by the strongest neuron", "use inhibition=False")
    if module.state_quant:
        raise refuse(name, written, "NIR has no quantised states", "use state_quant=False")
    if (values(module.graded_spikes_factor) != 1).any():
        raise refuse(
            name, written, "NIR's spikes are 1", "use graded_spikes_factor=1 and put the factor into the weights behind it"
        )


def _spikes(name: str, module: Any, port: str, written: str) -> bool:
    """Whether spikes are read from it, and not its membrane."""
    if port == "out":
        return True
    if port == "state":
        raise refuse(name, written, "its synaptic current goes on, which NIR's neurons do not give", "give on its spikes")
    if module.reset_mechanism != "none":
        raise refuse(
            name, written, "its membrane goes on, and NIR's neurons give spikes where they reset", "use reset_mechanism='none'"
        )
    return False


def _label(module: Any, kind: type, node_kind: str) -> str:
    mechanism = module.reset_mechanism
    if node_kind in ("LI", "I"):
        return f"{kind.__name__}(reset_mechanism='none')"
    if mechanism == "none" or node_kind == "CubaLI":
        return ""
    # With states handed over, RSynaptic takes no notice of reset_delay: it changes a copy of the membrane.
    delay = True if kind is snn.RSynaptic else module.reset_delay
    return f"{kind.__name__}(reset_mechanism={mechanism!r}, reset_delay={delay})"


def _feedback(name: str, module: Any, taken: tuple[int, ...], written: str) -> OwnNode:
    recurrent = module.recurrent
    if isinstance(recurrent, nn.Linear):
        bias = None if recurrent.bias is None else values(recurrent.bias)
        return linear(values(recurrent.weight), bias, f"recurrent of {written}")
    if isinstance(recurrent, nn.Conv2d):
        whole = {"stride": recurrent.stride, "padding": recurrent.padding, "dilation": recurrent.dilation}
        params = {key: np.array(value) for key, value in whole.items()} | {"groups": np.array(recurrent.groups)}
        params |= {"weight": values(recurrent.weight), "input_shape": np.array(taken[-2:])}
        params["bias"] = np.zeros(len(recurrent.weight)) if recurrent.bias is None else values(recurrent.bias)
        return OwnNode("Conv2d", params, written=f"recurrent of {written}")
    weights = filled(recurrent.V, taken)
    if len(taken) == 1:
        return linear(np.diag(weights), None, f"V of {written}")
    return OwnNode("Scale", {"scale": weights}, written=f"V of {written}")


def _written(module: Any) -> str:
    """The constructor's line, with what is not its default."""
    said = []
    for name in ("alpha", "beta"):
        if hasattr(module, name):
            said.append(f"{name}={_said(getattr(module, name))}")
    if isinstance(module, (snn.RLeaky, snn.RSynaptic)):
        if not module.all_to_all:
            said += [f"V={_said(module.recurrent.V)}", "all_to_all=False"]
        elif module.linear_features:
            said.append(f"linear_features={module.linear_features}")
    if (values(module.threshold) != 1).any():
        said.append(f"threshold={_said(module.threshold)}")
    if module.reset_mechanism != "subtract":
        said.append(f"reset_mechanism={module.reset_mechanism!r}")
    if not getattr(module, "reset_delay", True):
        said.append("reset_delay=False")
    return f"snn.{type(module).__name__}({', '.join(said)})"


def _said(value: Any) -> str:
    number = values(value)
    if number.ndim == 0:
        return f"{float(number):.6g}"
    if (number == number.flat[0]).all():
        return f"torch.full({tuple(number.shape)}, {number.flat[0]:.6g})"
    return f"a tensor of shape {tuple(number.shape)}"


def _hints(module: Any, taken: tuple[int, ...], written: str, spikes: bool, dt: float) -> tuple[Hint, ...]:
    """What ``snntorch/export_nir.py`` does with it."""
    hints = [*_shape_hints(module, taken, written), *_reset_hints(module, written, spikes)]
    for name in ("alpha", "beta"):
        if not hasattr(module, name):
            continue
        decay, tau = (
            values(getattr(module, name)),
            "tau_syn" if name == "alpha" else "tau_mem" if hasattr(module, "alpha") else "tau",
        )
        if ((decay > 1) | (decay < 0)).any():
            says = f"{written} runs with {name} clamped to [0, 1], and its exporter writes the time constant of {name} as it is"
            concerns = ("tau_rewritten", "decay", "decay_clamped", *HOLES, tau)
            hints.append(Hint(concerns, f"{says}: set {name}.data.clamp_(0, 1) before the export"))
        if (decay >= 1).any():
            says = f"{written} keeps its whole membrane at {name}=1, and its exporter writes a time constant that is infinite"
            hints.append(Hint((*HOLES, "parameter_lost", tau, "r"), says))
    if dt != 1e-4:
        says = f"snnTorch's exporter takes 1e-4 s for a step, which makes time constants {1e-4 / dt:g} times those at {dt:g} s"
        hints.append(Hint(("time_unit", "tau_rewritten", "decay", "tau", "tau_mem", "tau_syn"), says))
    return tuple(hints)


def _shape_hints(module: Any, taken: tuple[int, ...], written: str) -> list[Hint]:
    size = int(np.prod(taken))
    if isinstance(module, (snn.RLeaky, snn.RSynaptic)):
        if module.all_to_all or values(module.recurrent.V).ndim:
            return []
        says = f"{written} has one number for V, and its exporter cannot tell the layer's size from it"
        return [Hint((*STOPS, "parameter_shape", "weight"), f"{says}: give V={in_full(module.recurrent.V, taken)}")]
    single_numbers = [
        name for name in ("alpha", "beta", "threshold") if hasattr(module, name) and tuple(getattr(module, name).shape) != taken
    ]
    if not single_numbers:
        return []
    says = f"{written} has one number for {_listed(single_numbers)}, and the file then has no axis for its {size} neurons"
    give = ", ".join(f"{name}={in_full(getattr(module, name), taken)}" for name in single_numbers)
    return [Hint((*STOPS, "parameter_shape", "tau", "tau_mem", "tau_syn", "v_threshold"), f"{says}: give {give}")]


def _reset_hints(module: Any, written: str, spikes: bool) -> list[Hint]:
    mechanism, plain = module.reset_mechanism, type(module) is snn.Leaky
    late = "" if getattr(module, "reset_delay", True) is False else ", one step late"
    if mechanism == "none":
        what = "its exporter writes a neuron that fires and resets to 0"
        return [Hint(RESETS, f"{written} never resets{'' if spikes else ' and its membrane is read'}: {what}")]
    if mechanism == "subtract":
        says = f"{written} resets by subtracting its threshold{late}; its exporter writes a reset to 0"
        if isinstance(module, snn.RSynaptic):
            return [Hint((*RESETS, "reset_late"), says)]
        give = "reset_mechanism='zero'" if plain else "reset_mechanism='zero', reset_delay=False"
        return [Hint((*RESETS, "reset_late"), f"{says}: train with {give}, and the file says what the layer does")]
    if not plain and (late or isinstance(module, snn.RSynaptic)):
        says = f"{written} resets one step late; its exporter writes a reset in the same step"
        if isinstance(module, snn.RSynaptic):
            return [Hint(("reset_lost", "reset_late"), f"{says}, which snnTorch's RSynaptic cannot do")]
        return [Hint(("reset_lost", "reset_late"), f"{says}: train with reset_delay=False")]
    return []


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
