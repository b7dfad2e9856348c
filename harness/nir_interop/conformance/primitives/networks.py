"""Cases of the other direction: the smallest networks with a layer of each primitive, for a library to write as a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from nir_interop.conformance.primitives.cases import (
    DT,
    GAINS,
    JOIN_NEURON,
    MATCHED,
    ONE,
    TWO_CYCLE,
    VARIED,
    Array,
    PrimitiveCase,
    Shape,
    different,
    unit_of,
    values_of,
    weight,
)
from nir_interop.graphs import from_nir
from nir_interop.networks import IF, LI, LIF, Affine, Conv, CubaLIF, Feedback, Flatten, Layer, Network, Neuron, Pool2d, PoolKind
from nir_interop.vocabulary import Idiom, Reset

NEURON_LAYERS: Mapping[str, type[Neuron]] = {"IF": IF, "LI": LI, "LIF": LIF, "CubaLIF": CubaLIF}
"""Primitives with a membrane that a network has layers of."""

IN_WORDS = {"as a tutorial writes it": Idiom.TUTORIAL, "as its documentation says": Idiom.PORTABLE}
"""Aspects that are about an idiom; all others are written by those who know how."""
TUTORIAL, DOCUMENTED = IN_WORDS
KNOWING = (Idiom.WORKED_AROUND, Idiom.PORTABLE, Idiom.TUTORIAL)

Fed = tuple[float, float, float]
"""Unit, centre and spread of the input, see :class:`PrimitiveCase`."""
PLAINLY: Fed = (1.0, 0.4, 1.0)

MIXING = np.array([[1.0, 0.25, 0.0], [0.0, 1.0, 0.25], [0.25, 0.0, 1.0]])
"""Weights before a neuron, for a library to fold its gain into."""


@dataclass(frozen=True, eq=False)
class ExportCase:
    """A network to be written as a graph.

    meant : the graph that a faultless exporter would write, and what it is fed
    network : in no library's words
    idioms : ways to write it, of which the first in which the library can build it is taken
    """

    meant: PrimitiveCase
    network: Network
    idioms: tuple[Idiom, ...] = KNOWING


@lru_cache(maxsize=1)
def networks() -> tuple[ExportCase, ...]:
    """Every case once, in the order in which they are run."""
    return tuple((*_stateless(), *_neurons(), *_wiring()))


def _case(
    primitive: str, aspect: str, shape: Shape, *layers: Layer, fed: Fed = PLAINLY, dt: float = DT, reset: Reset = Reset.VALUE
) -> ExportCase:
    network = Network("one", shape, layers, dt=dt, reset=reset)
    idioms = (IN_WORDS[aspect],) if aspect in IN_WORDS else KNOWING
    return ExportCase(PrimitiveCase(primitive, aspect, from_nir(network.to_nir()), shape, *fed, dt=dt), network, idioms)


def _stateless() -> Iterator[ExportCase]:
    """Before a second layer, since an exporter may not take one alone; and alone."""
    for kind in ("Input", "Output"):
        yield _case(kind, "1 dimension", (3,), _dense(3, 3), _dense(3, 3, name="after"))
        yield _case(kind, "3 dimensions", (2, 3, 4), _convolution((3, 2, 1, 1)), _convolution((3, 3, 1, 1), "after"))
    yield from _denses("Affine")
    yield from _denses("Linear")
    for kind, size in (("Conv1d", (9,)), ("Conv2d", (7, 6))):
        yield from _convolutions(kind, size)
    for kind, pool in (("AvgPool2d", PoolKind.AVERAGE), ("SumPool2d", PoolKind.SUM)):
        yield from _pools(kind, pool)
    yield from _flattens()


def _dense(out: int, into: int, bias: Array | None = None, name: str = "fc", **wired: Any) -> Affine:
    return Affine(name=name, weight=weight(out, into), bias=bias, **wired)


def _denses(kind: str) -> Iterator[ExportCase]:
    biased = kind == "Affine"

    def dense(out: int, into: int, name: str = "fc") -> Affine:
        return _dense(out, into, weight(out) if biased else None, name)

    for aspect in ("5 to 2", TUTORIAL):
        yield _case(kind, aspect, (5,), dense(2, 5), dense(3, 2, "after"))
    yield _case(kind, "square, not symmetric", (4,), dense(4, 4), dense(3, 4, "after"))
    if biased:
        yield _case(kind, "bias of zeros", (5,), _dense(2, 5, np.zeros(2)), dense(3, 2, "after"))
    yield _case(kind, "alone", (5,), dense(2, 5))


def _convolution(kernel: Shape, name: str = "conv", **changes: Any) -> Conv:
    return Conv(name=name, **({"weight": weight(*kernel), "bias": weight(kernel[0])} | changes))


def _convolutions(kind: str, size: Shape) -> Iterator[ExportCase]:
    window = (3,) * len(size)

    def layers(kernel: Shape = (3, 2, *window), **changes: Any) -> tuple[Conv, Conv]:
        return _convolution(kernel, **changes), _convolution((2, kernel[0], *[1] * len(size)), "after")

    def case(aspect: str, kernel: Shape = (3, 2, *window), channels: int = 2, **changes: Any) -> ExportCase:
        return _case(kind, aspect, (channels, *size), *layers(kernel, **changes))

    yield case("plain")
    yield case(TUTORIAL)
    yield case("no bias", bias=None)
    yield case("bias of zeros", bias=np.zeros(3))
    yield case("stride", stride=2)
    yield case("padding in numbers", padding=1)
    yield case("dilation", dilation=2)
    yield case("stride, padding and dilation", stride=2, padding=1, dilation=2)
    yield case("groups", (4, 2, *window), 4, groups=2)
    yield case("a kernel for each channel", (4, 1, *window), 4, groups=4)
    if len(size) > 1:
        yield case("rectangular kernel", (3, 2, 3, 2))
    yield _case(kind, "alone", (2, *size), layers()[0])


def _pools(kind: str, pool: PoolKind) -> Iterator[ExportCase]:
    before, after = _convolution((2, 2, 3, 3), "before", padding=1), _convolution((3, 2, 1, 1), "after")

    def layers(size: int = 2) -> tuple[Layer, ...]:
        return before, Pool2d(name="pool", kind=pool, size=size), after

    yield _case(kind, "windows of 2", (2, 6, 4), *layers())
    yield _case(kind, TUTORIAL, (2, 6, 4), *layers())
    yield _case(kind, "windows that leave a rest", (2, 7, 4), *layers(3))
    yield _case(kind, "the first layer", (2, 6, 4), *layers()[1:])
    yield _case(kind, "alone", (2, 6, 4), Pool2d(name="pool", kind=pool))


def _flattens() -> Iterator[ExportCase]:
    shape = (2, 3, 4)
    for aspect, start in (("dims 0 to -1", 0), ("dims -3 to -1", -3), (TUTORIAL, 0), (DOCUMENTED, 0)):
        yield _case("Flatten", aspect, shape, Flatten(name="flat", start_dim=start), _dense(3, 24))
    yield _case("Flatten", "alone", shape, Flatten(name="flat"))


def _neurons() -> Iterator[ExportCase]:
    for kind in NEURON_LAYERS:
        yield from _neuron_cases(kind)


def _neuron_cases(kind: str) -> Iterator[ExportCase]:
    """Behind weights, which a gain can go into; alone at the gains that a library may have itself."""
    plain = values_of(kind)
    timed = "tau" in plain or "tau_mem" in plain

    def behind(aspect: str, values: Mapping[str, float], arrays: Mapping[str, Any] | None = None, **more: Any) -> ExportCase:
        before = Affine(name="fc", weight=MIXING)
        return _fed(kind, _said(aspect, timed), values, (3,), before, _layer(kind, arrays or values), **more)

    for where in GAINS:
        yield behind(where, values_of(kind, where))
    for where in (ONE, MATCHED):
        values = values_of(kind, where)
        yield _fed(kind, _said(f"alone, {where}", timed), values, (3,), _layer(kind, values))
    pointwise = Conv(name="conv", weight=MIXING[:2, :2, None, None], bias=np.zeros(2))
    yield _fed(kind, "a feature map", plain, (2, 3, 2), pointwise, _layer(kind, plain))
    for name, value in VARIED.items():
        if name in plain:
            yield behind(f"{name} off its neutral value", values_of(kind, MATCHED, DT, **{name: value}))
    if {"v_leak", "v_reset"} <= {*plain}:
        yield behind("v_leak = v_reset off 0", values_of(kind, v_leak=-0.25, v_reset=-0.25))
    for name in plain:
        yield behind(f"heterogeneous {name}", plain, different(name, plain))
    yield behind(TUTORIAL, plain)
    yield behind(DOCUMENTED, plain)
    yield behind(f"dt {10 * DT:g}", values_of(kind, dt=10 * DT), dt=10 * DT)
    if kind in ("IF", "LIF"):  # NIR can say it of these alone
        yield behind("reset by subtraction", plain, reset=Reset.SUBTRACT)


def _said(aspect: str, timed: bool) -> str:
    return aspect if timed else aspect.replace("tau/dt", "1/dt")


def _layer(kind: str, values: Mapping[str, Any], name: str = "cell", **wired: Any) -> Neuron:
    return NEURON_LAYERS[kind](name=name, **values, **wired)


def _fed(
    kind: str, aspect: str, values: Mapping[str, float], shape: Shape, *layers: Layer, dt: float = DT, **more: Any
) -> ExportCase:
    """Fed so that it spikes now and then."""
    centre, spread = (3.0, 4.0) if kind == "CubaLIF" else (1.25, 2.0)
    fed = (unit_of(kind, values, dt), centre, spread)
    return _case(kind, aspect, shape, *layers, fed=fed, dt=dt, **more)


def _wiring() -> Iterator[ExportCase]:
    for kind, where in (("LIF", ONE), ("LIF", MATCHED), ("CubaLIF", MATCHED)):
        parts = _Parts(kind, where)
        yield from _recurrences(parts)
        if kind == "LIF":
            yield from _joins(parts)


class _Parts:
    """Neurons at one gain, and weights between them; a spike is 1 A."""

    def __init__(self, kind: str, where: str) -> None:
        self.kind, self.where = kind, where
        self.values = values_of(kind, where)
        self.unit = unit_of(kind, self.values)

    def neuron(self, name: str, *inputs: str, **more: Any) -> Neuron:
        return _layer(self.kind, self.values, name, inputs=inputs, **more)

    def onward(self, name: str, scale: float, *inputs: str) -> Affine:
        """Weights that only excite, in units."""
        return Affine(name=name, weight=np.abs(weight(3, 3, scale=scale * self.unit)), inputs=inputs)

    def case(self, primitive: str, aspect: str, *layers: Layer) -> ExportCase:
        fed = (self.unit, 1.0, 2.0)
        return _case(primitive, f"{aspect}, {self.kind}, {self.where}", (4,), *layers, fed=fed)


def _recurrences(parts: _Parts) -> Iterator[ExportCase]:
    back = weight(3, 3, scale=3 * parts.unit)
    again = Feedback(weight=back)
    yield parts.case(TWO_CYCLE, "through Linear", _dense(3, 4), parts.neuron("cell", feedback=again))
    biased = Feedback(weight=back * 2 / 3, bias=np.abs(weight(3, scale=0.3 * parts.unit)))
    yield parts.case(TWO_CYCLE, "through Affine, with a bias", _dense(3, 4), parts.neuron("cell", feedback=biased))


def _joins(parts: _Parts) -> Iterator[ExportCase]:
    """A network's input feeds its first layer alone: the branches begin behind it."""
    into = _dense(4, 4, name="into")
    left, right = _dense(3, 4, name="left", inputs=("into",)), Affine(name="right", weight=2 * weight(3, 4), inputs=("into",))
    yield parts.case(JOIN_NEURON, "two branches", into, left, right, parts.neuron("cell", "left", "right"))

    one, mix = parts.neuron("one", "left"), parts.onward("mix", 5.0, "one")
    skipped = (into, left, one, mix, right, parts.neuron("cell", "mix", "right"))
    yield parts.case(JOIN_NEURON, "a skip past a neuron", *skipped)

    two, blend = parts.neuron("two", "right"), parts.onward("blend", 4.0, "two")
    both = (into, left, one, right, two, mix, blend, parts.neuron("cell", "mix", "blend"))
    yield parts.case(JOIN_NEURON, "two spiking sources", *both)
