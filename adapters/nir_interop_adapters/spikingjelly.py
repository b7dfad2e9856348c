"""SpikingJelly: one value per parameter and layer, time constants in steps, state in memories that are reset by hand."""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import base, functional
from spikingjelly.activation_based import layer as words
from spikingjelly.activation_based import neuron as neurons
from spikingjelly.activation_based import surrogate as surrogates
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import fx, nn

from nir_interop.backends.building import folded_factors, gain_ratio, is_chain
from nir_interop.errors import CannotBuild
from nir_interop.learning import Surrogate
from nir_interop.networks import IF, LIF, CubaLIF, Network, Neuron
from nir_interop.networks.layers import uniform
from nir_interop.recording import Recording
from nir_interop.training import Trainable
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_adapters.left_alone import left_alone
from nir_interop_adapters.own_library import OwnLibrary
from nir_interop_adapters.own_modules import OwnModules, sample_of, unwrapped
from nir_interop_adapters.own_spikingjelly import SpikingJellyLayers
from nir_interop_adapters.torch_import import Imported, answer, imported
from nir_interop_adapters.torch_support import (
    Built,
    Joined,
    Reading,
    batched_start,
    folded_parameters,
    record,
    stateless,
    trainable,
)
from nir_interop_adapters.ways import deployed

Array = NDArray[Any]

_KINDS: Mapping[type[Neuron], type[nn.Module]] = {IF: neurons.IFNode, LIF: neurons.LIFNode, CubaLIF: neurons.CUBALIFNode}


class SpikingJelly(OwnModules):
    """SpikingJelly 2.0.0."""

    name: ClassVar[str] = "spikingjelly"
    library: ClassVar[OwnLibrary] = SpikingJellyLayers()
    surrogate: ClassVar[Surrogate] = Surrogate("ATan", 1.0)
    """Its default slope is 2."""

    idioms: ClassVar[Mapping[Idiom, str]] = {
        Idiom.TUTORIAL: "a pooling window as one number, export_to_nir(net, sample, dt=dt), a sample with its batch",
        Idiom.PORTABLE: "windows, strides, paddings as pairs, export_to_nir(net, sample, dt=dt), a sample with its batch",
    }
    refusals: ClassVar[tuple[str, ...]] = (
        "must be uniform across all neurons",
        r"nir\.\w+\.\w+ must equal",
        "must be finite",
        "must be at least dt",
        "Grouped convolutions are not supported",
        "supports only zero-padded convolutions",
        "NIR does not distinguish soft reset",
        "NIR does not represent this AvgPool2d configuration",
        r"CUBALIFNode\.\w+ must be in",
        "The only supported (function|method) is addition",
        r"Unknown node type .* mapping does not exist",
        "Multiple (inputs|outputs).* currently not supported",
        "NIR graphs must contain input and output nodes",
    )

    needs: ClassVar[tuple[str, ...]] = ("spikingjelly", "nir")
    script: ClassVar[str] = """
import torch
from spikingjelly.activation_based.nir_exchange import import_from_nir

model = import_from_nir("graph.nir", dt=DT)
state, outputs = None, []
with torch.no_grad():
    for frame in torch.from_numpy(stimulus):
        y, state = model(frame, state)
        outputs.append(y.numpy())
output = np.stack(outputs)
"""

    def build(self, network: Network, dt: float, idiom: Idiom) -> Built:
        made = {layer.name: _neuron(network, layer, dt) for layer in network.neurons()}
        factors = folded_factors(network, {layer.name: _ratio(network, layer, dt) for layer in network.neurons()})
        parameters = folded_parameters(network, factors)
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for layer in network.layers:
            if isinstance(layer, Neuron):
                modules[layer.name] = _recurrent(layer, made[layer.name], parameters)
            else:
                pair = idiom is not Idiom.TUTORIAL
                modules[layer.name] = stateless(layer, parameters, words, pair=pair, start_dim=batched_start(layer))
        module = nn.Sequential(modules) if is_chain(network) else Joined(modules, network.sources())
        return Built(module, network, factors, idiom)

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        rest = "None" if network.reset is Reset.SUBTRACT else "float"
        decays = f"decay_input={not _keeps_input(layer, dt)}, " if isinstance(layer, LIF) else ""
        return f"{_KINDS[type(layer)].__name__}({decays}v_reset={rest})"

    def trainable(self, model: Built, surrogate: Surrogate, device: torch.device) -> Trainable:
        for layer in model.network.neurons():
            if layer.feedback is not None:
                raise CannotBuild(f"layer {layer.name!r}: SpikingJelly's recurrent container would train its input weights too")
        for module in model.module.modules():
            if isinstance(module, neurons.BaseNode):
                module.surrogate_function = getattr(surrogates, surrogate.name)(alpha=surrogate.slope)

        def begin() -> None:
            functional.reset_net(model.module)

        def step(module: nn.Module, current: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = module(current)
            return result

        return trainable(model, device, {}, lambda child: isinstance(child, neurons.BaseNode), nn.Sequential, begin, step)

    def export(self, model: Built, sample: Array, dt: float) -> Any:
        functional.reset_net(model.module)
        return export_to_nir(copy.deepcopy(model.module), torch.from_numpy(np.float32(sample)), dt=dt)

    def load(self, path: Path, dt: float) -> Imported:
        return imported(path, lambda graph: import_from_nir(graph, dt=dt))

    def run(self, model: Built | Imported, stimulus: Array) -> Recording:
        if isinstance(model, Built):
            return self._run_built(model, stimulus)
        model.check_input()
        state: Any = None

        def step(frame: torch.Tensor) -> torch.Tensor:
            nonlocal state
            output, state = answer(model.module(frame, state))
            result: torch.Tensor = output
            return result

        watched = {name: node for name, node in model.held(_is_graph).items() if _is_imported_neuron(node)}
        return record(step, stimulus, watched, _read_imported)

    def _run_built(self, model: Built, stimulus: Array) -> Recording:
        functional.reset_net(model.module)
        watched = {layer.name: model.module.get_submodule(layer.name) for layer in model.network.neurons()}
        recording = record(model.module, stimulus, watched, _read_built)
        functional.reset_net(model.module)
        return recording

    def nodes(self, model: Imported) -> frozenset[str]:
        return frozenset(model.held(_is_graph))

    def step_of(self, module: Any) -> float | None:
        """Its time constants are in steps; a second is what its exporter takes for one if nothing is said."""
        return float(inspect.signature(export_to_nir).parameters["dt"].default)

    def export_own(self, module: Any, sample: Array, dt: float) -> Any:
        """``export_to_nir(net, sample, dt=dt)``; a sequence of one step, where the module takes sequences."""
        module = unwrapped(module)
        with left_alone(module), deployed(module, self.library):
            data = sample_of(sample, module)
            if self.takes_sequences(module, data):
                data = data[None]
            return copy.deepcopy(export_to_nir(module, data, dt=dt))


def _is_graph(module: nn.Module) -> bool:
    return isinstance(module, fx.GraphModule)


def _is_imported_neuron(module: Any) -> bool:
    """The importer wraps a neuron in a module that takes and returns its state."""
    return any(isinstance(child, base.MemoryModule) for child in module.children())


def _read_built(module: Any, output: Any) -> Reading:
    node = module.sub_module if isinstance(module, words.LinearRecurrentContainer) else module
    return output, node.v


def _read_imported(_module: Any, output: Any) -> Reading:
    spikes, state = output
    return spikes, state[0]


def _ratio(network: Network, layer: Neuron, dt: float) -> Array:
    step = np.float64(dt)
    if isinstance(layer, LIF):
        held = layer.tau / step if _keeps_input(layer, dt) else 1.0
        return gain_ratio(network, layer, r=(layer.r, held))
    if isinstance(layer, IF):
        return gain_ratio(network, layer, r=(layer.r, 1 / step))
    if isinstance(layer, CubaLIF):
        return gain_ratio(network, layer, r=(layer.r, layer.tau_mem / step), w_in=(layer.w_in, layer.tau_syn / step))
    raise CannotBuild(f"layer {layer.name!r}: SpikingJelly has no {type(layer).__name__}")


def _keeps_input(layer: LIF, dt: float) -> bool:
    """Whether r = tau/dt is asked for, which is ``decay_input=False``; otherwise the library has r = 1."""
    return bool(np.allclose(layer.r, layer.tau / np.float64(dt), rtol=1e-9, atol=0))


def _neuron(network: Network, layer: Neuron, dt: float) -> nn.Module:
    if not isinstance(layer, (IF, LIF, CubaLIF)):
        raise CannotBuild(f"layer {layer.name!r}: SpikingJelly's non-spiking neurons run on whole sequences, not step by step")
    values: dict[str, float] = {}
    for name, value in layer.parameters():
        one = uniform(value)
        if one is None and name not in ("r", "w_in"):
            raise CannotBuild(f"layer {layer.name!r}: SpikingJelly has one {name} a layer; here it differs per neuron")
        values[name] = float("nan") if one is None else one
    soft = network.reset is Reset.SUBTRACT
    rest = 0.0 if soft or isinstance(layer, CubaLIF) else values["v_reset"]
    if not isinstance(layer, IF) and values["v_leak"] != rest:
        reason = "0" if soft or isinstance(layer, CubaLIF) else "v_reset"
        raise CannotBuild(f"layer {layer.name!r}: SpikingJelly's neuron rests at {reason}; v_leak is {values['v_leak']:g}")
    options: dict[str, Any] = {"v_threshold": values["v_threshold"], "v_reset": None if soft else values["v_reset"]}
    if isinstance(layer, LIF):
        if values["tau"] <= dt:
            raise CannotBuild(f"layer {layer.name!r}: SpikingJelly's tau must be longer than dt = {dt:g}")
        options |= {"tau": values["tau"] / dt, "decay_input": not _keeps_input(layer, dt)}
    elif isinstance(layer, CubaLIF):
        if min(values["tau_syn"], values["tau_mem"]) < dt:
            raise CannotBuild(f"layer {layer.name!r}: SpikingJelly's decays lie in [0, 1); time constants must be at least dt")
        options |= {"c_decay": 1 - dt / values["tau_syn"], "v_decay": 1 - dt / values["tau_mem"]}
    made: nn.Module = _KINDS[type(layer)](**options)
    return made


def _recurrent(layer: Neuron, node: nn.Module, parameters: Mapping[str, torch.Tensor]) -> nn.Module:
    """The library's container feeds its neurons with ``rc([x, y])``, y being the last spikes: rc is [1, feedback]."""
    if layer.feedback is None:
        return node
    size = len(layer.feedback.weight)
    container: nn.Module = words.LinearRecurrentContainer(node, size, size, bias=layer.feedback.bias is not None)
    prefix = f"{layer.name}.feedback"
    with torch.no_grad():
        container.get_parameter("rc.weight").copy_(torch.cat((torch.eye(size), parameters[f"{prefix}.weight"]), dim=1))
        if layer.feedback.bias is not None:
            container.get_parameter("rc.bias").copy_(parameters[f"{prefix}.bias"])
    return container
