"""The published traces, one by one, by the library that made each: live, run as the paper ran it.

A file alone does not say how it was run: where a library knows no step the paper scaled current and time constant by hand, or
built the neuron in the library's own words, and one library's importer has changed since.  The table says so for each, beside
what its importer makes of the file as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nir_interop.backends.environments import Backend
from nir_interop.errors import RunFailed
from nir_interop.graphs import Array, Graph, Node
from nir_interop.vocabulary import CONTINUOUS, Idiom, Reset
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.nir_paper.lif import DT, HARDWARE, Made, PaperNeuron, fit, made_of, run_backend, shown, volts


@dataclass(frozen=True)
class Way:
    """How a platform got its trace.

    backend : the library that is run for it here
    scaled : whether the current is multiplied with dt/τ first
    in_steps : whether the graph's time constant is a number of steps
    native : whether the neuron is built in the library's own words, to reset by subtraction, and not imported
    differs : why the trace is not its importer's of the file as it is, or not the library's at all
    """

    backend: str
    scaled: bool = False
    in_steps: bool = False
    native: bool = False
    differs: str = ""

    @property
    def words(self) -> str:
        """What is run."""
        what = "its own neuron, weights × dt/τ" if self.native else "the file, τ in steps" if self.in_steps else "the file"
        return f"{what}, current × dt/τ" if self.scaled else what

    @property
    def as_imported(self) -> bool:
        """Whether it is the importer's answer to the file as it is."""
        return not (self.scaled or self.in_steps or self.native)


WAYS: Mapping[str, Way] = {
    "exact": Way(CONTINUOUS),
    "lava_cpu_float": Way("lava-nc"),
    "nengo": Way("nengo"),
    "norse": Way("norse"),
    "rockpool": Way("rockpool", native=True, differs="from_nir of 3.1.0 raises at an LIF; the paper built the neuron"),
    "sinabs": Way("sinabs", scaled=True, in_steps=True, differs="sinabs knows no dt and no r; the paper scaled both by hand"),
    "snntorch": Way("snntorch"),
    "spinnaker2": Way("brian2", differs="py-spinnaker2 is on no package index; Brian2 stands in for the chip"),
    "spyx": Way("spyx", scaled=True, differs="up to 0.1.20 from_nir scaled weights by dt/τ, 1.0.0 does so no longer"),
}
"""Trace → how it is made here; those that are not named come from what nobody can run: a chip, or a mode of one."""

COLUMNS = (
    "dataset", "trace", "hardware", "backend", "version", "run", "differs", "status", "spikes_published", "spikes_of_file",
    "spikes_run", "steps_late", "steps_differing", "scale", "v_max_abs", "reproduced",
)  # fmt: skip

_MOST_LATE = 2
"""Steps by which a recording may be read late and still be told as that."""


@dataclass(frozen=True, eq=False)
class Ran:
    """What a backend made of the file as it is, and run as its platform was."""

    backend: Backend
    of_file: Made
    run: Made


def run_traces(given: PaperNeuron, live: LiveBackend, of_file: Made) -> dict[str, Ran]:
    """Trace → what a backend makes of it, of those that are the backend's."""
    mine = {trace: way for trace, way in WAYS.items() if way.backend == live.backend.library}
    return {
        trace: Ran(live.backend, of_file, of_file if way.as_imported else _run(given, way, live)) for trace, way in mine.items()
    }


def rows(given: PaperNeuron, traces: Mapping[str, Array], ran: Mapping[str, Sequence[Ran]]) -> Iterator[dict[str, Any]]:
    """One row a trace and a version of its backend; one that says so where there is none."""
    for name, trace in traces.items():
        way = WAYS.get(name)
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row |= {"dataset": given.dataset, "trace": name, "hardware": HARDWARE.get(name), "spikes_published": shown(trace[:, 2])}
        row |= {} if way is None else {"backend": way.backend, "run": way.words, "differs": way.differs or None}
        row["status"] = "nothing here runs it" if way is None else "not installed"
        yield from (row | _row(each, trace) for each in ran[name]) if ran.get(name) else (row,)


def _row(each: Ran, trace: Array) -> dict[str, Any]:
    found: dict[str, Any] = {"backend": each.backend.name, "version": each.backend.version, "reproduced": False}
    found |= {"status": each.run.failed or "ran", "spikes_of_file": _told(each.of_file)}
    if each.run.spikes is None:
        return found
    late = _late(each.run.spikes, trace[:, 2])
    differing = int((each.run.spikes != trace[:, 2]).sum())
    found |= {"spikes_run": _told(each.run), "steps_late": late, "steps_differing": differing, "reproduced": differing == 0}
    if each.run.membrane is not None and late is not None:
        scale, gap = fit(volts(each.run.membrane[late:]), trace[: len(trace) - late, 1])
        found |= {"scale": scale, "v_max_abs": np.abs(gap).max()}
    return found


def _late(spikes: Array, published: Array) -> int | None:
    """By how many steps a run's spikes are later; None where they are others."""
    steps = range(_MOST_LATE + 1)
    return next((late for late in steps if np.array_equal(spikes[late:], published[: len(published) - late])), None)


def _told(made: Made) -> str:
    """Spike steps, or of many their number; or why there is nothing."""
    if made.spikes is None:
        return made.failed
    many = int(np.count_nonzero(made.spikes))
    return shown(made.spikes) if many <= 8 else f"{many} spikes"


def _run(given: PaperNeuron, way: Way, live: LiveBackend) -> Made:
    (tau,) = (node["tau"].item() for _, node in given.graph.primitives() if node.kind == "LIF")
    current = given.current * np.float32(DT / tau if way.scaled else 1)
    if not way.native:
        return run_backend(replace(given, file=_in_steps(given.file) if way.in_steps else given.file, current=current), live)
    try:
        return made_of(live.native(Reset.SUBTRACT, Idiom.TUTORIAL)(given.graph, current, DT))
    except RunFailed as error:
        return Made(failed=str(error))


def _in_steps(graph: Graph) -> Graph:
    """The graph with τ/dt for τ."""
    nodes = {
        name: Node(node.kind, {**node.params, "tau": node["tau"] / np.float32(DT)})
        if isinstance(node, Node) and node.kind == "LIF"
        else node
        for name, node in graph.nodes.items()
    }
    return Graph(nodes, graph.edges, graph.metadata)
