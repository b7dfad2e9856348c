"""Flatten, pools, convolutions, and the sizes of what they hear: written as a target's importer takes them.

All of them are linear algebra: the rewritten graph computes the same under every rule, up to floating-point rounding.  What
an importer takes is known from its probes alone; without evidence of a refusal nothing is rewritten.

Times in another unit, and inputs that a target multiplies, are axes of its rule, which the passes about time constants and
gains make up for: a number of steps is ``time_step = unit``, milliseconds are a dt in milliseconds, a factor of the input is
a gain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import FlattenDims, Form, Written
from nir_interop.graphs import Array, Graph, Node, Shapes, components, padding_of, validate, whole_numbers
from nir_interop.graphs.flattening import columns_of, joined, reordered
from nir_interop.graphs.primitives import CONVOLUTIONS, DENSE, ELEMENTWISE, POOLS
from nir_interop.graphs.shapes import flatten_range, is_scalar
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reconcile.neurons import lossless
from nir_interop.vocabulary import Cause

_WEIGHTS = {"Affine": "weight", "Linear": "weight", "Conv1d": "weight", "Conv2d": "weight", "Scale": "scale"}
"""Kinds that multiply what comes in, and the parameter they do it with."""


Changed = dict[str, Node]


def _with(graph: Graph, changed: Changed, why: str) -> Rewritten | None:
    """The graph with some nodes replaced; None where there are none."""
    if not changed:
        return None
    return Rewritten(Graph({**graph.nodes, **changed}, graph.edges, graph.metadata), tuple(sorted(changed)), why)


def _but(node: Node, **params: Any) -> Node:
    return Node(node.kind, {**node.params, **{name: np.asarray(value) for name, value in params.items()}})


def _divided(values: Array, divisor: int) -> Array:
    return lossless(np.asarray(values, dtype=np.float64) / divisor, values.dtype)


def _negative_flatten_dims(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Count the dimensions of a Flatten from the back.

    .. math:: \mathrm{dims}\ (s, e)\ \text{of}\ n \;=\; (s - n,\; e - n)

    The same dimensions of a sample; but an importer that counts the batch as one of them is off by one from the front, and
    right from the back.  Needed where a probe with dims of the same signs went wrong.
    """
    names = graph.of_kind("Flatten")
    if not names:
        return None
    dims = [each for each in target.domain.declined("Flatten") if isinstance(each, FlattenDims)]
    refused = {(each.start < 0, each.end < 0) for each in dims}
    shapes, changed = validate(graph), {}
    for name, node in graph.primitives():
        if node.kind == "Flatten":
            dimensions = len(shapes[name][0])
            signs = tuple(whole_numbers(node, end, 1) < (0,) for end in ("start_dim", "end_dim"))
            if signs in refused:
                start, end = flatten_range(node, dimensions)
                changed[name] = _but(node, start_dim=start - dimensions, end_dim=end - dimensions)
    if changed and (True, True) in refused:
        raise Refused(Cause.FLATTEN_BATCH, tuple(sorted(changed)), "no way to count the dimensions of Flatten is read right")
    return _with(graph, changed, "an importer that counts the batch reads dims from the back right")


def flatten_order(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Permute the columns of the weights behind a Flatten that the target joins in another order.

    .. math:: z = P\,x_\mathrm{flat} \;\Longrightarrow\; W' z = (W P^{\mathsf T})\,P\,x_\mathrm{flat} = W\,x_\mathrm{flat}

    where *P* is the order that a probe of as many dimensions came in.  Where something else than weights hears the Flatten, a
    Linear of :math:`P^{\mathsf T}` follows it.  Needed where such a probe went wrong in a known order.  Refused where it went
    wrong and the order is not known, or that Linear would have more than ``WIDEST_ORDER`` squared weights.
    """
    refusals = target.domain["Flatten"].refusals if "Flatten" in target.domain else ()
    found = {len(refusal.flatten_order): refusal.flatten_order for refusal in refusals if refusal.flatten_order}
    shapes, made, changed = validate(graph), graph, list[str]()
    for name, node in graph.primitives():
        sizes = joined(node, shapes[name][0]) if node.kind == "Flatten" else None
        order = None if sizes is None else found.get(len(sizes))
        if sizes is None or order is None or not _moves(columns_of(sizes, order)):
            continue
        undone = reordered(made, name, np.argsort(columns_of(sizes, order)))
        if undone is None:
            raise Refused(
                Cause.FLATTEN_ORDER, (name,), f"{name} joins its dimensions in another order, and no weights follow it"
            )
        made = undone
        changed.append(name)
    if not changed:
        return None
    why = (
        "the importer joins the dimensions of a Flatten in another order; the weights behind meet their features in that order"
    )
    return Rewritten(made, tuple(changed), why)


def _moves(columns: Array) -> bool:
    """Whether an order moves anything."""
    return not np.array_equal(columns, np.sort(columns))


def _pooling_as_arrays(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write one number for height and width as an array of two, and an array of one number for a length as that number.

    .. math:: k = (k, k), \qquad (k) = k

    for kernels, strides, paddings and dilations of pools and convolutions.
    """
    changed = {}
    for name, node in graph.primitives():
        both = node.kind in (*POOLS, "Conv2d") and target.domain.refuses(node.kind, Written.ONE_FOR_BOTH)
        listed = node.kind == "Conv1d" and target.domain.refuses(node.kind, Written.ARRAY_FOR_LENGTH)
        if both or listed:
            extents = [each for each in ("kernel_size", "stride", "padding", "dilation") if _is_number(node, each)]
            wrong = [each for each in extents if node[each].shape != ((2,) if both else ())]
            if wrong:
                numbers = {each: whole_numbers(node, each, 2 if both else 1) for each in wrong}
                changed[name] = _but(node, **{each: np.array(found if both else found[0]) for each, found in numbers.items()})
    return _with(graph, changed, "the importer takes one number a dimension, in an array where there are two")


def _is_number(node: Node, name: str) -> bool:
    return isinstance(node.params.get(name), np.ndarray)


def _average_as_sum(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Sum instead of averaging, and divide weights behind or before by the size of the window.

    .. math:: W \cdot \tfrac{1}{k}\textstyle\sum x = \tfrac{W}{k} \cdot \sum x, \qquad
        \tfrac{1}{k}\textstyle\sum (W x + b) = \sum (\tfrac{W}{k} x + \tfrac{b}{k})

    Behind: each path from the pool leads, through Flatten and pools, to weights that nothing else feeds.  Before: all that
    feeds the pool are weights that feed nothing else.  Where neither is so, the average is a convolution.
    """
    names = graph.of_kind("AvgPool2d")
    known = target.domain.get("AvgPool2d")
    if not names or known is None or (known.outputs and not known.mismatched):
        return None
    nodes = dict(graph.primitives())
    changed: set[str] = set()
    for name in names:
        behind, divisor = _weights_behind(graph, name), int(np.prod(whole_numbers(nodes[name], "kernel_size", 2)))
        before = None if behind else _weights_before(graph, name)
        if not (behind or before) or not target.takes("SumPool2d"):
            if not target.takes("Conv2d"):
                why = "the importer leaves AvgPool2d out, and no weights can take over the factor of a sum"
                raise Refused(Cause.NODE_DROPPED, (name,), why)
            nodes[name] = _convolution(nodes[name], validate(graph)[name][0])
            changed.add(name)
            continue
        extents = {each: np.array(whole_numbers(nodes[name], each, 2)) for each in ("kernel_size", "stride", "padding")}
        nodes[name] = Node("SumPool2d", extents)
        for weights in behind or before or ():
            scaled = [_WEIGHTS[nodes[weights].kind]]
            if before and nodes[weights].get("bias") is not None:
                scaled.append("bias")
            nodes[weights] = _but(nodes[weights], **{each: _divided(nodes[weights][each], divisor) for each in scaled})
        changed.update((name, *(behind or before or ())))
    return _with(graph, {name: nodes[name] for name in changed}, "the importer leaves AvgPool2d out, and takes SumPool2d")


def _weights_behind(graph: Graph, name: str) -> tuple[str, ...] | None:
    """The weights to which all paths from a node lead; None where one leads elsewhere, or something joins on the way."""
    found, left = [], list(graph.out_of(name))
    while left:
        after = left.pop()
        kind = graph.nodes[after].kind
        if len(graph.into(after)) > 1 or not (kind in _WEIGHTS or kind in ("Flatten", *POOLS)):
            return None
        if kind in _WEIGHTS:
            found.append(after)
        elif graph.out_of(after):
            left.extend(graph.out_of(after))
        else:
            return None
    return tuple(sorted(found)) or None


def _weights_before(graph: Graph, name: str) -> tuple[str, ...] | None:
    """The weights that feed a node and nothing else; None where something else feeds it too."""
    sources = graph.into(name)
    fits = all(graph.nodes[source].kind in _WEIGHTS and graph.out_of(source) == (name,) for source in sources)
    return tuple(sorted(sources)) if fits and name not in sources else None


def _padding_as_convolution(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write a pool with padding as a convolution whose kernels are ones, channel by channel.

    .. math:: y_c = \textstyle\sum_{\mathrm{window}} x_c = \sum_{c'} (\delta_{c c'} \mathbf{1}) \star x_{c'}

    An average has :math:`1/k` in the place of ones; a padded border counts as zeros in both.
    """
    changed: Changed = {}
    for name, node in graph.primitives():
        padded = node.kind in POOLS and any(whole_numbers(node, "padding", 2))
        if padded and target.domain.refuses(node.kind, Form.PADDING, Form.HIDDEN_PADDING):
            if not target.takes("Conv2d"):
                raise Refused(Cause.POOL_PADDING, (name,), f"padding of {node.kind} is not used, and Conv2d is not taken")
            changed[name] = _convolution(node, validate(graph)[name][0])
    return _with(graph, changed, "the importer does not use the padding of a pool, and uses that of Conv2d")


def _convolution(pool: Node, shape: tuple[int, ...]) -> Node:
    """A pool over (channels, height, width) as Conv2d; of one group, which every importer takes."""
    kernel = whole_numbers(pool, "kernel_size", 2)
    each = np.eye(shape[0], dtype=np.float32)[:, :, None, None]
    weight = np.broadcast_to(each, (shape[0], shape[0], *kernel)).copy()
    extents: Mapping[str, Any] = {
        "weight": _divided(weight, int(np.prod(kernel))) if pool.kind == "AvgPool2d" else weight,
        "bias": np.zeros(shape[0], dtype=np.float32),
        "stride": whole_numbers(pool, "stride", 2),
        "padding": whole_numbers(pool, "padding", 2),
        "dilation": (1, 1),
        "groups": 1,
        "input_shape": shape[1:],
    }
    return Node("Conv2d", {name: np.array(value) for name, value in extents.items()})


def _same_padding_as_number(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write the padding 'same' or 'valid' of a convolution in numbers.

    .. math:: p = \tfrac{1}{2} d\,(k - 1) \ \text{('same', where even)}, \qquad p = 0 \ \text{('valid')}

    Refused where 'same' pads one zero more at the end, which no number says.
    """
    changed: Changed = {}
    for name, node in graph.primitives():
        if node.kind not in CONVOLUTIONS or not target.domain.refuses(node.kind, Form.PADDING_SAME):
            continue
        text: Any = node["padding"]
        if not isinstance(text, str):
            continue
        size = node["weight"].shape[2:]
        stride, dilation = (whole_numbers(node, each, len(size)) for each in ("stride", "dilation"))
        zeros = padding_of(node, size, stride, dilation)
        if any(before != after for before, after in zeros):
            raise Refused(Cause.UNSUPPORTED, (name,), "'same' pads this kernel with more zeros at its end than at its start")
        padding = [before for before, _ in zeros]
        changed[name] = _but(node, padding=padding if len(padding) > 1 else padding[0])
    return _with(graph, changed, "the importer takes a padding in numbers")


def square_kernel(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Fill a kernel up with zeros until it is square.

    .. math:: y_p = \sum_k w_k\,x_{s p + d k - P} = \sum_{k'} w'_{k'}\,x_{s p + k' - (P + a)}, \qquad
        w'_{a + d k} = w_k,\ \text{else}\ 0

    with *a* zeros before, *b* behind, and *a* more zeros of padding on both sides.  As many outputs are left as there were,
    :math:`\lfloor (L + 2P - K) / s \rfloor`, where that is so with :math:`a - b` more: always for :math:`a = b`, and with a
    stride above 1 often for :math:`a = b \pm 1`.  A dilation becomes zeros between the weights where sizes do not fit
    otherwise.  Every product that is new is one with 0: outputs stay what they are to the last bit, but for the order in which
    they are added up.  Where no square kernel gives as many outputs, nothing is rewritten: the layer may be a dense one.
    """
    shapes, changed = validate(graph), dict[str, Node]()
    for name, node in graph.primitives():
        kernel = node["weight"].shape[2:] if node.kind == "Conv2d" else ()
        if len(set(kernel)) > 1 and target.domain.refuses(node.kind, Form.KERNEL_NOT_SQUARE):
            square = _squared(node, shapes[name][0][1:])
            if square is not None:
                changed[name] = square
    return _with(graph, changed, "the importer takes no kernel that is not square; filled up with zeros it is")


def _squared(node: Node, size: tuple[int, ...]) -> Node | None:
    weight, kernel = node["weight"], node["weight"].shape[2:]
    stride, dilation = (whole_numbers(node, each, 2) for each in ("stride", "dilation"))
    zeros = padding_of(node, kernel, stride, dilation)
    if any(before != after for before, after in zeros):
        return None
    for spread in (dilation, (1, 1)):
        # Of a kernel with its dilation written out, weights lie d apart.
        apart = tuple(wide // step for wide, step in zip(dilation, spread, strict=True))
        wide = tuple(gap * (each - 1) + 1 for gap, each in zip(apart, kernel, strict=True))
        room = [
            length + 2 * before - step * (each - 1) - 1
            for length, (before, _), step, each in zip(size, zeros, spread, wide, strict=True)
        ]
        for side in range(max(wide), 2 * max(wide) + 2):
            before = [
                _zeros(side - each, left, step, gap) for each, left, step, gap in zip(wide, room, stride, spread, strict=True)
            ]
            if None not in before:
                start = [each for each in before if each is not None]
                filled = np.zeros((*weight.shape[:2], side, side), dtype=weight.dtype)
                rows, columns = (
                    slice(first, first + gap * (each - 1) + 1, gap)
                    for first, gap, each in zip(start, apart, kernel, strict=True)
                )
                filled[:, :, rows, columns] = weight
                padding = [pad + gap * first for (pad, _), gap, first in zip(zeros, spread, start, strict=True)]
                return _but(node, weight=filled, padding=padding, dilation=spread)
    return None


def _zeros(more: int, room: int, stride: int, dilation: int) -> int | None:
    """How many of some zeros come before a kernel so that as many outputs are left; None where no number does it."""
    for before in sorted(range(more + 1), key=lambda number: abs(2 * number - more)):
        left = room + dilation * (2 * before - more)
        if left >= 0 and left // stride == room // stride:
            return before
    return None


def _dense_groups(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write a convolution in groups as one over all channels, with zeros between the groups.

    .. math:: W_{oc} = 0 \ \text{where}\ \lfloor o\,g/C_\mathrm{out} \rfloor \ne \lfloor c\,g/C_\mathrm{in} \rfloor
    """
    changed: Changed = {}
    for name, node in graph.primitives():
        if node.kind not in CONVOLUTIONS or not target.domain.refuses(node.kind, Form.GROUPS, Form.DEPTHWISE):
            continue
        (groups,) = whole_numbers(node, "groups", 1)
        if groups > 1:
            weight = node["weight"]
            out, into = weight.shape[0] // groups, weight.shape[1]
            dense = np.zeros((weight.shape[0], into * groups, *weight.shape[2:]), dtype=weight.dtype)
            for group in range(groups):
                rows = slice(group * out, (group + 1) * out)
                dense[rows, group * into : (group + 1) * into] = weight[rows]
            changed[name] = _but(node, weight=dense, groups=1)
    return _with(graph, changed, "the importer takes no convolution in groups")


_EXACT = "outputs, spikes and membranes, up to float64 rounding"


SQUARES: tuple[Pass, ...] = (Pass("square_kernel", (), frozenset({Cause.UNSUPPORTED}), _EXACT, square_kernel),)
"""Before convolutions become dense layers: those that are square need not."""


OPERATORS: tuple[Pass, ...] = (
    Pass(
        "negative_flatten_dims",
        (),
        frozenset({Cause.FLATTEN_BATCH, Cause.FLATTEN_ORDER}),
        "outputs, spikes and membranes",
        _negative_flatten_dims,
    ),
    Pass("flatten_order", (), frozenset({Cause.FLATTEN_ORDER}), "outputs, spikes and membranes", flatten_order),
    Pass("average_as_sum", (), frozenset({Cause.NODE_DROPPED, Cause.UNSUPPORTED}), _EXACT, _average_as_sum),
    Pass("padding_as_convolution", (), frozenset({Cause.POOL_PADDING}), _EXACT, _padding_as_convolution),
    Pass("pooling_as_arrays", (), frozenset({Cause.UNSUPPORTED}), "outputs, spikes and membranes", _pooling_as_arrays),
    Pass("same_padding_as_number", (), frozenset({Cause.UNSUPPORTED}), _EXACT, _same_padding_as_number),
    Pass("dense_groups", (), frozenset({Cause.UNSUPPORTED}), _EXACT, _dense_groups),
)
"""In the order in which one may need another: what becomes of an average may have padding."""


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


def sizes_given(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write the size of its input, which follows from the graph, on every convolution that does not say it, or says another.

    .. math:: \mathrm{input\_shape} = (d_1, \dots, d_n)\ \text{for samples of}\ (c, d_1, \dots, d_n)

    An annotation changes nothing of what a graph means; but nir 1.0.8 constructs no convolution without it.  What probes found
    of a convolution they found of one that says its size, so that no other is known to be taken: where nothing is known of the
    target's convolutions, nothing is rewritten.
    """
    names = [name for name in graph.of_kind(*CONVOLUTIONS) if graph.nodes[name].kind in target.domain]
    if not names:
        return None
    shapes, changed = validate(graph), dict[str, Node]()
    for name, node in graph.primitives():
        if name in names:
            size = shapes[name][0][1:]
            said = node.get("input_shape")
            if said is None or not np.array_equal(np.atleast_1d(said), size):
                given = np.array(size if len(size) > 1 else size[0])
                changed[name] = Node(node.kind, {**node.params, "input_shape": given})
    if not changed:
        return None
    why = "the importer is only known to take convolutions that say the size of what they hear"
    return Rewritten(Graph({**graph.nodes, **changed}, graph.edges, graph.metadata), tuple(sorted(changed)), why)


def unbatched_input(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Take the batch of 1, with which a graph was exported, out of its Input.

    .. math:: W\,(x) = (W\,x) \quad\text{for samples } (x) \in \mathbb{R}^{1 \times n},\ x \in \mathbb{R}^n

    Every layer and neuron does to a single row what it does to a vector, so that outputs, spikes and membranes are the same
    numbers without an axis of one element.  nir 1.0.8 reads no graph whose Input has that axis before a weight: the type of a
    weight is its columns alone.

    Nothing is done where anything depends on axes (a convolution, a pool, a Flatten), where a node has other than one row, and
    where what the target takes is not known.
    """
    entries = graph.of_kind("Input")
    if not target.domain or len(entries) != 1:
        return None
    shapes = validate(graph)
    kinds = {node.kind for _, node in graph.primitives()} - {"Input", "Output", "Affine", "Linear"}
    rows = [shape for both in shapes.values() for shape in both]
    if kinds - ELEMENTWISE or any(len(shape) != 2 or shape[0] != 1 for shape in rows):
        return None
    nodes: dict[str, Node | Graph] = {}
    for name, node in graph.primitives():
        if node.kind in ("Input", "Output"):
            nodes[name] = Node(node.kind, {**node.params, "shape": np.array(shapes[name][0][1:])})
        elif node.kind in ELEMENTWISE:
            nodes[name] = Node(node.kind, {key: value[0] if value.ndim == 2 else value for key, value in node.params.items()})
        else:
            nodes[name] = node
    changed = tuple(sorted(name for name in nodes if nodes[name] is not graph.nodes[name]))
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), changed, "the batch of one sample is taken out of the Input")


BATCHES: tuple[Pass, ...] = (
    Pass("unbatched_input", (), frozenset({Cause.UNSUPPORTED}), "outputs, spikes and membranes", unbatched_input),
)
"""Before all passes but those that make a graph mean something."""

SIZES: tuple[Pass, ...] = (
    Pass("sizes_given", (), frozenset({Cause.UNSUPPORTED}), "outputs, spikes and membranes", sizes_given),
)
"""Behind passes that make convolutions, before those that nest nodes."""
