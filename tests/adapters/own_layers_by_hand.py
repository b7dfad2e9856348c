"""One module a layer or a way of wiring layers, and how its library's users run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import norse.torch as norse
import snntorch as snn
import torch
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.leaky_integrator import LIParameters
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract
from norse.torch.module.iaf import IAF, IAFCell
from norse.torch.module.leaky_integrator import LI, LICell, LILinearCell
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif_box import LIFBoxCell
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.nn import functional as F

Tensor = torch.Tensor
INPUTS, SIZE, CLASSES = 12, 8, 4


def wired(*layers: nn.Module) -> list[nn.Module]:
    for each in layers:
        if isinstance(each, (nn.Linear, nn.Conv2d, nn.Conv1d)):
            with torch.no_grad():
                each.weight *= 5
    return list(layers)


def fc(inputs: int = INPUTS, outputs: int = SIZE, **options: Any) -> nn.Linear:
    (made,) = wired(nn.Linear(inputs, outputs, **options))
    return made  # type: ignore[return-value]


def leaky(**options: Any) -> nn.Module:
    return snn.Leaky(**{"beta": 0.9, "init_hidden": True} | options)


def stepped(net: nn.Module, x: Tensor) -> Tensor:
    """snnTorch with hidden states, SpikingJelly in step mode 's'."""
    for each in net.modules():
        if isinstance(each, snn.SpikingNeuron):
            each.reset_mem()
    functional.reset_net(net)
    outputs = [net(frame) for frame in x]
    return torch.stack([each[0] if isinstance(each, tuple) else each for each in outputs])


def stateful(net: nn.Module, x: Tensor) -> Tensor:
    """Norse: states are handed on."""
    state, outputs = None, []
    for frame in x:
        output, state = net(frame, state)
        outputs.append(output)
    return torch.stack(outputs)


def whole(net: nn.Module, x: Tensor) -> Tensor:
    functional.reset_net(net)
    output = net(x)
    return output[0] if isinstance(output, tuple) else output


class Skipping(nn.Module):
    """Two branches that are added, one of them through a number."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.first, self.two, self.around = fc(), leaky(), fc(SIZE, SIZE), fc()
        self.second = leaky(reset_mechanism="zero")

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.two(self.first(self.one(x))) + 0.25 * self.around(x) - self.one(x) / 8)


class Fed(nn.Module):
    """The spikes of the last step come back through a layer; the user keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.back, self.out = fc(), fc(SIZE, SIZE), fc(SIZE, CLASSES)
        self.first = snn.Leaky(beta=0.8, reset_mechanism="zero")
        self.second = snn.Leaky(beta=0.7, reset_mechanism="zero")

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.first.reset_mem(), self.second.reset_mem()
        spikes = torch.zeros(x.shape[1], SIZE)
        outputs = []
        for step in range(len(x)):
            spikes, mem1 = self.first(self.into(x[step]) + self.back(spikes), mem1)
            last, mem2 = self.second(self.out(spikes), mem2)
            outputs.append(last)
        return torch.stack(outputs, dim=0)


class FedFromAbove(Fed):
    """The second layer feeds the first, a step later, and the output is filled in step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.back = fc(CLASSES, SIZE)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.first.reset_mem(), self.second.reset_mem()
        last = torch.zeros(x.size(1), CLASSES)
        outputs = torch.zeros(x.size(0), x.size(1), CLASSES)
        for step, frame in enumerate(x):
            spikes, mem1 = self.first(self.into(frame) + self.back(last), mem1)
            last, mem2 = self.second(self.out(spikes), mem2)
            outputs[step] = last
        return outputs


class Joined(nn.Module):
    """What goes in and what came out last, side by side in one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = fc(INPUTS + SIZE), snn.Leaky(beta=0.8, reset_mechanism="zero")

    def forward(self, x: Tensor) -> Tensor:
        mem, spikes, outputs = self.lif.reset_mem(), torch.zeros(x.shape[1], SIZE), []
        for frame in x:
            spikes, mem = self.lif(self.fc(torch.cat([frame, spikes], dim=1)), mem)
            outputs.append(spikes)
        return torch.stack(outputs)


class Delayed(nn.Module):
    """Each layer sees what the layer before gave a step ago."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = fc(), fc(SIZE, CLASSES)
        self.first, self.second = snn.Leaky(beta=0.8, reset_mechanism="zero"), snn.Leaky(beta=0.7, reset_mechanism="zero")

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, before, outputs = self.first.reset_mem(), self.second.reset_mem(), torch.zeros(x.shape[1], SIZE), []
        for frame in x:
            last, mem2 = self.second(self.two(before), mem2)
            before, mem1 = self.first(self.one(frame), mem1)
            outputs.append(last)
        return torch.stack(outputs)


class Membrane(nn.Module):
    """A readout whose membrane is the output."""

    def __init__(self, mechanism: str = "none", kind: Any = snn.Leaky, **options: Any) -> None:
        super().__init__()
        self.fc, self.lif = fc(), snn.Leaky(beta=0.9, init_hidden=True)
        self.out = fc(SIZE, CLASSES)
        self.read = kind(beta=0.8, reset_mechanism=mechanism, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.out(self.lif(self.fc(x))))[-1]


class Functional(nn.Module):
    """Flatten and weights without a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SIZE, INPUTS))
        self.lif = leaky()

    def forward(self, x: Tensor) -> Tensor:
        return self.lif(F.linear(F.dropout(x.reshape(x.shape[0], -1), training=self.training), self.weight))


class Repeated(nn.Module):
    """One pooling in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = wired(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 2, padding="same", dilation=2))
        self.first, self.second, self.pool = leaky(), leaky(), nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.second(self.two(self.pool(self.first(self.one(x))))))


class Pooled(nn.Module):
    """The functions of torch's own examples."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif, self.fc, self.last = *wired(nn.Conv2d(1, 2, 3)), leaky(beta=0.5), fc(8, CLASSES), leaky()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.fc(torch.flatten(F.avg_pool2d(self.lif(self.conv(x)), 2), 1)))


class NorseFed(nn.Module):
    """Norse: a cell and what it fired last through a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.back, self.cell = fc(), fc(SIZE, SIZE, bias=False), norse.LIFCell(LIFParameters(v_th=torch.tensor(0.4)))

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        spikes, held = state or (x.new_zeros(len(x), SIZE), None)
        spikes, held = self.cell(self.into(x) + self.back(spikes), held)
        return spikes, (spikes, held)


class JellyRepeats(nn.Module):
    """Batch normalisation, all steps at once, votes."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *wired(layer.Conv2d(1, 3, 3)), layer.BatchNorm2d(3), neuron.IFNode(), layer.AvgPool2d(2),
            layer.Flatten(), layer.Dropout(0.5), *wired(layer.Linear(12, 8)), neuron.LIFNode(v_threshold=0.5),
            layer.VotingLayer(2),
        )  # fmt: skip
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Containers(nn.Module):
    """Layers of torch in a container, neurons that take all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layer.SeqToANNContainer(*wired(nn.Conv2d(1, 2, 3, bias=False)), nn.BatchNorm2d(2))
        self.one, self.two = neuron.LIFNode(step_mode="m"), neuron.LIFNode(step_mode="m", v_reset=None)
        self.fc = layer.SeqToANNContainer(nn.Flatten(), *wired(nn.Linear(32, 5)))

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.fc(self.one(self.conv(x))))


def p(**options: float) -> dict[str, Tensor]:
    return {name: torch.as_tensor(value) for name, value in options.items()}


IMAGE = (1, 6, 6)
FLAT = (INPUTS,)
Case = tuple[str, str, Callable[[], nn.Module], Callable[[nn.Module, Tensor], Tensor], tuple[int, ...]]
CASES: list[Case] = [
    ("snntorch", "skipping", Skipping, stepped, FLAT),
    ("snntorch", "fed by a layer of the user's", Fed, whole, FLAT),
    ("snntorch", "fed from above", FedFromAbove, whole, FLAT),
    ("snntorch", "joined", Joined, whole, FLAT),
    ("snntorch", "delayed", Delayed, whole, FLAT),
    ("snntorch", "a membrane read", Membrane, stepped, FLAT),
    ("snntorch", "a membrane read, beta 1", lambda: nn.Sequential(fc(), Beta1()), stepped, FLAT),
    ("snntorch", "a synaptic membrane", lambda: Membrane(kind=snn.Synaptic, alpha=0.7), stepped, FLAT),
    ("snntorch", "functional", Functional, stepped, (3, 4)),
    ("snntorch", "pooled by a function", Pooled, stepped, IMAGE),
    ("snntorch", "repeated", Repeated, stepped, (1, 8, 8)),
    ("snntorch", "never resets", lambda: nn.Sequential(fc(), leaky(reset_mechanism="none")), stepped, FLAT),
    ("snntorch", "adds up", lambda: nn.Sequential(fc(), leaky(beta=1.0)), stepped, FLAT),
    ("snntorch", "adds up, to zero", lambda: nn.Sequential(fc(), leaky(beta=1.7, reset_mechanism="zero")), stepped, FLAT),
    ("snntorch", "clamped", lambda: nn.Sequential(fc(), leaky(beta=torch.linspace(-0.5, 0.9, SIZE))), stepped, FLAT),
    ("snntorch", "thresholds", lambda: nn.Sequential(fc(), leaky(threshold=torch.linspace(0.5, 2, SIZE))), stepped, FLAT),
    ("snntorch", "at once", lambda: nn.Sequential(fc(), leaky(reset_delay=False)), stepped, FLAT),
    (
        "snntorch",
        "a synapse at once",
        lambda: nn.Sequential(fc(), snn.Synaptic(0.7, 0.8, init_hidden=True, reset_delay=False)),
        stepped,
        FLAT,
    ),
    (
        "snntorch",
        "each its own feedback",
        lambda: nn.Sequential(fc(), snn.RLeaky(0.8, V=torch.linspace(-1, 1, SIZE), all_to_all=False, init_hidden=True)),
        stepped,
        FLAT,
    ),
    (
        "snntorch",
        "one feedback for all",
        lambda: nn.Sequential(fc(), snn.RSynaptic(0.7, 0.8, V=0.6, all_to_all=False, init_hidden=True)),
        stepped,
        FLAT,
    ),
    (
        "snntorch",
        "feedback by convolution",
        lambda: nn.Sequential(
            *wired(nn.Conv2d(1, 2, 3)),
            snn.RLeaky(0.8, conv2d_channels=2, kernel_size=3, init_hidden=True, reset_mechanism="zero"),
        ),
        stepped,
        IMAGE,
    ),
    (
        "snntorch",
        "normalised",
        lambda: nn.Sequential(*wired(nn.Conv2d(1, 4, 3, groups=1)), nn.BatchNorm2d(4), leaky(), nn.BatchNorm2d(4), leaky()),
        stepped,
        IMAGE,
    ),
    (
        "snntorch",
        "convolutions",
        lambda: nn.Sequential(
            *wired(nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)),
            leaky(beta=0.5),
            nn.AvgPool2d(2, stride=1, padding=1),
            *wired(nn.Conv2d(4, 3, 2, padding="same", bias=False)),
            nn.LPPool2d(1, 2),
            leaky(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Identity(),
        ),
        stepped,
        (2, 7, 8),
    ),
    ("norse", "fed by a layer of the user's", NorseFed, stateful, FLAT),
    (
        "norse",
        "a leaky integrator",
        lambda: norse.SequentialState(fc(), norse.LIFCell(), fc(SIZE, CLASSES), LICell()),
        stateful,
        FLAT,
    ),
    (
        "norse",
        "rests off 0",
        lambda: norse.SequentialState(fc(), norse.LIFCell(LIFParameters(**p(v_leak=0.1, v_th=0.5, v_reset=-0.2)))),
        stateful,
        FLAT,
    ),
    (
        "norse",
        "time inside",
        lambda: norse.SequentialState(norse.Lift(fc()), norse.LIF(), fc(SIZE, CLASSES), LI(LIParameters(**p(v_leak=0.2)))),
        whole,
        FLAT,
    ),
    ("norse", "lifted cell", lambda: nn.Sequential(fc(), norse.Lift(norse.LIFCell())), whole, FLAT),
    ("norse", "recurrent, time inside", lambda: norse.SequentialState(norse.LIFRecurrent(INPUTS, SIZE)), whole, FLAT),
    ("norse", "recurrent cell", lambda: norse.SequentialState(norse.LIFRecurrentCell(INPUTS, SIZE, dt=0.002)), stateful, FLAT),
    (
        "norse",
        "boxes that subtract",
        lambda: norse.SequentialState(
            fc(),
            LIFBoxCell(LIFBoxParameters(**p(tau_mem_inv=300.0, v_th=0.4), reset_method=reset_subtract)),
            fc(SIZE, 3),
            LIBoxCell(),
        ),
        stateful,
        FLAT,
    ),
    ("norse", "feeds itself", lambda: norse.RecurrentSequential(fc(SIZE, SIZE), norse.LIFCell()), stateful, (SIZE,)),
    ("norse", "adds up", lambda: norse.SequentialState(fc(), IAFCell(IAFParameters(**p(v_reset=-0.5)))), stateful, FLAT),
    ("norse", "adds up, time inside", lambda: norse.SequentialState(fc(), IAF()), whole, FLAT),
    ("norse", "a linear integrator", lambda: norse.SequentialState(LILinearCell(INPUTS, SIZE)), stateful, FLAT),
    ("spikingjelly", "a synapse", lambda: nn.Sequential(fc(), neuron.CUBALIFNode()), stepped, FLAT),
    ("spikingjelly", "a synapse that subtracts", lambda: nn.Sequential(fc(), neuron.CUBALIFNode(v_reset=None)), stepped, FLAT),
    ("spikingjelly", "a synapse off 0", lambda: nn.Sequential(fc(), neuron.CUBALIFNode(v_reset=-0.5)), stepped, FLAT),
    ("spikingjelly", "adds up and subtracts", lambda: nn.Sequential(fc(), neuron.IFNode(v_reset=None)), stepped, FLAT),
    (
        "spikingjelly",
        "learnt, not decayed, off 0",
        lambda: nn.Sequential(fc(), neuron.ParametricLIFNode(3.0, decay_input=False, v_reset=-0.25)),
        stepped,
        FLAT,
    ),
    (
        "spikingjelly",
        "element by element",
        lambda: nn.Sequential(fc(), layer.ElementWiseRecurrentContainer(neuron.LIFNode(v_threshold=0.5), lambda y, x: x + y)),
        stepped,
        FLAT,
    ),
    (
        "spikingjelly",
        "a recurrent container of a network",
        lambda: nn.Sequential(
            fc(), layer.LinearRecurrentContainer(nn.Sequential(fc(SIZE, 5), neuron.IFNode()), SIZE, 5, step_mode="m")
        ),
        whole,
        FLAT,
    ),
    ("spikingjelly", "all steps at once", JellyRepeats, whole, IMAGE),
    ("spikingjelly", "containers", Containers, whole, IMAGE),
]


class Beta1(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read = snn.Leaky(beta=1.0, reset_mechanism="none")

    def forward(self, x: Tensor) -> Tensor:
        return self.read(x)[1]
