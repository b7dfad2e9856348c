"""What SpikingJelly states about its exchange with NIR, and where: data.  Whether it is so is measured elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

VERSION = "2.0.0"
"""The version whose documentation is read here."""
FIRST = "0.0.0.1.0"
"""The version that came with the exchange, and with the first edition of its tutorial."""


class Direction(Enum):
    """What a promise is about."""

    EXPORT = "SpikingJelly to NIR"
    IMPORT = "NIR to SpikingJelly"
    ARGUMENT = "arguments and results"
    REFUSAL = "what is refused, and how"
    EXAMPLE = "the documentation's example"


class Place(Enum):
    """Where it is stated."""

    MODULES = "API page of nir_exchange: Supported SpikingJelly / PyTorch Modules"
    NODES = "API page of nir_exchange: Supported NIR Nodes"
    WARNING = "API page of nir_exchange: warning"
    EXPORT = "docstring of export_to_nir"
    IMPORT = "docstring of import_from_nir"
    TUTORIAL = "tutorial nir_exchange"


@dataclass(frozen=True)
class Promise:
    """One statement.

    key : in tables, and of what measures it
    subject : the module, node or argument
    says : SpikingJelly's own words, of a list the entry
    found : text that the installed package holds where it states the same; None where only the documentation does
    """

    key: str
    direction: Direction
    subject: str
    says: str
    place: Place
    found: str | None = None
    version: str = VERSION


def _module(key: str, name: str, mapped: str) -> Promise:
    return Promise(key, Direction.EXPORT, name, name, Place.MODULES, mapped)


def _node(key: str, name: str, mapped: str) -> Promise:
    return Promise(key, Direction.IMPORT, name, name, Place.NODES, mapped)


def _stated(key: str, direction: Direction, subject: str, says: str, place: Place, version: str = VERSION) -> Promise:
    return Promise(key, direction, subject, says, place, says if place in (Place.EXPORT, Place.IMPORT) else None, version)


PROMISES: tuple[Promise, ...] = (
    _module("export torch.nn.Linear", "torch.nn.Linear", "nn.Linear: self.map_linear"),
    _module("export layer.Linear", "layer.Linear", "layer.Linear: self.map_linear"),
    _module("export torch.nn.Conv1d", "torch.nn.Conv1d", "nn.Conv1d: self.map_conv1d"),
    _module("export layer.Conv1d", "layer.Conv1d", "layer.Conv1d: self.map_conv1d"),
    _module("export torch.nn.Conv2d", "torch.nn.Conv2d", "nn.Conv2d: self.map_conv2d"),
    _module("export layer.Conv2d", "layer.Conv2d", "layer.Conv2d: self.map_conv2d"),
    _module("export torch.nn.AvgPool2d", "torch.nn.AvgPool2d", "nn.AvgPool2d: self.map_avgpool2d"),
    _module("export layer.AvgPool2d", "layer.AvgPool2d", "layer.AvgPool2d: self.map_avgpool2d"),
    _module("export torch.nn.Flatten", "torch.nn.Flatten", "nn.Flatten: self.map_flatten"),
    _module("export layer.Flatten", "layer.Flatten", "layer.Flatten: self.map_flatten"),
    _module("export IFNode", "IFNode", "neuron.IFNode: self.map_if"),
    _module("export LIFNode", "LIFNode", "neuron.LIFNode: self.map_lif"),
    _stated(
        "export ParametricLIFNode", Direction.EXPORT, "ParametricLIFNode",
        "The original ParametricLIFNode in the model is converted into a nir.LIF node.", Place.TUTORIAL,
    ),
    _module("export CUBALIFNode", "CUBALIFNode", "neuron.CUBALIFNode: self.map_cuba_lif"),
    _stated(
        "export mixed", Direction.EXPORT, "torch.nn and layer in one network",
        "this example deliberately mixes native PyTorch stateless layers with the SpikingJelly-wrapped stateless layers",
        Place.TUTORIAL,
    ),
    _stated(
        "export hard reset", Direction.EXPORT, "reset to another value than 0",
        "Conversion supports only hard reset and ungrouped convolutions.",
        Place.WARNING,
    ),
    _node("import nir.Linear", "nir.Linear", "nir.Linear: self.map_linear"),
    _node("import nir.Affine", "nir.Affine", "nir.Affine: self.map_affine"),
    _node("import nir.Conv1d", "nir.Conv1d", "nir.Conv1d: self.map_conv1d"),
    _node("import nir.Conv2d", "nir.Conv2d", "nir.Conv2d: self.map_conv2d"),
    _node("import nir.AvgPool2d", "nir.AvgPool2d", "nir.AvgPool2d: self.map_avgpool2d"),
    _node("import nir.Flatten", "nir.Flatten", "nir.Flatten: self.map_flatten"),
    _node("import nir.IF", "nir.IF", "nir.IF: self.map_if"),
    _node("import nir.LIF", "nir.LIF", "nir.LIF: self.map_lif"),
    _node("import nir.CubaLIF", "nir.CubaLIF", "nir.CubaLIF: self.map_cuba_lif"),
    _stated(
        "import hard reset", Direction.IMPORT, "reset to another value than 0",
        "Conversion supports only hard reset and ungrouped convolutions.",
        Place.WARNING,
    ),
    _stated(
        "import recurrent", Direction.IMPORT, "a graph with a cycle",
        "Recurrent graphs support only ``'s'``.", Place.IMPORT,
    ),
    _stated(
        "argument example_input", Direction.ARGUMENT, "export_to_nir: example_input",
        "Its dtype, device, batch dimension, and optional time dimension must match the actual model input", Place.EXPORT,
    ),
    _stated(
        "argument save_path", Direction.ARGUMENT, "export_to_nir: save_path",
        "the path to save the converted NIR graph. If not ``None``, the NIR graph will be written to the specified HDF5 file.",
        Place.EXPORT,
    ),
    _stated(
        "argument dt of export", Direction.ARGUMENT, "export_to_nir: dt",
        "simulation time step in seconds, used to compute time constants and other hyperparameters for NIR neuron nodes. "
        "The default value is ``1e-4``",
        Place.EXPORT,
    ),
    _stated(
        "argument graph", Direction.ARGUMENT, "import_from_nir: graph",
        "NIR graph, or the path to the HDF5 file storing the NIR graph", Place.IMPORT,
    ),
    _stated(
        "argument dt of import", Direction.ARGUMENT, "import_from_nir: dt",
        "simulation time step in seconds, used to reconstruct time constant and other neuronal hyperparameters. "
        "Default is ``1e-4``",
        Place.IMPORT,
    ),
    _stated(
        "argument dtype", Direction.ARGUMENT, "import_from_nir: dtype",
        "data type of model tensors, usually ``torch.float32`` or ``torch.float64``", Place.IMPORT,
    ),
    _stated(
        "argument device cpu", Direction.ARGUMENT, "import_from_nir: device",
        "device on which the model will run, e.g., ``'cpu'`` or ``'cuda'``", Place.IMPORT,
    ),
    _stated(
        "argument device cuda", Direction.ARGUMENT, "import_from_nir: device='cuda'",
        "device on which the model will run, e.g., ``'cpu'`` or ``'cuda'``", Place.IMPORT,
    ),
    _stated(
        "argument step_mode", Direction.ARGUMENT, "import_from_nir: step_mode",
        "step mode, either ``'s'`` (single-step) or ``'m'`` (multi-step).", Place.IMPORT,
    ),
    _stated(
        "result", Direction.ARGUMENT, "what import_from_nir returns", "the converted SpikingJelly ``fx.GraphModule`` object",
        Place.IMPORT,
    ),
    _stated(
        "result state None", Direction.ARGUMENT, "state=None",
        "Its forward pass returns ``(output, state)``. Passing ``state=None`` starts from the initial state.", Place.IMPORT,
    ),
    _stated(
        "result state", Direction.ARGUMENT, "the returned state",
        "A step-by-step loop must pass the previously returned ``state`` to continue; otherwise every step restarts from the "
        "initial state.",
        Place.IMPORT,
    ),
    _stated(
        "result explicit state", Direction.ARGUMENT, "the returned state, used twice",
        "The returned torch.fx.GraphModule uses explicit state.", Place.TUTORIAL,
    ),
    _stated(
        "result reset_net", Direction.ARGUMENT, "functional.reset_net",
        "does not reset a previously returned explicit state; pass ``state=None`` to restart.", Place.IMPORT,
    ),
    _stated(
        "refuse dt of export", Direction.REFUSAL, "export_to_nir: dt", ":raises ValueError: If ``dt`` is not positive",
        Place.EXPORT,
    ),
    _stated(
        "refuse CUBALIF decay", Direction.REFUSAL, "CUBALIFNode: c_decay, v_decay",
        "or CUBALIF decay parameters cannot be represented", Place.EXPORT,
    ),
    _stated(
        "refuse soft reset", Direction.REFUSAL, "v_reset=None", ":raises NotImplementedError: If the model uses soft reset",
        Place.EXPORT,
    ),
    _stated(
        "refuse grouped convolution", Direction.REFUSAL, "a model with groups > 1",
        "If the model uses soft reset, grouped convolution,", Place.EXPORT,
    ),
    _stated(
        "refuse other layers", Direction.REFUSAL, "configurations that NIR cannot say",
        "or another layer configuration that NIR cannot represent", Place.EXPORT,
    ),
    _stated(
        "refuse other modules", Direction.REFUSAL, "modules that NIR cannot say",
        "or another layer configuration that NIR cannot represent", Place.EXPORT,
    ),
    _stated(
        "refuse dt of import", Direction.REFUSAL, "import_from_nir: dt", ":raises ValueError: If ``dt`` is not positive",
        Place.IMPORT,
    ),
    _stated(
        "refuse step_mode", Direction.REFUSAL, "import_from_nir: step_mode", "``step_mode`` is invalid", Place.IMPORT,
    ),
    _stated(
        "refuse differing neurons", Direction.REFUSAL, "parameters that differ per neuron",
        "NIR neuron parameters are non-uniform", Place.IMPORT,
    ),
    _stated(
        "refuse discretization", Direction.REFUSAL, "r, w_in, v_leak and tau that SpikingJelly has no words for",
        "or incompatible with SpikingJelly discretization", Place.IMPORT,
    ),
    _stated(
        "refuse grouped nodes", Direction.REFUSAL, "a NIR graph with groups > 1",
        ":raises NotImplementedError: If the NIR graph contains grouped convolution", Place.IMPORT,
    ),
    _stated(
        "refuse recurrent in m", Direction.REFUSAL, "a graph with a cycle, step_mode='m'",
        "or a recurrent graph uses multi-step mode", Place.IMPORT,
    ),
    _stated(
        "example first edition", Direction.EXAMPLE, "the example, v_reset=None",
        "the above model can be converted into an NIR graph and saved as an HDF5 file", Place.TUTORIAL, FIRST,
    ),
    _stated(
        "example", Direction.EXAMPLE, "the example, v_reset=0.0",
        "the above model can be converted into an NIR graph and saved as an HDF5 file", Place.TUTORIAL,
    ),
)  # fmt: skip
