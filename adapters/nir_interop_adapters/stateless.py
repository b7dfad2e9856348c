"""What NIR's nodes without a state do in a step, in NumPy: for libraries that are neurons and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nir_interop.errors import CannotBuild
from nir_interop_adapters.walking import kind_of, pair

Array = NDArray[Any]
Operation = Callable[[Array], Array]
"""From axes (B, \\*shape) to axes (B, \\*shape)."""


def operation(name: str, node: Any) -> Operation | None:
    """What a node does in a step, in double precision; None where it is none of these kinds.

    Raises CannotBuild for an option of it that is not here.
    """
    make = _KINDS.get(kind_of(node))
    return None if make is None else make(name, node)


def _affine(name: str, node: Any) -> Operation:
    weight, bias = _floats(node.weight), _floats(node.bias)
    return lambda x: x @ weight.T + bias


def _linear(name: str, node: Any) -> Operation:
    weight = _floats(node.weight)
    return lambda x: x @ weight.T


def _scale(name: str, node: Any) -> Operation:
    scale = _floats(node.scale)
    return lambda x: x * scale


def _threshold(name: str, node: Any) -> Operation:
    threshold = _floats(node.threshold)
    return lambda x: (x > threshold).astype(np.float64)


def _flatten(name: str, node: Any) -> Operation:
    def flatten(x: Array) -> Array:
        shape = x.shape[1:]
        start, end = node.start_dim % len(shape), node.end_dim % len(shape)
        return x.reshape(len(x), *shape[:start], -1, *shape[end + 1 :])

    return flatten


def _pool(name: str, node: Any) -> Operation:
    size, stride, padding = pair(node.kernel_size), pair(node.stride), pair(node.padding)
    reduce = np.mean if kind_of(node) == "AvgPool2d" else np.sum

    def pool(x: Array) -> Array:
        around = np.pad(x, [(0, 0), (0, 0), *((each, each) for each in padding)])
        windows = np.lib.stride_tricks.sliding_window_view(around, size, axis=(2, 3))
        pooled: Array = reduce(windows[:, :, :: stride[0], :: stride[1]], axis=(4, 5))
        return pooled

    return pool


def _conv2d(name: str, node: Any) -> Operation:
    padding = _padding(name, node.padding)
    return _convolution(_floats(node.weight), _floats(node.bias), pair(node.stride), padding, pair(node.dilation), node.groups)


def _conv1d(name: str, node: Any) -> Operation:
    """A convolution over a height of 1."""
    _, padding = _padding(name, node.padding)
    weight = _floats(node.weight)[:, :, None]
    stride, dilation = (1, pair(node.stride)[1]), (1, pair(node.dilation)[1])
    convolve = _convolution(weight, _floats(node.bias), stride, (0, padding), dilation, node.groups)
    return lambda x: convolve(x[:, :, None])[:, :, 0]


def _convolution(
    weight: Array, bias: Array, stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int], groups: int
) -> Operation:
    kernel = weight.shape[2:]
    span = tuple(step * (size - 1) + 1 for step, size in zip(dilation, kernel, strict=True))
    bias = np.broadcast_to(bias.reshape(-1), len(weight))
    parts = weight.reshape(groups, -1, *weight.shape[1:])

    def convolve(x: Array) -> Array:
        around = np.pad(x, [(0, 0), (0, 0), *((each, each) for each in padding)])
        windows = np.lib.stride_tricks.sliding_window_view(around, span, axis=(2, 3))
        windows = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
        channels = windows.reshape(len(x), groups, -1, *windows.shape[2:])
        found = np.einsum("bgchwyx,gocyx->bgohw", channels, parts, optimize=True)
        summed: Array = found.reshape(len(x), len(weight), *found.shape[3:]) + bias[:, None, None]
        return summed

    return convolve


def _padding(name: str, padding: Any) -> tuple[int, int]:
    if isinstance(padding, str) or isinstance(np.reshape(padding, -1)[0], str):
        raise CannotBuild(f"node {name!r}: no padding {padding!r} here; write it in numbers")
    return pair(padding)


def _floats(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64)


_KINDS: dict[str, Callable[[str, Any], Operation]] = {
    "Affine": _affine,
    "Linear": _linear,
    "Scale": _scale,
    "Threshold": _threshold,
    "Flatten": _flatten,
    "Conv1d": _conv1d,
    "Conv2d": _conv2d,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
}
