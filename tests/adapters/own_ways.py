"""Modules of every form in which users write forward, and each run by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import norse.torch as norse
import snntorch as snn
import torch
from snntorch import utils
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

Tensor = torch.Tensor
INPUTS, SIZE, CLASSES, STEPS = 12, 8, 4, 25


def fc(inputs: int = INPUTS, outputs: int = SIZE) -> nn.Linear:
    made = nn.Linear(inputs, outputs)
    with torch.no_grad():
        made.weight *= 5
    return made


class Two(nn.Module):
    def __init__(self, kind: Any = snn.Leaky, **options: Any) -> None:
        super().__init__()
        self.fc1, self.fc2 = fc(), fc(SIZE, CLASSES)
        sizes = [{"linear_features": n} for n in (SIZE, CLASSES)] if kind in (snn.RLeaky, snn.RSynaptic) else [{}, {}]
        options = {"alpha": 0.7} | options if kind in (snn.Synaptic, snn.RSynaptic) else options
        self.lif1, self.lif2 = (kind(beta=0.8, **each, **options) for each in sizes)


class Docs(Two):
    """As snn.Leaky's documentation: a membrane comes back first, and a state that is handed over is not used."""

    def forward(self, x: Tensor, mem1: Tensor, spk1: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1 = self.lif1(self.fc1(x), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return mem1, spk1, mem2, spk2


def docs(net: Docs, x: Tensor) -> Tensor:
    mem1, spk1, mem2, out = net.lif1.reset_mem(), torch.zeros(1), net.lif2.reset_mem(), []
    for frame in x:
        mem1, spk1, mem2, spk2 = net(frame, mem1, spk1, mem2)
        out.append(spk2)
    return torch.stack(out)


class Synaptic(Two):
    def forward(self, x: Tensor, syn1: Tensor, mem1: Tensor, syn2: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        spk1, syn1, mem1 = self.lif1(self.fc1(x), syn1, mem1)
        spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
        return spk2, syn1, mem1, syn2, mem2


def synaptic(net: Synaptic, x: Tensor) -> Tensor:
    (syn1, mem1), (syn2, mem2), out = net.lif1.reset_mem(), net.lif2.reset_mem(), []
    for frame in x:
        spk, syn1, mem1, syn2, mem2 = net(frame, syn1, mem1, syn2, mem2)
        out.append(spk)
    return torch.stack(out)


class Recurrent(Two):
    """The spikes are a state as well, and come back once."""

    def forward(self, x: Tensor, spk1: Tensor, mem1: Tensor, spk2: Tensor, mem2: Tensor) -> tuple[Tensor, ...]:
        spk1, mem1 = self.lif1(self.fc1(x), spk1, mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), spk2, mem2)
        return spk1, mem1, spk2, mem2


def recurrent(net: Recurrent, x: Tensor) -> Tensor:
    (spk1, mem1), (spk2, mem2), out = net.lif1.reset_mem(), net.lif2.reset_mem(), []
    for frame in x:
        spk1, mem1, spk2, mem2 = net(frame, spk1, mem1, spk2, mem2)
        out.append(spk2)
    return torch.stack(out)


class Static(Two):
    """Tutorial 5: one picture, a number of steps in the code."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


class FixedLength(Static):
    """A sequence whose length is in the code."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membranes = [], []
        for step in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


class ResetsItself(Two):
    """Hidden states, reset in forward, which gives a list."""

    def __init__(self) -> None:
        super().__init__(init_hidden=True)

    def forward(self, x: Tensor) -> list[Tensor]:
        utils.reset(self)
        return [self.lif2(self.fc2(self.lif1(self.fc1(x[step])))) for step in range(x.shape[0])]


class Labelled(Two):
    """A parameter that is no state."""

    def __init__(self) -> None:
        super().__init__(init_hidden=True)

    def forward(self, x: Tensor, labels: Any = None) -> tuple[Tensor, Tensor]:
        hidden = self.lif1(self.fc1(x))
        out = self.lif2(self.fc2(hidden))
        return (out, hidden) if labels is None else (out * labels.sum(), hidden)


class FixedBatch(Two):
    """The size of a batch is in the code."""

    def __init__(self) -> None:
        super().__init__(init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lif2(self.fc2(self.lif1(self.fc1(x.view(4, -1)))))
        return out


class BatchFirst(Two):
    """Axes (B, T, n)."""

    def __init__(self) -> None:
        super().__init__(init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        utils.reset(self)
        return torch.stack([self.lif2(self.fc2(self.lif1(self.fc1(x[:, t])))) for t in range(x.shape[1])], dim=1)


class Unreadable(Two):
    """The largest membrane of all steps."""

    def forward(self, x: Tensor) -> Tensor:
        mem1, membranes = self.lif1.init_leaky(), []
        for frame in x:
            _, mem1 = self.lif1(self.fc1(frame), mem1)
            membranes.append(mem1)
        return torch.stack(membranes).max(0).values


class JellyStatic(nn.Module):
    """SpikingJelly's own examples: one picture, as often as T says, and a firing rate."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.T, self.mode = 6, mode
        self.net = nn.Sequential(layer.Flatten(), fc_layer(), neuron.LIFNode(), fc_layer(SIZE, CLASSES), neuron.LIFNode())
        functional.set_step_mode(self, mode)

    def forward(self, x: Tensor) -> Tensor:
        if self.mode == "m":
            rate: Tensor = self.net(x.unsqueeze(0).repeat(self.T, 1, 1, 1)).mean(0)
            return rate
        out = 0.0
        for _ in range(self.T):
            out = out + self.net(x)
        return out / self.T  # type: ignore[operator, return-value]


def fc_layer(inputs: int = INPUTS, outputs: int = SIZE) -> nn.Module:
    made = layer.Linear(inputs, outputs)
    made.load_state_dict(fc(inputs, outputs).state_dict())
    return made


def repeated(net: JellyStatic, x: Tensor) -> Tensor:
    """Spikes of the last layer, step by step."""
    functional.reset_net(net)
    frames = x[0][None].repeat(net.T, 1, 1, 1)
    return net.net(frames) if net.mode == "m" else torch.stack([net.net(frame) for frame in frames])


class NorseStates(nn.Module):
    """A state for each cell, handed over by name or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = fc(), norse.LIFCell(), fc(SIZE, CLASSES), norse.LIFCell()

    def forward(self, x: Tensor, s1: Any = None, s2: Any = None) -> tuple[Tensor, Any, Any]:
        z, s1 = self.lif1(self.fc1(x), s1)
        z, s2 = self.lif2(self.fc2(z), s2)
        return z, s1, s2


def norse_states(net: NorseStates, x: Tensor) -> Tensor:
    s1, s2, out = None, None, []
    for frame in x:
        z, s1, s2 = net(frame, s1, s2)
        out.append(z)
    return torch.stack(out)


class NorseNoStateGivenBack(NorseStates):
    """Time in forward, states kept to itself."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        s1, s2, out = None, None, []
        for frame in x:
            z, s1 = self.lif1(self.fc1(frame), s1)
            z, s2 = self.lif2(self.fc2(z), s2)
            out += [z]
        return torch.stack(out)


def first(net: Any, x: Tensor) -> Tensor:
    given = net(x)
    return given[0] if isinstance(given, tuple) else given


def stepped(net: Any, x: Tensor) -> Tensor:
    utils.reset(net)
    for each in (net.lif1, net.lif2):
        each.reset_mem()
    given = [net(frame) for frame in x]
    return torch.stack([each[0] if isinstance(each, tuple) else each for each in given])


Case = tuple[str, str, Callable[[], nn.Module], Callable[[Any, Tensor], Tensor], int, bool]
CASES: list[Case] = [
    # library, name, module, by hand, steps, whether the input is the same at each
    ("snntorch", "docs", Docs, docs, 30, False),
    ("snntorch", "synaptic", lambda: Synaptic(snn.Synaptic), synaptic, 30, False),
    ("snntorch", "recurrent", lambda: Recurrent(snn.RLeaky), recurrent, 30, False),
    ("snntorch", "static", Static, lambda net, x: net(x[0])[0], STEPS, True),
    ("snntorch", "static, some steps", Static, lambda net, x: net(x[0])[0][: len(x)], 10, True),
    ("snntorch", "a length of its own", FixedLength, first, STEPS, False),
    (
        "snntorch",
        "a length of its own, some steps",
        FixedLength,
        lambda net, x: net(torch.cat([x, x.new_ones(STEPS - 10, *x.shape[1:])]))[0][:10],
        10,
        False,
    ),
    ("snntorch", "resets itself", ResetsItself, lambda net, x: torch.stack(net(x)), 30, False),
    ("snntorch", "labelled", Labelled, stepped, 30, False),
    ("snntorch", "a batch of its own", FixedBatch, stepped, 30, False),
    ("norse", "a state each", NorseStates, norse_states, 30, False),
    ("norse", "no state given back", NorseNoStateGivenBack, first, 30, False),
    ("spikingjelly", "static, all at once", lambda: JellyStatic("m"), repeated, 6, True),
    ("spikingjelly", "static, step by step", lambda: JellyStatic("s"), repeated, 6, True),
]
