"""sinabs: layers that hold their state, time constants in steps, no time step on import or export."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import sinabs.activation as activations
import sinabs.layers as layers
import torch
from nirtorch.graph_executor import GraphExecutor
from numpy.typing import NDArray
from sinabs.nir import from_nir, to_nir
from torch import nn

from nir_interop.backends.building import folded_factors, gain_ratio, is_chain
from nir_interop.errors import CannotBuild
from nir_interop.learning import Surrogate
from nir_interop.networks import IF, LI, LIF, CubaLIF, Layer, Network, Neuron, Pool2d, PoolKind
from nir_interop.networks.layers import Parameter, per_neuron, uniform
from nir_interop.recording import Recording
from nir_interop.training import Trainable
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_adapters.torch_import import Imported, answer, imported
from nir_interop_adapters.torch_support import (
    Built,
    Joined,
    Reading,
    TorchAdapter,
    batched_start,
    folded_parameters,
    record,
    stateless,
    trainable,
)

Array = NDArray[Any]


class Sinabs(TorchAdapter):
    """sinabs 3.1.3."""

    name: ClassVar[str] = "sinabs"
    surrogate: ClassVar[Surrogate] = Surrogate("SingleExponential", 0.5)
    """Its default; the slope is its ``grad_width``."""

    idioms: ClassVar[Mapping[Idiom, str]] = {
        Idiom.TUTORIAL: "time constants in steps, as numbers; what layers do by default: MultiSpike, an ExpLeak that does not "
        "scale its input (norm_input=False); to_nir(net, sample), a sample with its batch",
        Idiom.PORTABLE: "time constants in steps, as tensors; SingleSpike, norm_input=True, which is what the r = 1 that "
        "to_nir writes means; to_nir(net, sample), a sample with its batch",
        Idiom.WORKED_AROUND: "as portable, but time constants are put into seconds before to_nir, which writes them as they "
        "are: tau_mem.data *= dt on a copy",
    }
    fixed_dt: ClassVar[float | None] = 1.0
    refusals: ClassVar[tuple[str, ...]] = (
        "`(v_leak|r)` must be",
        "Module .* not supported",
        "Not sure how to extend",
    )

    needs: ClassVar[tuple[str, ...]] = ("sinabs", "nir")
    script: ClassVar[str] = """
import nir
import torch
from sinabs.nir import from_nir

model = from_nir(nir.read("graph.nir"), num_timesteps=1)  # it takes no time step: time constants are numbers of steps
state, outputs = None, []
with torch.no_grad():
    for frame in torch.from_numpy(stimulus):
        y, state = model(frame, state)
        outputs.append(y.numpy())
output = np.stack(outputs)
"""

    def build(self, network: Network, dt: float, idiom: Idiom) -> Built:
        made = {layer.name: _neuron(network, layer, dt, idiom) for layer in network.neurons()}
        ratios = {layer.name: _ratio(network, layer, dt, made[layer.name]) for layer in network.neurons()}
        factors = folded_factors(network, ratios)
        parameters = folded_parameters(network, factors)
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for layer in network.layers:
            modules[layer.name] = made[layer.name] if isinstance(layer, Neuron) else _stateless(layer, idiom, parameters)
        module = nn.Sequential(modules) if is_chain(network) else Joined(modules, network.sources())
        return Built(module, network, factors, idiom)

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        if isinstance(layer, LI):
            return f"ExpLeakSqueeze(norm_input={idiom is not Idiom.TUTORIAL})"
        kind = "IAFSqueeze" if isinstance(layer, IF) else "LIFSqueeze"
        return f"{kind}({_spike_fn(idiom)}, {_reset_fn(network)})"

    def trainable(self, model: Built, surrogate: Surrogate, device: torch.device) -> Trainable:
        for layer in _stateful(model.module):
            layer.surrogate_grad_fn = getattr(activations, surrogate.name)(surrogate.slope)

        def begin() -> None:
            _reset(model.module)

        def step(module: nn.Module, current: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = module(current)
            return result

        return trainable(model, device, {}, lambda child: isinstance(child, layers.StatefulLayer), nn.Sequential, begin, step)

    def export(self, model: Built, sample: Array, dt: float) -> Any:
        _reset(model.module)
        module = copy.deepcopy(model.module)
        if model.idiom is Idiom.WORKED_AROUND:
            for layer in _stateful(module):
                if layer.tau_mem is not None:
                    layer.tau_mem.data *= dt
        return to_nir(module, torch.from_numpy(np.float32(sample)))

    def load(self, path: Path, dt: float) -> Imported:
        return imported(path, lambda graph: from_nir(graph, num_timesteps=1))

    def run(self, model: Built | Imported, stimulus: Array) -> Recording:
        _reset(model.module)
        if isinstance(model, Built):
            watched = {layer.name: model.module.get_submodule(layer.name) for layer in model.network.neurons()}
            recording = record(model.module, stimulus, watched, _read)
            _reset(model.module)
            return recording
        model.check_input()
        state: Any = None

        def step(frame: torch.Tensor) -> torch.Tensor:
            nonlocal state
            output, state = answer(model.module(frame, state))
            result: torch.Tensor = output
            return result

        held = model.held(_is_graph)
        watched = {name: module for name, module in held.items() if isinstance(module, layers.StatefulLayer)}
        return record(step, stimulus, watched, _read)

    def nodes(self, model: Imported) -> frozenset[str]:
        """Those that it runs: behind a node that it does not know, it holds what stands before and never runs it."""
        run = set(_run(model.module))
        return frozenset(name for name, module in model.held(_is_graph).items() if module in run)


def _is_graph(module: nn.Module) -> bool:
    return isinstance(module, GraphExecutor)


def _run(graph: GraphExecutor) -> Iterator[nn.Module]:
    """The modules that a graph runs in a step, those of nested graphs too."""
    for node in graph.execution_order:
        if isinstance(node.elem, GraphExecutor):
            yield from _run(node.elem)
        elif node.elem is not None:
            yield node.elem


def _stateful(module: nn.Module) -> list[Any]:
    return [child for child in module.modules() if isinstance(child, layers.StatefulLayer)]


def _reset(module: nn.Module) -> None:
    """State of no shape yet: the first step makes one of zeros; from the state of another batch it would draw by chance."""
    for layer in _stateful(module):
        for name, _ in list(layer.named_buffers(recurse=False)):
            layer.register_buffer(name, torch.zeros(0))


def _read(layer: Any, output: Any) -> Reading:
    return (output if layer.does_spike else None), layer.v_mem


def _spike_fn(idiom: Idiom) -> str:
    return "MultiSpike" if idiom is Idiom.TUTORIAL else "SingleSpike"


def _reset_fn(network: Network) -> str:
    return "MembraneSubtract" if network.reset is Reset.SUBTRACT else "MembraneReset"


def _ratio(network: Network, layer: Neuron, dt: float, made: Any) -> Array:
    step = np.float64(dt)
    if isinstance(layer, IF):
        return gain_ratio(network, layer, r=(layer.r, 1 / step))
    if isinstance(layer, (LIF, LI)):
        return gain_ratio(network, layer, r=(layer.r, 1.0 if made.norm_input else layer.tau / step))
    if isinstance(layer, CubaLIF):
        # Its synapse is i = a (i + x): an input raises it by a, where NIR's is raised by dt / tau_syn.
        steps = layer.tau_syn / step
        return gain_ratio(network, layer, r=(layer.r, 1.0), w_in=(layer.w_in, np.exp(-1 / steps) * steps))
    raise CannotBuild(f"layer {layer.name!r}: sinabs has no {type(layer).__name__}")


def _stateless(layer: Layer, idiom: Idiom, parameters: Mapping[str, torch.Tensor]) -> nn.Module:
    if isinstance(layer, Pool2d) and layer.kind is PoolKind.SUM:
        window = layer.size if idiom is Idiom.TUTORIAL else (layer.size, layer.size)
        pool: nn.Module = layers.SumPool2d(window)
        return pool
    return stateless(layer, parameters, nn, pair=idiom is not Idiom.TUTORIAL, start_dim=batched_start(layer))


def _neuron(network: Network, layer: Neuron, dt: float, idiom: Idiom) -> nn.Module:
    values = dict(layer.parameters())
    shape = network.shapes()[layer.name]
    for name in ("v_leak", "v_reset"):
        if np.any(values.get(name, 0.0)):
            raise CannotBuild(f"layer {layer.name!r}: sinabs' neurons rest at 0 and are reset to 0; {name} is not")
    if layer.feedback is not None:
        raise CannotBuild(
            f"layer {layer.name!r}: sinabs' recurrent layers take whole sequences, and its exporter takes none of them"
        )

    def word(value: Parameter) -> torch.Tensor:
        """A number where the tutorial writes one; per neuron where the exporter's file should say so, or neurons differ."""
        one = uniform(value)
        if idiom is Idiom.TUTORIAL and one is not None:
            return torch.tensor(one, dtype=torch.float32)
        return torch.from_numpy(np.float32(per_neuron(value, shape)))

    def steps(name: str) -> torch.Tensor:
        return word(np.asarray(values[name], dtype=np.float64) / dt)

    made: nn.Module
    if isinstance(layer, LI):
        scaled = {} if idiom is Idiom.TUTORIAL else {"norm_input": True}
        made = layers.ExpLeakSqueeze(num_timesteps=1, tau_mem=steps("tau"), **scaled)
        return made
    options: dict[str, Any] = {"num_timesteps": 1, "spike_threshold": word(values["v_threshold"])}
    options |= {"spike_fn": getattr(activations, _spike_fn(idiom)), "reset_fn": getattr(activations, _reset_fn(network))()}
    if isinstance(layer, IF):
        made = layers.IAFSqueeze(**options)
    elif isinstance(layer, LIF):
        made = layers.LIFSqueeze(tau_mem=steps("tau"), **options)
    elif isinstance(layer, CubaLIF):
        made = layers.LIFSqueeze(tau_mem=steps("tau_mem"), tau_syn=steps("tau_syn"), **options)
    else:
        raise CannotBuild(f"layer {layer.name!r}: sinabs has no {type(layer).__name__}")
    return made
