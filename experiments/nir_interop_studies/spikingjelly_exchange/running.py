"""SpikingJelly's side: modules run step by step and at once, and exported; graphs imported and run in both step modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spikingjelly.activation_based import base, functional
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

from nir_interop.graphs import Graph, read, write
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.vocabulary import Stage, Status
from nir_interop_studies.spikingjelly_exchange.bench import (
    DT,
    IMPORTED,
    ORIGINAL,
    REFERENCE,
    Bench,
    Case,
    Compared,
    recorded,
    verdict,
)

Array = NDArray[Any]


def seeded(net: nn.Module, numbers: np.random.Generator, gain: float = 2.5) -> nn.Module:
    """Gaussian weights in all layers that have some; what neurons learn stays as it is."""
    with torch.no_grad():
        for module in net.modules():
            weight = getattr(module, "weight", None)
            if not isinstance(weight, nn.Parameter):
                continue
            spread = gain / np.sqrt(weight[0].numel())
            weight.copy_(torch.from_numpy(numbers.normal(0.0, spread, tuple(weight.shape))))
            bias = getattr(module, "bias", None)
            if isinstance(bias, nn.Parameter):
                bias.copy_(torch.from_numpy(numbers.normal(0.2, 0.2, tuple(bias.shape))))
    return net


def native(net: nn.Module, stimulus: Array, mode: str = "s") -> Recording:
    """A module of SpikingJelly as it is, from its initial state."""
    functional.reset_net(net)
    with torch.no_grad():
        frames = torch.from_numpy(stimulus)
        output = net(frames) if mode == "m" else torch.stack([net(frame) for frame in frames])
    functional.reset_net(net)
    return recorded(output.numpy())


def imported(graph: Any, stimulus: Array, dt: float, mode: str = "s", **options: Any) -> Recording:
    """What ``import_from_nir`` makes of a graph or a path, run from its initial state."""
    return stepped(import_from_nir(graph, dt=dt, step_mode=mode, **options), stimulus, mode)


def stepped(model: Any, stimulus: Array, mode: str = "s", state: Any = None) -> Recording:
    """An imported model over a stimulus, its state passed on from step to step."""
    with torch.no_grad():
        frames = torch.from_numpy(stimulus)
        if mode == "m":
            output, _ = model(frames, state)
            return recorded(output.cpu().numpy())
        outputs = []
        for frame in frames:
            one, state = model(frame, state)
            outputs.append(one)
        return recorded(torch.stack(outputs).cpu().numpy())


def set_mode(net: nn.Module, mode: str) -> nn.Module:
    """Step mode of all modules that have one; torch's own have none."""
    for module in net.modules():
        if isinstance(module, base.StepModule):
            module.step_mode = mode
    return net


def example_of(stimulus: Array, mode: str) -> torch.Tensor:
    """What a model in this step mode takes: one step, or all."""
    return torch.from_numpy(stimulus if mode == "m" else stimulus[0])


def crossed(
    bench: Bench,
    name: str,
    net: nn.Module,
    stimulus: Array,
    dt: float = DT,
    *,
    mode: str = "s",
    kinds: tuple[str, ...] = (),
    must: tuple[str, ...] = tuple(IMPORTED.values()),
) -> Case:
    """Export a module, import the file in both step modes, and put everything beside the module itself.

    kinds : of the nodes that the graph is to have, in their order; empty: whatever it has
    must : the sides that have to agree with the module
    """
    baseline = native(net, stimulus, mode)
    path = bench.file()
    try:
        graph = export_to_nir(net, example_of(stimulus, mode), save_path=path, dt=dt)
        found = tuple(type(node).__name__ for node in graph.nodes.values())[1:-1]
    except Exception as error:
        return Case(name, False, ORIGINAL, "the exporter fails", bench.failed(error))
    sides = beside(bench, baseline, path, stimulus, dt)
    if kinds and found != kinds:
        return Case(name, False, ORIGINAL, f"the nodes are {', '.join(found)}", {}, sides)
    return verdict(name, ORIGINAL, sides, must)


def beside(bench: Bench, baseline: Recording, path: Path, stimulus: Array, dt: float) -> dict[str, Compared]:
    """Everything that there is beside a recording of the original module."""
    sides = _both_modes(bench, baseline, path, stimulus, dt)
    graph = read(path)
    sides[REFERENCE] = bench.reference(baseline, graph, stimulus, dt)
    agrees = sides[REFERENCE].status is Status.EXACT
    return sides | dict(bench.others(baseline, graph, stimulus, dt, agrees=agrees))


def taken(
    bench: Bench, name: str, graph: Graph, stimulus: Array, dt: float = DT, *, modes: tuple[str, ...] = ("s", "m")
) -> Case:
    """Import a graph in step modes and put what comes out beside the reference."""
    path = bench.file()
    write(path, graph)
    baseline = simulate(graph, stimulus, dt)
    sides = _both_modes(bench, baseline, path, stimulus, dt, modes)
    case = verdict(name, REFERENCE, sides | dict(bench.others(baseline, graph, stimulus, dt)), tuple(sides))
    if case.kept or any(side.mismatched is None for side in sides.values()):
        return case
    under = bench.reference(imported(path, stimulus, dt), graph, stimulus, dt).under
    remark = f"{case.remark}; the reference agrees with {under}" if under else case.remark
    return Case(name, False, REFERENCE, remark, case.failed, case.sides)


def _both_modes(
    bench: Bench, baseline: Recording, path: Path, stimulus: Array, dt: float, modes: tuple[str, ...] = ("s", "m")
) -> dict[str, Compared]:
    found: dict[str, Compared] = {}
    for mode in modes:
        try:
            model = import_from_nir(path, dt=dt, step_mode=mode)
        except Exception as error:
            found[IMPORTED[mode]] = bench.attempt(baseline, Stage.IMPORT, lambda error=error: _raise(error))  # type: ignore[misc]
            continue
        found[IMPORTED[mode]] = bench.attempt(
            baseline, Stage.RUN, lambda model=model, mode=mode: stepped(model, stimulus, mode)  # type: ignore[misc]
        )  # fmt: skip
    return found


def _raise(error: Exception) -> Recording:
    raise error
