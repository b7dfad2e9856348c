"""Nodes without memory in plain NumPy, each on one step, axes (B, *shape), with the faults of an importer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nir_interop.graphs import Node
from nir_interop.vocabulary import Cause

Values = np.ndarray[Any, Any]


def apply(node: Node, x: Values, faults: frozenset[Cause]) -> Values:
    """What a stateless node answers to ``x``."""
    if node.kind in ("Affine", "Linear"):
        return _dense(node, x, faults)
    if node.kind in ("Conv1d", "Conv2d"):
        return _convolution(node, x, faults)
    if node.kind in ("SumPool2d", "AvgPool2d"):
        return _pool(node, x, faults)
    if node.kind == "Flatten":
        return _flatten(node, x, faults)
    if node.kind == "Scale":
        return x * _single(node["scale"])
    if node.kind == "Threshold":
        return (x > _single(node["threshold"])).astype(float)
    return x


def _single(value: Values) -> Values:
    return np.float64(value.reshape(()) if value.size == 1 else value)


def _dense(node: Node, x: Values, faults: frozenset[Cause]) -> Values:
    weight = np.float64(node["weight"])
    if Cause.WEIGHT_TRANSPOSED in faults and weight.shape[0] == weight.shape[1]:
        weight = weight.T
    y = np.einsum("...i,oi->...o", x, weight)
    return y + _single(node["bias"]) if "bias" in node.params and Cause.BIAS_DROPPED not in faults else y


def _convolution(node: Node, x: Values, faults: frozenset[Cause]) -> Values:
    weight, groups = np.float64(node["weight"]), int(node["groups"])
    window = weight.shape[2:]
    stride, dilation = (np.broadcast_to(node[name], len(window)) for name in ("stride", "dilation"))
    reach = [int(wide) * (size - 1) for wide, size in zip(dilation, window, strict=True)]
    padding = node.params["padding"]
    if isinstance(padding, str) or padding.dtype.kind in "SUO":
        same = str(padding) == "same"
        sides = [(total // 2, total - total // 2) if same else (0, 0) for total in reach]
    else:
        sides = [(int(zeros), int(zeros)) for zeros in np.broadcast_to(padding, len(window))]
    x = np.pad(x, [(0, 0), (0, 0), *sides])
    space = tuple(range(2, x.ndim))
    patches = sliding_window_view(x, [length + 1 for length in reach], axis=space)
    chosen = (slice(None), slice(None), *(slice(None, None, int(step)) for step in stride))
    patches = patches[(*chosen, *(slice(None, None, int(wide)) for wide in dilation))]
    axes = list(range(x.ndim, 2 * x.ndim - 2))
    parts = zip(np.split(patches, groups, axis=1), np.split(weight, groups), strict=True)
    y = np.concatenate(
        [np.moveaxis(np.tensordot(part, kernel, ([1, *axes], [1, *space])), -1, 1) for part, kernel in parts], axis=1
    )
    if node.get("bias") is None or Cause.BIAS_DROPPED in faults:
        return y
    return y + np.broadcast_to(node["bias"], len(weight)).reshape(-1, *[1] * len(window))


def _pool(node: Node, x: Values, faults: frozenset[Cause]) -> Values:
    window, stride, padding = (
        [int(n) for n in np.broadcast_to(node[name], 2)] for name in ("kernel_size", "stride", "padding")
    )
    if Cause.POOL_PADDING not in faults:
        x = np.pad(x, [(0, 0), (0, 0), *((zeros, zeros) for zeros in padding)])
    patches = sliding_window_view(x, window, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    total: Values = patches.sum(axis=(4, 5))
    return total / (window[0] * window[1]) if node.kind == "AvgPool2d" else total


def _flatten(node: Node, x: Values, faults: frozenset[Cause]) -> Values:
    first, last = int(node["start_dim"]), int(node["end_dim"])
    # NIR counts the dimensions of a sample; an importer that counts the batch as well joins it with the features.
    skipped = 0 if Cause.FLATTEN_BATCH in faults else 1
    first, last = (number + x.ndim if number < 0 else number + skipped for number in (first, last))
    if Cause.FLATTEN_ORDER in faults and first <= 1 < last:
        x = np.moveaxis(x, 1, last)
    return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])
