"""A NIR neuron run over a sequence of steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from math import prod

import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Node
from nir_interop.graphs.primitives import DEFAULTS
from nir_interop.reference.exact.equations import Array, Equation, Leak, Ramp, State, Synapse
from nir_interop.reference.exact.events import Listener, Spike, fire_by_charge, fire_one_by_one, fire_periodically

_EQUATIONS: dict[str, type[Equation]] = {
    "I": Ramp,
    "IF": Ramp,
    "LI": Leak,
    "LIF": Leak,
    "CubaLI": Synapse,
    "CubaLIF": Synapse,
}
_FIRE = {"IF": fire_by_charge, "LIF": fire_periodically, "CubaLIF": fire_one_by_one}


class ExactNeuron(ABC):
    """One node's neurons, in continuous time.

    node : an I, IF, LI, LIF, CubaLI or CubaLIF; parameters in NIR's units, each of the node's shape or a single number
    shape : of the node's input and output, without batch and time
    dt : how long an input lasts [s]

    Raises InvalidGraph for a kind without an equation, a parameter that is missing or does not fit the shape, a time constant
    that is not positive, and a reset at or above the threshold.
    """

    def __init__(self, node: Node, shape: tuple[int, ...], dt: float) -> None:
        if node.kind not in _EQUATIONS:
            raise InvalidGraph(f"{node.kind} has no membrane equation; choose one of {', '.join(_EQUATIONS)}")
        self.shape = tuple(shape)
        self.dt = dt
        kind = _EQUATIONS[node.kind]
        self.equation = kind(**{field.name: _parameter(node, field.name, self.shape) for field in fields(kind)})
        for name in ("tau", "tau_syn", "tau_mem"):
            if (getattr(self.equation, name, np.ones(1)) <= 0).any():
                raise InvalidGraph(f"{node.kind}: {name} must be positive")

    def start(self, batch: int) -> State:
        """The state before the first step: zeros, (B, \\*shape)."""
        return {name: np.zeros((batch, *self.shape)) for name in self.equation.states}

    def sequence(self, x: Array, state: State) -> tuple[Array, Array, State]:
        """Run over a sequence.

        x : input [A], (T, B, \\*shape), each constant for dt seconds
        state : as from :meth:`start` or an earlier call; left as it is

        Returns what the node hands on (spike counts, or membranes where it has no threshold), the membranes at the ends of the
        steps [V], both (T, B, \\*shape), and the state after the last step.
        Raises BadStimulus where a neuron spikes too often in one step.
        """
        steps, batch = x.shape[:2]
        neurons = (batch, prod(self.shape))
        currents = np.asarray(x, dtype=np.float64).reshape(steps, *neurons)
        now = {name: values.reshape(neurons) for name, values in state.items()}
        output, membrane = np.empty_like(currents), np.empty_like(currents)
        for step, current in enumerate(currents):
            output[step], now = self.step(current, now)
            membrane[step] = now["v"]
        end = {name: values.reshape(batch, *self.shape) for name, values in now.items()}
        return output.reshape(x.shape), membrane.reshape(x.shape), end

    @abstractmethod
    def step(self, x: Array, state: State) -> tuple[Array, State]:
        """One step: input (B, n) and state before → what is handed on (B, n) and state after."""


class Integrating(ExactNeuron):
    """I, LI, CubaLI: the membrane is the output."""

    def step(self, x: Array, state: State) -> tuple[Array, State]:
        end = self.equation.after(state, x, self.dt)
        return end["v"], end


class Spiking(ExactNeuron):
    """IF, LIF, CubaLIF: spikes are the output."""

    def __init__(self, node: Node, shape: tuple[int, ...], dt: float) -> None:
        super().__init__(node, shape, dt)
        self.spike = Spike(_parameter(node, "v_threshold", self.shape), _parameter(node, "v_reset", self.shape))
        if (self.spike.v_reset >= self.spike.v_threshold).any():
            raise InvalidGraph(f"{node.kind}: v_reset must lie below v_threshold")
        self.fire = _FIRE[node.kind]

    def step(self, x: Array, state: State) -> tuple[Array, State]:
        # Most neurons do not spike in most steps: let all run freely, then follow those that may have met the threshold.
        theta = self.spike.v_threshold
        counts, end = np.zeros_like(x), self.equation.after(state, x, self.dt)
        who = np.nonzero(self.equation.may_rise(state, end, x, theta) | (state["v"] > theta))
        if who[0].size:
            equation, spike = self.equation.of(who[1]), self.spike.of(who[1])
            counts[who], after = self.fire(equation, spike, {name: state[name][who] for name in state}, x[who], self.dt)
            for name, values in after.items():
                end[name][who] = values
        return counts, end


def exact_neuron(node: Node, shape: tuple[int, ...], dt: float) -> ExactNeuron:
    """The neurons of a node, by its kind; arguments and errors as for :class:`ExactNeuron`."""
    return Spiking(node, shape, dt) if node.kind in _FIRE else Integrating(node, shape, dt)


def spike_times(node: Node, current: Array, dt: float) -> list[Array]:
    """When the neurons of a node spike, from zero state.

    node : an IF, LIF or CubaLIF
    current : input [A], (T, \\*shape), each constant for dt seconds

    Returns one array of times [s] per neuron, in the order of the flattened shape.
    Raises InvalidGraph for a node without a threshold, and BadStimulus beyond MOST_SPIKES spikes in a step.
    """
    neuron = exact_neuron(node, current.shape[1:], dt)
    if not isinstance(neuron, Spiking):
        raise InvalidGraph(f"{node.kind} does not spike; choose one of {', '.join(_FIRE)}")
    currents = np.asarray(current, dtype=np.float64).reshape(len(current), -1)
    times: list[list[float]] = [[] for _ in range(currents.shape[1])]
    state = {name: values.ravel() for name, values in neuron.start(1).items()}
    for step, x in enumerate(currents):
        _, state = fire_one_by_one(neuron.equation, neuron.spike, state, x, dt, _keep(times, step * dt))
    return [np.array(mine) for mine in times]


def _keep(times: list[list[float]], begin: float) -> Listener:
    def listen(who: np.ndarray[tuple[int, ...], np.dtype[np.intp]], clock: Array) -> None:
        for neuron, time in zip(who, clock, strict=True):
            times[neuron].append(begin + float(time))

    return listen


def _parameter(node: Node, name: str, shape: tuple[int, ...]) -> Array:
    """A parameter as one float64 a neuron, (n,)."""
    value = node.get(name)
    if value is None:
        if name not in DEFAULTS:
            raise InvalidGraph(f"{node.kind}: {name} is missing")
        value = np.array(DEFAULTS[name])
    value = np.asarray(value, dtype=np.float64)
    if value.size == 1:
        value = np.broadcast_to(value.reshape(()), shape)
    elif value.shape != shape:
        raise InvalidGraph(f"{node.kind}: {name} has shape {value.shape}, the node has {shape}")
    return value.reshape(-1)
