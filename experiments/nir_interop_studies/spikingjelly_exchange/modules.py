"""Which of SpikingJelly's and torch's modules become NIR, and what comes back: the networks of the study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from nir_interop_studies.spikingjelly_exchange.bench import Bench, Trial
from nir_interop_studies.spikingjelly_exchange.nodes import FRAME, IMAGE, LINE
from nir_interop_studies.spikingjelly_exchange.running import crossed, in_mode, seeded

MODES = {"s": "single-step", "m": "multi-step"}
SINGLE, BOTH = ("s",), ("s", "m")
_KINDS = {"IFNode": "IF", "LIFNode": "LIF", "ParametricLIFNode": "LIF", "CUBALIFNode": "CubaLIF"}


@dataclass(frozen=True)
class Spec:
    """A network on which a promise is tried.

    parts : make its modules, one after the other
    modes : the step modes in which the original is run and exported
    scale : the largest input; where no weights are learnt it has to be more than 1 for spikes
    """

    promise: str
    name: str
    parts: tuple[Callable[[], nn.Module], ...]
    modes: tuple[str, ...] = BOTH
    scale: float = 1.0


def _layers(name: str, package: Any, modes: tuple[str, ...]) -> Iterator[Spec]:
    """A package's layers, before a neuron with r = 1, which all libraries know, so that there are spikes to compare."""
    spiking = neuron.LIFNode

    def specs(kind: str, *makers: tuple[str, Callable[[], nn.Module]], modes: Any = modes, **more: Any) -> Iterator[Spec]:
        return (Spec(f"export {name}.{kind}", each, (make, spiking), modes, **more) for each, make in makers)

    yield from specs(
        "Linear",
        ("with bias", partial(package.Linear, 12, 20)), ("without bias", partial(package.Linear, 12, 20, bias=False)),
        modes=BOTH,
    )  # fmt: skip
    for kind, kernel in (("Conv1d", 3), ("Conv2d", (3, 3))):
        make = partial(getattr(package, kind), 3, 5)
        yield from specs(
            kind,
            ("padding 1", partial(make, kernel, padding=1)),
            ("stride 2, dilation 2", partial(make, kernel, stride=2, padding=2, dilation=2)),
            ("padding 'same'", partial(make, kernel, padding="same")),
            ("without bias", partial(make, kernel, bias=False)),
        )
    yield from specs("Conv2d", ("kernel 3×2", partial(make, (3, 2))), ("kernel 3×2, stride 1×2", partial(make, (3, 2), (1, 2))))
    pool, flatten, first = package.AvgPool2d, package.Flatten, partial(layer.Conv2d, 3, 4, 3, padding=1)
    pools = {"2": partial(pool, 2), "3, stride 2, padding 1": partial(pool, 3, 2, 1), "2×4": partial(pool, (2, 4))}
    for each, make in pools.items():
        yield Spec(f"export {name}.AvgPool2d", f"{each}, behind a convolution", (first, make, spiking), modes, 4.0)
    yield from specs("AvgPool2d", ("2, as the first module", partial(pool, 2)), scale=4.0)
    flat = (("all", flatten), ("1 to 2", partial(flatten, 1, 2)), ("-2 to -1", partial(flatten, -2, -1)))
    yield from specs("Flatten", *flat, scale=4.0)


def _neurons() -> Iterator[Spec]:
    """Neurons behind a dense layer."""
    lif, parametric, cuba = neuron.LIFNode, neuron.ParametricLIFNode, neuron.CUBALIFNode
    for promise, name, make in (
        ("export IFNode", "threshold 1", neuron.IFNode),
        ("export IFNode", "threshold 0.7", partial(neuron.IFNode, v_threshold=0.7)),
        ("export LIFNode", "tau 2", lif),
        ("export LIFNode", "tau 10, decay_input=False", partial(lif, 10.0, decay_input=False)),
        ("export LIFNode", "tau 3.7, threshold 0.5", partial(lif, 3.7, v_threshold=0.5)),
        ("export ParametricLIFNode", "init_tau 2", parametric),
        ("export ParametricLIFNode", "init_tau 10, decay_input=False", partial(parametric, 10.0, decay_input=False)),
        ("export ParametricLIFNode", "w = -0.8, as if trained", _trained),
        ("export CUBALIFNode", "0.5, 0.75", cuba),
        ("export CUBALIFNode", "0.9, 0.8, threshold 3", partial(cuba, 0.9, 0.8, v_threshold=3.0)),
        ("export CUBALIFNode", "0, 0", partial(cuba, 0.0, 0.0)),
        *(
            ("export hard reset", f"{kind.__name__}, v_reset {value:g}", partial(kind, v_reset=value))
            for kind in (neuron.IFNode, lif, cuba)
            for value in (-0.2, 0.3)
        ),
    ):
        yield Spec(promise, name, (partial(nn.Linear, 12, 20), make))


def _trained() -> nn.Module:
    node: nn.Module = neuron.ParametricLIFNode()
    with torch.no_grad():
        node.get_parameter("w").fill_(-0.8)
    return node


_MIXED = (
    partial(layer.Conv2d, 3, 6, 3, padding=1), neuron.IFNode, partial(nn.AvgPool2d, 2), layer.Flatten,
    partial(nn.Linear, 96, 20), neuron.LIFNode,
)  # fmt: skip

SPECS = (
    *_layers("torch.nn", nn, SINGLE),
    Spec("export torch.nn.Flatten", "2 to -1, behind the time", (partial(nn.Flatten, 2), neuron.LIFNode), ("m",), 4.0),
    *_layers("layer", layer, BOTH),
    *_neurons(),
    Spec("export mixed", "convolutional", _MIXED, SINGLE),
)


def _kind(module: nn.Module) -> str:
    """The kind of node that a module is to become."""
    if isinstance(module, nn.Linear):
        return "Linear" if module.bias is None else "Affine"
    name = type(module).__name__
    return _KINDS.get(name, name)


def conversions(bench: Bench, promise: str) -> Iterator[Trial]:
    """A promise of conversion: every network, in every step mode that its modules have."""
    for spec in (each for each in SPECS if each.promise == promise):
        what = f"{promise} {spec.name}"
        for mode in spec.modes:
            parts = [make() for make in spec.parts]
            shape = LINE if isinstance(parts[0], nn.Linear) else IMAGE if isinstance(parts[0], nn.Conv1d) else FRAME
            net, stimulus = nn.Sequential(*parts), bench.stimulus(what, shape, spec.scale)
            in_mode(seeded(net, bench.numbers(what)), mode)
            yield crossed(bench, f"{spec.name}, {MODES[mode]}", net, stimulus, mode=mode, kinds=[*map(_kind, parts)])
