"""jaxsnn: spikes in continuous time, one event after the other; it imports Linear and CubaLIF in a chain."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from jaxsnn.event.utils.from_nir import ConversionConfig, from_nir
from jaxsnn.event.utils.from_nir_data import from_nir_data
from nir.data_ir import EventData, NIRGraphData, NIRNodeData
from numpy.typing import NDArray

from nir_interop.backends.adapter import Adapter, read_graph
from nir_interop.backends.watching import counts, nodes_of
from nir_interop.errors import BadStimulus, CannotBuild, NoAnswer
from nir_interop.networks import Network
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom

Array = NDArray[Any]

_XLA_FLAGS = "--xla_cpu_max_isa=AVX2 --xla_cpu_multi_thread_eigen=false"
"""One thread, and instructions that every processor of the last ten years has: wider ones add up in another order."""
_FEWEST_EVENTS, _MOST_EVENTS = 2**10, 2**16
"""That a layer is simulated for: to compile for more of them, once there were too few, takes longer than to simulate them."""
_RUNS = 8
"""After which what was compiled is forgotten: JAX keeps all of it."""


@dataclass(frozen=True, eq=False)
class Model:
    """A graph, which the importer takes anew for each duration and number of events.

    dt : the step [s] in which inputs and outputs are counted; the library has none
    programs : what was compiled for it, by duration and number of events
    """

    graph: Any
    dt: float
    programs: dict[tuple[int, int], Any] = field(default_factory=dict)


class JaxSnn(Adapter):
    """jaxsnn 0.3.0."""

    name: ClassVar[str] = "jaxsnn"
    idioms: ClassVar[Mapping[Idiom, str]] = {}
    run_limit: ClassVar[float | None] = 120.0  # it compiles what it runs
    refusals: ClassVar[tuple[str, ...]] = (
        r"Node type .* not supported yet",
        r"jaxsnn takes spikes",
    )
    needs: ClassVar[tuple[str, ...]] = ("jaxsnn", "nir")
    script: ClassVar[str] = """
import jax
import nir
from jaxsnn.event.utils.from_nir import ConversionConfig, from_nir
from jaxsnn.event.utils.from_nir_data import from_nir_data
from nir.data_ir import EventData, NIRGraphData, NIRNodeData

graph = nir.read("graph.nir")
steps, batch, neurons = stimulus.shape
t_max, events = steps * DT, 4096  # of each layer; too few cut off what comes late
size = int(stimulus.sum(axis=(0, 2)).max())
idx, time = np.full((batch, size), -1), np.full((batch, size), np.inf)
for sample in range(batch):  # an input is a spike as its step begins
    at, of = np.nonzero(stimulus[:, sample])
    idx[sample, : len(at)], time[sample, : len(at)] = of, at * DT
topology = from_nir(graph, ConversionConfig(t_max, {name: events for name in graph.nodes}))
init, apply = topology.done()
given = NIRGraphData({"input": NIRNodeData({"spikes": EventData(idx, time, neurons, t_max)})})
last = next(source for source, target in graph.edges if target == "output")
spikes = apply(from_nir_data(given, topology), init(jax.random.PRNGKey(0)))[last].get_internal()
output = np.zeros((steps, batch, graph.nodes[last].tau_mem.size))
for sample in range(batch):
    fired = np.asarray(spikes.time[sample]) < t_max
    np.add.at(output[:, sample], ((spikes.time[sample][fired] / DT).astype(int), spikes.idx[sample][fired]), 1)
"""

    def __init__(self) -> None:
        self._runs = 0

    def prepare(self) -> None:
        """The processor alone, one thread, and instructions that all processors have."""
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAGS}".strip()
        jax.config.update("jax_platforms", "cpu")

    def build(self, network: Network, dt: float, idiom: Idiom) -> Model:
        raise CannotBuild("jaxsnn 0.3.0 exports no graphs")

    def load(self, path: Path, dt: float) -> Model:
        """What the importer makes depends on the duration: it is called here so that it can decline, and again in each run."""
        model = Model(read_graph(path), float(dt))
        _imported(model, 1, _FEWEST_EVENTS).done()
        return model

    def run(self, model: Model, stimulus: Array) -> Recording:
        """An input is a spike as its step begins, several are several; a layer's spikes are counted in their steps.

        Raises BadStimulus for an input that is no counts, NoAnswer where a layer has more events than can be followed.
        """
        steps, batch = stimulus.shape[:2]
        given = _events(np.asarray(stimulus).reshape(steps, batch, -1), model.dt)
        wanted = _FEWEST_EVENTS
        while wanted < given.idx.shape[1] + _FEWEST_EVENTS // 2:
            wanted *= 2
        found = self._fired(model, given, steps, wanted)
        while any((np.asarray(each.idx)[:, -1] >= 0).any() for each in found.values()):
            wanted *= 8
            if wanted > _MOST_EVENTS:
                raise NoAnswer(f"more than {_MOST_EVENTS} events in a layer; give fewer spikes, or fewer steps")
            found = self._fired(model, given, steps, wanted)
        sizes = {name: int(np.size(model.graph.nodes[name].tau_mem)) for name in found}
        spikes = {name: _in_steps(each, steps, batch, sizes[name], model.dt) for name, each in found.items()}
        last = [source for source, target in model.graph.edges if type(model.graph.nodes[target]).__name__ == "Output"]
        return Recording({"output": spikes[last[0]]}, spikes)

    def nodes(self, model: Model) -> frozenset[str]:
        return frozenset(nodes_of(model.graph))

    def _fired(self, model: Model, given: EventData, steps: int, events: int) -> dict[str, Any]:
        """Node of neurons → its events, axes (B, events), in the order of their times; index -1 where there are no more."""
        self._runs += 1
        if self._runs % _RUNS == 0:
            jax.clear_caches()
        topology = _imported(model, steps, events)
        init, apply = topology.done()
        compiled = model.programs.setdefault((steps, events), jax.jit(apply))
        source = next(name for name, node in model.graph.nodes.items() if type(node).__name__ == "Input")
        inputs = from_nir_data(NIRGraphData({source: NIRNodeData({"spikes": given})}), topology)
        found = compiled(inputs, init(jax.random.PRNGKey(0)))
        return {name: found[name] for name, node in model.graph.nodes.items() if type(node).__name__ == "CubaLIF"}


def _imported(model: Model, steps: int, events: int) -> Any:
    every = {name: events for name in model.graph.nodes}
    return from_nir(model.graph, ConversionConfig(t_max=steps * model.dt, n_steps=every))


def _events(stimulus: Array, dt: float) -> EventData:
    """Spikes of a stimulus (T, B, n) in the order of their times, as many for each sample as the one with most has."""
    whole = np.rint(stimulus).astype(np.int64)
    if (whole != stimulus).any() or (whole < 0).any():
        raise BadStimulus("jaxsnn takes spikes: its input has to be 0, 1 or another count of them")
    steps, batch, neurons = stimulus.shape
    size = max(1, int(whole.sum(axis=(0, 2)).max(initial=0)))
    idx, time = np.full((batch, size), -1), np.full((batch, size), np.inf)
    for sample in range(batch):
        at, of = np.nonzero(whole[:, sample])
        times = whole[at, sample, of]
        idx[sample, : times.sum()] = np.repeat(of, times)
        time[sample, : times.sum()] = np.repeat(at, times) * dt
    return EventData(idx, time, neurons, steps * dt)


def _in_steps(events: Any, steps: int, batch: int, size: int, dt: float) -> Array:
    """How often each neuron fired in each step, axes (T, B, n)."""
    fired = np.asarray(events.internal) & (np.asarray(events.idx) >= 0)
    sample, _ = np.nonzero(fired)
    step = np.minimum((np.asarray(events.time, dtype=np.float64)[fired] / dt).astype(np.int64), steps - 1)
    found = np.zeros((steps, batch, size))
    np.add.at(found, (step, sample, np.asarray(events.idx)[fired]), 1)
    return counts(found)
