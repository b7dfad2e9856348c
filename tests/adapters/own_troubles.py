"""Modules that the libraries' own exporters make something wrong of, or fail on, and the same as a hint advises."""

from __future__ import annotations

from typing import Any

import norse.torch as norse
import numpy as np
import snntorch as snn
import torch
from norse.torch.functional.iaf import IAFParameters
from norse.torch.functional.lif import LIFParameters
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.reset import reset_subtract
from norse.torch.module.iaf import IAFCell
from norse.torch.module.lif_box import LIFBoxCell
from spikingjelly.activation_based import layer, neuron
from torch import nn
from torch.nn import functional as F

STEPS, BATCH, INPUTS, SIZE = 25, 4, 12, 8
DT = {"snntorch": 1e-4, "norse": 1e-3, "spikingjelly": 1e-4}


def fc(bias: bool = True) -> nn.Linear:
    torch.manual_seed(2)
    made = nn.Linear(INPUTS, SIZE, bias=bias)
    with torch.no_grad():
        made.weight *= 6
    return made


def full(value: float, *shape: int) -> torch.Tensor:
    return torch.full(shape or (SIZE,), value)


def leaky(kind: type = snn.Leaky, **options: Any) -> nn.Module:
    """A layer whose numbers are tensors, so that nothing but what is asked for is in the way."""
    plain: dict[str, Any] = {"beta": full(0.9), "threshold": full(1.0), "reset_mechanism": "zero", "reset_delay": False}
    plain |= {"alpha": full(0.8)} if kind in (snn.Synaptic, snn.RSynaptic) else {}
    plain |= {"linear_features": SIZE} if kind in (snn.RLeaky, snn.RSynaptic) and "V" not in options else {}
    return nn.Sequential(fc(), kind(**plain | options, init_hidden=True, output=True))


def box(**options: Any) -> nn.Module:
    plain = {"tau_mem_inv": full(400.0), "v_leak": full(0.0), "v_th": full(0.6)}
    return norse.SequentialState(fc(), LIFBoxCell(LIFBoxParameters(**plain | options)))


def node(**options: Any) -> nn.Module:
    return nn.Sequential(fc(), neuron.LIFNode(**options))


class Sum(nn.Module):
    def __init__(self, fires: nn.Module) -> None:
        super().__init__()
        self.one, self.other, self.fires = fc(), fc(), fires

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        x = self.one(x) + self.other(x)
        return self.fires(x, state) if isinstance(self.fires, LIFBoxCell) else self.fires(x)


class Skip(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.one, self.first, self.around, self.second = fc(), first, fc(), second
        self.two = nn.Linear(SIZE, SIZE)

    def forward(self, x: torch.Tensor, states: Any = None) -> Any:
        if isinstance(self.first, LIFBoxCell):
            one, two = states or (None, None)
            spikes, one = self.first(self.one(x), one)
            spikes, two = self.second(self.two(spikes) + self.around(x), two)
            return spikes, (one, two)
        spikes = self.first(self.one(x))
        return self.second(self.two(spikes[0] if isinstance(spikes, tuple) else spikes) + self.around(x))


class Halved(nn.Module):
    def __init__(self, fires: nn.Module, inside: bool) -> None:
        super().__init__()
        self.fc, self.fires, self.inside = fc(), fires, inside
        if inside:
            with torch.no_grad():
                self.fc.weight *= 0.5
                self.fc.bias *= 0.5

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        x = self.fc(x) if self.inside else self.fc(x) * 0.5
        return self.fires(x, state) if isinstance(self.fires, LIFBoxCell) else self.fires(x)


class Flattened(nn.Module):
    def __init__(self, fires: nn.Module, flatten: nn.Module | None) -> None:
        super().__init__()
        self.fc, self.fires, self.flatten = fc(), fires, flatten

    def forward(self, x: torch.Tensor) -> Any:
        return self.fires(self.fc(x.flatten(1) if self.flatten is None else self.flatten(x)))


class ByFunction(nn.Module):
    """Weights and pooling without a layer."""

    def __init__(self, fires: nn.Module, how: str) -> None:
        super().__init__()
        self.weight, self.fires, self.how = fc().weight, fires, how
        self.conv = conv()[0] if how == "pool" else None

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        x = F.avg_pool2d(self.conv(x), 3) if self.conv is not None else F.linear(x, self.weight)
        return self.fires(x, state) if isinstance(self.fires, LIFBoxCell) else self.fires(x)


class Loop(nn.Module):
    """Time in forward."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = fc(), snn.Leaky(beta=full(0.9), threshold=full(1.0), reset_mechanism="zero")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mem, out = self.lif.init_leaky(), []
        for step in x:
            spk, mem = self.lif(self.fc(step), mem)
            out.append(spk)
        return torch.stack(out)


class OneStep(Loop):
    def forward(self, x: torch.Tensor, mem: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        spk, mem = self.lif(self.fc(x), mem)
        return spk, mem


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = node()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.one(step) for step in x])


class Averaged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(fc(), neuron.LIFNode(step_mode="m"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).mean(0)


def conv(*layers: nn.Module, bias: bool = True, groups: int = 1) -> list[nn.Module]:
    torch.manual_seed(1)
    made = nn.Conv2d(2, 4, 3, bias=bias, groups=groups)
    with torch.no_grad():
        made.weight *= 5
    return [made, *layers]


def leaky_on(*shape: int) -> nn.Module:
    return snn.Leaky(
        beta=full(0.9, *shape),
        threshold=full(1.0, *shape),
        reset_mechanism="zero",
        reset_delay=False,
        init_hidden=True,
        output=True,
    )


def box_on(*shape: int) -> nn.Module:
    values = {"tau_mem_inv": full(400.0, *shape), "v_leak": full(0.0, *shape), "v_th": full(0.6, *shape)}
    return LIFBoxCell(LIFBoxParameters(**values))


def recurrent(**options: Any) -> nn.Module:
    return leaky(snn.RLeaky, all_to_all=False, **options)


def frozen(module: nn.Module) -> nn.Module:
    """With statistics that are not those of the start."""
    for each in module.modules():
        if isinstance(each, (nn.BatchNorm1d, nn.BatchNorm2d)):
            torch.manual_seed(8)
            each.running_mean = torch.rand_like(each.running_mean)
            each.running_var = torch.rand_like(each.running_var) + 0.5
    return module.eval()


def fused(linear: nn.Linear, norm: nn.Module) -> nn.Module:
    return torch.nn.utils.fusion.fuse_linear_bn_eval(linear.eval(), frozen(norm))  # type: ignore[type-var]


def multi_step(linear: nn.Linear) -> nn.Module:
    made = layer.Linear(INPUTS, SIZE, step_mode="m")
    made.load_state_dict(linear.state_dict())
    return made


SNN, NORSE, JELLY = "snntorch", "norse", "spikingjelly"
FAILS, DIFFERS = "fails", "differs"
SYNAPTIC = LIFParameters(*map(full, (200.0, 100.0, 0.0, 0.5)))

TROUBLES: list[Any] = [
    # library, what is written, what its exporter does, words of the hint, what is written on its advice (None: it gives none)
    (SNN, leaky(beta=0.9), FAILS, "give beta=torch.full((8,), 0.9", leaky()),
    (SNN, leaky(beta=0.9, threshold=1.0), FAILS, "beta and threshold", leaky()),
    (SNN, leaky(snn.Synaptic, alpha=0.8, beta=0.9, threshold=1.0), FAILS, "alpha=torch.full((8,), 0.8", leaky(snn.Synaptic)),
    (SNN, leaky(reset_mechanism="subtract"), DIFFERS, "train with reset_mechanism='zero', and", leaky(reset_delay=True)),
    (SNN, leaky(reset_mechanism="subtract", reset_delay=True), DIFFERS, "one step late", leaky()),
    (SNN, leaky(snn.Synaptic, reset_mechanism="subtract"), DIFFERS, "reset_delay=False", leaky(snn.Synaptic)),
    (SNN, leaky(snn.Synaptic, reset_delay=True), DIFFERS, "train with reset_delay=False", leaky(snn.Synaptic)),
    (SNN, leaky(snn.RLeaky, reset_delay=True), DIFFERS, "train with reset_delay=False", leaky(snn.RLeaky)),
    (SNN, leaky(snn.RLeaky, reset_mechanism="subtract"), DIFFERS, "reset_delay=False", leaky(snn.RLeaky)),
    (SNN, leaky(snn.RSynaptic, reset_mechanism="subtract", reset_delay=True), DIFFERS, "a reset to 0", None),
    (SNN, leaky(snn.RSynaptic, reset_delay=True), DIFFERS, "RSynaptic cannot do", None),
    (SNN, recurrent(V=0.5), FAILS, "V=torch.full((8,), 0.5)", recurrent(V=full(0.5))),
    (SNN, leaky(reset_mechanism="none"), DIFFERS, "never resets", None),
    (SNN, leaky(beta=full(1.0)), DIFFERS, "infinite", None),
    (SNN, nn.Sequential(fc(), nn.Dropout(), leaky_on(SIZE)), FAILS, "leave it out", leaky()),
    (SNN, nn.Sequential(fc(), nn.Identity(), leaky_on(SIZE)), FAILS, "leave it out", leaky()),
    (
        SNN,
        frozen(nn.Sequential(fc(), nn.BatchNorm1d(SIZE), leaky_on(SIZE))),
        FAILS,
        "fuse_linear_bn_eval",
        nn.Sequential(fused(fc(), nn.BatchNorm1d(SIZE)), leaky_on(SIZE)),
    ),
    (SNN, Sum(leaky_on(SIZE)), FAILS, "layers are lost", None),
    (SNN, Skip(leaky_on(SIZE), leaky_on(SIZE)), DIFFERS, "layers are lost", None),
    (SNN, Halved(leaky_on(SIZE), False), FAILS, "into the weights of the layer before", Halved(leaky_on(SIZE), True)),
    (SNN, Flattened(leaky_on(SIZE), None), FAILS, "use nn.Flatten()", Flattened(leaky_on(SIZE), nn.Flatten())),
    (SNN, ByFunction(leaky_on(SIZE), "linear"), FAILS, "leaves out: use nn.Linear", leaky()),
    (SNN, ByFunction(leaky_on(4, 1, 1), "pool"), FAILS, "a function in forward, which snnTorch's exporter leaves out", None),
    (
        SNN,
        frozen(nn.Sequential(*conv(nn.BatchNorm2d(4), leaky_on(4, 3, 3)))),
        FAILS,
        "fuse_conv_bn_eval",
        nn.Sequential(torch.nn.utils.fusion.fuse_conv_bn_eval(conv()[0].eval(), frozen(nn.BatchNorm2d(4))), leaky_on(4, 3, 3)),
    ),
    (SNN, Loop(), FAILS, "a module of one step", OneStep()),
    (SNN, nn.Sequential(*conv(groups=2), leaky_on(4, 3, 3)), FAILS, "refuses the file", None),
    (SNN, nn.Sequential(nn.AvgPool2d((2, 2), padding=(1, 1)), leaky_on(2, 3, 3)), FAILS, "a padding of 0", None),
    (NORSE, box(v_th=torch.tensor(0.6)), FAILS, "give v_th=torch.full((8,), 0.6", box()),
    (NORSE, box(v_reset=full(-0.5)), DIFFERS, "leaves v_reset out", None),
    (NORSE, box(reset_method=reset_subtract), DIFFERS, "train with reset_method=reset_value", box()),
    (
        NORSE,
        norse.SequentialState(fc(), norse.LIFCell(LIFParameters(*map(full, (200.0, 100.0, 0.0, 0.5))))),
        DIFFERS,
        "w_in = 1",
        None,
    ),
    (NORSE, norse.SequentialState(fc(), IAFCell(IAFParameters(v_th=full(1.0)))), DIFFERS, "r = 1", None),
    (NORSE, norse.SequentialState(fc(), norse.LICell()), FAILS, "leaves a hole", None),
    (NORSE, norse.SequentialState(fc(), norse.LIF()), FAILS, "write LIFCell(p), and hand its state on", None),
    (NORSE, norse.SequentialState(nn.Flatten(-2), fc(), box_on(SIZE)), FAILS, "no case for it", None),
    (NORSE, ByFunction(box_on(SIZE), "linear"), FAILS, "leaves out: use nn.Linear", None),
    (NORSE, norse.SequentialState(norse.LIFRecurrentCell(INPUTS, SIZE)), FAILS, "leaves a hole", None),
    (NORSE, norse.SequentialState(norse.Lift(fc()), norse.LIF()), FAILS, "leave Lift out", None),
    (NORSE, norse.SequentialState(fc(), nn.Dropout(), box_on(SIZE)), FAILS, "leave it out", box()),
    (NORSE, norse.SequentialState(*conv(bias=False), box_on(4, 3, 3)), FAILS, "fails on a convolution without a bias", None),
    (NORSE, norse.SequentialState(*conv(), box_on(4, 3, 3)), FAILS, "input_shape", None),
    (NORSE, norse.SequentialState(nn.AvgPool2d(2), box_on(2, 2, 2)), FAILS, "no case for it", None),
    (NORSE, Sum(box_on(SIZE)), FAILS, "layers are lost", None),
    (NORSE, Skip(box_on(SIZE), box_on(SIZE)), DIFFERS, "layers are lost", None),
    (NORSE, Halved(box_on(SIZE), False), FAILS, "into the weights of the layer before", Halved(box_on(SIZE), True)),
    (JELLY, node(v_reset=None), FAILS, "train with v_reset=0.0", node()),
    (JELLY, node(v_reset=-0.6, v_threshold=0.4), DIFFERS, "starts at -0.6", None),
    (JELLY, nn.Sequential(fc(), nn.Dropout(), neuron.LIFNode()), FAILS, "leave it out", node()),
    (
        JELLY,
        frozen(nn.Sequential(fc(), nn.BatchNorm1d(SIZE), neuron.LIFNode())),
        FAILS,
        "fuse_linear_bn_eval",
        nn.Sequential(fused(fc(), nn.BatchNorm1d(SIZE)), neuron.LIFNode()),
    ),
    (JELLY, nn.Sequential(*conv(groups=2), neuron.LIFNode()), FAILS, "in groups", None),
    (JELLY, Halved(neuron.LIFNode(), False), FAILS, "into the weights before it", Halved(neuron.LIFNode(), True)),
    (JELLY, Flattened(neuron.LIFNode(), None), FAILS, "use nn.Flatten()", Flattened(neuron.LIFNode(), nn.Flatten())),
    (JELLY, ByFunction(neuron.LIFNode(), "linear"), FAILS, "stops there: use nn.Linear", node()),
    (JELLY, ByFunction(neuron.LIFNode(), "pool"), FAILS, "a function in forward, and SpikingJelly's exporter stops", None),
    (JELLY, Steps(), FAILS, "a module of one step", node()),
    (JELLY, Averaged(), FAILS, "the part of the module before", Averaged().net),
    (
        JELLY,
        nn.Sequential(fc(), layer.LinearRecurrentContainer(neuron.LIFNode(), SIZE, SIZE)),
        FAILS,
        "keeps its last output",
        None,
    ),
    (
        JELLY,
        nn.Sequential(layer.SeqToANNContainer(fc()), neuron.LIFNode(step_mode="m")),
        FAILS,
        "step_mode='m'",
        nn.Sequential(multi_step(fc()), neuron.LIFNode(step_mode="m")),
    ),
    (JELLY, nn.Sequential(fc(), neuron.LIFNode(), layer.VotingLayer(2)), FAILS, "no case for it", None),
]


def stimulus(module: nn.Module) -> Any:
    shape = (2, 5, 5) if any(isinstance(each, (nn.Conv2d,)) for each in module.modules()) else (INPUTS,)
    shape = (2, 4, 4) if any(isinstance(each, nn.AvgPool2d) for each in module.modules()) else shape
    shape = (3, 4) if any(isinstance(each, (Flattened, nn.Flatten)) for each in module.modules()) else shape
    return (np.random.default_rng(3).random((STEPS, BATCH, *shape)) < 0.4).astype(np.float32)
