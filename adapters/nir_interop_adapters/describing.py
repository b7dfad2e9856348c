"""From what a run showed to the nodes and edges of NIR."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nir_interop.backends.own_modules import INPUT, OUTPUT, Hint, OwnModule, OwnNode
from nir_interop.errors import NotExpressible
from nir_interop_adapters.own_layers import PASSING, Parts, into_weights, layer, linear, single, written_as
from nir_interop_adapters.own_library import OwnLibrary, node_name
from nir_interop_adapters.tracing import (
    At,
    Call,
    Called,
    Flat,
    Given,
    Joined,
    Multiplied,
    Reduced,
    Scaled,
    Silent,
    Stacked,
    Sum,
    Trace,
    Unknown,
    Value,
)

Array = NDArray[Any]
Source = tuple[str, str, int]
"""A node, which of its outputs, and how many steps ago."""


@dataclass(eq=False)
class _Place:
    """A node to be, with what it is fed by."""

    name: str
    taken: tuple[int, ...]
    given: tuple[int, ...]
    parts: Parts | None = None
    module: nn.Module | None = None
    inputs: list[Source] = field(default_factory=list)
    ports: set[str] = field(default_factory=set)
    delayed: int = 0
    """How many steps ago its input was, of the lag that its output has."""


def described(
    trace: Trace, library: OwnLibrary, steps: int, dt: float, notes: Iterable[str] = (), hints: Iterable[Hint] = ()
) -> OwnModule:
    """A module as nodes and edges, from a run of it; hints of the whole module stand at its Output.

    Raises NotExpressible, with the layer and what to do.
    """
    return _Builder(trace, library, steps, dt, list(notes), list(hints)).build()


class _Builder:
    def __init__(self, trace: Trace, library: OwnLibrary, steps: int, dt: float, notes: list[str], hints: list[Hint]) -> None:
        self.trace, self.library, self.steps, self.dt, self.notes = trace, library, steps, dt, notes
        self.places: dict[str, _Place] = {}
        self.keys: dict[Any, str] = {}
        self.waiting: list[str] = []
        self.shape: tuple[int, ...] | None = None
        self.renamed: dict[str, str] = {}
        self.hints = hints
        self.functional: dict[str, str] = {}

    def build(self) -> OwnModule:
        value, sources = self._output(self.trace.output)
        while self.waiting:
            name = self.waiting.pop()
            place = self.places[name]
            call = self._last(name)
            self._steady(name, call)
            place.inputs = self._sources(call.input, f"what goes into {name!r}")
        nodes: dict[str, OwnNode] = {INPUT: OwnNode("Input", {"shape": np.array(self._given_shape())})}
        edges: list[tuple[str, str, int]] = []
        parts: dict[str, Parts] = {}
        order = [node_name(path, calls[0].module) for path, calls in self.trace.calls.items()]
        for name in sorted(self.places, key=lambda each: order.index(each) if each in order else -1):
            parts[name] = self._parts(self.places[name])
        self._fold(parts)
        exits = {INPUT: INPUT, **{name: part.exit for name, part in parts.items()}}
        exits |= {name: exits[before] for name, before in self.renamed.items()}
        for name, part in parts.items():
            nodes |= part.nodes
            self.notes += part.notes
            edges += [(exits[source], part.entry, lag) for source, _, lag in self.places[name].inputs]
            edges += [(one, other, -1) for one, other in part.edges]
        if len(sources) > 1:
            self.hints += self.library.wiring_hints("sum", "the output")
        nodes[OUTPUT] = OwnNode("Output", {"shape": np.array(value.features)}, hints=tuple(self.hints))
        edges += [(exits[source], OUTPUT, lag) for source, _, lag in sources]
        whole = self._delayed(nodes, edges)
        return OwnModule(nodes, whole, self.dt, tuple(dict.fromkeys(self.notes)))

    def _given_shape(self) -> tuple[int, ...]:
        if self.shape is None:
            raise NotExpressible(
                "the module's output does not depend on its input; give a module that runs on what it is given"
            )
        return self.shape

    def _last(self, name: str) -> Call:
        return next(calls[-1] for path, calls in self.trace.calls.items() if node_name(path, calls[-1].module) == name)

    def _steady(self, name: str, call: Call) -> None:
        """Whether a neuron runs once a step, on states that nobody changed."""
        count, wanted = call.index + 1, 1 if self.library.is_sequence(call.module) else self.steps
        if count != wanted:
            raise NotExpressible(
                f"layer {name!r}, {written_as(call.module)}, is called {count} times in {wanted} step{'s' * (wanted > 1)}: "
                "NIR's neurons run once a step; give each place a layer of its own"
            )
        if not call.index:
            return
        if not all(self._is_handed_on(state, call) for state in call.states):
            raise NotExpressible(
                f"layer {name!r}, {written_as(call.module)}: its state is changed between steps, which NIR cannot say; "
                "hand it back as the layer gave it"
            )
        if not call.states and not self.library.keeps_state(call.module):
            raise NotExpressible(
                f"layer {name!r}, {written_as(call.module)}: it is called without its state of the step before, so that every "
                "step begins anew, which NIR cannot say; hand its state on"
            )

    def _is_handed_on(self, state: Value | None, call: Call) -> bool:
        return isinstance(state, Called) and state.call.module is call.module and state.call.index == call.index - 1

    def _output(self, value: Value) -> tuple[Value, list[Source]]:
        """What the module gives at each step, where it gives a sum or an average over time as well."""
        inner = value
        while True:
            if isinstance(inner, Reduced):
                self._noted_sum()
                return inner.part, self._sources(inner.part, "the output")
            if isinstance(inner, Scaled) or (isinstance(inner, Sum) and len(inner.parts) == 1):
                inner = inner.part if isinstance(inner, Scaled) else inner.parts[0]
                continue
            break
        if isinstance(inner, Sum):
            sources = self._sources(inner, "the output")
            lags = {lag for _, _, lag in sources}
            alone = len({(name, port) for name, port, _ in sources}) == 1
            if alone and len(sources) == self.steps > 1 and lags == set(range(self.steps)):
                self._noted_sum()
                return inner, [(*sources[0][:2], 0)]
        return value, self._sources(value, "the output")

    def _noted_sum(self) -> None:
        self.notes.append("what the module sums or averages over time is given step by step")
        self.hints += self.library.wiring_hints("reduced", "the output")

    def _sources(self, value: Value, where: str) -> list[Source]:
        """Nodes whose outputs add up to a value; made on the way."""
        if isinstance(value, Silent):
            return []
        if isinstance(value, Unknown):
            raise NotExpressible(
                f"{where} comes through {value.why}, for which NIR has no words; write the network with layers of torch.nn, "
                "neurons of the library, '+', flatten, and multiplication by a number"
            )
        if isinstance(value, Given):
            self.shape = value.features
            return [(INPUT, "out", 0)]
        if isinstance(value, At):
            return self._shifted(self._sources(value.part, where), self.steps - 1 - value.step)
        if isinstance(value, Stacked):
            return self._stacked(value, where)
        if isinstance(value, Sum):
            found = [each for part in value.parts for each in self._sources(part, where)]
            if len(set(found)) < len(found):
                raise NotExpressible(
                    f"{where} has the same layer's output twice in a sum; NIR's edges count once: multiply by 2"
                )
            return found
        if isinstance(value, Called):
            return self._called(value)
        if isinstance(value, Scaled):
            scale = np.array(np.broadcast_to(value.factor, value.features))
            sources = self._sources(value.part, where)
            node = OwnNode(
                "Scale",
                {"scale": scale},
                written=f"* {_number(value.factor)}",
                hints=self.library.wiring_hints("multiplied", "scale"),
            )
            return self._stateless("scale", sources, value.features, value.features, node, value.factor.tobytes())
        if isinstance(value, Flat):
            before = value.part.features
            dims = {"start_dim": np.array(value.start), "end_dim": np.array(value.end), "input_type": np.array(before)}
            written = "nn.Flatten()" if value.name else "flatten"
            hints = self.library.wiring_hints("flatten", "flatten")
            if value.name:
                hints = self.library.layer_hints(value.name, nn.Flatten(), before)
            node = OwnNode("Flatten", dims, written=written, hints=hints)
            name = value.name or "flatten"
            return self._stateless(name, self._sources(value.part, where), before, value.features, node, name)
        if isinstance(value, Multiplied):
            node = linear(value.weight, value.bias, f"torch.nn.functional.linear(…, {value.name})")
            node = replace(node, hints=self.library.wiring_hints("linear", value.name))
            before = value.part.features
            return self._stateless(value.name, self._sources(value.part, where), before, value.features, node, value.name)
        if isinstance(value, Joined):
            raise NotExpressible(f"{where} is a concatenation, which NIR cannot say; give it to an nn.Linear, or add instead")
        if isinstance(value, Reduced):
            raise NotExpressible(f"{where} is a sum over time, which NIR cannot say; sum what the whole network gives")
        raise NotExpressible(f"{where} cannot be read; write it with layers of torch.nn and neurons of the library")

    def _shifted(self, sources: list[Source], lag: int) -> list[Source]:
        return [(name, port, before + lag) for name, port, before in sources]

    def _stacked(self, value: Stacked, where: str) -> list[Source]:
        if len(value.parts) != self.steps:
            raise NotExpressible(
                f"{where} stacks {len(value.parts)} tensors that are not the {self.steps} steps; stack all steps"
            )
        last = self._sources(value.parts[-1], where)
        if self.steps > 2 and {name for name, _, _ in self._sources(value.parts[-2], where)} != {name for name, _, _ in last}:
            raise NotExpressible(f"{where} is not made in the same way at each step; NIR's graphs do not change in time")
        return last

    def _called(self, value: Called) -> list[Source]:
        call = value.call
        if self.library.is_neuron(call.module):
            name = node_name(call.path, call.module)
            if name not in self.places:
                given = call.input.features if value.port == "state" else value.features
                self.places[name] = _Place(name, call.input.features, given, module=call.module)
                self.waiting.append(name)
            last = self._last(name)
            if last.input.axes is not None:
                self.places[name].taken = last.input.features
            self.places[name].ports.add(value.port)
            return [(name, value.port, last.index - call.index)]
        if isinstance(call.module, PASSING) or self._passes(call.module):
            self.hints += [
                hint
                for hint in self.library.layer_hints(node_name(call.path, call.module), call.module, call.input.features)
                if hint.says not in {other.says for other in self.hints}
            ]
            return self._sources(call.input, f"what goes into {call.path!r}")
        name = node_name(call.path, call.module)
        if isinstance(call.input, Joined):
            return self._split(name, call, value)
        sources = self._sources(call.input, f"what goes into {name!r}")
        since = self.trace.calls[call.path][-1].index - call.index
        if call.functional:
            self.functional |= {name: call.path}
        return self._stateless(name, sources, call.input.features, value.features, call.module, call.path, since)

    def _passes(self, module: nn.Module) -> bool:
        return "Dropout" in type(module).__name__ and self.library.is_layer(module)

    def _split(self, name: str, call: Call, value: Called) -> list[Source]:
        """A Linear on a concatenation: one for each part, which add up."""
        assert isinstance(call.input, Joined)
        module = call.module
        if not isinstance(module, nn.Linear):
            raise NotExpressible(
                f"layer {name!r}, {written_as(module)}, gets a concatenation; NIR can say that of nn.Linear alone"
            )
        weight = module.weight.detach().double().cpu().numpy()
        bias: Array | None = None if module.bias is None else module.bias.detach().double().cpu().numpy()
        sources: list[Source] = []
        first = 0
        for number, part in enumerate(call.input.parts):
            width = part.features[-1] if part.axes is not None else part.shape[-1]
            columns = np.array(weight[:, first : first + width])
            first += width
            found = self._sources(part, f"what goes into {name!r}")
            if found:
                node = linear(columns, bias, written_as(module))
                bias = None
                key = (call.path, number)
                sources += self._stateless(f"{name}.{number}", found, (width,), value.features, node, key)
        return sources

    def _stateless(
        self,
        name: str,
        sources: list[Source],
        taken: tuple[int, ...],
        given: tuple[int, ...],
        made: OwnNode | nn.Module,
        key: Any,
        since: int = 0,
    ) -> list[Source]:
        """A layer without memory, fed by some nodes: the same place where it is fed by the same, whatever the step.

        since : how many times it was called afterwards
        """
        if not sources:
            return []
        lag = min(before for _, _, before in sources)
        relative = [(source, port, before - lag) for source, port, before in sources]
        identity = (key, tuple(relative))
        if identity not in self.keys:
            free, count = name, 1
            while free in self.places:
                count += 1
                free = f"{name}_{count}"
            self.keys[identity] = free
            place = _Place(free, taken, given, inputs=relative, delayed=max(lag - since, 0))
            if isinstance(made, nn.Module):
                place.module = made
            else:
                place.parts = single(free, made)
            self.places[free] = place
        found = self.keys[identity]
        return [(found, "out", lag)]

    def _parts(self, place: _Place) -> Parts:
        parts = place.parts or self._made(place)
        hints = list(parts.nodes[parts.entry].hints)
        if place.module is not None and not self.library.is_neuron(place.module):
            hints += self.library.layer_hints(place.name, place.module, place.taken)
        if place.name.rpartition("_")[0] in self.functional or place.name in self.functional:
            hints = list(self.library.wiring_hints("function", place.name))
        if len(place.inputs) > 1:
            hints += self.library.wiring_hints("sum", place.name)
        entry = replace(parts.nodes[parts.entry], hints=tuple(hints))
        return replace(parts, nodes={**parts.nodes, parts.entry: entry})

    def _made(self, place: _Place) -> Parts:
        assert place.module is not None
        if not self.library.is_neuron(place.module):
            own = self.library.layer(place.name, place.module, place.taken, place.given)
            return own or layer(place.name, place.module, place.taken, place.given)
        if len(place.ports) > 1:
            raise NotExpressible(
                f"layer {place.name!r}, {written_as(place.module)}: its spikes and its membrane both go on, and NIR's neurons "
                "give one of them; use a second layer that never fires"
            )
        (port,) = place.ports
        return self.library.neuron(place.name, place.module, place.taken, place.given, self.dt, port)

    def _fold(self, parts: dict[str, Parts]) -> None:
        """Batch normalisation into the weights before it, where those feed nothing else."""
        for name in list(parts):
            scale, shift = parts[name].scale, parts[name].shift
            if scale is None or shift is None:
                continue
            inputs = self.places[name].inputs
            readers = [
                other
                for other, place in self.places.items()
                for source, _, _ in place.inputs
                if source in {n for n, _, _ in inputs}
            ]
            if len(inputs) != 1 or readers != [name] or inputs[0][0] not in parts or inputs[0][2]:
                continue
            before = inputs[0][0]
            if len(parts[before].nodes) != 1:
                continue
            taken_up = into_weights(parts[before].nodes[before], scale, shift)
            if taken_up is None:
                continue
            self.notes.append(f"batch normalisation {name!r} went into the weights of {before!r}")
            said = (*taken_up.hints, *parts[name].nodes[name].hints)
            parts[before] = Parts({before: replace(taken_up, hints=said)}, before, before, notes=parts[before].notes)
            del parts[name]
            for place in self.places.values():
                place.inputs = [(before if source == name else source, port, lag) for source, port, lag in place.inputs]
            self.renamed[name] = before

    def _delayed(self, nodes: dict[str, OwnNode], edges: list[tuple[str, str, int]]) -> tuple[tuple[str, str], ...]:
        """Edges; those that wait, where NIR's own rule would not have them wait, through a Delay.

        A lag of -1: inside a layer, where NIR's rule holds.
        """
        plain = [(one, other) for one, other, _ in edges]
        by_rule = _waiting(list(nodes), plain)
        right = all(lag == -1 or (lag == 1) == ((one, other) in by_rule) for one, other, lag in edges if lag < 2)
        if right:
            edges = [(one, other, 0 if lag == 1 else lag) for one, other, lag in edges]
        edges = self._pulled(edges)
        result: list[tuple[str, str]] = []
        for one, other, lag in edges:
            if lag < 1:
                result.append((one, other))
                continue
            free = f"{one}_delay{lag}"
            if free not in nodes:
                shape = self._shape_of(one)
                nodes[free] = OwnNode("Delay", {"delay": np.full(shape, lag * self.dt)}, written=f"{lag} steps later")
                result.append((one, free))
            result.append((free, other))
        return tuple(dict.fromkeys(result))

    def _pulled(self, edges: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
        """A layer without memory that sees what was a step ago is itself not late: its bias is there from the start."""
        for name, place in self.places.items():
            late = {lag for one, _, lag in edges if one == name}
            if place.delayed and len(late) == 1 and (lag := late.pop()) == place.delayed:
                edges = [
                    (one, other, before - lag if one == name else before + lag if other == name else before)
                    for one, other, before in edges
                ]
        return edges

    def _shape_of(self, name: str) -> tuple[int, ...]:
        if name == INPUT:
            return self._given_shape()
        return next((place.given for place in self.places.values() if place.name == name), ())


def _number(factor: Array) -> str:
    return f"{float(factor):g}" if factor.ndim == 0 else f"a tensor of {factor.size}"


def _waiting(names: list[str], edges: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Edges that wait a step by NIR's rule: those from inside a cycle into its entry nodes, and so on in what remains."""
    waits: set[tuple[str, str]] = set()
    for component in _components(names, edges):
        inside = [(one, other) for one, other in edges if one in component and other in component]
        if not inside:
            continue
        entries = {other for one, other in edges if other in component and one not in component}
        now = {(one, other) for one, other in inside if other in entries}
        waits |= now
        if now:
            waits |= _waiting(sorted(component), [edge for edge in inside if edge not in now])
    return waits


def _components(names: list[str], edges: Sequence[tuple[str, str]]) -> list[set[str]]:
    """Strongly connected components, by what is reached from where; graphs of layers are small."""
    after: dict[str, set[str]] = {name: set() for name in names}
    for one, other in edges:
        after[one].add(other)
    reached: dict[str, set[str]] = {}
    for name in names:
        seen, waiting = set(), [name]
        while waiting:
            for each in after[waiting.pop()]:
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
        reached[name] = seen
    found: list[set[str]] = []
    for name in names:
        component = {other for other in reached[name] if name in reached[other]} | {name}
        if component not in found:
            found.append(component)
    return found
