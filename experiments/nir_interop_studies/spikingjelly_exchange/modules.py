"""Which of SpikingJelly's and torch's modules become NIR, and what comes back: the networks of the study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from nir_interop_studies.spikingjelly_exchange.bench import Bench, Case
from nir_interop_studies.spikingjelly_exchange.running import crossed, seeded, set_mode

LINE, IMAGE, FRAME = (12,), (3, 16), (3, 8, 8)
"""Shapes of a sample: for Linear, Conv1d, Conv2d."""


@dataclass(frozen=True)
class Spec:
    """A network around one module.

    kinds : of the nodes that it becomes; modes : the step modes in which the original is run and exported
    scale : the largest input; without weights it has to be more than 1 for spikes
    tail : whether a neuron with r = 1 follows, which all libraries know, so that there are spikes to compare
    """

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    kinds: tuple[str, ...]
    modes: tuple[str, ...] = ("s",)
    scale: float = 1.0
    tail: bool = True


def _linears(make: Callable[..., nn.Module]) -> tuple[Spec, ...]:
    return (
        Spec("with bias", lambda: make(12, 20), LINE, ("Affine", "LIF"), ("s", "m")),
        Spec("without bias", lambda: make(12, 20, bias=False), LINE, ("Linear", "LIF"), ("s", "m")),
    )


def _convolutions(make: Callable[..., nn.Module], dimensions: int, modes: tuple[str, ...]) -> tuple[Spec, ...]:
    shape, kinds = (IMAGE if dimensions == 1 else FRAME), (f"Conv{dimensions}d", "LIF")
    specs = [
        Spec("padding 1", lambda: make(3, 5, 3, padding=1), shape, kinds, modes),
        Spec("stride 2, dilation 2", lambda: make(3, 5, 3, stride=2, padding=2, dilation=2), shape, kinds, modes),
        Spec("padding 'same'", lambda: make(3, 5, 3, padding="same"), shape, kinds, modes),
        Spec("without bias", lambda: make(3, 5, 3, bias=False), shape, kinds, modes),
    ]
    if dimensions == 2:
        specs.append(Spec("kernel 3×2", lambda: make(3, 5, (3, 2)), shape, kinds, modes))
        specs.append(Spec("kernel 3×2, stride 1×2", lambda: make(3, 5, (3, 2), stride=(1, 2)), shape, kinds, modes))
    return tuple(specs)


def _pools(make: Callable[..., nn.Module], modes: tuple[str, ...]) -> tuple[Spec, ...]:
    kinds = ("Conv2d", "AvgPool2d", "LIF")

    def behind(*size: Any, **options: Any) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(layer.Conv2d(3, 4, 3, padding=1), make(*size, **options))

    return (
        Spec("2, behind a convolution", behind(2), FRAME, kinds, modes, 4.0),
        Spec("3, stride 2, padding 1, behind a convolution", behind(3, stride=2, padding=1), FRAME, kinds, modes, 4.0),
        Spec("2×4, behind a convolution", behind((2, 4)), FRAME, kinds, modes, 4.0),
        Spec("2, as the first module", lambda: make(2), FRAME, ("AvgPool2d", "LIF"), modes, 4.0),
    )


def _flattens(make: Callable[..., nn.Module], modes: tuple[str, ...]) -> tuple[Spec, ...]:
    kinds = ("Flatten", "LIF")
    return (
        Spec("all", lambda: make(), FRAME, kinds, modes, 4.0),
        Spec("1 to 2", lambda: make(1, 2), FRAME, kinds, modes, 4.0),
        Spec("-2 to -1", lambda: make(-2, -1), FRAME, kinds, modes, 4.0),
    )


def _trained() -> nn.Module:
    node: nn.Module = neuron.ParametricLIFNode()
    with torch.no_grad():
        node.get_parameter("w").fill_(-0.8)
    return node


def _neurons(kind: str, *specs: tuple[str, Callable[[], nn.Module]]) -> tuple[Spec, ...]:
    return tuple(
        Spec(
            name, lambda make=make: nn.Sequential(nn.Linear(12, 20), make()),  # type: ignore[misc]
            LINE, ("Affine", kind), ("s", "m"), tail=False,
        )
        for name, make in specs
    )  # fmt: skip


def _mixed() -> nn.Module:
    return nn.Sequential(layer.Conv2d(3, 6, 3, padding=1), neuron.IFNode(), nn.AvgPool2d(2), layer.Flatten(), nn.Linear(96, 20))


SPECS: Mapping[str, tuple[Spec, ...]] = {
    "export torch.nn.Linear": _linears(nn.Linear),
    "export layer.Linear": _linears(layer.Linear),
    "export torch.nn.Conv1d": _convolutions(nn.Conv1d, 1, ("s",)),
    "export layer.Conv1d": _convolutions(layer.Conv1d, 1, ("s", "m")),
    "export torch.nn.Conv2d": _convolutions(nn.Conv2d, 2, ("s",)),
    "export layer.Conv2d": _convolutions(layer.Conv2d, 2, ("s", "m")),
    "export torch.nn.AvgPool2d": _pools(nn.AvgPool2d, ("s",)),
    "export layer.AvgPool2d": _pools(layer.AvgPool2d, ("s", "m")),
    "export torch.nn.Flatten": (
        *_flattens(nn.Flatten, ("s",)),
        Spec("2 to -1, behind the time", lambda: nn.Flatten(2), FRAME, ("Flatten", "LIF"), ("m",), 4.0),
    ),
    "export layer.Flatten": _flattens(layer.Flatten, ("s", "m")),
    "export IFNode": _neurons(
        "IF", ("threshold 1", lambda: neuron.IFNode()), ("threshold 0.7", lambda: neuron.IFNode(v_threshold=0.7))
    ),
    "export LIFNode": _neurons(
        "LIF",
        ("tau 2", lambda: neuron.LIFNode()),
        ("tau 10, decay_input=False", lambda: neuron.LIFNode(10.0, decay_input=False)),
        ("tau 3.7, threshold 0.5", lambda: neuron.LIFNode(3.7, v_threshold=0.5)),
    ),
    "export ParametricLIFNode": _neurons(
        "LIF",
        ("init_tau 2", lambda: neuron.ParametricLIFNode()),
        ("init_tau 10, decay_input=False", lambda: neuron.ParametricLIFNode(10.0, decay_input=False)),
        ("w = -0.8, as if trained", _trained),
    ),
    "export CUBALIFNode": _neurons(
        "CubaLIF",
        ("0.5, 0.75", lambda: neuron.CUBALIFNode()),
        ("0.9, 0.8, threshold 3", lambda: neuron.CUBALIFNode(0.9, 0.8, v_threshold=3.0)),
        ("0, 0", lambda: neuron.CUBALIFNode(0.0, 0.0)),
    ),
    "export mixed": (Spec("convolutional", _mixed, FRAME, ("Conv2d", "IF", "AvgPool2d", "Flatten", "Affine", "LIF")),),
    "export hard reset": tuple(
        spec
        for kind, make in (("IF", neuron.IFNode), ("LIF", neuron.LIFNode), ("CubaLIF", neuron.CUBALIFNode))
        for spec in _neurons(
            kind,
            (f"{make.__name__}, v_reset -0.2", lambda make=make: make(v_reset=-0.2)),  # type: ignore[misc]
            (f"{make.__name__}, v_reset 0.3", lambda make=make: make(v_reset=0.3)),  # type: ignore[misc]
        )
    ),
}
"""Key of a promise → the networks that it is tried on."""


def conversions(bench: Bench, key: str) -> Iterator[Case]:
    """A promise of conversion: every network, in every step mode that its modules have."""
    for spec in SPECS[key]:
        for mode in spec.modes:
            made = spec.make()
            parts = [*(made if isinstance(made, nn.Sequential) else [made]), *([neuron.LIFNode()] if spec.tail else [])]
            what = f"{key} {spec.name}"
            net = set_mode(seeded(nn.Sequential(*parts), bench.numbers(what)), mode)
            yield crossed(
                bench, f"{spec.name}, {'single' if mode == 's' else 'multi'}-step",
                net, bench.stimulus(what, spec.shape, spec.scale), mode=mode, kinds=spec.kinds,
            )  # fmt: skip
