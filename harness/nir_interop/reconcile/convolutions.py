"""Convolutions as dense layers, for a target that does not take them; what follows them then works on vectors.

NIR has no primitive that undoes a Flatten, so that all that hears a flattened sample is made to work on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Form
from nir_interop.graphs import Array, Graph, Node, Shapes, components, padding_of, validate, whole_numbers
from nir_interop.graphs.primitives import CONVOLUTIONS, DENSE, ELEMENTWISE, POOLS
from nir_interop.graphs.shapes import is_scalar
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reconcile.operators import lossless
from nir_interop.vocabulary import Cause

_SINGLE = np.dtype(np.float32)

Edges = tuple[tuple[str, str], ...]

MOST_WEIGHTS = 2**24
"""Elements of a dense matrix: 64 MiB in single precision, all of which a step reads.  The first convolution of a network for
28 x 28 pictures has a quarter of that with 8 channels, and all of it with 31; beyond, a file is of no use to anyone."""


def convolution_as_dense(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""A convolution that the target does not take as an Affine on the flattened sample.

    .. math:: \mathrm{vec}(w \star x + b) = W\,\mathrm{vec}(x) + \mathrm{vec}(b), \qquad
        W_{(o,p),(c,q)} = \sum_k w_{o,c,k}\,[\,q = s\,p + d\,k - p_0\,]

    with stride *s*, dilation *d* and :math:`p_0` zeros of padding in front, per dimension.  A Flatten comes before, where what
    feeds it is no vector.  All behind it works on the vector: neurons and other elementwise nodes with their parameters in a
    row, further convolutions, pools and dense layers (:math:`\mathbb{1} \otimes W` over leading dimensions) as dense layers; a
    Flatten has nothing left to do and goes, unless a cycle or another edge needs it.

    Not taken is a kind none of whose probes gave an output, and one of a shape that was refused and that no other pass takes
    away (a kernel that is not square, a padding 'same' of an odd number of zeros).

    Refuses where the target takes no Affine or no Flatten, where an Output hears what is not flattened otherwise, and dense
    matrices of more than ``MOST_WEIGHTS`` elements.
    """
    causes = {name: cause for name, node in graph.primitives() if (cause := _untaken(node, target)) is not None}
    if not causes:
        return None
    shapes, cause = validate(graph), causes[min(causes)]
    flat = _behind(graph, causes, shapes)
    _refuse(graph, target, flat, tuple(sorted(causes)), cause)
    nodes = {name: _on_vectors(name, node, *shapes[name], cause) if name in flat else node for name, node in graph.primitives()}
    kept, edges = _with_flattens(nodes, graph.edges, shapes, flat)
    why = "the importer takes no such convolution; as a dense layer it works on the flattened sample, and so does all behind it"
    return Rewritten(Graph(*_without_flattens(kept, edges, flat), graph.metadata), tuple(sorted(flat)), why)


def _untaken(node: Node, target: Side) -> Cause | None:
    """Why a node is to be written otherwise; None where it is no convolution, or one that the target takes."""
    domain = target.domain
    if node.kind not in CONVOLUTIONS or node.kind not in domain:
        return None
    if domain.lacks(node.kind):
        return Cause.NODE_DROPPED
    kernel = node["weight"].shape[2:]
    odd = False
    padding: Any = node["padding"]
    if isinstance(padding, str):
        stride, dilation = (whole_numbers(node, each, len(kernel)) for each in ("stride", "dilation"))
        odd = any(before != after for before, after in padding_of(node, kernel, stride, dilation))
    there = {Form.PADDING_SAME: odd, Form.KERNEL_NOT_SQUARE: len(set(kernel)) > 1}
    if domain.refuses(node.kind, *(form for form, is_so in there.items() if is_so)):
        return Cause.UNSUPPORTED
    return None


def _behind(graph: Graph, names: Iterable[str], shapes: Shapes) -> set[str]:
    """The nodes that hear a flattened sample, or that are to: those named, and all behind them until it is a vector anyway."""
    found, left = set(names), sorted(names)
    while left:
        name = left.pop()
        if len(shapes[name][1]) != 1:
            new = set(graph.out_of(name)) - found
            found |= new
            left += sorted(new)
    return found


def _refuse(graph: Graph, target: Side, flat: set[str], named: tuple[str, ...], cause: Cause) -> None:
    for kind in ("Affine", "Flatten"):
        if target.domain.lacks(kind):
            raise Refused(
                cause, named, f"the importer takes no such convolution, and no {kind} with which to write it otherwise"
            )
    for name in sorted(flat & set(graph.of_kind("Output"))):
        why = (
            f"the importer takes no such convolution; written as a dense layer it would make a vector of what {name} gives out"
        )
        raise Refused(cause, (*named, name), why)


def _on_vectors(name: str, node: Node, shape: tuple[int, ...], to: tuple[int, ...], cause: Cause) -> Node:
    """A node for what it heard in a row, which gives what it gave in a row."""
    if node.kind in ELEMENTWISE:
        return Node(node.kind, {key: value if is_scalar(value) else value.reshape(-1) for key, value in node.params.items()})
    if node.kind == "Flatten":
        return _flatten()
    if prod(shape) * prod(to) > MOST_WEIGHTS:
        why = f"as a dense layer {name} has {prod(to)} x {prod(shape)} weights, more than {MOST_WEIGHTS:,}"
        raise Refused(cause, (name,), why)
    if node.kind in DENSE:
        outer = prod(shape[:-1])
        weight = lossless(np.kron(np.eye(outer), node["weight"]), node["weight"].dtype)
        return Node(
            node.kind, {"weight": weight} | {key: np.tile(_row(node, to[-1]), outer) for key in node.params if key == "bias"}
        )
    if node.kind in POOLS:
        return Node(
            "Affine", {"weight": lossless(_matrix(node, shape, to), _SINGLE), "bias": np.zeros(prod(to), dtype=_SINGLE)}
        )
    weight = lossless(_matrix(node, shape, to), node["weight"].dtype)
    return Node("Affine", {"weight": weight, "bias": np.repeat(_row(node, to[0]), prod(to[1:]))})


def _flatten() -> Node:
    return Node("Flatten", {"start_dim": np.array(0), "end_dim": np.array(-1)})


def _row(node: Node, size: int) -> Array:
    """One bias per channel."""
    bias = node["bias"]
    return np.broadcast_to(bias.reshape(()) if bias.size == 1 else bias, (size,))


def _matrix(node: Node, shape: tuple[int, ...], to: tuple[int, ...]) -> Array:
    """The matrix of a convolution or a pool from shape to shape; a line is a picture that is one wide."""
    dimensions = len(shape) - 1
    dilation: tuple[int, ...] = (1, 1)
    stride = whole_numbers(node, "stride", dimensions)
    if node.kind in POOLS:
        kernel = whole_numbers(node, "kernel_size", 2)
        share = 1 / prod(kernel) if node.kind == "AvgPool2d" else 1.0
        weight = np.broadcast_to(share * np.eye(shape[0])[:, :, None, None], (shape[0], shape[0], *kernel))
    else:
        dilation = whole_numbers(node, "dilation", dimensions)
        weight, kernel = _ungrouped(node), node["weight"].shape[2:]
    zeros = [before for before, _ in padding_of(node, kernel, stride, dilation)]
    taps = [_taps(*numbers) for numbers in zip(kernel, to[1:], shape[1:], stride, dilation, zeros, strict=True)]
    if dimensions == 1:
        weight, taps = weight[..., None], [*taps, np.ones((1, 1, 1))]
    dense: Array = np.einsum("ockl,kpq,lrs->oprcqs", weight, *taps, optimize=True)
    return dense.reshape(prod(to), prod(shape))


def _taps(kernel: int, out: int, into: int, stride: int, dilation: int, zeros: int) -> Array:
    """(kernel, out, into): which element of what comes in an element of the kernel meets, for each that goes out."""
    meets = stride * np.arange(out)[None, :] + dilation * np.arange(kernel)[:, None] - zeros
    return np.asarray(meets[:, :, None] == np.arange(into), dtype=np.float64)


def _ungrouped(node: Node) -> Array:
    """Weights over all channels, in double precision."""
    (groups,), weight = whole_numbers(node, "groups", 1), node["weight"]
    out, into = weight.shape[0] // groups, weight.shape[1]
    dense = np.zeros((weight.shape[0], into * groups, *weight.shape[2:]))
    for group in range(groups):
        rows = slice(group * out, (group + 1) * out)
        dense[rows, group * into : (group + 1) * into] = weight[rows]
    return dense


def _with_flattens(nodes: dict[str, Node], edges: Edges, shapes: Shapes, flat: set[str]) -> tuple[dict[str, Node], Edges]:
    """A Flatten behind each node that feeds what hears flattened samples, and gives none."""
    made, named = dict(nodes), dict[str, str]()
    for source, end in edges:
        if end in flat and source not in flat and len(shapes[source][1]) != 1 and source not in named:
            name = f"{source}_flat"
            while name in made:
                name += "_"
            made[name], named[source] = _flatten(), name
    around = tuple((named[source], end) if source in named and end in flat else (source, end) for source, end in edges)
    return made, (*named.items(), *around)


def _without_flattens(nodes: dict[str, Node], edges: Edges, flat: set[str]) -> tuple[dict[str, Node], Edges]:
    """Without those that hear a vector; but on a cycle, and beside an edge between the same two nodes, they stay."""
    cyclic = {name for part in components(nodes, edges) if len(part) > 1 for name in part}
    kept, left = dict(nodes), dict.fromkeys(edges)
    for name in sorted(flat - cyclic):
        around = [(source, end) for source, after in left if after == name for before, end in left if before == name]
        if nodes[name].kind == "Flatten" and around and not any(edge in left or name in edge for edge in around):
            del kept[name]
            left = dict.fromkeys([*(edge for edge in left if name not in edge), *around])
    return kept, tuple(left)


AS_DENSE: tuple[Pass, ...] = (
    Pass(
        "convolution_as_dense",
        (),
        frozenset({Cause.NODE_DROPPED, Cause.UNSUPPORTED}),
        "outputs, spikes and membranes up to float64 rounding, in a row",
        convolution_as_dense,
    ),
)
"""To come before all others: on vectors, other passes have fewer conditions."""
