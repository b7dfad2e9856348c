"""Cases of primitives without a membrane."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from nir_interop.conformance.primitives.case import DT, Case, Shape, chain, linear, node, weight
from nir_interop.graphs import Graph, Node

WIDE = np.array([0.5, -1.5, 3.0], dtype=np.float32)
"""A parameter that differs from element to element."""


def stateless() -> Iterator[Case]:
    """Ends, dense layers, elementwise nodes, convolutions, pools, Flatten."""
    yield from _ends()
    yield from _dense()
    yield from _elementwise()
    yield from _convolutions("Conv1d")
    yield from _convolutions("Conv2d")
    yield from _channelwise()
    for kind in ("AvgPool2d", "SumPool2d"):
        yield from _pools(kind)
    yield from _flattens()


def _ends() -> Iterator[Case]:
    for kind in ("Input", "Output"):
        for shape in ((3,), (2, 3, 4)):
            yield Case(kind, f"{len(shape)} dimension{'s' * (len(shape) > 1)}", _ended(shape), shape)
    yield Case("Input", "straight into the Output", chain((3,)), (3,))


def _ended(shape: Shape) -> Graph:
    """A layer that takes and gives a shape."""
    size = (3, *shape[:1]) if len(shape) == 1 else (3, shape[0], 1, 1)
    return chain(shape, linear(3, shape[0]) if len(shape) == 1 else _convolution("Conv2d", size, shape[1:]))


def _dense() -> Iterator[Case]:
    biased = {"weight": weight(2, 5), "bias": weight(2)}
    yield Case("Affine", "5 to 2", chain((5,), node("Affine", **biased)), (5,))
    square = node("Affine", weight=weight(4, 4), bias=weight(4))
    yield Case("Affine", "square, not symmetric", chain((4,), square), (4,))
    yield Case("Affine", "bias of zeros", chain((5,), node("Affine", weight=weight(2, 5), bias=np.zeros(2, np.float32))), (5,))
    yield Case("Affine", "two in a row", chain((5,), node("Affine", **biased), square_of(2)), (5,))
    double = {name: value.astype(np.float64) + 1e-12 for name, value in biased.items()}
    yield Case("Affine", "float64", chain((5,), node("Affine", **double)), (5,))
    yield Case("Linear", "3 to 5", chain((3,), linear(5, 3)), (3,))
    yield Case("Linear", "square, not symmetric", chain((4,), linear(4, 4)), (4,))
    yield Case("Linear", "two in a row", chain((3,), linear(5, 3), linear(2, 5)), (3,))
    yield Case("Linear", "float64", chain((3,), node("Linear", weight=weight(5, 3).astype(np.float64) + 1e-12)), (3,))


def square_of(size: int) -> Node:
    """An Affine of as many outputs as inputs."""
    return node("Affine", weight=weight(size, size), bias=weight(size))


def _elementwise() -> Iterator[Case]:
    values: tuple[tuple[str, str, Any, float], ...] = (
        ("Scale", "scale", WIDE, -1.5),
        ("Threshold", "threshold", np.array([0.5, 1.0, -0.25], dtype=np.float32), 0.5),
        ("Delay", "delay", DT * np.array([1.0, 3.0, 0.0]), 2 * DT),
    )
    for kind, name, different, one in values:
        each = node(kind, **{name: different})
        single = np.dtype(np.float64 if kind == "Delay" else np.float32)
        yield Case(kind, "alone", chain((3,), node(kind, **{name: np.full(3, one, single)})), (3,))
        yield Case(kind, f"heterogeneous {name}", chain((3,), each), (3,))
        yield Case(kind, "scalar parameters", chain((3,), node(kind, **{name: single.type(one)})), (3,))
        yield Case(kind, "parameters of one element", chain((3,), node(kind, **{name: np.full(1, one, single)})), (3,))
        yield Case(kind, "float64", chain((3,), node(kind, **{name: np.full(3, one * (1 if kind == "Delay" else 1.1))})), (3,))
        yield Case(kind, "between two layers", chain((4,), linear(3, 4), each, linear(2, 3)), (4,))


def _convolution(kind: str, kernel: Shape, size: Shape, /, **changes: Any) -> Node:
    """A convolution that says the size of its input, without which nir 1.0.8 does not read it."""
    values: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1, "bias": weight(kernel[0])} | changes
    whole = {name: values.pop(name) for name in ("stride", "padding", "dilation")}
    if len(size) > 1:
        whole = {name: value if isinstance(value, str) else np.resize(value, len(size)) for name, value in whole.items()}
    said = size if len(size) > 1 else size[0]
    return node(kind, **({"weight": weight(*kernel), "groups": 1, "input_shape": said} | whole | values))


def _convolutions(kind: str) -> Iterator[Case]:
    one = kind == "Conv1d"
    size: Shape = (9,) if one else (7, 6)
    kernel: Shape = (3, 2, 3) if one else (3, 2, 3, 3)
    wide: Shape = (3, 2, 4) if one else (3, 2, 4, 3)

    def case(aspect: str, shape: Shape = kernel, channels: int = 2, **changes: Any) -> Case:
        return Case(kind, aspect, chain((channels, *size), _convolution(kind, shape, size, **changes)), (channels, *size))

    yield case("plain")
    yield case("stride", stride=2)
    yield case("padding in numbers", padding=1)
    yield case("padding 'same'", padding="same")
    yield case("padding 'same', an even kernel", wide, padding="same")
    yield case("padding 'valid'", padding="valid")
    yield case("dilation", dilation=2)
    yield case("stride, padding and dilation", stride=2, padding=1, dilation=2)
    yield case("groups", (4, 2, *kernel[2:]), 4, groups=2)
    yield case("a kernel for each channel", (4, 1, *kernel[2:]), 4, groups=4)
    yield case("bias of zeros", bias=np.zeros(3, np.float32))
    yield case("float64", weight=weight(*kernel).astype(np.float64) + 1e-12, bias=weight(3).astype(np.float64))
    if not one:
        yield case("rectangular kernel", (3, 2, 3, 2))
        yield case("stride that differs by dimension", stride=(2, 1))
        yield case("padding that differs by dimension", padding=(1, 2))
        yield case("dilation that differs by dimension", dilation=(1, 2))


def _channelwise() -> Iterator[Case]:
    shape = (2, 3, 4)
    scale = node("Scale", scale=weight(*shape))
    yield Case("Scale", "a feature map", chain(shape, scale), shape)
    threshold = node("Threshold", threshold=np.full(shape, 0.5, np.float32))
    yield Case("Threshold", "a feature map", chain(shape, threshold), shape)


def _pools(kind: str) -> Iterator[Case]:
    def pool(kernel: Any, stride: Any, padding: Any) -> Node:
        return node(kind, kernel_size=kernel, stride=stride, padding=padding)

    plain, shape = pool([2, 2], [2, 2], [0, 0]), (2, 6, 4)
    before, after = _convolution("Conv2d", (2, 2, 3, 3), (6, 4), padding=1), _convolution("Conv2d", (3, 2, 1, 1), (3, 2))
    yield Case(kind, "alone", chain(shape, plain), shape)
    yield Case(kind, "between two convolutions", chain(shape, before, plain, after), shape)
    yield Case(kind, "rectangular kernel", chain(shape, pool([3, 2], [3, 2], [0, 0])), shape)
    yield Case(kind, "stride below the kernel", chain(shape, pool([3, 2], [1, 2], [0, 0])), shape)
    yield Case(kind, "padding", chain(shape, pool([2, 2], [2, 2], [1, 1])), shape)
    # The shape is the same without the padding; only the windows move.
    yield Case(kind, "padding that no shape shows", chain((2, 5, 5), pool([2, 2], [3, 3], [1, 1])), (2, 5, 5))
    yield Case(kind, "scalar parameters", chain(shape, pool(2, 2, 0)), shape)


def _flattens() -> Iterator[Case]:
    shape = (2, 3, 4)
    for start, end in itertools.combinations(range(3), 2):
        for first, last in itertools.product((start, start - 3), (end, end - 3)):
            graph = chain(shape, node("Flatten", start_dim=first, end_dim=last, input_type=shape))
            yield Case("Flatten", f"dims {first} to {last}", graph, shape)
    flatten = node("Flatten", start_dim=0, end_dim=-1, input_type=shape)
    yield Case("Flatten", "before a layer", chain(shape, flatten, linear(3, 24)), shape)
