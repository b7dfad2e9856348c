"""What a user's graph is fed, checked in one way by every verb that runs one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.agreement.inputs import InputSet
    from harness.graphs import Array


def check_step(dt: float, option: str = "--dt") -> None:
    """Raises BadInput for what is no time step."""
    from harness.errors import BadInput

    if not 0 < dt < float("inf"):
        raise BadInput(f"{option} {dt:g}: a time step is a positive number of seconds, 1e-4 for instance")


def inputs_of(path: Path, given: Path | None, dt: float, seed: int, steps: int | None = None) -> InputSet:
    r"""What a graph file is fed, axes (T, B, \*shape): the input in another file, or a seeded set made for the graph.

    dt : the step [s] at which the graph means something
    steps : of the made inputs; by default as the graph suggests

    The batch of 1 of a graph that was exported with one may be left out of the input.

    Raises UnreadableGraph, InvalidGraph and BadStimulus.
    """
    from harness.graphs import read, validate

    graph = read(path)
    if given is None:
        from harness.agreement.inputs import inputs_for

        return inputs_for(graph, dt, seed, steps)
    from harness.agreement.inputs import given as as_given

    shapes = validate(graph)
    (entry,) = graph.of_kind("Input")
    return as_given(_loaded(given, tuple(int(size) for size in shapes[entry][1])))


def quiet_hint(inputs: InputSet, silent: bool) -> str:
    """What to do where an input shows nothing, or not every layer's doing; empty where all speak."""
    if silent:
        return (
            "The output is constant or hardly spikes, and agreement proves nothing: give an input on which it fires, --input."
        )
    if inputs.quiet:
        return f"No input makes {shortened(inputs.quiet)} fire: what they do is not seen; give one on which they fire, --input."
    return ""


def shortened(names: Sequence[str], most: int = 6) -> str:
    """Names in a row, the first ones where there are many."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)})"


def _loaded(path: Path, shape: tuple[int, ...]) -> Array:
    from harness.errors import BadStimulus
    from harness.stimuli import load_stimulus

    try:
        return load_stimulus(path, shape).input
    except BadStimulus:
        if len(shape) < 2 or shape[0] != 1:
            raise
        given = load_stimulus(path, shape[1:]).input
        return given.reshape(*given.shape[:2], *shape)
