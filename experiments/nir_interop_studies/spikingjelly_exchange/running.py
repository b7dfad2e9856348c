"""SpikingJelly's side: modules run step by step and at once, and exported; graphs imported and run in both step modes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from spikingjelly.activation_based import base, functional
from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir
from torch import nn

from nir_interop.graphs import Graph, read, write
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.vocabulary import Stage
from nir_interop_studies.spikingjelly_exchange.bench import (
    DT,
    IMPORTED,
    ORIGINAL,
    REFERENCE,
    Array,
    Bench,
    Compared,
    Numbers,
    Trial,
    biases,
    recorded,
    reference,
    verdict,
    weights,
)


def seeded(net: nn.Module, numbers: Numbers) -> nn.Module:
    """Gaussian weights in all layers that have some; what neurons learn stays as it is."""
    with torch.no_grad():
        for module in net.modules():
            weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
            if isinstance(weight, nn.Parameter):
                weight.copy_(torch.from_numpy(weights(numbers, *weight.shape)))
                if isinstance(bias, nn.Parameter):
                    bias.copy_(torch.from_numpy(biases(numbers, len(bias))))
    return net


def in_mode(net: nn.Module, mode: str) -> nn.Module:
    """All modules that have a step mode in this one; torch's own have none."""
    for module in net.modules():
        if isinstance(module, base.StepModule):
            module.step_mode = mode
    return net


def native(net: nn.Module, stimulus: Array, mode: str = "s") -> Recording:
    """A module of SpikingJelly as it is, from its initial state."""
    functional.reset_net(net)
    with torch.no_grad():
        frames = torch.from_numpy(stimulus)
        output = net(frames) if mode == "m" else torch.stack([net(frame) for frame in frames])
    functional.reset_net(net)
    return recorded(output.numpy())


def imported(graph: Any, stimulus: Array, dt: float = DT, mode: str = "s", **options: Any) -> Recording:
    """What ``import_from_nir`` makes of a graph or a path, run from its initial state."""
    return stepped(import_from_nir(graph, dt=dt, step_mode=mode, **options), stimulus, mode)


def stepped(model: Any, stimulus: Array, mode: str = "s", state: Any = None) -> Recording:
    """An imported model over a stimulus, its state passed on from step to step."""
    return recorded(advanced(model, stimulus, mode, state)[0])


def advanced(model: Any, stimulus: Array, mode: str = "s", state: Any = None) -> tuple[Array, Any]:
    """The same: its output, axes (T, B, ...), and the state at the end."""
    device = next((each.device for each in model.parameters()), "cpu")
    frames = torch.from_numpy(stimulus).to(device)
    with torch.no_grad():
        if mode == "m":
            output, state = model(frames, state)
            return output.cpu().numpy(), state
        outputs = []
        for frame in frames:
            one, state = model(frame, state)
            outputs.append(one)
        return torch.stack(outputs).cpu().numpy(), state


def crossed(
    bench: Bench, name: str, net: nn.Module, stimulus: Array, dt: float = DT, *, mode: str = "s", kinds: Sequence[str] = ()
) -> Trial:
    """Export a module, import the file in both step modes, which have to agree with the module, and put everything beside it.

    kinds : of the nodes that the graph is to have, in their order; empty: whatever it has
    """
    baseline, path = native(net, stimulus, mode), bench.file()
    try:
        example = torch.from_numpy(stimulus if mode == "m" else stimulus[0])
        graph = export_to_nir(net, example, save_path=path, dt=dt)
        found = tuple(type(node).__name__ for node in graph.nodes.values())[1:-1]
    except Exception as error:
        return Trial(name, False, ORIGINAL, "the exporter fails", bench.failed(error))
    sides = beside(bench, baseline, path, stimulus, dt)
    if kinds and found != tuple(kinds):
        return Trial(name, False, ORIGINAL, f"the nodes are {', '.join(found)}", {}, sides)
    return verdict(name, ORIGINAL, sides, tuple(IMPORTED.values()))


def beside(bench: Bench, baseline: Recording, path: Path, stimulus: Array, dt: float = DT) -> dict[str, Compared]:
    """Everything that there is beside a recording of the original module."""
    return _in_modes(bench, baseline, path, stimulus, dt, IMPORTED) | bench.beside(baseline, read(path), stimulus, dt)


def taken(
    bench: Bench, name: str, graph: Graph, stimulus: Array, dt: float = DT, *, modes: Sequence[str] = tuple(IMPORTED)
) -> Trial:
    """Import a graph in step modes and put what comes out beside the reference."""
    path, meant = bench.file(), simulate(graph, stimulus, dt)
    write(path, graph)
    sides = _in_modes(bench, meant, path, stimulus, dt, modes)
    trial = verdict(name, REFERENCE, sides | dict(bench.others(meant, graph, stimulus, dt)), tuple(sides))
    if trial.kept or any(side.mismatched is None for side in sides.values()):
        return trial
    under = reference(imported(path, stimulus, dt), graph, stimulus, dt).under
    remark = f"{trial.remark}; the reference agrees with {under}" if under else trial.remark
    return Trial(name, False, REFERENCE, remark, trial.failed, trial.sides)


def _in_modes(
    bench: Bench, baseline: Recording, path: Path, stimulus: Array, dt: float, modes: Iterable[str]
) -> dict[str, Compared]:
    """What the import gives in each step mode, beside a recording."""
    found: dict[str, Compared] = {}
    for mode in modes:
        try:
            make = partial(stepped, import_from_nir(path, dt=dt, step_mode=mode), stimulus, mode)
            found[IMPORTED[mode]] = bench.attempt(baseline, make)
        except Exception as error:
            found[IMPORTED[mode]] = bench.ended(error, Stage.IMPORT)
    return found
