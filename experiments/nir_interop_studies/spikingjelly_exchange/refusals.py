"""What SpikingJelly says that it refuses: whether it does, and with the exception that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

from nir_interop.graphs import Graph, Node, write
from nir_interop_studies.spikingjelly_exchange.bench import DT, Bench, Case
from nir_interop_studies.spikingjelly_exchange.nodes import LINE, affine, biases, chain, cuba, if_, lif, recurrent, weights

_NOTHING = "nothing is raised"


@dataclass(frozen=True)
class Refusal:
    """A call that is to raise."""

    name: str
    call: Callable[[Bench], Any]
    kind: type[Exception]


def _refused(bench: Bench, refusal: Refusal) -> Case:
    try:
        refusal.call(bench)
    except Exception as error:
        found = bench.failed(error)
        if isinstance(error, refusal.kind):
            return Case(refusal.name, True, remark=f"{refusal.kind.__name__}, as stated", failed=found)
        return Case(refusal.name, False, remark=f"{type(error).__name__} where {refusal.kind.__name__} is stated", failed=found)
    return Case(refusal.name, False, remark=f"{_NOTHING} where {refusal.kind.__name__} is stated")


def _export(make: Callable[[], nn.Module], shape: tuple[int, ...] = LINE, **options: Any) -> Callable[[Bench], Any]:
    return lambda bench: export_to_nir(make(), torch.from_numpy(bench.stimulus("refusals", shape)[0]), **options)


def _dense(node: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(12, 20), node())


def _frames(make: Callable[[], nn.Module]) -> Callable[[Bench], Any]:
    # A pool cannot be a network's first module, whatever its configuration.
    return _export(lambda: nn.Sequential(nn.Conv2d(4, 4, 1), make(), neuron.LIFNode()), (4, 8, 8))


def _import(make: Callable[[np.random.Generator], Graph], **options: Any) -> Callable[[Bench], Any]:
    def call(bench: Bench) -> Any:
        path = bench.file()
        write(path, make(bench.numbers("refusals")))
        return import_from_nir(path, **options)

    return call


def _node(make: Callable[[], Node]) -> Callable[[Bench], Any]:
    return _import(lambda numbers: chain(LINE, (20,), affine(numbers), make()))


def _grouped(bench: Bench) -> Graph:
    numbers = bench.numbers("refusals")
    node = {"weight": weights(numbers, 4, 2, 3, 3), "bias": biases(numbers, 4), "input_shape": np.array((8, 8))}
    whole = {"stride": np.array((1, 1)), "padding": np.array((1, 1)), "dilation": np.array((1, 1)), "groups": np.array(2)}
    return chain((4, 8, 8), (4, 8, 8), Node("Conv2d", {**node, **whole}), lif((4, 8, 8)))


def _grouped_file(bench: Bench) -> Any:
    path = bench.file()
    write(path, _grouped(bench))
    return import_from_nir(path)


def _grouped_object(bench: Bench) -> Any:
    """A graph of the nir package, whose own types have to be left unchecked to make it."""
    first = next(node for name, node in _grouped(bench).primitives() if name == "n0")
    params = {
        name: tuple(value.tolist()) if value.ndim == 1 and name != "bias" else value for name, value in first.params.items()
    }
    nodes = {
        "input": nir.Input(np.array((4, 8, 8))), "conv": nir.Conv2d(**{**params, "groups": 2}),
        "output": nir.Output(np.array((4, 8, 8))),
    }  # fmt: skip
    return import_from_nir(nir.NIRGraph(nodes, [("input", "conv"), ("conv", "output")], type_check=False))


def _linear(numbers: np.random.Generator) -> Node:
    return Node("Linear", {"weight": weights(numbers, 20, 20)})


_TWO = np.linspace(1.0, 2.0, 20)
"""One number per neuron."""

REFUSALS: Mapping[str, tuple[Refusal, ...]] = {
    "refuse dt of export": (
        Refusal("0", _export(_dense(neuron.LIFNode), dt=0.0), ValueError),
        Refusal("-1e-4", _export(_dense(neuron.LIFNode), dt=-1e-4), ValueError),
        Refusal("nan", _export(_dense(neuron.LIFNode), dt=float("nan")), ValueError),
    ),
    "refuse CUBALIF decay": (
        Refusal("c_decay 1", _export(_dense(lambda: neuron.CUBALIFNode(1.0, 0.5))), ValueError),
        Refusal("v_decay 1", _export(_dense(lambda: neuron.CUBALIFNode(0.5, 1.0))), ValueError),
        Refusal("c_decay -0.1", _export(_dense(lambda: neuron.CUBALIFNode(-0.1, 0.5))), ValueError),
    ),
    "refuse soft reset": tuple(
        Refusal(kind.__name__, _export(_dense(lambda kind=kind: kind(v_reset=None))), NotImplementedError)  # type: ignore[misc]
        for kind in (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode, neuron.CUBALIFNode)
    ),
    "refuse grouped convolution": (
        Refusal("torch.nn.Conv2d", _frames(lambda: nn.Conv2d(4, 4, 3, groups=2)), NotImplementedError),
        Refusal("layer.Conv2d", _frames(lambda: layer.Conv2d(4, 4, 3, groups=2)), NotImplementedError),
        Refusal(
            "layer.Conv1d",
            _export(lambda: nn.Sequential(layer.Conv1d(4, 4, 3, groups=2), neuron.LIFNode()), (4, 16)), NotImplementedError,
        ),
    ),
    "refuse other layers": (
        Refusal("AvgPool2d, ceil_mode", _frames(lambda: nn.AvgPool2d(3, ceil_mode=True)), NotImplementedError),
        Refusal("AvgPool2d, divisor_override", _frames(lambda: nn.AvgPool2d(2, divisor_override=3)), NotImplementedError),
        Refusal(
            "AvgPool2d, count_include_pad=False",
            _frames(lambda: nn.AvgPool2d(3, padding=1, count_include_pad=False)), NotImplementedError,
        ),
        Refusal(
            "Conv2d, padding_mode circular",
            _frames(lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")), NotImplementedError,
        ),
    ),
    "refuse other modules": (
        Refusal("torch.nn.MaxPool2d", _frames(lambda: nn.MaxPool2d(2)), NotImplementedError),
        Refusal("layer.BatchNorm2d", _frames(lambda: layer.BatchNorm2d(4)), NotImplementedError),
    ),
    "refuse dt of import": tuple(
        Refusal(f"{dt:g}", _import(lambda numbers: chain(LINE, (20,), affine(numbers), lif((20,))), dt=dt), ValueError)
        for dt in (0.0, -1e-4, float("nan"))
    ),
    "refuse step_mode": (
        Refusal("'x'", _import(lambda numbers: chain(LINE, (20,), affine(numbers), lif((20,))), step_mode="x"), ValueError),
    ),
    "refuse differing neurons": (
        Refusal("LIF, v_threshold", _node(lambda: lif((20,), v_threshold=_TWO)), ValueError),
        Refusal("LIF, tau", _node(lambda: lif((20,), tau=3 * DT * _TWO)), ValueError),
        Refusal("LIF, r", _node(lambda: lif((20,), r=_TWO)), ValueError),
        Refusal("IF, v_threshold", _node(lambda: if_((20,), v_threshold=_TWO)), ValueError),
        Refusal("CubaLIF, v_threshold", _node(lambda: cuba((20,), v_threshold=_TWO)), ValueError),
        Refusal("CubaLIF, w_in", _node(lambda: cuba((20,), w_in=_TWO)), ValueError),
    ),
    "refuse discretization": (
        Refusal("IF, r 1", _node(lambda: if_((20,), r=1.0)), ValueError),
        Refusal("LIF, r 2.5", _node(lambda: lif((20,), r=2.5)), ValueError),
        Refusal("LIF, tau of one step", _node(lambda: lif((20,), tau=DT)), ValueError),
        Refusal("LIF, v_leak 0.3", _node(lambda: lif((20,), v_leak=0.3)), ValueError),
        Refusal("CubaLIF, r 1", _node(lambda: cuba((20,), r=1.0)), ValueError),
        Refusal("CubaLIF, w_in 1", _node(lambda: cuba((20,), w_in=1.0)), ValueError),
        Refusal("CubaLIF, v_leak 0.3", _node(lambda: cuba((20,), v_leak=0.3)), ValueError),
        Refusal("CubaLIF, tau_syn of half a step", _node(lambda: cuba((20,), synapse=0.5)), ValueError),
    ),
    "refuse grouped nodes": (
        Refusal("in a file", _grouped_file, NotImplementedError),
        Refusal("a nir.NIRGraph, its types unchecked", _grouped_object, NotImplementedError),
    ),
    "refuse recurrent in m": (Refusal("through Linear", _import(recurrent(_linear), step_mode="m"), NotImplementedError),),
}  # fmt: skip
"""Key of a promise → the calls that are to raise."""


def refusals(bench: Bench, key: str) -> Iterator[Case]:
    """A promise to refuse: every call."""
    for refusal in REFUSALS[key]:
        yield _refused(bench, refusal)
