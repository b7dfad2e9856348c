"""snnTorch: what its tutorials 5 to 7 and the examples of its documentation write."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import snntorch as snn
import torch
from snntorch import functional, surrogate, utils
from snntorch.export_nir import export_to_nir
from torch import nn

from tests.transfer.own_networks import CLASSES, Module, OwnNetwork, Tensor, batches

HIDDEN = 32


def reset(net: Module) -> None:
    """``utils.reset``, which finds neurons on a list of their class that another test may have emptied."""
    there = snn.SpikingNeuron.instances
    there.extend(neuron for neuron in net.modules() if isinstance(neuron, snn.SpikingNeuron) and neuron not in there)
    utils.reset(net)


class TimeInside(nn.Module):
    """Tutorial 5: membranes begin in forward, which loops over time and gives spikes and membranes back."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, HIDDEN)
        self.lif1 = snn.Leaky(beta=0.9)
        self.fc2 = nn.Linear(HIDDEN, CLASSES)
        self.lif2 = snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec, mem2_rec = [], []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec), torch.stack(mem2_rec)


class StatesReturned(nn.Module):
    """Decay and threshold are learnt; membranes come in and go out at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, HIDDEN)
        self.lif1 = snn.Leaky(beta=0.8, learn_beta=True, threshold=1.0, learn_threshold=True)
        self.fc2 = nn.Linear(HIDDEN, CLASSES)
        self.lif2 = snn.Leaky(beta=0.8, learn_beta=True, threshold=1.0, learn_threshold=True)

    def forward(self, x: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


class RecurrentInside(nn.Module):
    """The example of RLeaky's documentation: all neurons of the layer feed all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, HIDDEN)
        self.lif1 = snn.RLeaky(beta=0.9, linear_features=HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, CLASSES)
        self.lif2 = snn.RLeaky(beta=0.9, linear_features=CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        spk1, mem1 = self.lif1.init_rleaky()
        spk2, mem2 = self.lif2.init_rleaky()
        spk2_rec, mem2_rec = [], []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), spk1, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), spk2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec), torch.stack(mem2_rec)


def synaptic() -> Module:
    """Tutorials 6 and 7: a Sequential whose neurons hold their states."""
    slope = surrogate.fast_sigmoid(slope=25)
    return nn.Sequential(
        nn.Linear(64, HIDDEN),
        snn.Synaptic(alpha=0.7, beta=0.85, spike_grad=slope, init_hidden=True),
        nn.Linear(HIDDEN, CLASSES),
        snn.Synaptic(alpha=0.7, beta=0.85, spike_grad=slope, init_hidden=True, output=True),
    )


def recurrent_to_zero() -> Module:
    """The recurrent layer resets to zero; the layer behind it has no recurrence."""
    return nn.Sequential(
        nn.Linear(64, HIDDEN),
        snn.RLeaky(beta=0.9, linear_features=HIDDEN, reset_mechanism="zero", init_hidden=True),
        nn.Linear(HIDDEN, CLASSES),
        snn.Leaky(beta=0.9, reset_mechanism="zero", init_hidden=True, output=True),
    )


def whole(net: Module, x: Tensor) -> Tensor:
    """All of time at once."""
    spk_rec: Tensor = net(x)[0]
    return spk_rec


def with_states(net: Module, x: Tensor) -> Tensor:
    assert isinstance(net, StatesReturned)
    mem1, mem2 = net.lif1.init_leaky(), net.lif2.init_leaky()
    spk_rec = []
    for step in range(x.size(0)):
        spk, mem1, mem2 = net(x[step], mem1, mem2)
        spk_rec.append(spk)
    return torch.stack(spk_rec)


def forward_pass(net: Module, x: Tensor) -> Tensor:
    """Tutorial 7's loop."""
    reset(net)
    spk_rec = []
    for step in range(x.size(0)):
        spk_rec.append(net(x[step])[0])
    return torch.stack(spk_rec)


def learn(net: Module, run: Callable[[Module, Tensor], Tensor]) -> None:
    loss_fn, optimizer = functional.ce_rate_loss(), torch.optim.Adam(net.parameters(), lr=5e-3)
    net.train()
    for data, targets in batches((64,)):
        loss = loss_fn(run(net, data), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def export(net: Module, sample: Tensor) -> Any:
    """With the batch ignored, for without that none of these is exported."""
    reset(net)
    if isinstance(net, StatesReturned):
        return export_to_nir(net, sample, model_fwd_args=[net.lif1.init_leaky(), net.lif2.init_leaky()], ignore_dims=[0])
    if isinstance(net, TimeInside | RecurrentInside):
        return export_to_nir(net, sample[None], ignore_dims=[0, 1])
    return export_to_nir(net, sample, ignore_dims=[0])


_own = partial(OwnNetwork, library="snntorch", learn=learn, fires=(snn.SpikingNeuron,), export=export)
NO_AXIS = r"type mismatch: .*\.output: \[\[\d+\]\] -> .*\.input: \[\]"
"""A number for beta leaves the node without an axis for its neurons."""
NO_AXIS_AT_ALL = r"type mismatch: lif2\.lif\.output: \[\[10\]\] -> output\.input: \[\]"
"""Both axes of the output, (T, B), are ignored, and the two that are left out are its last."""

NETWORKS = (
    _own(name="leaky", make=TimeInside, by_hand=whole, exported=NO_AXIS),
    _own(name="leaky_learnable", make=StatesReturned, by_hand=with_states, exported=NO_AXIS),
    _own(name="synaptic", make=synaptic, by_hand=forward_pass, exported=NO_AXIS),
    _own(name="rleaky_subtract", make=RecurrentInside, by_hand=whole, exported=NO_AXIS_AT_ALL),
    _own(name="rleaky_zero", make=recurrent_to_zero, by_hand=forward_pass, exported=NO_AXIS),
)
