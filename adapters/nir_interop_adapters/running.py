"""A recording of a user's module: what it gave at each step, and what its neurons did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.own_modules import Run
from nir_interop.errors import CannotRecord
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop_adapters.own_library import OwnLibrary, layers_in, neurons_in, node_name
from nir_interop_adapters.ways import GIVE, Way, as_tensor, deployed, in_time, is_reduced, way_of

Array = NDArray[Any]


def recorded(module: nn.Module, stimulus: Array, library: OwnLibrary, run: Run | None = None) -> Recording:
    """Run a module and keep what came out of it and of its neurons; the module is changed by that."""
    x = as_tensor(stimulus, module)
    with deployed(module, library):
        way = way_of(module, x, library, run)
        steps, batch = way.steps or len(x), x.shape[1]
        seen, output = _run(module, x, library, way, None)
        if not (output.ndim > 1 and output.shape[:2] == (steps, batch)):
            # It sums or averages over time, maybe: what it sums is kept in a second run.
            seen, _ = _run(module, x, library, way, seen.last)
            output = _summed(module, output, in_time(seen.kept, steps, batch), steps)
        spikes, membranes = (_whole(each, steps, batch) for each in (seen.spikes, seen.membranes))
        return Recording(
            outputs={"output": numbers(output[: len(x)])},
            spikes={name: numbers(each[: len(x)]) for name, each in spikes.items()},
            membranes={name: _values(each[: len(x)]) for name, each in membranes.items()},
        )


def _run(module: nn.Module, x: torch.Tensor, library: OwnLibrary, way: Way, kept: str | None) -> tuple[_Watched, torch.Tensor]:
    """One run; kept : path of the layer whose output is kept."""
    library.reset(module)
    seen = _Watched(library, {path: node_name(path, child) for path, child in neurons_in(module, library).items()}, kept)
    with seen.watching(layers_in(module, library)):
        output = way.run(module, x)
    while isinstance(output, (tuple, list)) and output and not _is_steps(output, len(x)):
        output = output[0]
    if isinstance(output, list):
        output = torch.stack(output)
    if not isinstance(output, torch.Tensor):
        raise CannotRecord(f"{type(module).__name__} gives a {type(output).__name__}, not a tensor; {GIVE}")
    return seen, output


def _is_steps(result: Any, steps: int) -> bool:
    """Whether a list is one tensor a step, and not an output with its states."""
    return isinstance(result, list) and len(result) == steps and len({getattr(each, "shape", None) for each in result}) == 1


def _summed(module: nn.Module, output: torch.Tensor, last: torch.Tensor | None, steps: int) -> torch.Tensor:
    """What was summed or averaged over time."""
    if last is not None and is_reduced(output, last, steps):
        return last
    raise CannotRecord(
        f"{type(module).__name__} gives an output of shape {tuple(output.shape)}: no axis of {steps} steps in front, "
        f"nor the sum or the average of its last layer; {GIVE}"
    )


class _Watched:
    """What hooks see of neurons, and of one layer more; last : path of the layer that was called last."""

    def __init__(self, library: OwnLibrary, names: Mapping[str, str], kept: str | None) -> None:
        self.library, self.names, self.wanted = library, names, kept
        self.spikes: dict[str, list[torch.Tensor]] = {}
        self.membranes: dict[str, list[torch.Tensor]] = {}
        self.kept: list[torch.Tensor] = []
        self.last = ""

    @contextmanager
    def watching(self, layers: Mapping[str, nn.Module]) -> Iterator[None]:
        handles = [layer.register_forward_hook(self._hook(path)) for path, layer in layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, path: str) -> Callable[[nn.Module, Any, Any], None]:
        def after(module: nn.Module, _inputs: Any, output: Any) -> None:
            self.last = path
            if path == self.wanted:
                first = output[0] if isinstance(output, (tuple, list)) and output else output
                self.kept += [first] if isinstance(first, torch.Tensor) else []
            if path not in self.names:
                return
            spikes, membrane = self.library.read(module, output)
            if spikes is not None:
                self.spikes.setdefault(self.names[path], []).append(_small(spikes))
            if membrane is not None:
                axis = 1 if self.library.is_sequence(module) else 0
                kept = (
                    membrane.narrow(axis, 0, min(MEMBRANE_SAMPLES, membrane.shape[axis])) if membrane.ndim > axis else membrane
                )
                self.membranes.setdefault(self.names[path], []).append(kept.clone())

        return after


def _whole(seen: Mapping[str, list[torch.Tensor]], steps: int, batch: int) -> dict[str, torch.Tensor]:
    """Of each neuron that was seen once a step, or once in all, all steps; batch: all samples, or those that are kept."""
    found = {}
    for name, parts in seen.items():
        for count in (batch, min(batch, MEMBRANE_SAMPLES)):
            whole = in_time(parts, steps, count)
            if whole is not None:
                found[name] = whole
                break
    return found


def _small(spikes: torch.Tensor) -> torch.Tensor:
    """Counts as small integers: a layer's spikes of all steps are kept at once."""
    small = spikes.to(torch.uint8)
    return small if torch.equal(small.to(spikes.dtype), spikes) else spikes


def numbers(output: torch.Tensor) -> Array:
    """Counts as small integers, all else as it is."""
    small = _small(output.detach()).cpu()
    if small.dtype == torch.uint8:
        counts: Array = small.numpy()
        return counts
    return _values(small)


def _values(seen: torch.Tensor) -> Array:
    plain = seen.detach().cpu()
    values: Array = (plain if plain.dtype == torch.float64 else plain.float()).numpy()
    return values
