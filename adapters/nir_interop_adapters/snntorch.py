"""snnTorch: leaky neurons with a gain of 1, state kept inside the layers, a time step of 1e-4 s on import and export."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import snntorch as snn
import torch
from numpy.typing import NDArray
from snntorch import surrogate as surrogates
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir
from torch import fx, nn

from nir_interop.backends.building import folded_factors, gain_ratio, is_chain
from nir_interop.errors import CannotBuild
from nir_interop.learning import Surrogate
from nir_interop.networks import IF, LI, LIF, CubaLIF, Network, Neuron
from nir_interop.networks.layers import Parameter, per_neuron, uniform
from nir_interop.recording import Recording
from nir_interop.training import Trainable
from nir_interop.vocabulary import Idiom, Reset
from nir_interop_adapters.left_alone import left_alone
from nir_interop_adapters.own_library import OwnLibrary
from nir_interop_adapters.own_modules import OwnModules, sample_of, unwrapped
from nir_interop_adapters.own_snntorch import SnnTorchLayers
from nir_interop_adapters.torch_import import Imported, answer, imported
from nir_interop_adapters.torch_support import (
    Built,
    Joined,
    Reading,
    batched_start,
    folded_parameters,
    hold,
    record,
    stateless,
    trainable,
)
from nir_interop_adapters.ways import deployed, states_needed

Array = NDArray[Any]


class SnnTorch(OwnModules):
    """snnTorch 1.0.0."""

    name: ClassVar[str] = "snntorch"
    _alone = False
    library: ClassVar[OwnLibrary] = SnnTorchLayers()
    surrogate: ClassVar[Surrogate] = Surrogate("fast_sigmoid", 5.0)
    """Its default of 25 leaves most membranes of an untrained network without a gradient."""

    idioms: ClassVar[Mapping[Idiom, str]] = {
        Idiom.TUTORIAL: "beta and threshold as numbers, reset a step late, export_to_nir(net, sample) with the sample's batch",
        Idiom.PORTABLE: "beta and threshold as tensors, reset_delay=False; the state reset, a sample without a batch",
        Idiom.WORKED_AROUND: "as portable, but a sample with its batch, as Flatten needs, and "
        "export_to_nir(…, ignore_dims=[0]), which keeps the batch out of the graph",
    }
    fixed_dt: ClassVar[float | None] = 1e-4
    refusals: ClassVar[tuple[str, ...]] = (
        "v_leak not supported",
        "r != 1 not supported",
        r"r not supported in (Cuba)?LIF",
        "must be (the )?same for all neurons",
        r"Unknown node type .* mapping does not exist",
        "only 4-node RNN allowed in subgraph",
        "Multiple (inputs|outputs).* currently not supported",
        "NIR graphs must contain input and output nodes",
    )

    needs: ClassVar[tuple[str, ...]] = ("snntorch", "nir")
    script: ClassVar[str] = """
import nir
import torch
from snntorch.import_nir import import_from_nir

model = import_from_nir(nir.read("graph.nir"))  # its time step is always 1e-4 s
state, outputs = None, []
with torch.no_grad():
    for frame in torch.from_numpy(stimulus):
        y, state = model(frame, state)
        y = y[0] if isinstance(y, tuple) else y  # a neuron without hidden state returns its membrane as well
        outputs.append(y.numpy())
output = np.stack(outputs)
"""

    def prepare(self) -> None:
        """One thread, in a process that is the adapter's own."""
        super().prepare()
        self._alone = True

    def _forget_neurons(self) -> None:
        """Empty the class-level list of all neurons ever made, which would keep every network alive.

        Not in a process of a user's: ``snntorch.utils.reset`` finds the neurons of the user's modules on it.
        """
        if self._alone:
            snn.SpikingNeuron.init()

    def build(self, network: Network, dt: float, idiom: Idiom) -> Built:
        self._forget_neurons()
        neurons = network.neurons()
        factors = folded_factors(network, {layer.name: _ratio(network, layer, dt) for layer in neurons})
        parameters = folded_parameters(network, factors)
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for layer in network.layers:
            if isinstance(layer, Neuron):
                last = layer is network.layers[-1]
                modules[layer.name] = _neuron(network, layer, dt, idiom, last, parameters)
            else:
                pair = idiom is not Idiom.TUTORIAL
                modules[layer.name] = stateless(layer, parameters, nn, pair=pair, start_dim=batched_start(layer))
        module = nn.Sequential(modules) if is_chain(network) else Joined(modules, network.sources())
        return Built(module, network, factors, idiom)

    def native_label(self, layer: Neuron, network: Network, dt: float, idiom: Idiom) -> str:
        name = ("" if layer.feedback is None else "R") + ("Synaptic" if isinstance(layer, CubaLIF) else "Leaky")
        mechanism = _reset_mechanism(layer, network)
        late = f", reset_delay={idiom is Idiom.TUTORIAL}" if layer.spiking else ""
        return f"{name}(reset_mechanism={mechanism!r}{late})"

    def trainable(self, model: Built, surrogate: Surrogate, device: torch.device) -> Trainable:
        for neuron in _neurons(model.module):
            neuron.spike_grad = getattr(surrogates, surrogate.name)(surrogate.slope)

        def begin() -> None:
            _reset(model.module)

        def step(module: nn.Module, current: torch.Tensor) -> torch.Tensor:
            return _output(model, module(current))

        held = {key: key.replace(".feedback.", ".recurrent.") for key in model.network.parameters()}
        return trainable(model, device, held, lambda child: isinstance(child, snn.SpikingNeuron), nn.Sequential, begin, step)

    def export(self, model: Built, sample: Array, dt: float) -> Any:
        _reset(model.module)
        module, data = copy.deepcopy(model.module), torch.from_numpy(np.float32(sample))
        if model.idiom is Idiom.WORKED_AROUND:
            return export_to_nir(module, data, ignore_dims=[0])
        return export_to_nir(module, data if model.idiom is Idiom.TUTORIAL else data[0])

    def load(self, path: Path, dt: float) -> Imported:
        self._forget_neurons()
        return imported(path, import_from_nir)

    def run(self, model: Built | Imported, stimulus: Array) -> Recording:
        _reset(model.module)
        if isinstance(model, Built):
            watched = {layer.name: model.module.get_submodule(layer.name) for layer in model.network.neurons()}
            recording = record(lambda frame: _output(model, model.module(frame)), stimulus, _watched(watched), _read)
            _reset(model.module)
            return recording
        model.check_input()
        state: Any = None

        def step(frame: torch.Tensor) -> torch.Tensor:
            nonlocal state
            output, state = answer(model.module(frame, state))
            result: torch.Tensor = output[0] if isinstance(output, tuple) else output  # spikes and membrane: its IF hides none
            return result

        return record(step, stimulus, _watched(model.held(_is_graph)), _read)

    def nodes(self, model: Imported) -> frozenset[str]:
        return frozenset(model.held(_is_graph))

    def step_of(self, module: Any) -> float | None:
        """Its exporter's and its importer's: it writes and reads time constants in units of it."""
        return self.fixed_dt

    def export_own(self, module: Any, sample: Array, dt: float) -> Any:
        """``export_to_nir(net, sample, ignore_dims=[0])``: its word for a sample with a batch, and [0, 1] with time as well."""
        module = unwrapped(module)
        with left_alone(module), deployed(module, self.library):
            data, ignored = sample_of(sample, module), [0]
            if self.takes_sequences(module, data):
                data, ignored = data[None], [0, 1]
            states = [self.library.start() for _ in states_needed(module)]
            return copy.deepcopy(export_to_nir(module, data, model_fwd_args=states, ignore_dims=ignored))


def _is_graph(module: nn.Module) -> bool:
    return isinstance(module, fx.GraphModule)


def _neurons(module: nn.Module) -> list[Any]:
    return [child for child in module.modules() if isinstance(child, snn.SpikingNeuron)]


def _watched(modules: dict[str, nn.Module]) -> dict[str, nn.Module]:
    return {name: module for name, module in modules.items() if isinstance(module, snn.SpikingNeuron)}


def _reset(module: nn.Module) -> None:
    """Zero state. ``snntorch.utils.reset`` reaches only neurons on a class-level list, which copies are not on."""
    for neuron in _neurons(module):
        neuron.reset_mem()


def _read(module: Any, output: Any) -> Reading:
    spikes = output[0] if isinstance(output, tuple) else output
    return (None if module.reset_mechanism == "none" else spikes), module.mem


def _output(model: Built, output: Any) -> torch.Tensor:
    """The last layer returns its spikes and its states, the membrane last; a readout is read from its membrane."""
    last = model.network.layers[-1]
    if not isinstance(last, Neuron):
        plain: torch.Tensor = output
        return plain
    chosen: torch.Tensor = output[0] if last.spiking else output[-1]
    return chosen


def _ratio(network: Network, layer: Neuron, dt: float) -> Array:
    if isinstance(layer, (LIF, LI)):
        return gain_ratio(network, layer, r=(layer.r, layer.tau / np.float64(dt)))
    if isinstance(layer, IF):
        return gain_ratio(network, layer, r=(layer.r, 1 / np.float64(dt)))
    if isinstance(layer, CubaLIF):
        step = np.float64(dt)
        return gain_ratio(network, layer, r=(layer.r, layer.tau_mem / step), w_in=(layer.w_in, layer.tau_syn / step))
    raise CannotBuild(f"layer {layer.name!r}: snnTorch has no {type(layer).__name__}")


def _neuron(
    network: Network, layer: Neuron, dt: float, idiom: Idiom, last: bool, parameters: dict[str, torch.Tensor]
) -> nn.Module:
    values = dict(layer.parameters())
    shape = network.shapes()[layer.name]
    for name in ("v_leak", "v_reset"):
        if np.any(values.get(name, 0.0)):
            raise CannotBuild(f"layer {layer.name!r}: snnTorch's neurons rest at 0 and are reset to 0; {name} is not")
    if not layer.spiking and not last:
        raise CannotBuild(f"layer {layer.name!r}: snnTorch's layers pass on spikes; only the last one's membrane can be read")

    def word(value: Parameter) -> Any:
        """A number where the tutorial writes one; per neuron where the exporter needs it, or neurons differ."""
        if idiom is Idiom.TUTORIAL and uniform(value) is not None:
            return uniform(value)
        return torch.from_numpy(np.float32(per_neuron(value, shape)))

    def decay(name: str) -> Any:
        kept = 1 - dt / np.asarray(values[name], dtype=np.float64)
        if np.any(kept < 0):
            raise CannotBuild(f"layer {layer.name!r}: snnTorch's decay lies in [0, 1]; {name} must be at least dt = {dt:g}")
        return word(kept)

    options: dict[str, Any] = {"threshold": word(values.get("v_threshold", 1.0)), "init_hidden": True, "output": last}
    options["reset_mechanism"] = _reset_mechanism(layer, network)
    if idiom is not Idiom.TUTORIAL:
        options["reset_delay"] = False
    if isinstance(layer, CubaLIF):
        options |= {"alpha": decay("tau_syn"), "beta": decay("tau_mem")}
    else:
        options["beta"] = word(1.0) if isinstance(layer, IF) else decay("tau")
    if layer.feedback is None:
        plain: nn.Module = (snn.Synaptic if isinstance(layer, CubaLIF) else snn.Leaky)(**options)
        return plain
    recurrent = snn.RSynaptic if isinstance(layer, CubaLIF) else snn.RLeaky
    module: nn.Module = recurrent(all_to_all=True, linear_features=shape[0], **options)
    hold(module.get_submodule("recurrent"), parameters, f"{layer.name}.feedback")
    return module


def _reset_mechanism(layer: Neuron, network: Network) -> str:
    kind = "zero" if network.reset is Reset.VALUE else "subtract"
    return kind if layer.spiking else "none"
