"""A backend whose neurons no rule describes: their threshold rises with each spike and falls back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from nir_interop.graphs import Node
from nir_interop.reference import Simulator
from nir_interop.reference.neurons import Element, State, SteppedNeuron, Trace
from nir_interop.rule import NIR_MEANING
from nir_interop_adapters.reference import Reference

NAME = "adaptive"
RISE, FALL = 0.5, 0.9
"""What a spike adds to a threshold, in units of it, and how much of that is left a step later."""


class AdaptiveNeuron(SteppedNeuron):
    """As NIR means it, but for its threshold."""

    def sequence(self, x: Tensor, state: State) -> Trace:
        """Advance by as many steps as ``x`` has."""
        if not self.spiking:
            return super().sequence(x, state)
        current, kept = self.current(x.to(self.dtype), state)
        drive, v, raised = self.membrane.drive(current), state["v"], state.get("raised", torch.zeros_like(state["v"]))
        spikes = torch.empty_like(drive)
        for t in range(len(drive)):
            v = self.membrane.advance(v, drive[t])
            spikes[t] = v > self.threshold + raised
            v, raised = self.reset(v, spikes[t]), FALL * raised + RISE * self.threshold * spikes[t]
        return Trace(spikes, kept | {"v": v, "s": spikes[-1], "raised": raised})


def neuron(node: Node, shape: tuple[int, ...], dt: float) -> Element:
    return AdaptiveNeuron(node, shape, dt, NIR_MEANING)


class Adaptive(Reference):
    name: ClassVar[str] = NAME

    def _simulator(self, graph: Any, dt: float) -> Simulator:
        return Simulator(graph, dt, neuron=neuron)


def install(folder: Path) -> None:
    """Put the backend into a folder as an installed package is."""
    metadata = folder / "adaptive-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: adaptive\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[nir_interop.adapters]\n{NAME} = adaptive_module:Adaptive\n")
    (folder / "adaptive_module.py").write_text(Path(__file__).read_text())
