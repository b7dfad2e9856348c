"""Look at a live module and leave it as it was: what it holds, what its classes hold, and what chance and torch are set to."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

_NEVER_ENTERED = (str, bytes, int, float, complex, type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, torch.dtype)


@contextmanager
def left_alone(module: nn.Module) -> Iterator[None]:
    """Whatever is done to the module within, afterwards it is as it was, bit for bit, and so it is if an error is raised.

    That is: the training mode of each submodule; parameters and buffers (the same objects and values), ``requires_grad``,
    ``.grad``; hidden states and all other attributes, also those in lists and dictionaries that the module holds and in objects
    whose classes come from where the module's own come from; hooks; devices and types; what classes of the module hold; the
    random state of torch, NumPy and ``random``; torch's number of threads, its default type and its gradient mode.

    A deep copy would not do: hidden states have a gradient after training, and such tensors cannot be copied.
    """
    own = {
        kind: _origin(kind)
        for child in module.modules()
        for kind in type(child).__mro__
        if _origin(kind) not in ("torch", "builtins", "typing", "abc")
    }
    held = _Held(frozenset(own.values()))
    held.enter(module)
    for kind in own:
        held.enter_class(kind)
    settings = _Settings()
    try:
        yield
    finally:
        held.restore()
        settings.restore()


class _Settings:
    """What torch and the generators of random numbers are set to."""

    def __init__(self) -> None:
        self.torch_state = torch.get_rng_state()
        self.cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
        self.numpy_state = np.random.get_state()
        self.random_state = random.getstate()
        self.threads = torch.get_num_threads()
        self.gradients = torch.is_grad_enabled()
        self.default = torch.get_default_dtype()

    def restore(self) -> None:
        torch.set_rng_state(self.torch_state)
        if self.cuda_states is not None:
            torch.cuda.set_rng_state_all(self.cuda_states)
        np.random.set_state(self.numpy_state)
        random.setstate(self.random_state)
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        torch.set_grad_enabled(self.gradients)
        torch.set_default_dtype(self.default)


class _Held:
    """All that is reached from some objects: what each container had in it, and the values of each array."""

    def __init__(self, origins: frozenset[str]) -> None:
        self.origins = origins
        self.seen: dict[int, Any] = {}
        self.undo: list[Any] = []

    def enter(self, value: Any) -> None:
        """Note a value and what it leads to; each object once."""
        waiting = [value]
        while waiting:
            each = waiting.pop()
            if each is None or isinstance(each, _NEVER_ENTERED) or id(each) in self.seen:
                continue
            self.seen[id(each)] = each
            waiting.extend(self._note(each))

    def enter_class(self, kind: type) -> None:
        """Note what a class holds: lists of all neurons ever made, defaults that are tensors."""
        if id(kind) in self.seen:
            return
        self.seen[id(kind)] = kind
        values = {name: value for name, value in vars(kind).items() if _is_data(name, value)}
        self.undo.append(_class_of(kind, values))
        for value in values.values():
            # Neurons on a list of all neurons ever made are other modules: the list is noted, they are not entered.
            self.undo.append(_contents(value))
            if isinstance(value, torch.Tensor):
                self.enter(value)

    def restore(self) -> None:
        for undo in reversed(self.undo):
            if undo is not None:
                undo()

    def _note(self, value: Any) -> list[Any]:
        """Note one value; returns what it leads to."""
        if isinstance(value, torch.Tensor):
            self.undo.append(_tensor(value))
            return [value.grad] if value.is_leaf and value.grad is not None else []
        if isinstance(value, np.ndarray):
            if value.dtype != object and value.flags.writeable:
                self.undo.append(_array(value))
            return []
        if isinstance(value, (tuple, frozenset)):
            return list(value)
        if isinstance(value, (dict, list, set, deque)):
            self.undo.append(_contents(value))
            return list(value.values()) if isinstance(value, dict) else list(value)
        if isinstance(value, torch.Generator):
            self.undo.append(_generator(value, value.get_state().clone()))
            return []
        if isinstance(value, np.random.Generator):
            self.undo.append(_numpy_generator(value, value.bit_generator.state))
            return []
        if isinstance(value, random.Random):
            self.undo.append(_random(value, value.getstate()))
            return []
        if not isinstance(value, nn.Module) and _origin(type(value)) not in self.origins:
            return []
        attributes = getattr(value, "__dict__", None)
        return [attributes] if isinstance(attributes, dict) else []


def _origin(kind: type) -> str:
    """The package that a class comes from."""
    return kind.__module__.partition(".")[0]


def _is_data(name: str, value: Any) -> bool:
    descriptor = hasattr(type(value), "__get__")
    return not (name.startswith("__") or descriptor or isinstance(value, (classmethod, staticmethod, property, type)))


def _class_of(kind: type, values: dict[str, Any]) -> Any:
    def undo() -> None:
        for name in [name for name, value in vars(kind).items() if _is_data(name, value) and name not in values]:
            delattr(kind, name)
        for name, value in values.items():
            if vars(kind).get(name) is not value:
                setattr(kind, name, value)

    return undo


def _contents(value: Any) -> Any:
    """Put back what a container held, in its order; the container stays the same object."""
    if isinstance(value, dict):
        entries = list(dict.items(value))

        def undo_dict() -> None:
            if [(key, id(entry)) for key, entry in dict.items(value)] != [(key, id(entry)) for key, entry in entries]:
                value.clear()
                for key, entry in entries:
                    value[key] = entry

        return undo_dict
    if isinstance(value, (list, deque)):
        parts = list(value)

        def undo_list() -> None:
            if [id(part) for part in value] != [id(part) for part in parts]:
                value.clear()
                value.extend(parts)

        return undo_list
    if isinstance(value, set):
        members = set(value)

        def undo_set() -> None:
            if value != members:
                value.clear()
                value.update(members)

        return undo_set
    return None


def _tensor(value: torch.Tensor) -> Any:
    if value.layout != torch.strided or value.is_meta:
        return None
    storage, gradient = value.data, value.grad if value.is_leaf else None
    kept, wanted = storage.clone(), value.requires_grad

    def undo() -> None:
        now = value.data
        moved = (now.data_ptr(), now.shape, now.stride(), now.dtype, now.device) != (
            (storage.data_ptr(), storage.shape, storage.stride(), storage.dtype, storage.device)
        )
        if moved:
            value.data = storage
        if not _same_bits(storage, kept):
            # Through .data: a graph of the user's that still waits for its backward pass must not take it for a change.
            storage.copy_(kept)
        if value.is_leaf:
            if value.requires_grad != wanted:
                value.requires_grad_(wanted)
            if value.grad is not gradient:
                value.grad = gradient

    return undo


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.is_floating_point() or one.is_complex():
        both = (one.contiguous().view(-1).view(torch.uint8), other.contiguous().view(-1).view(torch.uint8))
        return one.numel() == 0 or torch.equal(*both)
    return torch.equal(one, other)


def _array(value: Any) -> Any:
    kept = value.copy()

    def undo() -> None:
        if value.tobytes() != kept.tobytes():
            value[...] = kept

    return undo


def _generator(value: torch.Generator, state: torch.Tensor) -> Any:
    return lambda: value.set_state(state)


def _numpy_generator(value: np.random.Generator, state: Any) -> Any:
    def undo() -> None:
        value.bit_generator.state = state

    return undo


def _random(value: random.Random, state: Any) -> Any:
    return lambda: value.setstate(state)
