"""SpikingJelly: its examples' networks, one step at a time and all at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from spikingjelly.activation_based.nir_exchange import export_to_nir
from torch import nn
from torch.nn.functional import mse_loss, one_hot

from tests.transfer.own_networks import CLASSES, Module, OwnNetwork, Tensor, batches

HIDDEN = 32


def two_layers(of: Callable[[], Module]) -> Module:
    """As the example lif_fc_mnist, with a hidden layer."""
    return nn.Sequential(layer.Linear(64, HIDDEN), of(), layer.Linear(HIDDEN, CLASSES), of())


def lif(**options: object) -> Module:
    return neuron.LIFNode(surrogate_function=surrogate.ATan(), **options)


class Averaged(nn.Module):
    """As the example rsnn_sequential_fmnist: all steps at once, and forward gives the mean over them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = two_layers(lambda: neuron.IFNode(surrogate_function=surrogate.ATan()))
        functional.set_step_mode(self, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        firing: Tensor = self.fc(x).mean(0)
        return firing


class Convolutional(nn.Module):
    """As the example conv_fashion_mnist, with average pooling, and without batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_fc = nn.Sequential(
            layer.Conv2d(1, 6, kernel_size=3, padding=1, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.AvgPool2d(2, 2),
            layer.Conv2d(6, 8, kernel_size=3, padding=1, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.AvgPool2d(2, 2),
            layer.Flatten(),
            layer.Linear(8 * 2 * 2, CLASSES, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )
        functional.set_step_mode(self, step_mode="m")

    def forward(self, x_seq: Tensor) -> Tensor:
        spikes: Tensor = self.conv_fc(x_seq)
        return spikes


class FedBack(nn.Module):
    """As the example rsnn_sequential_fmnist's FeedBackNet."""

    def __init__(self) -> None:
        super().__init__()
        inner = neuron.IFNode(surrogate_function=surrogate.ATan(), detach_reset=True)
        self.fc = nn.Sequential(
            layer.Linear(64, HIDDEN),
            layer.LinearRecurrentContainer(inner, in_features=HIDDEN, out_features=HIDDEN, bias=True),
            layer.Linear(HIDDEN, CLASSES),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )
        functional.set_step_mode(self, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        spikes: Tensor = self.fc(x)
        return spikes


def step_by_step(net: Module, x: Tensor) -> Tensor:
    functional.reset_net(net)
    return torch.stack([net(step) for step in x])


def at_once(net: Module, x: Tensor) -> Tensor:
    functional.reset_net(net)
    spikes: Tensor = net(x)
    return spikes


def inside(net: Module, x: Tensor) -> Tensor:
    """The spikes that the network takes the mean of."""
    assert isinstance(net, Averaged)
    return at_once(net.fc, x)


def learn(net: Module, run: Callable[[Module, Tensor], Tensor], shape: tuple[int, ...] = (64,)) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    net.train()
    for img, label in batches(shape):
        optimizer.zero_grad()
        mse_loss(run(net, img).mean(0), one_hot(label, CLASSES).float()).backward()
        optimizer.step()
        functional.reset_net(net)


def export(net: Module, sample: Tensor) -> Any:
    """A sample with its batch, and with time where the network takes all of it."""
    functional.reset_net(net)
    return export_to_nir(net, sample if isinstance(net, nn.Sequential) else sample[None])


_own = partial(OwnNetwork, library="spikingjelly", learn=learn, fires=(neuron.BaseNode,), export=export)


def _of(name: str, of: Callable[[], Module], exported: str = "") -> OwnNetwork:
    return _own(name=name, make=lambda: two_layers(of), by_hand=step_by_step, exported=exported)


NETWORKS = (
    _of("lif", partial(lif, tau=2.0)),
    _of("lif_input_not_decayed", partial(lif, tau=2.0, decay_input=False)),
    _of("lif_soft_reset", partial(lif, tau=2.0, v_reset=None), exported="NIR does not distinguish soft reset"),
    _of("lif_v_reset", partial(lif, tau=2.0, v_reset=-0.3)),
    _of("plif", lambda: neuron.ParametricLIFNode(init_tau=2.0, surrogate_function=surrogate.ATan())),
    _own(name="if_averaged", make=Averaged, by_hand=inside, exported="The only supported method is addition"),
    _own(name="convolutional", make=Convolutional, by_hand=at_once, learn=partial(learn, shape=(1, 8, 8)), shape=(1, 8, 8)),
    _own(name="recurrent", make=FedBack, by_hand=at_once, exported="Proxy object cannot be iterated"),
)
