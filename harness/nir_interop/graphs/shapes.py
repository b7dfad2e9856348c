"""What shape each primitive makes of the shape it is given; a sample's shape, without time and batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.model import Array, Node
from nir_interop.graphs.primitives import CONVOLUTIONS, DENSE, ELEMENTWISE, WHOLE
from nir_interop.printable import shape_text, shown

Shape = tuple[int, ...]

MOST_ELEMENTS = 2**27
"""Of one sample at one node; a shape of more is refused rather than simulated."""
MOST_AXES = 16
"""NumPy has 64, of which steps and samples need two, and operators some more."""


def is_scalar(value: Array) -> bool:
    """Whether a parameter is one number for all elements: 0-d, or 1-d of size 1."""
    return value.size == 1 and value.ndim <= 1


def whole_numbers(node: Node, name: str, count: int | None = None) -> Shape:
    """A parameter as integers; one number stands for ``count`` where a count is given.

    Raises InvalidGraph, without the node's name, where it is something else.
    """
    value: Any = node.params.get(name)
    if value is None:
        raise InvalidGraph(f"it has no {name}; write one")
    if isinstance(value, str) or value.ndim > 1:
        raise InvalidGraph(f"{name} is not a list of whole numbers; write {count or 'some'} of them")
    values = np.atleast_1d(value)
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        raise InvalidGraph(f"{name} is not a whole number; write an integer")
    if np.abs(values.astype(np.float64)).max(initial=0) >= 2**53:
        raise InvalidGraph(f"{name} is larger than any shape can be")
    numbers = tuple(int(number) for number in values)
    if count is not None and len(numbers) == 1:
        numbers *= count
    if count is not None and len(numbers) != count:
        raise InvalidGraph(f"{name} has {len(numbers)} numbers; write one or {count}")
    return numbers


def padding_of(node: Node, size: Shape, stride: Shape, dilation: Shape) -> tuple[tuple[int, int], ...]:
    """Zeros before and after, per dimension.

    ``'same'`` is as in PyTorch: dilation · (kernel − 1) in all, the odd one at the end, and only for a stride of 1.
    """
    padding: Any = node.params["padding"]
    if not isinstance(padding, str):
        return tuple((number, number) for number in whole_numbers(node, "padding", len(size)))
    if padding == "valid":
        return ((0, 0),) * len(size)
    if padding != "same":
        raise InvalidGraph(f"padding is {shown(padding)}; write 'same', 'valid' or numbers")
    if any(step != 1 for step in stride):
        raise InvalidGraph("padding 'same' has no meaning with a stride other than 1; write the padding in numbers")
    total = [wide * (kernel - 1) for wide, kernel in zip(dilation, size, strict=True)]
    return tuple((zeros // 2, zeros - zeros // 2) for zeros in total)


def output_shape(node: Node, shape: Shape) -> Shape:
    """The shape a node gives out for the shape it is given.

    Raises InvalidGraph, without the node's name, where its parameters do not fit the shape.
    """
    result = _elementwise(node, shape) if node.kind in ELEMENTWISE else _RULES[node.kind](node, shape)
    check_size(result)
    return result


def own_shape(node: Node) -> Shape | None:
    """What a node takes, where its parameters tell."""
    if node.kind in DENSE and node["weight"].ndim == 2:
        return (node["weight"].shape[1],)
    if node.kind in ELEMENTWISE:
        told = {value.shape for name, value in node.params.items() if name not in WHOLE and not is_scalar(value)}
        return told.pop() if len(told) == 1 else None
    if node.kind in CONVOLUTIONS and "input_shape" in node.params:
        sizes = whole_numbers(node, "input_shape", node["weight"].ndim - 2)
        return (node["weight"].shape[1] * whole_numbers(node, "groups", 1)[0], *sizes)
    return None


def check_size(shape: Shape) -> None:
    """Raise InvalidGraph for a shape with more elements or axes than there is room for, or with no elements."""
    if len(shape) > MOST_AXES:
        raise InvalidGraph(f"the shape {shape_text(shape)} is of more than {MOST_AXES} axes")
    elements = 1
    for size in shape:
        elements *= size
    if elements > MOST_ELEMENTS:
        raise InvalidGraph(f"the shape {shape_text(shape)} has more than {MOST_ELEMENTS:,} elements")
    if elements < 1:
        raise InvalidGraph(f"the shape {shape_text(shape)} has no elements; every size is at least 1")


def _elementwise(node: Node, shape: Shape) -> Shape:
    for name, value in sorted(node.params.items()):
        if name not in WHOLE and not is_scalar(value) and value.shape != shape:
            text = f"{name} has shape {shape_text(value.shape)}, what comes in has {shape_text(shape)}"
            raise InvalidGraph(f"{text}; write one number, or one per element")
    return shape


def _declared(node: Node, shape: Shape) -> Shape:
    declared = whole_numbers(node, "shape")
    if declared != shape:
        raise InvalidGraph(f"its shape is {shape_text(declared)}, what comes in has {shape_text(shape)}; write the same shape")
    return shape


_FLATTEN = "put a Flatten with start_dim 0 and end_dim -1 before it"


def _affine(node: Node, shape: Shape) -> Shape:
    weight = node["weight"]
    if weight.ndim != 2:
        raise InvalidGraph(f"weight has shape {shape_text(weight.shape)}; write (outputs, inputs)")
    if not shape or shape[-1] != weight.shape[1]:
        text = f"weight takes {weight.shape[1]} inputs, what comes in has shape {shape_text(shape)}"
        fits = len(shape) > 1 and weight.shape[1] == int(np.prod(shape))
        raise InvalidGraph(f"{text}; {_FLATTEN if fits else 'make them equal'}")
    bias = node.get("bias")
    if bias is not None and not is_scalar(bias) and bias.shape != weight.shape[:1]:
        raise InvalidGraph(f"bias has shape {shape_text(bias.shape)}, weight gives {weight.shape[0]} outputs")
    return (*shape[:-1], weight.shape[0])


def _convolution(node: Node, shape: Shape) -> Shape:
    dimensions = 1 if node.kind == "Conv1d" else 2
    weight, bias = node["weight"], node["bias"]
    if weight.ndim != dimensions + 2:
        raise InvalidGraph(f"weight has {weight.ndim} dimensions; write (out, in / groups, *kernel)")
    (groups,) = _at_least(1, node, "groups", 1)
    if len(shape) != dimensions + 1 or shape[0] != weight.shape[1] * groups:
        channels = f"{weight.shape[1] * groups} channels and {dimensions} further dimension{'s' * (dimensions > 1)}"
        raise InvalidGraph(f"it takes {channels}, what comes in has shape {shape_text(shape)}")
    if weight.shape[0] % groups:
        raise InvalidGraph(f"{weight.shape[0]} output channels cannot be divided into {groups} groups")
    if not is_scalar(bias) and bias.shape != weight.shape[:1]:
        raise InvalidGraph(f"bias has shape {shape_text(bias.shape)}, weight gives {weight.shape[0]} channels")
    stride = _at_least(1, node, "stride", dimensions)
    dilation = _at_least(1, node, "dilation", dimensions)
    padding = padding_of(node, weight.shape[2:], stride, dilation)
    if isinstance(node.params["padding"], np.ndarray):
        _at_least(0, node, "padding", dimensions)
    return (weight.shape[0], *_windows(shape[1:], weight.shape[2:], stride, dilation, padding))


def _pooling(node: Node, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise InvalidGraph(f"it takes (channels, height, width), what comes in has shape {shape_text(shape)}")
    size, stride = _at_least(1, node, "kernel_size", 2), _at_least(1, node, "stride", 2)
    padding = _at_least(0, node, "padding", 2)
    return (shape[0], *_windows(shape[1:], size, stride, (1, 1), tuple((zeros, zeros) for zeros in padding)))


def _windows(shape: Shape, size: Shape, stride: Shape, dilation: Shape, padding: tuple[tuple[int, int], ...]) -> Shape:
    result = []
    for length, kernel, step, wide, (before, after) in zip(shape, size, stride, dilation, padding, strict=True):
        room = length + before + after - wide * (kernel - 1) - 1
        if kernel < 1 or room < 0:
            raise InvalidGraph(f"its window ({kernel}, dilation {wide}) is larger than what comes in ({length})")
        result.append(room // step + 1)
    return tuple(result)


def flatten_range(node: Node, dimensions: int) -> tuple[int, int]:
    """First and last dimension that a Flatten joins, counted from 0."""
    (start,), (end,) = whole_numbers(node, "start_dim", 1), whole_numbers(node, "end_dim", 1)
    first, last = (number + dimensions if number < 0 else number for number in (start, end))
    if not 0 <= first <= last < dimensions:
        text = f"start_dim {start} and end_dim {end} do not fit {dimensions} dimensions"
        raise InvalidGraph(f"{text}; NIR counts the dimensions of a sample, without batch")
    return first, last


def _flatten(node: Node, shape: Shape) -> Shape:
    first, last = flatten_range(node, len(shape))
    joined = 1
    for size in shape[first : last + 1]:
        joined *= size
    return (*shape[:first], joined, *shape[last + 1 :])


def _at_least(least: int, node: Node, name: str, count: int) -> Shape:
    numbers = whole_numbers(node, name, count)
    if min(numbers) < least:
        raise InvalidGraph(f"{name} is {min(numbers)}; write {least} or more")
    return numbers


_RULES: dict[str, Callable[[Node, Shape], Shape]] = {
    "Input": _declared,
    "Output": _declared,
    "Affine": _affine,
    "Linear": _affine,
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "SumPool2d": _pooling,
    "AvgPool2d": _pooling,
    "Flatten": _flatten,
}
