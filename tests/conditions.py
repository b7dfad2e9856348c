"""Short ways to write down what a library declines of a neuron."""

from __future__ import annotations

from nir_interop.fingerprint import Gains, GainState, NeuronCondition

ONE, OFF, MATCHED = GainState.ONE, GainState.OFF, GainState.MATCHED
AT_ONE = Gains(ONE)
"""r = 1."""
ONE_VOLTAGE = NeuronCondition(off_zero=frozenset({"v_leak", "v_reset"}), one_voltage=True)
"""v_leak = v_reset, off 0."""


def at(*states: GainState) -> NeuronCondition:
    """A neuron that is unusual in nothing but where r (and w_in) stand."""
    return NeuronCondition(gains=Gains(*states))


def off_zero(*names: str, gains: Gains | None = None) -> NeuronCondition:
    """v_leak, v_reset or both off 0."""
    return NeuronCondition(off_zero=frozenset(names), gains=gains)


def spread(name: str, *, off: bool = False, gains: Gains | None = None) -> NeuronCondition:
    """A parameter that differs from neuron to neuron, also off 0 or not."""
    return NeuronCondition(off_zero=frozenset({name} if off else ()), spread=frozenset({name}), gains=gains)
