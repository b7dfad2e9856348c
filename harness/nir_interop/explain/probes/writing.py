"""Ways of writing the same numbers in a file: one for many, and types other than single precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nir_interop.explain.probes.structural import Shape, Structural, node, path, weight
from nir_interop.fingerprint import Written
from nir_interop.graphs import Array, Node
from nir_interop.graphs.primitives import ELEMENTWISE, WHOLE

_Values = Callable[[Array], Array]


def _whole(values: Array) -> Array:
    return values.astype(np.int64) if (values == np.floor(values)).all() else values


_WAYS: Mapping[Written, _Values] = {
    Written.ONE_NUMBER: lambda values: values.reshape(-1)[:1].reshape(()),
    Written.ARRAY_OF_ONE: lambda values: values.reshape(-1)[:1],
    Written.INTEGERS: _whole,
    Written.BOOLEANS: lambda values: values.astype(bool),
    Written.HALF: lambda values: values.astype(np.float16),
    Written.DOUBLE: lambda values: values.astype(np.float64),
}

OF_NEURONS = (Written.ONE_NUMBER, Written.ARRAY_OF_ONE, Written.INTEGERS, Written.HALF, Written.DOUBLE)
"""Ways of writing a neuron's parameters, all of them at once."""


def written(node: Node, way: Written, *names: str) -> Node:
    """A node with parameters written in another way: those named, else all that are not whole numbers by their meaning."""
    chosen = names or tuple(name for name in node.params if name not in WHOLE)
    return Node(node.kind, {name: _WAYS[way](each) if name in chosen else each for name, each in node.params.items()})


def _ways(kind: str, shape: Shape, to: Shape, **params: Any) -> Iterator[Structural]:
    """The same primitive in all ways that there are for it; its numbers are integers, or 0 and 1."""
    plain = node(kind, **params)
    ways: list[tuple[Written, tuple[str, ...]]] = [(Written.INTEGERS, ()), (Written.HALF, ()), (Written.DOUBLE, ())]
    if kind in ELEMENTWISE:
        ways += [(Written.ONE_NUMBER, ()), (Written.ARRAY_OF_ONE, ())]
    elif "bias" in params:
        ways += [(Written.ONE_NUMBER, ("bias",)), (Written.ARRAY_OF_ONE, ("bias",))]
    for way, names in ways:
        yield path(way, kind, (written(plain, way, *names),), shape, to)
    if "weight" in params:
        positive = node(kind, **params | {"weight": params["weight"] > 0})
        yield path(Written.BOOLEANS, kind, (written(positive, Written.BOOLEANS, "weight"),), shape, to)


def _integers(*shape: int) -> Array:
    return np.asarray(np.rint(2 * weight(*shape)), dtype=np.float32)


def _probes() -> Iterator[Structural]:
    line = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "input_shape": 6}
    plane = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "input_shape": [5, 5]}
    same = np.full(2, 2.0, dtype=np.float32)
    yield from _ways("Linear", (3,), (4,), weight=_integers(4, 3))
    yield from _ways("Affine", (3,), (2,), weight=_integers(2, 3), bias=same)
    yield from _ways("Conv1d", (2, 6), (2, 4), weight=_integers(2, 2, 3), bias=same, **line)
    yield from _ways("Conv2d", (2, 5, 5), (2, 3, 3), weight=_integers(2, 2, 3, 3), bias=same, **plane)
    bias, few = _integers(2), {"stride": 1, "padding": 0, "dilation": 1}
    single = {name: [value] for name, value in few.items()}
    square, row = {"weight": _integers(2, 2, 3, 3), "bias": bias}, {"weight": _integers(2, 2, 3), "bias": bias}
    yield path(Written.ONE_FOR_BOTH, "Conv2d", (node("Conv2d", **square, **(plane | few)),), (2, 5, 5), (2, 3, 3))
    yield path(Written.ARRAY_FOR_LENGTH, "Conv1d", (node("Conv1d", **row, **(line | single)),), (2, 6), (2, 4))
    yield from _ways("Scale", (3,), (3,), scale=np.full(3, 2.0, dtype=np.float32))
    yield from _ways("Threshold", (3,), (3,), threshold=np.full(3, 1.0, dtype=np.float32))
    yield from _ways("Delay", (3,), (3,), delay=np.zeros(3, dtype=np.float32))


WRITINGS: tuple[Structural, ...] = tuple(replace(probe, again=True) for probe in _probes())
