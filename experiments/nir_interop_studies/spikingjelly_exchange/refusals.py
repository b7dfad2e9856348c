"""What SpikingJelly says that it refuses: whether it does, and with the exception that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import nir
import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

from nir_interop.conformance.primitives.cases import node
from nir_interop.graphs import write
from nir_interop_studies.spikingjelly_exchange.bench import DT, Bench, Numbers, Trial, biases, weights
from nir_interop_studies.spikingjelly_exchange.nodes import (
    LINE,
    MakeGraph,
    before_lif,
    cuba,
    dense,
    if_,
    lif,
    linear,
    recurrent,
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


def _grouped(numbers: Numbers) -> dict[str, Any]:
    arrays = {"weight": weights(numbers, 4, 2, 3, 3), "bias": biases(numbers, 4)}
    return {**arrays, "input_shape": (8, 8), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 2}


def _grouped_object(bench: Bench) -> Any:
    """A graph of the nir package, whose own types have to be left unchecked to make it."""
    convolution = nir.Conv2d(**_grouped(bench.numbers("refusals")))
    nodes = {"input": nir.Input(np.array(FRAME)), "conv": convolution, "output": nir.Output(np.array(FRAME))}
    return import_from_nir(nir.NIRGraph(nodes, [("input", "conv"), ("conv", "output")], type_check=False))


_GROUPED_FILE = _import(lambda numbers: before_lif(FRAME, node("Conv2d", **_grouped(numbers))))
_GROUPED_ROWS = partial(layer.Conv1d, 4, 4, 3, groups=2)
_CIRCULAR = partial(nn.Conv2d, 4, 4, 3, padding=1, padding_mode="circular")
_TWO = np.linspace(1.0, 2.0, 20)
"""One number per neuron."""
_STEPS = {"0": 0.0, "-1e-4": -1e-4, "nan": float("nan")}

_UNSAID = NotImplementedError
"""What is stated for all that NIR, or the exchange, has no words for."""

REFUSALS: tuple[tuple[str, type[Exception], str, Call], ...] = (
    *(("refuse dt of export", ValueError, name, _neurons(neuron.LIFNode, dt=dt)) for name, dt in _STEPS.items()),
    ("refuse CUBALIF decay", ValueError, "c_decay 1", _neurons(partial(neuron.CUBALIFNode, 1.0, 0.5))),
    ("refuse CUBALIF decay", ValueError, "v_decay 1", _neurons(partial(neuron.CUBALIFNode, 0.5, 1.0))),
    ("refuse CUBALIF decay", ValueError, "c_decay -0.1", _neurons(partial(neuron.CUBALIFNode, -0.1, 0.5))),
    *(
        ("refuse soft reset", _UNSAID, kind.__name__, _neurons(partial(kind, v_reset=None)))
        for kind in (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode, neuron.CUBALIFNode)
    ),
    ("refuse grouped convolution", _UNSAID, "torch.nn.Conv2d", _frames(nn.Conv2d, 4, 4, 3, groups=2)),
    ("refuse grouped convolution", _UNSAID, "layer.Conv2d", _frames(layer.Conv2d, 4, 4, 3, groups=2)),
    ("refuse grouped convolution", _UNSAID, "layer.Conv1d", _export(_GROUPED_ROWS, neuron.LIFNode, shape=(4, 16))),
    ("refuse other layers", _UNSAID, "AvgPool2d, ceil_mode", _frames(nn.AvgPool2d, 3, ceil_mode=True)),
    ("refuse other layers", _UNSAID, "AvgPool2d, divisor_override", _frames(nn.AvgPool2d, 2, divisor_override=3)),
    ("refuse other layers", _UNSAID, "AvgPool2d, count_include_pad=False", _frames(nn.AvgPool2d, 3, 3, 1, False, False)),
    (
        "refuse other layers",
        _UNSAID,
        "Conv2d, padding_mode circular",
        _frames(_CIRCULAR),
    ),
    ("refuse other modules", _UNSAID, "torch.nn.MaxPool2d", _frames(nn.MaxPool2d, 2)),
    ("refuse other modules", _UNSAID, "layer.BatchNorm2d", _frames(layer.BatchNorm2d, 4)),
    *(("refuse dt of import", ValueError, f"{dt:g}", _import(dense(lif()), dt=dt)) for dt in _STEPS.values()),
    ("refuse step_mode", ValueError, "'x'", _import(dense(lif()), step_mode="x")),
    ("refuse differing neurons", ValueError, "LIF, v_threshold", _import(dense(lif(v_threshold=_TWO)))),
    ("refuse differing neurons", ValueError, "LIF, tau", _import(dense(lif(tau=3 * DT * _TWO)))),
    ("refuse differing neurons", ValueError, "LIF, r", _import(dense(lif(r=_TWO)))),
    ("refuse differing neurons", ValueError, "IF, v_threshold", _import(dense(if_(v_threshold=_TWO)))),
    ("refuse differing neurons", ValueError, "CubaLIF, v_threshold", _import(dense(cuba(v_threshold=_TWO)))),
    ("refuse differing neurons", ValueError, "CubaLIF, w_in", _import(dense(cuba(w_in=_TWO)))),
    ("refuse discretization", ValueError, "IF, r 1", _import(dense(if_(r=1.0)))),
    ("refuse discretization", ValueError, "LIF, r 2.5", _import(dense(lif(r=2.5)))),
    ("refuse discretization", ValueError, "LIF, tau of one step", _import(dense(lif(tau=DT)))),
    ("refuse discretization", ValueError, "LIF, v_leak 0.3", _import(dense(lif(v_leak=0.3)))),
    ("refuse discretization", ValueError, "CubaLIF, r 1", _import(dense(cuba(r=1.0)))),
    ("refuse discretization", ValueError, "CubaLIF, w_in 1", _import(dense(cuba(w_in=1.0)))),
    ("refuse discretization", ValueError, "CubaLIF, v_leak 0.3", _import(dense(cuba(v_leak=0.3)))),
    ("refuse discretization", ValueError, "CubaLIF, tau_syn of half a step", _import(dense(cuba(synapse=0.5)))),
    ("refuse grouped nodes", _UNSAID, "in a file", _GROUPED_FILE),
    ("refuse grouped nodes", _UNSAID, "a nir.NIRGraph, its types unchecked", _grouped_object),
    ("refuse recurrent in m", _UNSAID, "through Linear", _import(recurrent(linear), step_mode="m")),
)
"""Promise, the exception that it states, name of a call, the call that is to raise it."""


def refusals(bench: Bench, promise: str) -> Iterator[Trial]:
    """A promise to refuse: every call."""
    for _, kind, name, call in (each for each in REFUSALS if each[0] == promise):
        stated = f"{kind.__name__} is stated"
        try:
            call(bench)
        except Exception as error:
            right = isinstance(error, kind)
            remark = f"{kind.__name__}, as stated" if right else f"{type(error).__name__} where {stated}"
            yield Trial(name, right, remark=remark, failed=bench.failed(error))
        else:
            yield Trial(name, False, remark=f"nothing is raised where {stated}")
