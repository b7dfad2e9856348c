"""Norse: cells that take and return their state, parameters in inverse seconds.

Its exporter writes tau = dt / tau_inv, which is tau only for dt = 1; it says nothing of that, and its default is 1e-3.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import norse.torch as nt
import numpy as np
import torch
from nirtorch.graph_executor import GraphExecutor
from norse.torch.functional import reset
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.leaky_integrator_box import LIBoxParameters
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.module.iaf import IAFCell
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif import LIFCell
from norse.torch.module.lif_box import LIFBoxCell
from norse.torch.module.snn import SNNCell
from norse.torch.utils import import_nir
from norse.torch.utils.export_nir import to_nir
from norse.torch.utils.state import _is_module_stateful
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.building import folded_factors, gain_ratio, is_chain
from nir_interop.errors import CannotBuild
from nir_interop.learning import Surrogate
from nir_interop.networks import IF, LI, LIF, CubaLIF, Flatten, Layer, Network, Neuron, Pool2d, PoolKind
from nir_interop.networks.layers import Parameter, per_neuron, uniform
from nir_interop.recording import Recording
from nir_interop.training import Trainable
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_adapters.left_alone import left_alone
from nir_interop_adapters.own_library import OwnLibrary, neurons_in
from nir_interop_adapters.own_modules import OwnModules, sample_of, unwrapped
from nir_interop_adapters.own_norse import NorseLayers, kind_of
from nir_interop_adapters.torch_import import Imported, answer, imported
from nir_interop_adapters.torch_support import (
    Built,
    Reading,
    batched_start,
    folded_parameters,
    hold,
    record,
    stateless,
    trainable,
)
from nir_interop_adapters.ways import deployed

Array = NDArray[Any]


class Norse(OwnModules):
    """Norse 1.1.0."""

    name: ClassVar[str] = "norse"
    library: ClassVar[OwnLibrary] = NorseLayers()
    surrogate: ClassVar[Surrogate] = Surrogate("tanh", 1.5)
    """Norse's default, SuperSpike, has one width whatever its ``alpha`` (norse/torch/functional/superspike.py)."""

    idioms: ClassVar[Mapping[Idiom, str]] = {
        Idiom.TUTORIAL: "parameters as numbers, a sample with its batch, to_nir(model, sample) with its default dt of 1e-3",
        Idiom.PORTABLE: "parameters as tensors, one number a neuron; a sample without a batch, Flatten counted from the end; "
        "to_nir(…, dt=dt)",
        Idiom.WORKED_AROUND: "as portable, but to_nir(…, dt=1): the exporter writes tau = dt / tau_inv, right for dt = 1 alone",
    }
    refusals: ClassVar[tuple[str, ...]] = (r"Unknown node type .* mapping does not exist",)
    needs: ClassVar[tuple[str, ...]] = ("norse", "nir")
    script: ClassVar[str] = """
import nir
import torch
from norse.torch.utils.import_nir import from_nir

model = from_nir(nir.read("graph.nir"), dt=DT)
state, outputs = None, []
with torch.no_grad():
    for frame in torch.from_numpy(stimulus):
        y, state = model(frame, state)
        outputs.append(y.numpy())
output = np.stack(outputs)
"""

    def build(self, network: Network, dt: float, idiom: Idiom) -> Built:
        factors = folded_factors(network, {layer.name: _ratio(network, layer, dt) for layer in network.neurons()})
        parameters = folded_parameters(network, factors)
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for layer in network.layers:
            if isinstance(layer, Neuron):
                modules[layer.name] = _neuron(network, layer, dt, idiom, parameters)
            else:
                modules[layer.name] = _stateless(network, layer, idiom, parameters)
        module = Sequence(modules) if is_chain(network) else Joined(modules, network.sources())
        return Built(module, network, factors, idiom)

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        if isinstance(layer, LIF):
            return f"LIFBoxCell(reset_method=reset_{network.reset.value})"
        return {CubaLIF: "LIFCell", IF: "IAFCell", LI: "LIBoxCell"}[type(layer)]

    def trainable(self, model: Built, surrogate: Surrogate, device: torch.device) -> Trainable:
        for cell in model.module.modules():
            if isinstance(cell, SNNCell) and hasattr(cell.p, "alpha"):
                # A cell's parameters are a tuple of plain tensors, which Module.to does not reach.
                held = cell.p._asdict()
                moved = {name: value.to(device) for name, value in held.items() if isinstance(value, torch.Tensor)}
                slope = torch.tensor(surrogate.slope, device=device)
                cell.p = cell.p._replace(**{**moved, "method": surrogate.name, "alpha": slope})
        state: Any = None

        def begin() -> None:
            nonlocal state
            state = None

        def step(module: nn.Module, current: torch.Tensor) -> torch.Tensor:
            nonlocal state
            output, state = module(current, state)
            result: torch.Tensor = output
            return result

        return trainable(model, device, _held(model), lambda child: isinstance(child, _NEURONS), Sequence, begin, step)

    def export(self, model: Built, sample: Array, dt: float) -> Any:
        module, data = copy.deepcopy(model.module), torch.from_numpy(np.float32(sample))
        if model.idiom is Idiom.TUTORIAL:
            return to_nir(module, data)
        return to_nir(module, data[0], dt=1.0 if model.idiom is Idiom.WORKED_AROUND else dt)

    def load(self, path: Path, dt: float) -> Imported:
        return imported(path, lambda graph: import_nir.from_nir(graph, dt=dt))

    def run(self, model: Built | Imported, stimulus: Array) -> Recording:
        if isinstance(model, Built):
            modules = {layer.name: model.module.get_submodule(layer.name) for layer in model.network.neurons()}
        else:
            model.check_input()
            modules = model.held(_is_graph)
        watched = {name: module for name, module in modules.items() if isinstance(module, _NEURONS)}
        state: Any = None

        def step(frame: torch.Tensor) -> torch.Tensor:
            nonlocal state
            output, state = answer(model.module(frame, state))
            result: torch.Tensor = output
            return result

        return record(step, stimulus, watched, _read)

    def nodes(self, model: Imported) -> frozenset[str]:
        return frozenset(model.held(_is_graph))

    def step_of(self, module: Any) -> float | None:
        """Its cells' own; those that add up take no notice of theirs."""
        cells: list[Any] = list(neurons_in(unwrapped(module), self.library).values())
        steps = {float(cell.dt) for cell in cells if kind_of(cell) != "IF"} or {float(cell.dt) for cell in cells}
        return steps.pop() if len(steps) == 1 else None

    def export_own(self, module: Any, sample: Array, dt: float) -> Any:
        """``to_nir(net, sample, dt=dt)``; the sample without a batch, where the module takes that, since a file has none."""
        module = unwrapped(module)
        with left_alone(module), deployed(module, self.library):
            data = sample_of(sample, module)
            if self.takes_sequences(module, data):
                data = data[None]
            elif _runs(module, data[0]):
                data = data[0]
            return copy.deepcopy(to_nir(module, data, dt=dt))


class RecurrentState(NamedTuple):
    """Spikes of the last step and the cell's own state."""

    spikes: torch.Tensor
    cell: Any


class Recurrent(nn.Module):
    """A cell whose spikes come back through a Linear one step later.

    Norse's recurrent cells have no recurrent bias and no current-free LIF, and ``RecurrentSequential`` feeds back what it
    puts out.
    """

    def __init__(self, lif: nn.Module, w_rec: nn.Module) -> None:
        super().__init__()
        self.lif = lif
        self.w_rec = w_rec

    def forward(self, x: torch.Tensor, state: RecurrentState | None = None) -> tuple[torch.Tensor, RecurrentState]:
        before = RecurrentState(torch.zeros_like(x), None) if state is None else state
        spikes, cell = self.lif(x + self.w_rec(before.spikes), before.cell)
        return spikes, RecurrentState(spikes, cell)


class Sequence(nt.SequentialState):  # type: ignore[misc]
    """``SequentialState`` whose modules bear the layers' names instead of numbers."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__(*modules.values())
        self._modules = dict(modules)


class Joined(nn.Module):
    """A network whose layers may be fed by several others: their outputs are added with ``+``."""

    def __init__(self, modules: Mapping[str, nn.Module], sources: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.sources = dict(sources)
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: torch.Tensor, state: dict[str, Any] | None = None) -> tuple[torch.Tensor, dict[str, Any]]:
        old = state or {}
        new: dict[str, Any] = {}
        values: dict[str, torch.Tensor] = {}
        value = x
        for name, before in self.sources.items():
            module = self.get_submodule(name)
            value = values[before[0]] if before else x
            for other in before[1:]:
                value = value + values[other]
            if _is_module_stateful(module):
                value, new[name] = module(value, old.get(name))
            else:
                value = module(value)
            values[name] = value
        return value, new


_NEURONS = (SNNCell, Recurrent, import_nir.CubaLIF)


def _runs(module: nn.Module, data: torch.Tensor) -> bool:
    try:
        module(data)
    except Exception:  # whatever it is, the module does not take this
        return False
    return True


def _is_graph(module: nn.Module) -> bool:
    return isinstance(module, GraphExecutor)


def _read(module: Any, output: Any) -> Reading:
    spikes, state = output
    if isinstance(module, import_nir.CubaLIF):
        state = state[1]
    elif isinstance(module, Recurrent):
        state = state.cell
    return (None if isinstance(module, LIBoxCell) else spikes), state.v


def _ratio(network: Network, layer: Neuron, dt: float) -> Array:
    if isinstance(layer, (LIF, LI)):
        return gain_ratio(network, layer, r=(layer.r, 1.0))
    if isinstance(layer, IF):
        return gain_ratio(network, layer, r=(layer.r, 1 / np.float64(dt)))
    if isinstance(layer, CubaLIF):
        return gain_ratio(network, layer, r=(layer.r, 1.0), w_in=(layer.w_in, layer.tau_syn / np.float64(dt)))
    raise CannotBuild(f"layer {layer.name!r}: Norse has no {type(layer).__name__}")


def _stateless(network: Network, layer: Layer, idiom: Idiom, parameters: Mapping[str, torch.Tensor]) -> nn.Module:
    if isinstance(layer, Pool2d) and layer.kind is PoolKind.SUM:
        return nn.LPPool2d(1, layer.size)
    start = batched_start(layer)
    if isinstance(layer, Flatten) and idiom is not Idiom.TUTORIAL:
        # The sample is exported without a batch: dimensions are counted from the end, so that both fit.
        before = network.sources()[layer.name]
        start = -len(network.shapes()[before[0]] if before else network.input_shape)
    return stateless(layer, parameters, nn, pair=idiom is not Idiom.TUTORIAL, start_dim=start)


def _neuron(network: Network, layer: Neuron, dt: float, idiom: Idiom, parameters: Mapping[str, torch.Tensor]) -> nn.Module:
    shape = network.shapes()[layer.name]
    values = dict(layer.parameters())

    def word(value: Parameter) -> torch.Tensor:
        one = uniform(value)
        if idiom is Idiom.TUTORIAL and one is not None:
            return torch.tensor(one, dtype=torch.float32)
        return torch.from_numpy(np.float32(per_neuron(value, shape)))

    def inverse(name: str) -> torch.Tensor:
        return word(1 / np.asarray(values[name], dtype=np.float64))

    potentials = {
        theirs: word(values[ours])
        for ours, theirs in (("v_leak", "v_leak"), ("v_reset", "v_reset"), ("v_threshold", "v_th"))
        if ours in values
    }
    soft = network.reset is Reset.SUBTRACT and layer.spiking
    if soft and not isinstance(layer, LIF):
        raise CannotBuild(f"layer {layer.name!r}: only Norse's LIFBoxCell can reset by subtraction")
    cell: nn.Module
    if isinstance(layer, LIF):
        method = {"reset_method": reset.reset_subtract} if soft else {}
        cell = LIFBoxCell(LIFBoxParameters(tau_mem_inv=inverse("tau"), **potentials, **method), dt=dt)
    elif isinstance(layer, CubaLIF):
        times = {"tau_syn_inv": inverse("tau_syn"), "tau_mem_inv": inverse("tau_mem")}
        cell = LIFCell(LIFParameters(**times, **potentials), dt=dt)
    elif isinstance(layer, IF):
        cell = IAFCell(IAFParameters(**potentials), dt=dt)
    else:
        cell = LIBoxCell(LIBoxParameters(tau_mem_inv=inverse("tau"), **potentials), dt=dt)
    if layer.feedback is None:
        return cell
    w_rec = nn.Linear(shape[0], shape[0], bias=layer.feedback.bias is not None)
    return Recurrent(cell, hold(w_rec, parameters, f"{layer.name}.feedback"))


def _held(model: Built) -> dict[str, str]:
    return {key: key.replace(".feedback.", ".w_rec.") for key in model.network.parameters()}
