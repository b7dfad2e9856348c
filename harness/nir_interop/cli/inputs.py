"""What a user's graph is fed, checked in one way by every verb that runs one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from nir_interop.agreement.inputs import InputSet
    from nir_interop.graphs import Array, Graph


def check_step(dt: float, option: str = "--dt") -> None:
    """Raises BadInput for what is no time step."""
    from nir_interop.errors import BadInput

    if not 0 < dt < float("inf"):
        raise BadInput(f"{option} {dt:g}: a time step is a positive number of seconds, 1e-4 for instance")


def inputs_of(path: Path, given: Path | None, dt: float, seed: int, steps: int | None = None, *, time_limit: float) -> InputSet:
    r"""What a graph file is fed, axes (T, B, \*shape): the input in another file, or a seeded set made for the graph.

    dt : the step [s] at which the graph means something
    steps : of the made inputs; by default as the graph suggests
    time_limit : seconds that a run may take

    The batch of 1 of a graph that was exported with one may be left out of the input, or be in it.  How a graph was read that
    means nothing as it stands, and that libraries are given other names, goes to stderr, a line each.

    Raises UnreadableGraph, InvalidGraph, BadStimulus, and TooSlow where a run is expected to take too long.
    """
    from nir_interop.cli.options import complain
    from nir_interop.graphs import read_meant, validate

    graph, notes = read_meant(path)
    for note in (*notes, *_renaming(renamed_of(path))):
        complain(f"{path.name}: {note}")
    if given is None:
        from nir_interop.agreement.inputs import inputs_for

        return inputs_for(graph, dt, seed, steps, time_limit=time_limit)
    from nir_interop.agreement.inputs import given as as_given
    from nir_interop.graphs import inline
    from nir_interop.reference.room import check_room, check_time

    shapes = validate(graph)
    (entry,) = graph.of_kind("Input")
    stimulus = _loaded(given, tuple(int(size) for size in shapes[entry][1]))
    check_time(check_room(inline(graph), shapes, dt, *stimulus.shape[:2]), time_limit)
    return as_given(stimulus)


def notes_of(path: Path) -> list[str]:
    """How a graph was read that means nothing as it stands, a sentence each; for ``--json``."""
    from nir_interop.graphs import read_meant

    return list(read_meant(path)[1])


def renamed_of(path: Path) -> dict[str, str]:
    """What is called otherwise in the file that libraries are given: name → safe name; for ``--json``."""
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
    from nir_interop.printable import shown
    from nir_interop.safe_names import is_numbered, is_safe

    told = [name for name in called if not is_safe(name) and not is_numbered(name)]
    if not told:
        return []
    first = f"{shown(told[0])} as {called[told[0]]}"
    more = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return [f"libraries are given {first}{more}: by its own name it could be run as code, or be taken for something else"]


def quiet_hint(inputs: InputSet, silent: bool) -> str:
    """What to do where an input shows nothing, or not every layer's doing; empty where all speak."""
    if silent:
        return (
            "The output is constant or hardly spikes, and agreement proves nothing: "
            "give an input on which it fires (--input), or the time step that the graph is meant for (--dt)."
        )
    if inputs.quiet:
        from nir_interop.graphs import listed

        return (
            f"No input makes {listed(inputs.quiet)} fire, so that nothing is known of what happens then: "
            "give one that does (--input), or the time step that the graph is meant for (--dt)."
        )
    return ""


def _loaded(path: Path, shape: tuple[int, ...]) -> Array:
    from nir_interop.errors import BadStimulus
    from nir_interop.stimuli import load_stimulus

    try:
        return load_stimulus(path, shape).input
    except BadStimulus as error:
        # A batch of 1: in the graph and not in the input, or, where the graph was read without it, the other way round.
        for other in ([shape[1:]] if len(shape) > 1 and shape[0] == 1 else []) + [(1, *shape)]:
            try:
                given = load_stimulus(path, other).input
            except BadStimulus:
                continue
            return given.reshape(*given.shape[:2], *shape)
        raise error
