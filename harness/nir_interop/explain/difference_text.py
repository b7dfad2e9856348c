"""A difference between two rules in one sentence: what each side does, with which parameters, and what that comes to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from nir_interop.agreement.side import Side
from nir_interop.graphs import Array, Graph, Node
from nir_interop.reference.coefficients import FIXED_DT, Memory, membrane_memory, synapse_memory
from nir_interop.rule import (
    Axis,
    Comparison,
    Decay,
    FeedbackBias,
    Floor,
    Gain,
    LeakUse,
    Order,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)

_DOES: Mapping[Axis, str] = {
    Decay.EULER: "decays by forward Euler",
    Decay.EULER_CLAMPED: "decays by forward Euler, never below 0 or above 1",
    Decay.EXPONENTIAL: "decays exponentially",
    Decay.NINE_TENTHS: "keeps 0.9 of a membrane in a step, whatever that is",
    Order.SYNAPSE_FIRST: "advances the synapse before the membrane",
    Order.MEMBRANE_FIRST: "feeds the membrane before it advances the synapse",
    Comparison.ABOVE: "fires above the threshold only",
    Comparison.AT_OR_ABOVE: "fires at the threshold already",
    ResetKind.TO_VALUE: "resets to v_reset",
    ResetKind.TO_ZERO: "resets to 0",
    ResetKind.SUBTRACT: "resets by subtracting the threshold",
    ResetKind.SUBTRACT_ALL: "resets by subtracting the threshold for each spike",
    Timing.SAME_STEP: "resets in the step of the spike",
    Timing.NEXT_STEP: "resets one step after the spike",
    Timing.CARRIED: "compares a membrane that its reset left above the threshold one threshold lower",
    SpikesPerStep.ONE: "fires once a step at most",
    SpikesPerStep.MANY: "fires several times in a step",
    Floor.NONE: "has no floor",
    Floor.MINUS_THRESHOLD: "keeps the membrane above minus the threshold",
    Start.ZERO: "starts at 0",
    Start.LEAK: "starts at v_leak",
    Start.RESET: "starts at v_reset",
    SpikeFrom.UPDATED: "reads spikes from the updated membrane",
    SpikeFrom.PREVIOUS: "reads spikes from the membrane before the update",
    FeedbackBias.PRESENT: "has a feedback's bias at the first step",
    FeedbackBias.ABSENT: "leaves out a feedback's bias at the first step",
    TimeStep.FIXED: f"takes a dt of {FIXED_DT:g} s, whatever it is given",
    TimeStep.UNIT: "reads time constants as numbers of steps",
    TimeStep.INFERRED: "guesses dt from tau and r",
    LeakUse.USED: "relaxes to v_leak",
    LeakUse.IGNORED: "ignores v_leak",
    LeakUse.ON_SYNAPSE: "gives v_leak to the synapse as well",
    LeakUse.ADDED: "adds v_leak at every step",
    Precision.FLOAT64: "computes in double precision",
    Precision.FLOAT32: "computes in single precision",
    Precision.FIXED: "computes in fixed-point integers",
}
_GAINS = {
    Gain.STEP: "scales {input} by {factor} dt/{tau}",
    Gain.COMPLEMENT: "scales {input} by {factor} times one minus the decay",
    Gain.ONE: "adds {input} as it is",
    Gain.JUMP: "adds {input}, then decays",
}
_USES = {Use.USED: "uses {name}", Use.IGNORED: "ignores {name}", Use.COLLAPSED: "uses one {name} for all neurons"}
_USED = {"resistance": "r", "input_weight": "w_in", "threshold": "v_threshold"}
_SYNAPTIC = ("synapse_gain", "input_weight")
_SCALING = ("gain", "resistance", "decay", "time_step", *_SYNAPTIC)
_PARAMETERS = ("r", "w_in", "v_leak", "v_reset", "v_threshold")
_SAME = 1e-6
"""A factor this close to 1 is no other input."""


def difference(graph: Graph, source: Side, target: Side, axis: str, kind: str) -> str:
    """What the target does on an axis with neurons of a primitive, what the source does, and what that comes to.

    As in "norse ignores r (here 10), where NIR uses r: LIF gets 0.1 times its input".
    """
    nodes = [node for _, node in graph.primitives() if node.kind == kind]
    made, meant = (f"{side.name} {_does(side, axis, kind)}" for side in (target, source))
    come = "; ".join(_comes_to(nodes, source, target, axis, kind))
    return _with_values(f"{made}, where {meant}", nodes) + (f": {come}" if come else "")


def _does(side: Side, axis: str, kind: str) -> str:
    value = getattr(side.rules[kind], axis)
    if axis in _USED:
        return _USES[value].format(name=_USED[axis])
    if axis in ("gain", "synapse_gain"):
        synaptic = axis == "synapse_gain"
        tau = "tau_syn" if synaptic else "tau_mem" if kind.startswith("Cuba") else "tau"
        words = {"input": "the synapse's input" if synaptic else "the input", "factor": "w_in" if synaptic else "r", "tau": tau}
        return _GAINS[value].format(**words)
    if axis == "decay" and kind in ("I", "IF") and value is not Decay.NINE_TENTHS:
        return "adds up"
    if value is TimeStep.GIVEN:
        return f"takes the dt of {side.dt:g} s it is given"
    return _DOES[value]


def _with_values(sentence: str, nodes: list[Node]) -> str:
    """The sentence with the values of the parameters that it names, each where it is named first."""
    for name in _PARAMETERS:
        values = [np.ravel(node[name]) for node in nodes if name in node.params]
        if values:
            here = f"{name} (here {_range(np.concatenate(values))})"
            sentence = re.sub(rf"\b{name}\b", here, sentence, count=1)
    return sentence


def _comes_to(nodes: list[Node], source: Side, target: Side, axis: str, kind: str) -> Iterator[str]:
    """The factor between the inputs, and the shares that survive a step, where the axis alone makes another."""
    if axis not in _SCALING or not nodes:
        return
    mended = target.take_at([(axis, kind)], source)
    here, there = ([_numbers(node, side, axis, kind) for node in nodes] for side in (target, mended))
    gains, decays = (
        [np.concatenate([each[number] for each in found]) for found in (here, there)] for number in (0, 1)
    )  # of the target, and of the target with the source's axis
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = gains[0] / gains[1]
    if np.isfinite(factor).all() and (np.abs(factor - 1) > _SAME).any():
        yield f"{kind} gets {_range(factor)} times its input"
    if (np.abs(decays[0] - decays[1]) > _SAME).any():
        state = "synapse" if axis in _SYNAPTIC else "membrane"
        yield f"{_range(decays[0])} of a {state} survives a step, not {_range(decays[1])}"


def _numbers(node: Node, side: Side, axis: str, kind: str) -> tuple[Array, Array]:
    """What an input of 1 adds, and what becomes of a state of 1, in one step; every neuron's."""
    shape = np.broadcast_shapes(*(np.shape(value) for value in node.params.values())) or (1,)
    rule: UpdateRule = side.rules[kind].but(precision=Precision.FLOAT64)
    memory: Memory = (synapse_memory if axis in _SYNAPTIC else membrane_memory)(node, shape, side.dt, rule)
    one, zero = (torch.full(shape, value, dtype=torch.float64) for value in (1.0, 0.0))
    silent = memory.drive(zero.clone()) + zero
    gain = memory.drive(one.clone()) + zero - silent
    decay = memory.advance(one.clone(), zero.clone())
    return gain.numpy().ravel(), decay.numpy().ravel()


def _range(values: Array) -> str:
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.4g}" if np.isclose(low, high, rtol=1e-6) else f"{low:.4g} to {high:.4g}"
