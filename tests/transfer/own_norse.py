"""Norse: cells in a SequentialState, modules that hold time, and a recurrent cell with weights of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import norse.torch as norse
import torch
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.module.lif_box import LIFBoxCell
from norse.torch.module.snn import SNN, SNNCell, SNNRecurrentCell
from norse.torch.utils.export_nir import to_nir
from torch import nn
from torch.nn.functional import log_softmax, nll_loss

from tests.transfer.own_networks import CLASSES, Module, OwnNetwork, Tensor, batches

HIDDEN = 32


def cells() -> Module:
    """Norse's defaults but for the threshold, which its own tasks lower as well."""
    p = norse.LIFParameters(v_th=torch.as_tensor(0.5))
    return norse.SequentialState(nn.Linear(64, HIDDEN), norse.LIFCell(p), nn.Linear(HIDDEN, CLASSES), norse.LIFCell(p))


def cells_that_reset_below_rest() -> Module:
    """A value to reset to."""
    p = norse.LIFParameters(v_th=torch.as_tensor(0.5), v_reset=torch.as_tensor(-0.2))
    return norse.SequentialState(nn.Linear(64, HIDDEN), norse.LIFCell(p), nn.Linear(HIDDEN, CLASSES), norse.LIFCell(p))


def boxes() -> Module:
    """Without a synapse; parameters as tensors, one a neuron, as Norse's page on NIR has them."""
    hidden, last = (
        LIFBoxParameters(tau_mem_inv=torch.full((n,), 400.0), v_th=torch.full((n,), 0.3), v_leak=torch.zeros(n))
        for n in (HIDDEN, CLASSES)
    )
    return norse.SequentialState(nn.Linear(64, HIDDEN), LIFBoxCell(hidden), nn.Linear(HIDDEN, CLASSES), LIFBoxCell(last))


def time_inside() -> Module:
    """Modules that take all of time at once, with a value to reset to."""
    p = norse.LIFParameters(v_th=torch.as_tensor(0.5), v_reset=torch.as_tensor(-0.2))
    return norse.SequentialState(nn.Linear(64, HIDDEN), norse.LIF(p), nn.Linear(HIDDEN, CLASSES), norse.LIF(p))


class Recurrent(nn.Module):
    """As Norse's memory task: a recurrent cell, which has weights of its own, and a loop over time in forward."""

    def __init__(self) -> None:
        super().__init__()
        p = norse.LIFParameters(v_th=torch.as_tensor(0.5))
        self.hidden = norse.LIFRecurrentCell(64, HIDDEN, p)
        self.fc = nn.Linear(HIDDEN, CLASSES, bias=False)
        self.out = norse.LIFCell(p)

    def forward(self, x: Tensor) -> Tensor:
        hidden, out, spikes = None, None, []
        for step in x:
            z, hidden = self.hidden(step, hidden)
            z, out = self.out(self.fc(z), out)
            spikes.append(z)
        return torch.stack(spikes)


def step_by_step(net: Module, x: Tensor) -> Tensor:
    state: Any = None
    spikes = []
    for step in x:
        z, state = net(step, state)
        spikes.append(z)
    return torch.stack(spikes)


def at_once(net: Module, x: Tensor) -> Tensor:
    """A SequentialState of modules that hold time."""
    z: Tensor = net(x)[0]
    return z


def whole(net: Module, x: Tensor) -> Tensor:
    z: Tensor = net(x)
    return z


def learn(net: Module, run: Callable[[Module, Tensor], Tensor]) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    net.train()
    for data, target in batches((64,)):
        optimizer.zero_grad()
        nll_loss(log_softmax(run(net, data).sum(0), dim=1), target).backward()
        optimizer.step()


def export(net: Module, sample: Tensor) -> Any:
    """One sample of one step; of a network that holds time, one of all of it."""
    return to_nir(net, sample[None] if isinstance(net, Recurrent) or isinstance(net[1], SNN) else sample[0])


_own = partial(OwnNetwork, library="norse", learn=learn, fires=(SNNCell, SNNRecurrentCell, SNN), export=export, dt=1e-3)
NO_CASE = "'NoneType' object has no attribute 'to_dict'"
"""The exporter has no case for a layer and puts None in its place, which nir cannot write."""

NETWORKS = (
    _own(name="lifcell", make=cells, by_hand=step_by_step, exported="Scalar datasets don't support chunk/filter options"),
    _own(
        name="lifcell_v_reset",
        make=cells_that_reset_below_rest,
        by_hand=step_by_step,
        exported="Scalar datasets don't support chunk/filter options",
    ),
    _own(name="lif_time_inside", make=time_inside, by_hand=at_once, exported=NO_CASE),
    _own(name="lifbox", make=boxes, by_hand=step_by_step),
    _own(name="recurrent", make=Recurrent, by_hand=whole, exported=NO_CASE),
)
