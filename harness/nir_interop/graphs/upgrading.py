"""A graph in the form that today's NIR has for it: what the libraries' importers read, with the meaning that it had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nir_interop.graphs.inlining import Place
from nir_interop.graphs.model import Array, Graph, Node, as_array
from nir_interop.graphs.naming import with_safe_names
from nir_interop.graphs.primitives import CONVOLUTIONS, DENSE, ELEMENTWISE, WHOLE
from nir_interop.graphs.shapes import Shape, is_scalar, whole_numbers
from nir_interop.graphs.validation import shapes_by_place
from nir_interop.printable import shape_text, shown
from nir_interop.safe_names import is_numbered

_DIMENSIONS = {"Conv1d": 1, "Conv2d": 2, "SumPool2d": 2, "AvgPool2d": 2}
_PER_DIMENSION = ("stride", "padding", "dilation", "kernel_size")
_MOST_SHOWN = 6
"""Numbers of a parameter that a line shows."""


@dataclass(frozen=True)
class Change:
    """One thing that is otherwise than in the file.

    what : the parameters, or all there is to say
    where : the node, or the file; empty where ``what`` says it
    before, after : shapes, types or values; empty where ``what`` says them
    """

    what: str
    where: str = ""
    before: str = ""
    after: str = ""

    @property
    def text(self) -> str:
        """The change in a line."""
        return f"{self.what} of {self.where}: {self.before} → {self.after}" if self.where else self.what

    def as_dict(self) -> dict[str, str]:
        """As plain data."""
        return {"what": self.what, "where": self.where, "before": self.before, "after": self.after, "says": self.text}


def upgraded(graph: Graph) -> tuple[Graph, tuple[Change, ...], dict[str, str]]:
    """A valid graph as today's NIR has it, what is otherwise in it, and what is called otherwise: name → safe name.

    Numbers are floats, one for each neuron or output; what is counted is whole numbers, one for each dimension; the shapes that
    nodes say of themselves are those that they have; names are such as every library takes.  A graph that is in that form
    already comes back with the same arrays and without a change.  Raises InvalidGraph where it means nothing.
    """
    made, changes = in_form(graph)
    safe, called = with_safe_names(made)
    if all(map(is_numbered, called)):  # as torch.nn.Sequential calls its modules: every library takes that
        return made, changes, {}
    named = tuple(Change("the name", shown(old), shown(old), shown(new)) for old, new in called.items())
    return safe, (*changes, *named), called


def in_form(graph: Graph) -> tuple[Graph, tuple[Change, ...]]:
    """The same under the names that it has."""
    shapes = {place: into for place, (into, _) in shapes_by_place(graph).items()}
    changes: list[Change] = []
    return _graph(graph, (), shapes, changes), tuple(changes)


def _graph(graph: Graph, place: Place, shapes: Mapping[Place, Shape], changes: list[Change]) -> Graph:
    nodes: dict[str, Node | Graph] = {}
    for name, node in graph.nodes.items():
        here = (*place, name)
        if isinstance(node, Graph):
            nodes[name] = _graph(node, here, shapes, changes)
            continue
        params = _params(node, shapes[here])
        changes += _told(node, params, f"{node.kind} {shown('.'.join(here))}")
        nodes[name] = Node(node.kind, params, node.metadata)
    return Graph(nodes, graph.edges, graph.metadata)


def _params(node: Node, shape: Shape) -> dict[str, Any]:
    """The parameters of a node that is fed a shape; those that need nothing are the node's own arrays."""
    params: dict[str, Any] = {}
    given: Mapping[str, Any] = node.params
    for name, value in given.items():
        params[name] = value if isinstance(value, str) else _value(node, name, value, shape)
    if node.kind in CONVOLUTIONS:
        params |= _input_shape(node, shape)
    if node.kind == "Flatten":
        params["input_type"] = _whole(node.params.get("input_type"), shape, 1)
    return params


def _value(node: Node, name: str, value: Array, shape: Shape) -> Array:
    if name not in WHOLE:
        return _spread(node, name, _floats(value), shape)
    if name in _PER_DIMENSION:
        count = _DIMENSIONS[node.kind]
        numbers = whole_numbers(node, name, count)
        return _whole(value, numbers, 0 if count == 1 else 1)
    if name in ("groups", "start_dim", "end_dim"):
        return _whole(value, whole_numbers(node, name, 1), 0)
    return _whole(value, whole_numbers(node, name), 1) if name == "shape" else value


def _floats(value: Array) -> Array:
    """The same numbers as floats of at least single precision."""
    if value.dtype.kind == "f" and value.dtype.itemsize in (4, 8):
        return value
    wide = value.astype(np.float64)
    narrow = wide.astype(np.float32)
    return as_array(narrow if (narrow.astype(np.float64) == wide).all() else wide)


def _spread(node: Node, name: str, value: Array, shape: Shape) -> Array:
    """One number for each element, where one number stands for all of them."""
    if node.kind in ELEMENTWISE:
        wanted = shape
    elif name == "bias" and node.kind in (*DENSE, *CONVOLUTIONS):
        wanted = node["weight"].shape[:1]
    else:
        return value
    return as_array(np.full(wanted, value.reshape(()))) if is_scalar(value) and value.shape != wanted else value


def _whole(value: Any, numbers: Shape, axes: int) -> Array:
    """Whole numbers in an array of so many axes: the one that there is, where it is that."""
    made = np.array(numbers if axes else numbers[0], dtype=np.int64)
    kept = isinstance(value, np.ndarray) and value.dtype.kind in "iu" and np.array_equal(value, made)
    return value if kept and value.shape == made.shape else as_array(made)


def _input_shape(node: Node, shape: Shape) -> dict[str, Array]:
    return {"input_shape": _whole(node.params.get("input_shape"), shape[1:], len(shape) - 2)}


def _told(before: Node, after: Mapping[str, Any], where: str) -> list[Change]:
    """What is otherwise, a line for all parameters of a node that changed alike."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in sorted({*before.params, *after}):
        old, new = before.params.get(name), after.get(name)
        if old is not new:
            found.setdefault(_forms(name, old, new), []).append(name)
    return [Change(", ".join(names), where, *forms) for forms, names in found.items()]


def _forms(name: str, old: Any, new: Any) -> tuple[str, str]:
    """How a parameter was and how it is, in as few words as tell them apart."""
    if name in WHOLE or old is None or new is None:
        return _numbers(old), _numbers(new)
    types = old.dtype != new.dtype
    sizes = old.shape != new.shape
    before, after = (
        " ".join([*([_size(each)] if sizes else []), *([str(each.dtype)] if types else [])]) for each in (old, new)
    )
    return before, after


def _size(value: Array) -> str:
    return "one number" if value.ndim == 0 else shape_text(value.shape)


def _numbers(value: Any) -> str:
    if value is None:
        return "missing"
    if not isinstance(value, np.ndarray):
        return shown(value)
    if value.size > _MOST_SHOWN:
        return shape_text(value.shape)
    return str(value.tolist() if value.ndim == 0 else tuple(value.tolist()))
