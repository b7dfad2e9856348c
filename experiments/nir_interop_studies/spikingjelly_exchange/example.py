"""The example of SpikingJelly's tutorial, in both of its editions: what is printed there, and what is answered today."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

from nir_interop_studies.spikingjelly_exchange.bench import (
    DATASET,
    DT,
    ERROR,
    IMPORTED,
    ORIGINAL,
    Array,
    Bench,
    Trial,
    compared,
    verdict,
)
from nir_interop_studies.spikingjelly_exchange.running import beside, native

FRAME = (3, 32, 32)
EXAMPLE, SINGLE, MULTI = (8, *FRAME), (9, *FRAME), (7, 9, *FRAME)
"""Of the tutorial: the example input, one step, seven steps."""
STEPS = (MULTI[0], 50)
"""Of runs: as many as there, and more, since seven leave few spikes."""

LAST = f"y.shape of {MULTI}, step_mode='m'"

Answer = tuple[str, str, Mapping[str, Any]]
"""Step of the tutorial, what it answers, what was raised."""


@dataclass(frozen=True)
class Variant:
    """The example with other neurons at its end.

    last : makes them
    printed : what the tutorial prints, by step; beside a change of ours stands what is printed of the unchanged network
    """

    name: str
    last: Callable[[], nn.Module]
    printed: Mapping[str, str]


_PRINTED = {
    "export_to_nir": "a graph",
    "nodes": "input_1 Input, _0 Conv2d, _1 IF, _2 AvgPool2d, _3 Flatten, _4 Affine, _5 LIF, output Output",
    "edges": "input_1 to _0, _0 to _1, _1 to _2, _2 to _3, _3 to _4, _4 to _5, _5 to output",
    "shape of Input": "[3, 32, 32]",
    "input_type of _3": "[16, 16, 16]",
    "output_type of _3": "[4096]",
    "shape of Output": "[10]",
    "import_from_nir": "a model",
    "y.shape of (9, 3, 32, 32)": "[9, 10]",
}
# The tutorial's first edition prints the imported modules too; what the 2.0.0 edition leaves out stays empty.
_FIRST = _PRINTED | {
    "module _0": "Conv2d(16, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), step_mode=s)",
    "module _2": "AvgPool2d(kernel_size=(2, 2), stride=(2, 2), padding=0, step_mode=s)",
    "module _5": "LIFNode(v_threshold=1.0, v_reset=0.0, tau=10.0)",
    "type of the state": "dict",
}

_PARAMETRIC = partial(neuron.ParametricLIFNode, 10.0)
PRINTED = Variant("as printed in 0.0.0.1.0", partial(_PARAMETRIC, decay_input=False, v_reset=None), _FIRST)
CURRENT = Variant("as printed in 2.0.0", partial(_PARAMETRIC, decay_input=False, v_reset=0.0), _PRINTED)
_LIF = partial(neuron.LIFNode, 10.0, decay_input=False, v_reset=None)
CHANGES = (
    Variant("v_reset left out", partial(_PARAMETRIC, decay_input=False), _FIRST),
    Variant("decay_input left out", partial(_PARAMETRIC, v_reset=None), _FIRST),
    Variant("LIFNode in the place of ParametricLIFNode", _LIF, _FIRST),
)
"""Of the first edition's network, each one change: which is enough?"""


def network(bench: Bench, variant: Variant) -> nn.Module:
    """The tutorial's network as torch initialises it, from the same seed for every variant."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(bench.seed)
        convolution, pool = layer.Conv2d(3, 16, 3, 1, 1, step_mode="s"), nn.AvgPool2d((2, 2))
        flatten = layer.Flatten(step_mode="s")
        return nn.Sequential(convolution, neuron.IFNode(), pool, flatten, nn.Linear(4096, 10), variant.last())


def _input(bench: Bench, shape: tuple[int, ...]) -> Array:
    return bench.numbers(f"example {shape}").random(shape).astype(np.float32)


def _exported(bench: Bench, net: nn.Module, path: Path) -> Any:
    return export_to_nir(net, example_input=torch.from_numpy(_input(bench, EXAMPLE)), save_path=path, dt=DT)


def _shown(shape: Any) -> str:
    return str([int(size) for size in shape])


def answers(bench: Bench, variant: Variant) -> Iterator[Answer]:
    """Step by step as in the tutorial; ends where something is raised."""
    path, step = bench.file(), "export_to_nir"
    try:
        graph = _exported(bench, network(bench, variant), path)
        yield step, "a graph", {}
        nodes = graph.nodes
        yield "nodes", ", ".join(f"{name} {type(node).__name__}" for name, node in nodes.items()), {}
        yield "edges", ", ".join(f"{source} to {target}" for source, target in graph.edges), {}
        yield "shape of Input", _shown(nodes["input_1"].input_type["input"]), {}
        yield "input_type of _3", _shown(nodes["_3"].input_type["input"]), {}
        yield "output_type of _3", _shown(nodes["_3"].output_type["output"]), {}
        yield "shape of Output", _shown(nodes["output"].output_type["output"]), {}
        step = "import_from_nir"
        yield from _imported(bench, path)
    except Exception as error:
        yield step, "", bench.failed(error)


def _imported(bench: Bench, path: Path) -> Iterator[Answer]:
    model = import_from_nir(graph=path, dt=DT)
    yield "import_from_nir", "a model", {}
    yield "module _0", str(model.get_submodule("_0")), {}
    yield "module _2", str(model.get_submodule("_2")), {}
    last = model.get_submodule("_5.module")
    values = f"v_threshold={last.v_threshold}, v_reset={last.v_reset}, tau={last.tau}"
    yield "module _5", f"{type(last).__name__}({values})", {}
    with torch.no_grad():
        output, state = model(torch.from_numpy(_input(bench, SINGLE)))
        yield f"y.shape of {SINGLE}", _shown(output.shape), {}
        yield "type of the state", type(state).__name__, {}
        model = import_from_nir(path, dt=DT, step_mode="m")
        yield LAST, _shown(model(torch.from_numpy(_input(bench, MULTI)))[0].shape), {}


def example_rows(bench: Bench) -> Iterator[dict[str, Any]]:
    """Every variant, every step; and what the change that is enough does to the spikes."""
    enough: list[Variant] = []
    for variant in (PRINTED, *CHANGES, CURRENT):
        found = {step: (today, failed) for step, today, failed in answers(bench, variant)}
        for step in dict.fromkeys((*found, *variant.printed)):
            today, failed = found.get(step, ("not reached", {}))
            printed = variant.printed.get(step, "")
            yield _row(variant, step, printed, today, printed == found.get(step, ("",))[0] if printed else None, failed)
        if variant in CHANGES and LAST in found:
            enough.append(variant)
    for variant in enough:
        for steps in STEPS:
            stimulus = _input(bench, (steps, *SINGLE))
            sides = compared(*(native(network(bench, each), stimulus) for each in (PRINTED, variant)))
            today = f"{sides.spikes} spikes, {sides.mismatched} of {sides.outputs} outputs differ"
            step = f"spikes of {steps} steps beside those of the printed network"
            yield _row(variant, step, f"{sides.spikes_baseline} spikes", today, None)


def _row(
    variant: Variant, step: str, printed: str, today: str, same: bool | None, failed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    row = {"dataset": DATASET, "variant": variant.name, "step": step, "printed": printed, "today": today, "same": same}
    return row | {name: (failed or {}).get(name, "") for name in ERROR}


def first_edition(bench: Bench, _promise: str = "") -> Iterator[Trial]:
    """The promise of the first edition, today."""
    failed = next(((step, failed) for step, _, failed in answers(bench, PRINTED) if failed), None)
    yield Trial("from start to end", True) if failed is None else _fails(*failed)


def _fails(step: str, failed: Mapping[str, Any]) -> Trial:
    return Trial(step, False, remark="as printed there it fails", failed=failed)


def current(bench: Bench, _promise: str = "") -> Iterator[Trial]:
    """The promise of the 2.0.0 edition: every step, then spikes, as many steps as there, and more of them."""
    for step, today, failed in answers(bench, CURRENT):
        printed = CURRENT.printed.get(step)
        if failed:
            yield _fails(step, failed)
            return
        if printed is not None and printed != today:
            yield Trial(step, False, remark=f"{today} where {printed} is printed")
    net, path = network(bench, CURRENT), bench.file()
    _exported(bench, net, path)
    for steps in STEPS:
        stimulus = _input(bench, (steps, *SINGLE))
        sides = beside(bench, native(net, stimulus), path, stimulus)
        yield verdict(f"spikes of {steps} steps", ORIGINAL, sides, tuple(IMPORTED.values()))
