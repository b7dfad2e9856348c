"""Brian2: NIR's equations as they are written, solved exactly from step to step for input that is constant within one.

Brian2 has no importer of NIR: this one is the adapter's own.  A node with a membrane is a ``NeuronGroup`` with the node's own
equations; what lies between them has no state, and is computed in NumPy by network operations from what the step has given so
far.  A spike happens on the grid of steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nir_interop.backends.adapter import Adapter, Model, read_graph
from nir_interop.backends.watching import Steps
from nir_interop.errors import CannotBuild
from nir_interop.networks import Network
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom
from nir_interop_adapters.stateless import Operation, operation
from nir_interop_adapters.walking import Edge, closing, end_shape, in_order, inlined, input_places, kind_of

Array = NDArray[Any]

_EQUATIONS: Mapping[str, tuple[str, ...]] = {
    "I": ("dv/dt = r*x/second : 1",),
    "IF": ("dv/dt = r*x/second : 1",),
    "LI": ("dv/dt = (v_leak - v + r*x)/tau : 1",),
    "LIF": ("dv/dt = (v_leak - v + r*x)/tau : 1",),
    "CubaLI": ("dsynapse/dt = (w_in*x - synapse)/tau_syn : 1", "dv/dt = (v_leak - v + r*synapse)/tau_mem : 1"),
    "CubaLIF": ("dsynapse/dt = (w_in*x - synapse)/tau_syn : 1", "dv/dt = (v_leak - v + r*synapse)/tau_mem : 1"),
}
"""NIR's, in Brian2's words: x is what arrives, dimensions are left to NIR's own units, time constants are in seconds."""


class Brian2(Adapter):
    """Brian2 2.9.0, with an importer that is this adapter's own."""

    name: ClassVar[str] = "brian2"
    ships_importer: ClassVar[bool] = False
    ships_exporter: ClassVar[bool] = False
    run_limit: ClassVar[float | None] = 60.0
    start_limit: ClassVar[float] = 60.0
    idioms: ClassVar[Mapping[Idiom, str]] = {}
    refusals: ClassVar[tuple[str, ...]] = (r"has no equations here", r"no padding .* here")
    needs: ClassVar[tuple[str, ...]] = ("brian2", "nir", "nir-interop")
    script: ClassVar[str] = """
from pathlib import Path

from nir_interop_adapters.brian2 import Brian2

adapter = Brian2()
adapter.prepare()
output = adapter.run(adapter.load(Path("graph.nir"), DT), stimulus).output
"""

    def prepare(self) -> None:
        """NumPy instead of a compiler, which would take half a minute for each model."""
        import brian2

        brian2.prefs.codegen.target = "numpy"
        brian2.BrianLogger.log_level_error()

    def build(self, network: Network, dt: float, idiom: Idiom) -> Model:
        """Nothing: it does not export."""
        raise CannotBuild("Brian2 only imports")

    def load(self, path: Path, dt: float) -> Model:
        """Read a file and find what each of its nodes is in Brian2; the groups are made when the batch is known."""
        return _imported(read_graph(path), dt)

    def run(self, model: _Imported, stimulus: Array) -> Recording:
        """All samples at once, each a part of every group."""
        import brian2

        steps, batch = stimulus.shape[:2]
        frames = np.asarray(stimulus, dtype=np.float64).reshape(steps, batch, -1)
        run = _Run(model, frames)
        network = brian2.Network(run.objects())
        network.run(steps * model.dt * brian2.second, namespace={})
        return run.seen.recording()

    def nodes(self, model: _Imported) -> frozenset[str]:
        """All of them: a node that has no equations here is refused."""
        return frozenset(name for name, node in model.nodes.items() if kind_of(node) not in ("Input", "Output"))


@dataclass(frozen=True, eq=False)
class _Imported:
    """A graph, and what its nodes are.

    order : of the nodes in a step
    late : edges on which a value waits for a step
    operations : of the nodes that have no state
    """

    nodes: Mapping[str, Any]
    before: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    late: frozenset[Edge]
    operations: Mapping[str, Operation]
    dt: float


def _imported(graph: Any, dt: float) -> _Imported:
    nodes, edges = inlined(graph)
    before: dict[str, tuple[str, ...]] = {name: () for name in nodes}
    for source, target in edges:
        before[target] += (source,)
    operations: dict[str, Operation] = {}
    for name, node in nodes.items():
        found = operation(name, node)
        if found is not None:
            operations[name] = found
        elif kind_of(node) not in (*_EQUATIONS, "Input", "Output"):
            raise CannotBuild(f"node {name!r}: a {kind_of(node)} has no equations here; {', '.join(_EQUATIONS)} have")
    late = closing(nodes, edges)
    order = tuple(in_order(nodes, edges, late))
    return _Imported(nodes, before, order, late, operations, dt)


class _Run:
    """One run: a group for each node with a membrane, and what each node gave in this step and in the last one."""

    def __init__(self, model: _Imported, frames: Array) -> None:
        self.model, self.frames, self.step = model, frames, 0
        self.batch = frames.shape[1]
        self.clock = _clock(model.dt)
        self.places = input_places(model.nodes)
        self.groups = {name: self._group(name, node) for name, node in model.nodes.items() if kind_of(node) in _EQUATIONS}
        self.now: dict[str, Array] = {}
        self.last = self._silence()
        self.seen = Steps()

    def objects(self) -> list[Any]:
        """All that takes part, in the order of the nodes: Brian2 sorts what happens in one slot by ``order``."""
        found: list[Any] = []
        for number, name in enumerate(self.model.order):
            found.append(self._operation(partial(self._arrive, name), 6 * number))
            group = self.groups.get(name)
            if group is not None:
                steps = [group.state_updater, *group.thresholder.values(), *group.resetter.values()]
                for place, each in enumerate(steps, start=1):
                    each.when, each.order = "groups", 6 * number + place
                found += [group, self._operation(partial(self._leave, name), 6 * number + 5)]
        return [*found, self._operation(self._end, 6 * len(self.model.order))]

    def _group(self, name: str, node: Any) -> Any:
        import brian2

        kind = kind_of(node)
        shape = _neurons(node)
        lines = list(_EQUATIONS[kind])
        parameters = {
            each: np.asarray(getattr(node, each), dtype=np.float64)
            for each in ("r", "tau", "tau_syn", "tau_mem", "v_leak", "w_in", "v_threshold", "v_reset")
            if getattr(node, each, None) is not None
        }
        if kind.startswith("Cuba") and np.array_equal(parameters["tau_syn"], parameters["tau_mem"]):
            lines = [
                line.replace("tau_mem", "tau_syn") for line in lines
            ]  # the solution of two that differ divides by the difference
            del parameters["tau_mem"]
        lines.append("x : 1")
        for each in parameters:
            lines.append(f"{each} : {'second' if each.startswith('tau') else '1'} (constant)")
        spiking = {"threshold": "v > v_threshold", "reset": "v = v_reset"} if "v_threshold" in parameters else {}
        method = "euler" if kind in ("I", "IF") else "exact"  # of a constant slope the same; exact wants a state that decays
        group = brian2.NeuronGroup(self.batch * math.prod(shape), "\n".join(lines), method=method, clock=self.clock, **spiking)
        for each, value in parameters.items():
            unit = brian2.second if each.startswith("tau") else 1
            setattr(group, each, np.broadcast_to(value, (self.batch, *shape)).reshape(-1) * unit)
        return group

    def _operation(self, do: Callable[[], None], order: int) -> Any:
        import brian2

        return brian2.NetworkOperation(lambda: do(), clock=self.clock, when="groups", order=order)

    def _silence(self) -> dict[str, Array]:
        """What nodes give if no neuron fires and nothing comes in: on an edge that waits, before the first step."""
        found: dict[str, Array] = {}
        for name in self.model.order:
            node = self.model.nodes[name]
            if name in self.groups:
                found[name] = np.zeros((self.batch, *_neurons(node)))
            elif name in self.places:
                found[name] = np.zeros((self.batch, *end_shape(node.input_type)))
            else:
                come = [found[source] for source in self.model.before[name] if (source, name) not in self.model.late]
                total = sum(come[1:], come[0]) if come else np.zeros((self.batch, 1))
                found[name] = self.model.operations[name](total) if name in self.model.operations else total
        return found

    def _arrive(self, name: str) -> None:
        """What a node gets in this step; one without state gives at once."""
        node = self.model.nodes[name]
        if name in self.places:
            frame = self.frames[self.step][:, self.places[name]]
            self.now[name] = frame.reshape(self.batch, *end_shape(node.input_type))
            return
        come = [(self.last if (source, name) in self.model.late else self.now)[source] for source in self.model.before[name]]
        total = sum(come[1:], come[0]) if come else self.last[name]
        if name in self.groups:
            self.groups[name].variables["x"].get_value()[:] = np.broadcast_to(total, (self.batch, *_neurons(node))).reshape(-1)
        else:
            self.now[name] = self.model.operations[name](total) if name in self.model.operations else total

    def _leave(self, name: str) -> None:
        """What a group gave in this step: spikes, or its membrane where it has none."""
        group, shape = self.groups[name], (self.batch, *_neurons(self.model.nodes[name]))
        volts = np.array(group.variables["v"].get_value()).reshape(shape)
        self.seen.membrane(name, volts)
        if group.thresholder:
            fired = np.zeros(self.batch * math.prod(shape[1:]))
            fired[np.asarray(group.spikes)] = 1
            self.now[name] = fired.reshape(shape)
            self.seen.spikes(name, self.now[name])
        else:
            self.now[name] = volts

    def _end(self) -> None:
        for name, node in self.model.nodes.items():
            if kind_of(node) == "Output":
                self.seen.output(self.now[name], name)
        self.last, self.now = self.now, {}
        self.step += 1


def _clock(dt: float) -> Any:
    import brian2

    return brian2.Clock(dt=dt * brian2.second)


def _neurons(node: Any) -> tuple[int, ...]:
    """The shape of a node with a membrane."""
    return np.shape(node.r)
