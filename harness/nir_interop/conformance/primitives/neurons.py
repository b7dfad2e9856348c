"""Cases of neurons: each parameter off its neutral value, at the gains at which importers take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nir_interop.conformance.primitives.case import DT, Array, Case, Shape, chain, linear, node
from nir_interop.graphs import NEURONS, Node
from nir_interop.graphs.primitives import PARAMETERS

ONE, MATCHED, OFF = "r = 1", "r = tau/dt", "r off 1 and tau/dt"
"""Where r stands; I and IF, which have no tau, have r = 1/dt for it.  w_in goes with it: 1, tau_syn/dt, 1.75."""

GAINS = (ONE, MATCHED, OFF)
SPREAD = np.array([1.0, 1.75, 0.625])
"""What a heterogeneous parameter is multiplied with, neuron by neuron."""

VARIED: Mapping[str, float] = {"v_leak": 0.375, "v_reset": -0.4375, "v_threshold": 1.375}
"""Parameters off their neutral values [V]."""


def neurons() -> Iterator[Case]:
    """Of each primitive with a membrane."""
    for kind in NEURONS:
        yield from _neuron_cases(kind)


def values_of(kind: str, where: str = MATCHED, dt: float = DT, **changes: float) -> dict[str, float]:
    """A neuron's parameters: r and w_in where they are asked for, the others neutral, time constants of 10 and 6 steps."""
    leaky = kind not in ("I", "IF")
    tau, tau_syn = 10 * dt, 6 * dt
    unit = tau if leaky else 1.0
    r, w_in = {ONE: (1.0, 1.0), MATCHED: (unit / dt, tau_syn / dt), OFF: (2.5 if leaky else 0.375 / dt, 1.75)}[where]
    values = {"tau": tau, "tau_mem": tau, "tau_syn": tau_syn, "r": r, "w_in": w_in}
    values |= {"v_leak": 0.0, "v_reset": 0.0, "v_threshold": 1.0} | changes
    return {name: values[name] for name in PARAMETERS[kind]}


def unit_of(kind: str, values: Mapping[str, float], dt: float = DT) -> float:
    """The input [A] that brings the membrane to its threshold: in the end, or for I and IF in four steps."""
    per_volt = values["r"] * values.get("w_in", 1.0) * (4 * dt if kind in ("I", "IF") else 1.0)
    return values.get("v_threshold", 1.0) / per_volt


def cell(kind: str, values: Mapping[str, float], shape: Shape = (3,), dtype: type = np.float32) -> Node:
    """A neuron node with one number per element."""
    return node(kind, **{name: np.full(shape, value, dtype) for name, value in values.items()})


def _neuron_cases(kind: str) -> Iterator[Case]:
    names = PARAMETERS[kind]

    def case(aspect: str, each: Node, values: Mapping[str, float], dt: float = DT) -> Case:
        aspect = aspect if "tau" in names or "tau_mem" in names else aspect.replace("tau/dt", "1/dt")
        return _fed(kind, aspect, each, values, (3,), dt)

    for where in GAINS:
        plain = values_of(kind, where)
        yield case(where, cell(kind, plain), plain)
    if "w_in" in names:
        for aspect, changes in (("r = 1, w_in off 1", {"w_in": 1.75}), ("r = tau/dt, w_in = 1", {"w_in": 1.0})):
            changed = values_of(kind, ONE if "r = 1," in aspect else MATCHED, **changes)
            yield case(aspect, cell(kind, changed), changed)
    for where in (ONE, MATCHED):
        for name, value in VARIED.items():
            if name in names:
                changed = values_of(kind, where, **{name: value})
                yield case(f"{name} off its neutral value, {where}", cell(kind, changed), changed)
    if {"v_leak", "v_reset"} <= {*names}:
        changed = values_of(kind, MATCHED, v_leak=-0.25, v_reset=-0.25)
        yield case(f"v_leak = v_reset off 0, {MATCHED}", cell(kind, changed), changed)
    yield from _forms(kind, case)


def _forms(kind: str, case: Any) -> Iterator[Case]:
    """How parameters are written, and what the neuron stands among."""
    plain = values_of(kind)
    for name in PARAMETERS[kind]:
        yield case(f"heterogeneous {name}", _different(kind, name, plain), plain)
    for where in (ONE, MATCHED):
        values = values_of(kind, where)
        scalars = node(kind, **{name: np.float32(value) for name, value in values.items()})
        yield case(f"scalar parameters, {where}", scalars, values)
        yield case(f"parameters of one element, {where}", cell(kind, values, (1,)), values)
    yield case("float64", cell(kind, plain, dtype=np.float64), plain)
    slow = values_of(kind, dt=10 * DT)
    yield case(f"dt {10 * DT:g}, {MATCHED}", cell(kind, slow), slow, 10 * DT)
    slow = values_of(kind, ONE, dt=10 * DT)
    yield case(f"dt {10 * DT:g}, {ONE}", cell(kind, slow), slow, 10 * DT)
    shape = (2, 3, 2)
    yield _fed(kind, "a feature map", cell(kind, plain, shape), plain, shape, DT)
    layers = chain((4,), linear(3, 4), cell(kind, plain), linear(2, 3))
    yield Case(kind, "between two layers", layers, (4,), unit_of(kind, plain), centre=1.0, spread=2.0)


def _different(kind: str, name: str, plain: Mapping[str, float]) -> Node:
    return node(kind, **{each: value.astype(np.float32) for each, value in different(name, plain).items()})


def different(name: str, plain: Mapping[str, float]) -> dict[str, Array]:
    """One parameter that differs, float64; r and w_in stay at tau/dt where it is a time constant."""
    arrays: dict[str, Array] = {each: np.full(3, value) for each, value in plain.items()}
    # Potentials at 0 are moved, not stretched.
    arrays[name] = SPREAD * arrays[name] if plain[name] else 0.25 - 0.5 * SPREAD
    if name in ("tau", "tau_mem"):
        arrays["r"] = arrays[name] / DT
    if name == "tau_syn" and "w_in" in arrays:
        arrays["w_in"] = arrays[name] / DT
    return arrays


def _fed(kind: str, aspect: str, each: Node, values: Mapping[str, float], shape: Shape, dt: float) -> Case:
    """Fed so that it spikes now and then."""
    centre, spread = (3.0, 4.0) if kind == "CubaLIF" else (1.25, 2.0)
    return Case(kind, aspect, chain(shape, each), shape, unit_of(kind, values, dt), centre=centre, spread=spread, dt=dt)
