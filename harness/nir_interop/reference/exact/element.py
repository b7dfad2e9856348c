"""The exact neurons as elements of the simulator: ``Simulator(graph, dt, neuron=ExactElement)`` is the exact backend."""

from __future__ import annotations

import torch
from torch import Tensor

from nir_interop.graphs import Node
from nir_interop.recording import MEMBRANE_SAMPLES
from nir_interop.reference.exact.neuron import exact_neuron
from nir_interop.reference.neurons import State, Trace


class ExactElement:
    """An :class:`ExactNeuron` that speaks tensors; arguments and errors are the same.  Trace and tensors are float64.

    A trace has no margin: no membrane is compared with a threshold at the end of a step.
    """

    def __init__(self, node: Node, shape: tuple[int, ...], dt: float) -> None:
        self.neuron = exact_neuron(node, shape, dt)

    def start(self, batch: int) -> State:
        """The state before the first step."""
        return {name: torch.from_numpy(values) for name, values in self.neuron.start(batch).items()}

    def sequence(self, x: Tensor, state: State) -> Trace:
        """Advance by as many steps as ``x`` has, axes (T, B, \\*shape)."""
        before = {name: values.numpy() for name, values in state.items()}
        output, membrane, after = self.neuron.sequence(x.to(torch.float64).numpy(), before)
        kept = {name: torch.from_numpy(values) for name, values in after.items()}
        return Trace(torch.from_numpy(output), kept, torch.from_numpy(membrane[:, :MEMBRANE_SAMPLES]))
