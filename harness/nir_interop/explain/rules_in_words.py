"""Update rules in words: a rule as a sentence, what was found of a primitive, and a difference between two rules.

The phrases are those of the axes' values, see :mod:`nir_interop.rule`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Identified, Subject, Wiring
from nir_interop.graphs import NEURONS, SPIKING, Array, Graph, Node
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.reference.neurons import membrane_integrator, synapse_integrator
from nir_interop.rule import AXIS, Decay, Precision, UpdateRule
from nir_interop.vocabulary import PrimitiveStatus

ADDS_UP = "adds up"
"""How I and IF are told, which have no time constant and so do not decay."""

_ALWAYS = ("start", "precision")
_OF_SPIKES = ("comparison", "threshold", "spikes", "floor", "spike_from")
_SCALING = ("gain", "resistance", "decay", "time_step", "synapse_gain", "input_weight")
_OF_SYNAPSE = ("synapse_gain", "input_weight")
_PARAMETERS = ("r", "w_in", "v_leak", "v_reset", "v_threshold")
_SAME = 1e-6
"""A factor this close to 1 is no other input."""


def rule_in_words(rule: UpdateRule, kind: str = "CubaLIF", *, feedback: bool = True) -> str:
    """The rule of a primitive as a sentence: its essentials, and where else it is not NIR's meaning.

    kind : names what there is to say; CubaLIF, the default, has all there is
    feedback : whether there is one, with a bias, of which something could be said
    """

    def phrase(axis: str) -> str:
        value = getattr(rule, axis)
        return str(value.in_rule).format(**AXIS[axis].words)

    names, spiking = PARAMETERS[kind], kind in SPIKING
    leaks = "tau" in names or "tau_mem" in names
    stepped = f"{phrase('decay') if leaks else ADDS_UP} {phrase('time_step')}".strip()
    parts = [phrase("decay") if rule.decay is Decay.NINE_TENTHS else stepped, phrase("gain")]
    parts.append(phrase("resistance") if rule.gain.scales else "")
    if "tau_syn" in names:
        parts += [phrase("synapse_gain"), phrase("input_weight") if rule.synapse_gain.scales else "", phrase("order")]
    if "v_leak" in names:
        parts.append(phrase("leak"))
    if spiking:
        parts += [f"{phrase('reset')} {phrase('timing')}", *map(phrase, _OF_SPIKES)]
    parts += map(phrase, _ALWAYS)
    if spiking and feedback:
        parts.append(phrase("feedback_bias"))
    return "; ".join(part for part in parts if part)


def found_in_words(kind: Subject, one: Identified, *, feedback: bool = True) -> str:
    """What was found of a primitive, as a sentence: a rule only where there is one, and that only where it is known.

    feedback : as of :func:`rule_in_words`
    """
    if not one.outputs:
        dropped = one.refusals and {refusal.status for refusal in one.refusals} == {str(PrimitiveStatus.DROPPED)}
        return "left out" if dropped else "not taken"
    if isinstance(kind, Wiring) or kind not in NEURONS:
        return "as NIR says" if not one.mismatched else "not as NIR says"
    if not one.known:
        return f"no rule found: the closest differs in {one.mismatched} of {one.outputs} outputs"
    return rule_in_words(one.rule, kind, feedback=feedback)


def axes_of(kind: Subject, one: Identified) -> dict[str, str | None]:
    """Axis → value of what was found of a primitive; None throughout for a neuron of which outputs are under no known rule."""
    unruled = kind in NEURONS and one.unruled
    return {axis: None if unruled else value for axis, value in one.rule.as_dict().items()}


def difference_in_words(graph: Graph, source: Side, target: Side, axis: str, kind: str) -> str:
    """What the target does on an axis with neurons of a primitive, what the source does, and what that comes to.

    As in "norse ignores r (here 10), where NIR uses r: LIF gets 0.1 times its input".
    """
    nodes = [node for _, node in graph.primitives() if node.kind == kind]
    made, meant = (f"{side.name} {_does(side, axis, kind)}" for side in (target, source))
    comes_to = "; ".join(_comes_to(nodes, source, target, axis, kind))
    return _with_values(f"{made}, where {meant}", nodes) + (f": {comes_to}" if comes_to else "")


def _does(side: Side, axis: str, kind: str) -> str:
    value = side.value(axis, kind)
    if axis == "decay" and kind in ("I", "IF") and value is not Decay.NINE_TENTHS:
        return ADDS_UP
    tau = "tau_syn" if axis in _OF_SYNAPSE else "tau_mem" if kind.startswith("Cuba") else "tau"
    return str(value.in_difference).format(**AXIS[axis].words, tau=tau, dt=side.dt)


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
        state = "synapse" if axis in _OF_SYNAPSE else "membrane"
        yield f"{_range(decays[0])} of a {state} survives a step, not {_range(decays[1])}"


def _numbers(node: Node, side: Side, axis: str, kind: str) -> tuple[Array, Array]:
    """What an input of 1 adds, and what becomes of a state of 1, in one step; every neuron's."""
    shape = np.broadcast_shapes(*(np.shape(value) for value in node.params.values())) or (1,)
    rule: UpdateRule = side.rules[kind].but(precision=Precision.FLOAT64)
    make = synapse_integrator if axis in _OF_SYNAPSE else membrane_integrator
    kept, driven, silent = make(node, shape, side.dt, rule).responses(shape)
    return (driven - silent).numpy().ravel(), kept.numpy().ravel()


def _range(values: Array) -> str:
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.4g}" if np.isclose(low, high, rtol=1e-6) else f"{low:.4g} to {high:.4g}"
