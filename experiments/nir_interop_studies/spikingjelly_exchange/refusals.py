"""What SpikingJelly says that it refuses: whether it does, and with the exception that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import nir
import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

from nir_interop.graphs import Graph, Node, write
from nir_interop_studies.spikingjelly_exchange.bench import DT, Bench, Case
from nir_interop_studies.spikingjelly_exchange.nodes import (
    LINE,
    MakeGraph,
    biases,
    chain,
    cuba,
    dense,
    if_,
    lif,
    linear,
    node,
    recurrent,
    weights,
)

Call = Callable[[Bench], Any]
FRAME = (4, 8, 8)


def _export(*parts: Callable[[], nn.Module], shape: tuple[int, ...] = LINE, **options: Any) -> Call:
    def call(bench: Bench) -> Any:
        net = nn.Sequential(*(make() for make in parts))
        return export_to_nir(net, torch.from_numpy(bench.stimulus("refusals", shape)[0]), **options)

    return call


def _neurons(make: Callable[[], nn.Module], **options: Any) -> Call:
    return _export(partial(nn.Linear, 12, 20), make, **options)


def _frames(make: Callable[..., nn.Module], *arguments: Any, **options: Any) -> Call:
    # A pool cannot be a network's first module, whatever its configuration.
    return _export(partial(nn.Conv2d, 4, 4, 1), partial(make, *arguments, **options), neuron.LIFNode, shape=FRAME)


def _import(make: MakeGraph, **options: Any) -> Call:
    def call(bench: Bench) -> Any:
        path = bench.file()
        write(path, make(bench.numbers("refusals")))
        return import_from_nir(path, **options)

    return call


def _import_neurons(neurons: Node) -> Call:
    return _import(dense(neurons))


def _grouped(numbers: np.random.Generator) -> Graph:
    params = {"weight": weights(numbers, 4, 2, 3, 3), "bias": biases(numbers, 4), "input_shape": (8, 8), "groups": 2}
    return chain(FRAME, FRAME, node("Conv2d", **params, stride=(1, 1), padding=(1, 1), dilation=(1, 1)), lif(FRAME))


def _grouped_object(bench: Bench) -> Any:
    """A graph of the nir package, whose own types have to be left unchecked to make it."""
    params = dict(next(each for name, each in _grouped(bench.numbers("refusals")).primitives() if name == "n0").params)
    for name in ("input_shape", "stride", "padding", "dilation"):
        params[name] = tuple(params[name].tolist())
    nodes = {
        "input": nir.Input(np.array(FRAME)), "conv": nir.Conv2d(**{**params, "groups": 2}), "output": nir.Output(np.array(FRAME)),
    }  # fmt: skip
    return import_from_nir(nir.NIRGraph(nodes, [("input", "conv"), ("conv", "output")], type_check=False))


_TWO = np.linspace(1.0, 2.0, 20)
"""One number per neuron."""
_STEPS = {"0": 0.0, "-1e-4": -1e-4, "nan": float("nan")}

REFUSALS: Mapping[str, tuple[type[Exception], Mapping[str, Call]]] = {
    "refuse dt of export": (ValueError, {name: _neurons(neuron.LIFNode, dt=dt) for name, dt in _STEPS.items()}),
    "refuse CUBALIF decay": (
        ValueError,
        {
            "c_decay 1": _neurons(partial(neuron.CUBALIFNode, 1.0, 0.5)),
            "v_decay 1": _neurons(partial(neuron.CUBALIFNode, 0.5, 1.0)),
            "c_decay -0.1": _neurons(partial(neuron.CUBALIFNode, -0.1, 0.5)),
        },
    ),
    "refuse soft reset": (
        NotImplementedError,
        {
            kind.__name__: _neurons(partial(kind, v_reset=None))
            for kind in (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode, neuron.CUBALIFNode)
        },
    ),
    "refuse grouped convolution": (
        NotImplementedError,
        {
            "torch.nn.Conv2d": _frames(nn.Conv2d, 4, 4, 3, groups=2),
            "layer.Conv2d": _frames(layer.Conv2d, 4, 4, 3, groups=2),
            "layer.Conv1d": _export(partial(layer.Conv1d, 4, 4, 3, groups=2), neuron.LIFNode, shape=(4, 16)),
        },
    ),
    "refuse other layers": (
        NotImplementedError,
        {
            "AvgPool2d, ceil_mode": _frames(nn.AvgPool2d, 3, ceil_mode=True),
            "AvgPool2d, divisor_override": _frames(nn.AvgPool2d, 2, divisor_override=3),
            "AvgPool2d, count_include_pad=False": _frames(nn.AvgPool2d, 3, padding=1, count_include_pad=False),
            "Conv2d, padding_mode circular": _frames(nn.Conv2d, 4, 4, 3, padding=1, padding_mode="circular"),
        },
    ),
    "refuse other modules": (
        NotImplementedError,
        {"torch.nn.MaxPool2d": _frames(nn.MaxPool2d, 2), "layer.BatchNorm2d": _frames(layer.BatchNorm2d, 4)},
    ),
    "refuse dt of import": (ValueError, {f"{dt:g}": _import(dense(lif()), dt=dt) for dt in _STEPS.values()}),
    "refuse step_mode": (ValueError, {"'x'": _import(dense(lif()), step_mode="x")}),
    "refuse differing neurons": (
        ValueError,
        {
            "LIF, v_threshold": _import_neurons(lif(v_threshold=_TWO)),
            "LIF, tau": _import_neurons(lif(tau=3 * DT * _TWO)),
            "LIF, r": _import_neurons(lif(r=_TWO)),
            "IF, v_threshold": _import_neurons(if_(v_threshold=_TWO)),
            "CubaLIF, v_threshold": _import_neurons(cuba(v_threshold=_TWO)),
            "CubaLIF, w_in": _import_neurons(cuba(w_in=_TWO)),
        },
    ),
    "refuse discretization": (
        ValueError,
        {
            "IF, r 1": _import_neurons(if_(r=1.0)),
            "LIF, r 2.5": _import_neurons(lif(r=2.5)),
            "LIF, tau of one step": _import_neurons(lif(tau=DT)),
            "LIF, v_leak 0.3": _import_neurons(lif(v_leak=0.3)),
            "CubaLIF, r 1": _import_neurons(cuba(r=1.0)),
            "CubaLIF, w_in 1": _import_neurons(cuba(w_in=1.0)),
            "CubaLIF, v_leak 0.3": _import_neurons(cuba(v_leak=0.3)),
            "CubaLIF, tau_syn of half a step": _import_neurons(cuba(synapse=0.5)),
        },
    ),
    "refuse grouped nodes": (
        NotImplementedError,
        {"in a file": _import(_grouped), "a nir.NIRGraph, its types unchecked": _grouped_object},
    ),
    "refuse recurrent in m": (NotImplementedError, {"through Linear": _import(recurrent(linear), step_mode="m")}),
}
"""Key of a promise → the exception that is stated, and the calls that are to raise it."""


def refusals(bench: Bench, promise: str) -> Iterator[Case]:
    """A promise to refuse: every call."""
    kind, calls = REFUSALS[promise]
    stated = f"{kind.__name__} is stated"
    for name, call in calls.items():
        try:
            call(bench)
        except Exception as error:
            right = isinstance(error, kind)
            remark = f"{kind.__name__}, as stated" if right else f"{type(error).__name__} where {stated}"
            yield Case(name, right, remark=remark, failed=bench.failed(error))
        else:
            yield Case(name, False, remark=f"nothing is raised where {stated}")
