r"""What a user gives: a graph in a file or as nir's own object, an input as an array, a tensor or a file, and numbers.

Arrays have axes (T, B, \*shape): steps, samples, and the shape of the graph's Input; of several Inputs there is one for each.
"""

from __future__ import annotations

import math
import operator
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, cast

from nir_interop.errors import BadInput, BadStimulus, InvalidGraph
from nir_interop.memory import USUAL, VARIABLE, allowed
from nir_interop.printable import printable, shown

if TYPE_CHECKING:
    import nir
    import torch

    from nir_interop.agreement.inputs import InputSet
    from nir_interop.graphs import Array, Graph
    from nir_interop.store.store import Store

GivenPath: TypeAlias = "str | os.PathLike[str]"
GivenGraph: TypeAlias = "GivenPath | nir.NIRGraph"
GivenArray: TypeAlias = "Array | torch.Tensor | GivenPath"
GivenInput: TypeAlias = "GivenArray | Mapping[str, Array | torch.Tensor]"
"""Of a graph with several Inputs a mapping, name → array, or a file that has an array for each."""
Tell: TypeAlias = "Callable[[str], None]"
"""Told a line."""

STORE = ".nir-interop"
STORE_VARIABLE = "NIR_INTEROP_STORE"
MOST_SEED, MOST_JOBS = 2**32 - 1, 1024
"""Every generator of every library takes that seed; more processes than that no machine has use for."""
SHORTEST, LONGEST = 0.1, 1e6
"""Seconds that a time limit may be: a tenth, and eleven days."""


def untold(what: object) -> None:
    """Nobody is told."""


@contextmanager
def graph_file(graph: GivenGraph) -> Iterator[Path]:
    """The file of a graph; one that is an object is written into a file that is gone after the block.

    Raises BadInput for what is neither, InvalidGraph for an object that cannot be written.
    """
    if isinstance(graph, (str, os.PathLike)):
        yield path_of(graph)
        return
    import nir

    from nir_interop.graphs import from_nir, write

    if not isinstance(graph, nir.NIRGraph):
        raise BadInput(f"the graph is {shown(type(graph).__name__)}; give the path of a .nir file, or a nir.NIRGraph")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.nir"
        try:
            write(path, from_nir(graph))
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            why = printable(" ".join(str(error).split())[:120])
            raise InvalidGraph(f"the graph cannot be written ({why}); build it with nir.NIRGraph(nodes, edges)") from error
        yield path


def path_of(path: GivenPath) -> Path:
    """A path as pathlib has it.  Raises BadInput for one that is bytes."""
    text = os.fspath(path)
    if not isinstance(text, str):
        raise BadInput(f"{shown(text)}: write the path as text")
    return Path(text)


def inputs_of(
    path: Path,
    given: GivenInput | None,
    dt: float,
    seed: int,
    steps: int | None = None,
    *,
    time_limit: float,
    tell: Tell = untold,
) -> InputSet:
    r"""What a graph file is fed, axes (T, B, \*shape): the input that is given, or a seeded set made for the graph.

    dt : the step [s] at which the graph means something
    steps : of the made inputs; by default as the graph suggests
    time_limit : seconds that a run may take
    tell : told how a graph was read that means nothing as it stands, and that libraries are given other names, a line each

    The batch of 1 of a graph that was exported with one may be left out of the input, or be in it.  Several Inputs come as one
    array (T, B, n), side by side in the order of their names.

    Raises UnreadableGraph, InvalidGraph, BadStimulus, and TooSlow where a run is expected to take too long.
    """
    graph = _read(path, tell)
    if given is not None:
        return _fed(graph, given, dt, time_limit)
    from nir_interop.agreement.inputs import inputs_for

    return inputs_for(graph, dt, seed, steps, time_limit=time_limit)


def inputs_given(path: Path, given: GivenInput | None, dt: float, *, time_limit: float, tell: Tell = untold) -> InputSet | None:
    """What a graph file is fed where an input is given; None where a set is to be made, which then can be.

    All else is as :func:`inputs_of` has it.
    """
    graph = _read(path, tell)
    if given is not None:
        return _fed(graph, given, dt, time_limit)
    from nir_interop.agreement.inputs import check_inputs

    check_inputs(graph, dt, time_limit=time_limit)
    return None


def _read(path: Path, tell: Tell) -> Graph:
    """The graph of a file; how it was read is told."""
    from nir_interop.graphs import read_assumed, read_corrected

    graph, notes = read_corrected(path)
    for note in (*read_assumed(path), *notes, *_renaming(renamed_of(path))):
        tell(f"{path.name}: {note}")
    return graph


def _fed(graph: Graph, given: GivenInput, dt: float, time_limit: float) -> InputSet:
    from nir_interop.agreement.inputs import given as as_given
    from nir_interop.agreement.inputs import several
    from nir_interop.graphs import inline, input_shapes, validate
    from nir_interop.reference.room import check_room, check_time

    shapes = validate(graph)
    entries = input_shapes(graph, shapes)
    stimulus = _of_inputs(given, entries)
    check_time(check_room(inline(graph), shapes, dt, *stimulus.shape[:2]), time_limit)
    return as_given(stimulus, several(entries))


def given_input(given: GivenArray) -> Array:
    r"""An input of no graph yet, axes (T, B, \*shape), float32.  Raises BadStimulus."""
    from nir_interop.stimuli import given_stimulus, load_stimulus

    return load_stimulus(path_of(given), None).input if _is_path(given) else given_stimulus(given, None)


def given_labels(labels: Any, stimulus: Array | None) -> Array | None:
    """The right class of each sample of an input, (B,).  Raises BadInput where they are not that."""
    if labels is None:
        return None
    import numpy as np

    if stimulus is None:
        raise BadInput("labels: they are of the samples of an input; give both")
    found = np.asarray(labels.detach().cpu() if hasattr(labels, "detach") else labels)
    if found.shape != stimulus.shape[1:2] or found.dtype.kind not in "iu":
        raise BadInput(
            f"labels: {found.dtype} of axes {found.shape}; give a whole number for each of {stimulus.shape[1]} samples"
        )
    return found


def labels_in(path: Path) -> Array | None:
    """The labels in the npz file of an input, (B,); None where there are none.  Raises BadStimulus."""
    from nir_interop.stimuli import load_labels

    return load_labels(path)


def output_of(given: GivenArray, stimulus: Array) -> Array:
    r"""What came out for an input, axes (T, B, \*shape).  Raises BadStimulus."""
    from nir_interop.stimuli import given_output, load_output

    return load_output(path_of(given), stimulus) if _is_path(given) else given_output(given, stimulus)


Sample: TypeAlias = "tuple[int, ...]"
Reader: TypeAlias = "Callable[[Sample], Array]"
"""Reads an array whose samples have a shape.  Raises BadStimulus where they have another."""


def _of_inputs(given: GivenInput, entries: Mapping[str, Sample]) -> Array:
    """The input of a graph with these Inputs; of several, all of them side by side.  Raises BadStimulus."""
    from nir_interop.graphs import sample_shape
    from nir_interop.stimuli import by_name, check_names, each_by_name, given_stimulus, load_stimulus, side_by_side

    def from_file(path: Path, key: str) -> Reader:
        return lambda shape: load_stimulus(path, shape, key).input

    def from_value(value: Any, what: str) -> Reader:
        return lambda shape: given_stimulus(value, shape, what)

    if isinstance(given, Mapping):
        check_names(given, entries)
        read = {name: from_value(given[name], f"the input for {shown(name)}") for name in entries}
    elif _is_path(given) and len(entries) > 1 and by_name(path_of(given), entries):
        read = {name: from_file(path_of(given), name) for name in entries}
    else:
        whole = from_file(path_of(given), "input") if _is_path(given) else from_value(given, "the input")
        with each_by_name(entries):
            return _fitted(whole, sample_shape(entries))
    parts = {name: _fitted(read[name], shape) for name, shape in entries.items()}
    return side_by_side(parts) if len(parts) > 1 else parts.popitem()[1]


def _fitted(read: Reader, shape: Sample) -> Array:
    """An input, in the shape that the graph's Input has."""
    try:
        return read(shape)
    except BadStimulus as error:
        # A batch of 1: in the graph and not in the input, or, where the graph was read without it, the other way round.
        for other in ([shape[1:]] if len(shape) > 1 and shape[0] == 1 else []) + [(1, *shape)]:
            try:
                found = read(other)
            except BadStimulus:
                continue
            return found.reshape(*found.shape[:2], *shape)
        raise error


def _is_path(given: Any) -> TypeGuard[GivenPath]:
    return isinstance(given, (str, os.PathLike))


def notes_of(path: Path) -> list[str]:
    """How a graph was read that means nothing as it stands, a sentence each."""
    from nir_interop.graphs import read_corrected

    return list(read_corrected(path)[1])


def renamed_of(path: Path) -> dict[str, str]:
    """What is called otherwise in the file that libraries are given: name → safe name."""
    from nir_interop.safe_files import renamed_in

    return renamed_in(path)


def names_in(path: Path) -> set[str]:
    """The names of all nodes of a file, ``outer.inner`` in nested graphs."""
    from nir_interop.graphs import read

    return set(_names(read(path), ""))


def _names(graph: Graph, prefix: str) -> Iterator[str]:
    for name, node in graph.nodes.items():
        yield f"{prefix}{name}"
        if node.kind == "NIRGraph":
            yield from _names(cast("Graph", node), f"{prefix}{name}.")


def _renaming(called: Mapping[str, str]) -> list[str]:
    """What a user should know of it, in a sentence; nothing of names that are numbers, which every library takes."""
    from nir_interop.safe_names import is_numbered, is_safe

    told = [name for name in called if not is_safe(name) and not is_numbered(name)]
    if not told:
        return []
    first = f"{shown(told[0])} as {called[told[0]]}"
    more = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return [f"libraries are given {first}{more}: by its own name it could be run as code, or be taken for something else"]


def store_of(path: GivenPath | None) -> Store:
    """The store at a path; by default where ``NIR_INTEROP_STORE`` says, else ``.nir-interop`` in the working directory."""
    from nir_interop.store.store import Store

    return Store(path_of(path) if path is not None else Path(os.environ.get(STORE_VARIABLE) or STORE))


@contextmanager
def memory(limit: float | None) -> Iterator[None]:
    """Let runs hold so many GiB; by default what ``NIR_INTEROP_MEMORY_LIMIT`` says, else 1."""
    with allowed(limit if limit is not None else cast(float, os.environ.get(VARIABLE, USUAL))):
        yield


def check_step(dt: float, name: str = "dt") -> float:
    """A time step [s].  Raises BadInput for what is none."""
    if not 0 < _number(dt, name) < math.inf:
        raise BadInput(f"{name} {dt:g}: a time step is a positive number of seconds, 1e-4 for instance")
    return float(dt)


def check_limit(seconds: float) -> float:
    """A time limit [s].  Raises BadInput for what is none."""
    if not SHORTEST <= _number(seconds, "time_limit") <= LONGEST:
        raise BadInput(f"time_limit {seconds:g}: give seconds, from {SHORTEST:g} to {LONGEST:g}")
    return float(seconds)


def check_whole(number: int, name: str, least: int, most: int | None = None) -> int:
    """A whole number.  Raises BadInput for what is none, or out of its range."""
    try:
        found = operator.index(number)
    except TypeError:
        found = least - 1
    if found < least or (most is not None and found > most):
        to = "" if most is None else f" to {most}"
        raise BadInput(f"{name} {shown(number)}: give a whole number, from {least}{to}")
    return found


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BadInput(f"{name} {shown(value)}: give a number of seconds") from None
