"""Rockpool: modules of whole sequences, decays of time constants in seconds, a time step that its importer guesses."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from rockpool.nn.combinators.sequential import TorchSequential
from rockpool.nn.modules import ExpSynTorch, LIFNeuronTorch, LIFTorch, LinearTorch, TorchModule, from_nir, to_nir
from rockpool.nn.modules.torch import lif_torch
from torch import nn

from nir_interop.backends.adapter import read_graph
from nir_interop.backends.building import chain, folded_factors, gain_ratio, scales
from nir_interop.errors import CannotBuild, NoAnswer
from nir_interop.learning import Surrogate
from nir_interop.networks import LI, LIF, Affine, CubaLIF, Layer, Network, Neuron
from nir_interop.networks.layers import per_neuron, uniform
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop.training import Trainable
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_adapters.running import numbers
from nir_interop_adapters.torch_support import Built, TorchAdapter, folded_parameters

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Imported:
    """A model made by the importer.

    neurons : node → Rockpool's module of it; a nested graph of a CubaLIF and its feedback is one module
    nodes : all that are in it
    inputs : the graph's Inputs
    """

    module: nn.Module
    neurons: Mapping[str, nn.Module]
    nodes: frozenset[str]
    inputs: tuple[str, ...]


class Rockpool(TorchAdapter):
    """Rockpool 3.1.0."""

    name: ClassVar[str] = "rockpool"
    surrogate: ClassVar[Surrogate] = Surrogate("StepPWL", 2.0)
    """Its default; the slope is its ``learning_window``, whose default of 0.5 gives no gradient to neurons that hardly fire."""

    idioms: ClassVar[Mapping[Idiom, str]] = {
        Idiom.TUTORIAL: "time constants and thresholds as numbers, several spikes a step, which is the default; to_nir(net)",
        Idiom.PORTABLE: "one number a neuron, max_spikes_per_dt=1; to_nir(net, sample), the sample with batch and time",
    }
    refusals: ClassVar[tuple[str, ...]] = (
        "Cannot convert .* to rockpool module",
        "Multiple synaptc states are not yet supported for export",
    )

    needs: ClassVar[tuple[str, ...]] = ("rockpool", "nirtorch==2.0.2", "nir<=1.0.4")
    script: ClassVar[str] = """
import nir
import torch
from rockpool.nn.modules import from_nir

model = from_nir(nir.read("graph.nir"))  # it takes no time step: each neuron's is guessed, the smallest tau / (1 + r)
with torch.no_grad():
    y, _ = model(torch.from_numpy(stimulus).transpose(0, 1))  # batch, time, neurons
output = y.transpose(0, 1).numpy()
"""

    def build(self, network: Network, dt: float, idiom: Idiom) -> Built:
        chain(network, "Rockpool's TorchSequential")
        factors = folded_factors(network, {layer.name: _ratio(network, layer, dt) for layer in network.neurons()})
        parameters = folded_parameters(network, factors)
        modules = OrderedDict((layer.name, _module(network, layer, dt, idiom, parameters)) for layer in network.layers)
        return Built(TorchSequential(modules), network, factors, idiom)

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        if isinstance(layer, LI):
            return "ExpSynTorch"
        kind = "LIFNeuronTorch" if isinstance(layer, LIF) else "LIFTorch"
        return f"{kind}({'' if idiom is Idiom.TUTORIAL else 'max_spikes_per_dt=1'})"

    def trainable(self, model: Built, surrogate: Surrogate, device: torch.device) -> Trainable:
        model.module.to(device)
        for layer in model.network.neurons():
            if layer.spiking:
                module: Any = model.module.get_submodule(layer.name)
                module.spike_generation_fn = getattr(lif_torch, surrogate.name).apply
                module.learning_window = torch.tensor(surrogate.slope, device=device)
        held = {key: model.module.get_parameter(_own_name(key)) for key in model.network.parameters()}

        def begin() -> None:
            _reset(model.module)

        network: Any = model.module

        def run(frames: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = network.evolve(frames.transpose(0, 1))[0]
            return result.transpose(0, 1)

        return _Sequences(held, scales(model.network, model.factors), begin, _as_it_is, _no_step, run)

    def export(self, model: Built, sample: Array, dt: float) -> Any:
        _reset(model.module)
        module = copy.deepcopy(model.module)
        if model.idiom is Idiom.TUTORIAL:
            return to_nir(module)
        return to_nir(module, torch.from_numpy(np.float32(sample))[:, None])

    def load(self, path: Path, dt: float) -> Imported:
        graph = read_graph(path)
        inputs = tuple(sorted(name for name, node in graph.nodes.items() if isinstance(node, nir.Input)))
        module = from_nir(graph)
        held = dict(module.named_children())
        neurons, nodes = {}, set()
        for name, node in graph.nodes.items():
            made = held.get(name.replace(".", "_"))
            if made is None or isinstance(node, (nir.Input, nir.Output)):
                continue
            inner = {name: node}
            if isinstance(node, nir.NIRGraph):
                inner = {f"{name}.{each}": one for each, one in node.nodes.items()}
            for each, one in inner.items():
                if not isinstance(one, (nir.Input, nir.Output)):
                    nodes.add(each)
                if _is_neuron(made) and not isinstance(one, (nir.Input, nir.Output, nir.Affine, nir.Linear)):
                    neurons[each] = made
        return Imported(module, neurons, frozenset(nodes), inputs)

    def run(self, model: Built | Imported, stimulus: Array) -> Recording:
        _reset(model.module)
        if isinstance(model, Built):
            watched = {layer.name: model.module.get_submodule(layer.name) for layer in model.network.neurons()}
            made: Any = model.module
            recording = _record(lambda frames: made.evolve(frames, record=True)[0], stimulus, watched)
            _reset(model.module)
            return recording
        if len(model.inputs) > 1:
            told = ", ".join(model.inputs[:3])
            raise NoAnswer(f"the model takes one input, and the graph has {len(model.inputs)} Inputs: {told}")
        for module in model.neurons.values():
            setattr(module, "_record", True)  # what evolve(record=True) sets; a model made by from_nir has no evolve  # noqa: B010
        return _record(lambda frames: model.module(frames)[0], stimulus, model.neurons)

    def nodes(self, model: Imported) -> frozenset[str]:
        return model.nodes


@dataclass(frozen=True, eq=False)
class _Sequences(Trainable):
    """A network that is run for all steps at once, since it keeps the state of one sample between two calls.

    run : frames (T, B, neurons) → outputs (T, B, classes)
    """

    run: Callable[[torch.Tensor], torch.Tensor]

    def outputs(self, frames: torch.Tensor) -> torch.Tensor:
        self.begin()
        return self.run(frames)

    def outputs_of_held(self, images: torch.Tensor, steps: int) -> torch.Tensor:
        return self.outputs(images.expand(steps, *images.shape))

    def learned(self) -> dict[str, NDArray[np.float64]]:
        """The values of the parameters in NIR units; Rockpool's weights are (in, out)."""
        held = {key: np.array(each.detach().cpu().numpy(), dtype=np.float64) for key, each in self.held.items()}
        return {key: (array.T if array.ndim == 2 else array) / self.scales[key] for key, array in held.items()}


def _as_it_is(frame: torch.Tensor) -> torch.Tensor:
    return frame


def _no_step(frame: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError("Rockpool keeps the state of one sample between two calls; run all steps at once")


def _is_neuron(module: nn.Module) -> bool:
    return isinstance(module, (LIFTorch, LIFNeuronTorch, ExpSynTorch))


def _reset(module: nn.Module) -> None:
    """Zero state, of a model of Rockpool's own or of one that its importer made, which is none of Rockpool's modules."""
    made: list[Any] = [module] if isinstance(module, TorchModule) else [each for each in module.children() if _is_neuron(each)]
    for each in made:
        each.reset_state()


def _record(run: Callable[[torch.Tensor], torch.Tensor], stimulus: Array, watched: Mapping[str, nn.Module]) -> Recording:
    """Run all steps at once, batch first, and keep what the neurons recorded."""
    spikes: dict[str, torch.Tensor] = {}
    membranes: dict[str, torch.Tensor] = {}
    with torch.no_grad(), _watching(watched, spikes, membranes):
        output = run(torch.from_numpy(np.array(stimulus, dtype=np.float32)).transpose(0, 1))
    return Recording(
        outputs={"output": numbers(output.transpose(0, 1))},
        spikes={name: numbers(each.transpose(0, 1)) for name, each in spikes.items()},
        membranes={name: each[:MEMBRANE_SAMPLES].transpose(0, 1).float().numpy() for name, each in membranes.items()},
    )


@contextmanager
def _watching(
    watched: Mapping[str, nn.Module], spikes: dict[str, torch.Tensor], membranes: dict[str, torch.Tensor]
) -> Iterator[None]:
    def hook(name: str) -> Callable[[Any, Any, Any], None]:
        def after(module: Any, _inputs: Any, output: torch.Tensor) -> None:
            if isinstance(module, ExpSynTorch):
                membranes[name] = output.clone()
                return
            spikes[name] = output.clone()
            if "vmem" in module._record_dict:
                membranes[name] = module._record_dict["vmem"].clone()

        return after

    handles = [module.register_forward_hook(hook(name)) for name, module in watched.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _own_name(key: str) -> str:
    """A parameter's name in the module: its recurrent weights are the neurons' own."""
    return key.replace(".feedback.weight", ".w_rec")


def _ratio(network: Network, layer: Neuron, dt: float) -> Array:
    step = np.float64(dt)
    if isinstance(layer, LIF):  # v = a v + x
        return gain_ratio(network, layer, r=(layer.r, layer.tau / step))
    if isinstance(layer, LI):  # v = a (v + x)
        return gain_ratio(network, layer, r=(layer.r, np.exp(-step / layer.tau) * layer.tau / step))
    if isinstance(layer, CubaLIF):  # i = b (i + x), v = a v + i
        held = np.exp(-step / layer.tau_syn) * layer.tau_syn / step
        return gain_ratio(network, layer, r=(layer.r, layer.tau_mem / step), w_in=(layer.w_in, held))
    raise CannotBuild(f"layer {layer.name!r}: Rockpool has no {type(layer).__name__}")


def _module(network: Network, layer: Layer, dt: float, idiom: Idiom, parameters: Mapping[str, torch.Tensor]) -> TorchModule:
    if isinstance(layer, Affine):
        options = {"weight": parameters[f"{layer.name}.weight"].T, "has_bias": layer.bias is not None}
        made: TorchModule = LinearTorch(layer.weight.shape[::-1], **options)
        if layer.bias is not None:
            with torch.no_grad():
                made.bias.copy_(parameters[f"{layer.name}.bias"])
        return made
    if not isinstance(layer, Neuron):
        raise CannotBuild(f"layer {layer.name!r}: Rockpool has no {type(layer).__name__}")
    return _neuron(network, layer, dt, idiom, parameters)


def _neuron(network: Network, layer: Neuron, dt: float, idiom: Idiom, parameters: Mapping[str, torch.Tensor]) -> TorchModule:
    values = dict(layer.parameters())
    shape = network.shapes()[layer.name]
    if len(shape) != 1:
        raise CannotBuild(
            f"layer {layer.name!r}: Rockpool's layers are vectors of neurons; this one has {len(shape)} dimensions"
        )
    for name in ("v_leak", "v_reset"):
        if np.any(values.get(name, 0.0)):
            raise CannotBuild(f"layer {layer.name!r}: Rockpool's neurons rest at 0 and have no {name}")
    if layer.spiking and network.reset is not Reset.SUBTRACT:
        raise CannotBuild(f"layer {layer.name!r}: Rockpool's neurons reset by subtracting the threshold alone")
    if layer.feedback is not None and layer.feedback.bias is not None:
        raise CannotBuild(f"layer {layer.name!r}: Rockpool's recurrent weights have no bias")

    def word(name: str) -> Any:
        """A number where the tutorial writes one; otherwise one a neuron."""
        one = uniform(values[name])
        if idiom is Idiom.TUTORIAL and one is not None:
            return one
        return torch.from_numpy(np.float32(per_neuron(values[name], shape)))

    size = shape[0]
    made: TorchModule
    if isinstance(layer, LI):
        made = ExpSynTorch(size, tau=word("tau"), dt=dt)
        return made
    options: dict[str, Any] = {"threshold": word("v_threshold"), "dt": dt}
    if idiom is not Idiom.TUTORIAL:
        options["max_spikes_per_dt"] = torch.tensor(1.0)
    if isinstance(layer, LIF):
        made = LIFNeuronTorch(size, tau_mem=word("tau"), **options)
        return made
    if layer.feedback is not None:
        options |= {"has_rec": True, "w_rec": parameters[f"{layer.name}.feedback.weight"].T}
    made = LIFTorch(size, tau_mem=word("tau_mem"), tau_syn=_column(word("tau_syn")), **options)
    return made


def _column(tau: Any) -> Any:
    """One row a neuron, one column a synapse."""
    return tau[:, None] if isinstance(tau, torch.Tensor) else tau
