r"""Whether a backend keeps the contract of adapters: how its package declares it, how it starts, and what its methods give.

What a library computes is not looked at here: that is measured.  A fault is a line that says what is wrong and what to do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from itertools import pairwise
from typing import Any

import numpy as np

from nir_interop.arrays import Array
from nir_interop.backends.environments import ENTRY_POINT_GROUP, SUITE, Backend, backend, canonical
from nir_interop.errors import BackendMissing, CannotBuild, RunFailed
from nir_interop.graphs import Graph, Node
from nir_interop.recording import MEMBRANE_SAMPLES, Recording
from nir_interop.vocabulary import Idiom, Reset, Status
from nir_interop.workers.jobs import Described
from nir_interop.workers.live import LiveBackend

DT = 1e-4
"""The step [s] of the graphs that are tried."""
LIMIT = 60.0
"""Seconds that a run of one of them may take."""
SIZE, STEPS, SAMPLES = 3, 20, 5


@dataclass(frozen=True)
class Contract:
    """What was found.

    faults : a line each; none where the contract is kept
    notes : what was measured: which graphs it takes, and how long it took
    """

    name: str
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Found:
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_backend(name: str) -> Contract:
    """Hold a backend to the contract.

    Raises UnknownName where no entry point has that name.
    """
    chosen, found = backend(name), _Found()
    found.faults += _declaration(chosen)
    if not chosen.installed:
        found.faults.append(f"installed: {chosen.hint}")
    else:
        with LiveBackend(chosen, limit=LIMIT) as live:
            _started(live, found)
    return Contract(name, tuple(found.faults), tuple(found.notes))


def _declaration(chosen: Backend) -> Iterator[str]:
    """Faults of the package's own entries."""
    point: EntryPoint = next(iter(entry_points(group=ENTRY_POINT_GROUP, name=chosen.library)))
    if chosen.package == SUITE and chosen.own is None:
        return  # of this project's own, which have no library
    if not point.extras:
        yield (
            f'entry point: names no extra; write {chosen.library} = "{chosen.module} [{chosen.library}]", with an extra of '
            "that name that asks for the library, so that its versions are found without importing it"
        )
    elif chosen.own is None and not chosen.fault:
        first = ", ".join(chosen.distributions)
        yield (
            f"names: no distribution of its extra ({first}) is called {chosen.library}; call the backend as its library's "
            "distribution is called, so that its version is told and it can be installed"
        )
    if canonical(point.name) != point.name:
        yield f"names: the entry point {point.name!r} is not a canonical package name; call it {canonical(point.name)}"


def _started(live: LiveBackend, found: _Found) -> None:
    began = time.monotonic()
    try:
        described = live.start().described
    except BackendMissing as error:
        found.faults.append(f"start: {error}")
        return
    found.notes.append(f"ready after {time.monotonic() - began:.1f} s, Python {described.python}")
    found.faults += _said(described, live.backend.library)
    _imports(live, found)
    _builds(live, described, found)


def _said(described: Described, library: str) -> Iterator[str]:
    """Faults of what the adapter says of itself."""
    if described.name != library:
        yield f"name: the adapter calls itself {described.name!r}, and its entry point {library!r}; both have to be one"
    for idiom, how in described.idioms.items():
        if not how or how.endswith("."):
            yield f"idioms: {idiom}: say what it does, without a full stop at the end: it stands in a table"
    for pattern in described.refusals:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"refusals: {pattern!r} is no regular expression: {error}"
    if not described.needs:
        yield "needs: is empty; name what the script must have installed"
    if not described.script.strip():
        yield "script: is empty; write the lines by which somebody who has only the library gets from stimulus to output"
    else:
        try:
            compile(described.script, "script", "exec")
        except SyntaxError as error:
            yield f"script: line {error.lineno}: {error.msg}"


def graphs() -> dict[str, Graph]:
    """Graphs that any library may be expected to take one of: weights, and weights before a neuron."""
    weights, ones = np.linspace(0.2, 1.0, SIZE * SIZE).reshape(SIZE, SIZE), np.ones(SIZE)
    affine, linear = Node("Affine", {"weight": weights, "bias": 0 * ones}), Node("Linear", {"weight": weights})
    zero = frozenset({"v_reset"})  # a reader that knows it has 0 then, and one that does not takes the file
    rest, reset = {"v_leak": 0 * ones}, {"v_threshold": ones, "v_reset": 0 * ones}
    neurons = {
        "IF": Node("IF", {"r": ones / DT} | reset, unwritten=zero),
        "LIF": Node("LIF", {"tau": 20 * DT * ones, "r": 20 * ones} | rest | reset, unwritten=zero),
        "LI": Node("LI", {"tau": 20 * DT * ones, "r": ones} | rest),
        "CubaLIF": Node(
            "CubaLIF",
            {"tau_syn": 10 * DT * ones, "tau_mem": 20 * DT * ones, "r": 20 * ones, "w_in": 10 * ones} | rest | reset,
            unwritten=zero,
        ),
    }
    found = {"Affine": _chain(affine), "Linear": _chain(linear)}
    return found | {kind: _chain(affine, neuron) for kind, neuron in neurons.items()}


def _chain(*nodes: Node) -> Graph:
    end = np.array([SIZE])
    named = {f"{node.kind.lower()}1": node for node in nodes}
    every = {"input": Node("Input", {"shape": end}), **named, "output": Node("Output", {"shape": end})}
    names = [*every]
    return Graph(every, tuple(pairwise(names)))


def _stimulus(seed: int) -> Array:
    made: Array = (np.random.default_rng(seed).random((STEPS, SAMPLES, SIZE)) < 0.4).astype(np.float32)
    return made


def _imports(live: LiveBackend, found: _Found) -> None:
    """Import, run and name the nodes of each graph that the library takes."""
    taken, refused = [], {}
    for kind, graph in graphs().items():
        stimulus = _stimulus(0)
        began = time.monotonic()
        try:
            first = live(graph, stimulus, DT)
        except RunFailed as error:
            refused[kind] = str(error)
            continue
        taken.append(f"{kind} in {time.monotonic() - began:.1f} s")
        nodes = {name for name, node in graph.nodes.items() if node.kind not in ("Input", "Output")}
        found.faults += [f"run of {kind}: {fault}" for fault in _recording(first, nodes)]
        try:
            live(graph, _stimulus(1), DT)  # of which nothing may be left
            again = live(graph, stimulus, DT)
            live.close_worker()
            anew = live(graph, stimulus, DT)
            outcome, _ = live.beside(first, graph, stimulus, DT)
        except RunFailed as error:
            found.faults.append(f"run of {kind}: works once and not again: {error}")
            continue
        for other, when in ((again, "after another input"), (anew, "in a new process")):
            if other.digest() != first.digest():
                found.faults.append(f"run of {kind}: is not the same {when}; run begins at zero state, and prepare pins seeds")
        if outcome.status == Status.MISMATCH:
            found.faults.append(f"run of {kind}: a graph that is loaded anew gives something else; load begins afresh")
        if outcome.missing:
            found.notes.append(f"{kind}: the model lacks {', '.join(outcome.missing)}, as nodes says")
    if taken:
        found.notes.append(f"takes {', '.join(taken)}")
        found.notes += [f"does not take {kind}: {why}" for kind, why in refused.items()]
    else:
        kind, why = next(iter(refused.items()))
        found.faults.append(f"load and run: none of {', '.join(refused)} is taken; {kind}: {why}")


def _recording(recording: Recording, nodes: set[str]) -> Iterator[str]:
    """Faults of the form of a recording."""
    if [*recording.outputs] != ["output"]:
        yield f"the outputs are {', '.join(recording.outputs) or 'none'}; there is one, and it is called output"
    for name, array in recording.outputs.items():
        if array.shape[:2] != (STEPS, SAMPLES) or array.size != STEPS * SAMPLES * SIZE:
            yield f"{name} has the shape {array.shape}; axes are (T, B, *shape), {(STEPS, SAMPLES, SIZE)}"
    for what, held, samples in (
        ("spikes", recording.spikes, SAMPLES),
        ("membranes", recording.membranes, min(SAMPLES, MEMBRANE_SAMPLES)),
    ):
        for name, array in held.items():
            if name not in nodes:
                yield f"{what} of {name!r}, which is no node of the graph; there are {', '.join(sorted(nodes))}"
            if array.shape[:2] != (STEPS, samples):
                yield f"{what} of {name} have the shape {array.shape}; axes are (T, B, *shape), here ({STEPS}, {samples}, …)"


def _builds(live: LiveBackend, described: Described, found: _Found) -> None:
    """Build and run a network in each idiom, where there is one."""
    graph = graphs()["LIF"]
    for idiom in map(Idiom, described.idioms):
        why: dict[str, Any] = {}
        for reset in (Reset.VALUE, Reset.SUBTRACT):
            try:
                recording = live.native(reset, idiom)(graph, _stimulus(0), DT)
            except (RunFailed, CannotBuild) as error:
                why[str(reset)] = error
                continue
            found.faults += [f"build and run, {idiom}: {fault}" for fault in _form(recording)]
            break
        else:
            failed = [each for each in why.values() if getattr(each, "status", "") != Status.REFUSED]
            if failed:
                found.faults.append(
                    f"build and run, {idiom}: {failed[0]}; raise CannotBuild, with the reason, for what it lacks"
                )
            else:
                found.notes.append(f"{idiom}: does not build a LIF: {next(iter(why.values()))}")


def _form(recording: Recording) -> Iterator[str]:
    for name, array in recording.outputs.items():
        if array.shape[:2] != (STEPS, SAMPLES):
            yield f"{name} has the shape {array.shape}; axes are (T, B, *shape), here ({STEPS}, {SAMPLES}, …)"
