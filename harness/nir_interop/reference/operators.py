r"""What the primitives without memory compute; every operator works on one step, axes (N, \*shape), N samples.

Source: the definitions of ``nir`` 1.0.8; where they are silent (average pooling at a padded border, 'same' padding of an
even kernel) torch's defaults are meant, since every library of the matrix takes them from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nir_interop.graphs import Array, Node
from nir_interop.graphs.shapes import padding_of
from nir_interop.reference.room import COLUMNS

Operator = Callable[[Tensor], Tensor]


def operator(node: Node, dtype: torch.dtype) -> Operator:
    """The function of a stateless node, in the precision asked for.

    Raises KeyError for a kind that has memory.
    """
    return _OPERATORS[node.kind](node, dtype)


def _affine(node: Node, dtype: torch.dtype) -> Operator:
    r""":math:`y = W x + b`"""
    weight, bias = _tensor(node["weight"], dtype), _tensor(node["bias"], dtype)
    return lambda x: functional.linear(x, weight, bias)


def _linear(node: Node, dtype: torch.dtype) -> Operator:
    r""":math:`y = W x`"""
    weight = _tensor(node["weight"], dtype)
    return lambda x: functional.linear(x, weight)


def _scale(node: Node, dtype: torch.dtype) -> Operator:
    r""":math:`y = s \odot x`"""
    scale = _tensor(node["scale"], dtype)
    return lambda x: x * scale


def _threshold(node: Node, dtype: torch.dtype) -> Operator:
    r""":math:`y = [x > \theta]`"""
    threshold = _tensor(node["threshold"], dtype)
    return lambda x: (x > threshold).to(dtype)


def _convolution(node: Node, dtype: torch.dtype) -> Operator:
    r""":math:`y_o = b_o + \sum_c w_{oc} \star x_c` (cross-correlation) over one or two dimensions, in groups"""
    weight, bias = _tensor(node["weight"], dtype), node.get("bias")
    dimensions = weight.ndim - 2
    convolve = functional.conv1d if dimensions == 1 else functional.conv2d
    stride, dilation = (extent(node[name], dimensions) for name in ("stride", "dilation"))
    zeros = padding_of(_with_plain_text(node), tuple(weight.shape[2:]), stride, dilation)
    symmetric = all(before == after for before, after in zeros)
    border = [] if symmetric else [count for pair in reversed(zeros) for count in pair]
    options: dict[str, Any] = {
        "bias": None if bias is None else _tensor(bias, dtype).broadcast_to(weight.shape[:1]),
        "stride": stride,
        "padding": tuple(before for before, _ in zeros) if symmetric else 0,
        "dilation": dilation,
        "groups": extent(node["groups"], 1)[0],
    }

    def apply(x: Tensor) -> Tensor:
        padded = functional.pad(x, border) if border else x
        # torch unfolds what comes in for all samples at once; each sample is multiplied by itself, so parts give the same.
        parts = torch.split(padded, _at_once(padded, weight))
        convolved = [convolve(part, weight, **options) for part in parts]
        return convolved[0] if len(convolved) == 1 else torch.cat(convolved)

    return apply


def _at_once(x: Tensor, weight: Tensor) -> int:
    """Samples whose windows, one for each place of what comes in, stay within COLUMNS; one at least, and all in single
    precision, where torch unfolds nothing and may choose its sums by the number of samples."""
    if x.dtype is not torch.float64:
        return max(1, len(x))
    return max(1, COLUMNS // max(1, x[0].numel() * weight[0, 0].numel()))


def _with_plain_text(node: Node) -> Node:
    """The node with a padding in words as a str, where it is an array of one text."""
    padding: Any = node["padding"]
    if isinstance(padding, str) or padding.dtype.kind not in "UO":
        return node
    return Node(node.kind, {**node.params, "padding": padding.item()})


def _average(node: Node, dtype: torch.dtype) -> Operator:
    """Mean over each window, padding counted as zeros."""
    return _pool(node, divisor=None)


def _sum(node: Node, dtype: torch.dtype) -> Operator:
    """Sum over each window, padding counted as zeros."""
    return _pool(node, divisor=1)


def _pool(node: Node, divisor: int | None) -> Operator:
    kernel, stride, padding = (extent(node[name], 2) for name in ("kernel_size", "stride", "padding"))
    # torch refuses a padding of more than half a window; NIR has no such limit.
    border = (padding[1], padding[1], padding[0], padding[0])

    def apply(x: Tensor) -> Tensor:
        padded = functional.pad(x, border) if any(border) else x
        return functional.avg_pool2d(padded, kernel, stride, divisor_override=divisor)

    return apply


def _flatten(node: Node, dtype: torch.dtype) -> Operator:
    """Dimensions ``start_dim`` to ``end_dim`` of a sample become one; they do not count the batch."""
    (start,), (end,) = (extent(node[name], 1) for name in ("start_dim", "end_dim"))

    def apply(x: Tensor) -> Tensor:
        return x.flatten(start + 1 if start >= 0 else start, end + 1 if end >= 0 else end)

    return apply


def _identity(node: Node, dtype: torch.dtype) -> Operator:
    """What goes in comes out."""
    return lambda x: x


_OPERATORS: dict[str, Callable[[Node, torch.dtype], Operator]] = {
    "Affine": _affine,
    "AvgPool2d": _average,
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "Flatten": _flatten,
    "Input": _identity,
    "Linear": _linear,
    "Output": _identity,
    "Scale": _scale,
    "SumPool2d": _sum,
    "Threshold": _threshold,
}


def extent(value: Array, dimensions: int) -> tuple[int, ...]:
    """A stride, padding or window as one integer per dimension; a scalar stands for all."""
    return tuple(int(entry) for entry in np.broadcast_to(np.ravel(value), (dimensions,)))


def _tensor(array: Array, dtype: torch.dtype) -> Tensor:
    return torch.tensor(array, dtype=dtype)
