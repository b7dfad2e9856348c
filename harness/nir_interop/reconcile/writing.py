"""Passes that write the same numbers otherwise: one for every element, in single precision.

What an importer makes of a way of writing is known from its probes alone; where none of them went wrong nothing is rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import GivenField, Written
from nir_interop.graphs import NEURONS, Array, Graph, Node, as_array, placed, validate
from nir_interop.graphs.primitives import DEFAULTS, ELEMENTWISE, WHOLE
from nir_interop.graphs.shapes import is_scalar
from nir_interop.graphs.unwritten import holds_field, is_neutral, without_fields
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.rule import ResetKind, Start, Use
from nir_interop.vocabulary import Cause

_TYPES = {Written.INTEGERS: "iu", Written.BOOLEANS: "b", Written.HALF: "f2", Written.DOUBLE: "f8"}


def _numbers(node: Node) -> Iterator[tuple[str, Array]]:
    """The parameters of a node that are not whole numbers by their meaning."""
    for name, value in node.params.items():
        if name not in WHOLE and isinstance(value, np.ndarray):
            yield name, value


def _rewritten(graph: Graph, changed: dict[str, dict[str, Any]], why: str) -> Rewritten | None:
    if not changed:
        return None
    nodes = {name: Node(node.kind, {**node.params, **changed.get(name, {})}) for name, node in graph.primitives()}
    kept = {name: nodes[name] if name in changed else node for name, node in graph.nodes.items()}
    return Rewritten(Graph(kept, graph.edges, graph.metadata), tuple(sorted(changed)), why)


def one_per_element(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write one number that stands for all elements once for each.

    .. math:: \tau \;\Longrightarrow\; (\tau, \dots, \tau) \in \mathbb{R}^{d_1 \times \dots \times d_n}
        \quad\text{for samples of}\ d_1 \times \dots \times d_n

    for the parameters of neurons, Scale, Threshold and Delay, and (one for each output or channel) for a bias.  Each element
    computes with the number that it computed with.  Needed where the target does not take a number in the form in which it
    stands here: by itself, or as an array of one element.
    """
    shapes, changed = validate(graph), dict[str, dict[str, Any]]()
    for name, node in graph.primitives():
        refused = {Written.ONE_NUMBER, Written.ARRAY_OF_ONE} & {*target.domain.declined(node.kind)}
        if not refused:
            continue
        into = shapes[name][0]
        full = {each: into if node.kind in ELEMENTWISE else _full(node, each) for each, _ in _numbers(node)}
        short = {each: value for each, value in _numbers(node) if value.shape != full[each] and is_scalar(value)}
        forms = {Written.ONE_NUMBER if value.ndim == 0 else Written.ARRAY_OF_ONE for value in short.values()}
        # Parameters in two forms, some full, were not probed: whoever declines one form declines a mixture.
        mixed = node.kind in ELEMENTWISE and len({value.shape for _, value in _numbers(node)}) > 1
        if short and (forms & refused or mixed):
            changed[name] = {each: np.broadcast_to(value.reshape(()), full[each]).copy() for each, value in short.items()}
    return _rewritten(graph, changed, "the importer takes no number that stands for all elements, and takes one for each")


def one_for_a_map(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write a neuron's number that is the same for all elements of a feature map as an array of one number.

    .. math:: (\tau, \dots, \tau) \in \mathbb{R}^{c \times h \times w} \;\Longrightarrow\; (\tau)

    What probes found of neurons they found of vectors.  An importer that takes an array of one number may not take one with an
    axis for each of a map; where it does, the planner leaves the pass out.
    """
    shapes, changed = validate(graph), dict[str, dict[str, Any]]()
    for name, node in graph.primitives():
        known = node.kind in NEURONS and node.kind in target.domain
        if not known or len(shapes[name][0]) < 2 or target.domain.refuses(node.kind, Written.ARRAY_OF_ONE):
            continue
        numbers = dict(_numbers(node))
        if any(value.ndim > 1 for value in numbers.values()) and all(
            (value == value.flat[0]).all() for value in numbers.values()
        ):
            changed[name] = {each: as_array(value.reshape(-1)[:1]) for each, value in numbers.items()}
    return _rewritten(graph, changed, "the importer is known to take an array of one number, and not one with several axes")


def _full(node: Node, name: str) -> tuple[int, ...]:
    """The shape of a layer's parameter where it is written out: a bias has one number for each row of the weights."""
    return node["weight"].shape[:1] if name == "bias" else node[name].shape


def single_precision(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write numbers of a type that the target does not take in single precision.

    .. math:: x \in \mathbb{Z},\ |x| \le 2^{24} \;\Longrightarrow\; \mathrm{fl}_{32}(x) = x

    so integers (up to there), true and false (1 and 0), and half precision stay the numbers that they were.  Where one does
    not, the node is written in double precision if the target takes that, and else rounded as single precision rounds it.  All
    parameters of the node follow, so that none is of another type than the rest.
    """
    changed: dict[str, dict[str, Any]] = {}
    for name, node in graph.primitives():
        refused = target.domain.declined(node.kind)
        if any(way in refused and any(_is(value, kinds) for _, value in _numbers(node)) for way, kinds in _TYPES.items()):
            single = {each: value.astype(np.float32) for each, value in _numbers(node)}
            lossless = all(np.array_equal(single[each], value) for each, value in _numbers(node))
            wide = not lossless and Written.DOUBLE not in refused
            changed[name] = {each: value.astype(np.float64) for each, value in _numbers(node)} if wide else single
    return _rewritten(graph, changed, "the importer does not take numbers of this type, and takes single precision")


def dense_in_one_form(graph: Graph, _source: Side, target: Side) -> Rewritten | None:
    r"""Write a Linear as an Affine with a bias of 0, where the target takes no Linear; and the other way round.

    .. math:: W x = W x + 0

    Refuses a bias that is not 0 for a target that takes no Affine.
    """
    nodes, changed = dict(graph.nodes), list[str]()
    for name, node in graph.primitives():
        other = {"Linear": "Affine", "Affine": "Linear"}.get(node.kind, "")
        if not other or not target.domain.lacks(node.kind) or target.domain.lacks(other):
            continue
        if node.kind == "Affine" and node["bias"].any():
            raise Refused(Cause.UNSUPPORTED, (name,), f"{target.name} takes no Affine, and the bias of {name} is not 0")
        weight = node["weight"]
        added = {"bias": np.zeros(len(weight), weight.dtype if weight.dtype.kind == "f" else np.float32)}
        nodes[name] = Node(other, {"weight": weight} | (added if other == "Affine" else {}), node.metadata)
        changed.append(name)
    if not changed:
        return None
    kind = graph.nodes[changed[0]].kind
    how = "with a bias of 0 it is an Affine" if kind == "Linear" else "without its bias of 0 it is a Linear"
    why = f"{target.name} takes no {kind}; {how}"
    return Rewritten(Graph(nodes, graph.edges, graph.metadata), tuple(changed), why)


def older_fields(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""Leave out of the file what the classes of the target's own nir do not take: v_reset, w_in, and what is said of a node.

    .. math:: v_\mathrm{reset} = 0, \qquad w_\mathrm{in} = 1 \qquad \text{is what a file without them means}

    so that nothing changes where they are neutral, and where nothing reads them: v_reset under a reset by subtraction (or to 0)
    and a start elsewhere, w_in of a synapse that takes its input as it is.  What is said of a node means nothing.

    Refuses a v_reset and a w_in that are read and not neutral.
    """
    lacking: dict[str, list[str]] = {}
    for subject, known in target.domain.items():
        for refusal in known.refusals:
            if isinstance(subject, str) and isinstance(refusal.condition, GivenField):
                lacking.setdefault(subject, []).append(refusal.condition.field)
    made, changed = without_fields(graph, lacking, lambda node, field: is_neutral(node, field) or _unread(node, field, source))
    for place, node in placed(made):
        kept = [each for each in lacking.get(node.kind, ()) if holds_field(node, each)]
        if kept:
            name, cause = ".".join(place), _NOT_READ[kept[0]]
            why = f"the nir of {target.name} has no {kept[0]} of {node.kind}, and that of {name} is not {DEFAULTS[kept[0]]:g}"
            raise Refused(cause, (name,), why)
    why = f"the nir of {target.name} does not know the fields that are left out, and means the same without them"
    return Rewritten(made, changed, why) if changed else None


_NOT_READ = {"v_reset": Cause.RESET_VALUE_IGNORED, "w_in": Cause.INPUT_WEIGHT_IGNORED}


def _unread(node: Node, field: str, source: Side) -> bool:
    """Whether a rule makes nothing of a field."""
    rule = source.rule(node.kind)
    if field == "w_in":
        return rule.input_weight is Use.IGNORED or not rule.synapse_gain.scales
    return rule.reset is not ResetKind.TO_VALUE and rule.start is not Start.RESET


def _is(value: Array, kinds: str) -> bool:
    """Whether numbers are of a type: a kind of type, or one by its kind and size."""
    return value.dtype.str[1:] == kinds if kinds[-1].isdigit() else value.dtype.kind in kinds


WRITING: tuple[Pass, ...] = (
    Pass(
        "one_per_element",
        (),
        frozenset({Cause.PARAMETER_SHAPE}),
        "outputs, spikes and membranes",
        one_per_element,
    ),
    Pass(
        "single_precision",
        (),
        frozenset({Cause.NUMBER_TYPE}),
        "outputs, spikes and membranes, where single precision holds the numbers",
        single_precision,
    ),
    Pass(
        "one_for_a_map",
        (),
        frozenset({Cause.PARAMETER_SHAPE, Cause.UNSUPPORTED}),
        "outputs, spikes and membranes",
        one_for_a_map,
    ),
)
"""Behind passes that write new numbers, before those that nest nodes."""

FORMS: tuple[Pass, ...] = (
    Pass(
        "dense_in_one_form",
        (),
        frozenset({Cause.UNSUPPORTED, Cause.NODE_DROPPED}),
        "outputs, spikes and membranes, to the last bit",
        dense_in_one_form,
    ),
)
"""Behind all passes that make weights, before those that nest them."""

FIELDS: tuple[Pass, ...] = (
    Pass(
        "older_fields",
        (),
        frozenset({Cause.UNREADABLE, Cause.RESET_VALUE_IGNORED, Cause.INPUT_WEIGHT_IGNORED}),
        "outputs, spikes and membranes, to the last bit",
        older_fields,
        nested=True,
    ),
)
"""The pass about what a file says: behind all others, which make nodes."""
