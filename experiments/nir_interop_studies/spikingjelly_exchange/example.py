"""The example of SpikingJelly's tutorial, in both of its editions: what is printed there, and what is answered today."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
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
from nir_interop_studies.spikingjelly_exchange.promises import read_rows
from nir_interop_studies.spikingjelly_exchange.running import beside, native

FIRST = "0.0.0.1.0"
"""The version that came with the first edition of the tutorial."""
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
    edition : whose answers stand beside its own; a change of ours is one of the first edition's network
    """

    name: str
    last: Callable[[], nn.Module]
    edition: str = FIRST

    @property
    def printed(self) -> dict[str, str]:
        """Step → what the tutorial prints; the 2.0.0 edition does not print the imported modules."""
        return {row["step"]: row[self.edition] for row in read_rows("example.csv") if row[self.edition]}


_PARAMETRIC = partial(neuron.ParametricLIFNode, 10.0)
_LIF = partial(neuron.LIFNode, 10.0, decay_input=False, v_reset=None)
PRINTED = Variant(f"as printed in {FIRST}", partial(_PARAMETRIC, decay_input=False, v_reset=None))
CURRENT = Variant("as printed in 2.0.0", partial(_PARAMETRIC, decay_input=False, v_reset=0.0), "2.0.0")
CHANGES = (
    Variant("v_reset left out", partial(_PARAMETRIC, decay_input=False)),
    Variant("decay_input left out", partial(_PARAMETRIC, v_reset=None)),
    Variant("LIFNode in the place of ParametricLIFNode", _LIF),
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
            today, failed = found.get(step, ("", {}))
            printed = variant.printed.get(step, "")
            same = printed == today if printed else None
            yield _row(variant, step, printed, today or ("" if failed else "not reached"), same, failed)
        if variant in CHANGES and LAST in found:
            enough.append(variant)
    for variant, steps in product(enough, STEPS):
        stimulus = _input(bench, (steps, *SINGLE))
        sides = compared(*(native(network(bench, each), stimulus) for each in (PRINTED, variant)))
        step = f"spikes of {steps} steps beside those of the printed network"
        today = f"{sides.spikes} spikes, {sides.mismatched} of {sides.outputs} outputs differ"
        yield _row(variant, step, f"{sides.spikes_baseline} spikes", today)


def _row(variant: Variant, step: str, printed: str, today: str, same: bool | None = None, failed: Any = None) -> dict[str, Any]:
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
