"""Norse's neurons as nodes of NIR: cells, and modules that hold time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from norse.torch.functional.adjoint.lif_adjoint import lif_adjoint_step, lif_feed_forward_adjoint_step
from norse.torch.functional.iaf import iaf_feed_forward_step
from norse.torch.functional.leaky_integrator import li_feed_forward_step
from norse.torch.functional.leaky_integrator_box import li_box_feed_forward_step
from norse.torch.functional.lif import lif_feed_forward_step, lif_step
from norse.torch.functional.lif_box import lif_box_feed_forward_step
from norse.torch.functional.reset import reset_subtract, reset_value
from norse.torch.module.iaf import IAFCell
from norse.torch.module.leaky_integrator import LILinearCell
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif import LIFCell
from norse.torch.module.lif_box import LIFBoxCell
from norse.torch.module.lift import Lift
from norse.torch.module.snn import SNN, SNNCell, SNNRecurrent, SNNRecurrentCell
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

_KINDS: Mapping[Any, str] = {
    lif_feed_forward_step: "CubaLIF",
    lif_feed_forward_adjoint_step: "CubaLIF",
    lif_step: "CubaLIF",
    lif_adjoint_step: "CubaLIF",
    lif_box_feed_forward_step: "LIF",
    li_feed_forward_step: "CubaLI",
    li_box_feed_forward_step: "LI",
    iaf_feed_forward_step: "IF",
}
"""What a cell computes is the function that it is made of, whatever its class is called."""
_LABELS = {"CubaLIF": "LIFCell", "IF": "IAFCell", "LI": "LIBoxCell"}
_EXPORTED = (LIFCell, LIFBoxCell, LIBoxCell, IAFCell)
_WRITTEN = ("tau_syn_inv", "tau_mem_inv", "v_leak", "v_th")
"""What its exporter writes of a cell's parameters."""
_DEFAULTS = {"tau_syn_inv": 200.0, "tau_mem_inv": 100.0, "v_leak": 0.0, "v_th": 1.0, "v_reset": 0.0}


class NorseLayers(OwnLibrary):
    """Norse 1.1.0."""

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, (SNNCell, SNNRecurrentCell, SNN, SNNRecurrent, LILinearCell))

    def is_sequence(self, module: nn.Module) -> bool:
        return isinstance(module, (SNN, SNNRecurrent))

    def keeps_state(self, module: nn.Module) -> bool:
        return self.is_sequence(module)

    def is_layer(self, module: nn.Module) -> bool:
        return False

    def reset(self, module: nn.Module) -> None:
        """Its states are handed over: none is zero state."""

    def start(self) -> Any:
        return None

    def ports(self, module: nn.Module, output: Any) -> Sequence[tuple[torch.Tensor, str]]:
        given, state = output
        # A leaky integrator's output is its membrane: the output comes last, so that it is known as that.
        held = [(each, "membrane" if name == "v" else "state") for name, each in _named(state)]
        return [*held, (given, "out")]

    def read(self, module: nn.Module, output: Any) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        given, state = output
        v = getattr(state, "v", None)
        keeps = not self.is_sequence(module) or getattr(module, "record_states", False)
        whole = isinstance(v, torch.Tensor) and v.shape == given.shape
        return (given if _fires(module) else None), (v if keeps and whole else None)

    def layer(self, name: str, module: nn.Module, taken: tuple[int, ...], given: tuple[int, ...]) -> Parts | None:
        return None

    def layer_hints(self, name: str, module: nn.Module, taken: tuple[int, ...]) -> tuple[Hint, ...]:
        written = written_as(module)
        if isinstance(module, nn.Linear):
            return ()
        if isinstance(module, nn.Conv2d):
            hints = []
            if module.bias is None:
                says = f"{written}: Norse's exporter fails on a convolution without a bias"
                hints.append(Hint((*STOPS, "bias_lost", "bias"), f"{says}: give it bias=True, with a bias of zeros"))
            says = f"{written}: Norse's exporter leaves its input_shape out, and nir cannot write the file"
            return (
                *hints,
                Hint((*HOLES, "parameter_lost", "input_shape"), f"{says}: set node.input_shape of the graph before nir.write"),
            )
        return unknown(written, module, "Norse's exporter has no case for it and leaves a hole, which nir cannot write")

    def wiring_hints(self, what: str, name: str) -> tuple[Hint, ...]:
        if what == "flatten":
            says = "a flatten in forward is no layer, and Norse's exporter leaves it out; it has no case for nn.Flatten either"
            return (Hint((*STOPS, *HOLES, "node_lost"), says),)
        return cut(what, name, "Norse's exporter")

    def module_hints(self, module: nn.Module, loops: bool) -> tuple[Hint, ...]:
        if any(isinstance(each, Lift) for each in module.modules()):
            says = "Norse's exporter has no case for Lift and leaves a hole, which nir cannot write"
            return (Hint((*HOLES, "node_lost"), f"{says}: leave Lift out, and run the module step by step"),)
        return ()

    def neuron(self, name: str, module: Any, taken: tuple[int, ...], given: tuple[int, ...], dt: float, port: str) -> Parts:
        written = _written(module)
        kind = kind_of(module)
        if kind is None:
            why = "NIR has no such neuron"
            raise refuse(name, written, why, "use LIFCell, LIFBoxCell, LICell, LIBoxCell, IAFCell or LIFRecurrentCell")
        if port != "out":
            what = "membrane" if port == "membrane" else "synaptic current"
            raise refuse(name, written, f"its {what} goes on, and NIR's neurons give one output", "give on its output")
        p, shape = module.p, given
        params: dict[str, Array] = {}
        if kind == "IF":
            params["r"] = np.full(shape, 1 / dt)
        else:
            per_step = module.dt * filled(p.tau_mem_inv, shape)
            params |= {"r": np.ones(shape), "v_leak": filled(p.v_leak, shape)}
            params["tau_mem" if kind.startswith("Cuba") else "tau"] = dt / per_step
        if kind.startswith("Cuba"):
            kept = module.dt * filled(p.tau_syn_inv, shape)
            params |= {"tau_syn": dt / kept, "w_in": 1 / kept}
        reset = ""
        if _fires(module):
            params |= {"v_threshold": filled(p.v_th, shape), "v_reset": filled(p.v_reset, shape)}
            reset = _reset(name, module, written)
        options = f"LIFBoxCell(reset_method=reset_{reset})" if kind == "LIF" else _LABELS.get(kind, "")
        node = OwnNode(kind, params, options, reset, written, _hints(module, shape, written, dt))
        if not hasattr(module, "input_weights"):
            return single(name, node)
        into = f"{name}.input_weights"
        nodes = {name: node, into: linear(values(module.input_weights), None, f"input_weights of {written}")}
        edges = [(into, name)]
        if hasattr(module, "recurrent_weights"):
            back = f"{name}.recurrent_weights"
            nodes[back] = linear(values(module.recurrent_weights), None, f"recurrent_weights of {written}")
            edges += [(name, back), (back, name)]
        return Parts(nodes, into, name, tuple(edges))


def kind_of(module: Any) -> str | None:
    """NIR's name for what a cell computes; None where it has none."""
    if isinstance(module, LILinearCell):
        return "CubaLI"
    return _KINDS.get(module.activation)


def _fires(module: Any) -> bool:
    return kind_of(module) not in ("LI", "CubaLI")


def _reset(name: str, module: Any, written: str) -> str:
    method = getattr(module.p, "reset_method", reset_value)
    if method not in (reset_value, reset_subtract):
        raise refuse(name, written, "its reset_method is one that NIR has no words for", "use reset_value or reset_subtract")
    return "subtract" if method is reset_subtract else "value"


def _named(state: Any) -> list[tuple[str, torch.Tensor]]:
    fields = state._asdict().items() if hasattr(state, "_asdict") else []
    return [(name, each) for name, each in fields if isinstance(each, torch.Tensor)]


def _written(module: Any) -> str:
    """The constructor's line, with what is not its default."""
    p = module.p
    said = []
    for name, default in _DEFAULTS.items():
        value = getattr(p, name, None)
        if isinstance(value, (torch.Tensor, float, int)):
            number = values(torch.as_tensor(value))
            if number.ndim or not np.isclose(number, default, rtol=1e-6):
                said.append(f"{name}={_said(number)}")
    if getattr(p, "reset_method", reset_value) is reset_subtract:
        said.append("reset_method=reset_subtract")
    sizes = [str(int(getattr(module, name))) for name in ("input_size", "hidden_size") if hasattr(module, name)]
    inside = [*sizes, *([f"{type(p).__name__}({', '.join(said)})"] if said else [])]
    step = [f"dt={module.dt:g}"] if module.dt != 1e-3 else []
    return f"{type(module).__name__}({', '.join([*inside, *step])})"


def _said(number: Array) -> str:
    if number.ndim == 0:
        return f"{float(number):.6g}"
    if (number == number.flat[0]).all():
        return f"torch.full({tuple(number.shape)}, {number.flat[0]:.6g})"
    return f"a tensor of shape {tuple(number.shape)}"


def _hints(module: Any, shape: tuple[int, ...], written: str, dt: float) -> tuple[Hint, ...]:
    """What ``norse/torch/utils/export_nir.py`` does with it."""
    if not isinstance(module, _EXPORTED):
        says = f"{written} is none of the neurons that Norse's exporter knows; it leaves a hole, which nir cannot write"
        same = {SNN: "LIFCell"}.get(type(module).__mro__[1]) if kind_of(module) == "CubaLIF" else None
        do = f": write {same}(p), and hand its state on from step to step" if same else ""
        return (Hint((*STOPS, *HOLES, "node_lost"), f"{says}{do}"),)
    p, kind = module.p, kind_of(module)
    hints: list[Hint] = []
    concerns: tuple[str, ...]
    used = [name for name in _WRITTEN if hasattr(p, name) and not (kind == "LI" and name == "v_th")]
    numbers = [name for name in used if tuple(torch.as_tensor(getattr(p, name)).shape) != shape]
    if numbers:
        says = f"{written} has one number for {', '.join(numbers)}, which nir cannot write, or cannot read back"
        give = ", ".join(f"{name}={in_full(getattr(p, name), shape)}" for name in numbers)
        concerns = (*STOPS, *HOLES, "parameter_shape", "tau", "tau_mem", "tau_syn", "v_threshold", "v_leak")
        hints.append(Hint(concerns, f"{says}: give {give}"))
    if kind != "IF":
        says = f"{written}: Norse's exporter writes tau = dt / tau_inv, which is the time constant for dt = 1 alone"
        concerns = ("time_unit", "tau_rewritten", "decay", "tau", "tau_mem", "tau_syn")
        hints.append(Hint(concerns, f"{says}: export with to_nir(net, sample, dt=1)"))
    if _fires(module):
        if getattr(p, "reset_method", reset_value) is reset_subtract:
            says = f"{written} resets by subtracting its threshold; Norse's exporter writes a reset to 0"
            hints.append(Hint(RESETS, f"{says}: train with reset_method=reset_value, and the file says it"))
        elif np.any(values(torch.as_tensor(p.v_reset))):
            to = _said(values(torch.as_tensor(p.v_reset)))
            says = f"{written} resets to {to}; Norse's exporter leaves v_reset out, and the file says 0"
            hints.append(Hint(("parameter_lost", "reset_value_ignored", "v_reset"), says))
    if kind == "CubaLIF":
        kept = 1 / (module.dt * values(torch.as_tensor(p.tau_syn_inv)))
        says = f"{written} adds its input to the synapse as it is, which in NIR is w_in = tau_syn / dt = {_said(kept)}"
        hints.append(
            Hint(("parameter_lost", "gain", "input_weight_ignored", "w_in"), f"{says}; Norse's exporter writes w_in = 1")
        )
    if kind == "IF":
        says = f"{written} adds its input as it is, which in NIR is r = 1 / dt = {1 / dt:g}; Norse's exporter writes r = 1"
        hints.append(Hint(("parameter_lost", "gain", "resistance_ignored", "r"), says))
    return tuple(hints)
