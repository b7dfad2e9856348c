"""What NIR cannot say of a user's module is refused in one line that names the layer and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nir_interop.backends.adapter import load_adapter
from nir_interop.errors import NotExpressible

with warnings.catch_warnings():
    # Of torch's, while libraries are imported.
    warnings.simplefilter("ignore")
    import norse.torch as norse
    import snntorch as snn
    from norse.torch.functional.lif_box import LIFBoxParameters
    from norse.torch.module.lif_box import LIFBoxCell
    from spikingjelly.activation_based import layer, neuron

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

DT = {"snntorch": 1e-4, "norse": 1e-3, "spikingjelly": 1e-4}
Tensor = torch.Tensor


def leaky(**options: Any) -> nn.Module:
    return snn.Leaky(**{"beta": 0.9, "init_hidden": True} | options)


def inhibited() -> nn.Module:
    neurons = leaky()
    neurons.inhibition = True
    return neurons


class Wired(nn.Module):
    def __init__(self, forward: Callable[[Any, Tensor], Any], *layers: nn.Module) -> None:
        super().__init__()
        self.fc, self.back = nn.Linear(6, 6), nn.Linear(6, 6)
        self.lif, self.read = leaky(), snn.Leaky(beta=0.8)
        self.more = nn.ModuleList(layers)
        self.how = forward

    def forward(self, x: Tensor) -> Any:
        return self.how(self, x)


def twice(net: Wired, x: Tensor) -> Tensor:
    return net.lif(net.back(net.lif(net.fc(x))))


def twice_and_once(net: Wired, x: Tensor) -> Tensor:
    mem, out = net.read.reset_mem(), []
    for frame in x:
        spikes, mem = net.read(twice(net, frame), mem)
        out.append(spikes)
    return torch.stack(out)


def changed(net: Wired, x: Tensor) -> Tensor:
    mem, out = net.read.reset_mem(), []
    for frame in x:
        spikes, mem = net.read(net.fc(frame), mem)
        mem = mem * 0.5
        out.append(spikes)
    return torch.stack(out)


def both(net: Wired, x: Tensor) -> Tensor:
    spikes, mem = net.read(net.fc(x))
    return net.lif(spikes + net.back(mem))


def at_times(net: Wired, x: Tensor) -> Tensor:
    mem, out = net.read.reset_mem(), []
    for number, frame in enumerate(x):
        spikes, mem = net.read(net.fc(frame), mem)
        out.append(spikes if number % 2 else frame)
    return torch.stack(out)


class Forgetful(nn.Module):
    """Norse's cell without its state."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 6), norse.LIFCell()

    def forward(self, x: Tensor) -> Tensor:
        spikes, _ = self.lif(self.fc(x))
        return spikes


def two_steps_ago(net: Wired, x: Tensor) -> Tensor:
    mem, before, out = net.read.reset_mem(), net.read.reset_mem(), []
    for frame in x:
        spikes, now = net.read(net.fc(frame), before)
        mem, before = now, mem
        out.append(spikes)
    return torch.stack(out)


def anew(net: Wired, x: Tensor) -> Tensor:
    return torch.stack([net.read(net.fc(frame), torch.zeros(len(frame), 6))[0] for frame in x])


REFUSED: list[tuple[str, nn.Module, tuple[int, ...], str]] = [
    (
        "snntorch",
        nn.Sequential(nn.MaxPool2d(2), leaky()),
        (1, 4, 4),
        "layer '0', nn.MaxPool2d.* no max pooling; train with nn.Avg",
    ),
    ("snntorch", nn.Sequential(nn.Linear(6, 4), nn.ReLU(), leaky()), (6,), "layer '1', nn.ReLU.*activation functions"),
    (
        "snntorch",
        nn.Sequential(nn.Linear(6, 4), snn.Alpha(0.9, 0.8, init_hidden=True)),
        (6,),
        "layer '1', snn.Alpha.*use snn.Leaky",
    ),
    ("snntorch", nn.Sequential(nn.Linear(6, 4), inhibited()), (6,), "no inhibition .*use inhibition=False"),
    (
        "snntorch",
        nn.Sequential(nn.Linear(6, 4), leaky(graded_spikes_factor=2.0)),
        (6,),
        "put the factor into the weights behind",
    ),
    ("snntorch", nn.Sequential(nn.Linear(6, 2), leaky(beta=torch.tensor([1.0, 0.5]))), (6,), "beta is 1 for some neurons"),
    (
        "snntorch",
        nn.Sequential(nn.Linear(6, 2), snn.Synaptic(1.0, 0.5, init_hidden=True)),
        (6,),
        "without end; use a decay below 1",
    ),
    ("snntorch", nn.Sequential(nn.Linear(4, 2), leaky()), (3, 4), "layer '0', nn.Linear.* put nn.Flatten before it"),
    ("snntorch", Wired(lambda net, x: net.lif(torch.exp(net.fc(x)))), (6,), "what goes into 'lif' comes through torch's exp"),
    ("snntorch", Wired(lambda net, x: net.lif(torch.tanh(net.fc(x)))), (6,), "layer 'tanh', nn.Tanh.*activation functions"),
    ("snntorch", Wired(lambda net, x: net.lif(net.fc(x) * net.back(x))), (6,), "a product of two layers' outputs"),
    ("snntorch", Wired(lambda net, x: net.lif(net.fc(x) + 1.0)), (6,), "a number that is added"),
    ("snntorch", Wired(lambda net, x: net.lif(net.fc(x)[:, :3])), (6,), "a part of a layer's output"),
    (
        "snntorch",
        Wired(lambda net, x: net.lif(torch.cat([net.fc(x), x], 1))),
        (6,),
        "is a concatenation.*nn.Linear, or add instead",
    ),
    ("snntorch", Wired(lambda net, x: net.lif(net.fc(x).view(-1, 2, 3))), (6,), "a reshape from"),
    (
        "snntorch",
        Wired(lambda net, x: net.read(net.fc(x))[1]),
        (6,),
        "layer 'read', snn.Leaky.*membrane .*reset_mechanism='none'",
    ),
    ("snntorch", Wired(twice), (6,), "runs its neurons neither once a step nor once in all: lif 2 times; give run"),
    ("snntorch", Wired(twice_and_once), (6,), "layer 'lif', .* is called 6 times in 3 steps: .* a layer of its own"),
    ("snntorch", Wired(changed), (6,), "layer 'read'.* its state is changed between steps.*hand it back"),
    ("snntorch", Wired(two_steps_ago), (6,), "its state is changed between steps"),
    ("snntorch", Wired(anew), (6,), "its state is changed between steps"),
    ("norse", Forgetful(), (6,), "layer 'lif'.* called without its state of the step before.*hand its state on"),
    ("snntorch", Wired(both), (6,), "its spikes and its membrane both go on.* a second layer"),
    ("snntorch", Wired(at_times), (6,), "the output is not made in the same way at each step"),
    (
        "norse",
        norse.SequentialState(nn.Linear(6, 4), norse.LSNNCell()),
        (6,),
        "layer '1', LSNNCell.* NIR has no such neuron; use LIFCell",
    ),
    (
        "norse",
        norse.SequentialState(
            nn.Linear(6, 4), LIFBoxCell(LIFBoxParameters(reset_method=lambda z, v, *_: v * (1 - z) + z * 0.1))
        ),
        (6,),
        "its reset_method is one that NIR has no words for; use reset_value",
    ),
    (
        "spikingjelly",
        nn.Sequential(nn.Linear(6, 4), neuron.KLIFNode()),
        (6,),
        "layer '1', neuron.KLIFNode.* use IFNode, LIFNode",
    ),
    (
        "spikingjelly",
        nn.Sequential(layer.WSLinear(6, 4), neuron.IFNode()),
        (6,),
        "layer '0', .*WSLinear.* use layer.Conv2d or layer.Lin",
    ),
    (
        "spikingjelly",
        nn.Sequential(nn.Linear(6, 4), neuron.CUBALIFNode(1.0)),
        (6,),
        "a decay of 1 is a time constant without end",
    ),
]


@pytest.mark.parametrize(("library", "module", "shape", "says"), [pytest.param(*each, id=each[3][:40]) for each in REFUSED])
def test_what_nir_cannot_say_is_refused_in_a_line_that_helps(
    library: str, module: nn.Module, shape: tuple[int, ...], says: str
) -> None:
    with pytest.raises(NotExpressible, match=says) as caught:
        load_adapter(library).describe(module, np.ones((2, *shape)), DT[library])
    assert "\n" not in str(caught.value)


def test_neurons_and_steps_of_a_module_are_the_librarys_own() -> None:
    cells = norse.SequentialState(nn.Linear(6, 4), norse.LIFCell(dt=0.002), nn.Linear(4, 2), norse.LIFCell(dt=0.002))
    leakies = nn.Sequential(nn.Linear(6, 4), leaky())
    nodes = nn.Sequential(nn.Linear(6, 4), neuron.IFNode())
    adapters = {name: load_adapter(name) for name in DT}
    found = {name: [adapter.neurons_of(each) for each in (leakies, cells, nodes)] for name, adapter in adapters.items()}
    assert found == {"snntorch": [("1",), (), ()], "norse": [(), ("1", "3"), ()], "spikingjelly": [(), (), ("1",)]}
    assert all(adapter.neurons_of("no module") == () for adapter in adapters.values())
    assert adapters["snntorch"].step_of(leakies) == 1e-4
    assert adapters["norse"].step_of(cells) == 0.002
    assert adapters["spikingjelly"].step_of(nodes) == 1e-4
    cells[1].dt = 0.001
    assert adapters["norse"].step_of(cells) is None


def test_a_module_that_is_compiled_is_read_as_the_module_that_it_was() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 4), leaky())
    compiled = torch.compile(net)
    adapter, x = load_adapter("snntorch"), np.ones((5, 2, 6))
    assert adapter.neurons_of(compiled) == adapter.neurons_of(nn.DataParallel(net)) == ("1",)
    np.testing.assert_array_equal(adapter.record(compiled, x).output, adapter.record(net, x).output)
    assert adapter.describe(compiled, x[0], 1e-4).edges == adapter.describe(net, x[0], 1e-4).edges


def test_a_layer_called_input_does_not_stand_for_the_input() -> None:
    net = nn.Sequential()
    net.add_module("input", nn.Linear(6, 4))
    net.add_module("output", leaky())
    adapter = load_adapter("snntorch")
    described = adapter.describe(net, np.ones((2, 6)), 1e-4)
    assert described.edges == (("input", "input_"), ("input_", "output_"), ("output_", "output"))
    assert adapter.neurons_of(net) == ("output_",)
    assert list(adapter.record(net, np.ones((5, 2, 6))).spikes) == ["output_"]
