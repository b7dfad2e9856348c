"""Follow the tensors of a real run through a user's module: which layer's output of which step reaches which layer.

Layers (a library's neurons, layers of ``torch.nn``) are taken whole: hooks tell when one is called.  Between them every
function of torch is seen by a ``TorchFunctionMode``: additions, reshapes, indexing and stacking over time are understood,
whatever else is applied makes a tensor :class:`Unknown`, which matters only where such a tensor reaches a layer or the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode

Array = NDArray[Any]
TIME, BATCH, BOTH, ONE, FEATURE = "T", "B", "TB", "1", "F"
"""What an axis of a tensor is: of time, of the batch, of both merged, of length 1, of a layer."""


@dataclass(frozen=True, eq=False)
class Value:
    """What is known of a tensor.

    axes : what each of its axes is; None where it is silent, so that it goes with anything
    shape : lengths of the axes
    """

    axes: tuple[str, ...] | None
    shape: tuple[int, ...]

    @property
    def features(self) -> tuple[int, ...]:
        """The shape of one sample at one step."""
        return tuple(n for n, axis in zip(self.shape, self.axes or (), strict=False) if axis == FEATURE)


@dataclass(frozen=True, eq=False)
class Given(Value):
    """The input: of all steps, or the same at each."""


@dataclass(frozen=True, eq=False)
class Silent(Value):
    """Zeros, the same whatever is put in: a state before the first step."""


@dataclass(frozen=True, eq=False)
class Unknown(Value):
    """The result of what is not understood; ``why`` says of what."""

    why: str


@dataclass(frozen=True, eq=False)
class Called(Value):
    """What a layer gave back. port : ``out``, ``membrane`` or ``state``."""

    call: Call
    port: str


@dataclass(frozen=True, eq=False)
class Sum(Value):
    parts: tuple[Value, ...]


@dataclass(frozen=True, eq=False)
class Scaled(Value):
    """Multiplied by a number, or by one number an element of a layer."""

    part: Value
    factor: Array


@dataclass(frozen=True, eq=False)
class Flat(Value):
    """Axes of a layer merged. name : of the layer that did it; empty where it was no layer."""

    part: Value
    name: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class At(Value):
    """One step of a sequence."""

    part: Value
    step: int


@dataclass(frozen=True, eq=False)
class Stacked(Value):
    """Steps side by side."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, eq=False)
class Reduced(Value):
    """Summed or averaged over time."""

    part: Value


@dataclass(frozen=True, eq=False)
class Joined(Value):
    """Concatenated along the last axis of a layer."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, eq=False)
class Multiplied(Value):
    """Multiplied by a matrix that is no layer, as ``torch.nn.functional.linear`` does; weight has a row an output."""

    part: Value
    weight: Array
    bias: Array | None
    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer: the how-manieth of this layer, and what went in."""

    path: str
    module: nn.Module
    index: int
    input: Value
    states: tuple[Value | None, ...] = ()
    functional: bool = False
    """Whether it is a function in forward, and no layer of the module."""


@dataclass
class Trace:
    """What a run showed. calls : by the layer's path, in order."""

    calls: dict[str, list[Call]] = field(default_factory=dict)
    output: Value = field(default_factory=lambda: Silent(None, ()))


_SAME = frozenset(
    {
        "detach",
        "detach_",
        "clone",
        "contiguous",
        "float",
        "double",
        "to",
        "type",
        "type_as",
        "requires_grad_",
        "cpu",
        "cuda",
        "alias",
        "positive",
        "__pos__",
        "data",
    }
)
_RESHAPES = frozenset(
    {"view", "reshape", "flatten", "unsqueeze", "squeeze", "ravel", "view_as", "reshape_as", "unflatten", "_unsafe_view"}
)
_PERMUTES = frozenset({"permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims", "t", "T", "mT"})
_EXPANDS = frozenset({"repeat", "expand", "expand_as", "broadcast_to", "tile"})
_ADDS = frozenset({"add", "add_", "__add__", "__radd__", "__iadd__"})
_SUBTRACTS = frozenset({"sub", "sub_", "subtract", "__sub__", "__isub__"})
_MULTIPLIES = frozenset({"mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"})
_DIVIDES = frozenset({"div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"})
_STACKS = frozenset({"stack", "cat", "concat", "concatenate"})
_REDUCES = frozenset({"mean", "sum"})
_AS_LAYERS: Mapping[str, type[nn.Module]] = {
    "avg_pool2d": nn.AvgPool2d,
    "max_pool2d": nn.MaxPool2d,
    "max_pool1d": nn.MaxPool1d,
    "boolean_dispatch": nn.MaxPool2d,
    "lp_pool2d": nn.LPPool2d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
"""Functions that are the same as layers without weights."""
_FRESH = ("zeros", "new_zeros", "empty", "new_empty", "ones", "new_ones", "full", "new_full", "rand")


class Tracer(TorchFunctionMode):
    """Sees every function of torch that is called outside layers.

    layers : path → layer, taken whole
    ports : a layer and what it gave back → its tensors, each with its port
    steps, batch : of the run
    parameters : of the module, by id, for their names
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        ports: Callable[[nn.Module, Any], Sequence[tuple[torch.Tensor, str]]],
        parameters: Mapping[int, str],
        steps: int,
        batch: int,
    ) -> None:
        super().__init__()
        self.layers, self.ports, self.parameters = layers, ports, parameters
        self.steps, self.batch = steps, batch
        self.trace = Trace()
        self.depth = 0
        self.values: dict[int, Value] = {}
        self.kept: list[Any] = []

    def give(self, tensor: torch.Tensor, axes: tuple[str, ...]) -> None:
        """Say that a tensor is the input."""
        self.set(tensor, Given(axes, tuple(tensor.shape)))

    def set(self, tensor: torch.Tensor, value: Value) -> None:
        self.kept.append(tensor)
        self.values[id(tensor)] = value

    def of(self, tensor: Any) -> Value | None:
        """What is known of a tensor; None where it is a constant."""
        return self.values.get(id(tensor))

    def known(self, tensor: torch.Tensor) -> Value:
        """What is known of a tensor that goes on."""
        found = self.of(tensor)
        if found is not None:
            return found
        if not bool(tensor.detach().any()):
            return Silent(None, tuple(tensor.shape))
        return Unknown(
            None,
            tuple(tensor.shape),
            "a tensor that does not come from the input (a constant, or drawn at random: encode outside of the module)",
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See functions of torch and calls of layers."""
        handles = []
        for path, layer in self.layers.items():
            handles.append(layer.register_forward_pre_hook(self._before))
            handles.append(layer.register_forward_hook(self._after(path), with_kwargs=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _before(self, _module: nn.Module, _args: Any) -> None:
        self.depth += 1

    def _after(self, path: str) -> Callable[[nn.Module, Any, Any, Any], None]:
        def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self.depth -= 1
            if self.depth:
                return
            self.depth += 1  # what follows is not the user's
            try:
                self._called(path, module, [*args, *kwargs.values()], output)
            finally:
                self.depth -= 1

        return after

    def _called(self, path: str, module: nn.Module, given: list[Any], output: Any) -> None:
        tensors = list(_tensors(given))
        value = self.known(tensors[0]) if tensors else Unknown(None, (), "nothing")
        if type(module) is nn.Flatten or isinstance(module, nn.Flatten):
            (result, _), *_ = self.ports(module, output)
            self.set(result, self._reshaped(value, tuple(result.shape), path))
            return
        calls = self.trace.calls.setdefault(path, [])
        states = tuple(self.of(each) for each in tensors[1:])
        call = Call(path, module, len(calls), value, states)
        calls.append(call)
        for tensor, port in self.ports(module, output):
            axes = value.axes
            if axes is not None:
                lead = tuple(axis for axis in axes if axis != FEATURE)
                axes = (*lead, *[FEATURE] * (tensor.ndim - len(lead)))
            # A layer that gives its input back gives the layer's own value from here on.
            self.set(tensor, Called(axes, tuple(tensor.shape), call, port))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.depth:
            return func(*args, **kwargs)
        name = _name(func)
        if name == "__iter__" and self.of(args[0]) is not None:
            return iter([self._one(args[0], 0, number) for number in range(len(args[0]))])
        if name in ("unbind", "unbind_copy") and self.of(args[0]) is not None:
            where = args[1] if len(args) > 1 else kwargs.get("dim", 0)
            return tuple(self._one(args[0], where, number) for number in range(args[0].shape[where]))
        result = func(*args, **kwargs)
        self.depth += 1
        try:
            self._note(name, func, args, kwargs, result)
        finally:
            self.depth -= 1
        return result

    def _one(self, tensor: torch.Tensor, where: int, number: int) -> torch.Tensor:
        """One element along an axis; within a function's own handling a mode sees no further function."""
        result: torch.Tensor = self.__torch_function__(torch.Tensor.select, (), (tensor, where, number))
        return result

    def _note(self, name: str, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        if name == "__setitem__":
            self._filled(*args)
            return
        seen = [each for each in _tensors([*args, *kwargs.values()]) if self.of(each) is not None]
        if not seen or name.startswith(_FRESH):
            return
        for number, tensor in enumerate(_tensors([result])):
            value = self._value(name, func, args, kwargs, tensor) if number == 0 else None
            self.set(tensor, value or Unknown(None, tuple(tensor.shape), f"torch's {name}"))

    def _value(self, name: str, func: Any, args: Any, kwargs: Any, result: torch.Tensor) -> Value | None:
        shape = tuple(result.shape)
        if name in _STACKS:
            return self._stacked(name, args, kwargs, shape)
        first = args[0] if args else next(iter(kwargs.values()))
        if not isinstance(first, torch.Tensor):
            return None
        value = self.known(first)
        if name in _SAME or (name == "dropout" and torch.equal(result, first)):
            return value
        if name in _ADDS or name in _SUBTRACTS:
            other = args[1] if len(args) > 1 else kwargs["other"]
            alpha = kwargs.get("alpha", 1)
            return self._sum(value, other, -alpha if name in _SUBTRACTS else alpha, shape)
        if name in _MULTIPLIES or name in _DIVIDES:
            return self._scaled(args, shape, name in _DIVIDES)
        if name in ("neg", "__neg__", "negative"):
            return Scaled(value.axes, shape, value, np.array(-1.0))
        if value.axes is None:
            return value if isinstance(value, Silent) else Unknown(None, shape, _why(value))
        if name in _RESHAPES:
            return self._reshaped(value, shape, "")
        if name in _PERMUTES:
            return self._permuted(value, func, args, kwargs, shape)
        if name in _EXPANDS:
            return self._expanded(value, shape)
        if name in ("__getitem__", "select"):
            index = args[1] if name == "__getitem__" else _selection(args, kwargs)
            return self._indexed(value, index, shape)
        if name in _REDUCES:
            return self._reduced(name, value, args, kwargs, shape)
        if name == "linear" or name in ("matmul", "__matmul__", "mm"):
            return self._multiplied(name, value, args, kwargs, shape)
        if name in _AS_LAYERS:
            return self._as_layer(name, value, args[1:], kwargs, shape)
        return None

    def _as_layer(self, name: str, value: Value, args: Any, kwargs: Any, shape: tuple[int, ...]) -> Value | None:
        """A function of ``torch.nn.functional`` that is also a layer, and has no weights."""
        options = {key: each for key, each in kwargs.items() if key != "input"}
        try:
            module = _AS_LAYERS[name](*args, **options)
        except TypeError:
            return None
        calls = self.trace.calls.setdefault(name, [])
        call = Call(name, module, len(calls), value, functional=True)
        calls.append(call)
        return Called(value.axes, shape, call, "out")

    def _sum(self, value: Value, other: Any, factor: float, shape: tuple[int, ...]) -> Value | None:
        if not isinstance(other, torch.Tensor):
            return value if other == 0 else Unknown(None, shape, "a number that is added")
        right = self.known(other)
        if factor != 1:
            right = Scaled(right.axes, right.shape, right, np.array(float(factor)))
        parts = [each for each in (value, right) if not _is_silent(each)]
        if not parts:
            return Silent(None, shape)
        for each in parts:
            if isinstance(each, Unknown):
                return Unknown(None, shape, each.why)
        axes = {each.axes for each in parts if each.axes is not None}
        if len(axes) > 1 or any(each.axes is not None and each.shape != shape for each in parts):
            return Unknown(None, shape, "a sum of tensors with other axes")
        flat = [each for part in parts for each in (part.parts if isinstance(part, Sum) else (part,))]
        return flat[0] if len(flat) == 1 else Sum(next(iter(axes), None), shape, tuple(flat))

    def _scaled(self, args: Any, shape: tuple[int, ...], divides: bool) -> Value | None:
        if len(args) < 2:
            return None
        left, right = args[:2]
        if divides or (isinstance(left, torch.Tensor) and self.of(left) is not None):
            tensor, factor = left, right
        else:
            tensor, factor = right, left
        if isinstance(factor, torch.Tensor):
            if self.of(factor) is not None:
                return Unknown(None, shape, "a product of two layers' outputs")
            factor = factor.detach().double().cpu().numpy()
        number = np.asarray(factor, dtype=np.float64)
        value = self.known(tensor)
        if value.axes is None or tuple(value.shape) != shape:
            return value if _is_silent(value) else None
        lead = sum(axis != FEATURE for axis in value.axes)
        if number.ndim > len(shape) - lead:
            if any(n != 1 for n in number.shape[: number.ndim - (len(shape) - lead)]):
                return Unknown(None, shape, "a product with numbers that differ from sample to sample")
            number = number.reshape(number.shape[number.ndim - (len(shape) - lead) :])
        number = 1 / number if divides else number
        return value if (number == 1).all() else Scaled(value.axes, shape, value, number)

    def _reshaped(self, value: Value, shape: tuple[int, ...], name: str) -> Value:
        if shape == value.shape:
            return value
        if value.axes is None:
            return value if not isinstance(value, Silent) else Silent(None, shape)
        atoms = [
            atom
            for axis, n in zip(value.axes, value.shape, strict=True)
            for atom in ([(TIME, self.steps), (BATCH, n // self.steps)] if axis == BOTH else [(axis, n)])
            if atom != (ONE, 1)
        ]
        groups = _regrouped(atoms, shape)
        axes: list[str] = []
        merged: list[tuple[int, int]] = []
        count = 0
        for group in groups or ():
            labels = [label for label, _ in group]
            if labels and all(label == FEATURE for label in labels):
                axes.append(FEATURE)
                if len(labels) > 1:
                    merged.append((count, count + len(labels) - 1))
                count += len(labels)
            elif labels in ([TIME], [BATCH], []):
                axes.append(labels[0] if labels else ONE)
            elif labels == [TIME, BATCH]:
                axes.append(BOTH)
            else:
                groups = None
                break
        if groups is None or len(merged) > 1:
            return Unknown(None, shape, f"a reshape from {value.shape} to {shape}")
        if FEATURE in axes and ONE in axes[axes.index(FEATURE) :]:
            # An axis of length 1 among or behind a layer's own is one of the layer's.
            return Unknown(None, shape, f"a reshape from {value.shape} to {shape}")
        if not merged:
            return _as(value, tuple(axes), shape)
        return Flat(tuple(axes), shape, value, name, *merged[0])

    def _permuted(self, value: Value, func: Any, args: Any, kwargs: Any, shape: tuple[int, ...]) -> Value | None:
        probe = torch.empty(tuple(range(2, 2 + len(value.shape))), device="meta")
        order = [n - 2 for n in (func(probe) if _is_property(func) else func(probe, *args[1:], **kwargs)).shape]
        axes = tuple((value.axes or ())[each] for each in order)
        features = [each for each in order if (value.axes or ())[each] == FEATURE]
        if features != sorted(features):
            return Unknown(None, shape, "a permutation of a layer's own axes")
        return _as(value, axes, shape)

    def _expanded(self, value: Value, shape: tuple[int, ...]) -> Value | None:
        if value.axes is None:
            return None
        axes = (*[ONE] * (len(shape) - len(value.axes)), *value.axes)
        before = (*[1] * (len(shape) - len(value.shape)), *value.shape)
        grown = [number for number, (old, new) in enumerate(zip(before, shape, strict=True)) if old != new]
        if any(axes[number] != ONE for number in grown) or len(grown) > 1 or (grown and TIME in axes):
            return Unknown(None, shape, "a repetition along an axis of the batch or of a layer")
        return _as(value, tuple(TIME if number in grown else axis for number, axis in enumerate(axes)), shape)

    def _indexed(self, value: Value, index: Any, shape: tuple[int, ...]) -> Value | None:
        items = list(index) if isinstance(index, tuple) else [index]
        axes, result, step = list(value.axes or ()), value, None
        whole = sum(item is not None and item is not Ellipsis for item in items)
        if Ellipsis in items:
            where = items.index(Ellipsis)
            items[where : where + 1] = [slice(None)] * (len(axes) - whole)
        left: list[str] = []
        position = 0
        for item in items:
            if item is None:
                left.append(ONE)
                continue
            if position >= len(axes):
                return None
            axis, length = axes[position], value.shape[position]
            position += 1
            if isinstance(item, slice):
                if range(length)[item] != range(length):
                    return Unknown(None, shape, "a part of a layer's output, or of the input")
                left.append(axis)
            elif isinstance(item, torch.Tensor) and item.ndim == 0 and not item.is_floating_point():
                item = int(item)
            if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
                if axis == TIME:
                    step = int(item) % length
                elif axis != ONE:
                    return Unknown(None, shape, "a part of a layer's output, or of the input")
            elif not isinstance(item, slice):
                return Unknown(None, shape, "a part of a layer's output, or of the input")
        left += axes[position:]
        if step is None:
            return _as(result, tuple(left), shape)
        return At(tuple(left), shape, value, step)

    def _stacked(self, name: str, args: Any, kwargs: Any, shape: tuple[int, ...]) -> Value | None:
        tensors = list(args[0] if args else kwargs.get("tensors", ()))
        where = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", 0))
        values = [self.known(each) for each in tensors]
        axes = next((each.axes for each in values if each.axes is not None), None)
        if axes is None and values and not _is_silent(values[-1]):
            return Stacked(None, shape, tuple(values))
        if axes is None or any(each.axes not in (axes, None) for each in values):
            return None
        where %= len(shape)
        if name == "stack":
            if TIME in axes:
                return None
            return Stacked((*axes[:where], TIME, *axes[where:]), shape, tuple(values))
        if axes[where] == ONE and TIME not in axes:
            return Stacked((*axes[:where], TIME, *axes[where + 1 :]), shape, tuple(values))
        if axes[where] == FEATURE and where == len(axes) - 1 and axes.count(FEATURE) == 1:
            return Joined(axes, shape, tuple(values))
        return None

    def _reduced(self, name: str, value: Value, args: Any, kwargs: Any, shape: tuple[int, ...]) -> Value | None:
        where = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
        axes = value.axes or ()
        if isinstance(where, int) and axes[where] == TIME:
            where %= len(axes)
            if isinstance(value, Stacked) and len(value.parts) != self.steps and len(shape) < len(axes):
                # Branches side by side, added up.
                total = Sum(tuple(axis for axis in axes if axis != TIME), shape, value.parts)
                return total if name == "sum" else Scaled(total.axes, shape, total, np.array(1 / len(value.parts)))
            kept = kwargs.get("keepdim", False)
            left = [*axes[:where], *([ONE] if kept else []), *axes[where + 1 :]]
            return Reduced(tuple(left), shape, value)
        return None

    def _multiplied(self, name: str, value: Value, args: Any, kwargs: Any, shape: tuple[int, ...]) -> Value | None:
        weight = args[1] if len(args) > 1 else kwargs.get("weight")
        bias = (args[2] if len(args) > 2 else kwargs.get("bias")) if name == "linear" else None
        if not isinstance(weight, torch.Tensor) or weight.ndim != 2 or self.of(weight) is not None or value.axes is None:
            return None
        if value.axes.count(FEATURE) != 1 or value.axes[-1] != FEATURE:
            return None
        rows = weight if name == "linear" else weight.T
        called = next((self.parameters[id(each)] for each in (weight, weight._base) if id(each) in self.parameters), "")
        return Multiplied(
            value.axes, shape, value, _numbers(rows), None if bias is None else _numbers(bias), called or "linear"
        )

    def _filled(self, target: torch.Tensor, index: Any, content: Any) -> None:
        """A sequence that is written step by step into a tensor that was there before."""
        inner = self.of(content) if isinstance(content, torch.Tensor) else None
        before = self.of(target)
        if inner is None and before is None:
            return
        whole = tuple(target.shape)
        if inner is None or inner.axes is None or not isinstance(index, int) or target.ndim != len(inner.shape) + 1:
            self.set(target, Unknown(None, whole, "a tensor that is written to in parts"))
            return
        parts: list[Value] = list(before.parts) if isinstance(before, Stacked) else [Silent(None, inner.shape)] * len(target)
        parts[index] = inner
        self.set(target, Stacked((TIME, *inner.axes), whole, tuple(parts)))


def _numbers(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().cpu().numpy()


def _why(value: Value) -> str:
    """What is not understood of a value, or of what went into the layer that gave it."""
    while isinstance(value, Called):
        value = value.call.input
    return value.why if isinstance(value, Unknown) else "what does not depend on the input"


def _is_silent(value: Value) -> bool:
    return isinstance(value, Silent) or (isinstance(value, Scaled) and _is_silent(value.part))


def _as(value: Value, axes: tuple[str, ...], shape: tuple[int, ...]) -> Value:
    """The same with other axes: one that stands for itself alone."""
    return Sum(axes, shape, (value,))


def _selection(args: Any, kwargs: Any) -> Any:
    where = args[1] if len(args) > 1 else kwargs["dim"]
    index = args[2] if len(args) > 2 else kwargs["index"]
    where %= args[0].ndim
    return (*[slice(None)] * where, index)


def _regrouped(atoms: list[tuple[str, int]], shape: tuple[int, ...]) -> list[list[tuple[str, int]]] | None:
    """The axes before a reshape, as they are merged into the axes after it; None where one is split."""
    waiting = list(atoms)
    groups: list[list[tuple[str, int]]] = []
    for length in shape:
        group: list[tuple[str, int]] = []
        product = 1
        if length == 1 and waiting and waiting[0][1] == 1:
            group.append(waiting.pop(0))
        while product < length and waiting:
            group.append(waiting.pop(0))
            product *= group[-1][1]
        if product != length:
            return None
        groups.append(group)
    while waiting and waiting[0] == (FEATURE, 1) and groups and groups[-1] and groups[-1][-1][0] == FEATURE:
        groups[-1].append(waiting.pop(0))
    return groups if not waiting else None


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)
        elif isinstance(value, dict):
            yield from _tensors(value.values())


def _is_property(func: Any) -> bool:
    return getattr(func, "__name__", "") == "__get__"


def _name(func: Any) -> str:
    name = getattr(func, "__name__", str(func))
    return getattr(getattr(func, "__self__", None), "__name__", name) if name == "__get__" else name
