"""Conditions, primitives and wirings in words: what a library was asked for, as tables and messages say it."""

from __future__ import annotations

from collections.abc import Mapping

from nir_interop.fingerprint import (
    Circuit,
    Condition,
    FlattenDims,
    Form,
    Gains,
    GainState,
    GivenField,
    Join,
    Nesting,
    NeuronCondition,
    Outputs,
    Recurrence,
    Subject,
    Wiring,
    Written,
)
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.rule import FIXED_DT

_WIRINGS: Mapping[Wiring, str] = {
    Wiring.JOIN: "join",
    Wiring.NESTING: "nesting",
    Wiring.RECURRENCE: "recurrence",
    Wiring.SEVERAL_OUTPUTS: "several Outputs",
}
_CIRCUITS: Mapping[Circuit, str] = {
    Circuit.CHAIN: "a chain of two layers",
    Circuit.CYCLE: "a recurrence with a bias",
    Circuit.NESTED_CYCLE: "a recurrence with a bias, nested",
    Circuit.PLAIN_CYCLE: "a recurrence without a bias",
    Circuit.NESTED_PLAIN_CYCLE: "a recurrence without a bias, nested",
}
_PHRASES: Mapping[Form | Written | Join | Recurrence | Nesting | Outputs, str] = {
    Form.ALONE: "alone",
    Form.BETWEEN_LAYERS: "between two layers",
    Form.BETWEEN_CONVOLUTIONS: "between two convolutions",
    Form.WIDENING: "3 to 5",
    Form.NARROWING: "5 to 2",
    Form.SQUARE: "square, not symmetric",
    Form.STRIDED_PADDED_DILATED: "stride, padding and dilation",
    Form.PADDING_SAME: "padding 'same'",
    Form.GROUPS: "in groups",
    Form.DEPTHWISE: "a kernel for each channel",
    Form.KERNEL_NOT_SQUARE: "a kernel that is not square",
    Form.OVERLAPPING_WINDOWS: "windows that overlap",
    Form.PADDING: "padding",
    Form.HIDDEN_PADDING: "padding that no shape shows",
    Written.ONE_NUMBER: "one number for all elements",
    Written.ARRAY_OF_ONE: "an array of one number for all elements",
    Written.INTEGERS: "integers",
    Written.BOOLEANS: "true and false",
    Written.HALF: "half precision",
    Written.DOUBLE: "double precision",
    Written.ONE_FOR_BOTH: "one number for both dimensions",
    Written.ARRAY_FOR_LENGTH: "an array of one number for the dimension",
    Join.BRANCHES_INTO_LAYER: "two branches into a layer",
    Join.BRANCHES_INTO_NEURON: "two branches into a neuron",
    Join.BRANCHES_INTO_OUTPUT: "two branches into the Output",
    Join.SPIKES_INTO_LAYER: "two spiking sources into a layer",
    Join.SPIKES_INTO_NEURON: "two spiking sources into a neuron",
    Join.SKIP: "a skip past a neuron",
    Recurrence.ONE_LAYER: "one layer that feeds itself",
    Recurrence.TWO_LAYERS: "two layers that feed themselves",
    Recurrence.FEEDBACK_LISTED_LAST: "one layer that feeds itself, listed behind the edge that leads on",
    Recurrence.SOURCE_BEFORE_INPUT: "one layer that feeds itself, its source named before the Input",
    Nesting.LAYER: "a layer in a graph of its own",
    Nesting.RECURRENCE: "a recurrence in a graph of its own",
    Nesting.RECURRENCE_BEFORE_SOURCE: "a recurrence in a graph of its own, named before its source",
    Nesting.LAYERS_AGAINST_ORDER: "layers named against the order in which they run",
    Outputs.BRANCHES: "two layers, an Output each",
    Outputs.HALFWAY: "an Output half-way, and one behind",
}


def subject_in_words(subject: Subject) -> str:
    """What a primitive or a wiring is called."""
    return _WIRINGS[subject] if isinstance(subject, Wiring) else subject


def condition_in_words(condition: Condition, subject: Subject) -> str:
    """What a condition of a primitive or a wiring is called: alone, so that the subject may stand before it."""
    if isinstance(condition, NeuronCondition):
        return _of_neuron(condition, subject_in_words(subject))
    if isinstance(condition, FlattenDims):
        return f"dims {condition.start} to {condition.end}"
    if isinstance(condition, GivenField):
        return f"{condition.field} in the file"
    return subject_in_words(subject) if condition is Form.ANY else _PHRASES[condition]


def _of_neuron(condition: NeuronCondition, kind: str) -> str:
    """What of a neuron is unusual, its circuit, where r and w_in stood, and dt."""
    voltages = ["v_leak = v_reset"] if condition.one_voltage else sorted(condition.off_zero)
    texts = [f"{name} off 0" for name in voltages]
    texts += [f"{name} below dt" for name in sorted(condition.below_step)]
    texts += [f"heterogeneous {name}" for name in sorted(condition.spread)]
    texts += [f"tau = {condition.tau:g} dt"] if condition.tau is not None else []
    texts += ["v_threshold off 1"] if condition.off_threshold else []
    texts += [_CIRCUITS[condition.circuit]] if condition.circuit in _CIRCUITS else []
    texts += [_gains_text(condition.gains, kind)] if condition.gains is not None else []
    texts += [f"dt = {condition.dt:g}"] if condition.dt is not None else []
    return ", ".join(texts)


def _gains_text(gains: Gains, kind: str) -> str:
    names = PARAMETERS.get(kind, ())
    time_constant = next((name for name in ("tau_mem", "tau") if name in names), "1")
    texts = [_gain_text("r", gains.r, f"{time_constant}/dt")]
    if "w_in" in names:
        texts.append(_gain_text("w_in", gains.w_in, "tau_syn/dt"))
    return ", ".join(texts)


def _gain_text(name: str, state: GainState, matched: str) -> str:
    return {
        GainState.OFF: f"{name} off 1 and {matched}",
        GainState.ONE: f"{name} = 1",
        GainState.MATCHED: f"{name} = {matched}",
        GainState.MATCHED_FIXED: f"{name} = {matched.replace('dt', f'{FIXED_DT:g} s')}",
    }[state]
