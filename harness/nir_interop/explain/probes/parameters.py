"""The neurons of the probes: parameters off their neutral values and off their fixed points, as far as a library takes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nir_interop.graphs import Node
from nir_interop.graphs.primitives import PARAMETERS
from nir_interop.rule import FIXED_DT

Values = NDArray[np.float64]

SIZE = 3
"""Neurons of a probe."""

SPREAD = np.array([1.0, 1.75, 0.625])
"""What a heterogeneous parameter is multiplied with, neuron by neuron."""

OFF, ONE, MATCHED, MATCHED_FIXED = "off", "one", "matched", "matched_fixed"


@dataclass(frozen=True)
class Gains:
    """Where r and w_in stand.

    Each is one of ``off`` (neutral in no library), ``one``, ``matched`` (r = tau/dt, for I and IF 1/dt; w_in =
    tau_syn/dt: the gain of a step is 1) and ``matched_fixed`` (the same at 1e-4 s, whatever dt is).
    """

    r: str = OFF
    w_in: str = OFF

    def says(self, kind: str) -> str:
        """In words, for refusals."""
        tau = "tau_mem/dt" if "tau_mem" in PARAMETERS[kind] else "tau/dt" if "tau" in PARAMETERS[kind] else "1/dt"
        texts = [_says("r", self.r, tau)]
        if "w_in" in PARAMETERS[kind]:
            texts.append(_says("w_in", self.w_in, "tau_syn/dt"))
        return ", ".join(texts)


def _says(name: str, where: str, matched: str) -> str:
    fixed = matched.replace("dt", f"{FIXED_DT:g} s")
    return {
        OFF: f"{name} off 1 and {matched}",
        ONE: f"{name} = 1",
        MATCHED: f"{name} = {matched}",
        MATCHED_FIXED: f"{name} = {fixed}",
    }[where]


def gains_of(kind: str) -> tuple[Gains, ...]:
    """Where r and w_in may stand, the most informative first."""
    if "w_in" not in PARAMETERS[kind]:
        return tuple(Gains(r) for r in (OFF, ONE, MATCHED, MATCHED_FIXED))
    pairs = (
        (OFF, OFF),
        (MATCHED, OFF),
        (MATCHED_FIXED, OFF),
        (OFF, MATCHED),
        (ONE, ONE),
        (MATCHED, MATCHED),
        (MATCHED_FIXED, MATCHED_FIXED),
    )
    return tuple(Gains(*pair) for pair in pairs)


@dataclass(frozen=True)
class Variation:
    """How a probe's neuron differs from the plain one.

    tau, tau_syn : in steps
    leak, reset, threshold : in volts
    different : parameters that differ from neuron to neuron
    """

    tau: float = 10.0
    tau_syn: float = 6.0
    leak: float = 0.0
    reset: float = 0.0
    threshold: float = 1.0
    different: frozenset[str] = field(default_factory=frozenset)

    def fits(self, kind: str) -> bool:
        """Whether a primitive has what is varied."""
        names, plain = PARAMETERS[kind], Variation()
        wanted = set(self.different)
        wanted |= {"v_leak"} if self.leak else set()
        wanted |= {"v_reset"} if self.reset else set()
        wanted |= {"v_threshold"} if self.threshold != plain.threshold else set()
        wanted |= {"tau"} if self.tau != plain.tau else set()
        wanted |= {"tau_syn"} if self.tau_syn != plain.tau_syn else set()
        return all(name in names or (name == "tau" and "tau_mem" in names) for name in wanted)

    def says(self) -> str:
        """What is varied, in words, for refusals."""
        plain, texts = Variation(), []
        if self.leak and self.leak == self.reset:
            texts.append("v_leak = v_reset off 0")
        else:
            texts += ["v_leak off 0"] if self.leak else []
            texts += ["v_reset off 0"] if self.reset else []
        texts += ["tau below dt"] if self.tau < 1 else []
        texts += ["tau_syn below dt"] if self.tau_syn < 1 else []
        texts += [f"heterogeneous {name}" for name in sorted(self.different)]
        if not texts and self != replace(plain, threshold=self.threshold):
            texts.append(f"tau = {self.tau:g} dt")
        if self == replace(plain, threshold=self.threshold) != plain:
            texts.append("v_threshold off 1")
        return ", ".join(texts)


def neuron(kind: str, dt: float, gains: Gains, variation: Variation, size: int = SIZE, dtype: type = np.float32) -> Node:
    """A probe's node: all parameters per neuron, of the file's type."""
    values = {
        "tau": _values(variation, "tau", variation.tau * dt, size),
        "tau_syn": _values(variation, "tau_syn", variation.tau_syn * dt, size),
        "v_leak": _values(variation, "v_leak", variation.leak, size),
        "v_reset": _values(variation, "v_reset", variation.reset, size),
        "v_threshold": _values(variation, "v_threshold", variation.threshold, size),
        "threshold": _values(variation, "threshold", variation.threshold, size),
        "delay": _values(variation, "delay", 3 * dt, size),
    }
    values["tau_mem"] = values["tau"]
    leaky = "tau" in PARAMETERS[kind] or "tau_mem" in PARAMETERS[kind]
    unit = values["tau"] if leaky else np.ones(size)
    off = np.full(size, 2.5) if leaky else np.full(size, 0.375 / dt)
    values["r"] = _gain(gains.r, unit, dt, off) * _values(variation, "r", 1.0, size)
    values["w_in"] = _gain(gains.w_in, values["tau_syn"], dt, np.full(size, 1.75)) * _values(variation, "w_in", 1.0, size)
    return Node(kind, {name: values[name].astype(dtype) for name in PARAMETERS[kind]})


def _gain(where: str, tau: Values, dt: float, off: Values) -> Values:
    return {OFF: off, ONE: np.ones_like(tau), MATCHED: tau / dt, MATCHED_FIXED: tau / FIXED_DT}[where]


def _values(variation: Variation, name: str, value: float, size: int) -> Values:
    spread = np.resize(SPREAD, size) if name in variation.different else np.ones(size)
    return value * spread
