"""Structural probes of stateless primitives, and of elementwise ones between two layers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from nir_interop.explain.probes.battery import DT
from nir_interop.explain.probes.structural import Shape, Structural, dense, node, path, weight
from nir_interop.fingerprint import FlattenDims, Form, Written
from nir_interop.graphs import Node


def _conv(kernel: Shape, size: Shape, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Node:
    """A convolution that says the size of its input, without which nir 1.0.8 does not read it."""
    dimensions = len(size)

    def each(value: Any) -> Any:
        if isinstance(value, str):
            return value
        return value if dimensions == 1 else np.broadcast_to(value, (dimensions,)).copy()

    return node(
        f"Conv{dimensions}d",
        weight=weight(*kernel),
        bias=weight(kernel[0]),
        stride=each(stride),
        padding=each(padding),
        dilation=each(dilation),
        groups=groups,
        input_shape=size[0] if dimensions == 1 else size,
    )


def _linear() -> list[Structural]:
    affine = node("Affine", weight=weight(2, 5), bias=weight(2))
    square = node("Affine", weight=weight(4, 4), bias=weight(4))
    return [
        path(Form.WIDENING, "Linear", (dense(5, 3),), (3,), (5,)),
        path(Form.SQUARE, "Linear", (dense(4, 4),), (4,), (4,)),
        path(Form.NARROWING, "Affine", (affine,), (5,), (2,)),
        path(Form.SQUARE, "Affine", (square,), (4,), (4,)),
    ]


def _convolutions() -> list[Structural]:
    return [
        path(Form.STRIDED_PADDED_DILATED, "Conv1d", (_conv((3, 2, 3), (11,), 2, 1, 2),), (2, 11), (3, 5)),
        path(Form.PADDING_SAME, "Conv1d", (_conv((3, 2, 4), (9,), padding="same"),), (2, 9), (3, 9)),
        path(Form.GROUPS, "Conv1d", (_conv((4, 2, 3), (9,), groups=2),), (4, 9), (4, 7)),
        path(
            Form.STRIDED_PADDED_DILATED,
            "Conv2d",
            (_conv((3, 2, 3, 3), (7, 6), (2, 1), (1, 2), (1, 2)),),
            (2, 7, 6),
            (3, 4, 6),
        ),
        path(Form.KERNEL_NOT_SQUARE, "Conv2d", (_conv((3, 2, 3, 2), (6, 5)),), (2, 6, 5), (3, 4, 4)),
        path(Form.PADDING_SAME, "Conv2d", (_conv((3, 2, 4, 3), (6, 5), padding="same"),), (2, 6, 5), (3, 6, 5)),
        path(Form.GROUPS, "Conv2d", (_conv((4, 2, 3, 3), (6, 5), groups=2),), (4, 6, 5), (4, 4, 3)),
        path(Form.DEPTHWISE, "Conv2d", (_conv((4, 1, 3, 3), (6, 5), groups=4),), (4, 6, 5), (4, 4, 3)),
    ]


def _pool(kind: str, kernel: Any, stride: Any, padding: Any) -> Node:
    return node(kind, kernel_size=kernel, stride=stride, padding=padding)


def _pools() -> list[Structural]:
    found: list[Structural] = []
    for kind in ("AvgPool2d", "SumPool2d"):
        plain = _pool(kind, [2, 2], [2, 2], [0, 0])
        between = (_conv((2, 2, 3, 3), (6, 4), padding=1), plain, _conv((3, 2, 1, 1), (3, 2)))
        found += [
            path(Form.ALONE, kind, (plain,), (2, 6, 4), (2, 3, 2)),
            path(Form.BETWEEN_CONVOLUTIONS, kind, between, (2, 6, 4), (3, 3, 2)),
            path(Form.OVERLAPPING_WINDOWS, kind, (_pool(kind, [3, 2], [1, 2], [0, 0]),), (2, 6, 4), (2, 4, 2)),
            path(Form.PADDING, kind, (_pool(kind, [2, 2], [2, 2], [1, 1]),), (2, 6, 4), (2, 4, 3)),
            # The shape is the same without the padding; only the windows move.
            path(Form.HIDDEN_PADDING, kind, (_pool(kind, [2, 2], [3, 3], [1, 1]),), (2, 5, 5), (2, 2, 2)),
            path(Written.ONE_FOR_BOTH, kind, (_pool(kind, 2, 2, 0),), (2, 6, 4), (2, 3, 2)),
        ]
    return found


def _flattens() -> list[Structural]:
    shape, found = (2, 3, 4), []
    for start, end in itertools.combinations(range(3), 2):
        joined = (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])
        for first, last in itertools.product((start, start - 3), (end, end - 3)):
            flatten = node("Flatten", start_dim=first, end_dim=last)
            found.append(path(FlattenDims(first, last), "Flatten", (flatten,), shape, joined))
    return found


def _elementwise() -> list[Structural]:
    """Alone, and between two layers, where a node that is dropped is not missed."""
    scale = node("Scale", scale=np.array([0.5, -1.5, 3.0], dtype=np.float32))
    threshold = node("Threshold", threshold=np.array([0.5, 1.0, -0.25], dtype=np.float32))
    delay = node("Delay", delay=DT * np.array([1.0, 3.0, 0.0]))
    volts, tau = np.zeros(3), np.full(3, 10 * DT)
    resistance = np.array([2.5, 1.5, 3.5])
    leaky = {"r": resistance, "v_leak": volts}
    found = []
    for each in (scale, threshold, delay):
        found.append(path(Form.ALONE, each.kind, (each,), (3,), (3,)))
    for each in (
        scale,
        threshold,
        delay,
        node("I", r=resistance / DT),
        node("LI", tau=tau, **leaky),
        node("CubaLI", tau_mem=tau, tau_syn=0.6 * tau, w_in=np.array([1.75, 2.5, 0.75]), **leaky),
    ):
        found.append(path(Form.BETWEEN_LAYERS, each.kind, (dense(3, 4), each, dense(2, 3)), (4,), (2,)))
    return found


NODES: tuple[Structural, ...] = (*_linear(), *_convolutions(), *_pools(), *_flattens(), *_elementwise())
